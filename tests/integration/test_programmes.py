"""A programme through the JSON API: one yes to the plan, then letter by letter on its day."""

import json
from datetime import timedelta
from typing import Any

import pytest

from consortium.store import campaigns, programmes, races
from tests.fakes.actors import made
from tests.fakes.server import RACE, Server, body, some_voters
from tests.integration.test_api_campaigns import MJML, NO_ID, furnished, furnished_anywhere

__all__ = ["furnished", "furnished_anywhere"]


@pytest.fixture
def enrolled(server: Server) -> Server:
    """A server with a signed agreement and a roll: enough to plan on, too little to submit."""
    server.sign_agreement()
    server.enrol(some_voters(1200))
    server.lend("Ann Lee", "Toledo")
    return server


# The clock of these tests begins on 21 November, a Saturday; the agreement closes on 1 December.
WORDED = MJML.replace("vote.", "vote [[where]]")
SLOTS = {"where": {"most": 40, "usual": "with your neighbors.", "names": ["Elm Street"]}}
LETTER = {"template": {"subject": "Vote on Tuesday", "mjml": WORDED}, "slots": SLOTS}


def plan(server: Server, **other: Any) -> dict[str, Any]:
    digest = server.units.run("race", lambda unit: races.get(unit, RACE)).digest
    return {
        "version": 1,
        "race": RACE,
        "agreement": digest,
        "name": "To the polls",
        "definition": {"places": {"precinct": ["44-1", "44-0", "44-0"]}},
        "messenger": {"name": "Ann Lee", "place": "Toledo"},
        "deadlines": {"early_vote": "2026-11-27", "polls": "2026-12-03"},
        "avoid": [],
        "lead_days": 3,
        "letters": [
            {
                "id": "plan",
                "step": "plan",
                "deadline": "early_vote",
                "days": -2,
                "span": 2,
                **LETTER,
            }
        ],
        "rapid": [{"id": "news", "most": 1, "span": 1, **LETTER}],
        **other,
    }


def proposed(server: Server, **other: Any) -> dict[str, Any]:
    new = {"document": plan(server, **other)}
    answer = server.call("cora", "POST", f"/races/{RACE}/programmes", json=new)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def say(server: Server, who: str, one: dict[str, Any], **said: Any) -> Any:
    said = {"yes": True, "digest": one["digest"], **said}
    return server.call(who, "PUT", f"/programmes/{one['id']}/answer", json=said)


def ask(server: Server, one: dict[str, Any], letter: str = "plan", **more: Any) -> Any:
    asked = {"letter": letter, **more}
    return server.call("cora", "POST", f"/programmes/{one['id']}/ask", json=asked)


def agreed(server: Server, **other: Any) -> dict[str, Any]:
    one = proposed(server, **other)
    for who in ("union", "parks"):
        assert say(server, who, one).status_code == 200
    return one


def due(server: Server, one: dict[str, Any]) -> list[str]:
    return list(server.call("cora", "GET", f"/programmes/{one['id']}/due").json()["letters"])


def state(server: Server, one: dict[str, Any], who: str = "union") -> str:
    return str(server.call(who, "GET", f"/programmes/{one['id']}").json()["state"])


def test_a_letter_of_an_approved_programme_is_a_campaign_like_any_other(furnished: Server) -> None:
    one = proposed(furnished)
    assert one["planned"] == [
        {"letter": "plan", "ask": "2026-11-22", "first": "2026-11-25", "last": "2026-11-26"}
    ]
    furnished.clock.now += timedelta(days=1)
    assert say(furnished, "union", one, digest="0" * 64).status_code == 409
    assert say(furnished, "union", one).json()["state"] == "proposed"
    assert ask(furnished, one).status_code == 409  # not everybody has said yes to these bytes
    assert say(furnished, "parks", one).json()["state"] == "approved"
    assert due(furnished, one) == ["plan"]
    asked = ask(furnished, one, words={"where": "at Elm Street."})
    assert asked.status_code == 201, asked.text
    id = asked.json()["id"]
    shown = furnished.call("union", "GET", f"/campaigns/{id}").json()
    assert (shown["state"], shown["manifest"]["window"]) == (
        "submitted",
        {"opens": "2026-11-25T05:00:00Z", "closes": "2026-11-27T05:00:00Z"},
    )
    assert "vote at Elm Street." in shown["template"]["mjml"]
    # The programme's yes is nobody's yes to the letter: each source still signs its manifest.
    assert {each["state"] for each in shown["approvals"]} == {"waiting"}
    facts = {"kind": "approve", "campaign": id, "digest": shown["digest"]}
    entry = body(made("union", "approval", furnished.clock(), **facts))
    answer = furnished.call("union", "PUT", f"/campaigns/{id}/approval", json=entry)
    assert answer.status_code == 202, answer.text
    assert furnished.call("cora", "GET", f"/campaigns/{id}").json()["state"] == "submitted"
    assert ask(furnished, one).status_code == 409  # once
    assert due(furnished, one) == []


def test_a_no_stops_that_letter_and_holds_the_programme_until_it_is_taken_back(
    furnished_anywhere: Server,
) -> None:
    furnished = furnished_anywhere
    one, first = agreed(furnished), {"first": "2026-11-28"}
    furnished.clock.now += timedelta(days=1)
    plan_ = ask(furnished, one).json()["id"]
    # The button that stops any campaign says no as well.
    furnished.call("parks", "POST", f"/campaigns/{plan_}/stop")
    assert state(furnished, one) == "held"
    assert ask(furnished, one, "news", **first).status_code == 409
    assert say(furnished, "union", one).json()["state"] == "held"  # only who said no takes it back
    assert say(furnished, "parks", one).json()["state"] == "approved"
    news = ask(furnished, one, "news", **first).json()["id"]
    assert say(furnished, "union", one, yes=False, campaign=news).json()["state"] == "held"
    assert say(furnished, "union", one).json()["state"] == "approved"
    for id in (plan_, news):  # what was stopped stays so
        assert furnished.call("union", "GET", f"/campaigns/{id}").json()["state"] == "stopped"
    again = ask(furnished, one, "news", **first)
    assert again.status_code == 409
    assert "1 times" in again.json()["detail"]


def test_what_broke_off_after_drafting_is_submitted_as_it_was_drafted(furnished: Server) -> None:
    one = agreed(furnished)
    furnished.clock.now += timedelta(days=1)
    id = ask(furnished, one).json()["id"]
    furnished.units.run(
        "break", lambda u: campaigns.change(u, id, state="draft", manifest=None, digest=None)
    )
    assert due(furnished, one) == ["plan"]
    assert ask(furnished, one, words={"where": "elsewhere."}).status_code == 409
    assert ask(furnished, one).json()["id"] == id
    assert due(furnished, one) == []


def test_not_its_day_words_beyond_bounds_and_unknown_letters_draft_nothing(
    enrolled: Server,
) -> None:
    one = agreed(enrolled)
    assert due(enrolled, one) == []
    early = ask(enrolled, one)
    assert early.status_code == 409, early.text
    assert "from 2026-11-22 on" in early.json()["detail"]
    for day in (None, "2026-11-21"):
        early = ask(enrolled, one, "news", first=day)
        assert early.status_code == 409, early.text
        assert "2026-11-22 or later" in early.json()["detail"]
    enrolled.clock.now += timedelta(days=1)
    for words in ({"where": "see evil.example"}, {"there": "x"}, {"where": "x" * 41}):
        refused = ask(enrolled, one, words=words)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:trellis:problem:refused")
        assert "evil" not in refused.text
    assert ask(enrolled, one, "other").status_code == 422
    assert enrolled.call("cora", "GET", "/campaigns").json() == []


def test_who_may_do_what_and_a_plan_that_could_not_be_kept_is_refused(enrolled: Server) -> None:
    one, path = agreed(enrolled), f"/races/{RACE}/programmes"
    new = {"document": plan(enrolled)}
    assert enrolled.call("union", "POST", path, json=new).status_code == 403
    assert say(enrolled, "cora", one).status_code == 403
    assert say(enrolled, "union", one, yes=False, campaign=NO_ID).status_code == 404
    own = f"/programmes/{one['id']}"
    assert enrolled.call("union", "POST", f"{own}/ask", json={"letter": "plan"}).status_code == 403
    assert enrolled.call("ann", "GET", own).status_code == 403
    assert enrolled.call("cora", "GET", f"/programmes/{NO_ID}").status_code == 404
    listed = enrolled.call("parks", "GET", "/programmes").json()
    assert [each["id"] for each in listed] == [one["id"]]
    for other in (
        {"definition": {"places": {"precinct": ["nowhere"]}}},
        {"deadlines": {"polls": "2026-12-04"}},
        {"letters": []},
        {"more": 1},
    ):
        new = {"document": plan(enrolled, **other)}
        assert enrolled.call("cora", "POST", path, json=new).status_code == 422


def test_a_plan_of_an_earlier_version_hides_no_other(enrolled: Server) -> None:
    one = agreed(enrolled)
    old = {**plan(enrolled), "letters": [{"id": "plan"}]}
    kept = programmes.Kept(
        NO_ID, RACE, "cora", "0" * 64, json.dumps(old).encode(), enrolled.clock()
    )
    enrolled.units.run("keep", lambda unit: programmes.add(unit, kept))
    listed = enrolled.call("parks", "GET", "/programmes").json()
    assert [each["id"] for each in listed] == [one["id"]]
    assert state(enrolled, one) == "approved"
    assert ask(enrolled, {"id": NO_ID}).status_code != 201
