"""A partner's own lists on its own computer, and the secrets behind every row."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from consortium.cli.errors import HomeRefused
from consortium.cli.home import Home, Json
from consortium.cli.vault import write_whole

FACTS = "list.json"
ROWS = "rows.json.enc"


@dataclass(frozen=True, slots=True)
class OwnRow:
    """One uploaded row as this computer remembers it; ``repr`` shows no secret."""

    row: int
    """The row in the partner's own file, the header being 1."""
    tag: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    lock: bytes = field(repr=False)
    zip: str = field(repr=False)
    address: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnList:
    """One contribution's folder under ``lists/``.

    The order in which its files appear is the order of the upload; each is written whole:
    ``list.json`` (id), ``plan.enc`` (row order and secrets), ``rows.parquet``, ``outputs.sealed``,
    ``rows.json.enc``, ``header.json``, ``entry.json``, ``receipt.json``.
    """

    folder: Path

    @property
    def id(self) -> str:
        """The contribution's UUID."""
        return self.folder.name

    @property
    def facts(self) -> Json:
        """What may be shown: id, when, how many rows, whether withdrawn."""
        return dict(json.loads((self.folder / FACTS).read_bytes()))

    def note(self, **more: object) -> None:
        """Add to the facts."""
        write_whole(
            self.folder / FACTS,
            (json.dumps({**self.facts, **more}, indent=1, sort_keys=True) + "\n").encode(),
        )

    def has(self, name: str) -> bool:
        """Whether a file of the list is there."""
        return (self.folder / name).exists()

    @property
    def withdrawn(self) -> bool:
        """Whether this list was withdrawn, from this computer at least."""
        return bool(self.facts.get("withdrawn"))

    def rows(self, home: Home) -> list[OwnRow]:
        """Return the rows behind the uploaded locks."""
        kept = home.vault.read(self.folder / ROWS)
        return [
            OwnRow(
                row=one[0],
                tag=bytes.fromhex(one[1]),
                secret=bytes.fromhex(one[2]),
                lock=bytes.fromhex(one[3]),
                zip=one[4],
                address=bytes.fromhex(one[5]),
            )
            for one in kept
        ]


def keep_rows(home: Home, own: OwnList, rows: list[OwnRow]) -> None:
    """Remember the rows behind the locks, encrypted under the home's key."""
    home.vault.write(
        own.folder / ROWS,
        [[r.row, r.tag.hex(), r.secret.hex(), r.lock.hex(), r.zip, r.address.hex()] for r in rows],
    )


def own_lists(home: Home) -> Iterator[OwnList]:
    """Every list of this home, oldest first."""
    folders = [path.parent for path in (home.path / "lists").glob(f"*/{FACTS}")]
    yield from sorted((OwnList(path) for path in folders), key=lambda own: own.facts["created"])


def own_list(home: Home, id: str) -> OwnList:
    """One list by its id or the beginning of it; raises HomeRefused."""
    found = [own for own in own_lists(home) if own.id.startswith(id)]
    if len(found) != 1:
        raise HomeRefused(
            f"{len(found)} lists of this home begin with that id; see trellis partner lists"
        )
    return found[0]


def sent(home: Home) -> list[OwnList]:
    """Every list whose rows may be on the server: its entry was drafted."""
    return [own for own in own_lists(home) if own.has("entry.json")]
