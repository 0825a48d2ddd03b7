"""A mail provider's webhook beside the listener: what is signed for us becomes a file, too."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consortium.cli.sink import sync_folder, write_durably
from mailer.bounce.sns import MAX_BYTES, Notification, check
from mailer.errors import NotificationRefused

PATH = "/hooks/sns"


class Hook:
    """Keeps what SNS signed for one of our topics; fetches nothing that it names.

    Args:
        folder: the listener's spool; notifications go to ``new``, and the address at which a
            topic is confirmed to ``to-confirm``, for the operator to open.
        certificate: the PEM file that signatures are checked against, read anew each time.
    """

    def __init__(
        self,
        folder: Path,
        certificate: Path,
        topics: Collection[str],
        clock: Callable[[], datetime],
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._certificate, self._topics = folder, certificate, frozenset(topics)
        self._clock, self._say = clock, say
        for name in ("tmp", "new", "to-confirm"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def take(self, octets: bytes) -> int:
        """Take one POST; the HTTP status: 200 kept, 403 not signed for us, 503 not kept."""
        try:
            pinned = self._certificate.read_bytes()
            found = check(octets, pinned, self._topics, self._clock())
        except NotificationRefused as refused:
            self._say(f"a notification was refused: {refused}")
            return 403
        except OSError:
            self._say("the pinned certificate cannot be read")
            return 503
        try:
            self._keep(found)
        except OSError:
            return 503  # SNS tries again
        return 200

    def _keep(self, found: Notification) -> None:
        name = hashlib.sha256(found.ident.encode()).hexdigest()[:40]
        if found.kind == "Notification":
            self._write("new", f"{name}.sns", found.message.encode())
        elif found.kind == "SubscriptionConfirmation":
            self._write("to-confirm", f"{name}.txt", f"{found.subscribe_url}\n".encode())
            where = f"to-confirm/{name}.txt"
            self._say(f"a topic asks to be confirmed: if you made it, open what {where} holds")
        else:
            self._say("a topic was ended at the provider")

    def _write(self, folder: str, name: str, octets: bytes) -> None:
        unready = self._folder / "tmp" / f"{name}.{os.getpid()}.{threading.get_ident()}"
        unready.unlink(missing_ok=True)
        write_durably(unready, octets)
        unready.rename(self._folder / folder / name)  # the same again replaces itself
        sync_folder(self._folder / folder)


def application(hook: Hook) -> Starlette:
    """One path, POST alone; a body that is too large is not read to its end."""

    async def post(request: Request) -> Response:
        octets = b""
        async for chunk in request.stream():
            octets += chunk
            if len(octets) > MAX_BYTES:
                return Response(status_code=413)
        return Response(status_code=await run_in_threadpool(hook.take, octets))

    return Starlette(routes=[Route(PATH, post, methods=["POST"])])


def serve_beside(hook: Hook, where: tuple[str, int]) -> None:
    """Serve in a thread of its own, until the process ends."""
    config = uvicorn.Config(
        application(hook), host=where[0], port=where[1], log_level="warning", access_log=False
    )
    threading.Thread(target=uvicorn.Server(config).run, name="hooks", daemon=True).start()
