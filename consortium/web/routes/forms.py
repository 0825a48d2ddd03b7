"""Bodies and path words that several endpoints share."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _decoded(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    return text


Base64 = Annotated[str, AfterValidator(_decoded)]
Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,40}$")]
"""The id of an actor, a race or an epoch in a path; anything else never reaches the database."""
Leaf = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
"""A leaf hash in a path."""
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""32 bytes in lower-case hex."""
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
"""A name of ours: nothing that could be somebody's address."""
Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""A UTC time."""
Fact = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""The name of a fact in an entry."""


class Signed(BaseModel):
    """A signed entry and what opens it."""

    model_config = ConfigDict(extra="forbid")
    entry: Base64
    openings: dict[Fact, Any]

    def raw(self) -> bytes:
        """The entry's bytes."""
        return base64.b64decode(self.entry)


class Promised(BaseModel):
    """Where an entry will be found: ``GET /log/entries/<leaf>``."""

    leaf: str
