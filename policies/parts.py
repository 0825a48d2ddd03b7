"""The parts of the privacy budget as data: how noisy, how dear, how many."""

import math
from dataclasses import dataclass

from policies.errors import BudgetSpent

MICRO = 1_000_000
"""One unit of the ledger is rho / MICRO."""


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the budget: ``limit`` units in all, ``units`` for one answer at ``sigma``."""

    name: str
    sigma: float
    units: int
    limit: int
    answers: int
    gives: str


def _part(name: str, sigma: float, limit: int, answers: int, gives: str) -> Part:
    # Rounded up: a ledger that rounds down promises more privacy than it keeps.
    units = math.ceil(MICRO / (2 * sigma * sigma) - 1e-9)
    return Part(name, sigma, units, limit, answers, gives)


CUBE = _part("A", 9.8, 62_500, 12, "places x mailable, four refreshes of three levels")
ADHOC = _part("B", 20.0, 62_500, 50, "counts with rules beyond geography")
OUTCOME = _part("C", 22.0, 62_500, 60, "delivered, bounced, stopped of a closed campaign")
# 16.01, not 16: sixteen answers rounded up to whole units must still fit the limit.
OWN_ROWS = _part("D", 16.01, 31_250, 16, "a partner's monthly report on its own rows")

PARTS = {part.name: part for part in (CUBE, ADHOC, OUTCOME, OWN_ROWS)}
GATE_SHARE = 20
"""Per cent of part B kept for send gates."""
DAY_UNITS = 10 * ADHOC.units
"""What one person may spend of part B in one UTC day: ten fresh looks."""


def part_of(name: str) -> Part:
    """Return the part that a charge names: "A", "B", "C", or "D:<partner>" for that partner's own.

    Raises:
        BudgetSpent: there is no such part. Any other suffix would be a second, full budget.
    """
    line, colon, partner = name.partition(":")
    if (
        line not in PARTS
        or bool(partner) != (line == OWN_ROWS.name)
        or bool(colon) != bool(partner)
    ):
        raise BudgetSpent("in this part", 0, "there is no such part")
    return PARTS[line]
