"""Promised entries are put into the log, and what waited for them goes on."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from consortium.service import approve
from consortium.service.cover import Cover, covered, hours
from consortium.store import campaigns, log, texts
from consortium.store.unit import Unit, Units
from provenance.errors import RecoveryRefused
from provenance.sequencer import Sequencer

AT_ONCE = 1024
INTERVAL = "log-interval"


def due(unit: Unit, cover: Cover | None, now: datetime) -> bool:
    """Whether a publication is due: the next interval is over, or there are no intervals."""
    until = _last(unit)[0]
    return cover is None or until is None or cover.until(now) > until


def covers(unit: Unit) -> bool:
    """Whether any publication had dummies."""
    return _last(unit)[0] is not None


def publish(
    units: Units,
    sequencer: Sequencer,
    clock: Callable[[], datetime],
    cover: Cover | None = None,
    hold: timedelta = timedelta(),
) -> int:
    """Append what is pending, gather cosignatures, and note where each entry came to stand.

    Entries get their index only after the checkpoint that covers them was published with quorum,
    so nobody is told of an entry that witnesses have not seen. A crash before the note is made is
    mended by the next run: the sequencer finds entries again by their leaf hash.

    Args:
        cover: publishes once an interval, among dummies, whenever it is called; without it all
            that is pending is published at once, as demos want it.
        hold: the time to think again before the first letter. A campaign that was scheduled long
            before its last approval has it from here: only now nothing else is in the way.

    Returns:
        How many entries were placed, dummies among them; 0 while witnesses are missing.
    """
    if cover is None:
        waiting, known = units.read(
            "publish-look", lambda unit: (log.pending(unit, AT_ONCE), log.size(unit))
        )
    else:
        waiting, known = units.run(
            "publish-look", lambda unit: (_interval(unit, cover, clock()), log.size(unit))
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
                _ready(unit, campaign, clock() + hold)
        return placed

    return units.run("publish", record)


def _ready(unit: Unit, one: campaigns.Campaign, until: datetime) -> None:
    """Everything is in place but the hold, and the sending time of the letter's window."""
    if one.scheduled is None:
        campaigns.change(unit, one.id, state="logged", waiting_for="its sending time")
    else:
        held = max(one.scheduled, until)
        said = approve.holding(unit, one, held)
        campaigns.change(unit, one.id, state="logged", scheduled=held, waiting_for=said)
    unit.after("mail", campaign=one.id)


def _interval(unit: Unit, cover: Cover, now: datetime) -> list[log.Promised]:
    """What is published now, in its order, fixed before any of it is shown.

    The list is kept with its dummies in one transaction, so that a crash before, while or after
    the sequencer appends it leads to the same entries; what is said meanwhile waits for the next
    interval and does not show by coming alone.
    """
    since, leaves = _last(unit)
    waiting = log.unplaced(unit, leaves)
    if not due(unit, cover, now):
        return waiting
    until, held = cover.until(now), {one.leaf for one in waiting}
    said = log.said_before(unit, until, AT_ONCE, held)
    fresh = covered(said, hours(since, until, cover.least), cover)
    for one in fresh:
        log.promise(unit, one)
    waiting += fresh
    kept = {"until": until.isoformat(), "leaves": [one.leaf for one in waiting]}
    texts.put(unit, INTERVAL, json.dumps(kept))
    return waiting


def _last(unit: Unit) -> tuple[datetime | None, list[str]]:
    """The end of the interval last prepared, and the leaves of its publication."""
    if not texts.named(unit, INTERVAL):
        return None, []
    kept = json.loads(texts.get(unit, INTERVAL))
    return datetime.fromisoformat(kept["until"]), kept["leaves"]


def known(units: Units, sequencer: Sequencer) -> None:
    """Refuse a database that is older than the log, which a lock of the log's own cannot tell.

    Every entry is in the database before it is in the log, so one that only the log has means
    that an old copy of the database was put back. Call it at start, after the log recovered.

    Raises:
        RecoveryRefused: in words for an operator.
    """
    since = units.read("known-size", log.size)
    leaves = sequencer.leaves(since)

    def missing(unit: Unit) -> int:
        return sum(not log.promised(unit, leaf.hex()) for leaf in leaves)

    strange = units.read("known", missing)
    if strange:
        raise RecoveryRefused(
            f"the log has {strange} entries, from number {since} on, that this database has never "
            "heard of: an old copy of the database was put back. Do not start the worker with it: "
            "what was withdrawn, spent and opened since would be forgotten. Put back the database "
            "that belongs to the log."
        )


def refresh(sequencer: Sequencer, clock: Callable[[], datetime]) -> None:
    """Have the log's head cosigned anew, as it is: custodians want young cosignatures.

    What is pending stays so until the next publication, whose times tell nobody when it arrived.
    """
    sequencer.publish(clock())
