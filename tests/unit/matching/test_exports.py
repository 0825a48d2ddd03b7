"""Exports of each list system, in their true headers and with made-up people in them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from matching import normalise
from matching.columns import Listing, MemberRow, Reading, open_list, stops_of
from matching.errors import ListRefused, RowRefused
from matching.headers import header_key

FOLDER = Path(__file__).parents[2] / "golden" / "exports"
MAILCHIMP = "_email_audience_export_0a1b2c3d4e.csv"


@dataclass(frozen=True, slots=True)
class Export:
    """What one sample file must be read as."""

    name: str
    system: str
    statuses: tuple[str, ...]
    fields: str


EXPORTS = (
    Export("action-network.csv", "action-network",
           ("subscribed", "unsubscribed", "bounced", "spam complaint", "unknown"),
           "first last email phone address city state zip status"),
    Export("actionkit.csv", "actionkit",
           ("subscribed", "unsubscribed", "bounced", "never", "blocked"),
           "first middle last suffix email phone address unit city state zip status language"),
    Export("van.txt", "everyaction", ("subscribed", "unsubscribed", "never", "unknown"),
           "first middle last suffix email phone birth address city state zip status"),
    Export("everyaction.csv", "everyaction",
           ("subscribed", "blocked", "unsubscribed", "blocked"),
           "first middle last suffix email phone birth address unit city state zip status"),
    Export("nationbuilder.csv", "nationbuilder",
           ("subscribed", "subscribed", "unsubscribed", "blocked", "blocked"),
           "first middle last suffix email phone birth address unit city state zip status"),
    Export("subscribed" + MAILCHIMP, "mailchimp", ("subscribed", "subscribed"),
           "first last email phone birth address state"),
    Export("unsubscribed" + MAILCHIMP, "mailchimp", ("unsubscribed", "unsubscribed"),
           "first last email phone birth address state"),
    Export("cleaned" + MAILCHIMP, "mailchimp", ("cleaned",),
           "first last email phone birth address state"),
    Export("salesforce.csv", "salesforce",
           ("unknown", "unsubscribed", "bounced", "blocked", "blocked"),
           "first middle last suffix email phone birth address city state zip"),
    Export("salesforce-report.csv", "salesforce", ("unknown", "unsubscribed", "bounced"),
           "first last email phone birth address city state zip"),
    Export("spreadsheet.csv", "csv", ("subscribed", "unsubscribed", "unknown"),
           "full email address zip status"),
)  # fmt: skip
BY_NAME = [pytest.param(export, id=export.name) for export in EXPORTS]


def _first(listing: Listing) -> MemberRow:
    return next(row for row in listing.rows() if row.email.startswith("ana.ruiz@"))


@pytest.mark.parametrize("export", BY_NAME)
def test_a_system_is_told_by_its_header_and_its_columns_are_found(export: Export) -> None:
    listing = open_list(FOLDER / export.name)
    assert listing.system == export.system
    assert sorted(listing.mapping) == sorted(export.fields.split())


@pytest.mark.parametrize("export", BY_NAME)
def test_each_row_says_who_may_be_written_to(export: Export) -> None:
    listing = open_list(FOLDER / export.name)
    assert tuple(row.status for row in listing.rows()) == export.statuses
    checked = listing.check()
    assert checked.mailable == export.statuses.count("subscribed")
    assert checked.refused_total == 0
    # Vouching moves those of whom nothing is known, and nobody who said no.
    unsure = export.statuses.count("unknown")
    assert listing.check(attested=True).mailable == checked.mailable + unsure


@pytest.mark.parametrize(
    "export", [one for one in BY_NAME if not str(one.id).startswith(("unsub", "clean"))]
)
def test_one_person_is_one_record_in_every_systems_spelling(export: Export) -> None:
    row = _first(open_list(FOLDER / export.name))
    assert (row.record.first, row.record.last, row.record.zip) == ("ana", "ruiz", "80901")
    assert row.record.address == normalise.address("123 Alder St Apt 4")
    assert row.record.phone in ("", "+13035550134")
    assert row.record.birth in (None, normalise.birth("1970-03-05"))
    assert row.first_name == "Ana"


@pytest.mark.parametrize("export", BY_NAME)
def test_what_is_not_a_field_is_named_and_stays_where_it_is(export: Export) -> None:
    listing = open_list(FOLDER / export.name)
    read = {*listing.mapping.values(), *listing.unknown_columns}
    assert read <= set(listing.header)
    assert not {"can2_user_tags", "source", "Party", "support_level", "TAGS", "LeadSource"} & set(
        listing.mapping.values()
    )


def test_a_renamed_file_of_mailchimps_says_no_by_its_columns(tmp_path: Path) -> None:
    for name in ("unsubscribed", "cleaned"):
        path = tmp_path / f"audience {name}.csv"
        path.write_bytes((FOLDER / (name + MAILCHIMP)).read_bytes())
        assert {row.status for row in open_list(path).rows()} == {name}
    renamed = tmp_path / "audience.csv"
    renamed.write_bytes((FOLDER / ("subscribed" + MAILCHIMP)).read_bytes())
    assert {row.status for row in open_list(renamed).rows()} == {"unknown"}


def test_a_person_says_which_column_is_which(tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_text("Contact,Also,PLZ,Said\nana@example.org,Ana Ruiz,80901,yes\n")
    with pytest.raises(ListRefused, match="email"):
        open_list(path)
    chosen = {"email": "contact", "full": "Also", "zip": "PLZ", "status": "Said"}
    row = next(open_list(path, chosen).rows())
    assert (row.email, row.record.last, row.record.zip, row.status) == (
        "ana@example.org", "ruiz", "80901", "subscribed",
    )  # fmt: skip
    known = {header_key(("contact", "ALSO", "plz ", "Said")): chosen}
    assert open_list(path, lambda key: known[key]).mapping["full"] == "Also"


def test_a_column_that_is_taken_for_another_field_is_given_up() -> None:
    path = FOLDER / "van.txt"
    listing = open_list(path, {"phone": "Cell Phone", "birth": "", "middle": "Suffix"})
    assert listing.mapping["phone"] == "Cell Phone"
    assert listing.mapping["middle"] == "Suffix"
    assert not {"birth", "suffix"} & set(listing.mapping)
    assert _first(listing).record.birth is None


@pytest.mark.parametrize(
    "chosen", [{"telephone": "Cell Phone"}, {"phone": "Nowhere"}, {"email": ""}]
)
def test_a_choice_that_cannot_be_is_refused_with_what_to_do(chosen: dict[str, str]) -> None:
    with pytest.raises(ListRefused) as refused:
        open_list(FOLDER / "van.txt", chosen)
    assert refused.value.todo


def test_who_said_no_in_another_file_is_not_written_to(tmp_path: Path) -> None:
    listing = open_list(FOLDER / ("subscribed" + MAILCHIMP))
    no = stops_of(FOLDER / (name + MAILCHIMP) for name in ("unsubscribed", "cleaned"))
    assert len(no) == 3
    reading = Reading()
    rows = list(listing.rows(reading, stops=no))
    assert [(row.first_name, row.status) for row in rows] == [
        ("Ana", "subscribed"), ("Mary Ann", "unsubscribed"),
    ]  # fmt: skip
    assert (reading.mailable, listing.check().mailable) == (1, 2)
    assert list(listing.rows(attested=True, stops=no))[1].mailable is False


def test_a_list_of_stops_needs_no_status_and_its_subscribed_rows_stop_nobody(
    tmp_path: Path,
) -> None:
    bare = tmp_path / "no.csv"
    bare.write_text("email,first name\nana@example.org,Canary\nnot an address,x\n,\n")
    mixed = tmp_path / "all.csv"
    mixed.write_text("email,status\nana@example.org,subscribed\nbo@example.org,bounced\n")
    assert sorted(stops_of([bare]).values()) == ["unsubscribed"]
    assert sorted(stops_of([mixed]).values()) == ["bounced"]
    assert sorted(stops_of([bare, mixed]).values()) == ["bounced", "unsubscribed"]
    assert "anary" not in repr(stops_of([bare]))


def test_a_list_of_stops_of_which_a_row_cannot_be_read_is_refused_by_file_and_row(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "no.csv"
    broken.write_text(
        'email,name\nana@example.org,Ana\nbo@example.org,Canary, Bo\n"cy@example.org,Cy\n'
        "di@example.org,Di\n"
    )
    with pytest.raises(ListRefused) as refused:
        stops_of([broken])
    assert "no.csv: 2 rows cannot be read, the first is row 3" in str(refused.value)
    assert "anary" not in str(refused.value)
    empty = tmp_path / "none.csv"
    empty.write_text("")
    with pytest.raises(ListRefused, match=r"none\.csv: the file is empty"):
        stops_of([empty])


def test_a_row_of_a_list_of_stops_without_an_address_is_told_by_file_and_row(
    tmp_path: Path,
) -> None:
    no = tmp_path / "no.csv"
    no.write_text("email,name\nana@example.org,Ana\nana at example,Ana\n")
    told: list[RowRefused] = []
    assert len(stops_of([no], told.append)) == 1
    assert [(one.file, one.row, one.field) for one in told] == [("no.csv", 3, "email")]
