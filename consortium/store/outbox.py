"""The outbox's steps for many letters in few statements: claimed, and told as taken."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, cast

from sqlalchemy import Column, Dialect, Table, Update, bindparam, literal_column, text

from consortium.store.deliveries import UNSENT, Delivery
from consortium.store.errors import LeaseLost
from consortium.store.tables import DeliveryRow
from consortium.store.unit import Unit

_Wanted: TypeAlias = tuple[tuple[Column[Any], ...], str]
"""Columns of letters, and of which letters."""
_Values: TypeAlias = Mapping[str, Any]
_LETTERS = cast(Table, DeliveryRow.__table__).c
_CHANGE = cast(Table, DeliveryRow.__table__).update().where(_LETTERS.id == bindparam("which"))
_CLAIM = _CHANGE.values(
    state="claimed",
    stop_key=bindparam("key"),
    fence=bindparam("held"),
    claimed_at=bindparam("now"),
    attempt=bindparam("tries"),
)
_SECOND = _CHANGE.values(state="dropped", outcome="second copy", settled_at=bindparam("now"))
_TAKEN = _CHANGE.where(
    _LETTERS.state.in_((literal_column("'claimed'"), literal_column("'in_doubt'"))),
    _LETTERS.fence == bindparam("held"),
).values(
    state="sent",
    outcome=bindparam("text"),
    queue_id=bindparam("queue"),
    settled_at=bindparam("now"),
)


_NOW = (
    tuple(_LETTERS[name] for name in ("id", "state", "attempt", "fence", "messenger", "day")),
    "id",
)
_NOWHERE = ("", 0, 0, "", None)
_ADDRESSED = (_LETTERS.campaign, _LETTERS.stop_key, _LETTERS.id), "stop_key"
_GIVEN = {"sqlite": "IN (SELECT value FROM json_each(:given))", "postgresql": "= ANY(:given)"}
"""Many values as one: fifty parameters of their own cost more than the rows."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The mail server said 250 to this letter's final dot."""

    id: str
    text: str
    queue_id: str | None


def claim(
    unit: Unit, wanted: Sequence[tuple[Delivery, str]], *, fence: int, now: datetime
) -> list[Delivery]:
    """Take letters for sending, some hundred at most; each address gets one of a campaign.

    Nothing may leave before this has committed: then a crash leaves doubts, never second letters.
    A letter whose address already has one that went, or may have gone, is dropped.

    Args:
        wanted: each letter as it was read, and the stop key of its address. What may have changed
            of one that has not left is read again; one that was withdrawn is dropped by then.

    Returns:
        Those that may leave now, as they are from now on.

    Raises:
        LeaseLost: somebody with a newer fence has had one of them in hand.
    """
    known = {id: rest for id, *rest in _read(unit, _NOW, [one.id for one, _ in wanted])}
    addressed = {
        (campaign, key): id
        for campaign, key, id in _read(unit, _ADDRESSED, [key for _, key in wanted])
    }
    claimed: list[Delivery] = []
    twins: list[_Values] = []
    for letter, key in wanted:
        state, tried, had, messenger, day = known.pop(letter.id, _NOWHERE)
        if state not in UNSENT:
            continue
        if had > fence:
            raise LeaseLost("this letter is another worker's now")
        if addressed.setdefault((letter.campaign, key), letter.id) == letter.id:
            claimed.append(
                replace(
                    letter,
                    state="claimed",
                    attempt=tried + 1,
                    fence=fence,
                    claimed_at=now,
                    stop_key=key,
                    messenger=messenger,
                    day=day,
                )
            )
        else:
            twins.append({"which": letter.id})
    _write(
        unit,
        _CLAIM,
        now,
        [{"which": one.id, "key": one.stop_key, "tries": one.attempt} for one in claimed],
        held=fence,
    )
    _write(unit, _SECOND, now, twins)
    return claimed


def taken(unit: Unit, letters: Sequence[Taken], *, fence: int, now: datetime) -> int:
    """Write that the mail server has taken these.

    A crash before this commits leaves them claimed, as one right after a 250 does: the server's own
    log says what became of each.

    Returns:
        How many are not this worker's any more: somebody with a newer fence has the word there.
    """
    rows: list[_Values] = [
        {"which": one.id, "text": one.text[:200], "queue": one.queue_id} for one in letters
    ]
    return len(rows) - _write(unit, _TAKEN, now, rows, held=fence)


def _read(unit: Unit, wanted: _Wanted, given: Sequence[str]) -> Sequence[Any]:
    unit.session.flush()  # what this unit has changed and not written yet
    connection = unit.session.connection()
    whole: Any = json.dumps(given) if connection.dialect.name == "sqlite" else list(given)
    query = _query(connection.dialect, wanted)
    return connection.execute(query, {"given": whole}).all()


@cache
def _query(dialect: Dialect, wanted: _Wanted) -> Any:
    """A question as text: one built of expressions is walked anew whenever it is asked."""
    columns, where = wanted
    names = ", ".join(dialect.identifier_preparer.quote(column.name) for column in columns)
    given = _GIVEN[dialect.name]
    return text(f"SELECT {names} FROM deliveries WHERE {where} {given}").columns(*columns)  # noqa: S608


def _write(unit: Unit, change: Update, now: datetime, rows: Sequence[_Values], **alike: Any) -> int:
    """Do one change for many letters, in the driver's own words: ours would cost as much again.

    Args:
        rows: what differs from letter to letter.
        alike: what does not.

    Returns:
        How many of them it was done to.
    """
    if not rows:
        return 0
    unit.session.flush()
    connection = unit.session.connection()
    words, order, fixed = _words(connection.dialect, change)
    alike = {**fixed, **alike, "now": _moment(connection.dialect, now)}
    given: Any
    if order:
        given = [
            tuple([row[name] if name in row else alike[name] for name in order]) for row in rows
        ]
    else:
        given = [{**alike, **row} for row in rows]
    done = connection.exec_driver_sql(words, given).rowcount
    unit.session.expire_all()  # what this unit has read of these letters is no longer so
    return done


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
