"""The outbox's steps for many letters in few statements: claimed, and told as taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, select

from consortium.store.deliveries import UNSENT, Delivery
from consortium.store.errors import LeaseLost
from consortium.store.tables import DeliveryRow
from consortium.store.unit import Unit

_LETTERS = cast(Table, DeliveryRow.__table__).c
_GIVEN: Any = bindparam("given", expanding=True)
_WHOLE = select(*(_LETTERS[name] for name in Delivery.__slots__)).where(_LETTERS.id.in_(_GIVEN))
_HELD = select(_LETTERS.id).where(
    _LETTERS.id.in_(_GIVEN),
    _LETTERS.state.in_(("claimed", "in_doubt")),
    _LETTERS.fence == bindparam("held"),
)
_ADDRESSED = select(_LETTERS.campaign, _LETTERS.stop_key, _LETTERS.id).where(
    _LETTERS.stop_key.in_(_GIVEN)
)
_CHANGE = cast(Table, DeliveryRow.__table__).update().where(_LETTERS.id == bindparam("which"))
_CLAIM = _CHANGE.values(
    state="claimed",
    stop_key=bindparam("key"),
    fence=bindparam("held"),
    claimed_at=bindparam("now"),
    attempt=_LETTERS.attempt + 1,
)
_SECOND = _CHANGE.values(state="dropped", outcome="second copy", settled_at=bindparam("now"))
_TAKEN = _CHANGE.values(
    state="sent",
    outcome=bindparam("text"),
    queue_id=bindparam("queue"),
    settled_at=bindparam("now"),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """The mail server said 250 to this letter's final dot."""

    id: str
    text: str
    queue_id: str | None


def claim(
    unit: Unit, wanted: Sequence[tuple[str, str]], *, fence: int, now: datetime
) -> list[Delivery]:
    """Take letters for sending, some hundred at most; each address gets one of a campaign.

    Nothing may leave before this has committed: then a crash leaves doubts, never second letters.
    A letter whose address already has one that went, or may have gone, is dropped.

    Args:
        wanted: each letter's id, and the stop key of its address.

    Returns:
        Those that may leave now, as they are from now on.

    Raises:
        LeaseLost: somebody with a newer fence has had one of them in hand.
    """
    keys = dict(wanted)
    known = {row.id: row for row in _read(unit, _WHOLE, given=[*keys])}
    addressed = {
        (campaign, key): id for campaign, key, id in _read(unit, _ADDRESSED, given=[*keys.values()])
    }
    claimed: list[Delivery] = []
    twins: list[str] = []
    for id, key in keys.items():
        letter = known.get(id)
        if letter is None or letter.state not in UNSENT:
            continue
        if letter.fence > fence:
            raise LeaseLost("this letter is another worker's now")
        if addressed.setdefault((letter.campaign, key), id) == id:
            claimed.append(_claimed(letter, key, fence, now))
        else:
            twins.append(id)
    _write(
        unit,
        _CLAIM,
        [{"which": one.id, "key": one.stop_key, "held": fence, "now": now} for one in claimed],
    )
    _write(unit, _SECOND, [{"which": id, "now": now} for id in twins])
    return claimed


def _claimed(row: Any, stop_key: str, fence: int, now: datetime) -> Delivery:
    changed = {"state": "claimed", "stop_key": stop_key, "fence": fence, "claimed_at": now}
    return Delivery(**{**row._mapping, **changed, "attempt": row.attempt + 1})


def taken(unit: Unit, letters: Sequence[Taken], *, fence: int, now: datetime) -> list[str]:
    """Write that the mail server has taken these.

    A crash before this commits leaves them claimed, as one right after a 250 does: the server's own
    log says what became of each.

    Returns:
        Ids that are not this worker's any more: somebody with a newer fence has the word there.
    """
    ids = [one.id for one in letters]
    mine = {id for (id,) in _read(unit, _HELD, given=ids, held=fence)}
    _write(
        unit,
        _TAKEN,
        [
            {"which": one.id, "text": one.text[:200], "queue": one.queue_id, "now": now}
            for one in letters
            if one.id in mine
        ],
    )
    return [id for id in ids if id not in mine]


def _read(unit: Unit, query: Any, **given: Any) -> Sequence[Any]:
    unit.session.flush()  # what this unit has changed and not written yet
    return unit.session.connection().execute(query, given).all()


def _write(unit: Unit, change: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        unit.session.connection().execute(change, rows)
        unit.session.expire_all()  # what this unit has read of these letters is no longer so
