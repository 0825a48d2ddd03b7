"""What a volunteer may be called: one line, and nothing that a From line shows as an address."""

from __future__ import annotations

import pytest

from consortium.service import lend
from consortium.service.errors import WrongState


@pytest.mark.parametrize(
    "name",
    [
        "president@example.org",
        "president\uff20example.org",
        "Maria \ufe64x\ufe65",
        'Maria "x"',
        "Maria\uff02",
        "a\\b",
        "Maria\u202enairtsehC",
        "Maria\u200f",
        "Ma\u200bria",
        "Maria\0",
        "M" * 81,
        " \r\n ",
    ],
)
def test_what_no_from_line_could_carry_is_refused_before_it_is_kept(name: str) -> None:
    with pytest.raises(WrongState):
        lend.plain(name)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Maria\r\nBcc: x", "Maria Bcc: x"),
        ("  Ana\t Ruiz\u2028Jr. ", "Ana Ruiz Jr."),
        ("Ruiz, Ana (Bo)", "Ruiz, Ana (Bo)"),
        ("\u674e" * 80, "\u674e" * 80),
        ("Jos\u00e9 \u00d1u\u00f1oa", "Jos\u00e9 \u00d1u\u00f1oa"),
    ],
)
def test_any_other_name_is_kept_on_one_line(typed: str, kept: str) -> None:
    assert lend.plain(typed) == kept
