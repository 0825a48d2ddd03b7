"""What other custodians said of destroying their shares: found in the log, opened, and counted."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from consortium.custodian.database import Database
from consortium.custodian.errors import CustodianError, LogUnreachable, Refused
from consortium.custodian.log import Logged
from matching.endings import Ending, ending
from matching.statement import Statement


class Endings(Database):
    """Entries about keys that custodians signed, as following the log found them.

    ``said`` holds what is worth keeping of one: the facts of a destruction, else nothing.
    """

    SCHEMA = """
CREATE TABLE IF NOT EXISTS key_entries (leaf TEXT PRIMARY KEY, by TEXT NOT NULL,
    at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS key_entries_read (leaf TEXT PRIMARY KEY, said TEXT NOT NULL)
    WITHOUT ROWID;
"""

    def unread(self) -> list[tuple[str, str]]:
        """Return leaf and custodian of each entry that was found and not opened yet."""
        query = """SELECT leaf, by FROM key_entries
            WHERE leaf NOT IN (SELECT leaf FROM key_entries_read) ORDER BY leaf"""
        return list(self.rows(query))

    def read(self, leaf: str, said: Mapping[str, Any]) -> None:
        """Keep what an entry said; once."""
        with self.write() as sql:
            row = (leaf, json.dumps(dict(said)))
            sql.execute("INSERT OR IGNORE INTO key_entries_read VALUES (?, ?)", row)

    def ending(self, statement: Statement, publics: Mapping[str, bytes], until: str = "") -> Ending:
        """Count who destroyed its share of exactly this statement.

        Args:
            publics: custodians' 32-byte keys by id.
            until: count only entries of this hour or before.
        """
        query = """SELECT by, said FROM key_entries JOIN key_entries_read USING (leaf)
            WHERE at <= ? OR ? = ''"""
        said = [(by, json.loads(facts)) for by, facts in self.rows(query, until, until)]
        return ending(statement, [(publics.get(by, b""), facts) for by, facts in said], publics)

    def ended(self, statement: Statement, publics: Mapping[str, bytes]) -> datetime | None:
        """Return the hour from which too few shares are left, if so many said so."""
        for (at,) in self.rows("SELECT DISTINCT at FROM key_entries ORDER BY at"):
            if not self.ending(statement, publics, at).missing:
                return datetime.fromisoformat(at)
        return None


class _Log(Protocol):
    def find(self, leaf: str) -> Logged | None:
        """Return a published entry, proved."""


def hear_endings(ledger: Endings, log: _Log, custodians: Callable[[], Mapping[str, bytes]]) -> None:
    """Open each entry about keys that following the log found, once.

    Raises:
        CustodianError: the first that could not be opened, after all others were tried.
    """
    failed: CustodianError | None = None
    for leaf, by in ledger.unread():
        try:
            logged = log.find(leaf)
        except (LogUnreachable, Refused) as error:
            failed = failed or error
            continue
        if logged is None or logged.actor != custodians().get(by):
            continue
        gone = logged.facts.get("kind") == "destroyed" and logged.facts.get("id") == by
        ledger.read(leaf, logged.facts if gone else {})
    if failed is not None:
        raise failed
