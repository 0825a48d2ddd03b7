"""One agreement that the tests of this room start from."""

from datetime import UTC, datetime
from typing import Any

import pytest

from policies import agreement as agreements
from policies.agreement import Agreement

PARTIES = [
    {"id": i, "name": i.title(), "domain": f"{i}.example", "relation": "member", "public": c * 64}
    for i, c in (("union", "a"), ("parks", "b"), ("tenants", "c"))
]
CUSTODIANS = [{"id": f"c{n}", "public": str(n) * 64} for n in (1, 2, 3)]
RACE = {
    "id": "oh-house-44",
    "name": "Ohio House 44",
    "office": "State Representative",
    "state": "OH",
    "jurisdiction": "Ohio",
    "election_date": "2026-11-03",
    "polls_close": "2026-11-04T00:30:00Z",
    "time_zone": "America/New_York",
}


def make(**others: Any) -> Agreement:
    """Build the default agreement, some keys replaced."""
    given: dict[str, Any] = {
        "race": RACE,
        "parties": PARTIES,
        "custodians": CUSTODIANS,
        "opens": datetime(2026, 10, 1, 12, tzinfo=UTC),
        "closes": datetime(2026, 11, 3, 20, tzinfo=UTC),
        "postal_address": "1 Main Street, Toledo OH 43604",
    }
    return agreements.default(**{**given, **others})


@pytest.fixture
def agreement() -> Agreement:
    """The default agreement of three partners."""
    return make()


@pytest.fixture(name="make")
def make_fixture() -> Any:
    """The builder itself, for tests that need several."""
    return make
