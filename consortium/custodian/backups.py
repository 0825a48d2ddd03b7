"""A custodian's books copied while it runs, and put back so that it knows they were.

A copy holds the shares as they are wrapped, and every count as it was then. What it cannot hold is
what was served since: so books that were put back serve nothing until the log has shown how far
this custodian had reserved, and go on there.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from consortium.custodian.errors import HomeUnready
from consortium.custodian.ledger import Ledger
from consortium.custodian.wrapping import Shut, in_use

_BESIDE = ("-wal", "-shm")


def back_up(database: Path, to: Path) -> None:
    """Write a consistent copy of the books, mode 0600, beside which a process may go on.

    Raises:
        HomeUnready: ``to`` is there already, or cannot be written.
    """
    try:
        with closing(Ledger(database, Shut())) as books:
            books.backup(to)
    except FileExistsError as error:
        raise HomeUnready(f"{to} is there already; a copy is never written over") from error
    except OSError as error:
        raise HomeUnready(f"{to} cannot be written: {error.strerror}") from error


def put_back(home: Path, database: Path, copy: Path) -> None:
    """Put a copy in place of the books, all of it or nothing, and mark them as put back.

    Raises:
        HomeUnready: a process uses the home, or the file is no copy of a custodian's books.
    """
    if in_use(home):
        raise HomeUnready("a custodian runs in this home: stop it first")
    _check(copy)
    fresh = database.with_suffix(".restoring")
    shutil.copyfile(copy, fresh)
    fresh.chmod(0o600)
    with closing(Ledger(fresh, Shut())) as books:
        # Before it stands where it could be served from. Its tally is the one of the home.
        books.mark_restored()
    for beside in _BESIDE:
        database.with_name(fresh.name + beside).unlink(missing_ok=True)
        database.with_name(database.name + beside).unlink(missing_ok=True)
    fresh.replace(database)


def _check(copy: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)) as sql:
            good = sql.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            sql.execute("SELECT 1 FROM keys, charges, releases, state LIMIT 1").fetchall()
    except sqlite3.Error as error:
        raise HomeUnready(f"{copy} is no copy of a custodian's books") from error
    if not good:
        raise HomeUnready(f"{copy} is damaged; take an earlier copy")
