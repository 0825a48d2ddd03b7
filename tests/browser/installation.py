"""One real installation for the browser tests: every actor its own process, on made-up people."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

TRELLIS = str(Path(sys.executable).parent / "trellis")
PATIENCE = 900.0


@dataclass
class Installation:
    """A demonstration that stays up, and whoever has signed in to it."""

    folder: Path
    base: str
    states: dict[str, Any]

    def cli(self, *words: str | Path) -> str:
        """Run one command of somebody's tool; what it printed."""
        done = subprocess.run(
            [TRELLIS, *map(str, words)], capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def partner(self, slug: str) -> Path:
        """A partner's own folder."""
        return self.folder / "partners" / slug

    def partners(self) -> list[str]:
        """Everybody's slug, sorted."""
        return sorted(path.name for path in (self.folder / "partners").iterdir())

    def facts(self) -> dict[str, Any]:
        """What the demonstration remembers of itself."""
        found: dict[str, Any] = json.loads((self.folder / "demo.json").read_text())
        return found

    def letters(self) -> list[EmailMessage]:
        """Every letter that the mail server took, in the order of their file names."""
        found = []
        for path in sorted((self.folder / "mail" / "new").iterdir()):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return found

    def enter(self, browser: Browser, actor: str, **options: Any) -> BrowserContext:
        """A browser in which this person has signed in, by a link that worked once."""
        if actor not in self.states:
            link = self.cli("operator", "link", "--home", self.folder / "server", actor).strip()
            context = browser.new_context(java_script_enabled=False)
            page = context.new_page()
            page.goto(link)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("button", name="Sign out").wait_for(state="attached")
            page.goto(link)
            page.get_by_role("button", name="Sign in").click()
            assert "used up" in page.locator("h1").inner_text()
            self.states[actor] = context.storage_state()
            context.close()
        return browser.new_context(storage_state=self.states[actor], **options)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Make a world, run the demonstration on it until its web app stays up, end it at the end."""
    given = os.environ.get("TRELLIS_RUNNING_DEMO")
    if given:  # a demonstration that its owner keeps up, while these tests are written
        folder = Path(given)
        ports = json.loads((folder / "demo.json").read_text())["ports"]
        yield Installation(folder, f"http://127.0.0.1:{ports['web']}", {})
        return
    root = tmp_path_factory.mktemp("installation")
    world, folder, log = root / "world", root / "demo", root / "demo.log"
    made = [TRELLIS, "world", "make", "--voters", "700", "--members", "300,250,200"]
    subprocess.run([*made, "--seed", "3", "--out", str(world)], check=True, capture_output=True)
    with log.open("w") as out:
        demo = subprocess.Popen(
            [TRELLIS, "demo", "--world", str(world), "--out", str(folder)], stdout=out, stderr=out
        )
        try:
            end = time.monotonic() + PATIENCE
            while "Ctrl-C ends it." not in log.read_text():
                assert demo.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.2)
            found = re.search(r"The web app: (http://\S+?)/\n", log.read_text())
            assert found is not None
            yield Installation(folder, found[1], {})
        finally:
            demo.terminate()
            demo.wait(400)
