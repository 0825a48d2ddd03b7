"""Writes docs/MAP.md from the first docstring line of every module; `make map`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("consortium", "matching", "provenance", "mailer", "policies")
HEAD = """\
# Map

Every module and its own first sentence. Written by `make map`; tests/docs keeps it true.
"""


def modules() -> list[Path]:
    """Every module of the five packages, relative to the root, sorted."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found)


def first_line(path: Path) -> str:
    """The sentence a module begins with, or nothing."""
    said = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    return said.splitlines()[0] if said else ""


def lines() -> Iterator[str]:
    """The map, line by line: one table per folder."""
    yield from HEAD.splitlines()
    folder = None
    for path in sorted(modules(), key=lambda path: (str(path.parent), path.name)):
        if path.parent != folder:
            folder = path.parent
            yield from ("", f"## {folder}/", "", "| module | what it is |", "| --- | --- |")
        yield f"| `{path.name}` | {first_line(path).replace('|', chr(92) + '|')} |"


def text() -> str:
    """The whole map."""
    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "MAP.md").write_text(text(), encoding="utf-8")
