"""One Chromium and one server of pages over an in-memory desk, on a free port of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from policies.authorise import Caller
from tests.browser.installation import installation
from tests.fakes.service import FakeDesk, application

__all__ = ["installation"]

PATIENCE = 120_000
"""Milliseconds; both cores may be busy with other tests."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    """The running pages, and whatever Chromium complained about."""

    app: FastAPI
    desk: FakeDesk
    base: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def visit(
        self,
        path: str,
        *,
        who: Caller | None = None,
        script: bool = True,
        width: int = 1440,
        height: int = 900,
    ) -> Page:
        """Open a page as somebody, in a browser of their own."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=script
        )
        self.contexts.append(context)
        if who is not None:
            cookie = self.desk.open_session(who).cookie
            context.add_cookies([{"name": "trellis", "value": cookie, "url": self.base}])
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"{path}: {error}"))
        page.on(
            "console",
            lambda said: (
                self.complaints.append(f"{path}: {said.text}")
                if said.type in ("error", "warning")
                else None
            ),
        )
        page.goto(self.base + path)
        return page


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        plain = browser.new_context

        def patient(**options: Any) -> BrowserContext:
            made = plain(**options)
            made.set_default_timeout(PATIENCE)
            return made

        browser.new_context = patient  # type: ignore[method-assign]
        yield browser
        browser.close()


@pytest.fixture
def site(chromium: Browser) -> Iterator[Site]:
    desk = FakeDesk()
    app = application(desk)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    running = Site(app, desk, f"http://127.0.0.1:{listener.getsockname()[1]}", chromium)
    yield running
    for context in running.contexts:
        context.close()
    server.should_exit = True
    thread.join(240)
    listener.close()
