"""What migrations make is what the models say, on both engines, with rows in it or none."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

import consortium.store.schema
from consortium.clock import Standing
from consortium.store import (
    actors,
    campaigns,
    contributions,
    deliveries,
    epochs,
    ledger,
    log,
    messengers,
    roster,
    suppressions,
    texts,
)
from consortium.store.schema import migrate
from consortium.store.tables import Base
from consortium.store.unit import Unit, Units, engine
from tests.databases import ENGINES, NOON
from tests.fakes import seeds

SCRIPTS = Path(consortium.store.schema.__file__).parent / "migrations"


@pytest.fixture(params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        made = engine(f"sqlite:///{tmp_path}/new.sqlite")
    else:
        made = engine(request.getfixturevalue("postgres_url"))
    yield made
    made.dispose()


def config(connection: Any = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.attributes["connection"] = connection
    return made


def test_the_models_and_the_migrated_schema_agree(empty: Engine) -> None:
    migrate(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_constraints_and_indexes_are_those_of_the_models(empty: Engine) -> None:
    migrate(empty)
    migrated = shape(empty)
    with empty.begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    assert migrated == shape(empty)


def shape(base: Engine) -> dict[str, Any]:
    """Every table with its columns, keys, constraints and indexes."""
    seen = inspect(base)
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)],
            seen.get_pk_constraint(table)["constrained_columns"],
            sorted(tuple(c["column_names"]) for c in seen.get_unique_constraints(table)),
            sorted(
                (c["constrained_columns"][0], c["referred_table"])
                for c in seen.get_foreign_keys(table)
            ),
            sorted((str(i["name"]), tuple(i["column_names"])) for i in seen.get_indexes(table)),
        )
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


def test_migrating_twice_changes_nothing_and_keeps_the_rows(empty: Engine) -> None:
    migrate(empty)
    units = Units(empty, Standing(NOON))
    units.run("plant", plant_everything)
    before = units.run("look", everything)
    migrate(empty)
    assert units.run("look", everything) == before


def plant_everything(unit: Unit) -> None:
    """A row in the tables that hurt most when lost."""
    seeds.plant(unit)
    deliveries.plan(unit, [seeds.letter(1)])
    suppressions.suppress(unit, seeds.stop(stop_key="f" * 64))
    ledger.charge(
        unit, ledger.Charge(seeds.RACE, "B", 1250, "q" * 64, "cora", "0" * 64, NOON), 20.0
    )
    log.promise(unit, log.Promised("1" * 64, "key", "cora", b"entry", {"a": 1}, None, NOON))
    texts.put(unit, "invite", "{}")


def everything(unit: Unit) -> list[object]:
    return [
        actors.everyone(unit),
        campaigns.listed(unit),
        contributions.listed(unit),
        deliveries.in_state(unit, seeds.CAMPAIGN, ("pending",)),
        ledger.charges(unit, seeds.RACE),
        log.pending(unit, 9),
        texts.get(unit, "invite"),
    ]


def test_going_down_over_rows_leaves_nothing_and_up_again_works(empty: Engine) -> None:
    migrate(empty)
    units = Units(empty, Standing(NOON))
    units.run("plant", plant_everything)
    with empty.begin() as connection:
        command.downgrade(config(connection), "base")
    assert set(inspect(empty).get_table_names()) <= {"alembic_version"}
    migrate(empty)
    units.run("plant", plant_everything)


def test_messengers_of_the_first_schema_stay_and_hold_no_link(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(config(connection), "0001")
        connection.execute(
            text(
                "INSERT INTO races (id, name, epoch, agreement, digest)"
                " VALUES ('r', 'R', 'e', :agreement, 'd')"
            ),
            {"agreement": b"{}"},
        )
        connection.execute(
            text(
                "INSERT INTO messengers (id, race, name, place) VALUES ('m', 'r', 'Ann', 'Toledo')"
            )
        )
    migrate(empty)
    kept = messengers.Messenger("m", "r", "Ann", "Toledo", None, None, None)
    units = Units(empty, Standing(NOON))
    assert units.run("listed", lambda unit: messengers.listed(unit, "r")) == [kept]
    new = messengers.Messenger("n", "r", "Bo", "Toledo", NOON, None, "f" * 64)
    units.run("add", lambda unit: messengers.add(unit, new))
    with empty.begin() as connection:
        command.downgrade(config(connection), "0001")
        rows = connection.execute(text("SELECT * FROM messengers ORDER BY id")).mappings().all()
    assert [(row["name"], row["confirmed"] is None) for row in rows] == [
        ("Ann", True),
        ("Bo", False),
    ]
    assert "token_hash" not in rows[0]


def test_a_bundle_of_the_second_schema_is_wrapped_to_the_key_that_its_header_names(
    empty: Engine,
) -> None:
    with empty.begin() as connection:
        command.upgrade(config(connection), "0002")
        connection.execute(
            text("INSERT INTO actors (id, role, name, public) VALUES ('u', 'partner', 'U', 'p')")
        )
        for id, header, wrapped in (
            ("kept", f'{{"mailer": "{"a" * 64}"}}', b"w"),
            ("gone", f'{{"mailer": "{"a" * 64}"}}', None),
            ("odd", "{}", b"w"),
        ):
            connection.execute(
                text(
                    "INSERT INTO contributions (id, partner, epoch, state, header, wrapped,"
                    " rows_digest, rostered, leaf, at) VALUES (:id, 'u', 'e', 'matched', :header,"
                    " :wrapped, 'r', true, 'l', '2026-11-21 12:00:00')"
                ),
                {"id": id, "header": header, "wrapped": wrapped},
            )
    migrate(empty)
    units = Units(empty, Standing(NOON))
    found = units.run("look", contributions.listed)
    assert {one.id: one.wrapped_to for one in found} == {
        "kept": "a" * 64,
        "gone": None,
        "odd": None,
    }
    with empty.begin() as connection:
        command.downgrade(config(connection), "0002")
        rows = connection.execute(text("SELECT id, wrapped FROM contributions")).all()
    assert len([wrapped for _, wrapped in rows if wrapped is not None]) == 2


def test_a_race_of_the_fourth_schema_keeps_its_epoch_its_audiences_and_its_ghosts(
    empty: Engine,
) -> None:
    with empty.begin() as connection:
        command.upgrade(config(connection), "0004")
        for line in (
            "INSERT INTO races (id, name, epoch, agreement, digest)"
            " VALUES ('r', 'R', 'e', :agreement, 'd')",
            "INSERT INTO ghosts (race, rows_digest, links_digest, rostered)"
            " VALUES ('r', 'rows', 'links', :yes)",
            "INSERT INTO actors (id, role, name, public) VALUES ('a', 'coordinator', 'A', 'p')",
            *(
                "INSERT INTO campaigns (id, race, author, state, definition, template, progress,"
                f" waiting_for, at, audience_digest) VALUES ('{id}', 'r', 'a', 'closed', '{{}}',"
                f" '{{}}', 0, '', :now, {digest})"
                for id, digest in (("frozen", "'digest'"), ("drafted", "NULL"))
            ),
        ):
            more = {"agreement": b"{}", "yes": True, "now": NOON.replace(tzinfo=None)}
            connection.execute(
                text(line), {name: more[name] for name in more if f":{name}" in line}
            )
    migrate(empty)
    units = Units(empty, Standing(NOON))
    found = units.run("epochs", epochs.listed)
    assert [(one.id, one.state, one.ended) for one in found] == [("e", "open", None)]
    kept = units.run("ghosts", lambda unit: roster.ghosts(unit, "r", "e"))
    assert kept == roster.Ghosts("r", "e", "rows", "links", True)
    whose = units.run("look", lambda unit: {c.id: c.epoch for c in campaigns.listed(unit)})
    assert whose == {"frozen": "e", "drafted": None}
    units.run("next", lambda unit: roster.add_ghosts(unit, replace(kept, epoch="f")))
    with empty.begin() as connection:
        command.downgrade(config(connection), "0004")
        rows = connection.execute(text("SELECT * FROM ghosts")).mappings().all()
        assert [(row["race"], row["rows_digest"]) for row in rows] == [("r", "rows")]
        assert "epochs" not in inspect(connection).get_table_names()


def test_processes_that_start_together_take_turns(empty: Engine) -> None:
    url = empty.url.render_as_string(hide_password=False)
    work = (
        "import sys; from consortium.store.unit import engine; from consortium.store import schema"
    )
    line = f"{work}; input(); schema.migrate(engine(sys.argv[1]))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", line, url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=SCRIPTS.parents[2],
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    assert [process.communicate(timeout=400)[1] for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
    with empty.connect() as connection:
        assert connection.execute(text("select count(*) from alembic_version")).scalar() == 1


def test_there_is_one_head_and_no_migration_asks_the_models() -> None:
    assert len(ScriptDirectory.from_config(config()).get_heads()) == 1
    for path in (SCRIPTS / "versions").glob("*.py"):
        assert "consortium" not in path.read_text(), f"{path.name} would change with the models"
