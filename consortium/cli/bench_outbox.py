"""What the outbox costs a letter: its claim and its outcome, both durable, in batches of fifty.

The floor writes as many rows, of the same table with the same indexes, through bare ``sqlite3``:
one prepared statement a step, and two commits with full syncs a batch.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import UUID

from consortium.store import actors, campaigns, contributions, deliveries, outbox, races
from consortium.store.schema import migrate
from consortium.store.unit import Unit, Units, engine

BATCH = 50
TURN = 5
"""Batches of one side in a row: a connection finds pages that another has written gone stale."""
ALLOWED_US = 100.0
_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_AT = "2026-11-21 12:00:00.000000"
_SAID = "2.0.0 Ok: queued as 4F1A2B3C4D"
_BUNDLE, _CAMPAIGN = str(UUID(int=1)), str(UUID(int=2))
_CLAIM = """UPDATE deliveries SET state='claimed', stop_key=?, fence=1, claimed_at=?,
            attempt=attempt+1 WHERE id=?"""
_TAKEN = "UPDATE deliveries SET state='sent', outcome=?, queue_id=?, settled_at=? WHERE id=?"


def measure(rounds: int) -> dict[str, float]:
    """Microseconds a letter, the best round of each: ``ours`` and ``floor``."""
    times: dict[str, list[float]] = {"ours": [], "floor": []}
    with TemporaryDirectory(prefix="trellis-bench-") as folder:
        path = Path(folder) / "outbox.sqlite"
        made = engine(f"sqlite:///{path}")
        migrate(made)
        units = Units(made, lambda: _NOW)
        waiting = _plan(units, 2 * rounds * BATCH)
        bare = _bare(path)
        for number in range(2 * rounds):
            side = ("floor", "ours")[number // TURN % 2]
            batch = waiting[number * BATCH :][:BATCH]
            keys = [secrets.token_hex(32) for _ in batch]
            began = perf_counter()
            if side == "ours":
                _ours(units, batch, keys)
            else:
                _floor(bare, [one.id for one in batch], keys)
            times[side].append((perf_counter() - began) / BATCH * 1e6)
        bare.close()
        made.dispose()
    return {side: min(spent) for side, spent in times.items()}


def _ours(units: Units, batch: Sequence[deliveries.Delivery], keys: Sequence[str]) -> None:
    wanted = list(zip(batch, keys, strict=True))
    taken = [outbox.Taken(one.id, _SAID, "4F1A2B3C4D") for one in batch]
    claimed = units.run("claim", lambda unit: outbox.claim(unit, wanted, fence=1, now=_NOW))
    lost = units.run("settle", lambda unit: outbox.taken(unit, taken, fence=1, now=_NOW))
    if len(claimed) != len(batch) or lost:
        raise RuntimeError("the bench's own outbox did not take a batch")


def _floor(bare: sqlite3.Connection, ids: Sequence[str], keys: Sequence[str]) -> None:
    for statement, rows in (
        (_CLAIM, [(key, _AT, id) for id, key in zip(ids, keys, strict=True)]),
        (_TAKEN, [(_SAID, "4F1A2B3C4D", _AT, id) for id in ids]),
    ):
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany(statement, rows)
        bare.execute("COMMIT")


def _bare(path: Path) -> sqlite3.Connection:
    """A connection with the same settings as the store's own."""
    bare = sqlite3.connect(path, isolation_level=None)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        bare.execute(f"PRAGMA {pragma}")
    return bare


def _plan(units: Units, letters: int) -> list[deliveries.Delivery]:
    """Letters of made-up people that wait."""
    # Kept in the order in which they leave, as the mailer plans them.
    made = sorted((_letter(number) for number in range(letters)), key=lambda one: one.id)
    units.run("plant", _plant)
    for at in range(0, letters, 500):
        part = made[at : at + 500]
        units.run("plan", lambda unit, part=part: deliveries.plan(unit, part))  # type: ignore[misc]
    return made


def _letter(number: int) -> deliveries.Delivery:
    return deliveries.Delivery(
        id=secrets.token_hex(16),
        campaign=_CAMPAIGN,
        lock=secrets.token_hex(32),
        bundle=_BUNDLE,
        row=number,
        partner="bench",
        person=number,
        address_token=secrets.token_hex(16),
        place={"precinct": "44-1204", "zip": "00000"},
        state="pending",
        attempt=0,
        fence=0,
        claimed_at=None,
        settled_at=None,
        stop_key=None,
        verp=secrets.token_hex(23),
        capability_hash=secrets.token_hex(32),
        queue_id=None,
        outcome=None,
        messenger=f"m{number % 40}",
    )


def _plant(unit: Unit) -> None:
    """What letters hang on: an actor, a race, a bundle and a campaign."""
    actors.add(unit, actors.Actor("bench", "partner", "Bench", "0" * 64))
    races.add(unit, races.Race("bench", "Bench", "bench", b"{}", "0" * 64))
    unit.session.flush()
    contributions.add(
        unit,
        contributions.Contribution(
            id=_BUNDLE,
            partner="bench",
            epoch="bench",
            state="matched",
            header={},
            wrapped=None,
            rows_digest="0" * 64,
            outputs_digest=None,
            tokens_digest=None,
            links_digest=None,
            linked_roll=None,
            rostered=False,
            leaf="0" * 64,
            at=_NOW,
        ),
    )
    campaigns.add(
        unit,
        campaigns.Campaign(
            id=_CAMPAIGN,
            race="bench",
            author="bench",
            state="sending",
            before_pause=None,
            definition={},
            template={},
            manifest=None,
            digest=None,
            estimate=None,
            nonce=None,
            root=None,
            audience_digest=None,
            epoch=None,
            intent_leaf=None,
            scheduled=None,
            progress=0,
            waiting_for="",
            at=_NOW,
            closed=None,
        ),
    )
