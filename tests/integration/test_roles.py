"""Each process has a database role of its own, and none may take back a charge or an entry."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine

from consortium.store.tables import Base

ROLES = (Path(__file__).parents[2] / "deploy" / "roles.sql").read_text()
DOORS = ("browser_keys", "sign_ins", "sessions", "spent_tokens")


@pytest.fixture
def owner(postgres_url: str) -> Iterator[psycopg.Connection]:
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    Base.metadata.create_all(engine)
    engine.dispose()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(ROLES.encode())
        connection.execute(ROLES.encode())  # again, as after every migration
        yield connection


def may(owner: psycopg.Connection, role: str, table: str, right: str) -> bool:
    found = owner.execute("select has_table_privilege(%s, %s, %s)", (role, table, right)).fetchone()
    assert found is not None
    return bool(found[0])


PROCESSES = ("trellis_server", "trellis_worker", "trellis_mailer")


@pytest.mark.parametrize("role", PROCESSES)
def test_no_process_takes_back_a_charge_or_an_entry(owner: psycopg.Connection, role: str) -> None:
    assert not may(owner, role, "entries", "DELETE")
    for right in ("UPDATE", "DELETE", "TRUNCATE"):
        assert not may(owner, role, "charges", right)


def test_only_the_server_knows_who_is_signed_in(owner: psycopg.Connection) -> None:
    for table in DOORS:
        assert may(owner, "trellis_server", table, "SELECT")
        for role in ("trellis_worker", "trellis_mailer"):
            assert not may(owner, role, table, "SELECT")


def test_the_mailer_sees_no_figure(owner: psycopg.Connection) -> None:
    for table in ("charges", "memos", "cells"):
        assert not may(owner, "trellis_mailer", table, "SELECT")


def test_only_the_worker_commits_the_log(owner: psycopg.Connection) -> None:
    able = [role for role in PROCESSES if may(owner, role, "log_lock", "UPDATE")]
    assert able == ["trellis_worker"]


def test_every_table_is_granted_to_somebody(owner: psycopg.Connection) -> None:
    for table in Base.metadata.tables:
        assert any(may(owner, role, table, "INSERT") for role in PROCESSES), table


def test_a_process_truly_cannot(owner: psycopg.Connection, postgres_url: str) -> None:
    as_mailer = postgres_url.replace("postgres@", "trellis_mailer@")
    with (
        psycopg.connect(as_mailer) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select * from sessions")
