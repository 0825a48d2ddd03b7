"""Keeps an uploaded part while it arrives: little memory, and all of it or nothing."""

from collections.abc import AsyncIterator, Iterator

import anyio
from anyio import from_thread, to_thread
from fastapi import Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from consortium.store.artefacts import Artefacts
from consortium.web.errors import UploadBroken, UploadTooLarge

MAX_PART = 4 << 30
"""Bytes of one part: a list of ten million rows has less."""
AT_ONCE = 8
"""Uploads that are written at one time; slow ones must not hold every worker thread."""


class Kept(BaseModel):
    """An uploaded part by its digest."""

    digest: str
    bytes: int


async def keep(request: Request, files: Artefacts) -> Kept:
    """Pass the body on to the artefact store chunk by chunk.

    Each chunk is asked for from the thread that writes, so a body never piles up here, and a
    client that breaks off, or a full disk, fails inside the store, which then keeps nothing.

    Raises:
        ArtefactRefused: it could not be written.
        UploadTooLarge: more than ``MAX_PART`` bytes.
        UploadBroken: the sender went away before the end.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > MAX_PART:
        raise UploadTooLarge(f"a part has at most {MAX_PART >> 30} GiB")
    stream, size = request.stream(), 0

    def chunks() -> Iterator[bytes]:
        nonlocal size
        while chunk := from_thread.run(_next, stream):
            size += len(chunk)
            if size > MAX_PART:
                raise UploadTooLarge(f"a part has at most {MAX_PART >> 30} GiB")
            yield chunk

    try:
        digest = await to_thread.run_sync(
            lambda: files.put_stream(chunks()), limiter=_limiter(request)
        )
    except ClientDisconnect as gone:
        raise UploadBroken("the upload broke off; nothing was kept, send it again") from gone
    return Kept(digest=digest, bytes=size)


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    """The next chunk that holds anything; empty at the end."""
    async for chunk in stream:
        if chunk:
            return chunk
    return b""


def _limiter(request: Request) -> anyio.CapacityLimiter:
    state = request.app.state
    if not hasattr(state, "uploads"):
        state.uploads = anyio.CapacityLimiter(AT_ONCE)
    found: anyio.CapacityLimiter = state.uploads
    return found
