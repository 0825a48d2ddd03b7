"""A starter fills the form in both languages, and what the form then sends is a letter."""

import pytest

from consortium.web.pages.writing import begin_from
from mailer import starting
from mailer.fields import FIELDS
from mailer.versions import compile_versions


@pytest.mark.parametrize("name", starting.ORDER)
def test_a_starter_saved_as_it_was_filled_in_keeps_every_rule(name: str) -> None:
    written = begin_from(name)
    template = {
        "subject": written["subject"],
        "mjml": written["mjml"],
        "languages": {"es": {"subject": written["subject_es"], "mjml": written["mjml_es"]}},
    }
    made = compile_versions(
        template, languages=("en", "es"), allowed_fields=FIELDS, allowed_hosts={"example.org"}
    )
    assert list(made) == ["en", "es"]


def test_a_starter_that_is_not_there_fills_nothing() -> None:
    assert begin_from("../../etc/passwd") == {}
