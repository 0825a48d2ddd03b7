"""What receivers, the law and readers ask of every letter: a checklist, each point a test.

Points 1 to 5, 7, 17 and 18 are of letters as the post office handed them over, signed, to people
with every kind of name; the others are of what the post office does.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import date, timedelta
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import dkim as dkimpy
import pytest
from sqlalchemy import select

from consortium.clock import Standing
from consortium.service import hear_back, try_out, vet
from consortium.store import suppressions, trials
from consortium.store.deliveries import Delivery
from consortium.store.errors import Missing
from consortium.store.tables import RingRow
from consortium.store.unit import Unit, Units, engine
from mailer import bounce, compose, dkim, pace, spam, stops
from mailer.domains import Domain
from mailer.errors import TemplateRefused, TokenRefused
from mailer.findings import Finding
from mailer.transports import Deferred, Failed, InDoubt
from policies import agreement
from policies.authorise import Caller
from tests.databases import NOON
from tests.fakes.post import Post, post
from tests.fakes.server import EPOCH, RACE, Server
from tests.unit.service import test_try_out as trying
from tests.unit.service.test_silence import letters as weekly

__all__ = ["post"]
RETURNS = Path(__file__).parents[1] / "golden" / "returns"
KEYS = {partner: dkim.generate_key() for partner in ("union", "parks")}
SUBJECT = "Café en la biblioteca, sábado: ¿vienes?"
MJML = """<mjml lang="en"><mj-head><mj-title>Come on Saturday</mj-title></mj-head>
<mj-body><mj-section><mj-column><mj-text>
<p>Hi {{ first_name | neighbor }}, come on Saturday. {{ messenger_name }}, {{ precinct | here }}</p>
</mj-text></mj-column></mj-section></mj-body></mjml>"""
ONCE = ("from", "to", "date", "message-id", "subject", "mime-version", "reply-to", "list-id")


class Sent21:
    """One campaign that went out: two partners' lists, fifteen people, each letter signed."""

    def __init__(self, folder: Path, units: Units) -> None:
        self.post = Post(Server(folder, units, Standing(NOON)), folder)
        signers = {one: dkim.Signer(f"{one}.example", "trellis", key) for one, key in KEYS.items()}
        self.office = self.post.new_office("signs", signers=signers)
        lists = {
            "union": [(n, f"m{n}@example.net") for n in range(1, 11)],
            "parks": [(n, f"m{n}@example.net") for n in range(6, 16)],
        }
        parts = [self.post.bundle(who, n, rows) for n, (who, rows) in enumerate(lists.items(), 1)]
        template = {"subject": SUBJECT, "mjml": MJML}
        self.id = self.post.campaign("c1", *parts, template=template)
        self.said = io.StringIO()
        with redirect_stdout(self.said):
            self.post.go(self.id, self.office)
        self.letters = [message for _, _, message in self.post.mta.taken]
        assert len(self.letters) == 15

    def parsed(self) -> Iterator[tuple[bytes, EmailMessage]]:
        for letter in self.letters:
            message = message_from_bytes(letter, policy=policy.default)
            assert isinstance(message, EmailMessage)
            assert not message.defects
            yield letter, message


@pytest.fixture(scope="module")
def sent(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent21]:
    folder = tmp_path_factory.mktemp("checklist")
    shutil.copy(sqlite_template, folder / "trellis.sqlite")
    made = engine(f"sqlite:///{folder / 'trellis.sqlite'}")
    yield Sent21(folder, Units(made, Standing(NOON)))
    made.dispose()


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def links(text: str) -> set[str]:
    return {one.rstrip(".,)") for one in re.findall(r"https?://[^\s<>\"')]+", text)}


def few_of_each(folder: Path) -> list[Path]:
    """Three kept returns of each kind; all of them are read elsewhere."""
    kinds: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.eml")):
        kinds.setdefault(file.name.split(".")[1], []).append(file)
    assert set(kinds) >= {"hard", "soft", "complaint", "unknown"}
    return [file for kind in ("hard", "soft", "complaint", "unknown") for file in kinds[kind][:3]]


def capability(post: Post, letter: Delivery) -> str:
    return stops.capability(post.office.keys.delivery, bytes.fromhex(letter.id)).token


def people(*numbers: int) -> list[tuple[int, str]]:
    return [(n, f"m{n}@example.net") for n in numbers]


def reasons(post: Post, id: str) -> dict[int, str]:
    return {one.person: one.outcome or "" for one in post.letters(id) if one.state == "dropped"}


def test_01_every_header_once_crlf_short_lines_and_any_letters_in_names(sent: Sent21) -> None:
    for letter, message in sent.parsed():
        for name in ONCE:
            assert len(message.get_all(name, [])) == 1, name
        assert letter.count(b"\r\n") == letter.count(b"\n") == letter.count(b"\r")
        assert max(map(len, letter.split(b"\r\n"))) <= 998
        head = letter.split(b"\r\n\r\n")[0]
        assert head.isascii()
        assert max(map(len, head.split(b"\r\n"))) <= 78
        assert str(message["subject"]) == SUBJECT
        sender = message["from"].addresses[0]
        assert isinstance(sender, Address)
        assert sender.domain in ("union.example", "parks.example")
        assert sender.display_name.startswith("Maria Trujillo for ")
        assert parsedate_to_datetime(str(message["date"])) <= sent.post.clock()
        assert str(message["message-id"]).endswith(f"@{sender.domain}>")


def test_02_a_text_part_and_an_html_part_with_the_same_links(sent: Sent21) -> None:
    for _, message in sent.parsed():
        assert message.get_content_type() == "multipart/alternative"
        kinds = [one.get_content_type() for one in message.iter_parts()]
        assert kinds == ["text/plain", "text/html"]
        in_html = set(re.findall(r'href="([^"]+)"', part(message, "html")))
        assert in_html == links(part(message, "plain"))
        assert len(in_html) == 2  # stop, and why


def test_03_the_html_is_under_102_kilobytes(sent: Sent21) -> None:
    assert all(len(part(one, "html").encode()) < 102 * 1024 for _, one in sent.parsed())
    blocks = "<mj-text>Come on Saturday.</mj-text>" * 400
    long = (
        f"<mjml><mj-body><mj-section><mj-column>{blocks}</mj-column></mj-section></mj-body></mjml>"
    )
    with pytest.raises(TemplateRefused, match="Gmail cuts"):
        compose.compile_template(
            compose.Template("Long", long), allowed_fields=(), allowed_hosts=()
        )


def test_04_the_list_headers_and_feedback_id_are_there_and_name_nobody(sent: Sent21) -> None:
    shapes = set()
    for _, message in sent.parsed():
        stop, mail = str(message["list-unsubscribe"]).split(", ")
        assert re.fullmatch(r"<https://trellis\.example/u/[A-Za-z0-9_-]{22}>", stop)
        assert re.fullmatch(r"<mailto:stop-[A-Za-z0-9_-]{22}@[a-z.]+\?subject=stop>", mail)
        assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        feedback = str(message["feedback-id"]).split(":")
        assert len(feedback) <= 4
        assert 5 <= len(feedback[-1]) <= 15
        shapes.add((str(message["list-id"]), str(message["feedback-id"])))
    assert len(shapes) == 2  # one for each partner, and nothing for a person


def test_05_a_signature_of_2048_bits_aligned_oversigned_and_verified_by_dkimpy(
    sent: Sent21,
) -> None:
    def dns(name: bytes, timeout: int = 5) -> bytes:
        selector, _, domain = name.decode().rstrip(".").partition("._domainkey.")
        assert selector == "trellis"
        return dkim.dns_record(KEYS[domain.partition(".")[0]].public_key()).encode()

    for letter, message in sent.parsed():
        tags = dict(
            (pair.strip().partition("=")[::2])
            for pair in re.sub(r"\s", "", str(message["dkim-signature"])).split(";")
        )
        assert (tags["a"], tags["c"]) == ("rsa-sha256", "relaxed/simple")
        assert tags["d"] == message["from"].addresses[0].domain
        signed = tags["h"].lower().split(":")
        for name in ("from", "to", "subject", "list-unsubscribe", "list-unsubscribe-post"):
            assert signed.count(name) == 2, name
        for name in ("date", "message-id", "list-id", "feedback-id", "reply-to", "mime-version"):
            assert signed.count(name) == 1, name
        assert dkimpy.verify(letter, dnsfunc=dns, minkey=2048)
        assert not dkimpy.verify(b"From: x@evil.test\r\n" + letter, dnsfunc=dns)
        changed = letter.replace(b"List-Unsubscribe-Post: List", b"List-Unsubscribe-Post: Lost")
        assert not dkimpy.verify(changed, dnsfunc=dns)


def test_06_no_campaign_begins_from_a_domain_that_is_red_or_was_not_looked_at_lately(
    post: Post,
) -> None:
    def found(level: str, hours: int) -> None:
        seen = [Finding("PTR", level, "It points nowhere.", "Set it.")]  # type: ignore[arg-type]
        one, at = Domain("union", "union.example", "trellis", "p="), post.clock()
        post.units.run("vet", lambda unit: vet.keep(unit, one, seen, at - timedelta(hours=hours)))

    id = post.campaign("c1", post.bundle("union", 1, people(1)))
    for level, hours in (("red", 0), ("green", 25)):
        found(level, hours)
        post.go(id)
        assert (post.mta.to, post.state(id).state) == ([], "logged")
    found("green", 23)
    post.go(id)
    assert post.mta.to == ["m1@example.net"]


def test_07_a_return_path_for_each_letter_proven_and_without_an_address(sent: Sent21) -> None:
    key = sent.office.keys.delivery
    paths = [sender for sender, _, _ in sent.post.mta.taken]
    assert len(set(paths)) == 15
    for path in paths:
        proven = stops.parse_verp(key, path).hex()
        assert proven in {one.id for one in sent.post.letters(sent.id)}
        # Letters of two digests and nothing else: an address would not fit.
        assert re.fullmatch(r"r-[a-z2-7]{26}-[a-z2-7]{16}", path.partition("@")[0])
        for at in range(2, len(path.partition("@")[0]), 5):
            forged = path[:at] + ("a" if path[at] != "a" else "b") + path[at + 1 :]
            with pytest.raises(TokenRefused):
                stops.parse_verp(key, forged)
    with pytest.raises(TokenRefused):  # a path of another installation is nobody's here
        stops.parse_verp(b"x" * 32, paths[0])


def test_08_one_click_stops_at_once_as_often_as_pressed_and_is_asked_before_each_letter(
    post: Post,
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, people(1, 2, 3)))
    post.go(id)
    link = capability(post, post.sent_to("m1@example.net"))
    client = post.server.client
    assert client.get(f"/u/{link}").status_code == 200
    assert not _silent(post, "m1@example.net"), "a GET changes nothing: scanners fetch"
    for _ in range(3):
        form = {"List-Unsubscribe": "One-Click"}
        answer = client.post(f"/u/{link}", data=form, follow_redirects=False)
        assert answer.status_code == 200
    assert _silent(post, "m1@example.net")

    # In the next campaign one stops while the letter before theirs is on its way.
    post.later(days=8)
    other = post.campaign(
        "c2", post.bundle("parks", 2, people(1, 2, 3)), scheduled=post.clock(), **_window(post)
    )
    begun: list[str] = []

    def stop_the_other(recipient: str) -> None:
        if not begun:
            begun.append(recipient)
            theirs = {2: "m3@example.net", 3: "m2@example.net"}[int(recipient[1])]
            link = capability(post, post.sent_to(theirs))
            post.units.run("stop", lambda u: hear_back.stop(u, link, "race", post.clock()))

    post.mta.before.append(stop_the_other)
    post.go(other)
    assert post.mta.to[3:] == begun


def test_09_dead_mailboxes_and_complaints_suppress_and_what_is_unclear_never(
    post: Post,
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, people(*range(1, 13))))
    post.go(id)
    for number, file in enumerate(few_of_each(RETURNS), 1):
        kind = file.name.split(".")[1]
        back = bounce.read(file.read_bytes())
        assert back.kind == kind, file.name
        letter = post.sent_to(f"m{number}@example.net")
        post.units.run(
            "returned",
            lambda unit, back=back, letter=letter: hear_back.returned(  # type: ignore[misc]
                unit, letter.id, back.kind, post.clock(), code=back.code
            ),
        )
        wanted = kind in ("hard", "complaint")
        assert _silent(post, f"m{number}@example.net") is wanted, file.name


def test_10_the_breaker_warns_stops_and_one_domain_that_says_later_slows_itself_alone(
    post: Post,
) -> None:
    def verdict(sent_: int, complaints: int = 0, hard: int = 0) -> str:
        return pace.breaker(pace.Tally(sent_, complaints, hard)).state

    assert [verdict(10_000, one) for one in (10, 11, 29, 30)] == ["go", "warn", "warn", "stop"]
    assert [verdict(1_000, hard=one) for one in (20, 21)] == ["go", "stop"]

    part_ = post.bundle("union", 1, people(*range(1, 9)))
    id = post.campaign("c1", part_)
    for n in range(1, 9):
        post.mta.answers[f"m{n}@example.net"] = [Failed(550, "no such user", "rcpt", "5.1.1")]
    post.go(id)
    assert (post.state(id).state, post.state(id).before_pause) == ("paused", "sending")

    told = post.bundle("union", 2, [(21, "m21@example.net")])
    slow = told, post.bundle("parks", 3, [(22, "m22@other.example")])
    later = post.campaign("c2", *slow)
    post.mta.answers["m21@example.net"] = [Deferred(421, "4.7.0 too fast", "mail", "4.7.0")]
    post.go(later)
    assert post.mta.to == ["m22@other.example"], "the other sender's letters go on"
    post.later(minutes=6)
    post.go(later)
    assert post.mta.to == ["m22@other.example", "m21@example.net"]


def test_11_the_caps_are_over_all_partners(post: Post) -> None:
    post.go(post.campaign("c1", post.bundle("union", 1, people(1))))
    post.later(days=6)
    parts = post.bundle("parks", 2, people(1)), post.bundle("union", 3, people(2))
    post.go(post.campaign("c2", *parts, scheduled=post.clock(), **_window(post)))
    assert post.mta.to == ["m1@example.net", "m2@example.net"], "one in seven days, whoever sends"
    post.later(days=2)
    again = post.bundle("parks", 4, people(1))
    post.go(post.campaign("c3", again, scheduled=post.clock(), **_window(post)))
    assert post.mta.to[2:] == ["m1@example.net"]


def test_12_letters_end_for_whom_nothing_ever_comes_back_from(post: Post) -> None:
    post.office.sunset = 2
    weekly(post, 4)
    assert post.mta.to.count("m1@example.net") == 2


def test_13_a_new_sending_domain_begins_small_and_doubles_with_each_day() -> None:
    # What a domain may send; that the mailer heeds it is tested where it sends.
    today, history = date(2026, 10, 1), dict[date, int]()
    allowed = []
    for day in range(5):
        now = today + timedelta(days=day)
        room = pace.allowance(history, now, 200)
        assert room is not None
        allowed.append(room)
        history[now] = room
    assert allowed == [200, 400, 800, 1_600, 3_200]
    idle = {today: 10}
    assert pace.allowance(idle, today + timedelta(days=1), 200) == 200
    assert pace.allowance(history, today + timedelta(days=60), 200) == 200
    assert pace.allowance(history, today, 0) is None


def test_14_each_receiving_domain_has_a_pace_of_its_own(post: Post) -> None:
    members = [(n, f"m{n}@{'slow' if n % 2 else 'quick'}.example") for n in range(1, 9)]
    id = post.campaign("c1", post.bundle("union", 1, members))
    slow = [Deferred(421, "4.7.0 too fast", "rcpt", "4.7.0")]
    for n in range(1, 9, 2):
        post.mta.answers[f"m{n}@slow.example"] = list(slow)
    post.go(id)
    assert sorted(post.mta.to) == [f"m{n}@quick.example" for n in range(2, 9, 2)]
    asked = sum(not left for left in post.mta.answers.values())
    assert asked == 1, "after its first word that domain is left alone"
    for _ in range(5):
        post.later(hours=1)
        post.go(id)
    assert sum(to.endswith("slow.example") for to in post.mta.to) == 4


def test_15_seeds_get_it_first_and_it_goes_on_only_when_none_is_refused_or_comes_back(
    post: Post,
) -> None:
    seeds = {one: f"staff@{one}.example" for one in ("union", "parks")}
    for one, address in seeds.items():
        trying.proven(post, Caller(one, "partner", one), address)
    parts = post.bundle("union", 1, people(1, 2)), post.bundle("parks", 2, people(3))
    id = post.campaign("c1", *parts)

    def begin() -> None:
        post.mta.taken.clear()
        post.go(id)
        trying.turn(post)
        post.go(id)
        assert set(post.mta.to) <= set(seeds.values()), "nobody else gets one before them"

    post.mta.answers[seeds["parks"]] = [Deferred(451, "4.7.1 policy", "dot", "4.7.1")]
    begin()
    assert (post.state(id).state, post.mta.to) == ("paused", [seeds["union"]])

    post.change(id, state="logged", before_pause=None)  # resumed, and one comes back this time
    begin()
    assert sorted(post.mta.to) == sorted(seeds.values())
    back = stops.parse_verp(post.office.keys.delivery, post.mta.taken[0][0]).hex()
    post.units.run("back", lambda unit: try_out.came_back(unit, back, "hard"))
    post.go(id)
    assert post.state(id).state == "paused"
    assert "came back" in post.state(id).waiting_for

    post.change(id, state="logged", before_pause=None)
    begin()
    post.later(seconds=try_out.SEED_WAIT.total_seconds() - 1)
    post.go(id)
    assert len(post.mta.to) == 2
    assert "seed test, until" in post.state(id).waiting_for
    post.later(seconds=1)
    post.go(id)
    assert sorted(post.mta.to[2:]) == [f"m{n}@example.net" for n in (1, 2, 3)]

    # Where there are no seeds, that is said before anybody approves, and letters go.
    def said(unit: Unit) -> Finding:
        return try_out.finding(unit, ["parks", "union"])

    assert post.units.read("said", said).level == "green"
    post.units.run("drop", lambda unit: try_out.came_back(unit, _seed_of(unit, id), "complaint"))
    found = post.units.read("said", said)
    assert (found.level, "No seed address of parks" in found.what) == ("none", True)


def test_16_a_second_person_approves_exactly_these_bytes(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, people(1)))
    good = post.state(id).template
    for change in ({"subject": "Other"}, {"mjml": MJML}, {"text": "Other"}):
        post.change(id, template={**good, **change})
        with pytest.raises(Exception, match="is not what was approved"):
            post.go(id)
    post.change(id, template=good)
    post.go(id)
    assert post.mta.to == ["m1@example.net"]
    answer = post.server.call("cora", "PUT", f"/campaigns/{id}/approval", json={})
    assert answer.status_code in (403, 422), "who writes a letter does not approve it"


def test_17_the_postal_address_and_who_paid_stand_in_both_parts(sent: Sent21) -> None:
    terms = agreement.parse(sent.post.server.agreement)
    for _, message in sent.parsed():
        payer = terms.paid_for_by or str(message["from"].addresses[0].display_name)[19:]
        for kind in ("plain", "html"):
            words = " ".join(re.sub(r"<[^>]+>", " ", part(message, kind)).split())
            assert f"Paid for by {payer}." in words
            assert terms.postal_address in words


def test_18_nothing_is_fetched_and_every_link_is_https_and_listed(sent: Sent21) -> None:
    fetched = re.compile(r"<(?:img|script|link|iframe)\b|\ssrc=|background=|@import|url\(", re.I)
    for _, message in sent.parsed():
        html = part(message, "html")
        assert not fetched.search(re.sub(r"<!--.*?-->", "", html, flags=re.S))
        for link in re.findall(r'href="([^"]+)"', html):
            assert link.startswith("https://trellis.example/")


def test_19_a_letter_that_spamassassin_scores_at_2_is_not_submitted(
    sent: Sent21, tmp_path: Path
) -> None:
    # Where it is not installed, that is said; where it is, our own letters stay below.
    assert spam.inspect(sent.letters[0]).level == (
        "none" if shutil.which("spamassassin") is None else "green"
    )
    program = tmp_path / "spamassassin"
    for score, level in (("1.9", "green"), ("2.0", "red")):
        head = f"X-Spam-Status: No, score={score} required=5.0 tests=HTML_MESSAGE autolearn=no"
        program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{head}'\n")
        program.chmod(0o755)
        assert spam.inspect(b"Subject: x\r\n\r\nx", program=str(program)).level == level


@pytest.mark.parametrize("taken", [False, True])
def test_20_after_a_kill_nobody_gets_two_nobody_gets_none_and_doubts_are_listed(
    post: Post,
    taken: bool,
) -> None:
    class Killed(BaseException):
        """As SIGKILL."""

    def die(recipient: str) -> None:
        if recipient == "m5@example.net" and not died:
            died.append(recipient)
            if taken:
                post.mta.taken.append(("", recipient, b""))
            raise Killed

    died: list[str] = []
    id = post.campaign("c1", post.bundle("union", 1, people(*range(1, 11))))
    post.mta.before.append(die)
    with pytest.raises(Killed):
        post.go(id)
    post.log.complete = False  # a log that proves nothing of what is not in it
    heir = post.new_office("second", dead=frozenset({"first"}))
    for _ in range(3):
        post.go(id, heir)
        post.later(seconds=31)
    doubts = [one for one in post.letters(id) if one.state == "in_doubt"]
    assert len(doubts) + post.states(id).get("sent", 0) == 10
    assert all(post.mta.to.count(to) <= 1 for to in post.mta.to)
    listed = {one.person for one in doubts}
    assert 5 in listed
    for n in range(1, 11):
        assert (f"m{n}@example.net" in post.mta.to) or n in listed


def test_21_no_address_and_no_name_in_logs_errors_or_what_is_rung(
    post: Post,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    said = io.StringIO()
    id = post.campaign("c1", post.bundle("union", 1, people(*range(1, 8))))
    post.mta.answers["m2@example.net"] = [Failed(550, "no", "rcpt", "5.1.1")]
    post.mta.answers["m3@example.net"] = [RuntimeError("m3@example.net Ana")]
    post.mta.answers["m4@example.net"] = [InDoubt("lost")]
    with redirect_stdout(said):
        post.go(id)
    with pytest.raises(Missing) as refused:
        post.units.run("stop", lambda unit: hear_back.stop(unit, "x" * 22, "race", unit.now))
    rings = post.units.run("rings", _rings)
    told = [said.getvalue(), caplog.text, str(refused.value), repr(post.office), repr(rings)]
    told += [f"{one.outcome} {one!r}" for one in post.letters(id)]
    for text in told:
        assert "@example.net" not in text
        assert "Ana" not in text
    assert set(post.states(id)) >= {"failed", "in_doubt", "sent"}


def _seed_of(unit: Unit, id: str) -> str:
    return next(one.id for one in trials.of(unit, id, "seed") if one.actor == "parks")


def _rings(unit: Unit) -> list[Any]:
    return [(one.task, one.payload) for one in unit.session.scalars(select(RingRow))]


def _silent(post: Post, address: str) -> bool:
    """Whether no letter of this race would go to an address that got one."""
    letter = post.sent_to(address)
    return post.units.run(
        "silent",
        lambda unit: suppressions.suppressed(
            unit,
            race=RACE,
            partner="parks",
            epoch=EPOCH,
            stop_key=letter.stop_key,
            address_token=None,
            person=None,
        ),
    )


def _window(post: Post) -> dict[str, Any]:
    opens, closes = post.clock(), post.clock() + timedelta(days=1)
    form = "%Y-%m-%dT%H:%M:%SZ"
    return {
        "template": {"window": {"opens": opens.strftime(form), "closes": closes.strftime(form)}}
    }
