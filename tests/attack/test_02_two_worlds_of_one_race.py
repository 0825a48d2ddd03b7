"""Whatever another list holds, a partner receives the same, and its custodian the same but noise.

Threat: docs/threat-model.md, one custodian, itself a partner. The worlds differ in who is on the
other list alone: how many are on mine too, which of them had a letter before and are capped, are
held out, have stopped. What I receive as a partner (answers, files, pages, letters to my staff) is
the same, byte for byte but for what is random. What a custodian that I run receives is the same
once the noise makes up for how many people there are, and (epsilon, delta)-close as it is drawn.
Builds that drop such rows before release are found out by the same comparison.
"""

import itertools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from consortium.service.cover import FORMS, OPEN_KINDS, Form
from policies import disclosure
from policies.disclosure import GHOST_DELTA, GHOST_EPSILON, ghost_shift
from policies.parts import OUTCOME
from tests.attack.leaves import masked, strict, traces
from tests.attack.two_worlds import (
    CAPPED,
    ME,
    OTHER,
    OUT,
    STAFF,
    STOPS,
    WORLDS,
    Received,
    live,
    set_up,
)

LISTS = 2
KINDS = ("overlap", "caps", "holdout", "stops")
Lived = Callable[[str], Received]
SOAKED = [pytest.param(kind, marks=pytest.mark.soak) for kind in KINDS]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Lived:
    """Each world is lived once."""
    folder = tmp_path_factory.mktemp("worlds")
    kept = set_up(folder / "base", sqlite_template)
    done: dict[str, Received] = {}

    def world(name: str) -> Received:
        if name not in done:
            leaks = KINDS if name in ("plain", "everything") else (name,)
            done[name] = live(kept, folder / name, WORLDS[name], leaks)
        return done[name]

    return world


def say(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


@pytest.mark.parametrize("name", ["everything", *SOAKED])
def test_a_partner_receives_the_same_whoever_is_on_the_other_list(lived: Lived, name: str) -> None:
    plain, other = lived("plain"), lived(name)
    pairs = zip(plain.answers, other.answers, strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    assert len(plain.answers) > 100
    assert sum(status == 200 for _, status, _, _ in plain.answers) > 80
    assert plain.letters == other.letters
    assert len(plain.letters) == 1
    assert plain.mailed != other.mailed  # a control: the worlds do differ, in who wrote to whom


@pytest.mark.parametrize("name", ["everything", *SOAKED])
def test_its_custodian_receives_the_same_once_the_noise_makes_up_for_how_many_they_are(
    lived: Lived, name: str
) -> None:
    plain, other = lived("plain"), lived(name)
    assert plain.custodians() == other.custodians()
    assert len(plain.roster) == 1
    assert [own for own, *_ in plain.released] == [[], list(range(24))]


@pytest.mark.parametrize("name", ["everything", *SOAKED])
def test_the_public_logs_differ_in_commitments_and_signatures_alone(
    lived: Lived, name: str
) -> None:
    """docs/threat-model.md#T9; test_10_counts_of_entries_tell_nothing.py is about how many."""
    plain, other = lived("plain"), lived(name)
    assert [masked(one) for one in plain.log] == [masked(one) for one in other.log]
    for world in (plain, other):
        for one in world.log:
            strict(one)
        assert traces(world.named, world.log) == set()
        for kind, _, names, _ in map(masked, world.log):
            # What nobody may count has dummies; what everybody may open needs none.
            assert Form(kind, frozenset(names)) in FORMS or kind in OPEN_KINDS
    assert {json.loads(one)["type"] for one in plain.log} >= {"contribution", "match", "intent"}
    assert len(plain.named) > 500


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("everything", kind) for kind in KINDS),
        *(pytest.param(kind, kind, marks=pytest.mark.soak) for kind in KINDS),
    ],
)
def test_a_build_that_drops_such_rows_before_release_is_found_out(
    lived: Lived, name: str, kind: str
) -> None:
    one, other = lived("plain").leaky[kind], lived(name).leaky[kind]
    assert one.released != other.released  # by a custodian, in the set
    assert one.checked != other.checked  # by a partner, in what it is to check


# -- the noise as it is drawn


def law(epsilon: float, delta: float, lists: int) -> dict[int, float]:
    """Exactly how probable each number of one list's ghosts in a precinct is."""
    p, mean = math.exp(-epsilon / lists), ghost_shift(epsilon, delta, lists=lists)
    inner = {n: (1 - p) / (1 + p) * p ** abs(n - mean) for n in range(1, 2 * mean)}
    edge = p**mean / (1 + p)  # all that would be below 0, or above twice the mean
    return {0: edge, **inner, 2 * mean: edge}


def divergence(one: dict[int, float], moved: int, epsilon: float, lists: int) -> float:
    """The smallest delta for which this many people more on each of so many lists is allowed."""
    alone = {n: (one.get(n, 0.0), one.get(n - moved, 0.0)) for n in range(max(one) + moved + 1)}
    worst = 0.0
    for way in (0, 1):
        total = 0.0
        for each in itertools.product(alone.values(), repeat=lists):
            here, there = (math.prod(pair[side] for pair in each) for side in (way, 1 - way))
            total += max(0.0, here - math.exp(epsilon) * there)
        worst = max(worst, total)
    return worst


def test_as_the_noise_is_drawn_one_person_changes_a_custodians_view_within_what_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exact = law(GHOST_EPSILON, GHOST_DELTA, LISTS)
    assert sum(exact.values()) == pytest.approx(1.0, abs=1e-12)
    found = divergence(exact, 1, GHOST_EPSILON, LISTS)
    dropped = 1.0  # my own row is there in one world and not in the other
    say(
        capsys,
        f"a custodian's view: epsilon {GHOST_EPSILON}, delta {GHOST_DELTA:g} promised for one"
        f" person on {LISTS} lists; at that epsilon the exact delta is {found:.2g}, and of a build"
        f" that drops before release {dropped:g}",
    )
    assert found <= GHOST_DELTA
    # The harness is not blind: a second person, or half of the noise, is beyond it.
    assert divergence(exact, 2, GHOST_EPSILON, LISTS) > GHOST_DELTA
    assert divergence(law(2 * GHOST_EPSILON, GHOST_DELTA, LISTS), 1, GHOST_EPSILON, LISTS) > (
        GHOST_DELTA
    )


def test_the_figures_that_a_partner_may_read_depend_on_the_other_list_by_no_more_than_its_people(
    lived: Lived, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, other = lived("plain"), lived("everything")
    assert len(plain.figures) == len(other.figures) == 3
    changed = len(set(WORLDS["plain"]) ^ set(WORLDS["everything"]))
    apart = [abs(one - two) for one, two in zip(plain.figures, other.figures, strict=True)]
    assert max(apart) <= changed
    assert any(apart)  # the control: what noise is added to does differ
    rho = len(plain.figures) * OUTCOME.units / 1_000_000
    say(
        capsys,
        f"a campaign's {len(plain.figures)} figures: epsilon"
        f" {disclosure.epsilon_of(rho, GHOST_DELTA):.2f}, delta {GHOST_DELTA:g} for one person",
    )


def test_every_world_is_what_it_is_said_to_be(lived: Lived) -> None:
    classes = {1 << (len(people) - 1).bit_length() for people in WORLDS.values()}
    assert classes == {32}
    assert all(len(set(people)) == len(people) for people in WORLDS.values())
    plain, other = lived("plain").mailed, lived("everything").mailed
    mine = {number for partner, number in plain if partner == ME}
    assert {STOPS, *CAPPED[:3], STAFF} <= mine
    there = {(partner, number) for partner, number in other if number in WORLDS["everything"]}
    assert {(OTHER, number) for number in (STOPS, *CAPPED[:3])} <= there
    assert not there & {(ME, number) for number in (STOPS, *CAPPED[:3])}
    assert not {number for _, number in plain | other} & set(OUT)
