"""Runs `trellis` in a process that counts its steps and ends, as by kill -9, at one of them.

A step is an instant at which an end could matter: before and after every commit, before and after
every POST of its own, and before every answer to one. Nothing in the product knows of this.

    python tests/fakes/mortal.py NOTES STEP custodian serve --home H

Each step is a line of NOTES; at the STEP-th (0 for none) the process sends itself SIGKILL.
"""

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]


class Steps:
    """Counts, writes down, and at one of them ends the process."""

    def __init__(self, notes: Path, last: int) -> None:
        self._notes, self._last, self._count = notes, last, 0
        self._guard = threading.Lock()

    def __call__(self, name: str) -> None:
        """One step more."""
        with self._guard:
            self._count += 1
            with self._notes.open("a") as file:
                file.write(f"{self._count} {name}\n")
            if self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def watch(step: Steps) -> None:
    """Make every commit, every POST and every answer to one a step."""
    import httpx

    import consortium.custodian.app as app

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
            if sql != "COMMIT":
                return super().execute(sql, *more)
            step("before a commit")
            done = super().execute(sql, *more)
            step("after a commit")
            return done

    connect, send, create = sqlite3.connect, httpx.Client.send, app.create_app

    def posting(self: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        if request.method != "POST":
            return send(self, request, **more)
        step("before a post")
        answer = send(self, request, **more)
        step("after a post")
        return answer

    def create_app(*parts: Any, **more: Any) -> Any:
        inner = create(*parts, **more)

        async def outer(scope: Scope, receive: Any, out: Send) -> None:
            async def answer(message: Scope) -> None:
                if message["type"] == "http.response.start" and scope["method"] == "POST":
                    step(f"before the answer to {scope['path']}")
                await out(message)

            await inner(scope, receive, answer if scope["type"] == "http" else out)

        return outer

    sqlite3.connect = lambda *a, **k: connect(*a, **{"factory": Connection, **k})  # type: ignore[assignment]
    httpx.Client.send = posting  # type: ignore[method-assign]
    app.create_app = create_app


if __name__ == "__main__":
    watch(Steps(Path(sys.argv[1]), int(sys.argv[2])))
    from consortium.cli.main import main

    sys.argv = ["trellis", *sys.argv[3:]]
    main()
