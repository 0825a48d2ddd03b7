"""Promised entries are put into the log, and what waited for them goes on."""

from collections.abc import Callable
from datetime import datetime

from consortium.store import campaigns, log
from consortium.store.unit import Unit, Units
from provenance.sequencer import Sequencer

AT_ONCE = 1024


def publish(units: Units, sequencer: Sequencer, clock: Callable[[], datetime]) -> int:
    """Append what is pending, gather cosignatures, and note where each entry came to stand.

    Entries get their index only after the checkpoint that covers them was published with quorum,
    so nobody is told of an entry that witnesses have not seen. A crash before the note is made is
    mended by the next run: the sequencer finds entries again by their leaf hash.

    Returns:
        How many entries were placed; 0 while witnesses are missing.
    """
    waiting, known = units.read(
        "publish-look", lambda unit: (log.pending(unit, AT_ONCE), log.size(unit))
    )
    if waiting:
        indices = sequencer.append_once([one.entry for one in waiting], known, clock())
    else:
        indices = []
    if sequencer.published().size < sequencer.committed().size:
        sequencer.publish(clock())  # witnesses were missing
    covered = sequencer.published().size

    def record(unit: Unit) -> int:
        placed = 0
        for one, index in zip(waiting, indices, strict=True):
            if index < covered:
                log.placed(unit, one.leaf, index)
                placed += 1
        for campaign in campaigns.listed(unit, states=("attested",)):
            if campaign.intent_leaf is None:
                continue
            if log.find(unit, campaign.intent_leaf).index is not None:
                campaigns.change(unit, campaign.id, state="logged", waiting_for="its sending time")
                unit.after("mail", campaign=campaign.id)
        return placed

    return units.run("publish", record)


def refresh(sequencer: Sequencer, clock: Callable[[], datetime]) -> None:
    """Have the log's head cosigned anew, as it is: custodians want young cosignatures.

    What is pending stays so until the next publication, whose times tell nobody when it arrived.
    """
    sequencer.publish(clock())
