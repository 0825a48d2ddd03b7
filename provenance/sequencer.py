"""Stage, compare-and-swap, publish; safe to crash between any two."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from provenance.backend import CHECKPOINT, Backend, Lease, Lock, SyncFailed
from provenance.checkpoint import (
    Checkpoint,
    open_checkpoint,
    read_checkpoint,
    sign_checkpoint,
)
from provenance.cosigning import with_cosignatures
from provenance.errors import (
    CheckpointRefused,
    ImmutableRefused,
    LockLost,
    NoteRefused,
    ProvenanceError,
    QuorumRefused,
    RecoveryRefused,
    SignatureRefused,
    Stopped,
    TileRefused,
)
from provenance.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_path,
    inclusion_path,
    leaf_hash,
    leaf_hashes,
    perfect_subtrees,
    tree_root_at,
)
from provenance.note import Signer
from provenance.pruning import Partials
from provenance.quorum import Policy
from provenance.receipt import make_receipt
from provenance.seen import Seen, check_heard, check_seen
from provenance.staging import grown, pack, reread, stage_name, stage_size, unpack
from provenance.tiles import (
    WIDTH,
    TileReader,
)

ProofFor: TypeAlias = Callable[[int], list[bytes]]
"""Old size to the consistency path from there to the checkpoint being cosigned."""

Cosign: TypeAlias = Callable[[bytes, ProofFor], Sequence[bytes]]
"""Given the signed checkpoint and a source of proofs, asks every witness and returns the
signature lines (bytes, one line each) of those that answered. It never raises for a witness
that is away."""

PARTIAL = ".p/"

START_AGAIN = (
    "Nothing promised is lost. Start the worker again: it reads what is committed and finishes it."
)
LOOK_AT_THE_DISK = (
    "What is durable is now unknown, and asking the disk again would not tell. Look at the disk "
    f"(free space, its errors in the system's log) and repair it. {START_AGAIN}"
)
ONE_WRITER = "A log has one writer: end the other worker, or leave this one ended."


class BatchFailed(Exception):
    """Staging failed before anything was promised; ``cause`` is what the caller gets."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Published:
    """What became public: the size and the note with its cosignatures."""

    size: int
    note: bytes


class Sequencer:
    """Appends entries to one log, and publishes what witnesses have cosigned.

    The lock is the truth: an entry is promised when a checkpoint over it has been swapped in,
    and from then on it can only be completed, never undone. Not for use by two threads at once;
    two processes are kept apart by lease and lock, the loser gets ``LockLost``.

    Once a disk or a lock has left unknown what is durable, or another process proved to be the
    writer, it stops for good: every later call raises ``Stopped``, in words for an operator. The
    next process recovers.

    Args:
        backend: the public files.
        lock: the durable compare-and-swap.
        signer: the log's key; its name is the origin.
        policy: which witnesses must have cosigned before anything is published.
        cosign: asks the witnesses.
        lease: keeps others from writing meanwhile; without one, only one process may be there
            while another recovers.
        seen: asks witnesses what they last saw, before this process first signs anything new;
            without it, a lock and files that were put back together from an old copy are believed.
    """

    def __init__(
        self,
        backend: Backend,
        lock: Lock,
        signer: Signer,
        policy: Policy,
        cosign: Cosign,
        lease: Lease | None = None,
        seen: Seen | None = None,
    ) -> None:
        if signer.verifier not in policy.logs:
            raise RecoveryRefused("the policy does not name this log's own key")
        self._backend = backend
        self._lock = lock
        self._signer = signer
        self._policy = policy
        self._cosign = cosign
        self._lease = lease
        self._seen = seen
        self._stopped: str | None = None
        self._busy = False
        self._partials = Partials(backend)
        self._complete: bytes | None = None  # the lock's note, once its tiles are known written
        self._opened: tuple[bytes, Checkpoint] | None = None  # a note whose signature was checked
        self._right: tuple[Checkpoint, TileReader, CompactRange] | None = None  # a checked edge

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._signer.verifier.name

    def committed(self) -> Checkpoint:
        """The tree the lock has committed to; published or not. Size 0 before the first entry."""
        note = self._lock.load(self.origin)
        return self._empty() if note is None else self._open(note, "the lock")

    def published(self) -> Checkpoint:
        """The tree that is public; size 0 before the first publication."""
        note = self._backend.read(CHECKPOINT)
        return self._empty() if note is None else self._open(note, "the published checkpoint")

    def recover(self) -> Checkpoint:
        """Bring the public files up to what the lock has committed to. Call it once, at start.

        Returns:
            The committed tree; every entry below its size is promised.

        Raises:
            RecoveryRefused: lock and files contradict each other; the words say what to do.
            WriterElsewhere: another process has the lease.
            Stopped: disk or lock failed.
        """
        with self._writing():
            return self._recover()

    def _recover(self) -> Checkpoint:
        note = self._lock.load(self.origin)
        public = self._backend.read(CHECKPOINT)
        here = self._empty() if note is None else self._open(note, "the lock")
        there = self._empty() if public is None else self._open(public, "the published checkpoint")
        if there.size > here.size:
            raise RecoveryRefused(
                f"the log is published up to {there.size} entries, but the lock database knows "
                f"only {here.size}: an old copy of it was restored. Do not start the log. Put "
                "back the lock database that belongs to the published checkpoint."
            )
        if there.size == here.size and there.root != here.root:
            raise RecoveryRefused(
                f"lock database and published checkpoint hold different trees of {here.size} "
                "entries: the log has forked. Do not start it; keep both as evidence."
            )
        if note is not None:
            self._finish(note, here)
            self._check_growth(there, here)
        with contextlib.suppress(QuorumRefused):  # asked again before anything is signed
            self._listen(here)
        for name in list(self._backend.stages()):
            if stage_size(name) <= there.size or name != stage_name(here):
                # Staged and never committed, or published since: of no use to anybody. Whoever
                # staged it has lost the lease, so it can never be committed either.
                self._backend.unstage(name)
        self._backend.sweep()
        self._partials.drop(there.size)
        return here

    def append(self, entries: Sequence[bytes], now: datetime) -> range:
        """Log these entries, then try to publish.

        Args:
            entries: each up to 65,535 bytes; they are logged again if they already were
                (see ``append_once``).
            now: aware; bounds the time of the cosignatures.

        Returns:
            Their indices. The entries are promised, whether or not witnesses were there:
            ``published().size`` tells.

        Raises:
            LockLost: another process is the writer; nothing was promised. Stops for good.
            OSError: no room or no way to stage it; nothing was promised, try again later.
            QuorumRefused: too few witnesses say what they last saw; nothing was promised.
            RecoveryRefused, Stopped: end the process; the next one recovers.
        """
        with self._writing():
            return self._append(entries, now)

    def _append(self, entries: Sequence[bytes], now: datetime) -> range:
        before = self._lock.load(self.origin)
        here = self._empty() if before is None else self._open(before, "the lock")
        if before is not None:
            self._finish(before, here)
        if entries:
            self._listen(here)
            # 1. In memory, on top of a right edge that was checked against the checkpoint.
            reader, edge = self._edge(here)
            files = grown(reader, edge, here.size, entries)
            after = Checkpoint(self.origin, edge.size, edge.root())
            # 2. One durable staging file holds all that will ever be needed. A crash here, or
            #    anywhere before 3, leaves a file that nothing refers to.
            name = stage_name(after)
            self._stage(name, files)
            files = reread(self._backend.staged(name), self._backend.read, here.size, after)
            # 3. The commit point. Before it nothing was promised, after it everything is.
            note = sign_checkpoint(after, self._signer)
            self._swap(before, note)
            self._opened = note, after
            # 4. A crash between any two of these is completed from the staging file, perhaps by
            #    another process, which may by now have finished and tidied up before us.
            self._finish(note, after, files, edge)
        # 5., 6. Publish and tidy up. What fails here is tried again by the next publish.
        self._publish(now)
        return range(here.size, here.size + len(entries))

    def append_once(self, entries: Sequence[bytes], since: int, now: datetime) -> list[int]:
        """Like ``append``, but an entry that is already promised is not logged twice.

        Args:
            entries: what the caller's table says is pending.
            since: size below which none of them can be, e.g. the size after the last batch whose
                indices the caller has durably stored.

        Returns:
            The index of each entry, old or new, in the order given.
        """
        with self._writing():
            promised = self.leaves(since)
            known = {leaf: since + place for place, leaf in reversed([*enumerate(promised)])}
            fresh: dict[bytes, bytes] = {}
            for entry in entries:
                if leaf_hash(entry) not in known:
                    fresh.setdefault(leaf_hash(entry), entry)
            places = self._append(list(fresh.values()), now)
            known.update(zip(fresh, places, strict=True))
            return [known[leaf_hash(entry)] for entry in entries]

    def leaves(self, since: int = 0) -> list[bytes]:
        """Leaf hashes that the lock has committed to, from index ``since`` on."""
        note = self._lock.load(self.origin)
        if note is None:
            return []
        here = self._open(note, "the lock")
        with self._writing():
            self._finish(note, here)
        reader = TileReader(self._backend.read, here.size)
        found: list[bytes] = []
        for number in range(since // WIDTH, -(-here.size // WIDTH)):
            found += reader.hashes(0, number)
        return found[since % WIDTH :] if since < here.size else []

    def publish(self, now: datetime) -> Published | None:
        """Gather cosignatures for the committed tree, and publish it if they are a quorum.

        Also the way to refresh the cosignatures of a tree that has not grown.

        Returns:
            What became public, or None: nothing to publish, or not enough witnesses.

        Raises:
            LockLost, RecoveryRefused, Stopped: as ``append``.
        """
        with self._writing():
            return self._publish(now)

    def _publish(self, now: datetime) -> Published | None:
        public = self._backend.read(CHECKPOINT)
        note = self._lock.load(self.origin)
        if note is None:
            return None
        here = self._open(note, "the lock")
        self._finish(note, here)
        cosigned, keys = self._gather(note, public, here, now)
        # The log's own signature was checked, or made, above; each cosignature while gathering.
        if not self._policy.satisfied_by(keys):
            return None
        # What was public before the lock was read is of this tree or an older one. If it is public
        # no more, somebody went on while we were asking: ours would take the log back.
        self._backend.publish(cosigned, public)
        for name in list(self._backend.stages()):
            if stage_size(name) <= here.size:
                self._backend.unstage(name)
        self._partials.drop(here.size)
        return Published(here.size, cosigned)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lease meanwhile; whatever leaves the state unknown is the last thing done."""
        if self._stopped is not None:
            raise Stopped(self._stopped)
        if self._busy:
            yield
            return
        self._busy = True
        try:
            if self._lease is not None:
                self._lease.hold(self.origin)
            yield
        except LockLost as lost:
            # Who lost may not go on from what it remembers; nothing was promised by it.
            self._stop(f"another process writes it ({lost}). {ONE_WRITER}")
            raise
        except RecoveryRefused as refused:
            self._stop(str(refused))
            raise
        except BatchFailed as failed:
            raise failed.cause from None
        except OSError as failed:
            raise self._stop(f"{_told(failed)}. {LOOK_AT_THE_DISK}") from failed
        finally:
            self._busy = False
            if self._lease is not None:
                # Also after a stop: nothing is written here any more. If it cannot be given back
                # now it runs out, and a process that takes this one's place need not wait.
                with contextlib.suppress(Exception):
                    self._lease.drop(self.origin)

    def _stop(self, why: str) -> Stopped:
        self._stopped = f"the log {self.origin} has stopped: {why}"
        return Stopped(self._stopped)

    def _stage(self, name: str, files: Mapping[str, bytes]) -> None:
        try:
            self._backend.stage(name, pack(files))
        except SyncFailed:
            raise
        except OSError as failed:
            # Nothing refers to it and nothing was promised: a full disk may have room later.
            raise BatchFailed(failed) from failed

    def _swap(self, old: bytes | None, new: bytes) -> None:
        try:
            self._lock.swap(self.origin, old, new)
        except (ProvenanceError, OSError):
            raise
        except Exception as failed:
            # The database may have committed and died before it could say so.
            raise self._stop(
                f"the lock's database failed at the commit ({type(failed).__name__}), so whether "
                f"it happened is not known. {START_AGAIN}"
            ) from failed

    def _empty(self) -> Checkpoint:
        return Checkpoint(self.origin, 0, EMPTY_ROOT)

    def _open(self, note: bytes, where: str) -> Checkpoint:
        if self._opened is not None and self._opened[0] == note:
            return self._opened[1]
        try:
            self._opened = note, open_checkpoint(note, [self._signer.verifier])[0]
        except (NoteRefused, CheckpointRefused, SignatureRefused) as refused:
            raise RecoveryRefused(
                f"{where} does not hold a checkpoint of {self.origin} signed by this log's key "
                f"({refused}). Was the key or the origin changed? Put back what belongs together."
            ) from refused
        return self._opened[1]

    def _finish(
        self,
        note: bytes,
        here: Checkpoint,
        files: Mapping[str, bytes] | None = None,
        edge: CompactRange | None = None,
    ) -> None:
        """Complete what the lock committed to: write staged tiles, check the right edge.

        Args:
            files, edge: the staging file's, if they were just read back from it, and the right
                edge to which they were found to lead.
        """
        if self._complete == note:
            return
        if files is None:
            raw = self._backend.staged(stage_name(here))
            files = {} if raw is None else unpack(raw)
        for path, data in files.items():
            self._put(path, data)
        if edge is not None:
            # Put, and compared with what then lay there: nothing is left to be checked.
            kept = {path: data for path, data in files.items() if PARTIAL in path}
            self._right = here, self._reader(here, kept), edge
        try:
            self._edge(here)
        except TileRefused as refused:
            raise RecoveryRefused(
                f"the lock has promised {here.size} entries, but their tiles are not all there "
                f"and no staging file can complete them ({refused}). Put back the log's folders."
            ) from refused
        self._complete = note

    def _put(self, path: str, data: bytes) -> None:
        try:
            self._backend.put(path, data)
        except ImmutableRefused as refused:
            raise RecoveryRefused(
                f"{refused}, and not those that were promised: somebody else has written into the "
                "log's folder. Do not start the log; keep that file as evidence, and put back the "
                "folder."
            ) from refused
        self._partials.saw(path)

    def _listen(self, here: Checkpoint) -> None:
        """Once in a process: whether anybody has seen more of this log than it knows."""
        if self._seen is None:
            return
        answers = self._seen()
        nodes = TileReader(self._backend.read, here.size).node
        check_seen(answers, here, nodes, self._signer.verifier)
        check_heard(answers, self._policy)
        self._seen = None

    def _reader(self, here: Checkpoint, known: Mapping[str, bytes]) -> TileReader:
        return TileReader(lambda path: known.get(path) or self._backend.read(path), here.size)

    def _edge(self, here: Checkpoint) -> tuple[TileReader, CompactRange]:
        """Check right-edge tiles and last bundle against a checkpoint of our own.

        What was checked once is kept: published tiles never change.
        """
        if self._right is not None and self._right[0] == here:
            return self._right[1], CompactRange(here.size, self._right[2].roots)
        reader = self._reader(here, {})
        edge = CompactRange(
            here.size, [reader.node(*place) for place in perfect_subtrees(here.size)]
        )
        if edge.root() != here.root:
            raise TileRefused(f"the tiles of {here.size} entries do not have the promised root")
        if here.size:
            last = (here.size - 1) // WIDTH
            if leaf_hashes(reader.entries(last)) != reader.hashes(0, last):
                raise TileRefused(f"the entries of bundle {last} are not those of its tile")
        self._right = here, reader, edge
        return reader, CompactRange(here.size, edge.roots)

    def _check_growth(self, there: Checkpoint, here: Checkpoint) -> None:
        nodes = TileReader(self._backend.read, here.size).node
        if there.size and tree_root_at(there.size, nodes) != there.root:
            raise RecoveryRefused(
                f"the published tree of {there.size} entries is not the beginning of the promised "
                f"one of {here.size}: the log has forked. Do not start it; keep both as evidence."
            )

    def _gather(
        self, note: bytes, public: bytes | None, here: Checkpoint, now: datetime
    ) -> tuple[bytes, set[bytes]]:
        """The log's note with every good cosignature: newly gathered, or already published."""
        nodes = TileReader(self._backend.read, here.size).node
        raw = self._cosign(note, lambda old: consistency_path(old, here.size, nodes))
        return with_cosignatures(note, public, raw, self._policy, now)


def prove(backend: Backend, index: int, checkpoint: bytes) -> str:
    """The tlog-proof text of one entry under a (cosigned) checkpoint note.

    Raises:
        InclusionRefused: the index lies outside of the checkpoint's tree.
        TileRefused: a tile is missing or not of this tree.
    """
    here, _ = read_checkpoint(checkpoint)
    reader = TileReader(backend.read, here.size)
    path = inclusion_path(index, here.size, reader.node)
    return make_receipt(index, path, checkpoint)


def _told(failed: OSError) -> str:
    """What failed, in words: the operation, and where."""
    what = "could not be made durable" if isinstance(failed, SyncFailed) else "could not be kept"
    why = failed.strerror or str(failed)
    return f"{failed.filename or 'a file'} {what} ({why})"
