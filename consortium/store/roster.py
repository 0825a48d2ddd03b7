"""The custodians' roster, chunk by chunk, and the ghosts that stand in it."""

from dataclasses import dataclass

from sqlalchemy import func, select

from consortium.store.rows import frozen
from consortium.store.tables import GhostsRow, RosterChunkRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Chunk:
    """One append-only chunk; ``digest`` names its artefact of 128-byte entries."""

    epoch: str
    chunk: int
    digest: str
    leaf: str


@dataclass(frozen=True, slots=True)
class Ghosts:
    """Artefacts of a race's ghosts: their rows (locks), and their made-up links to roll rows."""

    race: str
    epoch: str
    rows_digest: str
    links_digest: str
    rostered: bool


def chunks(unit: Unit, epoch: str) -> list[Chunk]:
    """All chunks of an epoch in order."""
    query = (
        select(RosterChunkRow).where(RosterChunkRow.epoch == epoch).order_by(RosterChunkRow.chunk)
    )
    return [frozen(Chunk, row) for row in unit.session.scalars(query)]


def next_chunk(unit: Unit, epoch: str) -> int:
    """The number that the next chunk gets."""
    last = unit.session.scalar(
        select(func.max(RosterChunkRow.chunk)).where(RosterChunkRow.epoch == epoch)
    )
    return 0 if last is None else last + 1


def add(unit: Unit, chunk: Chunk) -> None:
    """Append a chunk."""
    unit.session.add(
        RosterChunkRow(epoch=chunk.epoch, chunk=chunk.chunk, digest=chunk.digest, leaf=chunk.leaf)
    )


def ghosts(unit: Unit, race: str, epoch: str) -> Ghosts | None:
    """The ghosts of a race in an epoch, if they have been drawn."""
    row = unit.get(GhostsRow, (race, epoch))
    return None if row is None else frozen(Ghosts, row)


def ghosts_elsewhere(unit: Unit, race: str, epoch: str) -> Ghosts | None:
    """The ghosts of a race in another epoch than this one."""
    query = select(GhostsRow).where(GhostsRow.race == race, GhostsRow.epoch != epoch)
    row = unit.session.scalar(query.order_by(GhostsRow.epoch).limit(1))
    return None if row is None else frozen(Ghosts, row)


def add_ghosts(unit: Unit, drawn: Ghosts) -> None:
    """Keep a race's ghosts; they are drawn once and never again."""
    unit.session.add(GhostsRow(**{name: getattr(drawn, name) for name in Ghosts.__slots__}))
    unit.session.flush()


def move_ghosts(unit: Unit, race: str, epoch: str, links_digest: str) -> None:
    """Name the ghosts' links to the rows of a newer roll."""
    row = unit.get(GhostsRow, (race, epoch))
    if row is not None:
        row.links_digest = links_digest


def ghosts_rostered(unit: Unit, race: str, epoch: str) -> None:
    """The ghosts' locks stand in the roster now."""
    row = unit.get(GhostsRow, (race, epoch))
    if row is not None:
        row.rostered = True
