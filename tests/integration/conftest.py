"""The store on SQLite and on PostgreSQL, and a whole server on it, for the tests of this folder."""

from tests.databases import (
    clock,
    postgres_template,
    postgres_units,
    sqlite_template,
    sqlite_units,
    units,
)
from tests.fakes.server import any_server, server
from tests.installation import installation

__all__ = [
    "any_server",
    "clock",
    "installation",
    "postgres_template",
    "postgres_units",
    "server",
    "sqlite_template",
    "sqlite_units",
    "units",
]
