"""The public log's tree as static files, with the headers of c2sp.org/tlog-tiles."""

import gzip
from functools import lru_cache
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from provenance.backend import CHECKPOINT, Backend

CHECKPOINT_SECONDS = 2
A_YEAR = 31_536_000
ENTRIES = "tile/entries/"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


class LogFiles(StaticFiles):
    """Tiles are immutable, the checkpoint is not, and what is not there may be there soon."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file."""
        try:
            answer = await super().get_response(path, scope)
        except HTTPException as refused:
            # A cache that kept "not there" would hide a tile from whoever asks after it is.
            raise HTTPException(
                refused.status_code, refused.detail, {"Cache-Control": "no-store"}
            ) from refused
        if answer.status_code not in (200, 304):
            return answer
        if answer.status_code == 200 and path.startswith(ENTRIES) and _wants_gzip(scope):
            answer = self._packed(path) or answer
        answer.headers.update(headers(path))
        return answer

    def _packed(self, path: str) -> Response | None:
        """Entries are hexadecimal and padding: a third of the bytes."""
        full, found = self.lookup_path(path)
        if found is None:
            return None
        packed = _gzipped(full, found.st_mtime_ns, found.st_size)
        return Response(packed, headers={"Content-Encoding": "gzip"})


class BucketFiles(LogFiles):
    """The same from wherever a backend keeps it; what lies beside the tree stays in the folder."""

    def __init__(self, backend: Backend, directory: Path) -> None:
        super().__init__(directory=directory, check_dir=False)
        self._backend = backend

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file."""
        if path != CHECKPOINT and not path.startswith("tile/"):
            return await super().get_response(path, scope)
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        found = await run_in_threadpool(self._backend.read, path)
        if found is None:
            raise HTTPException(404, headers={"Cache-Control": "no-store"})
        return Response(b"" if scope["method"] == "HEAD" else found, headers=headers(path))


def headers(path: str) -> dict[str, str]:
    """The headers that one file of a log has, whoever serves it.

    Source: c2sp.org/tlog-tiles, "Merkle Tree" and "Checkpoints".
    """
    tile = path.startswith("tile/")
    found = {
        "Content-Type": BYTES if tile else TEXT,
        "Cache-Control": f"public, max-age={A_YEAR}, immutable"
        if tile
        else f"public, max-age={CHECKPOINT_SECONDS}",
        # Anybody's page may check the log in its reader's browser.
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return {**found, "Vary": "Accept-Encoding"} if path.startswith(ENTRIES) else found


@lru_cache(64)
def _gzipped(path: str, changed: int, size: int) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


def _wants_gzip(scope: Scope) -> bool:
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
    words = [one.replace(b" ", b"").split(b";") for one in accepted.lower().split(b",")]
    offered = any(one[0] in (b"gzip", b"*") and b"q=0" not in one[1:] for one in words)
    return offered and scope["method"] == "GET"
