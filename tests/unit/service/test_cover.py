"""What was said is published once an interval, in its order, among dummies that say nothing."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from consortium.cli import auditor, operator
from consortium.service import publish, show
from consortium.service.cover import FORMS, HOUR, Cover, covered, dummy, hours, shown
from consortium.settings import Settings
from consortium.store import log
from consortium.store.log import NOBODY, Promised
from consortium.wiring import pen
from provenance.canonical import openings_from_json, openings_to_json
from provenance.entry import DUMMY, ENTRY_BYTES, opened, parse
from provenance.merkle import leaf_hash
from tests.databases import NOON
from tests.fakes.actors import LOG, POLICY, WITNESSES, made, private
from tests.fakes.log import entry_at
from tests.fakes.server import Server

OPERATOR = pen("operator", private("operator").private_bytes_raw())
LEAST = 2
EACH = LEAST + 1  # and one of the hour before


def cover(seed: int = 1) -> Cover:
    return Cover(3600, LEAST, OPERATOR, Random(seed))


def said(who: str, number: int) -> Promised:
    entry = made(who, "approval", NOON, kind="approve", campaign=f"c{number}", digest="d")
    leaf = leaf_hash(entry.entry).hex()
    return Promised(leaf, "approval", who, entry.entry, {}, None, NOON)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.kind}-{len(form.names)}")
def test_a_dummy_has_its_form_and_its_openings_say_that_it_is_one(form) -> None:  # type: ignore[no-untyped-def]
    found = dummy(form, NOON, OPERATOR)
    read = parse(found.entry)
    assert (read.kind, read.commitments.keys(), read.at) == (form.kind, form.names, NOON)
    facts = opened(found.entry, openings_from_json(found.openings)).facts
    assert facts.pop("kind") == DUMMY
    assert set(facts.values()) <= {None}
    assert len({one["salt"] for one in (found.openings or {}).values()}) == len(form.names) + 1


def test_the_decision_says_what_the_forms_cost() -> None:
    page = (Path(__file__).parents[3] / "docs/adr/0020-dummies-among-the-entries.md").read_text()
    least = Settings.model_fields["publish_cover"].default
    each_day = len(FORMS) * (least + 1) * 24
    assert f"{len(FORMS)} forms, {least} + 1 of each, 24 hours: {each_day:,} entries a day" in page
    assert f"{each_day * ENTRY_BYTES / 1e6:.1f} MB" in page


def test_more_than_the_cover_is_shown_in_doublings() -> None:
    assert [shown(said, 4) for said in (0, 1, 4, 5, 8, 9, 100)] == [4, 4, 4, 8, 8, 16, 128]
    assert shown(7, 0) == 7


def test_every_hour_of_an_interval_is_covered_and_the_one_before_a_little() -> None:
    assert hours(None, NOON, 4) == {NOON - 2 * HOUR: 1, NOON - HOUR: 4}
    assert hours(NOON - HOUR / 6, NOON, 4) == {NOON - 2 * HOUR: 1, NOON - HOUR: 4}
    assert hours(NOON - 3 * HOUR, NOON, 4) == {
        NOON - 4 * HOUR: 1,
        **{NOON - n * HOUR: 4 for n in (3, 2, 1)},
    }
    assert len(hours(NOON - 99 * HOUR, NOON, 4)) == 26  # a long absence ends somewhere


def test_what_was_said_keeps_its_order_and_dummies_stand_anywhere_among_it() -> None:
    ours = [said("union", n) for n in range(3)]
    leaves = [one.leaf for one in ours]
    places = Counter()
    for seed in range(40):
        mixed = covered(ours, {NOON: 4}, cover(seed))
        assert len(mixed) == 4 * len(FORMS)
        assert [one.leaf for one in mixed if one.actor != NOBODY] == leaves
        places[tuple(n for n, one in enumerate(mixed) if one.actor != NOBODY)] += 1
    assert len(places) == 4  # each place among the four of its form was once a dummy's


def test_keys_come_first_and_a_form_that_nobody_knows_comes_last() -> None:
    key = made("mailer", "key", NOON, kind="mailer", epoch="e")
    odd = made("union", "approval", NOON, kind="approve", more="1")
    both = [
        Promised(leaf_hash(one.entry).hex(), kind, "x", one.entry, {}, None, NOON)
        for kind, one in (("approval", odd), ("key", key))
    ]
    mixed = covered([*both, said("union", 1)], {NOON: 1}, cover())
    assert (mixed[0], mixed[-1]) == (both[1], both[0])


# -- publishing


def test_nothing_comes_before_its_interval_is_over_and_nothing_twice(server: Server) -> None:
    published: list[int] = []

    def go() -> int:
        done = publish.publish(server.units, server.sequencer, server.clock, cover())
        published.append(server.sequencer.published().size)
        return done

    assert go() == EACH * len(FORMS)
    server.sign_agreement(["union"])
    assert (go(), go()) == (0, 0)
    assert not server.units.read("due", lambda unit: publish.due(unit, cover(), server.clock()))
    server.clock.now += timedelta(minutes=59)
    assert go() == 0
    server.clock.now += timedelta(minutes=1)
    assert server.units.read("due", lambda unit: publish.due(unit, cover(), server.clock()))
    assert (go(), go()) == (EACH * len(FORMS), 0)
    assert published[-1] == 2 * EACH * len(FORMS)
    signed = server.units.read("signed", lambda unit: log.of_kind(unit, "agreement"))
    assert [one.actor for one in signed] == ["union"]  # and no dummy among what was said
    assert signed[0].index is not None


class PowerCut(Exception):
    pass


def failing(server: Server, *, after: bool) -> SimpleNamespace:
    """The sequencer, but the power goes before or after it has appended."""

    def append_once(*given: object) -> list[int]:
        if after:
            server.sequencer.append_once(*given)  # type: ignore[arg-type]
        raise PowerCut

    return SimpleNamespace(append_once=append_once)


@pytest.mark.parametrize("after", [False, True], ids=["before it appended", "after it appended"])
def test_a_crash_anywhere_leads_to_the_same_entries(server: Server, after: bool) -> None:
    publish.publish(server.units, server.sequencer, server.clock, cover())
    server.sign_agreement(["union"])
    server.clock.now += timedelta(hours=1)
    with pytest.raises(PowerCut):
        publish.publish(server.units, failing(server, after=after), server.clock, cover(2))  # type: ignore[arg-type]
    _, fixed = server.units.read("fixed", publish._last)
    server.sign_agreement(["parks"])  # it came meanwhile, and waits
    publish.publish(server.units, server.sequencer, server.clock, cover(3))
    size = server.sequencer.published().size
    assert size == 2 * EACH * len(FORMS)
    leaves = [leaf_hash(entry_at(server.backend, n, size)).hex() for n in range(size)]
    assert leaves[EACH * len(FORMS) :] == fixed
    assert len(server.units.read("pending", lambda unit: log.pending(unit, 99))) == 1


def test_while_witnesses_are_away_intervals_pile_up_and_none_is_lost(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = server.sequencer._cosign
    publish.publish(server.units, server.sequencer, server.clock, cover())
    monkeypatch.setattr(server.sequencer, "_cosign", lambda *_: [])
    for who in ("union", "parks"):
        server.sign_agreement([who])
        server.clock.now += timedelta(hours=1)
        assert publish.publish(server.units, server.sequencer, server.clock, cover()) == 0
    assert server.sequencer.published().size == EACH * len(FORMS)
    monkeypatch.setattr(server.sequencer, "_cosign", cosign)
    assert publish.publish(server.units, server.sequencer, server.clock, cover()) > 0
    assert server.sequencer.published().size == 3 * EACH * len(FORMS)
    assert server.units.read("pending", lambda unit: log.pending(unit, 99)) == []


# -- to an auditor


@pytest.fixture
def keys() -> list[str]:
    witnesses = [word for one in WITNESSES for word in ("--witness", one.verifier.vkey)]
    return ["--vkey", LOG.verifier.vkey, *witnesses, "--quorum", str(POLICY.quorum)]


@pytest.fixture
def covered_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    server.sign_agreement(["union"])
    server.clock.now += timedelta(hours=1)
    publish.publish(server.units, server.sequencer, server.clock, cover())
    monkeypatch.setattr(
        "consortium.wiring.Process",
        lambda _: SimpleNamespace(units=server.units, log_files=server.backend),
    )
    return server


def ask(server: Server, *words: str | Path) -> str:
    called = ["dummies", "--home", str(server.folder), *map(str, words)]
    done = CliRunner().invoke(operator.command, called)
    return done.output if done.exit_code == 0 else f"refused: {done.output}"


def test_the_operator_opens_dummies_and_an_auditor_finds_that_they_say_nothing(
    covered_server: Server, tmp_path: Path, keys: list[str]
) -> None:
    file = tmp_path / "dummies.json"
    count = EACH * len(FORMS) - 1  # one agreement was really signed
    assert ask(covered_server, file) == f"{count} dummies opened in {file}\n"
    done = CliRunner().invoke(auditor.command, ["receipt", str(file), *keys])
    assert done.exit_code == 0, done.output
    assert done.output.count(": dummy ") == count
    assert ask(covered_server, "--first", "3", "--end", "5", file).startswith("2 dummies")
    assert "nothing was written" in ask(covered_server, "--first", "999", file)


def test_a_dummy_that_says_something_is_refused(
    server: Server, tmp_path: Path, keys: list[str]
) -> None:
    entry = made("union", "agreement", kind=DUMMY, race="council", digest=None)
    raw, leaf = entry.entry, leaf_hash(entry.entry).hex()
    lie = Promised(leaf, "agreement", NOBODY, raw, openings_to_json(entry.openings), None, NOON)
    server.units.run("lie", lambda unit: log.promise(unit, lie))
    server.publish()
    file = tmp_path / "lie.json"
    found = server.units.read("lie", lambda unit: show.dummies(unit, server.backend, 0, 9))
    file.write_text(json.dumps(found))
    done = CliRunner().invoke(auditor.command, ["receipt", str(file), *keys])
    assert done.exit_code == 1
    assert "is called a dummy, but it says something" in done.output
