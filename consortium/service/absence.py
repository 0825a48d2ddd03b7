"""Which witnesses are missing, since when, and what waits for them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from consortium.store import texts
from consortium.store.unit import Unit, Units
from provenance.sequencer import Sequencer

NAME = "log-waits"


@dataclass(frozen=True, slots=True)
class Absence:
    """Entries that are promised and cannot be shown, because too few witnesses cosign.

    Attributes:
        entries: how many; none of them has a receipt, and nothing is sent on their strength.
        since: when that was first noticed.
        missing: ``name: reason`` of each witness that did not cosign.
    """

    entries: int
    since: datetime
    missing: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Who is missing, without why."""
        return tuple(one.partition(": ")[0] for one in self.missing)


def note(units: Units, sequencer: Sequencer, missing: Sequence[str], now: datetime) -> None:
    """Keep who was missing at the last publication, or that nobody is waited for any more."""
    entries = sequencer.committed().size - sequencer.published().size

    def keep(unit: Unit) -> None:
        before = absence(unit)
        if entries <= 0:
            texts.drop(unit, NAME)
            return
        since = before.since if before else now
        said = {"entries": entries, "since": since.isoformat(), "missing": list(missing)}
        texts.put(unit, NAME, json.dumps(said))

    if entries > 0 or units.read("absence", absence):
        units.run("absence", keep)


def absence(unit: Unit) -> Absence | None:
    """What waits for witnesses, or None when all that was promised is shown."""
    if NAME not in texts.named(unit, NAME):
        return None
    said = json.loads(texts.get(unit, NAME))
    since = datetime.fromisoformat(said["since"])
    return Absence(said["entries"], since, tuple(said["missing"]))
