"""A plan of letters from proposal to inbox: tools, server and mailer, on a clock that stands.

Two partners' own tools and the coordinator's, each in its own folder, talk to a real server over a
transport; lists, matching, audiences and letters are real. Only time stands still between steps.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from consortium.cli import coordinator, partner
from consortium.cli.home import Home
from consortium.cli.joining import Outside
from consortium.service import freeze
from consortium.store import log
from consortium.store.unit import Unit, Units, engine
from policies import agreement
from provenance.audit import FolderSource, audit
from tests.fakes import season as seasons
from tests.fakes import server as servers
from tests.fakes.actors import POLICY, private, public
from tests.fakes.post import LETTER
from tests.fakes.season import Season
from tests.fakes.server import EPOCH, PARTNERS, RACE, Server

VOTERS, TOKENED = 1200, 240
LISTS = {"union": range(160), "parks": range(80, TOKENED)}
WORDED = LETTER.replace("come on Saturday.", "[[where]]")
SLOTS = {"where": {"most": 40, "usual": "see you there.", "names": ["Elm Street"]}}
PLACES = {"places": {"precinct": ["44-0", "44-1"]}}


def document() -> bytes:
    """The two partners' agreement, with silence, and a month to write in."""
    old = json.loads(servers_document())
    race = {**old["race"], "election_date": "2026-12-29", "polls_close": "2026-12-30T00:30:00Z"}
    times = {"opens": "2026-11-19T12:00:00Z", "closes": "2026-12-29T12:00:00Z"}
    silence = {"hours": 48, "rapid_hours": 12}
    whole = {**old, **times, "race": race, "silence": silence, "min_audience": 1}
    whole["custodians"] = [{"id": c, "public": public(c).hex()} for c in seasons.CUSTODIANS]
    return agreement.to_bytes(agreement.parse(json.dumps(whole).encode()))


servers_document = servers.document


class Table:
    """One person at one computer with the real tool."""

    def __init__(self, office: Office, id: str, role: str, folder: Path) -> None:
        self.office, self.home = office, folder / id
        self.home.mkdir(mode=0o700)
        key = self.home / "signing.key"
        key.write_text(private(id).private_bytes_raw().hex())
        key.chmod(0o600)
        more = {"domain": f"{id}.example", "relation": "member"} if role == "partner" else {}
        Home.create(self.home, id=id, role=role, name=id.title(), **more).join(office.invite())
        self.group = {"partner": partner.command, "coordinator": coordinator.command}[role]

    def run(self, *words: str | Path) -> Result:
        outside = Outside(
            httpx.MockTransport(self.office.carry), self.office.season.clock, self.office.nap
        )
        verb, *rest = map(str, words)
        inner = isinstance(self.group.commands[verb], click.Group)
        full = [verb, *rest[:inner], "--home", str(self.home), *rest[inner:], "--json"]
        return CliRunner().invoke(self.group, full, obj=outside)

    def say(self, *words: str | Path) -> dict[str, Any]:
        done = self.run(*words)
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout.splitlines()[-1]))


class Office:
    """Everything that is no tool: the server, its worker, the mailer, custodians that say done."""

    def __init__(self, season: Season, folder: Path) -> None:
        self.season, self.server = season, season.server
        self.stops: list[str] = []
        people = folder / "people"
        people.mkdir()
        self.cora = Table(self, "cora", "coordinator", people)
        self.tools = {one: Table(self, one, "partner", people) for one in PARTNERS}

    def invite(self) -> dict[str, Any]:
        kept = self.season.units.run("invite", lambda unit: seasons.texts.get(unit, "invite"))
        roles = {
            "cora": "coordinator",
            "operator": "operator",
            **dict.fromkeys(PARTNERS, "partner"),
        }
        named = {one: {"id": one, "role": role, "name": one} for one, role in roles.items()}
        return {
            **json.loads(kept),
            "log_url": "http://testserver/log",
            "actors": [{**one, "public": public(id).hex()} for id, one in named.items()],
            "custodians": [
                {"id": one, "url": f"http://{one}.example", "public": public(one).hex()}
                for one in seasons.CUSTODIANS
            ],
        }

    def carry(self, request: httpx.Request) -> httpx.Response:
        """One request of a tool, to the server or to a custodian."""
        if request.url.host != "testserver":
            self.stops.append(f"{request.url.host}{request.url.path}")
            return httpx.Response(200, json={"done": True})
        sent = self.server.client.request(
            request.method,
            request.url.raw_path.decode(),
            headers=dict(request.headers),
            content=request.content,
        )
        return httpx.Response(sent.status_code, headers=sent.headers, content=sent.content)

    def nap(self, _: float) -> None:
        """While a tool waits for the log, the worker writes it."""
        self.server.publish()

    def now(self, day: str, hour: int = 16) -> None:
        """Go on to an hour of a day, UTC."""
        self.season.clock.now = datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)

    def plan(self, file: Path, letters: list[dict[str, Any]], **more: Any) -> str:
        race = self.season.race()
        named = {"name": "To the polls", "version": 1, "race": RACE, "agreement": race.digest}
        days = {"early_vote": "2026-12-08", "polls": "2026-12-29"}
        what = {"definition": PLACES, "messenger": {"name": "Ann Lee", "place": "Toledo"}}
        more = {"avoid": [], "lead_days": 4, "rapid": [], **more}
        file.write_text(
            json.dumps({**named, **what, "deadlines": days, "letters": letters, **more})
        )
        return str(self.cora.say("programme", "propose", file)["id"])

    def attend(self, who: str, until: str, every: int = 12) -> list[str]:
        """The timer of one partner, every few hours; the moments at which it signed."""
        end = datetime.fromisoformat(until).replace(tzinfo=UTC)
        signed, began = [], self.season.clock.now
        while self.season.clock.now < end:
            if self.tools[who].say("attend")["signed"]:
                signed.append(self.season.clock.now.strftime("%m-%d %H"))
            self.season.clock.now += timedelta(hours=every)
        self.season.clock.now = began
        return signed

    def state(self, campaign: str) -> str:
        return str(self.server.call("cora", "GET", f"/campaigns/{campaign}").json()["state"])

    def mail(self, campaign: str, day: str) -> list[str]:
        """Freeze what is approved, and send on its day; the addresses that got it."""
        self.server.publish()
        freeze.freeze(self.season.bench, campaign)
        self.cora.say("schedule", campaign)
        self.now(day)
        return self.season.mail(campaign)


def letter(id: str, deadline: str, days: int) -> dict[str, Any]:
    words = {"template": {"subject": f"To you: {id}", "mjml": WORDED}, "slots": SLOTS}
    return {"id": id, "step": id, "deadline": deadline, "days": days, "span": 2, **words}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Office]:
    """Lists are in and matched, a volunteer signs, both partners' tools hold the agreement."""
    folder = tmp_path_factory.mktemp("programme")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "document", document)
        patch.setattr(seasons, "LISTS", LISTS)
        patch.setattr(Server, "sign_agreement", lambda _: None)  # the partners' tools do
        (folder / seasons.DATABASE).write_bytes(sqlite_template.read_bytes())
        base = engine(f"sqlite:///{folder / seasons.DATABASE}")
        clock = seasons.Standing(seasons.NOON)
        season = Season(Server(folder, Units(base, clock), clock), folder)
        clock.now = seasons.MORNING
        made = Office(season, folder)
        for tool in made.tools.values():
            tool.say("sign", "--yes")
        bare = {n: seasons.make_record(zip="43601") for n in range(TOKENED, VOTERS)}
        season.enrol(EPOCH, {**{n: seasons.voter(n) for n in range(TOKENED)}, **bare})
        for one in PARTNERS:
            season.upload(one, EPOCH)
        season.work()
        season.server.lend("Ann Lee", "Toledo")
        yield made
        base.dispose()


@pytest.mark.soak
def test_a_programme_from_its_plan_to_the_inbox(office: Office, tmp_path: Path) -> None:
    union, parks = office.tools["union"], office.tools["parks"]
    three = [letter("invite", "early_vote", -4), letter("plan", "early_vote", 6)]
    three.append(letter("remind", "polls", -4))
    first = office.plan(tmp_path / "first.json", three)
    planned = office.cora.say("programme", "show")["programmes"][0]["planned"]
    assert [(one["letter"], one["ask"], one["first"]) for one in planned] == [
        ("invite", "2026-11-29", "2026-12-04"),
        ("plan", "2026-12-08", "2026-12-14"),
        ("remind", "2026-12-20", "2026-12-25"),
    ]

    # Each partner says yes once; before the last of them nothing can be asked for.
    office.now("2026-11-30")
    union.say("programme", "approve", first, "--yes")
    assert office.cora.run("programme", "ask", first).exit_code == 1
    parks.say("programme", "approve", first, "--yes")

    # The first letter, with local words, by silence: two working days, and no yes before.
    said = ("--word", "where=see you at Elm Street.")
    invite = office.cora.say("programme", "ask", first, "invite", *said)["asked"]["invite"]
    assert office.attend("union", "2026-12-03T00:00") == ["12-02 16"]
    assert office.state(invite) == "submitted"  # one partner's silence is nobody else's
    assert office.attend("parks", "2026-12-03T00:00") == ["12-02 16"]
    assert office.state(invite) == "approved"
    got = office.mail(invite, "2026-12-04")
    assert len(got) == len(set(got)) > 200
    assert b"see you at Elm Street." in office.season.mta.taken[-1][2]

    # One partner's no to the second: it is stopped, and nothing else goes by silence or is asked.
    office.now("2026-12-08")
    plan = office.cora.say("programme", "ask", first, "plan")["asked"]["plan"]
    assert office.attend("union", "2026-12-09T16:00") == []
    office.now("2026-12-09")
    assert parks.say("programme", "refuse", first, plan)["state"] == "held"
    assert sorted(set(office.stops)) == [f"{one}.example/stop" for one in seasons.CUSTODIANS]
    assert office.attend("union", "2026-12-12T16:00") == []
    assert office.state(plan) == "stopped"
    office.now("2026-12-18")
    assert office.cora.run("programme", "ask", first, "remind").exit_code == 1

    # Planned anew in its place, with a letter kept ready: everybody is asked again.
    old = office.cora.say("programme", "show")["programmes"][0]["digest"]
    ready = {name: value for name, value in letter("news", "", 0).items()
             if name in ("id", "template", "slots")}  # fmt: skip
    more = {"rapid": [{**ready, "most": 1, "span": 1}], "replaces": old}
    second = office.plan(tmp_path / "second.json", [letter("remind", "polls", -4)], **more)
    for tool in (union, parks):
        tool.say("programme", "approve", second, "--yes")
    shown = office.cora.say("programme", "show")["programmes"]
    assert {one["id"]: one["state"] for one in shown} == {first: "replaced", second: "approved"}
    assert parks.run("programme", "approve", first, "--yes").exit_code == 1

    # Rapid response: nobody's no in twelve waking hours, and not a day earlier.
    day = "2026-12-19"
    assert office.cora.run("programme", "ask", second, "news", "--first", day).exit_code == 1
    day = "2026-12-20"
    news = office.cora.say("programme", "ask", second, "news", "--first", day)["asked"]["news"]
    office.now("2026-12-18", 17)
    for who in PARTNERS:
        assert office.attend(who, "2026-12-19T20:00", every=4) == ["12-19 17"]
    assert len(office.mail(news, day)) > 200

    # The planned letter comes within the rapid one's week: the cap counts, nobody gets it.
    office.now("2026-12-20")
    remind = office.cora.say("programme", "ask", second)["asked"]["remind"]
    for who in PARTNERS:
        assert office.attend(who, "2026-12-24T00:00") == ["12-23 16"]
    assert office.mail(remind, "2026-12-25") == []
    _nobody_twice_a_week(office, (invite, news, remind))
    _log_tells_it(office, {invite: 2, plan: 0, news: 2, remind: 2})


def _nobody_twice_a_week(office: Office, ids: tuple[str, ...]) -> None:
    when: defaultdict[int, list[datetime]] = defaultdict(list)
    for one in (each for id in ids for each in office.season.letters(id)):
        if one.state == "sent":
            assert one.settled_at
            when[one.person].append(one.settled_at)
    assert max(len(each) for each in when.values()) == 2  # some had the first and the rapid one
    for each in (sorted(each) for each in when.values()):
        assert all(b - a >= timedelta(days=7) for a, b in pairwise(each))


def _log_tells_it(office: Office, approvals: dict[str, int]) -> None:
    """Who said yes to which letter stands in the log, silence or not, and the log verifies."""
    office.server.publish()
    audit(FolderSource(office.server.folder / "log"), POLICY)

    def said(unit: Unit) -> list[str]:
        found = [one.openings or {} for one in log.of_kind(unit, "approval")]
        return [one["campaign"]["value"] for one in found if one["kind"]["value"] == "approve"]

    told = office.season.units.run("said", said)
    assert {id: told.count(id) for id in approvals} == approvals
