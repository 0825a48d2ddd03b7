"""A letter as its coordinator wrote it: which of its parts are signed, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ALWAYS = ("subject", "mjml", "text")
"""Signed in every letter; one that is missing is signed as null."""
IF_THERE = ("blocks", "languages", "facts", "share", "arms")
"""Signed in a letter that has them: the editor's blocks, the other languages, the SHA-256 of the
table of places whose facts it states, and the other arms of it with the shares of all. A letter
without them is signed as before."""


def signed(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a letter whose canonical JSON the manifest's digest is of."""
    more = {name: template[name] for name in IF_THERE if template.get(name) is not None}
    return {**{name: template.get(name) for name in ALWAYS}, **more}
