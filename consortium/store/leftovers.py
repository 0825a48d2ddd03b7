"""What the database holds of an epoch, and how it lets go of it.

Rows that others hang on stay (a bundle's id, a letter's outcome, a stop); out of them goes whatever
is a lock, a token, a key or the name of a file.
"""

from typing import Any

from sqlalchemy import delete, select, update

from consortium.store import deliveries
from consortium.store.tables import (
    CampaignRow,
    ContributionRow,
    GhostsRow,
    RollRow,
    RosterChunkRow,
    SuppressionRow,
    WithdrawnRow,
)
from consortium.store.unit import Unit

LIVE = ("received", "logged", "matched")
_NAMES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (ContributionRow, ("rows_digest", "outputs_digest", "tokens_digest", "links_digest")),
    (RollRow, ("attributes_digest", "outputs_digest", "tokens_digest")),
    (RosterChunkRow, ("digest",)),
    (GhostsRow, ("rows_digest", "links_digest")),
    (CampaignRow, ("audience_digest",)),
)


def let_go(unit: Unit, epoch: str) -> set[str]:
    """Forget all that opens a row of an epoch or recognises its person by an address.

    A letter keeps its outcome and whom it went to, by person and stop key, for caps and stops; a
    stop keeps address and person. A bundle and a roll slice keep the digest of their first part,
    which the log's own entry has too.

    Returns:
        Every artefact that the epoch named, whether or not another one names it too.
    """
    named = _named(unit, epoch)
    run = unit.session.execute
    bundles = unit.session.scalars(
        select(ContributionRow.id).where(ContributionRow.epoch == epoch)
    ).all()
    for bundle in bundles:
        deliveries.withdraw(unit, bundle)
        run(delete(WithdrawnRow).where(WithdrawnRow.bundle == bundle))
    mine = ContributionRow.epoch == epoch
    gone = {"outputs_digest": None, "tokens_digest": None}
    empty = {**gone, "links_digest": None, "linked_roll": None, "wrapped": None}
    run(update(ContributionRow).where(mine).values(**empty))
    run(update(ContributionRow).where(mine, ContributionRow.state.in_(LIVE)).values(state="ended"))
    run(update(RollRow).where(RollRow.epoch == epoch).values(state="ended", **gone))
    run(update(CampaignRow).where(CampaignRow.epoch == epoch).values(audience_digest=None))
    run(
        update(SuppressionRow)
        .where(SuppressionRow.epoch == epoch)
        .values(address_token=None, epoch=None)
    )
    run(delete(RosterChunkRow).where(RosterChunkRow.epoch == epoch))
    run(delete(GhostsRow).where(GhostsRow.epoch == epoch))
    return named


def _named(unit: Unit, epoch: str) -> set[str]:
    found: set[str] = set()
    for row, names in _NAMES:
        query = select(*(getattr(row, name) for name in names)).where(row.epoch == epoch)
        for values in unit.session.execute(query):
            found.update(value for value in values if value is not None)
    return found
