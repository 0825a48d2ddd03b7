"""Anyone's: follow a log, keep the last checkpoint, and keep evidence if it contradicts itself."""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from consortium.cli.log_source import (
    Unreachable,
    fail,
    json_option,
    moment,
    needed_policy,
    opened,
    whose_keys,
)
from consortium.cli.vault import private_folder, sync_folder, write_whole
from provenance.audit import Source
from provenance.checkpoint import read_checkpoint
from provenance.errors import AuditRefused, LogForked, LogWentBack, ProvenanceError
from provenance.merkle import HASH_BYTES
from provenance.quorum import Policy
from provenance.watch import Kept, Seen, look, read_kept

UNREACHABLE = 3
_CHECKPOINT, _LEAVES = "checkpoint", "leaves"


@dataclass(frozen=True, slots=True)
class Memory:
    """A watcher's folder: the last checkpoint, every leaf hash under it, and evidence."""

    folder: Path

    def load(self, policy: Policy) -> Kept | None:
        """What the last look kept, checked; None before the first one.

        Raises:
            AuditRefused: it was damaged, or is of another log.
        """
        path = self.folder / _CHECKPOINT
        if not path.exists():
            return None
        note, raw = path.read_bytes(), self._leaves()
        size = _size(note)
        # More than the checkpoint covers: a crash came between the two writes of `save`.
        raw = raw[: size * HASH_BYTES]
        leaves = [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]
        return read_kept(note, leaves, policy)

    def save(self, before: int, seen: Seen) -> None:
        """Keep what was seen. A crash at any instant leaves the old state or the new one.

        Args:
            before: how many leaf hashes were kept before.
        """
        with os.fdopen(os.open(self.folder / _LEAVES, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as out:
            out.truncate(before * HASH_BYTES)
            out.seek(before * HASH_BYTES)
            out.write(b"".join(seen.fresh))
            out.flush()
            os.fsync(out.fileno())
        sync_folder(self.folder)
        # Only now does the checkpoint name them; until then `load` cuts them off.
        write_whole(self.folder / _CHECKPOINT, seen.note)

    def keep_evidence(self, name: str, evidence: Mapping[str, Any]) -> Path:
        """Write evidence under a name of its own content; the same again changes nothing."""
        raw = (json.dumps(evidence, indent=1, sort_keys=True) + "\n").encode()
        path = self.folder / f"{name}-{hashlib.sha256(raw).hexdigest()[:16]}.json"
        write_whole(path, raw)
        return path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Refuse a second watcher on the same folder: two would mix what they keep."""
        private_folder(self.folder)
        with (self.folder / "lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as busy:
                raise click.ClickException(f"another watch is at work in {self.folder}") from busy
            yield

    def _leaves(self) -> bytes:
        path = self.folder / _LEAVES
        return path.read_bytes() if path.exists() else b""


@click.command()
@click.argument("log", metavar="DIR|URL")
@whose_keys
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Your own folder, for the last checkpoint and evidence. Never put back an old copy.",
)
@click.option("--once", is_flag=True, help="Look once and end; for cron.")
@click.option(
    "--every", type=click.FloatRange(min=1), default=300.0, show_default=True, metavar="SECONDS"
)
@click.option(
    "--stale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="HOURS",
    help="Fail when no quorum has cosigned anything newer than this.",
)
@json_option
def watch(
    log: str,
    policy: Policy | None,
    invite: Path | None,
    state: Path,
    once: bool,
    every: float,
    stale: float | None,
    as_json: bool,
) -> None:
    """Follow a log: it may only grow. Evidence of a fork is kept, and the exit code is not 0."""
    believed, memory = needed_policy(policy), Memory(state)
    limit = None if stale is None else timedelta(hours=stale)
    with memory.alone():
        while True:
            try:
                with opened(log) as source:
                    _look(source, believed, memory, limit, as_json)
            except Unreachable as away:
                if once:
                    fail(as_json, str(away), file=away.file, code=UNREACHABLE)
                click.echo(f"nobody answered; looking again in {every:.0f} s ({away})", err=True)
            except AuditRefused as refused:
                fail(as_json, str(refused), file=refused.file)
            except LogForked as forked:
                _keep(memory, "fork", str(forked), forked.evidence, as_json)
            except LogWentBack as back:
                _keep(memory, "went-back", str(back), back.evidence, as_json)
            if once:
                return
            time.sleep(every)


def _look(
    source: Source, policy: Policy, memory: Memory, stale: timedelta | None, as_json: bool
) -> None:
    kept = memory.load(policy)
    before = 0 if kept is None else len(kept.leaves)
    seen = look(source, policy, kept)
    memory.save(before, seen)
    at, size = seen.cosigned.at, seen.cosigned.checkpoint.size
    if stale is not None and datetime.now(UTC) - at > stale:
        raise AuditRefused(
            _CHECKPOINT, f"is old: no quorum has cosigned anything since {moment(at)}"
        )
    if as_json:
        grown = {"ok": True, "size": size, "grown": size - before, "cosigned_at": moment(at)}
        click.echo(json.dumps(grown, sort_keys=True))  # one line a look
    else:
        click.echo(
            f"{size} entries, {size - before} more than before; the log extends what was seen. "
            f"Cosigned by {len(seen.cosigned.cosignatures)} witnesses, by {moment(at)}."
        )


def _keep(
    memory: Memory, name: str, why: str, evidence: Mapping[str, Any], as_json: bool
) -> NoReturn:
    path = memory.keep_evidence(name, evidence)
    told = f"{why}. Evidence: {path}. Tell the partners and the witnesses."
    fail(as_json, told, file=_CHECKPOINT, evidence=str(path))


def _size(note: bytes) -> int:
    try:
        return read_checkpoint(note)[0].size
    except ProvenanceError as refused:
        raise AuditRefused("the kept checkpoint", str(refused)) from refused
