"""The ledger only grows, and refuses rather than overspend."""

from datetime import UTC, datetime, timedelta

import pytest

from policies.budget import Spent, charge, looks_left, opened, replay
from policies.errors import BudgetSpent, LedgerBroken

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


def ask(spent: Spent, question: int, *, person: str = "ana", day: int = 0, **more: bool) -> Spent:
    now = NOON + timedelta(days=day)
    return charge(spent, part="B", question=f"{question:064x}", person=person, now=now, **more)[1]


def test_an_answer_already_paid_for_is_free() -> None:
    spent = ask(opened("r"), 1)
    made, after = charge(spent, part="B", question=f"{1:064x}", person="bo", now=NOON)
    assert made is None
    assert after is spent


def test_a_person_has_ten_fresh_looks_a_day_and_another_person_ten_more() -> None:
    spent = opened("r")
    for n in range(10):
        assert looks_left(spent, "ana", NOON) == 10 - n
        spent = ask(spent, n)
    with pytest.raises(BudgetSpent):
        ask(spent, 10)
    assert looks_left(spent, "bo", NOON) == 10
    assert looks_left(ask(spent, 10, person="bo"), "bo", NOON) == 9
    assert looks_left(spent, "ana", NOON + timedelta(days=1)) == 10


def fill(spent: Spent) -> Spent:
    for n in range(40):
        spent = ask(spent, n, day=n // 10)
    return spent


def test_a_fifth_is_kept_for_send_gates_and_never_comes_back() -> None:
    spent = fill(opened("r"))
    with pytest.raises(BudgetSpent):
        ask(spent, 99, day=9)
    assert looks_left(spent, "ana", NOON + timedelta(days=9)) == 0
    for n in range(100, 110):
        spent = ask(spent, n, day=9, gate=True)
    assert spent.left("B") == 0
    with pytest.raises(BudgetSpent):
        ask(spent, 110, day=400, gate=True)


def test_gates_do_not_eat_what_questions_may_spend() -> None:
    spent = opened("r")
    for n in range(10):
        spent = ask(spent, 100 + n, gate=True)
    assert fill(spent).left("B") == 0


def test_nobody_can_pose_as_the_gate() -> None:
    with pytest.raises(BudgetSpent):
        ask(opened("r"), 1, person="*send gate*")


def test_each_partner_has_its_own_report_and_no_other() -> None:
    spent = opened("r")
    for n in range(16):
        _, spent = charge(spent, part="D:union", question=str(n), person="u", now=NOON)
    with pytest.raises(BudgetSpent):
        charge(spent, part="D:union", question="16", person="u", now=NOON)
    assert charge(spent, part="D:parks", question="0", person="p", now=NOON)[0] is not None


def test_the_head_follows_every_charge() -> None:
    spent, made = opened("r"), []
    for n in range(5):
        one, spent = charge(spent, part="B", question=str(n), person="ana", now=NOON)
        assert one is not None
        made.append(one)
    assert replay("r", made, spent.head) == spent
    for broken in (made[:-1], made[::-1], [*made, made[0]]):
        with pytest.raises(LedgerBroken):
            replay("r", broken, spent.head)
    with pytest.raises(LedgerBroken):
        replay("another race", made, spent.head)
