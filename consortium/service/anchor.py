"""The privacy ledger's head goes into the log, so that spending cannot be taken back."""

from datetime import datetime

from consortium.service import enter
from consortium.store import ledger, log, races
from consortium.store.errors import Missing
from consortium.store.unit import Unit


def anchor(unit: Unit, pen: enter.Pen, *, now: datetime) -> str | None:
    """Promise an entry with the ledger's head, if it has moved since the last one.

    Returns:
        The leaf hash in hex, or None when nothing moved.
    """
    try:
        race = races.first(unit)
    except Missing:
        return None
    charges = ledger.charges(unit, race.id)
    if not charges:
        return None
    head = charges[-1].head
    said = [entry.openings for entry in log.of_kind(unit, "ledger", pen.actor) if entry.openings]
    if said and said[-1]["head"]["value"] == head:
        return None
    spent = sum(charge.units for charge in charges)
    facts = {"kind": "head", "race": race.id, "head": head, "spent": spent}
    return enter.write(unit, pen, "ledger", facts, now=now)
