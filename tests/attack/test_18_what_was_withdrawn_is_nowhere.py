"""After a withdrawal nothing that the server keeps leads back to the row, and nobody gets a letter.

One list is mailed from while some of it, or all of it, is taken back. Before, each of its traces is
found in what the server keeps; afterwards none is: raw bytes of every file, every value of every
Parquet file, encrypted token artefacts opened with their own key.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import text

from consortium.service import approve, hear_back, match, show, shred
from consortium.store import (
    campaigns,
    contributions,
    deliveries,
    doomed,
    frames,
    log,
    races,
    strays,
)
from consortium.store.unit import Unit
from consortium.wiring import pen
from matching import engine
from matching.atrest import unlocked
from matching.bundle import read_rows, write_links, write_outputs
from matching.recipes import ADDRESS_RECIPE
from provenance.evidence import Evidence, check
from tests.fakes.actors import made
from tests.fakes.post import MORNING, Post, post  # noqa: F401
from tests.fakes.season import Season, kept_season, season  # noqa: F401
from tests.fakes.server import EPOCH, RACE, body

KEYS = match.MatchKeys(pepper=b"p" * 32, outputs=b"o" * 32, tokens=b"t" * 32)
WRAPPED = secrets.token_bytes(1200)
PEOPLE = [(n, f"member{n}@river.example") for n in range(12)]
LEAVING = (3, 4, 7)
"""Rows of the list that leave when single rows do."""


@dataclass
class World:
    """One post office, one bundle with everything that a match run leaves, one campaign."""

    post: Post
    part: frames.Part
    campaign: str

    @property
    def bench(self) -> match.Bench:
        server = self.post.server
        ours = pen("operator", b"\x05" * 32)
        return match.Bench(server.units, server.artefacts, lambda _: KEYS, ours, server.clock)

    def rows(self, only: tuple[int, ...] | None) -> list[Any]:
        return [row for row in read_rows(self.part.rows) if only is None or row.row in only]

    def needles(self, only: tuple[int, ...] | None) -> dict[str, bytes]:
        """Everything that could lead back to these rows, by what it is."""
        found: dict[str, bytes] = {}
        for row in self.rows(only):
            token = self.part.address_tokens[row.row]
            for name, raw in (("tag", row.tag), ("lock", row.lock), ("token", token)):
                found[f"{name} {row.row}"] = raw
                found[f"{name} {row.row} in hex"] = raw.hex().encode()
            found[f"sealed {row.row}"] = row.sealed[40:120]
        if only is None:
            found["wrapped"] = WRAPPED[:64]
        return found

    def found(self, needles: dict[str, bytes]) -> set[str]:
        kept = list(everything(self.post.server.folder))
        return {name for name, raw in needles.items() if any(raw in each for each in kept)}

    def campaign_of(self) -> campaigns.Campaign:
        return self.post.units.run("look", lambda unit: campaigns.get(unit, self.campaign))

    def over(self) -> None:
        self.post.units.run(
            "over", lambda unit: campaigns.change(unit, self.campaign, state="closed")
        )
        self.post.units.run("closed", lambda u: deliveries.closed_at_custodians(u, self.campaign))


def everything(folder: Path) -> Iterator[bytes]:
    """All bytes that the server keeps, and all values inside what is packed or encrypted."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix == ".parquet":  # those are the test's own drafts
            continue
        yield path.read_bytes()
        if path.parent.parent.name == "artefacts":
            yield from _unpacked(path)


def _unpacked(path: Path) -> Iterator[bytes]:
    if path.read_bytes()[:4] == b"PAR1":
        with duckdb.connect() as base:
            for row in base.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall():
                yield b"|".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
    elif path.read_bytes()[:10] == b"consortium":
        tokens = engine.address_tokens(path, KEYS.tokens)
        yield b"|".join(tokens.values())
        with unlocked(path, key=KEYS.tokens) as plain:
            yield plain.read_bytes()


@pytest.fixture
def world(post: Post) -> World:  # noqa: F811
    return furnished(post)


def furnished(post: Post) -> World:  # noqa: F811
    """A list that was matched and is about to be written to."""
    part = post.bundle("union", 1, PEOPLE)
    other = post.bundle("parks", 2, [(100 + n, f"walker{n}@parks.example") for n in range(4)])
    outputs, tokens, links = (post.folder / f"{n}.parquet" for n in ("outputs", "tokens", "links"))
    drawn = {row: secrets.token_bytes(64) for row, _ in enumerate(PEOPLE)}
    write_outputs(outputs, [(row, at, one) for row, one in drawn.items() for at in (0, 255)])
    engine.pepper_outputs(outputs, tokens, pepper=KEYS.pepper, epoch=EPOCH, key=KEYS.tokens)
    known = engine.address_tokens(tokens, KEYS.tokens)
    assert ADDRESS_RECIPE == 255
    write_links(links, [(row, person, 9.0) for row, (person, _) in enumerate(PEOPLE)])
    part = frames.Part(part.bundle, part.partner, part.rows, part.chosen, known)
    digests = {
        "tokens_digest": post.server.artefacts.put(tokens),
        "links_digest": post.server.artefacts.put(links),
        "wrapped": WRAPPED,
    }
    post.units.run("parts", lambda unit: contributions.change(unit, part.bundle, **digests))
    campaign = post.campaign("c0000000-0000-4000-8000-0000000000aa", part, other)
    return World(post, part, campaign)


def fresh(rows: Sized) -> list[str]:
    """As many secrets of labels: which is which row's, the server is not told."""
    return [secrets.token_bytes(32).hex() for _ in range(len(rows))]


def withdraw(world: World, only: tuple[int, ...] | None) -> Any:
    """The partner's own call."""
    id, facts = world.part.bundle, {}
    if only is None:
        entry = made("union", "withdrawal", world.post.clock(), kind="bundle", bundle=id)
        path = f"/contributions/{id}/withdraw"
    else:
        tags, salt = sorted(row.tag for row in world.rows(only)), bytes(32)
        digest = hashlib.sha256(salt + b"".join(tags)).hexdigest()
        entry = made("union", "withdrawal", world.post.clock(), kind="rows", bundle=id, rows=digest)
        path = f"/contributions/{id}/withdraw-rows"
        facts = {"salt": salt.hex(), "tags": [tag.hex() for tag in tags], "leaves": fresh(only)}
    return world.post.server.call("union", "POST", path, json=body(entry, **facts))


def after_two_letters(world: World, only: tuple[int, ...] | None) -> list[Any]:
    """Withdraw while a campaign is being sent, as soon as two letters have left."""
    answers: list[Any] = []

    def act(_: str) -> None:
        if len(world.post.mta.to) == 2 and not answers:
            answers.append(withdraw(world, only))

    world.post.mta.before.append(act)
    world.post.go(world.campaign)
    return answers


@pytest.mark.parametrize("only", [None, LEAVING], ids=["the whole list", "three rows"])
def test_nothing_of_what_was_withdrawn_is_left_and_nobody_of_it_is_written_to(
    world: World, only: tuple[int, ...] | None
) -> None:
    needles = world.needles(only)
    assert world.found(needles) >= {name for name in needles if "in hex" not in name}
    answer = after_two_letters(world, only)
    assert [(one.status_code, one.json()["backup_days"]) for one in answer] == [(202, 30)]
    members = {PEOPLE[n][1] for n in (range(len(PEOPLE)) if only is None else only)}
    early = set(world.post.mta.to[:3])  # the third was on its way when the call came
    assert not (set(world.post.mta.to) - early) & members
    assert len(world.post.mta.to) >= 4  # the others' letters went on

    shred.run(world.bench)
    left = world.found(needles)
    # Until nobody can open the campaign its root stands over bare locks, and over nothing else.
    assert {name.split()[0] for name in left} <= {"lock"}
    world.over()
    shred.run(world.bench)
    assert world.found(needles) == set()
    if only is not None:
        stay = world.needles((0, 1))
        assert world.found(stay) >= {name for name in stay if "in hex" not in name}
    shred.run(world.bench)  # again, and nothing is due
    assert world.post.units.run("due", contributions.shredding) == []


def test_the_rows_that_stay_are_the_very_same(world: World) -> None:
    before = [row for row in world.rows(None) if row.row not in LEAVING]
    assert withdraw(world, LEAVING).status_code == 202
    shred.run(world.bench)
    one = world.post.units.run("look", lambda u: contributions.get(u, world.part.bundle))
    with world.post.server.artefacts.open(one.rows_digest) as path:
        assert list(read_rows(path)) == before
    assert one.tokens_digest is not None
    with world.post.server.artefacts.open(one.tokens_digest) as path:
        assert set(engine.address_tokens(path, KEYS.tokens)) == {row.row for row in before}
    entry = [
        said.openings
        for said in world.post.units.run("log", lambda unit: log.of_kind(unit, "withdrawal"))
        if said.openings and said.openings["kind"]["value"] == "shredded"
    ]
    assert [said["rows_digest"]["value"] for said in entry] == [one.rows_digest]
    assert [said["tokens_digest"]["value"] for said in entry] == [one.tokens_digest]


def test_a_tag_of_nobody_or_another_salt_withdraws_nothing(world: World) -> None:
    id, tag = world.part.bundle, world.rows((3,))[0].tag
    clock, server = world.post.clock, world.post.server
    for tags, salt, status in (
        ([secrets.token_bytes(32)], bytes(32), 404),
        ([tag], b"1" * 32, 422),
    ):
        digest = hashlib.sha256(bytes(32) + b"".join(tags)).hexdigest()
        entry = made("union", "withdrawal", clock(), kind="rows", bundle=id, rows=digest)
        said = {"salt": salt.hex(), "tags": [one.hex() for one in tags], "leaves": fresh(tags)}
        path = f"/contributions/{id}/withdraw-rows"
        answer = server.call("union", "POST", path, json=body(entry, **said))
        assert answer.status_code == status, answer.text
        assert server.call("parks", "POST", path, json=body(entry, **said)).status_code in (
            403,
            404,
        )
    assert world.post.units.run("due", contributions.shredding) == []


def test_the_same_call_again_after_the_rows_are_gone_answers_the_same(world: World) -> None:
    tags = [row.tag for row in world.rows(LEAVING)]
    digest = hashlib.sha256(bytes(32) + b"".join(sorted(tags))).hexdigest()
    facts = {"kind": "rows", "bundle": world.part.bundle, "rows": digest}
    entry = made("union", "withdrawal", world.post.clock(), **facts)
    named = {"tags": [tag.hex() for tag in tags], "leaves": fresh(tags)}
    said = body(entry, salt=bytes(32).hex(), **named)
    path = f"/contributions/{world.part.bundle}/withdraw-rows"
    first = world.post.server.call("union", "POST", path, json=said)
    shred.run(world.bench)
    again = world.post.server.call("union", "POST", path, json=said)
    assert (again.status_code, again.json()) == (202, first.json())


SOAKED = [pytest.param(at, marks=pytest.mark.soak) for at in (0, 1, 3, 4)]


@pytest.mark.parametrize("at", [2, 5, *SOAKED])
def test_a_crash_anywhere_in_shredding_is_finished_by_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The process dies before its n-th write to database or artefacts; files never lack a name."""
    assert withdraw(world, LEAVING).status_code == 202
    world.over()
    steps = iter(range(100))
    server = world.post.server

    def dies(real: Any) -> Any:
        def act(*given: Any, **more: Any) -> Any:
            if next(steps) == at:
                raise MemoryError
            return real(*given, **more)

        return act

    with monkeypatch.context() as crash:
        crash.setattr(server.artefacts, "delete", dies(server.artefacts.delete))
        crash.setattr(server.artefacts, "put", dies(server.artefacts.put))
        crash.setattr(shred.contributions, "shredded", dies(contributions.shredded))
        with pytest.raises(MemoryError):
            shred.run(world.bench)
    one = world.post.units.run("look", lambda u: contributions.get(u, world.part.bundle))
    for digest in (one.rows_digest, one.tokens_digest, one.links_digest):
        assert digest is not None
        assert server.artefacts.exists(digest)
    shred.run(world.bench)
    assert world.found(world.needles(LEAVING)) == set()


def test_what_a_crash_left_without_a_name_is_found_and_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a successor's `put` and the transaction that names it the process ends for good."""
    units, files = world.post.units, world.post.server.artefacts
    run = units.run

    def dies(name: str, work: Any) -> Any:
        if name == "shred-parts":
            raise MemoryError
        return run(name, work)

    def later(**passed: int) -> None:
        """Time passes: on the clock, and for every file that is there."""
        world.post.clock.now += timedelta(**passed)
        for path in (world.post.server.folder / "artefacts").rglob("*"):
            if path.is_file():
                old = path.stat().st_mtime - timedelta(**passed).total_seconds()
                os.utime(path, (old, old))

    assert withdraw(world, LEAVING).status_code == 202
    world.over()
    with monkeypatch.context() as crash:
        crash.setattr(units, "run", dies)
        with pytest.raises(MemoryError):
            shred.run(world.bench)
    assert withdraw(world, None).status_code == 202
    shred.run(world.bench)
    assert world.found(world.needles(None)), "the control: no name leads to what the crash left"

    parks = files.put(b"another partner's part, whose entry is on its way")
    assert strays.condemn(units, files) == 0  # seen now for the first time
    later(days=2, hours=23)
    assert strays.condemn(units, files) == 0
    assert files.put(b"another partner's part, whose entry is on its way") == parks  # sent again
    later(hours=2)
    assert strays.condemn(units, files) > 0
    doomed.sweep(units, files)
    assert world.found(world.needles(None)) == set()
    assert files.exists(parks)
    named = units.run("named", doomed.named)
    assert named
    assert all(files.exists(digest) for digest in named)


def test_an_audience_that_not_everybody_checked_is_cut_anew(world: World) -> None:
    def seen() -> list[Any]:
        server, path = world.post.server, f"/campaigns/{world.campaign}"
        return [server.call(who, "GET", path).json() for who in ("parks", "union", "cora")]

    def fresh(unit: Unit) -> None:
        campaigns.change(unit, world.campaign, state="approved", waiting_for=approve.TO_FIX)

    def frozen(unit: Unit) -> None:
        campaigns.change(unit, world.campaign, state="frozen", waiting_for="checks")
        said = campaigns.Approval(world.campaign, "parks", "attest", "1" * 64, MORNING)
        campaigns.approve(unit, said)

    world.post.units.run("fresh", fresh)
    before = seen()
    world.post.units.run("frozen", frozen)
    assert seen() != before
    old = world.campaign_of().audience_digest
    withdraw(world, LEAVING)
    shred.run(world.bench)
    now = world.campaign_of()
    # No other partner, and no coordinator, can read off that or why somebody left.
    assert seen() == before
    assert (now.state, now.root, now.audience_digest) == ("approved", None, None)
    assert old is not None
    assert not world.post.server.artefacts.exists(old)
    left = world.post.units.run("yes", lambda u: campaigns.approvals(u, world.campaign, "attest"))
    assert left == []
    rung = "SELECT count(*) FROM rings WHERE task = 'freeze'"
    with world.post.units.engine.connect() as connection:
        assert connection.execute(text(rung)).scalar() == 1


def test_who_leaves_after_an_audience_was_cut_anew_is_in_no_file_of_before(world: World) -> None:
    world.post.units.run(
        "frozen", lambda unit: campaigns.change(unit, world.campaign, state="frozen")
    )
    withdraw(world, LEAVING)
    shred.run(world.bench)
    assert world.campaign_of().audience_digest is None
    assert world.found(world.needles((0, 1)))  # the control: they have not left yet
    withdraw(world, None)
    shred.run(world.bench)
    assert world.found(world.needles(None)) == set()


def test_an_audience_that_moved_on_while_its_successor_was_made_leaves_no_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moves_on(*given: Any, **more: Any) -> int:
        world.post.units.run(
            "moved", lambda unit: campaigns.change(unit, world.campaign, state="paused")
        )
        return without(*given, **more)

    without = frames.without
    withdraw(world, LEAVING)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(frames, "without", moves_on)
        shred.run(world.bench)
    world.over()
    shred.run(world.bench)
    withdraw(world, None)
    shred.run(world.bench)
    assert world.found(world.needles(None)) == set()


def test_an_audience_that_was_cut_while_somebody_left_leaves_no_file(
    season: Season,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut: list[str] = []

    def leaves(*given: Any, **more: Any) -> list[bytes]:
        first = season.bundles()[0].id
        season.units.run("leaves", lambda unit: contributions.take_back(unit, first, [0]))
        return write(*given, **more)

    def put(content: Any) -> str:
        cut.append(keep(content))
        return cut[-1]

    write, keep = frames.write_audience, season.artefacts.put
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(frames, "write_audience", leaves)
        meanwhile.setattr(season.artefacts, "put", put)
        id = season.campaign()
    one = season.units.run("look", lambda unit: campaigns.get(unit, id))
    assert (one.state, one.audience_digest, len(cut)) == ("approved", None, 1)
    assert season.artefacts.exists(cut[0])
    shred.run(season.bench)
    assert not season.artefacts.exists(cut[0])


def test_proofs_from_before_still_verify_and_so_do_fresh_ones(world: World) -> None:
    server = world.post.server

    def evidence(unit: Unit) -> Evidence:
        leaf = races.signatures(unit, RACE)["union"]
        found = show.evidence(unit, leaf, server.backend)
        assert found is not None
        return found

    before = server.units.run("before", evidence)
    withdraw(world, LEAVING)
    shred.run(world.bench)
    withdraw(world, None)
    shred.run(world.bench)
    assert server.publish() > 0
    after = server.units.run("after", evidence)
    policy = server.units.run("policy", show.policy)
    assert check(before, policy).facts == check(after, policy).facts
    assert before.proof != after.proof


def test_somebody_who_stopped_is_not_written_to_when_a_withdrawn_list_comes_again(
    world: World,
) -> None:
    world.post.go(world.campaign)
    address = PEOPLE[5][1]
    letter = world.post.sent_to(address)

    def stop(unit: Unit) -> None:
        hear_back.suppress(unit, deliveries.get(unit, letter.id), "race", "stop", unit.now)

    world.post.units.run("stop", stop)
    withdraw(world, None)
    shred.run(world.bench)
    world.post.later(days=8)
    again = world.post.bundle("union", 9, PEOPLE)
    # As a stranger, under tokens of another epoch: only the address itself is the same.
    people = {row: 500 + row for row in again.chosen}
    tokens = {row: secrets.token_bytes(16) for row in people}
    again = frames.Part(again.bundle, "union", again.rows, people, tokens)
    window = {"opens": "2026-11-22T12:00:00Z", "closes": "2026-12-01T12:00:00Z"}
    second = world.post.campaign(
        "c0000000-0000-4000-8000-0000000000bb", again, template={"window": window}
    )
    sent = len(world.post.mta.to)
    world.post.go(second)
    now = world.post.mta.to[sent:]
    assert address not in now
    assert len(now) == len(PEOPLE) - 1  # everybody else is: it is the stop that holds
