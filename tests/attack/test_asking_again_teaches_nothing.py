"""A coordinator who asks one question in many spellings does not learn if a person is on a list.

Two worlds differ in one person. The attacker asks as often as the budget lets them, averages, and
guesses the world. With the memo the answers are one answer; the same harness with the memo off
must succeed, else it proves nothing.
"""

import random
from datetime import UTC, datetime, timedelta

import pytest

from policies import budget
from policies.definition import key, normal_form
from policies.disclosure import advantage_bound, gate_size, noisy
from policies.errors import BudgetSpent
from policies.parts import ADHOC, MICRO

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
CODES = [f"P-{n}" for n in range(8)]
CATALOGUE = {"precinct": dict.fromkeys(CODES, 900)}
SIZE = 1000
ROUNDS = 300
QUIET = 4.0
"""Less noise than production has, so that the game is short; the bound is that noise's own."""


class Desk:
    """Counts as the service does: debit, then noise, then memo. ``memo`` can be broken off."""

    def __init__(self, truth: int, *, memo: bool) -> None:
        self.truth, self.memo = truth, memo
        self.spent, self.kept = budget.opened("r"), dict[str, int]()

    def ask(self, raw: dict[str, object], now: datetime) -> int:
        question = key(normal_form(raw, CATALOGUE))
        if not self.memo:
            return noisy(self.truth, QUIET)
        made, self.spent = budget.charge(
            self.spent, part="B", question=question, person="eve", now=now
        )
        if made is not None:
            self.kept[question] = noisy(self.truth, QUIET)
        return self.kept[question]


def spelling(rng: random.Random) -> dict[str, object]:
    """Spell "all eight precincts, any votes" at random."""
    codes = CODES * rng.randint(1, 3)
    rng.shuffle(codes)
    votes = rng.choice([None, [], ["0", "1-2", "3-4", "new"], ["3-4", "new", "1-2", "0", "0"]])
    return {"places": {"precinct": codes}, "votes": votes}


def advantage(*, memo: bool, asks: int) -> float:
    """Play the game; return how much better than a coin the attacker is, from 0 to 1."""
    rng, right = random.Random(1), 0
    for n in range(ROUNDS):
        member = n % 2
        desk = Desk(SIZE + member, memo=memo)
        said = [desk.ask(spelling(rng), NOON) for _ in range(asks)]
        guess = sum(said) / asks > SIZE + 0.5
        right += guess == bool(member)
    return 2 * right / ROUNDS - 1


def test_a_thousand_spellings_get_one_answer_and_cost_one_question() -> None:
    rng, desk = random.Random(2), Desk(SIZE, memo=True)
    said = {desk.ask(spelling(rng), NOON) for _ in range(1000)}
    assert len(said) == 1
    assert desk.spent.total == ADHOC.units


def test_averaging_gains_no_more_than_one_answer_may() -> None:
    bound = advantage_bound(1 / (2 * QUIET**2))
    # But for a few games in a million, one of this length stays this near to its mean.
    assert advantage(memo=True, asks=20) <= bound + 4.5 / ROUNDS**0.5


def test_the_same_attack_succeeds_with_the_memo_off() -> None:
    # 14 of 300 games are lost on average: 46 or more are twice in a million million times.
    assert advantage(memo=False, asks=180) >= 0.7


def test_near_questions_end_with_the_budget() -> None:
    desk, answered = Desk(SIZE, memo=True), 0
    for n in range(1, 2 ** len(CODES)):
        chosen = [code for bit, code in enumerate(CODES) if n >> bit & 1]
        try:
            desk.ask({"places": {"precinct": chosen}, "votes": ["0"]}, NOON + timedelta(days=n))
            answered += 1
        except BudgetSpent:
            assert desk.spent.left("B") == ADHOC.limit // 5
    assert answered == 40
    assert advantage_bound(desk.spent.total / MICRO) < 0.13 + 0.005


def test_an_attacker_who_burns_the_questions_leaves_others_their_gate() -> None:
    spent, burnt = budget.opened("r"), 0
    for n in range(60):
        try:
            spent = budget.charge(spent, part="B", question=f"e{n}", person="eve", now=NOON)[1]
            burnt += 1
        except BudgetSpent:
            pass
    assert burnt == 10
    assert budget.looks_left(spent, "ana", NOON) == 10
    for n in range(10):
        gate = budget.charge(spent, part="B", question=f"g{n}", person="ana", now=NOON, gate=True)
        spent = gate[1]
    with pytest.raises(BudgetSpent):
        budget.charge(spent, part="B", question="e99", person="eve", now=NOON)


def test_the_gate_cannot_be_probed_by_asking_it_again() -> None:
    near = gate_size(ADHOC.sigma)
    desk, rng = Desk(near, memo=True), random.Random(3)
    assert len({desk.ask(spelling(rng), NOON) >= near for _ in range(500)}) == 1
