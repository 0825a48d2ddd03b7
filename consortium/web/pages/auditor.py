"""The public log, for anybody: its size, who witnessed it, every entry with its proof."""

import csv
import io
import json
import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from consortium.store.errors import Missing
from consortium.web import spoken
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.who import Anyone

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/audit")
PAGE = 20
EXPORT = 10_000
"""Entries in one table, the newest; who wants all of them copies the log."""


@router.get("")
def entries(
    request: Request, session: Anyone, before: int | None = None, number: str = ""
) -> Response:
    """Everything recorded, in order, newest first, twenty at a time."""
    found = desk(request).log()
    place = _sought(request, number, found.size)
    if place is not None:
        return go(f"/audit/{place}")
    end = found.size if before is None else max(0, min(before, found.size))
    start = max(0, end - PAGE)
    shown = desk(request).entries(start, end - start)
    return render(
        request,
        "audit.html",
        session=session,
        log=found,
        entries=sorted(shown, key=lambda each: -each.index),
        start=start,
        end=end,
        newer=min(found.size, end + PAGE) if end < found.size else None,
        root=spoken.fingerprint(found.checkpoint or ""),
        sought=number,
        most=EXPORT,
    )


@router.get("/entries.csv")
def as_csv(request: Request) -> Response:
    """The newest entries as a table for a spreadsheet."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(("index", "kind", "hour", "leaf"))
    for each in _all(request):
        row = (each.index, each.kind, spoken.hour(each.at), each.leaf)
        writer.writerow(spoken.cell(value) for value in row)
    return _download(table.getvalue(), "text/csv; charset=utf-8", "trellis-log.csv")


@router.get("/entries.json")
def as_json(request: Request) -> Response:
    """The same for a program."""
    rows = [
        {"index": each.index, "leaf": each.leaf, "entry": each.entry_json} for each in _all(request)
    ]
    return _download(json.dumps(rows, indent=1) + "\n", "application/json", "trellis-log.json")


@router.get("/checkpoint")
def checkpoint(request: Request) -> Response:
    """The newest signed note with its cosignatures, byte for byte."""
    return PlainTextResponse(desk(request).log().checkpoint or "")


@router.get("/{index}")
def entry(request: Request, index: int, session: Anyone) -> Response:
    """One entry: its bytes, its proof, what they prove and what not."""
    log = desk(request).log()
    if not 0 <= index < log.size:
        raise Missing("the log has no such entry yet")
    found = desk(request).entry(index)
    return render(
        request,
        "entry.html",
        session=session,
        entry=found,
        entry_text=json.dumps(_readable(found.entry_json), indent=1, sort_keys=True),
        entry_bytes=_canonical(found.entry_json),
        proof=desk(request).proof(index),
        log=log,
        code=spoken.code(found.leaf),
    )


@router.get("/{index}/proof")
def proof(request: Request, index: int) -> Response:
    """The proof as a file: ``.tlog-proof``, as others' verifiers read it."""
    text = desk(request).proof(index)
    return _download(text, "text/plain; charset=utf-8", f"entry-{index}.tlog-proof")


@router.get("/{index}/entry.json")
def entry_bytes(request: Request, index: int) -> Response:
    """The entry's own bytes, as the log hashed them."""
    found = desk(request).entry(index)
    return _download(_canonical(found.entry_json), "application/json", f"entry-{index}.json")


def _sought(request: Request, words: str, size: int) -> int | None:
    """Which entry is meant: by its number, or by its receipt code (12 hex digits or more)."""
    wanted = re.sub(r"[\s,]", "", words).lower()
    if re.fullmatch(r"[0-9]{1,11}", wanted):
        return int(wanted) if int(wanted) < size else None
    if not re.fullmatch(r"[0-9a-f]{12,64}", wanted):
        return None
    try:
        return desk(request).by_code(wanted)
    except Missing:
        return None


def _all(request: Request) -> list[Any]:
    size = desk(request).log().size
    found: list[Any] = desk(request).entries(max(0, size - EXPORT), EXPORT)
    return found


def _readable(entry: dict[str, Any]) -> dict[str, Any]:
    # All entries are padded to one length; nobody needs to read the zeros.
    return {**entry, "pad": f"{len(entry.get('pad', ''))} zeros, so that all entries are alike"}


def _canonical(entry: dict[str, Any]) -> str:
    # RFC 8785 for what an entry holds: texts and objects of texts, ASCII keys.
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _download(body: str, kind: str, name: str) -> Response:
    return Response(
        body, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'}
    )
