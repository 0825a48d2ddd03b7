"""What looks odd about a quota's use is said in words, counted in the books, and stops nobody."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consortium.custodian.ledger import Ledger
from consortium.custodian.oddities import MANY, odd_about

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Open(Ledger):
    """Books that reserve at once."""

    def _reserved(self, sql: object, sid: str, actor: str) -> int:
        return 10**9


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = Open(tmp_path / "custodian.sqlite")
    yield made
    made.close()


def charge(books: Ledger, nonce: str, points: int, at: datetime = NOW) -> None:
    books.charge(
        sid="s", actor="union", nonce=nonce, request=nonce, points=points, allowed=10**9, at=at
    )


def test_an_honest_season_has_nothing_odd_about_it(books: Ledger) -> None:
    charge(books, "a", 100, NOW - timedelta(days=90))
    charge(books, "b", 50)
    assert odd_about(books, "union", 150, 100, NOW) == []


def test_more_than_the_list_explains_is_said(books: Ledger) -> None:
    charge(books, "a", 100)
    charge(books, "b", 80)
    more, fast = odd_about(books, "union", 180, 100, NOW)
    assert "1.8 times" in more
    assert "within a day" in fast
    (later,) = odd_about(books, "union", 180, 100, NOW + timedelta(days=2))
    assert later == more


def test_calls_refused_or_repeated_in_numbers_are_said_and_a_few_are_not(books: Ledger) -> None:
    charge(books, "a", 1)
    for _ in range(MANY + 1):
        books.odd("union", "refused", NOW)
        charge(books, "a", 1)
    refused, repeats = odd_about(books, "union", 1, 100, NOW)
    assert f"{MANY + 1} calls in a week that were refused" in refused
    assert "repeated an earlier one" in repeats
    assert odd_about(books, "league", 1, 100, NOW) == []
    assert odd_about(books, "union", 1, 100, NOW + timedelta(days=9)) == []
