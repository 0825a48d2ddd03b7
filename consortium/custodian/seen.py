"""Every cosigned tree of the log that this custodian has believed."""

from consortium.custodian.database import Database


class Seen(Database):
    """Trees by size; two roots of one size are both kept, as proof that the log was split."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS trees (size INTEGER, root BLOB, checkpoint TEXT NOT NULL,
    PRIMARY KEY (size, root)) WITHOUT ROWID;
"""

    def newest_tree(self) -> int:
        """Return the size of the largest cosigned tree seen, 0 if none was."""
        return int(self.rows("SELECT coalesce(max(size), 0) FROM trees")[0][0])

    def newest_checkpoint(self) -> str | None:
        """Return the signed and cosigned note of the largest tree seen."""
        rows = self.rows("SELECT checkpoint FROM trees ORDER BY size DESC LIMIT 1")
        return str(rows[0][0]) if rows else None

    def saw_tree(self, size: int, root: bytes, checkpoint: str) -> bool:
        """Remember a cosigned tree for good; false when this size was seen with another root.

        Both checkpoints are kept then: together they prove that the log was split.
        """
        query = "SELECT root FROM trees WHERE size=?"
        if (root,) not in self.rows(query, size):
            with self.write() as sql:
                row = (size, root, checkpoint)
                sql.execute("INSERT OR IGNORE INTO trees VALUES (?, ?, ?)", row)
        return len(self.rows(query, size)) == 1

    def trees_up_to(self, size: int) -> dict[int, tuple[bytes, str]]:
        """Return root and checkpoint by size, of every tree seen that is not larger."""
        query = "SELECT size, root, checkpoint FROM trees WHERE size<=?"
        return {one: (root, note) for one, root, note in self.rows(query, size)}

    def splits(self) -> list[tuple[int, list[str]]]:
        """Return each size that was shown with several roots, and the signed checkpoints."""
        query = "SELECT size FROM trees GROUP BY size HAVING count(*) > 1 ORDER BY size"
        return [
            (
                size,
                [row[0] for row in self.rows("SELECT checkpoint FROM trees WHERE size=?", size)],
            )
            for (size,) in self.rows(query)
        ]
