"""Partners' files as they really come: every system, every encoding, and what is wrong in them."""

from pathlib import Path

import pytest

from matching.columns import Listing, Reading, open_list
from matching.errors import ListRefused

GENERIC = "First Name,Last Name,Email,ZIP,Email Status\nAna,Ruiz,ana@example.org,80202,subscribed\n"


def _open(tmp_path: Path, text: str, encoding: str = "utf-8", name: str = "members.csv") -> Listing:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return open_list(path)


def _said(listing: Listing) -> list[str]:
    return [str(refusal) for refusal in listing.check().refused]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_in_every_dress_reads_the_same(tmp_path: Path, encoding: str) -> None:
    listing = _open(tmp_path, GENERIC.replace("Ana,", "Zoë,"), encoding)
    assert next(listing.rows()).first_name == "Zoë"


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_an_old_encoding_is_read_and_said_so(tmp_path: Path, encoding: str) -> None:
    listing = _open(tmp_path, GENERIC.replace("Ana,", "Zoë,"), encoding)
    assert next(listing.rows()).first_name == "Zoë"
    assert "not UTF-8" in listing.notes[0]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_delimiters(tmp_path: Path, mark: str) -> None:
    listing = _open(tmp_path, GENERIC.replace(",", mark))
    assert (listing.delimiter, listing.check().mailable) == (mark, 1)


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"PK\x03\x04rest", "xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1", "xls"),
        (b"%PDF-1.7", "not a text"),
        (b"a,b\x00\x01\x02,email\n", "not a text"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"Name,Telephone\nA,B\n", "email"),
        (b"\xff\xfea\x00,", "UTF-16"),
    ],
)
def test_what_is_no_list_is_refused_with_what_to_do(tmp_path: Path, head: bytes, word: str) -> None:
    path = tmp_path / "members.csv"
    path.write_bytes(head)
    with pytest.raises(ListRefused, match=word) as refused:
        open_list(path)
    assert refused.value.todo


def test_two_email_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ListRefused, match="twice") as refused:
        _open(tmp_path, "Email,email\na@example.org,b@example.org\n")
    assert refused.value.column == "Email"


def test_bad_rows_say_where_and_what_and_good_rows_go_on(tmp_path: Path) -> None:
    listing = _open(
        tmp_path,
        GENERIC
        + "\n"
        + "Bo,Li,bo@example.org,80202,subscribed,extra\n"
        + "Cy,Oz,,80202,subscribed\n"
        + "Di,Po,not an address,80202,subscribed\n"
        + 'Ed,"Q"x,ed@example.org,80202,subscribed\n'
        + "Fay,Roe,fay@example.org,80202,subscribed\n",
    )
    reading = Reading()
    assert [row.row for row in listing.rows(reading)] == [2, 8]
    assert [(r.row, r.field) for r in reading.refused] == [
        (4, "the whole row"), (5, "email"), (6, "email"), (7, "the whole row"),
    ]  # fmt: skip
    assert reading.blank == 1
    assert "not an address" not in "".join(_said(listing))


def test_an_unclosed_quotation_mark_is_said(tmp_path: Path) -> None:
    listing = _open(tmp_path, GENERIC + '"Bo,Li,bo@example.org,80202,subscribed\n')
    assert "quotation mark" in _said(listing)[0]
    assert listing.check().usable == 1


def test_an_unclosed_quotation_mark_takes_no_other_member_with_it(tmp_path: Path) -> None:
    many = "".join(f"A,B,a{n}@example.org,80202,subscribed\n" for n in range(4_000))
    listing = _open(tmp_path, GENERIC + '"Bo,Li,bo@example.org,80202,subscribed\n' + many)
    reading = listing.check()
    assert (reading.usable, [one.row for one in reading.refused]) == (4_001, [3])


def test_a_quotation_mark_that_closes_rows_later_swallows_none_of_them(tmp_path: Path) -> None:
    rows = (
        'Bo,"Li,bo@example.org,80202,subscribed\nCy,Li,cy@example.org,80202,subscribed\n'
        'Di,Li",di@example.org,80202,subscribed\n'
        'Ed,"Li\nOak, 2, x, y",ed@example.org,80202,subscribed\n'
    )
    found = [row.first_name for row in _open(tmp_path, GENERIC + rows).rows()]
    assert found[1:] == ["Cy", "Di", "Ed"]


def test_a_stray_null_byte_costs_its_row_alone(tmp_path: Path) -> None:
    rows = "Bo,Li\x00,bo@example.org,80202,subscribed\nCy,Li,cy@example.org,80202,subscribed\n"
    reading = _open(tmp_path, GENERIC + rows).check()
    assert (reading.usable, [one.row for one in reading.refused]) == (2, [3])


def test_a_header_with_empty_names_at_its_end_asks_nothing_of_the_rows(tmp_path: Path) -> None:
    listing = _open(tmp_path, "email,status,,\na@example.org,subscribed\nb@example.org,no,,\n")
    assert (listing.check().usable, listing.header) == (2, ("email", "status"))


@pytest.mark.parametrize(
    "word",
    ["U", "Removed", "No longer subscribed", "Hard Bounced", "Opted Out of Email", "Deceased",
     "Spam Report", "Pending", "Declined", "Undeliverable", "GDPR erased", "DNC", "bounced/unsub"],
)  # fmt: skip
def test_a_word_that_says_no_in_its_own_way_is_not_overridden_by_an_attestation(
    word: str, tmp_path: Path
) -> None:
    listing = _open(tmp_path, f"email,status\na@example.org,{word}\n")
    assert listing.check(attested=True).mailable == 0


@pytest.mark.parametrize("word", ["-1", "Active", "Neutral", "2", ""])
def test_a_word_that_says_neither_is_unknown(word: str, tmp_path: Path) -> None:
    listing = _open(tmp_path, f"email,status\na@example.org,{word}\n")
    assert next(listing.rows()).status == "unknown"


def test_no_status_is_unknown_until_the_partner_attests(tmp_path: Path) -> None:
    listing = _open(tmp_path, "email\na@example.org\n")
    assert not listing.has_status
    assert (listing.check().mailable, listing.check(attested=True).mailable) == (0, 1)


def test_the_most_restrictive_status_of_an_address_wins(tmp_path: Path) -> None:
    listing = _open(
        tmp_path,
        GENERIC + "Ana,Ruiz,ANA@example.org,80202,Unsubscribed\nBo,Li,bo@example.org,80202,\n",
    )
    assert [row.status for row in listing.rows()] == ["unsubscribed", "unsubscribed", "unknown"]
    assert listing.check(attested=True).mailable == 1


def test_a_membership_that_is_active_is_no_consent(tmp_path: Path) -> None:
    listing = _open(tmp_path, "email,status\na@example.org,Active\n")
    assert next(listing.rows()).status == "unknown"


@pytest.mark.parametrize(
    ("header", "system"),
    [
        ("uuid,email,can2_phone", "action-network"),
        ("VANID,FirstName,Email,EmailSubscriptionStatus", "everyaction"),
        ("Voter File VANID ,Email", "everyaction"),
        ("nationbuilder_id,email,email_opt_in", "nationbuilder"),
        ("Email Address,LEID,EUID", "mailchimp"),
        ("Id,Email,HasOptedOutOfEmail", "salesforce"),
        ("akid,email,subscription_status", "actionkit"),
        ("E-Mail,Name", "csv"),
    ],
)
def test_systems_are_told_by_their_columns(tmp_path: Path, header: str, system: str) -> None:
    assert _open(tmp_path, header + "\n").system == system


@pytest.mark.parametrize(
    ("cells", "status", "address"),
    [
        ("a@example.org,true,a@example.org,false,,,false", "subscribed", "a@example.org"),
        ("a@example.org,true,a@example.org,true,b@example.org,false,false", "subscribed",
         "b@example.org"),
        ("a@example.org,true,a@example.org,true,,,false", "bounced", "a@example.org"),
        ("a@example.org,false,a@example.org,false,,,false", "unsubscribed", "a@example.org"),
        ("a@example.org,,a@example.org,false,,,false", "unknown", "a@example.org"),
        ("a@example.org,true,a@example.org,false,,,true", "blocked", "a@example.org"),
    ],
)  # fmt: skip
def test_nationbuilder_flags(tmp_path: Path, cells: str, status: str, address: str) -> None:
    header = "email,email_opt_in,email1,email1_is_bad,email2,email2_is_bad,do_not_contact"
    row = next(_open(tmp_path, f"nationbuilder_id,{header}\n7,{cells}\n").rows())
    assert (row.status, row.email) == (status, address)


def test_salesforce_not_opted_out_is_not_opted_in(tmp_path: Path) -> None:
    text = "Id,Email,HasOptedOutOfEmail,EmailBouncedReason\n1,a@example.org,false,\n"
    text += "2,b@example.org,true,\n3,c@example.org,false,550\n"
    assert [r.status for r in _open(tmp_path, text).rows()] == [
        "unknown",
        "unsubscribed",
        "bounced",
    ]


@pytest.mark.parametrize(
    ("name", "status"),
    [("subscribed_1.csv", "subscribed"), ("unsubscribed_1.csv", "unsubscribed"),
     ("cleaned_1.csv", "cleaned"), ("nonsubscribed_1.csv", "never"), ("audience.csv", "unknown")],
)  # fmt: skip
def test_mailchimp_says_it_in_the_files_name(tmp_path: Path, name: str, status: str) -> None:
    listing = _open(tmp_path, "Email Address,LEID,EUID\na@example.org,1,2\n", name=name)
    assert next(listing.rows()).status == status


def test_unknown_columns_are_named_and_never_read(tmp_path: Path) -> None:
    listing = _open(tmp_path, "email,Donations,Notes\na@example.org,5000,canary\n")
    row = next(listing.rows(attested=True))
    assert listing.unknown_columns == ("Donations", "Notes")
    held = [getattr(row, name) for name in type(row).__slots__]
    assert "canary" not in repr(held)
    assert "example" not in repr(row)


def test_twice_the_rows_need_no_more_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "members.csv"
    with path.open("w") as text:
        text.write("email,note\n")
        text.writelines(f"a{n}@example.org,x\n" for n in range(4_000))
    listing, peaks = open_list(path), []
    for _ in range(2):
        tracemalloc.start()
        assert listing.check(attested=True).usable in (4_000, 8_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        with path.open("a") as text:
            text.writelines(f"b{n}@example.org,x\n" for n in range(4_000))
    assert peaks[1] < peaks[0] + 100_000


@pytest.mark.soak
def test_two_hundred_thousand_rows(tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    with path.open("w") as text:
        text.write("email,status\n")
        text.writelines(f"a{n}@example.org,subscribed\n" for n in range(200_000))
    assert open_list(path).check().mailable == 200_000


@pytest.mark.parametrize(
    "column", ["Unsubscribed", "Opt-Out", "Email Opt Out", "Unsubscribed At", "Bounced", "No Email"]
)
@pytest.mark.parametrize("cell", ["yes", "TRUE", "1", "x", "2024-05-01", "asked by phone"])
def test_a_column_that_says_no_is_heard_beside_a_status_and_as_the_status(
    column: str, cell: str, tmp_path: Path
) -> None:
    text = f"email,status,{column}\na@example.org,subscribed,{cell}\nb@example.org,subscribed,no\n"
    beside = _open(tmp_path, text)
    assert [row.mailable for row in beside.rows(attested=True)] == [False, True]
    instead = open_list(beside.path, {"status": column})
    assert [row.status for row in instead.rows()][1] == "unknown"
    assert [row.mailable for row in instead.rows(attested=True)] == [False, True]
