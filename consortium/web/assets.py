"""Static files under names that change with their bytes, each with its integrity."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
ADDRESS = "/static"


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file: where the browser gets it, and what it must hash to."""

    url: str
    integrity: str


@cache
def asset(name: str) -> Asset:
    """The file ``name`` below ``static/``; its URL changes when its bytes do.

    Raises:
        FileNotFoundError: there is no such file; a template names something that was never shipped.
    """
    digest = hashlib.sha384((FOLDER / name).read_bytes()).digest()
    mark = base64.urlsafe_b64encode(digest[:9]).decode()
    return Asset(f"{ADDRESS}/{name}?v={mark}", "sha384-" + base64.b64encode(digest).decode())


class Kept(StaticFiles):
    """Static files that a browser may keep for a year when it asked by the mark of their bytes."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer as any static file, with a cache line that fits how it was asked for."""
        answer = await super().get_response(path, scope)
        marked = b"v=" in scope.get("query_string", b"")
        answer.headers["cache-control"] = (
            "public, max-age=31536000, immutable" if marked else "no-cache"
        )
        return answer


def static_files() -> StaticFiles:
    """What the application mounts at ``ADDRESS``."""
    return Kept(directory=FOLDER)
