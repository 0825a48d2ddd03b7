"""A migrated SQLite and a post office on it."""

from tests.databases import clock, sqlite_template, sqlite_units
from tests.fakes.post import post
from tests.fakes.server import server

__all__ = ["clock", "post", "server", "sqlite_template", "sqlite_units"]
