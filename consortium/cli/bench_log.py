"""The log's speeds beside their floors: appending, hashing a tree, signatures, stories, receipts.

Ours and the floor are measured in turn, in one run. An append's time is the clock's, and each
side's median is kept, because a disk has luck too; all else is the processor's time, which
neighbours hardly change, and the best of each side. Where a limit is agreed and no floor is meant,
the limit stands in the floor's place and the goal is 1.
"""

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consortium.cli.kept_log import Lock, Witnesses, entries_of
from consortium.cli.recorder import Recorder, again, moved
from provenance.audit import FolderSource, audit, check_tree
from provenance.backend import FolderBackend
from provenance.checkpoint import Checkpoint
from provenance.entry import ENTRY_BYTES, Drafted, check_signature, draft, parse
from provenance.evidence import Evidence, check
from provenance.merkle import leaf_hashes, root_of_hashes
from provenance.note import Signer
from provenance.quorum import Policy
from provenance.sequencer import Sequencer, prove
from provenance.story import replay
from provenance.tiles import WIDTH, Tile, pack_entries, pack_hashes, partial_width

BATCHES = ((1, 60), (100, 30), (10_000, 6))
"""Entries appended at once, and how often."""
TREE = 1_000_000
CAMPAIGNS = 12
CHECKS = 300
ROUNDS = 7
FIRST = 1_100
"""Entries in a log before appending to it is measured: more than one tile, and a broken one."""
RECEIPT_MS = 5.0

Row = dict[str, str | float]


def rows(
    batches: Sequence[tuple[int, int]] = BATCHES, tree: int = TREE, checks: int = CHECKS
) -> list[Row]:
    """Each speed and its floor.

    Args:
        batches: entries appended at once, and rounds.
        tree: entries of the tree that is verified, at least 256.
        checks: entries that are parsed and whose signatures are checked.
    """
    key = Ed25519PrivateKey.generate()
    entries = [_entry(key, n) for n in range(checks)]
    return [
        *(_append(*one) for one in batches),
        _verify(tree),
        _audit(entries),
        _signatures(entries, key),
        *_told(CAMPAIGNS),
    ]


def kept_rows(folder: Path, policy: Policy, size: int) -> list[Row]:
    """The Merkle part and the audit of a log that is to be kept, beside their floors."""
    source = FolderSource(folder)
    here = policy.check((folder / "checkpoint").read_bytes()).checkpoint
    entries = entries_of(folder, size)
    return [
        _row(
            f"Merkle verification of the kept {size:,} entries / read and hashed barely",
            *_best(lambda: check_tree(source, here), lambda: _read_and_hashed(folder, entries), 3),
            3,
            "s",
        ),
    ]


def _append(batch: int, rounds: int) -> Row:
    signer = Signer.from_seed("log.example/bench", secrets.token_bytes(32))
    policy = Policy.of(signer.verifier, [], 0)
    with tempfile.TemporaryDirectory(prefix="trellis-bench-") as name:
        disk = Recorder()
        backend = FolderBackend(Path(name) / "ours" / "log", disk=_made(disk, name))
        log = Sequencer(backend, Lock(), signer, policy, lambda note, proof_for: [])
        tail = _random(FIRST)
        log.append(tail, datetime.now(UTC))
        _barely(moved(disk.done, name), [], [])

        def pair() -> tuple[float, float]:
            entries = _random(batch)
            disk.done.clear()
            _settled(name)
            took = _seconds(lambda: log.append(entries, datetime.now(UTC)))
            # ``tail`` begins with a bundle; what is full of it is not written again.
            todo, written = moved(disk.done, name), tail[len(tail) // WIDTH * WIDTH :] + entries
            tail[:] = written
            _settled(name)
            return took, _seconds(lambda: _barely(todo, entries, written))

        pairs = [pair() for _ in range(rounds)]
    what = "1 entry" if batch == 1 else f"{batch:,} entries"
    return _row(
        f"append {what}, durable / the same bytes, files, fsyncs and hashes barely",
        median(one for one, _ in pairs),
        median(other for _, other in pairs),
        1.5,
        "s a batch",
    )


def _settled(name: str) -> None:
    """Have the disk do what it still has to do, so that neither side pays for what was before."""
    handle = os.open(Path(name) / "settled", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(handle, b"x")
    os.fsync(handle)
    os.close(handle)


def _made(disk: Recorder, name: str) -> Recorder:
    for side in ("ours", "floor"):
        (Path(name) / side).mkdir()
    return disk


def _barely(
    todo: Sequence[tuple[str, str, Any]], entries: Sequence[bytes], written: Sequence[bytes]
) -> None:
    """Hash new entries and the nodes over them, and all of the bundles that are read back.

    Then do the operations.
    """
    for each in (entries, written):
        _nodes([hashlib.sha256(b"\x00" + one).digest() for one in each])
    again(todo)


@dataclass(frozen=True, slots=True)
class _Long:
    """A log as long as one likes, of bundles that come again and again."""

    files: Mapping[str, bytes]

    def read(self, path: str) -> bytes | None:
        """See ``provenance.audit.Source``."""
        return self.files.get(path)

    def list(self) -> None:
        """See ``provenance.audit.Source``."""
        return


def _verify(size: int) -> Row:
    """Bundles taken apart, every leaf, tile and the root computed and compared."""
    bundles = [_random(WIDTH) for _ in range(min(64, size // WIDTH))]
    source, here = _long(bundles, size)

    def floor() -> None:
        tops = []
        for number in range(-(-size // WIDTH)):
            entries = bundles[number % len(bundles)][: size - number * WIDTH]
            tops.append(_nodes([hashlib.sha256(b"\x00" + one).digest() for one in entries]))
        _nodes(tops)

    return _row(
        f"Merkle verification of {size:,} entries / bare hashing of the same",
        *_best(lambda: check_tree(source, here), floor, 2),
        3,
        "s",
    )


def _long(bundles: Sequence[Sequence[bytes]], size: int) -> tuple[_Long, Checkpoint]:
    """The files of a log whose bundle ``n`` is ``bundles[n % len(bundles)]``."""
    packed = [pack_entries(one) for one in bundles]
    leaves = [leaf_hashes(one) for one in bundles]
    tiles, tops = [pack_hashes(one) for one in leaves], [root_of_hashes(one) for one in leaves]
    files: dict[str, bytes] = {}
    for number in range(size // WIDTH):
        at = number % len(bundles)
        files[Tile(-1, number, WIDTH).path] = packed[at]
        files[Tile(0, number, WIDTH).path] = tiles[at]
    rest = size % WIDTH
    hashes = [tops[n % len(bundles)] for n in range(size // WIDTH)]
    if rest:
        at = size // WIDTH % len(bundles)
        files[Tile(-1, size // WIDTH, rest).path] = pack_entries(bundles[at][:rest])
        files[Tile(0, size // WIDTH, rest).path] = pack_hashes(leaves[at][:rest])
        lone = [root_of_hashes(leaves[at][:rest])]
    else:
        lone = []
    root, level = root_of_hashes([*hashes, *lone]), 1
    while hashes:
        for start in range(0, len(hashes), WIDTH):
            here = hashes[start : start + WIDTH]
            files[Tile(level, start // WIDTH, len(here)).path] = pack_hashes(here)
        full = len(hashes) - partial_width(level, size)
        hashes = [root_of_hashes(hashes[at : at + WIDTH]) for at in range(0, full, WIDTH)]
        level += 1
    return _Long(files), Checkpoint("log.example/bench", size, root)


def _audit(entries: Sequence[bytes]) -> Row:
    """The whole audit of a log, files and entry forms included."""
    signer = Signer.from_seed("log.example/bench", secrets.token_bytes(32))
    policy = Policy.of(signer.verifier, [], 0)
    with tempfile.TemporaryDirectory(prefix="trellis-bench-") as name:
        folder = Path(name) / "log"
        backend = FolderBackend(folder)
        Sequencer(backend, Lock(), signer, policy, lambda note, proof_for: []).append(
            entries, datetime.now(UTC)
        )

        def bare() -> None:
            _nodes([hashlib.sha256(b"\x00" + one).digest() for one in entries])
            for one in entries:
                json.loads(one)

        took = _best(lambda: audit(FolderSource(folder), policy), bare)
    return _row(
        f"audit of {len(entries):,} entries, their forms too / hashed, and read as JSON",
        *took,
        15,
        "s",
    )


def _signatures(entries: Sequence[bytes], key: Ed25519PrivateKey) -> Row:
    public = key.public_key().public_bytes_raw()

    def ours() -> None:
        for one in entries:
            check_signature(parse(one), public)

    read, loaded = [parse(one) for one in entries], Ed25519PublicKey.from_public_bytes(public)

    def floor() -> None:
        for known in read:
            loaded.verify(known.signature, known.signed)

    took, least = (seconds * 1e6 / len(entries) for seconds in _best(ours, floor))
    return _row("signature of one entry, parsed and checked / bare Ed25519", took, least, 2, "us")


@dataclass(frozen=True, slots=True)
class _Story:
    """Evidence of campaigns that were agreed, approved, attested and sent, and its policy."""

    evidences: tuple[Evidence, ...]
    policy: Policy


def _told(campaigns: int) -> list[Row]:
    """A story, and one receipt of it."""
    story = _story(campaigns)
    one = story.evidences[-1]
    checks = len(story.evidences) + 1 + len(story.policy.witnesses)
    private = Ed25519PrivateKey.generate()
    public, message = private.public_key(), os.urandom(400)
    signature = private.sign(message)

    def bare() -> None:
        for _ in range(checks):
            public.verify(signature, message)

    took, least = (
        seconds * 1e6 / checks
        for seconds in _best(lambda: replay(story.evidences, story.policy), bare)
    )
    receipt = min(_seconds(lambda: check(one, story.policy)) for _ in range(50)) * 1e3
    return [
        _row(
            f"story of {campaigns} campaigns in {len(story.evidences)} entries, "
            "per signature / bare Ed25519",
            took,
            least,
            3,
            "us",
        ),
        _row(
            "check of one receipt (entry, path, log, 3 witnesses) / 5 ms allowed",
            receipt,
            RECEIPT_MS,
            1,
            "ms",
        ),
    ]


def _story(campaigns: int) -> _Story:
    partners = {name: Ed25519PrivateKey.generate() for name in ("a", "b", "c")}
    operator = Ed25519PrivateKey.generate()
    made = []

    def say(who: Ed25519PrivateKey, what: str, **facts: object) -> None:
        made.append(_draft(who, what, facts))

    for key in partners.values():
        say(key, "agreement", kind="sign", digest="11" * 32, race="bench")
    for n in range(campaigns):
        campaign, digest, root = f"{n:032x}", "22" * 32, "33" * 32
        about = {"campaign": campaign, "digest": digest}
        for key in partners.values():
            say(key, "approval", kind="approve", **about)
            say(key, "approval", kind="attest", **about, root=root)
        say(
            operator,
            "intent",
            kind="intent",
            **about,
            root=root,
            agreement="11" * 32,
            race="bench",
            sources=sorted(partners),
        )
        say(operator, "sent", kind="sent", campaign=campaign, count=n)
    signer = Signer.from_seed("log.example/bench", secrets.token_bytes(32))
    witnesses = Witnesses.of(signer.verifier, 3)
    policy = Policy.of(signer.verifier, witnesses.verifiers, 3)
    with tempfile.TemporaryDirectory(prefix="trellis-bench-") as name:
        backend = FolderBackend(Path(name) / "log")
        log = Sequencer(backend, Lock(), signer, policy, witnesses)
        log.append([one.entry for one in made], datetime.now(UTC))
        note = backend.read("checkpoint") or b""
        evidences = tuple(
            Evidence(one.entry, one.openings, prove(backend, index, note))
            for index, one in enumerate(made)
        )
    return _Story(evidences, policy)


def _read_and_hashed(folder: Path, entries: Sequence[bytes]) -> None:
    """Read every file of the tree, and hash what must be hashed."""
    for path, _, names in os.walk(folder / "tile"):
        for name in names:
            Path(path, name).read_bytes()
    _nodes([hashlib.sha256(b"\x00" + one).digest() for one in entries])


def _nodes(leaves: Sequence[bytes]) -> bytes:
    level, sha256 = list(leaves) or [b""], hashlib.sha256
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        level = [
            sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ] + odd
    return level[0]


def _random(count: int) -> list[bytes]:
    return [os.urandom(ENTRY_BYTES) for _ in range(count)]


def _entry(key: Ed25519PrivateKey, number: int) -> bytes:
    facts = {"kind": "bundle", "partner": "bench", "rows_digest": "0" * 64, "size_class": number}
    return _draft(key, "contribution", facts).entry


def _draft(key: Ed25519PrivateKey, kind: str, facts: Mapping[str, Any]) -> Drafted:
    return draft(
        kind,
        at=datetime(2026, 11, 21, 12, tzinfo=UTC),
        actor=key.public_key().public_bytes_raw(),
        facts=facts,
        salt=lambda: secrets.token_bytes(32),
        sign=key.sign,
    )


def _seconds(run: Callable[[], object], clock: Callable[[], float] = perf_counter) -> float:
    began = clock()
    run()
    return clock() - began


def _best(
    ours: Callable[[], object], floor: Callable[[], object], rounds: int = ROUNDS
) -> tuple[float, float]:
    """The best of each side's times, which are measured in turn."""
    pairs = [(_seconds(ours, process_time), _seconds(floor, process_time)) for _ in range(rounds)]
    return min(one for one, _ in pairs), min(other for _, other in pairs)


def _row(name: str, ours: float, floor: float, goal: float, unit: str) -> Row:
    return {
        "name": name,
        "ours": ours,
        "floor": floor,
        "ratio": ours / floor,
        "goal": goal,
        "unit": unit,
    }
