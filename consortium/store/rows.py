"""Turns a row into the frozen value that leaves the store."""

from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def frozen(kind: type[T], row: Any) -> T:
    """Copy the columns that ``kind`` names, and no others, out of ``row``."""
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})  # type: ignore[arg-type]
