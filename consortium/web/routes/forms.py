"""Bodies that several endpoints share."""

import base64
import binascii
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict


def _decoded(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    return text


Base64 = Annotated[str, AfterValidator(_decoded)]


class Signed(BaseModel):
    """A signed entry and what opens it."""

    model_config = ConfigDict(extra="forbid")
    entry: Base64
    openings: dict[str, Any]

    def raw(self) -> bytes:
        """The entry's bytes."""
        return base64.b64decode(self.entry)


class Promised(BaseModel):
    """Where an entry will be found: ``GET /log/entries/<leaf>``."""

    leaf: str
