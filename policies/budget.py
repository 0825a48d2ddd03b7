"""What has been spent of the privacy budget: an integer ledger that only grows."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import rfc8785

from policies.errors import BudgetSpent, LedgerBroken
from policies.parts import ADHOC, DAY_UNITS, GATE_SHARE, part_of

GATE = "*send gate*"
"""``person`` of a charge that a send gate made; no person's day pays for it."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One debit: ``units`` of rho/1e6 on ``part`` for ``question`` (a hex key), asked by whom."""

    part: str
    units: int
    question: str
    person: str
    at: datetime

    def to_bytes(self) -> bytes:
        """Return the canonical bytes that the hash chain covers."""
        at = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return rfc8785.dumps(
            {
                "at": at,
                "part": self.part,
                "person": self.person,
                "question": self.question,
                "units": self.units,
            }
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """The ledger so far, folded; make it with ``opened`` or ``replay``, grow it with ``charge``."""

    head: str
    by_part: Mapping[str, int] = field(default_factory=dict)
    by_day: Mapping[tuple[str, str], int] = field(default_factory=dict)
    gates: int = 0
    known: frozenset[tuple[str, str]] = frozenset()

    @property
    def total(self) -> int:
        """All units spent in this race, over all parts."""
        return sum(self.by_part.values())

    def left(self, part: str) -> int:
        """Units left of a part, gates included."""
        return part_of(part).limit - self.by_part.get(part, 0)


def opened(race: str) -> Spent:
    """Return the empty ledger of a race; its head names the race, so ledgers cannot be swapped."""
    return Spent(hashlib.sha256(b"trellis/ledger/v1\n" + race.encode()).hexdigest())


def head(previous: str, charge: Charge) -> str:
    """Return the chain's next head: SHA-256 over the previous head and the charge."""
    return hashlib.sha256(bytes.fromhex(previous) + charge.to_bytes()).hexdigest()


def charge(
    spent: Spent, *, part: str, question: str, person: str, now: datetime, gate: bool = False
) -> tuple[Charge | None, Spent]:
    """Debit one answer, before its noise is drawn; an answer already paid for is free.

    Args:
        spent: the ledger as read in the same transaction.
        part: "A", "B", "C" or "D:<partner>".
        question: ``definition.key`` or another stable name; equal questions are one question.
        person: who asks.
        now: UTC; its date is the person's day.
        gate: the question is asked by a send gate, which may use the share kept for it.

    Returns:
        The charge to append (None: free, use the memo) and the ledger after it.

    Raises:
        BudgetSpent: refuse; never answer with less noise.
    """
    if person == GATE:
        raise BudgetSpent("for you", 0, "only a send gate spends what is kept for it")
    if (part, question) in spent.known:
        return None, spent
    made = Charge(part, part_of(part).units, question, GATE if gate else person, now)
    _room(spent, made)
    return made, _after(spent, made)


def looks_left(spent: Spent, person: str, now: datetime) -> int:
    """Return how many fresh ad-hoc counts this person could still ask today."""
    race = _kept_from_gates() - (spent.by_part.get("B", 0) - spent.gates)
    today = DAY_UNITS - spent.by_day.get((person, _day(now)), 0)
    return max(0, min(race, spent.left("B"), today) // ADHOC.units)


def replay(race: str, charges: Iterable[Charge], expected: str | None = None) -> Spent:
    """Fold stored charges again and check them.

    Raises:
        LedgerBroken: a charge is impossible, twice, or the chain does not lead to ``expected``.
    """
    spent = opened(race)
    for one in charges:
        if (one.part, one.question) in spent.known:
            raise LedgerBroken("one question was charged twice")
        try:
            if part_of(one.part).units != one.units:
                raise LedgerBroken("a charge has another price")
            _room(spent, one)
        except BudgetSpent as refused:
            raise LedgerBroken("more was charged than there is") from refused
        spent = _after(spent, one)
    if expected is not None and spent.head != expected:
        raise LedgerBroken("the charges do not lead to the head in the log")
    return spent


def _room(spent: Spent, made: Charge) -> None:
    if made.units <= 0 or made.units > spent.left(made.part):
        raise BudgetSpent("in this race", 0, "what is spent never comes back")
    if made.part != ADHOC.name or made.person == GATE:
        return
    free = _kept_from_gates() - (spent.by_part.get("B", 0) - spent.gates)
    if made.units > free:
        raise BudgetSpent("in this race", 0, "the rest is kept for checks before sending")
    today = DAY_UNITS - spent.by_day.get((made.person, _day(made.at)), 0)
    if made.units > today:
        raise BudgetSpent("for you today", 0, "places alone, and answers already given, are free")


def _after(spent: Spent, made: Charge) -> Spent:
    by_part = {**spent.by_part, made.part: spent.by_part.get(made.part, 0) + made.units}
    by_day, gates = dict(spent.by_day), spent.gates
    if made.part == ADHOC.name and made.person == GATE:
        gates += made.units
    elif made.part == ADHOC.name:
        day = (made.person, _day(made.at))
        by_day[day] = by_day.get(day, 0) + made.units
    known = spent.known | {(made.part, made.question)}
    return Spent(head(spent.head, made), by_part, by_day, gates, known)


def _kept_from_gates() -> int:
    return ADHOC.limit * (100 - GATE_SHARE) // 100


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
