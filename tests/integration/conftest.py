"""The store on SQLite and on PostgreSQL, for the tests of this folder."""

from tests.databases import (
    clock,
    postgres_template,
    postgres_units,
    sqlite_template,
    sqlite_units,
    units,
)

__all__ = [
    "clock",
    "postgres_template",
    "postgres_units",
    "sqlite_template",
    "sqlite_units",
    "units",
]
