"""The letters that ship: one for each occasion, as blocks, in every language that footers speak."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

ORDER = (
    "event",
    "volunteer-small",
    "volunteer-medium",
    "volunteer-big",
    "vote-plan",
    "early-vote",
    "ballot-cure",
    "thank-you",
)
"""As they come over the weeks of a race."""


@cache
def _whole(name: str) -> dict[str, Any]:
    if name not in ORDER:
        raise KeyError(name)
    found: dict[str, Any] = json.loads(
        (resources.files("mailer") / "starters" / f"{name}.json").read_text("utf-8")
    )
    return found


def starter(name: str, language: str = "en") -> dict[str, Any]:
    """Return a letter's ``subject`` and ``blocks``; raises KeyError for one that is not there."""
    version = _whole(name)[language]
    return {"subject": version["subject"], "blocks": [dict(one) for one in version["blocks"]]}


def called(language: str = "en") -> list[tuple[str, str]]:
    """Return every starter's name and what it is called in a language, in order."""
    return [(name, _whole(name)["called"][language]) for name in ORDER]
