"""Laws of the matching core: no refusal quotes its row, folding settles, links are one to one."""

import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from mailer import addresses
from matching import normalise
from matching.columns import Reading, open_list
from matching.errors import ListRefused
from matching.quality import reference_links
from matching.recipes import address_input, make_record, token_inputs

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


MAILBOXES = st.builds(
    "{}@{}.{}".format,
    st.one_of(NASTY, st.from_regex(r"[a-z.+']{1,12}", fullmatch=True)),
    st.one_of(NASTY, st.sampled_from(["gmail", "example", "GoogleMail", "b\u00fccher", "x-", "1"])),
    st.one_of(NASTY, st.sampled_from(["com", "org", "ORG", "7", "c"])),
)


@settings(max_examples=300, deadline=None)
@given(MAILBOXES)
def test_what_can_be_written_to_has_one_token_and_one_stop(typed: str) -> None:
    mailbox = normalise.mailbox(typed)
    assert bool(mailbox) == bool(normalise.email(typed))
    if mailbox:
        assert normalise.email(mailbox) == normalise.email(typed)
        assert address_input(mailbox) == address_input(typed)
        assert addresses.normalise(mailbox).decode() == normalise.email(mailbox)


@given(NASTY, NASTY, NASTY, NASTY)
def test_a_name_however_typed_is_letters_and_its_surnames_are_its_last_name(
    first: str, middle: str, last: str, suffix: str
) -> None:
    said = normalise.names(first, middle, last, suffix)
    assert all(part == "" or (part.isascii() and part.isalpha()) for part in said)
    assert "".join(normalise.surnames(last))[:40] == said[2]
    given, family = normalise.parted(f"{first} {last}")
    assert len(given) + len(family) <= len(unicodedata.normalize("NFKC", f"{first} {last}"))


@given(NASTY, st.sampled_from(["12 ", "45-12 ", "RR 2 Box ", "12 1/2 ", "12, ", ""]))
def test_an_address_however_typed_is_plain_or_missing(typed: str, before: str) -> None:
    found = normalise.address(before + typed)
    if found:
        assert found.number.isdigit()
        assert found.street
        assert found.full.startswith(found.number)
        assert found.full.isascii()
        assert "|" not in found.full


@given(NASTY)
def test_folding_twice_is_folding_once(typed: str) -> None:
    for fold in (
        normalise.letters, normalise.mailbox, normalise.email, normalise.zip5, normalise.phone,
    ):  # fmt: skip
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
