"""Each file that came back does what its kind may, once; a forged one and a strange one nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from consortium.cli import returned
from consortium.jobs import mailing, returns, unread
from consortium.store import trials
from consortium.store.deliveries import Delivery
from consortium.store.errors import Busy
from consortium.store.tables import SuppressionRow
from consortium.store.trials import Trial
from consortium.store.unit import Unit
from mailer import stops
from tests.fakes.post import Post

GOLDEN = Path(__file__).parents[2] / "golden" / "returns"
THEIRS = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.parks.example"


@dataclass
class Desk:
    """The mailer's spool, and one letter that went out."""

    post: Post
    spool: Path
    letter: Delivery

    @property
    def key(self) -> bytes:
        return self.post.office.keys.delivery

    @property
    def verp(self) -> str:
        return stops.verp_address(self.key, bytes.fromhex(self.letter.id), "union.example")

    @property
    def message_id(self) -> str:
        return stops.message_id(self.key, bytes.fromhex(self.letter.id), "union.example")

    def came(self, octets: bytes, to: str | None = None, suffix: str = ".eml") -> list[str]:
        """Take in one file as the listener leaves it; why somebody is suppressed after it."""
        top = f"Return-Path: <>\r\nDelivered-To: {to}\r\n".encode() if to else b""
        path = self.spool / f"one{suffix}"
        path.write_bytes(top + octets)
        returns._take(path, self.key)
        assert not path.exists()
        return self.why()

    def why(self) -> list[str]:
        def look(unit: Unit) -> list[str]:
            return sorted(unit.session.scalars(select(SuppressionRow.reason)))

        return self.post.units.read("why", look)


@pytest.fixture
def desk(post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    members = [(n, f"m{n}@example.net") for n in (1, 2, 3)]
    post.go(post.campaign("c1", post.bundle("union", 1, members)))
    here = SimpleNamespace(units=post.units, clock=post.clock)
    monkeypatch.setattr(returns, "process", lambda: here)
    monkeypatch.setattr(mailing, "office", lambda: post.office)
    spool = tmp_path / "returns" / "new"
    spool.mkdir(parents=True)
    return Desk(post, spool, post.sent_to("m1@example.net"))


def golden(name: str, verp: str) -> bytes:
    [path] = GOLDEN.glob(f"{name}-*.eml")
    return path.read_bytes().replace(THEIRS.encode(), verp.encode())


def test_a_true_bounce_counts_once_however_often_it_comes(desk: Desk) -> None:
    for _ in range(3):
        assert desk.came(golden("01", desk.verp), desk.verp) == ["hard"]


def test_a_forged_or_borrowed_return_path_changes_nothing(desk: Desk) -> None:
    other = stops.verp_address(b"j" * 32, bytes.fromhex(desk.letter.id), "union.example")
    nobodys = stops.verp_address(desk.key, b"n" * 16, "union.example")
    for verp in (other, nobodys, THEIRS):
        for name in ("01", "02", "42", "46"):
            assert desk.came(golden(name, verp), verp) == []


def test_a_complaint_without_a_return_path_is_found_by_the_letter_that_it_holds(desk: Desk) -> None:
    ours = golden("43", "gone@example.net")
    named = ours.replace(b"<q2v7c4n5m6k7j8h9@mail.parks.example>", desk.message_id.encode())
    assert desk.came(ours, "fbl@union.example") == []
    assert desk.came(named, "fbl@union.example") == ["complaint"]


def test_a_letter_to_the_stop_address_stops_whatever_it_says_of_itself(desk: Desk) -> None:
    token = stops.capability(desk.key, bytes.fromhex(desk.letter.id)).token
    letter = b"Subject: stop\r\n\r\n"
    assert desk.came(letter, f"stop-{'A' * 22}@union.example") == []
    # Nothing inside a message speaks for it: the listener's own lines stand first.
    inside = f"Delivered-To: stop-{token}@union.example\r\n".encode() + letter
    assert desk.came(inside, THEIRS) == []
    for _ in range(2):
        assert desk.came(letter, f"stop-{token}@union.example") == ["stop"]


def test_a_providers_notification_does_what_the_same_report_by_mail_does(desk: Desk) -> None:
    def said(source: str, **more: object) -> bytes:
        mail = {"source": source, "commonHeaders": {"messageId": desk.message_id}}
        return json.dumps({"mail": mail, **more}).encode()

    gone = {"bounceType": "Permanent", "bouncedRecipients": [{"status": "5.1.1"}]}
    forged = stops.verp_address(b"j" * 32, bytes.fromhex(desk.letter.id), "union.example")
    assert desk.came(said(forged, eventType="Bounce", bounce=gone), suffix=".sns") == []
    assert desk.came(said(desk.verp, eventType="Open", open={}), suffix=".sns") == []
    complaint = said("sender@ses.example", notificationType="Complaint", complaint={})
    assert desk.came(complaint, suffix=".sns") == ["complaint"], "found by its Message-ID"


def test_what_is_unclear_suppresses_nobody(desk: Desk) -> None:
    for name in ("07", "19", "24", "34", "40", "41", "47", "48", "50"):
        assert desk.came(golden(name, desk.verp), desk.verp) == [], name


def unread_now(desk: Desk) -> list[Path]:
    return unread.waiting(unread.folder(desk.spool.parent.parent))


def test_what_is_unclear_about_a_letter_of_ours_waits_for_a_person_and_nothing_else_does(
    desk: Desk,
) -> None:
    foreign = stops.verp_address(b"j" * 32, bytes.fromhex(desk.letter.id), "union.example")
    desk.came(golden("40", foreign), foreign)
    desk.came(golden("01", desk.verp), desk.verp)
    desk.came(b"Auto-Submitted: auto-replied\r\nSubject: x\r\n\r\n", desk.verp)
    mail = {"source": desk.verp, "commonHeaders": {"messageId": desk.message_id}}
    for event in ("Delivery", "Open"):
        desk.came(json.dumps({"eventType": event, "mail": mail}).encode(), suffix=".sns")
    assert unread_now(desk) == []
    before = desk.why()
    assert desk.came(golden("40", desk.verp), desk.verp) == before
    [kept] = unread_now(desk)
    assert unread.about(kept, desk.key) == desk.letter.id
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    odd = {"bounceType": "Undetermined", "bounceSubType": "Undetermined"}
    note = json.dumps({"eventType": "Bounce", "mail": mail, "bounce": odd}).encode()
    assert desk.came(note, suffix=".sns") == before
    assert len(unread_now(desk)) == 2


def test_what_waits_for_a_person_has_its_days_and_its_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "MOST", 3)
    aside = unread.folder(desk.spool.parent.parent)
    now = desk.post.clock().timestamp()
    for n in range(5):
        path = desk.spool / f"{now + n:.6f}.{'ab' * 6}.eml"
        path.write_bytes(b"x")
        unread.keep(path, aside)
    assert [unread.arrived(path) for path in unread_now(desk)] == [int(now) + n for n in (2, 3, 4)]
    assert unread.forget(aside, desk.post.clock()) == 0
    assert unread.forget(aside, desk.post.clock() + unread.WAIT + timedelta(seconds=3)) == 2
    assert len(unread_now(desk)) == 1
    assert unread.forget(aside / "none", desk.post.clock()) == 0


def decide(desk: Desk, monkeypatch: pytest.MonkeyPatch, *args: str) -> Result:
    """Run the operator's verb on the mailer's host."""
    home = desk.spool.parent.parent
    (home / "delivery.key").write_text(desk.key.hex())
    settings = SimpleNamespace(mailer_home=home)
    here = SimpleNamespace(units=desk.post.units, clock=desk.post.clock, settings=settings)
    monkeypatch.setattr(returned, "settings_of", lambda home: settings)
    monkeypatch.setattr(returned, "Process", lambda settings: here)
    return CliRunner().invoke(returned.command, ["--home", str(home), *args])


@pytest.mark.parametrize(
    ("was", "why"), [("dead", ["hard"]), ("complaint", ["complaint"]), ("nothing", [])]
)
def test_a_person_decides_what_it_meant_and_sees_no_address_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, was: str, why: list[str]
) -> None:
    assert "Nothing waits." in decide(desk, monkeypatch).output
    desk.came(golden("40", desk.verp) + b"m1@example.net", desk.verp)
    listed = decide(desk, monkeypatch).output
    assert f"of letter {desk.letter.id[:12]}, campaign c1" in listed
    assert "@" not in listed
    assert decide(desk, monkeypatch, "--file", "../../delivery.key", "--was", was).exit_code == 1
    assert decide(desk, monkeypatch, "--file", "one.eml").exit_code == 2
    assert desk.why() == []
    done = decide(desk, monkeypatch, "--file", "one.eml", "--was", was)
    assert done.exit_code == 0, done.output
    assert desk.why() == why
    assert unread_now(desk) == []


def test_what_proves_no_letter_of_ours_suppresses_nobody_whatever_a_person_says(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = unread.folder(desk.spool.parent.parent)
    path = desk.spool / "one.eml"
    path.write_bytes(golden("01", THEIRS))
    unread.keep(path, aside)
    assert "of no letter that it proves" in decide(desk, monkeypatch).output
    done = decide(desk, monkeypatch, "--file", "one.eml", "--was", "dead")
    assert done.exit_code == 1
    assert (desk.why(), len(unread_now(desk))) == ([], 1)


def test_while_the_database_is_away_a_stop_waits_and_is_not_set_aside(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = stops.capability(desk.key, bytes.fromhex(desk.letter.id)).token
    stop = f"Return-Path: <>\r\nDelivered-To: stop-{token}@union.example\r\nSubject: s\r\n\r\n"
    now = desk.post.clock().timestamp()
    came = desk.spool / f"{now:.6f}.{'ab' * 6}.eml"
    came.write_bytes(stop.encode())

    class Away:
        def run(self, name: str, work: object) -> None:
            raise Busy("m1@example.net")

    here = SimpleNamespace(units=Away(), clock=desk.post.clock)
    with monkeypatch.context() as patch:
        patch.setattr(returns, "process", lambda: here)
        for _ in range(3):
            returns._take(came, desk.key)
    assert came.exists()
    assert "m1@" not in capsys.readouterr().out
    assert desk.why() == []
    returns._take(came, desk.key)
    assert desk.why() == ["stop"]
    assert not came.exists()
    # What fails a day long is a person's.
    came.write_bytes(stop.encode())
    desk.post.later(seconds=returns.PATIENCE + 1)
    with monkeypatch.context() as patch:
        patch.setattr(returns, "process", lambda: here)
        returns._take(came, desk.key)
    assert [path.name for path in unread_now(desk)] == [came.name]


def test_a_strange_file_is_set_aside_and_holds_up_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(octets: bytes) -> None:
        raise RecursionError("m1@example.net")

    monkeypatch.setattr(returns.bounce, "read", breaks)
    assert desk.came(b"Subject: x\r\n\r\n", desk.verp) == []
    assert len(list((desk.spool.parent / "unread").iterdir())) == 1
    assert "m1@example.net" not in capsys.readouterr().out


def test_what_comes_back_of_a_seeds_letter_holds_the_campaign_and_suppresses_nobody(
    desk: Desk,
) -> None:
    id = "5e" * 16
    new = Trial(id, "union", "c1", "seed", "sent", "", desk.post.clock())
    desk.post.units.run("seed", lambda unit: trials.add(unit, new))
    desk.post.change("c1", state="sending")
    verp = stops.verp_address(desk.key, bytes.fromhex(id), "union.example")
    assert desk.came(golden("01", verp), verp) == []
    assert desk.post.state("c1").state == "paused"
    assert "seed came back" in desk.post.state("c1").waiting_for
