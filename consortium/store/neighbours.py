"""Whose name the letters to some voters carry, by where they live: the same all race long."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import delete, select

from consortium.store.tables import NeighbourRow
from consortium.store.unit import Unit


def listed(unit: Unit, race: str) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """By ZIP and precinct: where each messenger's voters start, in order."""
    query = select(NeighbourRow).where(NeighbourRow.race == race).order_by(NeighbourRow.start)
    found: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for row in unit.session.scalars(query):
        found[row.zip, row.precinct].append((row.start, row.messenger))
    return dict(found)


def put(unit: Unit, race: str, zip: str, precinct: str, new: Iterable[tuple[int, str]]) -> None:
    """Say anew whose the voters of one place are."""
    unit.session.execute(
        delete(NeighbourRow).where(
            NeighbourRow.race == race, NeighbourRow.zip == zip, NeighbourRow.precinct == precinct
        )
    )
    for start, messenger in new:
        unit.session.add(
            NeighbourRow(race=race, zip=zip, precinct=precinct, start=start, messenger=messenger)
        )
    unit.session.flush()
