"""Settle a letter in doubt from our own sink's log: found, not found, or still open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

Verdict = Literal["sent", "not sent", "in doubt"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a log says of one letter: only ``not sent`` may be sent again."""

    verdict: Verdict
    queue_id: str | None = None


def find(log: Path, verp: str) -> str | None:
    """Return the queue id under which our sink took a letter with this return path, or nothing.

    A line cut off by a crash is no line: the sink answers 250 only after the whole of it is on
    disk.
    """
    wanted = verp.lower()
    for entry in _entries(log):
        if entry.get("event") == "queued" and str(entry.get("from", "")).lower() == wanted:
            return str(entry.get("id"))
    return None


def queued(log: Path) -> set[str]:
    """Return the queue ids of every letter that our sink took."""
    return {str(entry.get("id")) for entry in _entries(log) if entry.get("event") == "queued"}


def complete_since(log: Path, moment: datetime) -> bool:
    """Say whether the log holds everything that was taken from this moment on.

    True when its first entry is from before the moment: the sink only ever appends, and begins
    each log with the time at which it began.
    """
    for entry in _entries(log):
        began = datetime.fromisoformat(str(entry["at"]))
        return began <= moment
    return False


def settle(log: Path, verp: str, *, claimed: datetime, ended: bool) -> Settled:
    """Settle a letter handed to our sink.

    Args:
        claimed: when its claim was committed, UTC.
        ended: whether the server's session with the dead worker has surely ended. Before that, a
            letter not found yet may still be taken.
    """
    queue_id = find(log, verp)
    return _verdict(queue_id, ended and complete_since(log, claimed))


def _verdict(queue_id: str | None, conclusive: bool) -> Settled:
    if queue_id is not None:
        return Settled("sent", queue_id)
    return Settled("not sent" if conclusive else "in doubt")


def _entries(log: Path) -> list[dict[str, object]]:
    if not log.exists():
        return []
    entries = []
    for line in log.read_bytes().split(b"\n")[:-1]:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a torn line, overtaken by a restart
        if isinstance(entry, dict) and "at" in entry:
            entries.append(entry)
    return entries


def stamp(now: datetime) -> str:
    """Return a time as the sink's log writes it: RFC 3339, UTC, to the microsecond."""
    return now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
