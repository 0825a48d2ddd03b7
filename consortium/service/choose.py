"""A universe is cut to a turf and sized, noised, charged to the budget."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from consortium.service import agree
from consortium.service.errors import NotReady
from consortium.store import contributions, frames, ledger, races
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Unit, Units
from matching import engine
from policies import budget, definition, disclosure
from policies.authorise import Caller, require
from policies.errors import DefinitionRefused
from policies.parts import ADHOC, CUBE, part_of

CUBE_LEVEL = "precinct"


@dataclass(frozen=True, slots=True)
class Place:
    """A place that may be chosen; ``registered`` comes from the roll, rounded to 50."""

    code: str
    registered: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A protected number. ``fresh`` says whether it cost a look."""

    definition: dict[str, Any]
    estimate: int
    shown: str
    low: int
    high: int
    fresh: bool
    looks_left: int
    sigma: float
    cells: int
    noisy: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The artefacts that a question is asked of; ``mark`` changes when any of them does."""

    attributes: str
    links: tuple[tuple[str, str, str], ...]  # (contribution, partner, links digest)

    @property
    def mark(self) -> str:
        text = json.dumps([self.attributes, sorted(self.links)])
        return hashlib.sha256(text.encode()).hexdigest()


def snapshot(unit: Unit, partners: Sequence[str] | None = None) -> Snapshot:
    """The newest ready roll and every partner's newest matched bundle, of the race's epoch alone.

    Raises:
        NotReady: there is no roll yet.
    """
    epoch = races.first(unit).epoch
    ready = contributions.rolls(unit, state="ready", epoch=epoch)
    if not ready:
        raise NotReady("the voter file is not here yet")
    newest = {}
    for one in contributions.listed(unit, state="matched", epoch=epoch):
        if one.linked_roll == ready[0].id and (partners is None or one.partner in partners):
            newest[one.partner] = (one.id, one.partner, str(one.links_digest))
    return Snapshot(ready[0].attributes_digest, tuple(sorted(newest.values())))


def catalogue(artefacts: Artefacts, attributes: str) -> dict[str, dict[str, int]]:
    """Every place of the roll with its registered voters."""
    with artefacts.open(attributes) as path:
        return {kind: dict(codes) for kind, codes in engine.places(path).items()}


def normal_form(raw: Mapping[str, Any], artefacts: Artefacts, attributes: str) -> dict[str, Any]:
    """A question in its one spelling, held against the roll that it is asked of.

    Raises:
        DefinitionRefused: it is none, or asks for what this roll does not tell of anybody.
    """
    known = catalogue(artefacts, attributes)
    normal = definition.normal_form(raw, known, ages=definition.AGES)
    if "primaries" in normal:
        with artefacts.open(attributes) as path:
            if not engine.tells_primaries(path):
                raise DefinitionRefused("primaries", "the voter file here does not tell them")
    return normal


def places(unit: Unit, caller: Caller, artefacts: Artefacts) -> dict[str, list[Place]]:
    """The places that may be chosen: those with enough registered voters on the roll."""
    race = races.first(unit).id
    require(caller, "see_places", term=agree.term(unit, race, unit.now))
    found = catalogue(artefacts, snapshot(unit, []).attributes)
    return {
        kind: [
            Place(code, registered // 50 * 50)
            for code, registered in sorted(codes.items())
            if registered >= definition.MIN_REGISTERED
        ]
        for kind, codes in found.items()
    }


def count(
    units: Units,
    caller: Caller,
    race: str,
    raw: Mapping[str, Any],
    *,
    artefacts: Artefacts,
    clock: Callable[[], datetime],
    gate: bool = False,
) -> Counted:
    """Answer how many people a definition has, noised; the same question, the same answer.

    Debit and memo are committed before the exact number is computed or any noise is drawn: a crash
    in between has paid for an answer that the next try draws. Whoever draws twice at once gets
    the answer that was stored first.

    Raises:
        Denied, DefinitionRefused, BudgetSpent, NotReady.
    """
    term = units.run("count-term", lambda unit: agree.term(unit, race, clock()))
    require(caller, "count", term=term)
    seen = units.run("count-look", snapshot)
    normal = normal_form(raw, artefacts, seen.attributes)
    cells = _cells(normal, seen, artefacts)
    if cells is not None:
        sums, fresh = _cube(units, caller, race, seen, cells, clock)
        noisy, sigma, many = sums, CUBE.sigma, len(cells[1])
    else:
        noisy, fresh = _adhoc(units, caller, race, seen, normal, artefacts, clock, gate)
        sigma, many = ADHOC.sigma, 1
    said = disclosure.shown(noisy, sigma, many)
    left = units.run("count-left", lambda unit: looks_left(unit, race, caller.id, clock()))
    return Counted(
        normal, said.estimate, said.text, said.low, said.high, fresh, left, sigma, many, noisy
    )


def looks_left(unit: Unit, race: str, person: str, now: datetime) -> int:
    """How many fresh looks this person still has."""
    return budget.looks_left(spent(unit, race), person, now)


def spent(unit: Unit, race: str) -> budget.Spent:
    """The race's ledger, folded and checked against its own chain."""
    charges = ledger.charges(unit, race)
    plain = [budget.Charge(c.part, c.units, c.question, c.person, c.at) for c in charges]
    return budget.replay(race, plain, charges[-1].head if charges else None)


def pay(
    unit: Unit,
    race: str,
    part: str,
    question: str,
    person: str,
    now: datetime,
    gate: bool,
    *,
    sigma: float | None = None,
) -> bool:
    """Debit one answer unless it is paid for already. Returns whether it was charged now.

    Args:
        sigma: of an answer of several numbers, which costs as much as one at the part's own.
    """
    made, after = budget.charge(
        spent(unit, race), part=part, question=question, person=person, now=now, gate=gate
    )
    if made is None:
        return False
    ledger.charge(
        unit,
        ledger.Charge(race, part, made.units, question, made.person, after.head, made.at),
        sigma or part_of(part).sigma,
    )
    return True


def _adhoc(
    units: Units,
    caller: Caller,
    race: str,
    seen: Snapshot,
    normal: Mapping[str, Any],
    artefacts: Artefacts,
    clock: Callable[[], datetime],
    gate: bool,
) -> tuple[int, bool]:
    question = definition.key({**normal, "snapshot": seen.mark})
    fresh = units.run(
        "count-pay", lambda unit: pay(unit, race, "B", question, caller.id, clock(), gate)
    )
    memo = units.run("count-memo", lambda unit: ledger.memo(unit, race, "B", question))
    assert memo is not None
    if memo.answer is not None:
        return memo.answer, fresh
    with opened(artefacts, seen) as (attributes, sources):
        drawn = disclosure.noisy(engine.count_people(normal, attributes, sources), ADHOC.sigma)
    return units.run(
        "count-answer", lambda unit: ledger.answer(unit, race, "B", question, drawn)
    ), fresh


CellKey = tuple[str, str, str, str]


def _cells(
    normal: Mapping[str, Any], seen: Snapshot, artefacts: Artefacts
) -> tuple[list[frames.Cell], list[CellKey]] | None:
    """All cells and those that a geography-only definition sums; None when it needs more."""
    if set(normal) != {"places"} or not set(normal["places"]) <= {"district", "precinct"}:
        return None
    with opened(artefacts, seen) as (attributes, sources):
        whole = frames.cells(attributes, [source.links for source in sources])
    districts = set(normal["places"].get("district", ()))
    if districts - {code for cell in whole for code in cell.districts()}:
        return None  # a county or a local district: cells do not know them
    precincts = set(normal["places"].get("precinct", ()))
    chosen = [
        _key(cell)
        for cell in whole
        if cell.precinct in precincts or districts & set(cell.districts())
    ]
    return whole, chosen


def _key(cell: frames.Cell) -> CellKey:
    return (cell.precinct, cell.congressional, cell.senate, cell.house)


def _cube(
    units: Units,
    caller: Caller,
    race: str,
    seen: Snapshot,
    cells: tuple[list[frames.Cell], list[CellKey]],
    clock: Callable[[], datetime],
) -> tuple[int, bool]:
    """Sum noised cells of this snapshot's cube; the cube is paid for once and drawn whole."""
    question = hashlib.sha256(f"cube {CUBE_LEVEL} {seen.mark}".encode()).hexdigest()
    fresh = units.run(
        "cube-pay", lambda unit: pay(unit, race, "A", question, "cube", clock(), False)
    )
    memo = units.run("cube-memo", lambda unit: ledger.memo(unit, race, "A", question))
    assert memo is not None
    if memo.answer is None:
        drawn = {_key(cell): disclosure.noisy(cell.people, CUBE.sigma) for cell in cells[0]}

        def keep(unit: Unit) -> None:
            ledger.answer_cells(unit, race, question, drawn, CUBE.sigma)

        units.run("cube-answer", keep)
    stored = units.run("cube-read", lambda unit: ledger.cells(unit, race, question))
    return sum(stored[key] for key in cells[1]), fresh


@contextmanager
def opened(artefacts: Artefacts, seen: Snapshot) -> Iterator[tuple[Path, list[engine.Source]]]:
    """The artefacts of a snapshot as local files, for the length of a ``with``."""
    with ExitStack() as stack:
        attributes = stack.enter_context(artefacts.open(seen.attributes))
        yield (
            attributes,
            [
                engine.Source(bundle, partner, stack.enter_context(artefacts.open(digest)))
                for bundle, partner, digest in seen.links
            ],
        )
