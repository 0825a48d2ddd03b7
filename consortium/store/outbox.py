"""The outbox's steps for many letters in few statements: claimed, and told as taken."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, cast

from sqlalchemy import Column, Dialect, Table, Update, bindparam, text

from consortium.store.deliveries import UNSENT, Delivery
from consortium.store.errors import LeaseLost
from consortium.store.tables import DeliveryRow
from consortium.store.unit import Unit

_Wanted: TypeAlias = tuple[tuple[Column[Any], ...], str]
"""Columns of letters, and of which letters."""
_LETTERS = cast(Table, DeliveryRow.__table__).c
_FIELDS = {name: at for at, name in enumerate(Delivery.__slots__)}
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


_WHOLE = tuple(_LETTERS[name] for name in Delivery.__slots__), "id"
_ADDRESSED = (_LETTERS.campaign, _LETTERS.stop_key, _LETTERS.id), "stop_key"
_HELD = (_LETTERS.id,), "state IN ('claimed', 'in_doubt') AND fence = :held AND id"
_GIVEN = {"sqlite": "IN (SELECT value FROM json_each(:given))", "postgresql": "= ANY(:given)"}
"""Many values as one: fifty parameters of their own cost more than the rows."""


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
    known = {row[0]: row for row in _read(unit, _WHOLE, [*keys])}
    addressed = {
        (campaign, key): id for campaign, key, id in _read(unit, _ADDRESSED, [*keys.values()])
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
        now,
        [{"which": one.id, "key": one.stop_key, "held": fence} for one in claimed],
    )
    _write(unit, _SECOND, now, [{"which": id} for id in twins])
    return claimed


def _claimed(row: Any, stop_key: str, fence: int, now: datetime) -> Delivery:
    fields = list(row)
    fields[_FIELDS["state"]] = "claimed"
    fields[_FIELDS["stop_key"]] = stop_key
    fields[_FIELDS["fence"]] = fence
    fields[_FIELDS["claimed_at"]] = now
    fields[_FIELDS["attempt"]] += 1
    return Delivery(*fields)


def taken(unit: Unit, letters: Sequence[Taken], *, fence: int, now: datetime) -> list[str]:
    """Write that the mail server has taken these.

    A crash before this commits leaves them claimed, as one right after a 250 does: the server's own
    log says what became of each.

    Returns:
        Ids that are not this worker's any more: somebody with a newer fence has the word there.
    """
    ids = [one.id for one in letters]
    mine = {id for (id,) in _read(unit, _HELD, ids, held=fence)}
    _write(
        unit,
        _TAKEN,
        now,
        [
            {"which": one.id, "text": one.text[:200], "queue": one.queue_id}
            for one in letters
            if one.id in mine
        ],
    )
    return [id for id in ids if id not in mine]


def _read(unit: Unit, wanted: _Wanted, given: Sequence[str], **more: Any) -> Sequence[Any]:
    unit.session.flush()  # what this unit has changed and not written yet
    connection = unit.session.connection()
    whole: Any = json.dumps(given) if connection.dialect.name == "sqlite" else list(given)
    query = _query(connection.dialect, wanted)
    return connection.execute(query, {"given": whole, **more}).all()


@cache
def _query(dialect: Dialect, wanted: _Wanted) -> Any:
    """A question as text: one built of expressions is walked anew whenever it is asked."""
    columns, where = wanted
    names = ", ".join(dialect.identifier_preparer.quote(column.name) for column in columns)
    given = _GIVEN[dialect.name]
    return text(f"SELECT {names} FROM deliveries WHERE {where} {given}").columns(*columns)  # noqa: S608


def _write(unit: Unit, change: Update, now: datetime, rows: Sequence[Mapping[str, Any]]) -> None:
    """Do one change for many letters, in the driver's own words: ours would cost as much again."""
    if not rows:
        return
    connection = unit.session.connection()
    words, order, same = _words(connection.dialect, change)
    same = {**same, "now": _moment(connection.dialect, now)}
    whole = [{**same, **row} for row in rows]
    given: Any = [tuple([row[name] for name in order]) for row in whole] if order else whole
    connection.exec_driver_sql(words, given)
    unit.session.expire_all()  # what this unit has read of these letters is no longer so


@cache
def _words(dialect: Dialect, change: Update) -> tuple[str, Sequence[str], Mapping[str, Any]]:
    """A change as the driver takes it: its text, its values' order, and those never given."""
    made = change.compile(dialect=dialect)
    same = {name: value for name, value in made.params.items() if value is not None}
    return made.string, made.positiontup or (), same


def _moment(dialect: Dialect, now: datetime) -> Any:
    """A time as the driver takes it."""
    process = _clock(dialect)
    return now if process is None else process(now)


@cache
def _clock(dialect: Dialect) -> Any:
    return _LETTERS.claimed_at.type.dialect_impl(dialect).bind_processor(dialect)
