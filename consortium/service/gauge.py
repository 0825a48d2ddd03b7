"""How well a partner's own list meets the voter file, told to that partner alone, noised and paid.

Paid for in one transaction, before anything is counted; the process that holds the tokens' key then
counts and draws. A crash in between has paid for answers that the next ring draws.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime

from consortium.service import choose
from consortium.service.errors import WrongState
from consortium.service.workbench import Bench
from consortium.store import contributions, ledger, races
from consortium.store.contributions import Contribution, Roll
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from matching import engine, score
from matching.recipes import RECIPES
from policies import disclosure
from policies.authorise import Caller, require
from policies.parts import OWN_ROWS

FOUND, CERTAIN, BY_RECIPE = "found", "certain", "by recipe"
QUESTIONS = (FOUND, CERTAIN, BY_RECIPE)
RECIPE_SIGMA = OWN_ROWS.sigma * math.sqrt(len(RECIPES))
"""One person is in each recipe's count at most once: all of them together, at this noise, cost what
one count costs at ``OWN_ROWS.sigma``."""


@dataclass(frozen=True, slots=True)
class Gauged:
    """A list's match report as it may be read; ``answers_left`` of the partner's own part."""

    found: disclosure.Shown
    certain: disclosure.Shown
    recipes: tuple[tuple[str, disclosure.Shown], ...]
    answers_left: int


def ask(unit: Unit, caller: Caller, bundle: str, now: datetime) -> None:
    """Pay for a list's match report and ring for it. Asked again about the same run, it is free.

    Raises:
        Missing: the caller has no such list.
        WrongState: it has met no roll yet.
        BudgetSpent: too few of the partner's answers are left in this race.
    """
    race, one = races.first(unit).id, _own(unit, caller, bundle)
    for name in QUESTIONS:
        sigma = RECIPE_SIGMA if name == BY_RECIPE else OWN_ROWS.sigma
        choose.pay(
            unit, race, _part(caller), _question(one, name), caller.id, now, False, sigma=sigma
        )
    unit.after("gauge", bundle=bundle)


def told(unit: Unit, caller: Caller, bundle: str) -> Gauged | None:
    """The report that was paid for; None while it has not been drawn, or was not asked for."""
    race, one = races.first(unit).id, _own(unit, caller, bundle)
    memos = [ledger.memo(unit, race, _part(caller), _question(one, name)) for name in QUESTIONS]
    if any(memo is None or memo.answer is None for memo in memos):
        return None
    found, certain = (int(memo.answer or 0) for memo in memos[:2] if memo is not None)
    each = ledger.named(unit, race, _question(one, BY_RECIPE))
    left = choose.spent(unit, race).left(_part(caller)) // OWN_ROWS.units
    return Gauged(
        disclosure.shown(found, OWN_ROWS.sigma),
        disclosure.shown(certain, OWN_ROWS.sigma),
        tuple((recipe.says, disclosure.shown(each[recipe.id], RECIPE_SIGMA)) for recipe in RECIPES),
        left,
    )


def draw(bench: Bench, bundle: str) -> None:
    """Count and draw what was paid for; what is drawn already stays. Repeatable."""
    due = bench.units.run("gauge-due", lambda unit: _due(unit, bundle))
    if due is None:
        return
    race, one, roll = due
    assert one.tokens_digest is not None
    assert roll.tokens_digest is not None
    assert one.links_digest is not None
    with (
        bench.artefacts.open(one.tokens_digest) as members,
        bench.artefacts.open(roll.tokens_digest) as voters,
        bench.artefacts.open(one.links_digest) as links,
    ):
        key = bench.keys(one.epoch).tokens
        counted = engine.agreements(members, voters, links, key=key, memory=bench.memory)
        linked, certain = engine.linked(links, score.load().certain)
    simple = {
        name: disclosure.noisy(count, OWN_ROWS.sigma)
        for name, count in ((FOUND, linked), (CERTAIN, certain))
    }
    drawn = {
        recipe.id: disclosure.noisy(counted[at], RECIPE_SIGMA) for at, recipe in enumerate(RECIPES)
    }

    def keep(unit: Unit) -> None:
        part = f"{OWN_ROWS.name}:{one.partner}"
        for name, value in simple.items():
            ledger.answer(unit, race, part, _question(one, name), value)
        ledger.answer_named(unit, race, part, _question(one, BY_RECIPE), drawn)

    bench.units.run("gauge-answer", keep)


def _due(unit: Unit, bundle: str) -> tuple[str, Contribution, Roll] | None:
    one, race = contributions.find(unit, bundle), races.first(unit).id
    if one is None or one.state != "matched" or one.linked_roll is None:
        return None  # withdrawn meanwhile, or its epoch ended: nobody can be told any more
    memo = ledger.memo(unit, race, f"{OWN_ROWS.name}:{one.partner}", _question(one, BY_RECIPE))
    roll = contributions.find_roll(unit, one.linked_roll)
    if memo is None or memo.answer is not None or roll is None or roll.tokens_digest is None:
        return None
    return race, one, roll


def _own(unit: Unit, caller: Caller, bundle: str) -> Contribution:
    require(caller, "contribute", partner=caller.id)
    one = contributions.find(unit, bundle)
    if one is None or one.partner != caller.id:
        raise Missing("this partner has no such contribution")
    if one.state != "matched":
        raise WrongState("this list has met no voter file yet")
    return one


def _part(caller: Caller) -> str:
    return f"{OWN_ROWS.name}:{caller.id}"


def _question(one: Contribution, name: str) -> str:
    """One run is one question: a list that meets a newer roll is another one."""
    return hashlib.sha256(f"gauge {one.id} {one.linked_roll} {name}".encode()).hexdigest()
