"""What Postfix's own log says of a letter: taken, surely not, or neither yet.

Of its lines three kinds matter. qmgr's ``from=<return path> ... (queue active)`` proves that a
letter was taken. cleanup writes ``message-id=`` of each letter as it arrives, before the final dot:
where even that is missing, the letter never came. Where it stands without qmgr's, the letter was
broken off, which smtpd's next line says, or it waits in the incoming queue: that stays open.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import mmap
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from pathlib import Path

SKEW = timedelta(seconds=60)
"""How far the clock of the mail server's host may be from ours."""
QUIET = timedelta(seconds=300)
"""Postfix looks through its incoming queue at every start, and then every queue_run_delay. Lines
on their way to the log as it was killed are lost; what it had taken is seen again then."""
_SUMMER = timedelta(hours=1)
_LATE = timedelta(minutes=2)

_ROTATED = re.compile(r"[.-](\d[\d.T-]*?)(\.(?:gz|xz|bz2|zst|Z))?")
_UNPACK = {".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) \S+ ")
# Words of a stranger's server stand in lines of delivery, behind the brackets of a process's
# number: what they imitate there is no line.
_TAIL = rb"^(?:" + _STAMP.pattern + rb"|[^\[\]\n]*)postfix[\w./-]*/"
_ACTIVE = re.compile(
    _TAIL + rb"qmgr\[\d+\]: (?P<id>[0-9A-Za-z]{5,20}): from=<(?P<path>[^>]*)>, .*\(queue active\)$"
)
_CAME = re.compile(
    _TAIL + rb"cleanup\[\d+\]: (?P<id>[0-9A-Za-z]{5,20}): message-id=(?P<ident>\S+)$"
)
_CLIENT = re.compile(_TAIL + rb"smtpd\[(?P<pid>\d+)\]: (?P<id>[0-9A-Za-z]{5,20}): client=")
_BROKEN_OFF = re.compile(rb": (?:lost connection|timeout) after (?:DATA|BDAT)\b")
_STARTED = re.compile(
    rb"(?m)" + _TAIL + rb"(?:master\[\d+\]: (?:daemon started|.*killed by signal|reload)"
    rb"|[\w-]+(?:\[\d+\])?: (?:starting the Postfix|fatal:|panic:)).*$"
)


@dataclass(frozen=True, slots=True)
class PostfixLog:
    """A Postfix log with everything that it was rotated to.

    Args:
        path: the file that is written now.
        zone: of its times, where they are traditional; None is this host's own.
        quiet: how long Postfix must have been running since its last start before the lack of a
            line proves anything.
    """

    path: Path
    zone: tzinfo | None = UTC
    skew: timedelta = SKEW
    quiet: timedelta = QUIET

    def accepted(self, verp: str) -> str | None:
        """Return the queue id under which a letter with this return path was made active.

        Raises:
            OSError: a file cannot be read.
        """
        wanted = verp.lower().encode()
        for path in self._files():
            with _octets(path) as octets:
                for line in _found(octets, b": from=<" + verp.encode() + b">"):
                    active = _ACTIVE.search(line)
                    if active and active["path"].lower() == wanted:
                        return active["id"].decode()
        return None

    def begun(self, message_id: str, since: datetime) -> bool:
        """Say whether a letter with this id came since then, and was not surely broken off.

        Raises:
            OSError: a file cannot be read.
        """
        wanted = message_id.encode()
        for path in self._files():
            clock = self._clock(path)
            with _octets(path) as octets:
                for line in _found(octets, b": message-id=" + wanted):
                    came = _CAME.search(line)
                    if came is None or came["ident"] != wanted:
                        continue
                    at = clock.at(line)
                    if at is not None and at + clock.loose(line) < since:
                        continue  # an earlier try, whose end is known
                    if not _broken_off(octets, came["id"]):
                        return True
        return False

    def complete_since(self, at: datetime) -> bool:
        """Say whether the log surely holds all that was taken from this moment to its last line.

        It reaches back beyond the moment and on beyond it, no rotated file between is missing, and
        Postfix has run for a while since it last started.

        Raises:
            OSError: a file cannot be read.
        """
        files = self._files()
        if _hole(self.path, files) or not self._clock(self.path).in_step():
            return False
        clocks = [self._clock(path) for path in files if path.stat().st_size]
        last = next((found for clock in clocks if (found := clock.last())), None)
        if last is None or last[0] < at + last[1]:
            return False
        firsts = [found for clock in clocks if (found := clock.first())]
        if not any(first <= at - loose for first, loose in firsts):
            return False
        started = max((one for clock in clocks for one in _starts(clock, at)), default=None)
        return started is None or last[0] >= started + self.quiet

    def _clock(self, path: Path) -> _Clock:
        return _Clock(path, self.zone, self.skew)

    def _files(self) -> list[Path]:
        """The log and what it was rotated to, newest first."""
        every = [self.path] if self.path.exists() else []
        for other in self.path.parent.glob(f"{self.path.name}[.-]*"):
            if _ROTATED.fullmatch(other.name[len(self.path.name) :]) and other.is_file():
                every.append(other)
        return sorted(every, key=lambda path: (path == self.path, path.stat().st_mtime))[::-1]


def _hole(path: Path, files: list[Path]) -> bool:
    """Whether a numbered file is missing: it is being rotated, or somebody took it away."""
    if path not in files:
        return True
    names = [_ROTATED.fullmatch(one.name[len(path.name) :]) for one in files]
    numbers = sorted(int(one[1]) for one in names if one and one[1].isdigit() and len(one[1]) < 4)
    return bool(numbers) and (numbers[0] > 1 or numbers[-1] - numbers[0] != len(numbers) - 1)


@contextmanager
def _octets(path: Path) -> Iterator[bytes | mmap.mmap]:
    if path.suffix in (".zst", ".Z"):
        raise OSError(f"{path.name} is packed in a way that is not read here")
    if unpack := _UNPACK.get(path.suffix):
        try:
            plain = unpack(path.read_bytes())
        except (EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
            raise OSError(f"{path.name} is cut off") from error
        yield plain
        return
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
            yield octets


def _found(octets: bytes | mmap.mmap, wanted: bytes, start: int = 0) -> Iterator[bytes]:
    """Each line that holds some bytes; one that was cut off is no line."""
    at = octets.find(wanted, start)
    while at >= 0 and (end := octets.find(b"\n", at)) >= 0:
        yield octets[octets.rfind(b"\n", 0, at) + 1 : end]
        at = octets.find(wanted, end)


def _broken_off(octets: bytes | mmap.mmap, queue_id: bytes) -> bool:
    """Whether the session of this letter is said to have ended before its final dot.

    One smtpd has one session at a time: its next line after the letter's ``client=`` is about that
    letter. cleanup's lines may stand before or after it: each writes for itself.
    """
    at = octets.rfind(b"]: " + queue_id + b": client=")
    client = _CLIENT.search(next(_found(octets, b"]: " + queue_id + b": client=", at), b""))
    if at < 0 or client is None or client["id"] != queue_id:
        return False
    end = octets.find(b"\n", at)
    mine = re.compile(_TAIL + rb"smtpd\[" + client["pid"] + rb"\]: ")
    later = _found(octets, b"/smtpd[" + client["pid"] + b"]: ", end)
    following = next((line for line in later if mine.search(line)), b"")
    return _BROKEN_OFF.search(following) is not None


# Times


@dataclass(frozen=True, slots=True)
class _Clock:
    """Reads the times of one file's lines.

    Traditional ones name neither year nor zone: the year is the latest that is not after the
    file's last change, the zone is this host's.
    """

    path: Path
    zone: tzinfo | None
    skew: timedelta

    def at(self, line: bytes) -> datetime | None:
        """When a line was written, UTC; None where that cannot be known."""
        stamp = _STAMP.match(line)
        if stamp is None:
            return None
        text = stamp[1].decode("ascii", "replace")
        if not text[:1].isdigit():
            return self._in_some_year(text)
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return None
        return at.astimezone(UTC) if at.tzinfo is not None else None

    def loose(self, line: bytes) -> timedelta:
        """How much a line's time may be wrong: an hour comes twice as summer time ends."""
        sure = line[:1].isdigit() or isinstance(self.zone, timezone)
        return self.skew if sure else self.skew + _SUMMER

    def first(self) -> tuple[datetime, timedelta] | None:
        """The first line's time, and how much it may be wrong."""
        with _octets(self.path) as octets:
            line = octets[: max(0, octets.find(b"\n"))]
        return self._dated(line)

    def last(self) -> tuple[datetime, timedelta] | None:
        """As ``first``, of the last line."""
        with _octets(self.path) as octets:
            end = octets.rfind(b"\n")
            line = octets[octets.rfind(b"\n", 0, max(0, end)) + 1 : max(0, end)]
        return self._dated(line)

    def in_step(self) -> bool:
        """Whether the file was last changed when its last line says: else the zone is not ours."""
        with _octets(self.path) as octets:
            end = octets.rfind(b"\n")
            line = octets[octets.rfind(b"\n", 0, max(0, end)) + 1 : max(0, end)]
        if not line or line[:1].isdigit():
            return True  # its times name their zone
        at = self.at(line)
        return at is not None and abs(self._changed() - at) <= _LATE

    def _dated(self, line: bytes) -> tuple[datetime, timedelta] | None:
        at = self.at(line)
        return None if at is None else (at, self.loose(line))

    def _changed(self) -> datetime:
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def _in_some_year(self, text: str) -> datetime | None:
        changed = self._changed()
        for year in (changed.year + 1, changed.year, changed.year - 1):
            try:
                read = datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007
            except ValueError:
                continue  # the 29th of February of another year
            at = (read.replace(tzinfo=self.zone) if self.zone else read).astimezone(UTC)
            if at <= changed + _LATE:
                return at
        return None


def _starts(clock: _Clock, since: datetime) -> list[datetime]:
    """When Postfix, or a part of it, was started or ended by force, from a moment on."""
    now = clock.path.stat()
    found = _all_starts(clock, now.st_ino, now.st_size, now.st_mtime_ns)
    return [at for at, loose in found if at + loose >= since]


@lru_cache(maxsize=64)
def _all_starts(clock: _Clock, *_: int) -> tuple[tuple[datetime, timedelta], ...]:
    with _octets(clock.path) as octets:
        lines = [line[0] for line in _STARTED.finditer(octets)]
    dated = [clock._dated(line) for line in lines]
    if not all(dated):
        raise OSError(f"{clock.path.name} has a line whose time cannot be read")
    return tuple(one for one in dated if one)
