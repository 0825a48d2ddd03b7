"""Which column is which: shown, confirmed, kept; and people who said no in another file."""

import json
from pathlib import Path

import pytest

from consortium.cli import columns_kept
from consortium.cli.errors import HomeRefused, ListRefused
from consortium.cli.home import Home
from matching.columns import open_list
from matching.headers import header_key
from tests.unit.cli.conftest import CANARY, Desk

ASKED = "Is that right?"
AGAIN = "as you confirmed them"


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """150 members under headers that nobody could guess."""
    path = tmp_path / "odd.csv"
    rows = [f"{CANARY}{n}@mail.example,Ana{chr(97 + n % 26)} Ruiz,yes" for n in range(150)]
    path.write_text("\n".join(["Where,Who,Says", *rows]) + "\n")
    return path


CHOSEN = ("--column", "email=Where", "--column", "full=who", "--column", "status=Says")


def test_columns_that_were_confirmed_are_read_so_again_and_it_is_said(
    union: Desk, odd: Path
) -> None:
    refused = union.run("upload", odd, "--yes")
    assert refused.exit_code == 1
    assert "email" in refused.output
    first = union.run("upload", odd, *CHOSEN, "--dry-run")
    assert ASKED in first.output
    # A dry run confirms nothing.
    assert not (union.home / columns_kept.FILE).exists()
    done = union.json("upload", odd, *CHOSEN, "--yes")
    assert done["rows"] == 150
    again = union.run("upload", odd)
    assert again.exit_code == 0, again.output
    assert AGAIN in again.output
    assert ASKED not in again.output
    assert f"uploaded already, as {done['id']}" in again.output
    assert CANARY not in (union.home / columns_kept.FILE).read_text()


def test_a_column_said_now_is_put_over_what_was_confirmed(union: Desk, members: Path) -> None:
    columns_kept.keep(Home(union.home), open_list(members))
    kept = json.loads((union.home / columns_kept.FILE).read_text())
    (columns,) = kept.values()
    assert columns["zip"] == "zip"
    assert columns["phone"] == ""
    assert columns_kept.confirmed(Home(union.home), open_list(members))
    other = union.run("upload", members, "--column", "zip=", "--attest-consent", "x", answers="n\n")
    assert ASKED in other.output
    assert AGAIN not in other.output
    assert json.loads((union.home / columns_kept.FILE).read_text()) == kept


def test_what_was_not_confirmed_is_not_kept(union: Desk, members: Path) -> None:
    assert union.run("upload", members, answers="n\n").exit_code != 0
    assert not (union.home / columns_kept.FILE).exists()


def test_who_stands_in_a_list_of_stops_does_not_leave(
    union: Desk, members: Path, tmp_path: Path
) -> None:
    stops = tmp_path / "unsubscribed_export.csv"
    stops.write_text(f"Email Address,LEID,EUID\n{CANARY}7@mail.example,1,2\n")
    whole = union.run("upload", members, answers="n\n")
    assert "150 of them may be written to" in whole.output
    fewer = union.json("upload", members, "--stops", stops, "--yes")
    assert fewer["rows"] == 149
    again = union.run("upload", members, "--stops", stops)
    assert f"uploaded already, as {fewer['id']}" in again.output


def test_the_file_alone_makes_an_upload_the_same_one_while_nothing_is_said_of_it(
    members: Path, tmp_path: Path
) -> None:
    stops = tmp_path / "no.csv"
    stops.write_text("email\na@mail.example\n")
    plain = open_list(members)
    digest = columns_kept.identity(members, plain, ())
    assert digest.hex() == columns_kept.digest_of(members)
    said = open_list(members, {"zip": plain.mapping["zip"]})
    assert columns_kept.identity(members, said, ()) == digest
    others = [
        columns_kept.identity(members, open_list(members, {"zip": ""}), ()),
        columns_kept.identity(members, plain, (stops,)),
    ]
    assert len({digest, *others}) == 3


@pytest.mark.parametrize("word", ["telephone=Cell", "phone", "=Cell"])
def test_a_word_that_names_no_field_is_refused_with_the_fields(word: str) -> None:
    with pytest.raises(ListRefused, match="first, middle, last"):
        columns_kept.said([word])
    assert columns_kept.said(["phone=Cell = home", "zip="]) == {"phone": "Cell = home", "zip": ""}


def test_a_kept_file_that_somebody_changed_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert columns_kept.kept(home) == {}
    for text in ('{"ab": 7}', '{"ab": {"zip": 7}}', "[]"):
        (tmp_path / columns_kept.FILE).write_text(text)
        with pytest.raises(HomeRefused):
            columns_kept.kept(home)
    key = header_key(("Email",))
    (tmp_path / columns_kept.FILE).write_text(json.dumps({key: {"zip": "PLZ"}}))
    assert columns_kept.choices(home, {"full": "Who"})(key) == {"zip": "PLZ", "full": "Who"}


def test_a_list_of_people_who_said_no_is_told_where_it_belongs(union: Desk, tmp_path: Path) -> None:
    no = tmp_path / "unsubscribed_export.csv"
    no.write_text("Email Address,LEID,EUID\na@mail.example,1,2\nb@mail.example,1,3\n")
    refused = union.run("upload", no, "--yes")
    assert refused.exit_code == 1
    assert "--stops" in refused.output
    yes = tmp_path / "subscribed_export.csv"
    yes.write_text(no.read_text())
    refused = union.run("upload", yes, "--yes")
    assert refused.exit_code == 1
    assert "--stops" not in refused.output
