"""The log's speeds beside their floors: appending, verifying a tree, checking an entry."""

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from provenance.audit import FolderSource, audit
from provenance.backend import FolderBackend
from provenance.entry import check_signature, draft, parse
from provenance.errors import LockLost
from provenance.merkle import root_of_hashes
from provenance.note import Signer
from provenance.quorum import Policy
from provenance.sequencer import Sequencer
from provenance.tiles import WIDTH, TileReader

BATCH = 1000
TREE = 80 * 256
CHECKS = 300
ROUNDS = 9


class _Lock:
    """A lock that forgets with the process: the bench measures hashing and files."""

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


def rows(batch: int = BATCH, tree: int = TREE) -> list[dict[str, str | float]]:
    """Each speed and its floor, measured in turn in this run.

    Args:
        batch: entries appended and audited.
        tree: leaves of the tree whose root is computed, a multiple of 256.
    """
    key = Ed25519PrivateKey.generate()
    entries = [_entry(key, n) for n in range(min(CHECKS, batch))]
    many = (entries * (batch // len(entries) + 1))[:batch]
    return [_append(many), _verify(tree), _audit(many), _check(entries, key)]


def _append(batch: Sequence[bytes]) -> dict[str, str | float]:
    signer = Signer.from_seed("log.example/bench", secrets.token_bytes(32))
    policy = Policy.of(signer.verifier, [], 0)

    made: list[bytes] = []

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "log"
            log = Sequencer(
                FolderBackend(root), _Lock(), signer, policy, lambda note, proof_for: []
            )
            took = _seconds(lambda: log.append(batch, datetime.now(UTC)))
            made[:] = [path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()]
            return took

    def floor() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return _seconds(lambda: _kept(batch, made, Path(folder)))

    return _row(
        f"append {len(batch):,} entries, staged and durable / hashed, and the same files synced",
        *_both(ours, floor),
        5,
        "s a batch",
    )


def _verify(tree: int) -> dict[str, str | float]:
    """The Merkle part alone: roots of all tiles from their hashes, and the root over them."""
    leaves = [hashlib.sha256(n.to_bytes(8, "big")).digest() for n in range(tree)]
    tiles = [
        (f"tile/0/{n // WIDTH:03d}", b"".join(leaves[n : n + WIDTH])) for n in range(0, tree, WIDTH)
    ]
    files = dict(tiles)

    def ours() -> None:
        reader = TileReader(files.get, tree)
        root_of_hashes([root_of_hashes(reader.hashes(0, n)) for n in range(tree // WIDTH)])

    return _row(
        f"Merkle part of verifying {tree:,} entries",
        *_best(ours, lambda: _nodes(leaves)),
        2,
        "s",
    )


def _audit(batch: Sequence[bytes]) -> dict[str, str | float]:
    """The whole audit of a log of 1,000 entries, files and entry forms included."""
    signer = Signer.from_seed("log.example/bench", secrets.token_bytes(32))
    policy = Policy.of(signer.verifier, [], 0)
    with tempfile.TemporaryDirectory() as folder:
        backend = FolderBackend(Path(folder) / "log")
        Sequencer(backend, _Lock(), signer, policy, lambda note, proof_for: []).append(
            batch, datetime.now(UTC)
        )

        def bare() -> None:
            _bare(batch)
            for one in batch:
                json.loads(one)

        took = _best(lambda: audit(FolderSource(Path(folder) / "log"), policy), bare)
    return _row(f"audit a log of {len(batch):,} entries", *took, 15, "s")


def _check(entries: Sequence[bytes], key: Ed25519PrivateKey) -> dict[str, str | float]:
    public = key.public_key().public_bytes_raw()

    def ours() -> None:
        for one in entries:
            check_signature(parse(one), public)

    read = [parse(one) for one in entries]

    def floor() -> None:
        for one, known in zip(entries, read, strict=True):
            json.loads(one)
            loaded = Ed25519PublicKey.from_public_bytes(public)
            loaded.verify(known.signature, known.signed)

    took, least = (seconds * 1e6 / len(entries) for seconds in _best(ours, floor))
    return _row("check one entry (RFC 8785, Ed25519)", took, least, 2, "us")


def _bare(entries: Sequence[bytes]) -> None:
    _nodes([hashlib.sha256(b"\x00" + one).digest() for one in entries])


def _kept(entries: Sequence[bytes], files: Sequence[bytes], folder: Path) -> None:
    """Hash the entries, and write the files that they make, each with one sync."""
    _bare(entries)
    for number, octets in enumerate(files):
        with (folder / str(number)).open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())


def _nodes(leaves: Sequence[bytes]) -> None:
    level = list(leaves)
    sha256 = hashlib.sha256
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        level = [
            sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ] + odd


def _entry(key: Ed25519PrivateKey, number: int) -> bytes:
    return draft(
        "contribution",
        at=datetime(2026, 11, 21, 12, tzinfo=UTC),
        actor=key.public_key().public_bytes_raw(),
        facts={"kind": "bundle", "partner": "bench", "rows_digest": "0" * 64, "size_class": number},
        salt=lambda: secrets.token_bytes(32),
        sign=key.sign,
    ).entry


def _seconds(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began


def _best(ours: Callable[[], object], floor: Callable[[], object]) -> tuple[float, float]:
    return _both(lambda: _seconds(ours), lambda: _seconds(floor))


def _both(ours: Callable[[], float], floor: Callable[[], float]) -> tuple[float, float]:
    """Return the best of each side's times, measured in turn: a neighbour can only add to one."""
    pairs = [(ours(), floor()) for _ in range(ROUNDS)]
    return min(one for one, _ in pairs), min(other for _, other in pairs)


def _row(name: str, ours: float, floor: float, goal: float, unit: str) -> dict[str, str | float]:
    return {
        "name": name,
        "ours": ours,
        "floor": floor,
        "ratio": ours / floor,
        "goal": goal,
        "unit": unit,
    }
