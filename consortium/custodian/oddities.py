"""What looks odd about somebody's use of a quota: said to people, and never a reason to refuse.

A custodian sees points and their number, never a row. So it can tell that a list is evaluated
more often or faster than its declared size explains, that calls are refused or repeated in
numbers; not whether the list that was uploaded is as long as what was paid for.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from consortium.custodian.ledger import Ledger

MANY = 100
"""Refused or repeated calls in a week from which somebody should look."""


def odd_about(
    ledger: Ledger, actor: str, points: int, list_points: int, now: datetime
) -> list[str]:
    """Return what looks odd about an actor, in words.

    Args:
        points: what it has had evaluated under this key.
        list_points: what its declared list takes once.
    """
    return list(_odd(ledger, actor, points, list_points, now))


def _odd(ledger: Ledger, actor: str, points: int, list_points: int, now: datetime) -> Iterator[str]:
    if points * 2 > list_points * 3:
        yield f"has used {points / list_points:.1f} times what its declared list takes once"
    if ledger.points_since(actor, now - timedelta(days=1)) * 2 > list_points * 3:
        yield "has had its declared list, and half of it again, evaluated within a day"
    week = ledger.oddities(actor, now - timedelta(days=7))
    for what, words in (("refused", "were refused"), ("repeats", "repeated an earlier one")):
        if week.get(what, 0) > MANY:
            yield f"made {week[what]:,} calls in a week that {words}"
