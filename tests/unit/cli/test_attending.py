"""Yes by silence, as a partner's own computer judges it: what it approved once, nothing else."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from policies import programme
from policies.agreement import parse
from policies.approvals import manifest_digest
from policies.wording import Slot, filled
from tests.fakes.api import RACE, FakeWorld
from tests.unit.cli.conftest import Desk
from tests.unit.cli.test_saying_yes import CAMPAIGN, put_campaign

PLACES = {"places": {"zip": ["80134"]}}
TEMPLATE = {"subject": "Your plan", "mjml": "<mjml>Hi [[hello]]</mjml>", "text": None}
NAMED = ("Elm Street", "Oak Street")
SLOTS = {"hello": {"most": 30, "usual": "from Parker.", "names": list(NAMED)}}
WORDS = {"hello": "from Elm Street."}
DAYS = date(2026, 10, 24), date(2026, 10, 25)
PROGRAMME = "0a0e7a52-0000-4000-8000-000000000002"


def offer(world: FakeWorld, id: str = "", **more: Any) -> None:
    """A programme that the server shows, with one planned letter; ``more`` are keys of it."""
    id = id or PROGRAMME
    letter = {"id": "plan", "step": "plan", "deadline": "polls", "days": -10, "span": 2}
    document = programme.to_bytes(
        {
            "version": 1, "race": RACE, "agreement": hashlib.sha256(world.agreement).hexdigest(),
            "name": "To the polls", "definition": PLACES, "avoid": [], "lead_days": 4,
            "messenger": {"name": "Ana", "place": "Parker"},
            "deadlines": {"polls": "2026-11-03"}, "rapid": [],
            "letters": [{**letter, "template": TEMPLATE, "slots": SLOTS}], **more,
        }
    )  # fmt: skip
    world.programmes[id] = {
        "id": id, "state": "approved", "name": "To the polls", "answers": [],
        "digest": programme.digest(document), "document": base64.b64encode(document).decode(),
        "planned": [], "campaigns": [],
    }  # fmt: skip


def asked(world: FakeWorld, id: str = CAMPAIGN, words: dict[str, str] = WORDS, **more: Any) -> None:
    """Its letter, asked for as a campaign; ``more`` replaces keys of the manifest."""
    slots = {"hello": Slot("hello", 30, "from Parker.", NAMED)}
    template = filled(TEMPLATE, slots, words)
    window = programme.window(parse(world.agreement), *DAYS)
    one = put_campaign(world)
    manifest = {
        **one["manifest"], "campaign": id, "definition": PLACES, "window": window, "links": [],
        "template": hashlib.sha256(rfc8785.dumps(template)).hexdigest(), **more,
    }  # fmt: skip
    world.campaigns[id] = {
        **one, "id": id, "manifest": manifest, "digest": manifest_digest(manifest),
        "template": template,
    }  # fmt: skip
    came = {"campaign": id, "letter": "plan", "words": words}
    world.programmes[PROGRAMME]["campaigns"].append(came)


def ripen(desk: Desk) -> None:
    """Let the hours pass: this computer has looked at every letter for days."""
    for file in (desk.home / "programmes" / "seen").iterdir():
        file.write_text(
            json.dumps({**json.loads(file.read_text()), "first": "2026-09-29T11:00:00Z"})
        )


def at(desk: Desk, moment: str) -> dict[str, Any]:
    """What a run of the timer says at that moment."""
    desk.now = datetime.fromisoformat(moment)
    return dict(desk.json("attend"))


@pytest.fixture
def quiet(seat: Callable[[str], Desk]) -> Desk:
    """A partner whose agreement knows silence, with a programme before it."""
    desk = seat("partner")
    desk.world.agreement = desk.world.agree(silence={"hours": 48, "rapid_hours": 12})
    assert desk.run("sign", "--yes").exit_code == 0
    offer(desk.world)
    return desk


def standing(desk: Desk) -> Desk:
    done = desk.run("programme", "approve", PROGRAMME, "--yes")
    assert done.exit_code == 0, done.output
    assert "Hi [[hello]]" in done.output
    assert "48 h after it first saw it" in done.output
    return desk


def test_a_letter_said_yes_to_once_is_signed_after_its_hours_and_not_before(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    first = desk.json("attend")
    assert first == {"signed": [], "ripens": {CAMPAIGN: "2026-10-06T14:00:00Z"}, "yours": []}
    assert desk.world.approvals == {}
    ripen(desk)
    assert desk.json("attend")["signed"] == [CAMPAIGN]
    leaf = desk.world.approvals[f"{CAMPAIGN}/approval"]
    said = {name: one.value for name, one in desk.world.openings[leaf].items()}
    assert said["digest"] == desk.world.campaigns[CAMPAIGN]["digest"]


def test_without_a_standing_word_or_without_silence_nothing_is_signed(quiet: Desk) -> None:
    asked(quiet.world)
    assert quiet.json("attend") == {"signed": [], "ripens": {}, "yours": [CAMPAIGN]}
    quiet.world.agreement = quiet.world.agree()
    assert quiet.run("sign", "--yes").exit_code == 0
    done = quiet.run("attend")
    assert done.exit_code == 1
    assert "knows no yes by silence" in done.output


@pytest.mark.parametrize(
    "change",
    [
        {"definition": {"places": {"zip": ["80134", "80234"]}}},
        {"window": {"opens": "2026-10-24T06:00:00Z", "closes": "2026-10-27T06:00:00Z"}},
        {"messenger": {"name": "Bo", "place": "Parker"}},
    ],
)
def test_another_audience_window_or_signer_needs_the_partners_own_yes(
    quiet: Desk, change: dict[str, Any]
) -> None:
    desk = standing(quiet)
    asked(desk.world, **change)
    assert desk.json("attend") == {"signed": [], "ripens": {}, "yours": [CAMPAIGN]}


def test_words_beyond_their_bounds_or_other_than_said_need_it_too(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    came = desk.world.programmes[PROGRAMME]["campaigns"][0]
    for words in ({"hello": "see evil.example"}, {"hello": "from Oak Street."}, {}):
        came["words"] = words
        assert desk.json("attend")["yours"] == [CAMPAIGN]
    came["words"] = WORDS
    assert desk.json("attend")["yours"] == []


def test_a_no_of_anybody_ends_silence(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    desk.json("attend")
    ripen(desk)
    desk.world.programmes[PROGRAMME]["state"] = "held"
    assert desk.json("attend")["yours"] == [CAMPAIGN]
    assert desk.world.approvals == {}


@pytest.mark.parametrize("how", ["refuse", "stop"])
def test_an_own_no_is_kept_here_whatever_the_server_says_then(quiet: Desk, how: str) -> None:
    desk = standing(quiet)
    asked(desk.world)
    desk.json("attend")
    ripen(desk)
    verb = ["programme", "refuse", PROGRAMME, CAMPAIGN] if how == "refuse" else ["stop", CAMPAIGN]
    done = desk.run(*verb, *(["--yes"] if how == "stop" else []))
    assert done.exit_code == 0, done.output
    assert {f"POST {c}.example/stop" for c in ("c1", "c2", "c3")} <= set(desk.world.calls)
    desk.world.programmes[PROGRAMME]["state"] = "approved"  # a server that forgot it
    desk.world.campaigns[CAMPAIGN]["state"] = "submitted"
    assert desk.json("attend")["yours"] == [CAMPAIGN]
    assert desk.world.approvals == {}


def hourly(desk: Desk, first: str, hours: int) -> list[str]:
    """Run the timer every hour; returns when the letter was signed, if it was."""
    for n in range(hours):
        now = datetime.fromisoformat(first) + timedelta(hours=n)
        if at(desk, now.isoformat())["signed"]:
            return [now.isoformat()]
    return []


def test_nobodys_silence_on_a_weekend_or_at_night_is_a_yes(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    # Friday at 23 h in Denver: two days in which somebody is there end on Tuesday at 23 h.
    told = at(desk, "2026-10-03T05:00:00+00:00")
    assert told["ripens"] == {CAMPAIGN: "2026-10-07T14:00:00Z"}
    assert at(desk, "2026-10-05T06:00:00+00:00")["signed"] == []  # 49 h by any clock
    assert hourly(desk, "2026-10-06T04:00:00+00:00", 40) == ["2026-10-07T14:00:00+00:00"]


def test_a_computer_that_was_off_for_days_starts_the_hours_again(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    at(desk, "2026-10-05T16:00:00+00:00")  # Monday, 10 h
    back = at(desk, "2026-10-08T16:00:00+00:00")  # three days later: long ripe, and shown to nobody
    assert back["signed"] == []
    assert back["ripens"] == {CAMPAIGN: "2026-10-13T16:00:00Z"}  # Monday is Columbus Day
    assert desk.world.approvals == {}


def test_a_no_that_was_taken_back_starts_the_hours_again(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    at(desk, "2026-10-05T16:00:00+00:00")
    desk.world.programmes[PROGRAMME]["state"] = "held"
    at(desk, "2026-10-06T16:00:00+00:00")
    desk.world.programmes[PROGRAMME]["state"] = "approved"
    again = at(desk, "2026-10-07T17:00:00+00:00")
    assert again["ripens"] == {CAMPAIGN: "2026-10-09T17:00:00Z"}
    assert again["signed"] == []


def test_the_hours_are_those_of_these_bytes_not_of_a_letter_in_their_place(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    at(desk, "2026-10-05T16:00:00+00:00")
    desk.world.programmes[PROGRAMME]["campaigns"].clear()
    asked(desk.world, words={"hello": "from Oak Street."})  # the same campaign, asked for anew
    again = at(desk, "2026-10-06T16:00:00+00:00")
    assert again["ripens"] == {CAMPAIGN: "2026-10-08T16:00:00Z"}


def test_a_yes_to_the_next_plan_ends_the_word_for_the_one_in_whose_place_it_stands(
    quiet: Desk,
) -> None:
    desk = standing(quiet)
    asked(desk.world)
    desk.json("attend")
    ripen(desk)
    old = desk.world.programmes[PROGRAMME]
    later = "0a0e7a52-0000-4000-8000-000000000003"
    offer(desk.world, later, replaces=old["digest"])
    assert desk.run("programme", "approve", later, "--yes").exit_code == 0
    assert old["state"] == "approved"  # a server that does not say so changes nothing
    assert desk.json("attend")["yours"] == [CAMPAIGN]
    assert desk.world.approvals == {}


def test_a_plan_put_in_the_place_of_another_after_the_yes_has_no_word(quiet: Desk) -> None:
    desk = standing(quiet)
    offer(desk.world, name="To the polls!")  # other bytes under the id that was said yes to
    asked(desk.world)
    assert desk.json("attend") == {"signed": [], "ripens": {}, "yours": [CAMPAIGN]}


def test_a_letter_edited_after_the_yes_is_not_signed(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    desk.json("attend")
    ripen(desk)
    one = desk.world.campaigns[CAMPAIGN]
    edited = {**one["template"], "subject": "Another plan"}
    digest = hashlib.sha256(rfc8785.dumps(edited)).hexdigest()
    manifest = {**one["manifest"], "template": digest}
    one |= {"template": edited, "manifest": manifest, "digest": manifest_digest(manifest)}
    assert desk.json("attend")["yours"] == [CAMPAIGN]
    assert desk.world.approvals == {}


def test_a_letter_goes_by_silence_once(quiet: Desk) -> None:
    desk = standing(quiet)
    asked(desk.world)
    desk.json("attend")
    ripen(desk)
    assert desk.json("attend")["signed"] == [CAMPAIGN]
    another = "3f0e7a52-0000-4000-8000-000000000009"
    asked(desk.world, another, size_class=512)
    ripen(desk)
    again = desk.json("attend")
    assert again["signed"] == []
    assert another in again["yours"]


def test_a_digest_of_other_bytes_is_refused(quiet: Desk) -> None:
    quiet.world.programmes[PROGRAMME]["digest"] = "0" * 64
    done = quiet.run("programme", "approve", PROGRAMME, "--yes")
    assert done.exit_code == 1
    assert "not the digest of the programme" in done.output


def test_a_coordinator_proposes_looks_and_asks(seat: Callable[[str], Desk], tmp_path: Path) -> None:
    desk = seat("coordinator")
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"name": "To the polls"}))
    assert desk.json("programme", "propose", file)["id"] == "p1"
    assert desk.world.programmes["p1"]["document"] == {"name": "To the polls"}
    assert [one["id"] for one in desk.json("programme", "show")["programmes"]] == ["p1"]
    assert desk.json("programme", "ask", "p1") == {"asked": {"plan": "c-of-plan"}}
    given = ["news", "--word", "hello=from Elm Street.", "--first", "2026-10-20"]
    desk.json("programme", "ask", "p1", *given)
    assert desk.world.asked == {"letter": "news", "words": WORDS, "first": "2026-10-20"}
    assert desk.run("programme", "ask", "p1", "--first", "2026-10-20").exit_code == 2


def test_the_agreements_summary_says_what_silence_means(quiet: Desk) -> None:
    assert "after 48 h (12 h for rapid response)" in quiet.run("sign", "--yes").output
