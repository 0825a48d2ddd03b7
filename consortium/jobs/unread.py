"""Returns that no rule understands wait on the mailer's disk for a person, some days at most.

They may hold an address, so they never leave that folder: whoever decides opens the file there. A
letter's own return path was proved before one is kept, or nothing could be read of it at all.
"""

from datetime import datetime, timedelta
from pathlib import Path

from mailer import bounce
from mailer.bounce import sns
from mailer.stops import parse_message_id, parse_verp

WAIT = timedelta(days=30)
"""Then it goes unread: what nobody looked at for so long suppresses nobody."""
MOST = 1_000
"""Files; the oldest make room, so that nobody fills the disk and the newest can be looked at."""


def folder(home: Path) -> Path:
    """Where they wait, in the mailer's home."""
    return home / "returns" / "unread"


def keep(path: Path, aside: Path) -> None:
    """Move a return to where a person finds it."""
    aside.mkdir(mode=0o700, exist_ok=True)
    there = waiting(aside)
    for old in there[: max(0, len(there) - MOST + 1)]:
        old.unlink(missing_ok=True)
    path.rename(aside / path.name)


def forget(aside: Path, now: datetime) -> int:
    """Delete what has waited for too long; how many."""
    before = (now - WAIT).timestamp()
    old = [path for path in waiting(aside) if arrived(path) <= before]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def waiting(aside: Path) -> list[Path]:
    """What waits, the oldest first."""
    there = aside.iterdir() if aside.is_dir() else ()
    return sorted(there, key=lambda path: (arrived(path), path.name))


def about(path: Path, key: bytes) -> str:
    """Which letter a file that waits is about; empty when it does not prove one."""
    try:
        octets = path.read_bytes()
        if path.suffix == ".sns":
            return letter_of(sns.read_message(octets.decode("utf-8", "replace")), key)
        return letter_of(bounce.read(octets), key)
    except Exception:  # it waits because something in it is strange
        return ""


def letter_of(found: bounce.Return, key: bytes) -> str:
    """The letter's id: by its return path, or by its own Message-ID where no path is told.

    Raises:
        TokenRefused: neither was made with this key.
    """
    if found.verp is not None or found.message_id is None:
        return parse_verp(key, found.verp or "").hex()
    return parse_message_id(key, found.message_id).hex()


def arrived(path: Path) -> float:
    """When it came, in seconds since 1970; its name says so, as the listener gave it."""
    head, _, _ = path.name.partition(".")
    return float(head) if head.isdecimal() else path.stat().st_mtime
