"""Whoever counts the log's entries by type, fields and hour learns nothing of what was done when.

Threat: docs/threat-model.md#T9. The attacker reads every publication of the log, hour after hour,
and keeps all that is not a commitment or a signature. A quiet installation and a busy one show the
same, as long as no more is said in an hour than is covered; without dummies they do not.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from consortium.clock import Standing
from consortium.service import publish
from consortium.service.cover import FORMS, Cover
from consortium.store import log
from consortium.store.unit import Units, engine
from consortium.wiring import pen
from provenance.entry import draft
from provenance.merkle import leaf_hash
from tests.attack.leaves import entries_of, masked, strict, traces
from tests.databases import NOON
from tests.fakes.actors import made, private, public
from tests.fakes.server import Server

LEAST, HOURS = 2, 3
OPERATOR = pen("operator", private("operator").private_bytes_raw())
SECRETS = ("union", "parks", "campaign-of-the-river", "a" * 40, "b" * 40)
Shown = list[list[tuple[str, str, tuple[str, ...], int]]]


class World:
    """One installation, whose log is published hour after hour."""

    def __init__(self, folder: Path, template: Path, *, covered: bool) -> None:
        folder.mkdir()
        shutil.copy(template, folder / "trellis.sqlite")
        self.clock = Standing(NOON)
        self.engine = engine(f"sqlite:///{folder}/trellis.sqlite")
        self.server = Server(folder, Units(self.engine, self.clock), self.clock)
        self.cover = Cover(3600, LEAST, OPERATOR, Random(1)) if covered else None
        self.shown: Shown = []
        self.entries: list[bytes] = []
        self._publish()

    def hour(self, acts: int) -> None:
        """So much of everything is said, agreements over the API; then an hour is over."""
        signing = self.clock() == NOON
        if signing:
            self.server.sign_agreement(SECRETS[:acts])
        for form in FORMS:
            if not (signing and form.kind == "agreement"):
                for n in range(acts):
                    self._say(form.kind, form.names, n)
        self.clock.now += timedelta(hours=1)
        self._publish()

    def _say(self, kind: str, names: frozenset[str], n: int) -> None:
        facts = dict.fromkeys(names, SECRETS[n])
        entry = made(SECRETS[n % 2], kind, self.clock(), **facts)
        leaf = leaf_hash(entry.entry).hex()
        one = log.Promised(leaf, kind, "union", entry.entry, {}, None, self.clock())
        self.server.units.run("say", lambda unit: log.promise(unit, one))

    def _publish(self) -> None:
        publish.publish(self.server.units, self.server.sequencer, self.clock, self.cover)
        size = self.server.sequencer.published().size
        fresh = entries_of(self.server.backend, size, len(self.entries))
        self.shown.append([masked(one) for one in fresh])
        self.entries += fresh


@pytest.fixture
def live(tmp_path: Path, sqlite_template: Path) -> Iterator[object]:
    worlds: list[World] = []

    def world(*acts: int, covered: bool = True) -> World:
        folder = tmp_path / f"{len(worlds)}"
        worlds.append(World(folder, sqlite_template, covered=covered))
        for some in acts:
            worlds[-1].hour(some)
        return worlds[-1]

    yield world
    for one in worlds:
        one.engine.dispose()


def test_a_quiet_installation_and_a_busy_one_show_the_same(live) -> None:  # type: ignore[no-untyped-def]
    quiet, busy = live(0, 0, 0), live(1, LEAST, 1)
    assert quiet.shown == busy.shown
    assert len(quiet.shown) == HOURS + 1
    # Each publication shows as many as each other, in the same places.
    assert {len(one) for one in quiet.shown} == {(LEAST + 1) * len(FORMS)}
    # A control: much was said in one of them, and the entries are others.
    signed = busy.server.units.read("signed", lambda unit: log.of_kind(unit, "agreement"))
    assert len(signed) == 1 + LEAST + 1
    assert all(one.index is not None for one in signed)
    assert not set(quiet.entries) & set(busy.entries)


def test_without_dummies_the_counts_tell_a_story(live) -> None:  # type: ignore[no-untyped-def]
    quiet, busy = live(0, 0, 0, covered=False), live(1, LEAST, 1, covered=False)
    assert [len(one) for one in quiet.shown] == [0, 0, 0, 0]
    assert len(set(map(len, busy.shown))) > 2


def test_limit_above_the_cover_the_count_shows_to_a_factor_of_two(live) -> None:  # type: ignore[no-untyped-def]
    quiet, three, four = live(0, 0), live(0, LEAST + 1), live(0, 2 * LEAST)
    assert three.shown == four.shown
    assert quiet.shown != three.shown  # docs/adr/0020 says so


def test_every_entry_passes_a_strict_encoder_and_shows_no_value_without_its_salt(live) -> None:  # type: ignore[no-untyped-def]
    busy = live(LEAST)
    for one in busy.entries:
        strict(one)
    values = [*SECRETS, *(public(one).hex() for one in ("union", "parks", "operator")), "dummy"]
    assert traces(values, busy.entries) == set()


def test_the_scan_finds_a_value_that_is_digested_without_a_salt() -> None:
    """A control: a build that salts all commitments with zeros, or logs a digest, is found out."""
    key = private("union")
    salted = draft(
        "approval",
        at=NOON,
        actor=public("union"),
        facts={"kind": "approve", "campaign": SECRETS[2]},
        salt=lambda: bytes(32),
        sign=key.sign,
    )
    assert SECRETS[2] in traces(SECRETS, [salted.entry])
    assert public("union").hex() in traces([public("union").hex()], [salted.entry])
    honest = made("union", "approval", kind="approve", campaign=SECRETS[2])
    assert traces(SECRETS, [honest.entry]) == set()
