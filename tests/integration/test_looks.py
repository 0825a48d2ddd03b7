"""Looking at the store, and what is remembered of campaigns at custodians, on both engines."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from consortium.store import campaigns, deliveries, texts
from consortium.store.unit import Unit, Units
from tests.fakes import seeds


def test_a_look_cannot_write_and_the_next_unit_can(units: Units) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"):
        units.read("look", lambda unit: texts.put(unit, "a", "b"))
    units.run("put", lambda unit: texts.put(unit, "a", "b"))
    assert units.read("look", lambda unit: texts.get(unit, "a")) == "b"


def test_a_campaign_that_is_over_is_remembered_until_custodians_closed_it(units: Units) -> None:
    def to_close() -> list[str]:
        return units.read("to-close", deliveries.to_close)

    id = "12345678-1234-4234-8234-123456789012"  # as long as ids are

    def over(unit: Unit) -> None:
        seeds.plant(unit)
        campaigns.add(unit, seeds.campaign(id, state="stopped"))

    units.run("over", over)
    assert to_close() == []
    for _ in range(2):
        units.run("opening", lambda unit: deliveries.opening(unit, id))
    assert to_close() == [id]
    units.run("closed", lambda unit: deliveries.closed_at_custodians(unit, id))
    assert to_close() == []
