"""What no log opens to custodians: which rows were retired, which campaigns stopped or closed.

Books that were put back, or that begin anew, lack what was said since. They know that they do, and
take it from the other custodians: more can stay shut by what those say, never less.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consortium.custodian.countersign import Countersigned
from consortium.custodian.opens import Opens


class Told(Opens, Countersigned):
    """What is told to another custodian, what is taken from one, and whether that is owed."""

    def told(self) -> dict[str, Any]:
        """Return what another custodian must know: what was retired, stopped and closed."""
        return {
            "retired": [row[0].hex() for row in self.rows("SELECT tag FROM retired ORDER BY tag")],
            "stops": self.rows("SELECT campaign, by, at FROM stops ORDER BY campaign"),
            "closed": self.closings(),
        }

    def take_told(self, told: Mapping[str, Any]) -> None:
        """Take in what another custodian was told; it can only shut more.

        Raises:
            KeyError, TypeError, ValueError: it is malformed; nothing was taken.
        """
        tags = [bytes.fromhex(tag) for tag in told["retired"]]
        stops = [(str(a), str(b), datetime.fromisoformat(at)) for a, b, at in told["stops"]]
        closed = [(str(a), datetime.fromisoformat(at)) for a, at in told["closed"]]
        if any(len(tag) != 32 for tag in tags):
            raise ValueError("a tag has 32 bytes")
        self.retire(tags)
        for campaign, by, at in stops:
            self.stop(campaign, by, at)
        self.heard_closed(closed)

    def untold(self) -> bool:
        """Whether these books were put back and not enough others have told since."""
        return bool(self.rows("SELECT 1 FROM state WHERE name='untold'"))

    def catch_up(self, by: str, at: datetime) -> None:
        """Enough was told, or somebody answers for it.

        Args:
            by: who told, for people.
        """
        with self.write() as sql:
            sql.execute("DELETE FROM state WHERE name='untold'")
            self._state(sql, "told", f"{by}, {at.isoformat()}")

    def caught_up(self) -> str:
        """Return by whom, and when, these books were told after they were put back; or nothing."""
        rows = self.rows("SELECT value FROM state WHERE name='told'")
        return str(rows[0][0]) if rows else ""
