"""Laws of the matching core: no refusal quotes its row, folding settles, links are one to one."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from matching import normalise
from matching.columns import Reading, open_list
from matching.errors import ListRefused
from matching.quality import reference_links
from matching.recipes import make_record, token_inputs

NASTY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CANARY = "Zq7canaryXw9"


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(NASTY, NASTY, st.sampled_from(["", ",", '"', "\n", ";", "@"])), max_size=6)
)
def test_no_refusal_quotes_its_row(rows: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "members.csv"
        lines = [f"{a}{CANARY},{CANARY}{mark}{b},{CANARY}" for a, b, mark in rows]
        path.write_bytes(("first name,email,zip\n" + "\n".join(lines)).encode())
        reading = Reading()
        refusals: list[Exception] = []
        try:
            list(open_list(path).rows(reading))
        except ListRefused as refused:
            refusals.append(refused)
        said = "".join(f"{r!s} {r!r} {r.__dict__}" for r in [*refusals, *reading.refused])
        assert CANARY not in said


@given(NASTY)
def test_folding_twice_is_folding_once(typed: str) -> None:
    for fold in (normalise.letters, normalise.mailbox, normalise.email, normalise.zip5):
        assert fold(fold(typed)) == fold(typed)
    assert normalise.letters(typed).isascii()


@given(NASTY, NASTY, NASTY, NASTY, NASTY, NASTY)
def test_no_input_breaks_a_record_and_no_field_shows(
    first: str, last: str, phone: str, birth: str, address: str, zip_code: str
) -> None:
    record = make_record(
        first=first, last=last, phone=phone, birth=birth, address=address, zip=zip_code
    )
    assert repr(record) == "Record()"
    assert len({each for each in token_inputs(record) if each}) == sum(
        each is not None for each in token_inputs(record)
    )


PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["Ana", "Bill", "Cy"]), st.sampled_from(["Ruiz", "Smith", "Li"]),
        st.sampled_from(["", "1970", "1980"]), st.sampled_from(["", "12 Oak St", "14 Elm St"]),
        st.sampled_from(["80202", "80203"]),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(PEOPLE, PEOPLE)
def test_links_are_one_to_one(
    mine: list[tuple[str, str, str, str, str]], theirs: list[tuple[str, str, str, str, str]]
) -> None:
    made = [
        [make_record(first=a, last=b, birth=c, address=d, zip=e) for a, b, c, d, e in side]
        for side in (mine, theirs)
    ]
    links = reference_links(dict(enumerate(made[0])), made[1])
    assert len(set(links.values())) == len(links)
    assert reference_links(dict(enumerate(made[0])), made[1]) == links
