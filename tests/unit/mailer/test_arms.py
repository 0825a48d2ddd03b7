"""A letter's arms are written out whole: what is approved says by itself what each reader gets."""

from __future__ import annotations

from typing import Any

import pytest

from mailer import arms
from mailer.errors import TemplateRefused
from mailer.written import signed

LETTER = {"subject": "Saturday", "mjml": "<mjml>one</mjml>", "text": "one", "facts": "ab"}


def test_an_arm_that_says_its_subject_alone_has_the_letters_words() -> None:
    made = arms.complete({**LETTER, "share": 3, "arms": [{"subject": "Sunday"}]})
    first, second = arms.letters(made)
    assert first == LETTER
    assert second == {**LETTER, "subject": "Sunday"}
    assert arms.shares(made) == (3, 1)


def test_an_arm_with_its_own_words_has_no_text_of_others() -> None:
    other = {"subject": "Saturday", "blocks": [{"kind": "text"}], "share": 2}
    _, second = arms.letters(arms.complete({**LETTER, "arms": [other]}))
    assert second == {"subject": "Saturday", "blocks": [{"kind": "text"}], "facts": "ab"}


def test_a_letter_without_arms_is_as_before_to_the_byte() -> None:
    for plain in (LETTER, {**LETTER, "arms": []}, {**LETTER, "arms": None, "share": 2}):
        made = arms.complete(plain)
        assert signed(made) == signed(LETTER)
        assert arms.letters(made) == [LETTER]
        assert arms.shares(made) == (1,)


def test_what_is_signed_changes_with_an_arm_and_with_a_share() -> None:
    made = arms.complete({**LETTER, "arms": [{"subject": "Sunday"}]})
    others = [
        LETTER,
        arms.complete({**LETTER, "arms": [{"subject": "Monday"}]}),
        arms.complete({**LETTER, "arms": [{"subject": "Sunday", "share": 2}]}),
        arms.complete({**LETTER, "share": 2, "arms": [{"subject": "Sunday"}]}),
    ]
    assert all(signed(made) != signed(other) for other in others)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"arms": [{"subject": "Saturday"}]}, "Arm 2"),
        ({"arms": [{"subject": "A"}, {"subject": "A", "share": 2}]}, "Arm 3"),
        ({"arms": [{"subject": str(n)} for n in range(4)]}, "Letter"),
        ({"arms": "two"}, "Letter"),
        ({"arms": ["two"]}, "Arm 2"),
        ({"arms": [{"subject": "A", "messenger": "Bo"}]}, "Arm 2"),
        ({"arms": [{"subject": "A", "share": 0}]}, "Arm 2"),
        ({"arms": [{"subject": "A", "share": True}]}, "Arm 2"),
        ({"arms": [{"subject": "A", "share": 1.5}]}, "Arm 2"),
        ({"share": 101, "arms": [{"subject": "A"}]}, "Arm 1"),
        ({"arms": [{"subject": "A", "languages": {"es": {"subject": "B"}}}]}, "Arm 2"),
        ({"languages": {"es": {"subject": "B"}}, "arms": [{"subject": "A"}]}, "Arm 2"),
    ],
)
def test_arms_that_cannot_be_are_refused_and_named(said: dict[str, Any], where: str) -> None:
    with pytest.raises(TemplateRefused) as refused:
        arms.complete({**LETTER, **said})
    [problem] = refused.value.problems
    assert problem.where == where
    assert problem.todo
