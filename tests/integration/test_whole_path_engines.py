"""The same path with its state in PostgreSQL and its bells on Redis, both of them real."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import redis

from tests.integration.worlds import Run, assert_right_people, demo, expected, small_world


def test_the_whole_path_runs_on_postgresql_and_redis(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    run = demo(
        small_world(tmp_path / "W"), tmp_path / "D", "--database", postgres_url, "--broker",
        redis_url,
    )  # fmt: skip
    assert_right_people(run, expected(run.world))
    assert run.summary["verified"] is True
    assert 0.97 <= run.summary["match_precision"] <= 1
    assert 0.85 <= run.summary["match_recall"] <= 1
    _state_lives_in_postgresql(run, postgres_url)
    _bells_rang_on_redis(run, redis_url)


def _state_lives_in_postgresql(run: Run, url: str) -> None:
    assert not list((run.out / "server").rglob("*.sqlite*"))
    campaign = json.loads((run.out / "demo.json").read_text())["campaign"]
    with psycopg.connect(url) as database:
        tables = database.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        assert len(tables) > 10
        states = database.execute("SELECT state FROM campaigns WHERE id = %s", [campaign])
        assert states.fetchall() == [("closed",)]


def _bells_rang_on_redis(run: Run, url: str) -> None:
    # Kombu binds its queues in sets; commandstats counts what was pushed and popped.
    with redis.Redis.from_url(url) as client:
        keys = {key.decode() for key in client.keys("*")}
        assert any(key.startswith("_kombu.binding.") for key in keys), keys
        calls = client.info("commandstats")
        assert calls["cmdstat_lpush"]["calls"] > 0
    box = run.out / "server" / "broker"
    assert not [path for path in box.rglob("*") if path.is_file()] if box.exists() else True
