"""Whatever a partner's export looks like: what the real command says, and what it then does.

Every list has a canary in every cell. Whatever is wrong, no value is printed: only where it is and
what to do. A file that cannot be read at all says so about its columns before any row is judged.
"""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.installation import HEADER, Installation, Said, members, trellis, write_list

CANARY = "Zqxcanary"
PER_ROW = 1024
"""Bytes of memory that one more row of a list may cost the partner's tool."""
Rows = list[list[str]]


def rows(count: int, start: int) -> Rows:
    """Members with the canary in every cell but ZIP and status."""
    return [list(row) for row in members(count, mark=CANARY, start=start)]


def text(lines: Sequence[Sequence[str]], *, header: Sequence[str] = HEADER, mark: str = ",") -> str:
    """A CSV as a spreadsheet writes it."""
    out = io.StringIO()
    csv.writer(out, delimiter=mark, lineterminator="\r\n").writerows([header, *lines])
    return out.getvalue()


def workbook() -> bytes:
    """A workbook: a zip with a sheet in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("xl/worksheets/sheet1.xml", f"<c>{CANARY}</c>")
    return out.getvalue()


def tool(installation: Installation, file: Path, *more: str) -> Said:
    """`trellis partner upload` without a terminal, as it stands in somebody's script."""
    home = installation.partner(2)
    said = trellis("partner", "upload", "--home", home, file, "--wait", "240", *more)
    assert CANARY.casefold() not in said.words.casefold()
    assert "@example.org" not in said.words
    assert "Traceback" not in said.words
    return said


REFUSED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "a renamed workbook": (
        workbook, "this is a workbook (.xlsx) or a zip file", "save as 'CSV UTF-8'"),
    "an old workbook": (
        lambda: b"\xd0\xcf\x11\xe0" + bytes(600), "old Excel workbook", "Save it as 'CSV UTF-8'"),
    "no email column": (
        lambda: text([row[:2] for row in rows(150, 0)], header=HEADER[:2]).encode(),
        "column 'email': none of the 2 columns is called 'email'", "rename the column"),
    "no header": (
        lambda: text(rows(150, 0)[1:], header=rows(1, 0)[0]).encode(),
        "column 'email': none of the 6 columns is called 'email'", "Add a header row"),
    "two email columns": (
        lambda: text([[*row, row[2]] for row in rows(150, 0)], header=[*HEADER, "Email"]).encode(),
        "stands in the header twice", "Keep one of them"),
    "nothing": (lambda: b"", "the file is empty", "Export the list again"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "not a text file", "as CSV"),
    "UTF-16 cut in the middle": (
        lambda: text(rows(150, 0)).encode("utf-16")[:-1], "does not go on as that", "export it"),
    "another delimiter": (
        lambda: text(rows(150, 0), mark="~").encode(), "one column and it is not 'email'",
        "Use commas, semicolons or tabs"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_cannot_be_read_says_what_it_is_and_what_to_do(
    installation: Installation, tmp_path: Path, kind: str
) -> None:
    content, what, todo = REFUSED[kind]
    file = tmp_path / "members.csv"
    file.write_bytes(content())
    said = tool(installation, file, "--yes")
    assert said.code == 1
    assert what in said.err
    assert todo in said.err
    assert "row " not in said.err.replace("header row", ""), "column errors come alone, and first"


READ: dict[str, tuple[Callable[[str], bytes], str]] = {
    "Windows-1252": (lambda t: t.encode("cp1252"), "it was read as Windows-1252"),
    "semicolons": (lambda t: t.replace(",", ";").encode(), "columns parted by semicolons"),
    "tabs and a mark": (lambda t: t.replace(",", "\t").encode("utf-8-sig"), "parted by tabs"),
    "UTF-16": (lambda t: t.encode("utf-16"), "the file is UTF-16; it was read as that"),
    "UTF-16 without its mark": (lambda t: t.encode("utf-16-le"), "the file is UTF-16"),
    "old line ends": (lambda t: t.replace("\r\n", "\n").encode(), "parted by commas"),
}


@pytest.mark.parametrize("kind", READ)
def test_a_file_in_another_form_is_read_and_it_says_as_what(
    installation: Installation, tmp_path: Path, kind: str
) -> None:
    turn, note = READ[kind]
    lines = rows(101, 100)
    lines[0][1] += "é"
    file = tmp_path / "members.csv"
    file.write_bytes(turn(text(lines)))
    said = tool(installation, file)
    assert said.code == 2, "nobody confirmed"
    assert note in said.words
    assert "101 rows can be used; 101 of them may be written to." in said.words
    assert "nobody is here to answer: read the text above, then add --yes" in said.err


def ragged(start: int) -> Rows:
    """110 good rows and five that are not: rows 4, 6, 7, 9 and 11 of the file; row 13 is blank."""
    lines = rows(110, start)
    lines.insert(2, [*lines[0], "stray"])
    lines.insert(4, lines[0][:3])
    lines.insert(5, ["", "", "", "", "", ""])
    lines.insert(5, [*lines[0][:2], "", *lines[0][3:]])
    lines.insert(7, [*lines[0][:2], f"{CANARY} at nowhere", *lines[0][3:]])
    lines.insert(9, [*lines[0][:2], f"{CANARY}b@example.org; {CANARY}c@example.org", *lines[0][3:]])
    return lines


def test_bad_rows_stay_and_good_rows_leave_after_a_yes(
    installation: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text(text(ragged(200)), "utf-8", newline="")
    asked = tool(installation, file)
    assert asked.code == 2
    told = dict(re.findall(r"^  row (\d+), ([^:]+): .+$", asked.words, re.MULTILINE))
    assert told["4"] == "the whole row"
    assert told["6"] == "the whole row"
    assert told["7"] == "email"
    assert told["9"] == "email"
    assert re.search(r"row 4, the whole row: has 7 cells where the header has 6: put ", asked.words)
    assert "row 6, the whole row: has 3 cells where the header has 6" in asked.words
    assert "row 7, email: is empty: add an address or remove the row" in asked.words
    assert "row 9, email: is not one email address: correct it or remove the row" in asked.words
    assert "110 rows can be used; 110 of them may be written to." in asked.words
    done = tool(installation, file, "--yes", "--json").json()
    assert (done["rows"], done["refused"]) == (110, len(told))


def test_a_list_of_which_no_status_is_known_does_not_leave(
    installation: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text(text([[*row[:5], "perhaps"] for row in rows(150, 400)]), newline="")
    said = tool(installation, file, "--yes")
    assert said.code == 1
    assert "150 rows can be used; 0 of them may be written to." in said.words
    assert "Only 'subscribed' is written to, unless you vouch for 'unknown'." in said.words
    assert "0 rows may be written to, and the agreement asks for at least 100" in said.err
    assert "Nothing left this computer." in said.err


def test_without_a_status_column_it_says_how_to_vouch(
    installation: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text(text([row[:5] for row in rows(150, 600)], header=HEADER[:5]), newline="")
    said = tool(installation, file, "--yes")
    assert said.code == 1
    assert "no status column" in said.err
    assert "--attest-consent" in said.err


def test_a_list_below_the_minimum_does_not_leave(
    installation: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text(text(rows(99, 800)), newline="")
    said = tool(installation, file, "--yes")
    assert said.code == 1
    assert "99 rows may be written to, and the agreement asks for at least 100" in said.err


def test_a_dry_run_shows_the_very_bytes_that_leave_and_sends_none(
    installation: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    shoes = [[*row, f"{CANARY}-shoe"] for row in rows(120, 1000)]
    file.write_text(text(shoes, header=[*HEADER, "shoe size"]), newline="")
    artefacts = installation.demo.server / "artefacts"
    kept = {path.name for path in artefacts.rglob("*")}
    spent = [installation.charged(n) for n in (1, 2, 3)]
    dry = tool(installation, file, "--dry-run", "--json")
    assert "not read, never leaves: 'shoe size'" in dry.words
    parts = {name: (int(size.replace(",", "")) , digest) for name, size, digest, _ in
             (part for part in dry.json()["parts"] if part[0] == "rows")}  # fmt: skip
    # The worker may be at other lists meanwhile: what counts is that this one's rows are not here.
    assert parts["rows"][1] not in kept | {path.name for path in artefacts.rglob("*")}
    assert [installation.charged(n) for n in (1, 2, 3)] == spent

    real = tool(installation, file, "--yes", "--json")
    assert real.json()["id"] == dry.json()["id"]
    size, digest = parts["rows"]
    sent = artefacts / digest[:2] / digest
    assert sent.stat().st_size == size
    assert CANARY.encode() not in sent.read_bytes()
    assert f"Sending rows: {size:,} bytes, SHA-256 {digest}" in real.words
    points = next(part for part in dry.json()["parts"] if part[0] == "blinded points")
    asked = int(points[1].replace(",", "")) // 32
    spent_now = [installation.charged(n) for n in (1, 2, 3)]
    assert sorted(now - was for now, was in zip(spent_now, spent, strict=True)) == [0, asked, asked]


def peak(installation: Installation, file: Path) -> int:
    """Bytes of memory that a dry run of a list took at most."""
    home = str(installation.partner(2))
    words = ["partner", "upload", "--home", home, str(file), "--dry-run"]
    with (file.parent / "said").open("wb") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "consortium.cli.main", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        _, code, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(code)
    assert child.returncode == 0, (file.parent / "said").read_text()
    return usage.ru_maxrss * 1024


@pytest.mark.soak
def test_200_000_rows_need_little_memory_for_each(
    installation: Installation, tmp_path: Path
) -> None:
    small = peak(installation, write_list(tmp_path / "small.csv", 20_000))
    large = peak(installation, write_list(tmp_path / "large.csv", 200_000))
    assert large - small < 180_000 * PER_ROW
    assert "200,000 rows can be used; 200,000 of them" in (tmp_path / "said").read_text()
