"""A list meets a roll once by the same weights, and a newer roll only where it can tell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.service import choose, meet
from consortium.store import contributions, log
from matching import bundle, engine, recipes, score
from matching.recipes import Record
from tests.fakes.season import VOTERS, Season, kept_season, season, voter
from tests.fakes.server import EPOCH

__all__ = ["kept_season", "season"]

PEOPLE = {n: voter(n) for n in range(VOTERS)}


def moved(*numbers: int) -> dict[int, Record]:
    """Everybody, some with another phone."""
    return {**PEOPLE, **{n: replace(voter(n), phone=f"1303555{9000 + n}") for n in numbers}}


@pytest.fixture
def asked(season: Season) -> list[str]:
    """The partners whose lists were linked since, in order."""
    found: list[str] = []
    tokens = {one.tokens_digest: one.partner for one in season.bundles()}

    @contextmanager
    def linking() -> Iterator[Callable[..., None]]:
        def link(members: Path, *more: Any, **others: Any) -> None:
            digest = hashlib.sha256(members.read_bytes()).hexdigest()
            found.append(tokens.get(digest, "union"))
            engine.link(members, *more, **others)

        yield link

    season.bench = replace(season.bench, linking=linking, engine="counted 1")
    return found


def lists(season: Season) -> dict[str, contributions.Contribution]:
    return {one.partner: one for one in season.bundles()}


def runs(season: Season) -> list[Mapping[str, Any]]:
    """What the log says of runs, oldest first."""
    said = season.units.run("runs", lambda unit: log.of_kind(unit, "match", "operator"))
    return [{name: one["value"] for name, one in (run.openings or {}).items()} for run in said]


def renew(season: Season, people: Mapping[int, Record]) -> str:
    """A newer roll, met by whoever has to."""
    season.clock.now += timedelta(hours=3)
    id = season.enrol(EPOCH, people)
    season.work()
    return id


def test_what_has_met_a_roll_by_these_weights_is_left_alone(
    season: Season, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lists(season)
    season.work()
    assert asked == []
    assert lists(season) == before
    # The control: by other weights everybody is linked anew, once.
    other = replace(score.load(), bias=score.load().bias - 0.5)
    monkeypatch.setattr(score, "load", lambda: other)
    season.work()
    assert sorted(asked) == ["parks", "union"]
    season.work()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("people", "who"),
    [
        (PEOPLE, []),
        (moved(120), ["parks"]),
        (moved(20), ["union"]),
        (moved(60), ["parks", "union"]),
        ({n: one for n, one in PEOPLE.items() if n != 120}, ["parks"]),
        ({**PEOPLE, 300: replace(voter(20), phone="")}, ["union"]),  # somebody like one of a list
        ({**PEOPLE, 300: voter(300)}, []),  # on nobody's list
        ({**PEOPLE, **{n: voter(n) for n in range(300, 320)}}, ["parks", "union"]),  # scores change
    ],
)
def test_a_newer_roll_is_met_by_lists_that_it_can_change(
    season: Season, asked: list[str], people: dict[int, Record], who: list[str]
) -> None:
    before = lists(season)
    id = renew(season, people)
    assert sorted(asked) == who
    for partner, one in lists(season).items():
        assert one.linked_roll == id
        if partner not in who:
            assert one.links_digest == before[partner].links_digest
        assert one.links_digest == linked_anew(season, one)
    # Every list counts on the newest roll, and the log says what each has met.
    shown = season.units.run("look", choose.snapshot)
    assert {partner for _, partner, _ in shown.links} == {"parks", "union"}
    assert {run["bundle"] for run in runs(season) if run["roll"] == id} == {
        one.id for one in season.bundles()
    }
    season.work()
    assert sorted(asked) == who


def linked_anew(season: Season, one: contributions.Contribution) -> str:
    """The digest of the links that a whole run gives, bytes for bytes."""
    roll = season.units.run("roll", lambda u: contributions.find_roll(u, str(one.linked_roll)))
    assert roll is not None
    assert roll.tokens_digest is not None
    assert one.tokens_digest is not None
    out = season.folder / "anew"
    key = season.bench.keys(EPOCH).tokens
    with (
        season.artefacts.open(one.tokens_digest) as members,
        season.artefacts.open(roll.tokens_digest) as voters,
    ):
        engine.link(members, voters, out, key=key, weights=score.load())
    return hashlib.sha256(out.read_bytes()).hexdigest()


def test_a_list_that_rows_have_left_is_linked_anew(season: Season, asked: list[str]) -> None:
    one = lists(season)["union"]
    assert one.tokens_digest is not None
    out = season.folder / "less"
    with season.artefacts.open(one.tokens_digest) as path:
        engine.without_tokens(path, out, [3], key=season.bench.keys(EPOCH).tokens)
    less = season.artefacts.put(out)
    season.units.run("less", lambda u: contributions.change(u, one.id, tokens_digest=less))
    renew(season, {**PEOPLE, 300: voter(300)})
    assert asked == ["union"]
    with season.artefacts.open(str(lists(season)["union"].links_digest)) as path:
        assert 3 not in {row for row, _, _ in bundle.read_links(path)}


def test_a_run_is_logged_with_all_that_it_hung_on(season: Season, asked: list[str]) -> None:
    id = renew(season, moved(20, 120))
    weights = score.load()
    rolls = season.units.run("rolls", lambda unit: contributions.rolls(unit, epoch=EPOCH))
    for said in [run for run in runs(season) if run["roll"] == id]:
        one = next(one for one in season.bundles() if one.id == said["bundle"])
        assert said["tokens_digest"] == one.tokens_digest
        assert said["links_digest"] == one.links_digest
        assert said["roll_tokens_digest"] == rolls[0].tokens_digest
        assert said["parameters_digest"] == score.digest(weights)
        assert said["parameters"] == {
            "cap": "50",
            "certain": str(weights.certain),
            "engine": "counted 1",
            "likely": str(weights.threshold),
            "recipes": recipes.VERSION,
        }
    assert len(asked) == 2


def test_links_that_two_lists_share_stay_while_one_of_them_counts_on_them(
    season: Season, asked: list[str]
) -> None:
    renew(season, {n: voter(n) for n in range(300, 450)})  # nobody of either list
    empty = {one.links_digest for one in lists(season).values()}
    assert len(empty) == 1
    renew(season, {n: voter(n) for n in (*range(100, 150), *range(300, 400))})
    assert asked[-1:] == ["parks"]
    union = lists(season)["union"]
    assert {union.links_digest} == empty
    with season.artefacts.open(str(union.links_digest)) as path:
        assert list(bundle.read_links(path)) == []
    # The control: what nobody counts on goes.
    renew(season, moved(20))
    assert not season.artefacts.exists(str(union.links_digest))


def test_a_run_that_ends_late_puts_no_list_back_on_an_older_roll(
    season: Season, asked: list[str]
) -> None:
    late = lists(season)["union"]
    rolls = season.units.run("rolls", lambda unit: contributions.rolls(unit, epoch=EPOCH))
    renew(season, moved(20))
    now, said = lists(season)["union"], runs(season)
    links = season.artefacts.put(b"links to the older roll")
    meet._record_links(season.bench, late, rolls[0], links, score.load())
    assert lists(season)["union"] == now
    assert not season.artefacts.exists(links)
    # As late with the newest one: another worker has said it already.
    newest = season.units.run("rolls", lambda unit: contributions.rolls(unit, epoch=EPOCH))[0]
    meet._record_links(season.bench, late, newest, str(now.links_digest), score.load())
    assert season.artefacts.exists(str(now.links_digest))
    assert runs(season) == said
    assert asked
