"""A partner that runs a custodian learns from it nothing of another list but noise.

Threat: docs/threat-model.md, one custodian, itself a partner. Two worlds differ in one partner's
rows alone: other people, more of them, some on both lists, some stopped, capped or held out; the
padded sizes are the same. A whole season passes: lists, a campaign, a list sent anew, another
campaign, a list withdrawn. What the custodian gets (roster, released sets, retirements) is the real
match run's and the real freeze's. With the noise fixed so that it makes up for the difference the
two views are one; with the noise as it is drawn they are (epsilon, delta)-close.
"""

import itertools
import math
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from consortium.clock import Standing
from consortium.custodian.ledger import Ledger
from consortium.service import attest, freeze, ghosts, match
from consortium.store import campaigns, contributions, roster, suppressions
from consortium.store.unit import Units, engine
from matching import engine as matcher
from matching.atrest import lock_file
from matching.bundle import BundleRow, size_class, write_links, write_rows
from matching.locks import RosterEntry, make_entry, retire_tag
from matching.recipes import ADDRESS_RECIPE
from policies.authorise import Caller
from policies.disclosure import GHOST_DELTA, GHOST_EPSILON, ghost_shift
from tests.databases import NOON
from tests.fakes import seeds
from tests.fakes.campaign import make_rows
from tests.fakes.server import EPOCH, RACE, Server

ME, OTHER = "union", "parks"  # I run a custodian; the other is whom I would like to count
PRECINCTS = ("44-0", "44-1")
VOTERS = [(n, PRECINCTS[n % 2], "State House 44", "43600", "18-34", "0") for n in range(1200)]
KEY = b"t" * 32
MINE = tuple(range(100))
FEW, MANY = tuple(range(300, 440)), (*range(60, 100), *range(500, 700))
"""140 people, none of them mine; or 240, of whom 40 are on my list too: both of size class 256."""
STOPPED = frozenset(range(80, 100))


def noise_that_makes_up_for(people: Sequence[int], total: int = 150) -> Callable[..., int]:
    """Ghosts so that people and ghosts are as many in every precinct, whoever the people are."""
    here = Counter(VOTERS[one][1] for one in people)
    drawn = iter(
        [total - here[precinct] for precinct in PRECINCTS]  # the parties in order: parks, union
        + [50] * len(PRECINCTS)
    )
    return lambda lists, below: next(drawn)


@dataclass
class View:
    """What a custodian gets in a season; ``mine`` are this partner's own locks by their tags."""

    chunks: list[list[RosterEntry]] = field(default_factory=list)
    released: list[list[bytes]] = field(default_factory=list)
    retired: set[bytes] = field(default_factory=set)
    mine: dict[bytes, int] = field(default_factory=dict)
    said: list[Any] = field(default_factory=list)

    def canonical(self) -> Any:
        """Own rows by number, everybody else's as how many locks came in the same pattern."""
        own: dict[int, Any] = {}
        others: Counter[Any] = Counter()
        for at, chunk in enumerate(self.chunks):
            for entry in chunk:
                sets = tuple(entry.lock in one for one in map(set, self.released))
                pattern = (at, sets, entry.tag in self.retired)
                if entry.lock in self.mine:
                    own[self.mine[entry.lock]] = pattern
                else:
                    others[pattern] += 1
        sizes = [len(chunk) for chunk in self.chunks], [len(one) for one in self.released]
        return sizes, own, others, self.said

    def stored(self, folder: Path) -> dict[str, Any]:
        """How many rows of what a custodian's real books hold after it."""
        ledger = Ledger(folder / "custodian.sqlite")
        for number, chunk in enumerate(self.chunks):
            ledger.add_chunk(EPOCH, number, f"{number:064}", chunk)
        ledger.retire(sorted(self.retired))
        found = dict(ledger.status())
        found["shut"] = [len(ledger.retired_among(one)) for one in self.released]
        ledger.close()
        return found


class Season:
    """A server whose match run and freeze are the real ones; tokens and links are made up."""

    def __init__(self, folder: Path, template: Path) -> None:
        folder.mkdir()
        shutil.copy(template, folder / "trellis.sqlite")
        self.engine = engine(f"sqlite:///{folder}/trellis.sqlite")
        self.clock = Standing(NOON)
        self.server = Server(folder, Units(self.engine, self.clock), self.clock)
        self.server.sign_agreement()
        self.folder, self.view, self.serial = folder, View(), itertools.count(1)
        self.secrets: dict[str, list[bytes]] = {}
        keys = match.MatchKeys(b"p" * 32, b"o" * 32, KEY)
        self.bench = match.Bench(
            self.server.units,
            self.server.artefacts,
            lambda epoch: keys,
            None,
            self.clock,  # type: ignore[arg-type]
        )
        self.roll = self.server.enrol(VOTERS)
        match._draw_ghosts(self.bench, EPOCH)

    def list_(self, partner: str, people: Sequence[int]) -> str:
        """Send a list, have it put into the roster and linked to these voters."""
        id = str(UUID(int=next(self.serial) << 64 | 0x4000800000000000))
        entries = [(secret, make_entry(EPOCH, secret, r)) for secret, r in make_rows(len(people))]
        self.secrets[id] = [secret for secret, _ in entries]
        rows = self.folder / f"{id}.rows"
        write_rows(
            rows, [BundleRow(n, e.tag, e.lock, e.proof, b"") for n, (_, e) in enumerate(entries)]
        )
        tokens = self.folder / f"{id}.tokens"
        address_tokens(tokens, people)
        if partner == ME:
            self.view.mine |= {e.lock: n for n, (_, e) in enumerate(entries)}
        new = seeds.contribution(
            partner,
            id=id,
            epoch=EPOCH,
            state="logged",
            rostered=False,
            header={"size_class": size_class(len(people))},
            rows_digest=self.server.artefacts.put(rows),
            tokens_digest=self.server.artefacts.put(tokens),
            links_digest=None,
            at=NOON + timedelta(minutes=next(self.serial)),
        )
        self.server.units.run("add", lambda unit: contributions.add(unit, new))
        match._extend_roster(self.bench, EPOCH)
        self._link(id, people)
        return id

    def _link(self, id: str, people: Sequence[int]) -> None:
        links = self.folder / f"{id}.links"
        write_links(links, [(n, person, 1.0) for n, person in enumerate(people)])
        digest = self.server.artefacts.put(links)
        self.server.units.run(
            "link",
            lambda unit: contributions.change(
                unit, id, state="matched", links_digest=digest, linked_roll=self.roll
            ),
        )

    def campaign(self, precincts: Sequence[str], name: str) -> None:
        """Approve and freeze one; keep the released set and what I am asked to attest."""
        id = str(UUID(int=next(self.serial) << 64 | 0x4000800000000001))
        definition = {"places": {"precinct": list(precincts)}}
        manifest = {"sources": [OTHER, ME], "size_class": 8192}
        one = seeds.campaign(
            id=id, race=RACE, state="approved", definition=definition, manifest=manifest
        )

        def plant(unit: Any) -> None:
            campaigns.add(unit, one)
            unit.session.flush()
            for partner in (OTHER, ME):
                campaigns.approve(
                    unit, campaigns.Approval(id, partner, "approve", f"{name}{partner}", NOON)
                )

        self.server.units.run("plant", plant)
        freeze.freeze(self.bench, id)
        frozen = self.server.units.run("look", lambda unit: campaigns.get(unit, id))
        assert frozen.state == "frozen", frozen.waiting_for
        assert frozen.audience_digest is not None
        with self.server.artefacts.open(frozen.audience_digest) as path, duckdb.connect() as base:
            found = base.execute("SELECT lock FROM read_parquet(?)", [str(path)]).fetchall()
        self.view.released.append([bytes(row[0]) for row in found])
        shown = attest.audience(
            self.server.units, Caller(ME, "partner", ME), id, self.server.artefacts
        )
        self.view.said.append(len(shown.leaves))

    def withdraw(self, id: str, partner: str, *, ghosts_too: bool = True) -> None:
        """The partner reveals its secrets to custodians, among those of its ghosts."""
        caller = Caller(partner, "partner", partner)
        revealed = list(self.secrets[id])
        if ghosts_too:
            given = ghosts.secrets_of(self.server.units, caller, id, self.server.artefacts)
            revealed += given[: len(given) - len(revealed)]  # as the partner's tool does
        self.view.retired |= {retire_tag(one) for one in revealed}
        self.server.units.run(
            "gone", lambda unit: contributions.change(unit, id, state="withdrawn")
        )

    def end(self) -> View:
        chunks = self.server.units.run("chunks", lambda unit: roster.chunks(unit, EPOCH))
        for chunk in chunks:
            raw = self.server.artefacts.read(chunk.digest)
            self.view.chunks.append(
                [RosterEntry.from_bytes(raw[n : n + 128]) for n in range(0, len(raw), 128)]
            )
        self.engine.dispose()
        return self.view


def address_tokens(out: Path, people: Sequence[int]) -> None:
    """A tokens artefact that holds address tokens alone: one person, one address."""
    plain = out.with_suffix(".plain")
    with duckdb.connect() as base:
        base.execute("CREATE TABLE t (row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT)")
        base.execute(
            "INSERT INTO t SELECT unnest(?::BIGINT[]), ?, unnest(?::BIGINT[]), 7",
            [list(range(len(people))), ADDRESS_RECIPE, list(people)],
        )
        base.table("t").write_parquet(str(plain))
    lock_file(plain, out, key=KEY)


Make = Callable[..., View]


@pytest.fixture
def season(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Live one season in which the other partner has these people."""
    monkeypatch.setattr(match.enter, "write", lambda *_, **__: "a" * 64)
    monkeypatch.setattr(match, "ROSTER_STEP", 64)  # a shorter chunk of nobody's locks
    count = itertools.count()

    def live(people: Sequence[int], *, ghosts_too: bool = True) -> View:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ghosts, "number", noise_that_makes_up_for(people))
            one = Season(tmp_path / f"world{next(count)}", sqlite_template)
            first = one.list_(OTHER, people)
            one.list_(ME, MINE)
            stop_some(one, people)
            one.campaign(PRECINCTS, "a")
            one.list_(OTHER, people)  # sent anew: the same people under new locks
            one.campaign(PRECINCTS[:1], "b")
            one.withdraw(first, OTHER, ghosts_too=ghosts_too)
            one.campaign(PRECINCTS, "c")
            return one.end()

    return live


def stop_some(one: Season, people: Sequence[int]) -> None:
    """Some of the other list have stopped; in the second world some of them are on mine too."""
    for person in sorted(set(people) & STOPPED):
        stop = seeds.stop(person=person, race=RACE, delivery=None, bundle=None, partner=OTHER)
        one.server.units.run("stop", lambda unit, stop=stop: suppressions.suppress(unit, stop))  # type: ignore[misc]


def test_two_worlds_are_one_at_a_custodian_once_the_noise_makes_up_for_them(
    season: Make, tmp_path: Path
) -> None:
    few, many = season(FEW), season(MANY)
    assert few.canonical() == many.canonical()
    assert [len(one) for one in few.released] == [150 * 2 + 50 * 2 + 100, 150 + 50 + 50, 500]
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    assert few.stored(tmp_path / "few") == many.stored(tmp_path / "many")


def dropping(before: Any) -> Any:
    """A freeze that leaves out the stopped and second copies before the set is released."""

    def audience(definition: Any, attributes: Path, sources: Sequence[Any]) -> list[Any]:
        found, seen = [], set()
        for one in before(definition, attributes, sources):
            if one.bundle != freeze.GHOSTS and one.roll_row in seen | STOPPED:
                continue
            seen |= {one.roll_row} if one.bundle != freeze.GHOSTS else set()
            found.append(one)
        return found

    return audience


def test_a_build_that_drops_before_release_is_found_out(
    season: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freeze.engine, "audience", dropping(matcher.audience))
    few, many = season(FEW).canonical(), season(MANY).canonical()
    assert few[1] != many[1]  # my own rows: who of them is on the other list falls out of the set


def test_ghosts_that_did_not_leave_with_their_list_would_be_found_out(
    season: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the ghosts were everybody's: what stays when a list is sent anew is a ghost."""
    for name in ("row", "secret"):
        real = getattr(ghosts, name)
        monkeypatch.setattr(
            ghosts, name, lambda key, bundle, n, real=real: real(key, "one for all", n)
        )
    few, many = season(FEW), season(MANY)
    stayed = [
        len(set(view.released[0]) & set(view.released[2]) - set(view.mine)) for view in (few, many)
    ]
    came = [len(set(view.released[0]) - set(view.released[2])) for view in (few, many)]
    assert came == [len(FEW), len(MANY)]  # the other list's size, to the person
    assert stayed[0] != stayed[1]


def test_a_withdrawal_of_rows_without_their_ghosts_would_be_found_out(season: Make) -> None:
    few, many = season(FEW, ghosts_too=False), season(MANY, ghosts_too=False)
    shut = [
        sum(entry.tag in view.retired for chunk in view.chunks for entry in chunk)
        for view in (few, many)
    ]
    assert shut == [len(FEW), len(MANY)]
    assert few.canonical() != many.canonical()


# -- with the noise as it is drawn

LISTS = 2
DRAWS = 6_000


def seen(people: int, below: Callable[[int], int], *, mine: bool = True) -> tuple[bool, int]:
    """One precinct of one released set: whether my row is there, and how many are not mine.

    As the test above shows, nothing else of it depends on the other list.
    """
    return mine, people + sum(ghosts.number(LISTS, below) for _ in range(LISTS))


def too_far(
    one: Counter[Any], other: Counter[Any], epsilon: float, delta: float, sure: float = 1e-6
) -> bool:
    """Whether samples show that P(S) <= e^epsilon Q(S) + delta fails for a set of one-sided sizes.

    Hoeffding's bound for each of so many sets, so that chance alone says yes once in a million.
    """
    outcomes = sorted(set(one) | set(other))
    n, m = sum(one.values()), sum(other.values())
    sets = [set(outcomes[:at]) for at in range(1, len(outcomes))]
    sets += [set(outcomes[at:]) for at in range(len(outcomes))]
    slack = [math.sqrt(math.log(2 * len(sets) / sure) / (2 * total)) for total in (n, m)]
    for some in sets:
        p = sum(one[each] for each in some) / n - slack[0]
        q = sum(other[each] for each in some) / m + slack[1]
        if p > math.exp(epsilon) * q + delta:
            return True
    return False


def sampled(people: int, seed: int, **what: Any) -> Counter[Any]:
    below = random.Random(seed).randrange
    return Counter(seen(people, below, **what) for _ in range(DRAWS))


def test_with_drawn_noise_one_person_on_every_list_moves_no_likelihood_beyond_the_bound() -> None:
    without, with_ = sampled(100, 1), sampled(100 + LISTS, 2)
    for one, other in ((without, with_), (with_, without)):
        assert not too_far(one, other, GHOST_EPSILON, GHOST_DELTA)
    # The harness is not blind: with less noise than a quarter of what is promised it says so.
    assert too_far(with_, without, GHOST_EPSILON / 8, GHOST_DELTA) or too_far(
        sampled(100 + 5 * LISTS, 3), without, GHOST_EPSILON, GHOST_DELTA
    )


def test_the_same_harness_finds_a_build_that_drops_before_release() -> None:
    without = sampled(100, 1)
    dropped = sampled(100, 2, mine=False)  # they are on the other list as well, so my copy goes
    assert too_far(dropped, without, GHOST_EPSILON, GHOST_DELTA)


def test_the_exact_law_is_within_the_bound_for_as_many_lists_as_there_may_be() -> None:

    for lists in (1, 2, 3, 4, 8):
        p, m = (
            math.exp(-GHOST_EPSILON / lists),
            ghost_shift(GHOST_EPSILON, GHOST_DELTA, lists=lists),
        )
        clipped = 2 * p**m / (1 + p)
        assert clipped <= GHOST_DELTA / lists
        assert 2 * p ** (m - 1) / (1 + p) > GHOST_DELTA / lists  # and no larger than it must be
