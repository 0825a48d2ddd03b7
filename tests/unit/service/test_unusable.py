"""An upload whose codes cannot be used holds up nobody, and its own people learn why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from consortium.service import unusable
from consortium.store import contributions
from matching.errors import BundleRefused
from tests.fakes.season import VOTERS, Season, kept_season, season, voter
from tests.fakes.server import EPOCH

__all__ = ["kept_season", "season"]

Triples = list[tuple[int, int, bytes]]


def spoil(
    season: Season, monkeypatch: pytest.MonkeyPatch, change: Callable[[Triples], Triples]
) -> None:
    """Let the next uploads' outputs be other ones."""
    sealed = season.sealed_outputs
    monkeypatch.setattr(
        season, "sealed_outputs", lambda epoch, of, all_: sealed(epoch, of, change([*all_]))
    )


def state(season: Season, id: str) -> str:
    return season.units.run("look", lambda unit: contributions.get(unit, id).state)


def reasons(season: Season) -> dict[str, str]:
    return season.units.run("look", unusable.listed)


WRONG: tuple[tuple[Callable[[Triples], Triples], str], ...] = (
    (lambda all_: [one for one in all_ if one[:2] != (3, 255)], "address token"),
    (lambda all_: [*all_, (100, 255, b"x" * 64)], "not those of the rows part"),
    (lambda all_: [*all_, (5, 77, b"x" * 64)], "not known"),
)


def test_lists_whose_codes_break_their_form_are_passed_over_and_the_next_is_matched(
    season: Season, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {}
    for change, says in WRONG:
        with monkeypatch.context() as patch:
            spoil(season, patch, change)
            bad[season.upload("parks", EPOCH)] = says
    good = season.upload("union", EPOCH)
    season.work()
    assert state(season, good) == "matched"
    assert {state(season, id) for id in bad} == {"received"}
    found = reasons(season)
    assert found.keys() == bad.keys()
    assert all(says in found[id] for id, says in bad.items())
    season.work()
    said = capsys.readouterr().out
    assert all(said.count(id) == 1 for id in bad)  # once, and not at each run
    shown = season.server.call("parks", "GET", "/contributions").json()
    assert {one["id"] for one in shown if one["unusable"]} == bad.keys()
    assert not any(
        one["unusable"] for one in season.server.call("union", "GET", "/contributions").json()
    )


def test_a_part_that_does_not_open_or_is_gone_is_passed_over_too(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(season, "sealed_outputs", lambda *_: b"nothing that opens")
        bad = season.upload("parks", EPOCH)
        gone = season.upload("parks", EPOCH)
    digest = season.units.run("look", lambda unit: contributions.get(unit, gone).outputs_digest)
    good = season.upload("union", EPOCH)
    season.server.publish()
    season.work()
    assert state(season, good) == "matched"
    assert set(reasons(season)) == {bad, gone}
    season.artefacts.delete(str(digest))
    season.work()
    assert "missing" in reasons(season)[gone]


def test_what_becomes_usable_is_matched_and_its_reason_goes(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = season.bench.keys
    wrong = replace(season.bench, keys=lambda epoch: replace(keys(epoch), outputs=b"\x01" * 32))
    id = season.upload("parks", EPOCH)
    season.server.publish()
    monkeypatch.setattr(season, "bench", wrong)
    season.work()
    assert set(reasons(season)) == {id}
    monkeypatch.undo()
    season.bench = replace(wrong, keys=keys)
    season.work()
    assert state(season, id) == "matched"
    assert reasons(season) == {}


def test_a_roll_whose_shared_tokens_are_no_decoys_is_met_by_nobody(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [one.linked_roll for one in season.bundles()]
    season.clock.now = season.clock.now.replace(minute=59)

    def share(all_: Triples) -> Triples:
        one, other = all_[0], next(each for each in all_ if each[0] != all_[0][0])
        return [(*each[:2], one[2]) if each == (*other[:1], one[1], other[2]) else each
                for each in all_]  # fmt: skip

    with monkeypatch.context() as patch:
        spoil(season, patch, share)
        bad = season.enrol(EPOCH, {n: voter(n) for n in range(VOTERS)})
    season.work()
    assert "decoys" in reasons(season)[bad]
    assert [one.linked_roll for one in season.bundles()] == before
    # The control: the same people with their decoys.
    season.clock.now = season.clock.now.replace(second=59)
    good = season.enrol(EPOCH, {n: voter(n) for n in range(VOTERS)})
    season.work()
    assert {one.linked_roll for one in season.bundles()} == {good}


def test_what_is_a_fault_of_the_code_stops_the_run(season: Season) -> None:
    def fails() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        unusable.sift(season.units, "x", fails)

    def refused() -> str:
        raise BundleRefused("why")

    assert unusable.sift(season.units, "x", refused) is None
    assert season.units.run("why", lambda unit: unusable.why(unit, "x")) == "why"
    assert reasons(season) == {}  # nothing waits under that name
