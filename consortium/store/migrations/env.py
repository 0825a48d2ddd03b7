"""Runs migrations on the connection it is handed, one process at a time, with time limits."""

from alembic import context

from consortium.store.tables import Base

TURN = 0x7472656C6C6973
"""Key of the advisory lock on which processes that start together take turns."""

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")
    # A migration that cannot get its lock must give up, not queue everybody behind it.
    connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
    connection.exec_driver_sql("SET LOCAL statement_timeout = '120s'")
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
