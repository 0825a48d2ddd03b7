"""Which wrapping protects this custodian's secrets: kept beside them, changed together with them.

Kind and secrets stand in one database, so that after a crash in the middle of a change either the
old passphrase opens everything or the new one does.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consortium.custodian.errors import WrappingAway, WrappingRefused
from consortium.custodian.keys import Keys, Wrapping


@dataclass(frozen=True, slots=True)
class Protected:
    """How this home's secrets are wrapped.

    Attributes:
        facts: what the kind needs besides a secret: salt and cost, a token's label, an address.
        proof: a known text as this wrapping wraps it, so that a wrong key is known at once.
    """

    kind: str
    facts: Mapping[str, Any]
    proof: bytes


class Protection(Keys):
    """The keys, and how they are protected."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS wrapping (one INTEGER PRIMARY KEY CHECK (one = 1), kind TEXT NOT NULL,
    facts TEXT NOT NULL, proof BLOB NOT NULL);
"""

    def protection(self) -> Protected | None:
        """Return how this home's secrets are wrapped, if that was chosen."""
        rows = self.rows("SELECT kind, facts, proof FROM wrapping")
        return Protected(rows[0][0], json.loads(rows[0][1]), rows[0][2]) if rows else None

    def protect(self, protected: Protected) -> None:
        """Keep the first choice.

        Raises:
            WrappingRefused: there is one; `rewrap` changes it.
        """
        with self.write() as sql:
            if sql.execute("SELECT 1 FROM wrapping").fetchone():
                raise WrappingRefused(
                    "this home is protected: `trellis custodian rewrap` changes it"
                )
            sql.execute("INSERT INTO wrapping VALUES (1, ?, ?, ?)", _row(protected))

    def rewrap(self, protected: Protected, wrapping: Wrapping) -> None:
        """Wrap every secret anew, and leave no byte as it was wrapped before.

        A crash before the commit leaves the old wrapping, one after it the new. Either way the
        next start empties the ``-wal`` file.

        Raises:
            WrappingAway: changed, but the disk has no room for the last step.
        """
        with self.write() as sql:
            self._rewrap(sql, wrapping)
            sql.execute("UPDATE wrapping SET kind=?, facts=?, proof=?", _row(protected))
        self.empty_wal()
        try:
            # A page that was split may keep a copy of what moved; written anew it has none.
            self.rows("VACUUM")
        except sqlite3.OperationalError as error:
            raise WrappingAway(f"{_HALF} ({error})") from error
        self.empty_wal()


_HALF = (
    "the new protection opens everything now, but the database could not be written anew, so "
    "that traces of the old one may be left in it: make room and run the same again"
)


def _row(protected: Protected) -> tuple[str, str, bytes]:
    return protected.kind, json.dumps(dict(protected.facts), sort_keys=True), protected.proof
