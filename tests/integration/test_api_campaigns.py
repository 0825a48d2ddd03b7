"""A campaign through the JSON API, from draft to the log: each step once, by whom it belongs to."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from consortium.service import agree, lend, show, try_out
from consortium.service import approve as approving
from consortium.service.errors import EntryMisfits
from consortium.store import campaigns, ledger, messengers, races, trials
from mailer import keys, unseal
from mailer.written import signed
from tests.fakes.actors import made
from tests.fakes.server import RACE, Server, body, some_voters

MJML = (
    "<mjml><mj-body><mj-section><mj-column>"
    "<mj-text>Hi {{ first_name | friend }}, vote.</mj-text>"
    "</mj-column></mj-section></mj-body></mjml>"
)
DRAFT: dict[str, Any] = {
    "definition": {"places": {"precinct": ["44-1", "44-0", "44-0"]}},
    "template": {"subject": "Vote on Tuesday", "mjml": MJML},
    "messenger": {"name": "Ann Lee", "place": "Toledo"},
    "window": {"opens": "2026-11-22T12:00:00Z", "closes": "2026-11-25T12:00:00Z"},
}
NO_ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def furnished(server: Server) -> Server:
    """A server with a roll and two matched lists that are large enough to send to."""
    server.sign_agreement()
    return furnish(server)


@pytest.fixture
def furnished_anywhere(any_server: Server) -> Server:
    """The same on each engine in turn."""
    return furnish(any_server)


def furnish(server: Server) -> Server:
    links = {row: row for row in range(4000)}
    roll = server.enrol(some_voters(4000))
    for seed, partner in enumerate(("union", "parks"), 1):
        server.link(server.contribute(partner, seed), roll, links)
    server.lend("Ann Lee", "Toledo")
    return server


def drafted(server: Server, **other: Any) -> str:
    answer = server.call("cora", "POST", f"/races/{RACE}/campaigns", json={**DRAFT, **other})
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "draft"
    return str(answer.json()["id"])


def submitted(server: Server) -> tuple[str, str]:
    """A campaign that waits for its partners; its id and its digest."""
    id = drafted(server)
    answer = server.call("cora", "POST", f"/campaigns/{id}/submit")
    assert answer.status_code == 200, answer.text
    return id, str(server.call("cora", "GET", f"/campaigns/{id}").json()["digest"])


def approve(server: Server, who: str, id: str, digest: str, signer: str = "") -> Any:
    entry = made(signer or who, "approval", kind="approve", campaign=id, digest=digest)
    return server.call(who, "PUT", f"/campaigns/{id}/approval", json=body(entry))


def test_a_draft_is_kept_in_its_normal_form_and_shown_to_its_author(furnished: Server) -> None:
    id = drafted(furnished)
    shown = furnished.call("cora", "GET", f"/campaigns/{id}").json()
    assert (shown["state"], shown["manifest"], shown["approvals"]) == ("draft", None, [])
    kept = furnished.units.run("get", lambda unit: campaigns.get(unit, id))
    assert kept.definition == {"places": {"precinct": ["44-0", "44-1"]}}
    page = furnished.call("cora", "GET", f"/campaigns/{id}/preview")
    assert "Hi Alex, vote." in page.text
    assert page.headers["content-type"].startswith("text/html")


def test_partners_see_no_draft(furnished: Server) -> None:
    id = drafted(furnished)
    assert furnished.call("union", "GET", f"/campaigns/{id}").status_code == 404
    assert furnished.call("union", "GET", "/campaigns").json() == []


@pytest.mark.parametrize(
    ("other", "status", "word"),
    [
        ({"window": {"opens": "2026-11-22T12:00:00Z"}}, 409, "window.closes"),
        ({"window": {"opens": "tomorrow", "closes": "later"}}, 409, "window.opens"),
        ({"window": {"opens": "2020-01-01T00:00:00Z", "closes": "2020-01-02T00:00:00Z"}}, 409, ""),
        ({"messenger": {"name": "", "place": "Toledo"}}, 409, "name"),
        ({"messenger": {"name": ["Ann"], "place": "Toledo"}}, 422, "messenger"),
        ({"definition": {"places": {"precinct": ["nowhere"]}}}, 422, "places"),
        ({"template": {"subject": "Vote", "mjml": "<mjml>"}}, 422, ""),
        ({"template": {"subject": "{{ email }}", "mjml": MJML}}, 422, ""),
        ({"template": {}}, 422, ""),
        ({"more": 1}, 422, "not known"),
    ],
)
def test_a_draft_that_misfits_is_refused_with_where(
    furnished: Server, other: dict[str, Any], status: int, word: str
) -> None:
    answer = furnished.call("cora", "POST", f"/races/{RACE}/campaigns", json={**DRAFT, **other})
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    assert furnished.call("cora", "GET", "/campaigns").json() == []


def test_a_letter_in_arms_is_approved_as_one_and_each_arm_is_an_audience(
    furnished: Server,
) -> None:
    words = MJML.replace("vote.", "do vote.")
    two = {**DRAFT["template"], "share": 2, "arms": [{"subject": "Tuesday"}, {"mjml": words}]}
    id = drafted(furnished, template=two)
    pages = [
        furnished.call("cora", "GET", f"/campaigns/{id}/preview?arm={n}").text for n in (1, 2, 3, 9)
    ]
    assert ["do vote." in page for page in pages] == [False, False, True, False]
    assert furnished.call("cora", "POST", f"/campaigns/{id}/submit").status_code == 200
    shown = furnished.call("union", "GET", f"/campaigns/{id}").json()
    assert shown["manifest"]["arms"] == [2, 1, 1]
    assert letter_digest(shown) == shown["manifest"]["template"]
    assert [one["subject"] for one in shown["template"]["arms"]] == ["Tuesday", "Vote on Tuesday"]
    small = drafted(furnished, template={**two, "share": 100})
    refused = furnished.call("cora", "POST", f"/campaigns/{small}/submit")
    assert refused.status_code == 409, refused.text
    assert furnished.call("cora", "GET", f"/campaigns/{small}").json()["state"] == "draft"


def letter_digest(shown: dict[str, Any]) -> str:
    """As a partner's tool computes it, from what the server shows."""
    return hashlib.sha256(rfc8785.dumps(signed(shown["template"]))).hexdigest()


def say(server: Server, path: str, answer: str) -> None:
    said = server.client.post(path, data={"answer": answer}, follow_redirects=False)
    assert said.status_code == 303


def invited(server: Server, who: str = "cora", **other: str) -> Any:
    asked = {"name": "Bo Ray", "place": "Toledo", **other}
    return server.call(who, "POST", f"/races/{RACE}/messengers", json=asked)


def test_nobody_signs_who_has_not_confirmed(furnished_anywhere: Server) -> None:
    server = furnished_anywhere
    bo = {**DRAFT, "messenger": {"name": "Bo Ray", "place": "Toledo"}}
    asked = invited(server)
    assert asked.status_code == 201

    def draft() -> Any:
        return server.call("cora", "POST", f"/races/{RACE}/campaigns", json=bo)

    for _ in range(2):
        refused = draft()
        assert (refused.status_code, refused.json()["type"][-11:]) == (409, "wrong-state")
        assert "has not confirmed" in refused.json()["detail"]
        path = "/messenger/" + asked.json()["link"].rpartition("/")[2]
        page = server.client.get(path)  # a scanner that opens links confirms nothing
        assert page.status_code == 200
        assert "Bo Ray for" in page.text
    again = invited(server).json()
    assert again["id"] == asked.json()["id"]
    assert server.client.get(path).status_code == 404  # the first link ended
    path = "/messenger/" + again["link"].rpartition("/")[2]
    say(server, path, "yes")
    id = str(draft().json()["id"])
    assert invited(server).status_code == 409
    say(server, path, "no")
    refused = server.call("cora", "POST", f"/campaigns/{id}/submit")
    assert (refused.status_code, "has not confirmed" in refused.json()["detail"]) == (409, True)
    assert invited(server).status_code == 409
    assert invited(server, place="Parma").status_code == 201
    say(server, path, "yes")
    assert server.call("cora", "POST", f"/campaigns/{id}/submit").status_code == 200


def test_an_own_address_is_sealed_on_its_way_in_and_a_test_waits_for_its_yes(
    furnished: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, address, mailer = furnished, "Cora.Lee@home.example", keys.generate()
    early = server.call("cora", "POST", "/own-address", json={"address": address})
    assert (early.status_code, "Cora" in early.text) == (409, False)
    monkeypatch.setattr(show, "mailer_key", lambda unit, backend: mailer.public)
    assert server.call("cora", "GET", "/own-address").json() == {"state": ""}
    named = server.call("cora", "POST", "/own-address", json={"address": address})
    assert (named.status_code, named.json()) == (202, {"state": "typed"})
    kept = server.units.read("own", lambda unit: trials.box(unit, "cora"))
    assert kept is not None
    assert b"home.example" not in kept.sealed
    assert unseal.unseal_typed(kept.sealed, [mailer.private])[0] == try_out.OWN
    id = server.call("cora", "POST", f"/races/{RACE}/campaigns", json=DRAFT).json()["id"]
    refused = server.call("cora", "POST", f"/campaigns/{id}/test")
    assert (refused.status_code, "is proven yet" in refused.json()["detail"]) == (409, True)
    proven = replace(kept, state="proven")
    server.units.run("prove", lambda unit: trials.put_box(unit, proven))
    assert server.call("cora", "POST", f"/campaigns/{id}/test").status_code == 202
    assert server.call("union", "POST", f"/campaigns/{id}/test").status_code == 403
    wrong = server.call("cora", "POST", "/own-address", json={"address": "Cora.Lee at home"})
    assert (wrong.status_code, "Cora" in wrong.text) == (422, False)
    gone = server.call("cora", "POST", "/own-address", json={"address": ""})
    assert gone.json() == {"state": ""}


def nearest(server: Server, definition: dict[str, Any], who: str = "cora") -> Any:
    path = f"/races/{RACE}/messengers/nearest"
    return server.call(who, "POST", path, json={"definition": definition})


def test_the_nearest_messenger_stands_first_and_signs_when_nobody_is_named(
    furnished: Server, tmp_path: Path
) -> None:
    server, south = furnished, {"places": {"zip": ["43600"]}}
    server.lend("Bo Ray", "Parma", zip="43601")
    server.lend("Cy Tan", "Oregon", zip="43602")
    invited(server, name="Di Fox", zip="43600")  # nearer than all, and has not answered
    plain = nearest(server, south).json()
    assert plain[0]["name"] in {"Ann Lee", "Bo Ray", "Cy Tan"}
    assert {one["km"] for one in plain} == {None}
    points = tmp_path / "points.csv"
    points.write_text("zip,lat,lon\n43600,41.0,-83.5\n43601,41.1,-83.5\n43602,41.02,-83.52\n")
    server.settings.zip_points = points
    assert nearest(server, south).json() == [
        {"name": "Cy Tan", "place": "Oregon", "nearest_to": 100, "km": 3},
        {"name": "Bo Ray", "place": "Parma", "nearest_to": 0, "km": 11},
        {"name": "Ann Lee", "place": "Toledo", "nearest_to": 0, "km": None},
    ]
    both = nearest(server, {"places": {"precinct": ["44-0", "44-1"]}, "age": ["18-34"]}).json()
    assert [(one["name"], one["nearest_to"]) for one in both][:2] == [
        ("Bo Ray", 50),
        ("Cy Tan", 50),
    ]
    unnamed = {name: said for name, said in DRAFT.items() if name != "messenger"}
    for definition, signer in ((south, "Cy Tan"), ({"places": {"zip": ["43601"]}}, "Bo Ray")):
        asked = {**unnamed, "definition": definition}
        id = server.call("cora", "POST", f"/races/{RACE}/campaigns", json=asked).json()["id"]
        kept = server.units.run("look", lambda unit, one=id: campaigns.get(unit, one))  # type: ignore[misc]
        assert kept.template["messenger"]["name"] == signer
    assert server.units.run("charges", lambda unit: ledger.charges(unit, RACE)) == []
    assert nearest(server, south, "union").status_code == 403
    assert nearest(server, {"places": {}}).status_code == 422


def test_a_table_of_points_that_cannot_be_read_is_said_and_a_named_messenger_signs(
    furnished: Server, tmp_path: Path
) -> None:
    furnished.settings.zip_points = tmp_path / "points.csv"
    (tmp_path / "points.csv").write_text("zip,lat,lon\n43600,north,2\n")
    refused = nearest(furnished, DRAFT["definition"])
    assert refused.status_code == 409
    assert "points.csv, row 2" in refused.json()["detail"]
    drafted(furnished)


def test_before_anybody_confirmed_no_letter_is_signed_by_the_nearest(server: Server) -> None:
    server.sign_agreement()
    server.enrol(some_voters(4000))
    unnamed = {name: said for name, said in DRAFT.items() if name != "messenger"}
    refused = server.call("cora", "POST", f"/races/{RACE}/campaigns", json=unnamed)
    assert (refused.status_code, "nobody has confirmed" in refused.json()["detail"]) == (409, True)


def test_where_a_volunteer_lives_is_shown_to_them_and_in_no_letter(furnished: Server) -> None:
    path = furnished.lend("Bo Ray", "Parma", zip="43601", precinct="44-1")
    assert "ZIP 43601, 44-1" in furnished.client.get(path).text
    id = drafted(furnished, messenger={"name": "Bo Ray", "place": "Parma"})
    assert "43601" not in furnished.call("cora", "GET", f"/campaigns/{id}/preview").text
    for zip in ("4360", "4360a", "٤٣٦٠١"):
        assert invited(furnished, zip=zip).status_code == 409


def test_whoever_takes_a_name_back_holds_every_letter_in_it(furnished: Server) -> None:
    path = furnished.lend("Bo Ray", "Toledo")
    theirs = drafted(furnished, messenger={"name": "Bo Ray", "place": "Toledo"})
    furnished.call("cora", "POST", f"/campaigns/{theirs}/submit")
    other, digest = submitted(furnished)
    say(furnished, path, "no")
    say(furnished, path, "no")
    held = furnished.call("cora", "GET", f"/campaigns/{theirs}").json()
    assert (held["state"], held["waiting_for"]) == ("paused", lend.TAKEN_BACK)
    assert approve(furnished, "union", theirs, held["digest"]).status_code == 409
    for verb in ("resume", "schedule"):
        answer = furnished.call("cora", "POST", f"/campaigns/{theirs}/{verb}")
        assert answer.status_code == 409, verb
    assert approve(furnished, "union", other, digest).status_code == 202
    say(furnished, path, "yes")
    resumed = furnished.call("cora", "POST", f"/campaigns/{theirs}/resume")
    assert resumed.json()["state"] == "submitted"


def test_only_the_coordinator_asks_volunteers_and_no_token_is_kept(furnished: Server) -> None:
    for who in ("union", "stella", "ann", "mailer"):
        assert invited(furnished, who).status_code == 403
    for wrong in ({"name": " "}, {"place": "x" * 81}, {"name": "Bo\x07"}):
        assert invited(furnished, **wrong).status_code == 409
    token = invited(furnished).json()["link"].rpartition("/")[2]
    kept = furnished.units.run("listed", lambda unit: messengers.listed(unit, RACE))
    assert [(one.name, one.confirmed is None) for one in kept] == [
        ("Ann Lee", False),
        ("Bo Ray", True),
    ]
    assert token not in repr(kept)


def test_only_the_coordinator_drafts_and_submits(furnished: Server) -> None:
    id = drafted(furnished)
    for who in ("union", "stella", "ann", "mailer"):
        assert (
            furnished.call(who, "POST", f"/races/{RACE}/campaigns", json=DRAFT).status_code == 403
        )
        for verb in ("submit", "schedule"):
            assert furnished.call(who, "POST", f"/campaigns/{id}/{verb}").status_code == 403


def test_submitting_fixes_the_manifest_and_again_asks_nobody_twice(
    furnished_anywhere: Server,
) -> None:
    id, digest = submitted(furnished_anywhere)
    again = furnished_anywhere.call("cora", "POST", f"/campaigns/{id}/submit")
    assert again.status_code == 200
    for who in ("cora", "union", "parks"):
        shown = furnished_anywhere.call(who, "GET", f"/campaigns/{id}").json()
        assert (shown["state"], shown["digest"]) == ("submitted", digest)
        assert shown["manifest"]["sources"] == ["parks", "union"]
        assert [one["state"] for one in shown["approvals"]] == ["waiting", "waiting"]
    assert furnished_anywhere.call("union", "GET", "/campaigns").json()[0]["id"] == id


def test_an_audience_below_the_gate_asks_nobody(any_server: Server) -> None:
    roll = any_server.enrol(some_voters(4000))
    any_server.link(any_server.contribute("union"), roll, {row: row for row in range(5)})
    any_server.lend("Ann Lee", "Toledo")
    id = drafted(any_server)
    answer = any_server.call("cora", "POST", f"/campaigns/{id}/submit")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:trellis:problem:too-few")
    assert any_server.call("cora", "GET", f"/campaigns/{id}").json()["state"] == "draft"


def test_the_last_yes_approves_and_a_yes_again_is_the_same_yes(furnished_anywhere: Server) -> None:
    id, digest = submitted(furnished_anywhere)
    first = approve(furnished_anywhere, "union", id, digest)
    assert first.status_code == 202
    assert approve(furnished_anywhere, "union", id, digest).json() == first.json()
    assert furnished_anywhere.call("cora", "GET", f"/campaigns/{id}").json()["state"] == "submitted"
    assert approve(furnished_anywhere, "parks", id, digest).status_code == 202
    shown = furnished_anywhere.call("cora", "GET", f"/campaigns/{id}").json()
    assert shown["state"] == "approved"
    assert [one["state"] for one in shown["approvals"]] == ["approved", "approved"]


def test_a_yes_to_anything_else_is_no_yes(furnished: Server) -> None:
    id, digest = submitted(furnished)
    other = drafted(furnished)
    refused = [
        approve(furnished, "union", id, "0" * 64),
        approve(furnished, "union", id, digest, signer="parks"),
        approve(furnished, "union", id, digest, signer="mallory"),
        approve(furnished, "union", other, digest),
        approve(furnished, "cora", id, digest),
        furnished.call(
            "union",
            "PUT",
            f"/campaigns/{id}/approval",
            json=body(made("union", "approval", kind="attest", campaign=id, digest=digest)),
        ),
        furnished.call(
            "union",
            "PUT",
            f"/campaigns/{id}/approval",
            json=body(made("union", "approval", kind="approve", campaign=NO_ID, digest=digest)),
        ),
    ]
    assert {answer.status_code for answer in refused} <= {403, 404, 409, 422}
    shown = furnished.call("cora", "GET", f"/campaigns/{id}").json()
    assert [one["state"] for one in shown["approvals"]] == ["waiting", "waiting"]


def test_an_audience_is_shown_to_its_sources_once_it_is_fixed(furnished: Server) -> None:
    id, _ = submitted(furnished)
    path = f"/campaigns/{id}/audience"
    assert furnished.call("union", "GET", path).status_code == 409
    for who in ("cora", "stella", "ann"):
        assert furnished.call(who, "GET", path).status_code == 403


def test_any_partner_can_pause_and_stop_and_stopped_is_for_good(furnished: Server) -> None:
    id, digest = submitted(furnished)
    assert furnished.call("union", "POST", f"/campaigns/{id}/pause").status_code == 409
    for who in ("union", "parks"):
        approve(furnished, who, id, digest)

    def say(who: str, verb: str) -> Any:
        return furnished.call(who, "POST", f"/campaigns/{id}/{verb}")

    assert say("parks", "pause").json()["state"] == "paused"
    assert say("cora", "pause").json()["state"] == "paused"
    assert say("cora", "resume").json()["state"] == "approved"
    assert say("cora", "resume").status_code == 409
    assert say("cora", "schedule").json()["state"] == "approved"
    assert say("union", "stop").json()["state"] == "stopped"
    for verb, status in (("stop", 200), ("resume", 409), ("schedule", 409), ("pause", 409)):
        assert say("cora", verb).status_code == status, verb
    assert say("stella", "stop").status_code == 403


def test_a_schedule_lets_people_think_again(furnished_anywhere: Server) -> None:
    id, _ = submitted(furnished_anywhere)
    assert furnished_anywhere.call("cora", "POST", f"/campaigns/{id}/schedule").status_code == 200
    hold = timedelta(seconds=furnished_anywhere.settings.hold_seconds)
    kept = furnished_anywhere.units.run("get", lambda unit: campaigns.get(unit, id))
    assert kept.scheduled == furnished_anywhere.clock() + hold
    furnished_anywhere.clock.now += timedelta(minutes=5)
    furnished_anywhere.call("cora", "POST", f"/campaigns/{id}/schedule")  # again moves nothing
    assert furnished_anywhere.units.run("get", lambda unit: campaigns.get(unit, id)) == kept


def test_there_is_no_report_before_the_close(furnished: Server) -> None:
    id, _ = submitted(furnished)
    answer = furnished.call("cora", "GET", f"/campaigns/{id}/report")
    assert answer.status_code in (403, 409)


def test_partners_and_the_coordinator_share_one_calendar(furnished: Server) -> None:
    server, path = furnished, f"/races/{RACE}/calendar"
    today = server.clock().date().isoformat()
    kept = server.call("union", "POST", f"/races/{RACE}/days", json={"day": today})
    assert (kept.status_code, kept.json()) == (200, {"days": [today]})
    for _ in range(2):
        drafted = server.call("cora", "POST", f"/races/{RACE}/campaigns", json=DRAFT)
        assert drafted.status_code == 201
    hers = server.call("cora", "GET", path).json()
    assert [one["kind"] for one in hers["clashes"]] == ["week"]  # by the roll that is here
    theirs = server.call("parks", "GET", path).json()
    assert (theirs["campaigns"], theirs["clashes"]) == ([], [])
    assert theirs["days"] == [{"day": today, "partner": "union", "name": "Union"}]
    back = server.call("union", "POST", f"/races/{RACE}/days", json={"day": today, "keep": False})
    assert back.json() == {"days": []}
    for who, status in (("cora", 403), ("ann", 403)):
        refused = server.call(who, "POST", f"/races/{RACE}/days", json={"day": today})
        assert refused.status_code == status
    assert server.call("ann", "GET", path).status_code == 403
    strange = server.call("union", "POST", f"/races/{RACE}/days", json={"day": "soon"})
    assert strange.status_code == 422


def test_without_a_name_the_partners_approve_everybody_who_may_sign(furnished: Server) -> None:
    server = furnished
    server.lend("Bo Ray", "Parma", zip="43601", daily="40")
    unnamed = {name: said for name, said in DRAFT.items() if name != "messenger"}
    id = server.call("cora", "POST", f"/races/{RACE}/campaigns", json=unnamed).json()["id"]
    path = server.lend("Cy Tan", "Oregon", zip="43602")
    invited(server, name="Di Fox")  # has not answered
    assert server.call("cora", "POST", f"/campaigns/{id}/submit").status_code == 200
    shown = server.call("cora", "GET", f"/campaigns/{id}").json()
    assert [one["name"] for one in shown["manifest"]["messengers"]] == [
        "Ann Lee", "Bo Ray", "Cy Tan",
    ]  # fmt: skip
    assert {one["from"].split(" for ")[0] for one in shown["manifest"]["sender"].values()} == {
        "{messenger}"
    }
    say(server, path, "no")  # two others still sign: it goes on
    assert server.call("cora", "GET", f"/campaigns/{id}").json()["state"] == "submitted"
    one = server.units.run("look", lambda unit: campaigns.get(unit, id))
    terms = server.units.run("terms", lambda unit: agree.signed_terms(unit, RACE))
    race = server.units.run("race", lambda unit: races.get(unit, RACE))
    approving.unchanged(one, terms, race)
    other = replace(one, template={**one.template, "nearest": False})
    with pytest.raises(EntryMisfits):
        approving.unchanged(other, terms, race)
    assert approve(server, "union", id, shown["digest"]).status_code == 202
