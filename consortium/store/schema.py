"""Brings a database to the schema that this code expects."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine


def migrate(engine: Engine) -> None:
    """Run every migration that the database has not seen; safe to repeat, and at the same time."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    if engine.dialect.name == "postgresql":
        # Whoever waited for another's migration must then see what it did: no frozen snapshot.
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
