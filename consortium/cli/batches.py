"""A batch of inputs on its way to the custodians: its arithmetic, and what of it is kept on disk.

What is needed to go on after a crash (inputs, blinds, nonce) is in a folder, encrypted under a key
of the caller's, before anybody is asked.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consortium.cli.vault import private_folder, write_whole
from matching import group, oprf
from matching.evaluation import moment
from matching.threshold import lagrange

_SPAWN_FROM = 4  # batches; below that, starting worker processes costs more than it saves


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Begun:
    """One batch that may have been asked for: all that the same request needs again."""

    name: str
    inputs: Sequence[bytes] = field(repr=False)
    nonce: str
    expires: datetime
    after: Mapping[str, str]
    blinds: bytes = field(repr=False)
    points: bytes = field(repr=False)
    version: int

    def to_bytes(self) -> bytes:
        """What is kept: a line of JSON, then inputs, blinds, points."""
        head = {
            "nonce": self.nonce,
            "expires": self.expires.isoformat(),
            "after": dict(self.after),
            "inputs": [len(one) for one in self.inputs],
            "blinds": len(self.blinds),
            "version": self.version,
        }
        return b"".join((json.dumps(head).encode(), b"\n", *self.inputs, self.blinds, self.points))

    @classmethod
    def from_bytes(cls, name: str, raw: bytes) -> "Begun":
        """Read what was kept."""
        line, _, rest = raw.partition(b"\n")
        head, at, inputs = json.loads(line), 0, []
        for size in head["inputs"]:
            inputs.append(rest[at : at + size])
            at += size
        blinds, points = rest[at : at + head["blinds"]], rest[at + head["blinds"] :]
        expires = moment(head["expires"])
        nonce, after, version = head["nonce"], head["after"], head["version"]
        return cls(name, inputs, nonce, expires, after, blinds, points, version)


class Drawer:
    """Encrypted files of one run, each bound to its name, key statement and caller's batch."""

    def __init__(self, folder: Path, key: bytes, bound: bytes) -> None:
        private_folder(folder)
        made = HKDF(SHA256(), 32, salt=None, info=b"trellis/tokenise-state/v1").derive(key)
        self._folder, self._aead, self._bound = folder, ChaCha20Poly1305(made), bound

    def names(self, suffix: str) -> list[str]:
        """The files of one kind, in order."""
        return sorted(path.name for path in self._folder.glob(f"*{suffix}"))

    def read(self, name: str) -> bytes | None:
        """Return what was kept under this name, if anything that is ours."""
        try:
            raw = (self._folder / name).read_bytes()
            return self._aead.decrypt(raw[:12], raw[12:], self._bound + name.encode())
        except (FileNotFoundError, InvalidTag, ValueError):
            return None

    def write(self, name: str, raw: bytes) -> None:
        """Keep ``raw`` durably and at once or not at all."""
        nonce = os.urandom(12)
        sealed = self._aead.encrypt(nonce, raw, self._bound + name.encode())
        write_whole(self._folder / name, nonce + sealed)

    def drop(self, name: str) -> None:
        """Remove what is of no more use."""
        (self._folder / name).unlink(missing_ok=True)


class Hands:
    """Who does the arithmetic: threads for a few batches, a process for each core for more."""

    def __init__(self, workers: int, stack: ExitStack) -> None:
        self._workers, self._stack, self._batches = max(workers, 1), stack, 0
        self._threads = stack.enter_context(ThreadPoolExecutor(self._workers))
        self._processes: Executor | None = None

    def another(self) -> None:
        """One more batch begins."""
        self._batches += 1
        if self._batches == _SPAWN_FROM and self._workers > 1:
            # spawn: a forked child would inherit sockets and half-held locks of the asking threads.
            context = multiprocessing.get_context("spawn")
            self._processes = self._stack.enter_context(
                ProcessPoolExecutor(self._workers, mp_context=context)
            )

    def submit(self, work: Callable[..., Any], *given: object) -> "Future[Any]":
        """Have some arithmetic done."""
        return (self._processes or self._threads).submit(work, *given)


# -- arithmetic, run in worker processes -----------------------------------------------------------


def blind(inputs: Sequence[bytes], size: int, blinded: bool) -> tuple[bytes, bytes]:
    """Return blinds and points of a batch padded to ``size``; no blinds when inputs are public."""
    padding = b"".join(group.from_hash(os.urandom(64)) for _ in range(size - len(inputs)))
    if not blinded:
        return b"", oprf.hash_inputs(inputs) + padding
    blinds = group.reduce_each(os.urandom(64 * len(inputs)))
    return blinds, oprf.blind(inputs, blinds) + padding


def finish(blinds: bytes, size: int, answers: Sequence[tuple[int, bytes]]) -> bytes:
    """Combine a quorum's evaluations of ``size`` inputs and take the blinds off; 32 bytes each."""
    quorum = [index for index, _ in answers]
    weighted = [(lagrange(index, quorum), evaluated[: 32 * size]) for index, evaluated in answers]
    return oprf.unblind(blinds, weighted) if blinds else oprf.combine_each(weighted)
