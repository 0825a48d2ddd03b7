"""Addresses typed into the form, each sealed to the mailer; what it has read is gone from here."""

from datetime import datetime

from sqlalchemy import func, select

from consortium.store.tables import TypedStopRow
from consortium.store.unit import Unit


def add(unit: Unit, sealed: bytes, at: datetime) -> None:
    """Keep one for the mailer."""
    unit.session.add(TypedStopRow(sealed=sealed, at=at))
    unit.session.flush()


def waiting(unit: Unit) -> int:
    """How many the mailer has not read yet."""
    return int(unit.session.scalar(select(func.count()).select_from(TypedStopRow)) or 0)


def waiting_since(unit: Unit, before: datetime) -> int:
    """How many of them came before a moment."""
    query = select(func.count()).select_from(TypedStopRow).where(TypedStopRow.at < before)
    return int(unit.session.scalar(query) or 0)


def oldest(unit: Unit, most: int) -> list[tuple[int, bytes]]:
    """The first of them: number and ciphertext."""
    query = select(TypedStopRow.seq, TypedStopRow.sealed).order_by(TypedStopRow.seq).limit(most)
    return [(seq, sealed) for seq, sealed in unit.session.execute(query)]


def drop(unit: Unit, seq: int) -> None:
    """It was read; nothing of it stays."""
    row = unit.get(TypedStopRow, seq)
    if row is not None:
        unit.session.delete(row)
