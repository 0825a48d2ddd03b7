"""Figures leave, noised, charged to the budget."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from consortium.service import choose
from consortium.service.errors import WrongState
from consortium.store import campaigns, ledger, written_to
from consortium.store.unit import Unit, Units
from policies import disclosure
from policies.authorise import Caller, require
from policies.parts import OUTCOME

FIGURES = ("handed to providers", "bounced", "stopped")


@dataclass(frozen=True, slots=True)
class Figure:
    """One outcome of a closed campaign, as it may be read."""

    name: str
    shown: str
    low: int
    high: int


def outcomes(
    units: Units, caller: Caller, id: str, *, clock: Callable[[], datetime]
) -> list[Figure]:
    """What became of a campaign's letters; only after it closed, and always the same answer.

    Raises:
        WrongState: it has not closed.
        BudgetSpent: no more outcomes can be told in this race.
    """
    one = units.run("report-look", lambda unit: campaigns.get(unit, id))
    if one.state != "closed":
        raise WrongState("outcomes are told once the campaign has closed")
    sources = (one.manifest or {}).get("sources", [])
    require(caller, "see_report", sources=sources, closed=True)
    found = []
    for name in FIGURES:
        question = _question(id, name)

        def pay(unit: Unit, question: str = question) -> ledger.Memo | None:
            choose.pay(unit, one.race, "C", question, caller.id, clock(), False)
            return ledger.memo(unit, one.race, "C", question)

        memo = units.run("report-pay", pay)
        assert memo is not None
        value = memo.answer
        if value is None:
            exact = units.run(
                "report-count",
                lambda unit, name=name: written_to.outcome(unit, id, name),  # type: ignore[misc]
            )
            drawn = disclosure.noisy(exact, OUTCOME.sigma)
            value = units.run(
                "report-answer",
                lambda unit, question=question, drawn=drawn: ledger.answer(  # type: ignore[misc]
                    unit, one.race, "C", question, drawn
                ),
            )
        found.append(_figure(name, value))
    return found


def told(unit: Unit, caller: Caller, id: str) -> list[Figure]:
    """The figures that somebody has paid for already; empty before. Spends nothing."""
    one = campaigns.get(unit, id)
    if one.state != "closed":
        return []
    require(caller, "see_report", sources=(one.manifest or {}).get("sources", []), closed=True)
    found = []
    for name in FIGURES:
        memo = ledger.memo(unit, one.race, "C", _question(id, name))
        if memo is None or memo.answer is None:
            return []
        found.append(_figure(name, memo.answer))
    return found


def _question(id: str, name: str) -> str:
    return hashlib.sha256(f"outcome {id} {name}".encode()).hexdigest()


def _figure(name: str, value: int) -> Figure:
    said = disclosure.shown(value, OUTCOME.sigma)
    return Figure(name, said.text, said.low, said.high)
