"""Facts of places are loaded, kept by their digest, and looked up for letters: public, checked."""

import hashlib
from dataclasses import dataclass

from consortium.service import choose
from consortium.service.errors import NotReady
from consortium.store import campaigns, texts
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from mailer import polling
from mailer.polling import PlaceTable


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a table did; ``missing`` are precincts of the voter file without a row."""

    digest: str
    rows: int
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    everywhere: bool


def load(unit: Unit, race: str, raw: bytes, *, file: str, artefacts: Artefacts) -> Loaded:
    """Check a steward's CSV and make it the race's newest table; earlier ones are kept.

    Raises:
        PlacesRefused: names file, row and column, and what to do.
        NotReady: there is no voter file yet to hold the precincts against.
    """
    known = choose.catalogue(artefacts, choose.snapshot(unit, []).attributes)["precinct"]
    table = polling.read(raw, file=file, precincts=known)
    digest = table.digest()
    texts.put(unit, _document(digest), table.to_bytes().decode())
    texts.put(unit, _pointer(race), digest)
    return Loaded(
        digest,
        len(table.rows),
        tuple(c for c in polling.COLUMNS if any(c in cells for cells in table.rows.values())),
        tuple(sorted(known.keys() - table.rows.keys())),
        polling.EVERYWHERE in table.rows,
    )


def newest(unit: Unit, race: str) -> str | None:
    """The digest of the race's newest table; None before one was loaded."""
    try:
        return texts.get(unit, _pointer(race))
    except Missing:
        return None


def table(unit: Unit, digest: str | None) -> PlaceTable:
    """A table by its digest, whose bytes are checked against it; without a digest an empty one.

    Raises:
        NotReady: it is not here, or its bytes are others.
    """
    if digest is None:
        return PlaceTable({})
    raw = texts.get(unit, _document(digest)).encode()
    if hashlib.sha256(raw).hexdigest() != digest:
        raise NotReady("the table of places was changed in the database; load it again")
    return polling.load(raw)


def facts(unit: Unit, digest: str | None, precinct: str, language: str) -> dict[str, str]:
    """What a letter may say of one precinct."""
    return table(unit, digest).facts(precinct, language)


def outdated(unit: Unit, one: campaigns.Campaign, names: frozenset[str]) -> bool:
    """Whether a newer table says anything else of what a letter with these fields states."""
    used, latest = one.template.get("facts"), newest(unit, one.race)
    if used == latest or not names:
        return False
    return table(unit, used).only(names) != table(unit, latest).only(names)


def _pointer(race: str) -> str:
    return f"places-{hashlib.sha256(race.encode()).hexdigest()[:32]}"


def _document(digest: str) -> str:
    return f"place-table-{digest[:28]}"
