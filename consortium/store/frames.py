"""DuckDB over artefacts: cells of the cube, and the frozen audience as a file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

BARE = "ghosts"
"""Stands for the bundle of an entry that is nobody's: nobody is ever written to from it."""


def _connection() -> duckdb.DuckDBPyConnection:
    """A connection of one's own: what it makes is temporary, and gone when it is closed."""
    return _engine(os.getpid()).cursor()


@cache
def _engine(process: int) -> duckdb.DuckDBPyConnection:
    # Starting one takes longer than most questions. Whoever forks by hand has to leave the child
    # by ``os._exit``, as ``multiprocessing`` does: a taken-over engine cannot be ended.
    return duckdb.connect()


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the cube: a piece of a precinct, its registered voters and its people.

    ``people`` is exact: it goes into noise and nowhere else.
    """

    precinct: str
    congressional: str
    senate: str
    house: str
    people: int

    def districts(self) -> tuple[str, str, str]:
        """The codes of the districts that this cell lies in."""
        return self.congressional, self.senate, self.house


def cells(attributes: Path, links: Sequence[Path]) -> list[Cell]:
    """Count people with at least one live link, per piece of a precinct, every piece included."""
    with _connection() as db:
        db.execute("CREATE TEMP TABLE linked (roll_row BIGINT)")
        for path in links:
            db.execute("INSERT INTO linked SELECT roll_row FROM read_parquet(?)", [str(path)])
        found = db.execute(
            """
            SELECT precinct, congressional, senate, house,
                   count(*) FILTER (row_id IN (SELECT roll_row FROM linked))
            FROM read_parquet(?) GROUP BY ALL ORDER BY ALL
            """,
            [str(attributes)],
        ).fetchall()
    return [Cell(*row) for row in found]


def precinct_rows(attributes: Path) -> dict[str, list[int]]:
    """Row ids of the roll by precinct, sorted."""
    with _connection() as db:
        found = db.execute(
            "SELECT precinct, list(row_id ORDER BY row_id) FROM read_parquet(?) GROUP BY 1",
            [str(attributes)],
        ).fetchall()
    return {precinct: list(rows) for precinct, rows in found}


def placed(attributes: Path, rows: Sequence[int]) -> set[int]:
    """Which of some rows a slice has and tells a place of; of the withheld it tells none."""
    with _connection() as db:
        found = db.execute(
            """
            SELECT row_id FROM (
                SELECT NULL::VARCHAR AS local WHERE false
                UNION ALL BY NAME SELECT * FROM read_parquet($path)
            ) JOIN (SELECT unnest($rows::BIGINT[]) AS row_id) USING (row_id)
            WHERE concat(precinct, congressional, senate, house, local, zip) <> ''
            """,
            {"path": str(attributes), "rows": list(rows)},
        ).fetchall()
    return {row for (row,) in found}


@dataclass(frozen=True, slots=True)
class Part:
    """One source's contribution to an audience."""

    bundle: str
    partner: str
    rows: Path  # the bundle's rows part: row, tag, lock, ...
    chosen: Mapping[int, int]  # row -> roll row
    address_tokens: Mapping[int, bytes]  # row -> 16 bytes; empty for ghosts


def write_audience(out: Path, attributes: Path, parts: Sequence[Part]) -> list[bytes]:
    """Write the frozen audience, sorted by lock, and return its locks in that order."""
    with _connection() as db:
        db.execute(
            """CREATE TEMP TABLE audience (lock BLOB, tag BLOB, bundle VARCHAR, partner VARCHAR,
               "row" BIGINT, roll_row BIGINT, address_token BLOB)"""
        )
        for part in parts:
            if not part.chosen:
                continue
            db.execute(
                'CREATE OR REPLACE TEMP TABLE chosen ("row" BIGINT, roll_row BIGINT, token BLOB)'
            )
            rows = list(part.chosen)
            db.execute(
                "INSERT INTO chosen SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[]),"
                " unnest(?::BLOB[])",
                [
                    rows,
                    [part.chosen[row] for row in rows],
                    [part.address_tokens.get(row) for row in rows],
                ],
            )
            db.execute(
                """INSERT INTO audience
                   SELECT b.lock, b.tag, ?, ?, c."row", c.roll_row, c.token
                   FROM chosen c JOIN read_parquet(?) b ON b."row" = c."row" """,
                [part.bundle, part.partner, str(part.rows)],
            )
        db.execute(
            """CREATE TEMP TABLE whole AS
               SELECT a.*, r.household, r.precinct, r.zip, r.house,
                      concat_ws('|', r.congressional, r.senate, r.house, r.local) AS districts
               FROM audience a JOIN (
                   SELECT NULL::VARCHAR AS local WHERE false
                   UNION ALL BY NAME SELECT * FROM read_parquet(?)
               ) r ON r.row_id = a.roll_row ORDER BY a.lock""",
            [str(attributes)],
        )
        db.table("whole").order("lock").write_parquet(str(out))
        locks = db.execute("SELECT lock FROM whole ORDER BY lock").fetchall()
    return [bytes(row[0]) for row in locks]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of a frozen audience, as the mailer reads it."""

    lock: bytes
    tag: bytes
    bundle: str
    partner: str
    row: int
    roll_row: int
    address_token: bytes | None
    household: int
    precinct: str
    zip: str
    house: str
    districts: str = ""
    """Every district's code, with bars between them; empty in files of an earlier version."""


def read_audience(path: Path, *, person: int | None = None) -> list[Candidate]:
    """Read a frozen audience, or one person's rows of it, in its order (by lock)."""
    with _connection() as db:
        found = db.execute(
            """SELECT lock, tag, bundle, partner, "row", roll_row, address_token, household,
                      precinct, zip, house, coalesce(districts, '') FROM (
                   SELECT NULL::VARCHAR AS districts WHERE false
                   UNION ALL BY NAME SELECT * FROM read_parquet($path)
               ) WHERE $person IS NULL OR roll_row = $person ORDER BY lock""",
            {"path": str(path), "person": person},
        ).fetchall()
    return [
        Candidate(
            lock=bytes(r[0]),
            tag=bytes(r[1]),
            bundle=r[2],
            partner=r[3],
            row=r[4],
            roll_row=r[5],
            address_token=None if r[6] is None else bytes(r[6]),
            household=r[7],
            precinct=r[8],
            zip=r[9],
            house=r[10],
            districts=r[11],
        )
        for r in found
    ]


def read_homes(path: Path) -> list[tuple[bytes, str, str, int, int, int]]:
    """What the mailer checks a letter against: lock, bundle, partner, row, roll row, household.

    Nobody is written to of what is a ghost's or bare, so these are not in it.
    """
    with _connection() as db:
        found = db.execute(
            """SELECT lock, bundle, partner, "row", roll_row, household
               FROM read_parquet(?) WHERE bundle <> ?""",
            [str(path), BARE],
        ).fetchall()
    return [(bytes(row[0]), *row[1:]) for row in found]


def read_housemates(path: Path, people: Sequence[int]) -> list[tuple[int, int]]:
    """Of a slice's attributes: household and roll row of everybody who lives with these people.

    Those included, as far as the slice says with whom they live.
    """
    with _connection() as db:
        found = db.execute(
            """SELECT household, row_id FROM read_parquet($path) WHERE household >= 0
               AND household IN (SELECT household FROM read_parquet($path)
                                 WHERE row_id IN (SELECT unnest($people::BIGINT[])))""",
            {"path": str(path), "people": list(people)},
        ).fetchall()
    return [(int(home), int(person)) for home, person in found]


def read_locks(path: Path) -> list[bytes]:
    """The locks of a frozen audience, sorted, and nothing else of it."""
    with _connection() as db:
        found = db.execute("SELECT lock FROM read_parquet(?) ORDER BY lock", [str(path)]).fetchall()
    return [bytes(row[0]) for row in found]


def read_sealed(path: Path, rows: Sequence[int]) -> list[tuple[int, bytes, bytes, bytes]]:
    """Read some rows of a bundle by their numbers: row, tag, lock and sealed payload."""
    with _connection() as db:
        found = db.execute(
            """SELECT b."row", b.tag, b.lock, b.sealed FROM read_parquet(?) b
               JOIN (SELECT unnest(?::BIGINT[]) AS n) wanted ON b."row" = wanted.n""",
            [str(path), list(rows)],
        ).fetchall()
    return [(row, bytes(tag), bytes(lock), bytes(sealed)) for row, tag, lock, sealed in found]


def without(path: Path, out: Path, bundle: str, rows: Sequence[int] | None, *, locks: bool) -> int:
    """Write a frozen audience's successor, in which nothing says whose some locks were.

    Args:
        rows: of the bundle; None is all of them.
        locks: whether the bare locks stay: while a campaign may still be opened, its root stands
            over all of them. A bare lock has no bundle, row, voter or token beside it.

    Returns:
        How many entries were changed, those included whose bare lock left now.
    """
    gone = "bundle = $bundle" if rows is None else 'bundle = $bundle AND "row" IN $rows'
    with _connection() as db:
        db.execute(
            """CREATE TEMP TABLE whole AS SELECT NULL::VARCHAR AS districts WHERE false
               UNION ALL BY NAME SELECT * FROM read_parquet($path)""",
            {"path": str(path)},
        )
        given: dict[str, object] = {"bundle": bundle}
        if rows is not None:
            given["rows"] = list(rows)
        changed = db.execute(f"SELECT count(*) FROM whole WHERE {gone}", given).fetchone()  # noqa: S608 - fixed words
        assert changed is not None
        db.execute(
            f"""UPDATE whole SET tag = repeat('\x00'::BLOB, 32), bundle = '{BARE}',
                partner = '{BARE}', "row" = -1, roll_row = -1, address_token = NULL,
                household = -1, precinct = '', zip = '', house = '', districts = '' WHERE {gone}""",  # noqa: S608 - fixed words
            given,
        )
        many = int(changed[0])
        if not locks:
            bare = db.execute('SELECT count(*) FROM whole WHERE "row" = -1').fetchone()
            assert bare is not None
            many = int(bare[0])
            db.execute('DELETE FROM whole WHERE "row" = -1')  # real ghosts have numbers
        db.table("whole").order("lock").write_parquet(str(out))
    return many
