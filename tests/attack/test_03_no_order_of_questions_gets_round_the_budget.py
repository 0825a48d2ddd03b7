"""A coordinator who subtracts, repeats, reorders or crashes learns no more than the printed budget.

Through the real HTTP API, over real Parquet artefacts: every fresh answer is paid for before its
noise is drawn, and an answer once given is the answer.
"""

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

import consortium.service.choose
from consortium.clock import Standing
from consortium.store import actors, ledger
from consortium.store.actors import Actor
from consortium.store.unit import Units, engine
from policies import definition as definitions
from policies.parts import ADHOC, GATE_SHARE
from tests.fakes.actors import public
from tests.fakes.server import RACE, Server, some_voters

YOUNG = {"places": {"precinct": ["44-0"]}, "age": ["18-34"]}
OLDER = {"places": {"precinct": ["44-0"]}, "age": ["35-49"]}
DAY = timedelta(days=1)
ALL_LOOKS = ADHOC.answers * (100 - GATE_SHARE) // 100
VOTERS = some_voters(4000)


@pytest.fixture
def counted(any_server: Server) -> Server:
    """A server with a roll of two precincts and one matched list of 300."""
    furnish(any_server)
    return any_server


@pytest.fixture
def plain(server: Server) -> Server:
    """The same on SQLite alone."""
    server.sign_agreement()
    furnish(server)
    return server


def furnish(server: Server, voters: Sequence[tuple[Any, ...]] = VOTERS) -> None:
    roll = server.enrol(voters)
    server.link(server.contribute("union"), roll, {row: row for row in range(100)})
    server.link(server.contribute("parks", 2), roll, {row: row + 50 for row in range(100)})


def ask(server: Server, definition: dict[str, Any], who: str = "cora") -> Any:
    return server.call(who, "POST", f"/races/{RACE}/counts", json={"definition": definition})


def charges(server: Server) -> list[tuple[str, int]]:
    found = server.units.run("charges", lambda unit: ledger.charges(unit, RACE))
    return [(one.part, one.units) for one in found]


def fresh_questions() -> Iterator[dict[str, Any]]:
    """Hundreds of different questions: a ZIP beside a precinct, by some ages and some votes."""
    for precinct, zip_code in product(("44-0", "44-1"), ("43600", "43601")):
        for ages, votes in product(some_of(definitions.AGES), some_of(definitions.VOTES)):
            yield {
                "places": {"precinct": [precinct], "zip": [zip_code]},
                "age": ages,
                "votes": votes,
            }


def some_of(bands: Sequence[str]) -> list[list[str]]:
    """Every choice of some of the bands, but not of all: that would be no choice."""
    sizes = range(1, len(bands))
    return [list(chosen) for size in sizes for chosen in combinations(bands, size)]


def test_a_repeated_question_costs_nothing_and_answers_the_same(counted: Server) -> None:
    first = ask(counted, YOUNG).json()
    assert first["fresh"] is True
    spellings = [
        {"age": ["18-34"], "places": {"precinct": ["44-0"]}},
        {"places": {"precinct": ["44-0", " 44-0"]}, "age": ["18-34", "18-34"]},
        {"places": {"precinct": ["44-0"], "zip": []}, "age": ["18-34"], "votes": None},
    ]
    for asked in [*spellings, YOUNG] * 3:
        again = ask(counted, asked).json()
        assert again == {**first, "fresh": False}
    assert charges(counted) == [("B", ADHOC.units)]


def test_a_rule_on_primaries_is_a_question_of_its_own_and_paid_for_like_any_other(
    server: Server,
) -> None:
    server.sign_agreement()
    furnish(server, [(*one, ("0", "1-2", "3-4", "")[one[0] % 4]) for one in VOTERS])
    asked = {"places": {"precinct": ["44-0"]}, "primaries": ["3-4", "1-2"]}
    first, again = ask(server, asked).json(), ask(server, asked).json()
    assert (first["fresh"], again) == (True, {**first, "fresh": False})
    assert ask(server, {**asked, "primaries": ["1-2", "3-4", "1-2"]}).json() == again
    every = ask(server, {**asked, "primaries": ["0", "1-2", "3-4"]}).json()
    none = ask(server, {"places": asked["places"]}).json()
    assert every["estimate"] == none["estimate"]  # all of them are none
    assert [part for part, _ in charges(server)] == ["B", "A"]
    assert ask(server, {**asked, "primaries": ["5"]}).status_code == 422


def test_what_a_roll_does_not_tell_is_refused_and_costs_nothing(plain: Server) -> None:
    asked = ask(plain, {"places": {"precinct": ["44-0"]}, "primaries": ["0"]})
    assert asked.status_code == 422
    assert "the voter file here does not tell them" in asked.text
    assert charges(plain) == []


def test_places_alone_are_one_cube_whoever_asks_and_however(counted: Server) -> None:
    asked = [
        {"places": {"precinct": ["44-0"]}},
        {"places": {"precinct": ["44-1"]}},
        {"places": {"precinct": ["44-0", "44-1"]}},
        {"places": {"district": ["State House 44"]}},
    ]
    one = [ask(counted, definition).json() for definition in asked]
    again = [ask(counted, definition).json() for definition in reversed(asked)]
    assert [a["fresh"] for a in one] == [True, False, False, False]
    assert [a["estimate"] for a in reversed(again)] == [a["estimate"] for a in one]
    assert [part for part, _ in charges(counted)] == ["A"]


def test_a_crash_between_paying_and_answering_is_paid_and_answered_later(
    plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = consortium.service.choose.disclosure.noisy

    def crash(*_: Any) -> int:
        raise MemoryError

    for definition, part in ((YOUNG, "B"), ({"places": {"precinct": ["44-0"]}}, "A")):
        monkeypatch.setattr(consortium.service.choose.disclosure, "noisy", crash)
        assert ask(plain, definition).status_code == 500
        paid = charges(plain)
        assert [one for one, _ in paid].count(part) == 1
        assert ask(plain, definition).status_code == 500  # crashing again costs nothing again
        assert charges(plain) == paid
        monkeypatch.setattr(consortium.service.choose.disclosure, "noisy", drawn)
        answers = [ask(plain, definition).json() for _ in range(3)]
        assert answers[0]["fresh"] is False
        assert answers == answers[:1] * 3
        assert charges(plain) == paid


def test_budget_and_answers_outlive_the_process(
    plain: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and its log as a kill -9 leaves them; another process goes on with them."""
    before = ask(plain, YOUNG).json()
    folder = tmp_path / "after"
    folder.mkdir()
    for name in ("trellis.sqlite", "trellis.sqlite-wal"):
        shutil.copy(tmp_path / name, folder / name)
    made = engine(f"sqlite:///{folder}/trellis.sqlite")
    after = Units(made, Standing(plain.clock()))
    monkeypatch.setattr(plain.app.state, "units", after)
    assert ask(plain, YOUNG).json() == {**before, "fresh": False}
    assert ask(plain, OLDER).json()["looks_left"] == before["looks_left"] - 1
    made.dispose()


def test_whoever_asks_at_once_gets_one_answer_and_pays_once(counted: Server) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(counted, YOUNG), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["estimate"] for answer in answers}) == 1
    assert sum(answer.json()["fresh"] for answer in answers) == 1
    assert charges(counted) == [("B", ADHOC.units)]


def test_ten_looks_a_day_then_no_and_never_less_noise(plain: Server) -> None:
    questions = fresh_questions()
    left = [ask(plain, next(questions)).json()["looks_left"] for _ in range(10)]
    assert left == list(range(9, -1, -1))
    refused = ask(plain, next(questions))
    assert (refused.status_code, refused.json()["type"]) == (
        429,
        "urn:trellis:problem:budget-spent",
    )
    assert "estimate" not in refused.text
    assert len(charges(plain)) == 10
    for free in (next(fresh_questions()), {"places": {"precinct": ["44-0"]}}):
        assert ask(plain, free).status_code == 200  # answered before, and places alone


def test_no_number_of_days_or_people_gets_past_the_race(plain: Server) -> None:
    """Two coordinators, day after day: together they stop where the kept share begins."""
    carl = Actor("carl", "coordinator", "Carl", public("carl").hex())
    plain.units.run("add", lambda unit: actors.add(unit, carl))
    answered = 0
    questions = fresh_questions()
    for _ in range(4):
        for who in ("cora", "carl"):
            for _ in range(10):
                asked = ask(plain, next(questions), who)
                assert asked.status_code in (200, 429)
                answered += asked.status_code == 200
        plain.clock.now += DAY
    assert answered == ALL_LOOKS
    assert sum(units for _, units in charges(plain)) <= ADHOC.limit
    assert ask(plain, next(questions), "carl").status_code == 429


@pytest.mark.parametrize(
    "definition",
    [
        {"places": {"precinct": ["44-0"]}, "not": {"places": {"precinct": ["44-1"]}}},
        {"places": {"precinct": ["44-0"]}, "except": ["44-1"]},
        {"places": {"precinct": ["44-0"]}, "partner": ["union"]},
        {"places": {"precinct": ["44-0"]}, "sources": ["union"]},
        {"places": {"precinct": ["nowhere"]}},
        {"places": {}},
        {},
        {"places": {"person": ["1"]}},
        {"places": {"precinct": "44-0"}},
        {"places": {"precinct": ["44-0"]}, "age": ["18"]},
        {"places": {"precinct": ["44-0"]}, "age": ["18-34' OR 1=1"]},
        {"places": {"precinct": ["44-0"]}, "votes": ["all"]},
        {"places": {"precinct": ["44-0"]}, "age": {"18-34": True}},
    ],
)
def test_a_question_that_may_not_be_asked_costs_nothing(
    plain: Server, definition: dict[str, Any]
) -> None:
    refused = ask(plain, definition)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:trellis:problem:refused")
    assert charges(plain) == []


def test_a_place_too_small_looks_like_a_place_that_is_not_there(server: Server) -> None:
    server.sign_agreement()
    small = [(9000 + n, "44-9", "State House 44", "43699", "65+", "0") for n in range(499)]
    server.link(server.contribute("union"), server.enrol([*VOTERS, *small]), {0: 9000})
    told = {ask(server, {"places": {"precinct": [code]}}).text for code in ("44-9", "not-there")}
    assert len(told) == 1


@pytest.mark.parametrize("who", ["union", "stella", "ann", "mailer"])
def test_nobody_else_counts(plain: Server, who: str) -> None:
    assert ask(plain, YOUNG, who).status_code == 403
    assert charges(plain) == []


def test_one_more_person_on_a_list_is_a_new_question_and_not_a_second_look(
    plain: Server,
) -> None:
    """An attacker who is also a partner adds one person and asks again, to subtract: it costs."""
    before = ask(plain, YOUNG).json()
    roll = plain.enrol(VOTERS)
    plain.link(plain.contribute("union", 3), roll, {row: row for row in range(100)})
    after = ask(plain, YOUNG).json()
    assert after["fresh"] is True
    assert after["looks_left"] == before["looks_left"] - 1
    assert len(charges(plain)) == 2
