"""What providers truly send back, one file a shape: each is read as what it is, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailer.bounce import read

SEEN = sorted((Path(__file__).parents[2] / "golden" / "returns").glob("*.eml"))
VERP = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.parks.example"


def octets(path: Path) -> bytes:
    """The file as it travels: CRLF line ends."""
    return path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def stated(path: Path) -> tuple[str, str | None]:
    """Kind and code, from the file's name: ``01-what-it-is.hard.5.1.1.eml``."""
    _, kind, *code = path.name.removesuffix(".eml").split(".", 2)
    return kind, code[0] if code else None


@pytest.mark.parametrize("path", SEEN, ids=[path.stem for path in SEEN])
def test_each_shape_is_read_as_what_it_is(path: Path) -> None:
    came = read(octets(path))
    assert (came.kind, came.code) == stated(path)
    assert came.verp == VERP


def test_there_are_shapes_of_every_kind_and_most_are_other_peoples_words() -> None:
    kinds = [stated(path)[0] for path in SEEN]
    assert len(SEEN) >= 40
    assert {kind: kinds.count(kind) >= 5 for kind in set(kinds)} == dict.fromkeys(
        ("hard", "soft", "complaint", "unknown"), True
    )


@pytest.mark.parametrize("path", SEEN, ids=[path.stem for path in SEEN])
def test_a_report_cut_anywhere_is_never_read_as_something_worse(path: Path) -> None:
    """Cut off, it is what it was, or milder; what was no bad address never becomes one."""
    whole = octets(path)
    kind, _ = stated(path)
    milder = {
        "hard": {"hard", "soft", "unknown", "auto_reply"},
        "complaint": {"complaint", "unknown", "auto_reply"},
        "soft": {"soft", "unknown", "auto_reply"},
        "unknown": {"unknown", "auto_reply"},
    }[kind]
    assert {read(whole[:at]).kind for at in range(0, len(whole), 97)} <= milder


@pytest.mark.parametrize("path", SEEN, ids=[path.stem for path in SEEN])
def test_a_person_who_quotes_a_report_in_words_suppresses_nobody(path: Path) -> None:
    quoted = b"\r\n".join(b"> " + line for line in octets(path).split(b"\r\n"))
    letter = b"From: Ana <ana@example.net>\r\nTo: " + VERP.encode() + b"\r\nSubject: what?\r\n\r\n"
    assert read(letter + quoted).kind in ("unknown", "auto_reply")
