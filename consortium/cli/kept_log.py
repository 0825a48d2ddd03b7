"""A log of any length made to be kept: its folder, three witnesses' word, keys and proofs."""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provenance.audit import FolderSource
from provenance.backend import CHECKPOINT, FolderBackend
from provenance.entry import draft
from provenance.errors import LockLost, WitnessRefused
from provenance.note import COSIGNATURE, Signer, Verifier, parse_note
from provenance.quorum import Policy
from provenance.sequencer import ProofFor, Sequencer, prove
from provenance.tiles import WIDTH, TileReader
from provenance.witness import AddCheckpoint, Known, check_request, cosign, readable

ORIGIN = "log.example/bench"
AT_ONCE = 10_000
PROVED = (0, 255, 256, 65_535, 69_999)
"""Entries at the seams of tiles, whose proofs are kept beside the log."""


class Lock:
    """A lock that forgets with the process: nobody will append to this log again."""

    def __init__(self) -> None:
        self._note: bytes | None = None

    def load(self, origin: str) -> bytes | None:
        """See ``provenance.backend.Lock``."""
        return self._note

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        """See ``provenance.backend.Lock``."""
        if self._note != old:
            raise LockLost(origin)
        self._note = new


@dataclass(slots=True)
class Witnesses:
    """Honest witnesses in this process: they cosign what a server of theirs would, and no more."""

    signers: Sequence[Signer]
    known: list[Known]

    @classmethod
    def of(cls, log: Verifier, count: int) -> "Witnesses":
        """So many, with fresh keys, that trust this log."""
        signers = [
            Signer.from_seed(f"witness-{n}.example", secrets.token_bytes(32), COSIGNATURE)
            for n in range(1, count + 1)
        ]
        return cls(signers, [Known((log,))] * count)

    @property
    def verifiers(self) -> list[Verifier]:
        """Their keys."""
        return [one.verifier for one in self.signers]

    def __call__(self, note: bytes, proof_for: ProofFor) -> list[bytes]:
        """See ``provenance.sequencer.Cosign``."""
        lines = []
        for at, signer in enumerate(self.signers):
            known = self.known[at]
            body = AddCheckpoint(known.size, tuple(proof_for(known.size)), note).to_bytes()
            request, checkpoint = readable(body)
            try:
                check_request(request, checkpoint, known)
            except WitnessRefused:
                continue
            self.known[at] = Known(known.logs, checkpoint.size, checkpoint.root)
            seconds = int(datetime.now(UTC).timestamp())
            lines.append(cosign(parse_note(note).text, signer, seconds).to_line())
        return lines


@dataclass(frozen=True, slots=True)
class Kept:
    """What lies in the folder; ``proofs`` is an entry's index to the name of its proof's file."""

    origin: str
    size: int
    root: bytes
    witnesses: tuple[str, ...]
    proofs: dict[int, str]
    policy: Policy


def keep(folder: Path, entries: int) -> Kept:
    """Make a log of so many entries in a new folder, as the service would.

    Beside the tree lie ``log.vkey``, ``witness-<n>.vkey``, ``policy`` and ``<index>.tlog-proof``.

    Raises:
        click.ClickException: something is in the folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.ClickException(f"{folder} is not empty: name a folder that is not there yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    signer = Signer.from_seed(ORIGIN, secrets.token_bytes(32))
    witnesses = Witnesses.of(signer.verifier, 3)
    policy = Policy.of(signer.verifier, witnesses.verifiers, 3)
    staging = folder.with_name(folder.name + ".staging")
    backend = FolderBackend(folder, staging)
    log = Sequencer(backend, Lock(), signer, policy, witnesses)
    made = _entries(entries)
    for at in range(0, entries, AT_ONCE):
        batch = [next(made) for _ in range(min(AT_ONCE, entries - at))]
        log.append(batch, datetime.now(UTC))
    shutil.rmtree(staging)
    _keys(folder, policy)
    here = log.published()
    return Kept(
        ORIGIN,
        here.size,
        here.root,
        tuple(one.name for one in witnesses.verifiers),
        _proofs(folder, backend, here.size),
        policy,
    )


def entries_of(folder: Path, size: int) -> list[bytes]:
    """Every entry of a log in a folder, which nobody checks here."""
    reader = TileReader(FolderSource(folder).read, size)
    return [one for number in range(-(-size // WIDTH)) for one in reader.entries(number)]


def _keys(folder: Path, policy: Policy) -> None:
    (folder / "log.vkey").write_text(policy.logs[0].vkey + "\n")
    for number, one in enumerate(policy.verifiers, 1):
        (folder / f"witness-{number}.vkey").write_text(one.vkey + "\n")
    (folder / "policy").write_text(policy.to_text())


def _proofs(folder: Path, backend: FolderBackend, size: int) -> dict[int, str]:
    note = (folder / CHECKPOINT).read_bytes()
    names = {}
    for index in sorted({*PROVED, size - 1}):
        if 0 <= index < size:
            names[index] = f"{index}.tlog-proof"
            (folder / names[index]).write_text(prove(backend, index, note), "utf-8")
    return names


def _entries(count: int) -> Iterator[bytes]:
    """Entries that differ, each signed; nobody keeps what opens them."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    at = datetime.now(UTC)
    for number in range(count):
        yield draft(
            "contribution",
            at=at,
            actor=public,
            facts={"kind": "bench", "number": number},
            salt=lambda: secrets.token_bytes(32),
            sign=key.sign,
        ).entry
