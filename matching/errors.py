"""What can be wrong with a list, a roll, a bundle or an artefact; says where, never what was there.

::

    MatchingError
    ├── ListRefused         a partner's file cannot be read at all; ``column`` when one is to blame
    ├── RowRefused          one row of it cannot be used; row, field, reason
    ├── RollRefused         a voter file is not in a layout that is known; carries the difference
    ├── BundleRefused       a bundle's part is not what its format says
    ├── ArtefactRefused     a file at rest does not open under this key, or was cut
    ├── WeightsRefused      the scorer's weights belong to other recipes
    ├── RecipeRefused       a recipe's tokens are so common that counting would betray them
    ├── LabelsRefused       a labelled file is not in its layout; file, row, column
    ├── DefinitionRefused   an audience's definition is not in its normal form
    ├── RowUnknown          a list has no row of that number
    └── GeographyRefused    a table of ZIP points, or a drawn area, cannot be read
"""

from __future__ import annotations

__all__ = [
    "ArtefactRefused",
    "BundleRefused",
    "DefinitionRefused",
    "GeographyRefused",
    "LabelsRefused",
    "ListRefused",
    "MatchingError",
    "RecipeRefused",
    "RollRefused",
    "RowRefused",
    "RowUnknown",
    "WeightsRefused",
]


class MatchingError(Exception):
    """The root: everything this package raises on purpose."""


class ListRefused(MatchingError):
    """A partner's file as a whole cannot be read; nothing of it was used."""

    def __init__(self, reason: str, *, column: str = "", todo: str = "") -> None:
        where = f"column {column!r}: " if column else ""
        super().__init__(f"{where}{reason}{'. ' + todo if todo else ''}")
        self.column, self.reason, self.todo = column, reason, todo


class RowRefused(MatchingError):
    """One row cannot be used. ``row`` counts the file's records, the header being 1.

    In a voter file it counts lines, so that an editor finds it; ``file`` is the file's name.
    """

    def __init__(self, row: int, field: str, reason: str, *, file: str = "") -> None:
        super().__init__(row, field, reason)
        self.row, self.field, self.reason, self.file = row, field, reason, file

    def __str__(self) -> str:
        return f"row {self.row}, {self.field}: {self.reason}"


class RollRefused(MatchingError):
    """A voter file's header or files are not of a known layout: stop, do not guess."""

    def __init__(self, reason: str, *, missing: tuple[str, ...] = (), new: tuple[str, ...] = ()):
        parts = [reason]
        if missing:
            parts.append("missing: " + ", ".join(missing))
        if new:
            parts.append("not expected: " + ", ".join(new))
        super().__init__("; ".join(parts))
        self.reason, self.missing, self.new = reason, missing, new

    def of(self, name: str) -> RollRefused:
        """The same of a file by its name."""
        return RollRefused(f"{name}: {self.reason}", missing=self.missing, new=self.new)


class BundleRefused(MatchingError):
    """A bundle's part breaks its format; names the part and the rule."""


class ArtefactRefused(MatchingError):
    """A file at rest does not open: another key, another purpose, or bytes were changed or cut."""


class WeightsRefused(MatchingError):
    """The weights were trained for other recipes than these."""


class RecipeRefused(MatchingError):
    """Too many voters share one token of a recipe; names the recipe and the counts."""


class LabelsRefused(MatchingError):
    """A file to measure with is not in its layout. ``row`` counts records, the header being 1."""

    def __init__(self, file: str, reason: str, *, row: int, column: str = "") -> None:
        where = f"{file}, row {row}" + (f", column {column}" if column else "")
        super().__init__(f"{where}: {reason}")
        self.file, self.row, self.column, self.reason = file, row, column, reason


class DefinitionRefused(MatchingError):
    """An audience's definition is not in its normal form; names the key."""


class RowUnknown(MatchingError):
    """A list has no row of that number."""


class GeographyRefused(MatchingError):
    """A table of ZIP points or a drawn area cannot be read; names file and row."""
