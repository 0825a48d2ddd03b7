"""Artefacts that nothing names any more: remembered in the transaction that let them go.

A successor is stored first. One transaction then names it instead of its predecessor and dooms
that. Only afterwards are bytes deleted, so a crash at any instant leaves either the old state or a
deletion that is still due, and no name without its file.
"""

from collections.abc import Iterable

from sqlalchemy import delete, select

from consortium.store.artefacts import Artefacts
from consortium.store.tables import (
    CampaignRow,
    ContributionRow,
    DoomedRow,
    GhostsRow,
    RollRow,
    RosterChunkRow,
)
from consortium.store.unit import Unit, Units

_NAMED = (
    ContributionRow.rows_digest,
    ContributionRow.outputs_digest,
    ContributionRow.tokens_digest,
    ContributionRow.links_digest,
    RollRow.attributes_digest,
    RollRow.outputs_digest,
    RollRow.tokens_digest,
    RosterChunkRow.digest,
    GhostsRow.rows_digest,
    GhostsRow.links_digest,
    CampaignRow.audience_digest,
)


def doom(unit: Unit, digests: Iterable[str | None]) -> None:
    """Let artefacts go with this transaction; ``sweep`` deletes their bytes. None is nothing."""
    for digest in {*digests} - {None}:
        if unit.get(DoomedRow, digest) is None:
            unit.session.add(DoomedRow(digest=digest))
    unit.session.flush()


def sweep(units: Units, artefacts: Artefacts) -> int:
    """Delete the bytes of everything doomed; how many files went. Repeatable at any time.

    What is named again (the same content by another way) is spared, and doomed no longer.
    """
    due = units.run("doomed", _due)
    for digest in due:
        artefacts.delete(digest)
    # Only now: until the bytes are gone, the next sweep must still know their names.
    if due:
        units.run(
            "doomed-gone",
            lambda unit: unit.session.execute(
                delete(DoomedRow).where(DoomedRow.digest.in_(due))
            ).close(),
        )
    return len(due)


def named(unit: Unit) -> set[str]:
    """Every artefact that something names which is neither withdrawn nor ended."""
    found: set[str] = set()
    for column in _NAMED:
        query = select(column).where(column.is_not(None))
        if column.class_ is ContributionRow:
            # A withdrawn bundle keeps the name of its rows part, and only the name.
            query = query.where(ContributionRow.state.not_in(("withdrawn", "ended")))
        if column.class_ is RollRow:
            query = query.where(RollRow.state != "ended")
        found.update(digest for digest in unit.session.scalars(query) if digest)
    return found


def _due(unit: Unit) -> list[str]:
    due = set(unit.session.scalars(select(DoomedRow.digest)))
    if not due:
        return []
    spared = due & named(unit)
    unit.session.execute(delete(DoomedRow).where(DoomedRow.digest.in_(spared)))
    return sorted(due - spared)
