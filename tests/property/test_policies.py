"""Laws of the policies: equal questions are one, and no budget is ever overspent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policies import budget
from policies.definition import key, normal_form
from policies.errors import BudgetSpent, DefinitionRefused
from policies.parts import ADHOC, DAY_UNITS, part_of

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
CODES = {
    "district": [f"House {n}" for n in range(4)],
    "precinct": [f"P-{n}" for n in range(12)],
    "zip": [f"4360{n}" for n in range(5)],
}
CATALOGUE = {kind: dict.fromkeys(codes, 5000) for kind, codes in CODES.items()}
INSIDE = {
    ("district", f"House {n}"): [("precinct", f"P-{m}") for m in range(12) if m % 4 == n]
    for n in range(4)
}
AGES = ["18-34", "35-49", "50-64", "65+"]
VOTES = ["0", "1-2", "3-4", "new"]
PRIMARIES = ["0", "1-2", "3-4"]


def some(of: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(of), unique=True, max_size=len(of))


definitions = st.fixed_dictionaries(
    {"places": st.fixed_dictionaries({kind: some(codes) for kind, codes in CODES.items()})},
    optional={"age": some(AGES), "votes": some(VOTES), "primaries": some(PRIMARIES)},
).filter(lambda raw: any(raw["places"].values()))


def meaning(
    raw: dict[str, Any],
) -> tuple[frozenset[tuple[str, str]], frozenset[str], frozenset[str], frozenset[str]]:
    """Say whom a question is about, in a way that owes nothing to the normal form."""
    places = {(kind, code) for kind, codes in raw["places"].items() for code in codes}
    inner = {p for outer in places for p in INSIDE.get(outer, [])}
    return (
        frozenset(places | inner),
        frozenset(raw.get("age") or AGES),
        frozenset(raw.get("votes") or VOTES),
        frozenset(raw.get("primaries") or PRIMARIES),
    )


def asked(raw: dict[str, Any]) -> str:
    return key(normal_form(raw, CATALOGUE, containment=INSIDE, ages=AGES))


@st.composite
def respelt(draw: Callable[..., Any], raw: dict[str, Any]) -> dict[str, Any]:
    """Spell the same question otherwise: shuffled, repeated, padded, with what is inside added."""

    def shuffled(values: list[str]) -> list[str]:
        again = draw(st.lists(st.sampled_from(values), max_size=4)) if values else []
        return list(draw(st.permutations(values + again)))

    places = {kind: list(codes) for kind, codes in raw["places"].items()}
    for district in raw["places"]["district"]:
        inside = [code for _, code in INSIDE[("district", district)]]
        places["precinct"] += draw(st.lists(st.sampled_from(inside), max_size=3))
    new: dict[str, Any] = {
        "places": {k: shuffled(places[k]) for k in draw(st.permutations(list(places)))}
    }
    if draw(st.booleans()):
        new["places"] = {kind: codes for kind, codes in new["places"].items() if codes}
    for field, every in (("age", AGES), ("votes", VOTES), ("primaries", PRIMARIES)):
        chosen = raw.get(field) or draw(st.sampled_from([None, [], every]))
        if chosen is not None or draw(st.booleans()):
            new[field] = shuffled(chosen) if chosen else chosen
    return new


@given(st.data(), definitions)
def test_equivalent_questions_have_one_key(data: st.DataObject, raw: dict[str, Any]) -> None:
    other = data.draw(respelt(raw))
    assert meaning(other) == meaning(raw)
    assert asked(other) == asked(raw)


@given(definitions, definitions)
def test_one_key_means_one_question(one: dict[str, Any], other: dict[str, Any]) -> None:
    if asked(one) == asked(other):
        # A district and all its precincts may still be two spellings; a key never covers two sets.
        assert meaning(one) == meaning(other)


@given(definitions)
def test_the_normal_form_is_its_own(raw: dict[str, Any]) -> None:
    normal = normal_form(raw, CATALOGUE, containment=INSIDE, ages=AGES)
    assert normal_form(normal, CATALOGUE, containment=INSIDE, ages=AGES) == normal


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_like | st.fixed_dictionaries({"places": json_like, "age": json_like}))
def test_whatever_is_asked_is_normal_or_refused(raw: Any) -> None:
    try:
        normal = normal_form(raw, CATALOGUE)
    except DefinitionRefused:
        return
    assert any(normal["places"].values())


asks = st.tuples(
    st.sampled_from(["A", "B", "B", "B", "C", "D:union", "D:parks"]),
    st.integers(0, 90),
    st.sampled_from(["ana", "bo", "cy"]),
    st.integers(0, 6),
    st.booleans(),
)


@given(st.lists(asks, min_size=40, max_size=200))
def test_no_order_of_questions_overspends_or_gives_back(
    questions: list[tuple[str, int, str, int, bool]],
) -> None:
    spent, made = budget.opened("r"), []
    for part, question, person, day, gate in questions:
        before = spent
        try:
            one, spent = budget.charge(
                spent,
                part=part,
                question=str(question),
                person=person,
                now=NOON + timedelta(days=day),
                gate=gate,
            )
        except BudgetSpent:
            assert spent is before
            continue
        if one is not None:
            made.append(one)
        assert spent.total >= before.total
        assert (one is None) == (spent.total == before.total)
    for part, units in spent.by_part.items():
        assert 0 <= units <= part_of(part).limit
    assert all(units <= DAY_UNITS for units in spent.by_day.values())
    assert spent.by_part.get("B", 0) - spent.gates <= ADHOC.limit * 80 // 100
    assert spent.total == sum(one.units for one in made)
    assert len({(one.part, one.question) for one in made}) == len(made)
    assert budget.replay("r", made, spent.head) == spent
