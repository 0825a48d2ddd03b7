"""Static files under names that change with their bytes, each with its integrity."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse, Response

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


router = APIRouter(include_in_schema=False)
_FILES = {each.relative_to(FOLDER).as_posix(): each for each in FOLDER.rglob("*") if each.is_file()}


@router.get(ADDRESS + "/{name:path}")
def static_file(name: str, v: str = "") -> Response:
    """One of the files that were shipped, by its exact name; nothing else on the disk.

    A browser that asked by the mark of the bytes may keep them for a year.
    """
    if name not in _FILES:
        raise HTTPException(404)
    kept = "public, max-age=31536000, immutable" if v else "no-cache"
    return FileResponse(_FILES[name], headers={"cache-control": kept})
