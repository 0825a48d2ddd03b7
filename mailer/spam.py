"""What SpamAssassin says of a letter, by its own rules alone, once per campaign."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile

from mailer.findings import Finding

POINT = "Spam score"
LIMIT = 2.0
"""Receivers refuse at 5; what stands at 2 is refused by the first that adds rules of its own."""
SECONDS = 60.0
_STATUS = re.compile(
    rb"^X-Spam-Status:.*?score=(-?\d+(?:\.\d+)?)\s.*?tests=([A-Z0-9_,\s]*)", re.M | re.S
)
_ALONE = frozenset({"NO_RELAYS", "NO_RECEIVED", "none"})
"""What it says of every letter that has not travelled yet."""


def inspect(message: bytes, *, program: str = "spamassassin", seconds: float = SECONDS) -> Finding:
    """Ask the program, if it is installed, without any question to the network (``-L``).

    Args:
        message: one letter to a made-up person.
        program: its name or path.
    """
    found = shutil.which(program)
    if found is None:
        return Finding(POINT, "none", "SpamAssassin is not installed where the server runs.")
    try:
        said = _ask(found, message, seconds)
    except (OSError, subprocess.SubprocessError) as error:
        todo = "Look at SpamAssassin on the server; partners are told that it did not answer."
        return Finding(POINT, "yellow", f"It gave no score ({type(error).__name__}).", todo)
    status = _STATUS.search(said)
    if status is None:
        return Finding(POINT, "yellow", "It gave no score.", "Look at SpamAssassin on the server.")
    score, tests = float(status[1]), re.split(r"[,\s]+", status[2].decode().strip())
    names = ", ".join(sorted(set(filter(None, tests)) - _ALONE)) or "nothing"
    what = f"{score:.1f} of at most {LIMIT:.1f}, for {names[:300]}."
    if score >= LIMIT:
        return Finding(POINT, "red", what, "Change the words that these rules name.")
    return Finding(POINT, "green", what)


def _ask(program: str, message: bytes, seconds: float) -> bytes:
    # A home of its own: nothing it learns from one letter is there for the next.
    with tempfile.TemporaryDirectory(prefix="trellis-spam-") as home:
        keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        ended = subprocess.run(
            [program, "-L", "-x"],
            input=message,
            capture_output=True,
            timeout=seconds,
            env={**keep, "HOME": home},
            cwd=home,
            check=True,
        )
    return ended.stdout.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
