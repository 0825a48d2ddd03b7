"""A custodian follows the log itself: from its public files, entry by entry, to a cosigned root.

Every entry since the last time is read and hashed into the right edge that was kept then, so one
pass shows that the log only grew, that its files are what the checkpoint says, and which of the
custodians' own entries stand in it. Nobody's proof is taken for any of that.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Protocol

from consortium.custodian.errors import LogUnreachable, Refused
from consortium.custodian.ledger import Ledger
from consortium.custodian.own import Standing, Tree
from provenance.backend import CHECKPOINT
from provenance.entry import check_signature, parse
from provenance.errors import ProvenanceError, SignatureRefused, TileRefused
from provenance.merkle import CompactRange, leaf_hash, tree_root_at
from provenance.quorum import Cosigned, Policy
from provenance.tiles import WIDTH, TileReader

KIND = "ledger"
KINDS = (KIND, "key")
"""Looked for: what custodians reserve, open and agree to, and what they say of keys."""


class Follow(Protocol):
    """Following the log; `tests/fakes/memory_log.py` has its twin."""

    def advance(self) -> Tree:
        """Follow the log to its newest cosigned tree; what stands in it is in the ledger then.

        Raises:
            LogUnreachable, Refused: ``not-logged``, ``rolled-back``, ``split-view``.
        """


class Follower:
    """The log's files, read by one custodian."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        file: Callable[[str], bytes | None],
        policy: Policy,
        custodians: Callable[[], Mapping[str, bytes]],
    ) -> None:
        """Say where the files are and whose entries are looked for.

        Args:
            custodians: id to public key, of now; when it changes, the log is read from its start.
        """
        self._ledger, self._file, self._policy = ledger, file, policy
        self._custodians, self._lock = custodians, Lock()

    def advance(self) -> Tree:
        """See `Follow.advance`."""
        with self._lock:
            seen = self._ledger.newest_tree()  # before we ask: less than this is a log put back
            cosigned = self._checkpoint()
            here, note = cosigned.checkpoint, cosigned.note.to_bytes().decode()
            if here.size < seen:
                detail = f"the log covers {here.size} entries; {seen} were seen before"
                raise Refused("rolled-back", detail)
            if self._ledger.trees_up_to(here.size).get(here.size, (here.root,))[0] != here.root:
                self._one_root(cosigned, note)  # keeps both, and refuses
            try:
                grown, found, older = self._walk(here.size)
            except (TileRefused, LogUnreachable) as error:
                raise LogUnreachable(f"the log's files: {error}") from error
            if grown.root() != here.root:
                self._tell_apart(cosigned, note)
            if older:
                self._fork(older, note)
            self._one_root(cosigned, note)
            tree = Tree(here.size, here.root, cosigned.at, note)
            self._ledger.follow(tree, b"".join(grown.roots), self._who(), found)
            return tree

    def _checkpoint(self) -> Cosigned:
        raw = self._file(CHECKPOINT)
        if raw is None:
            raise LogUnreachable("the log has no checkpoint yet")
        try:
            return self._policy.check(raw)
        except ProvenanceError as error:
            raise Refused("not-logged", f"the log's checkpoint does not hold: {error}") from error

    def _who(self) -> str:
        keys = sorted((one, public.hex()) for one, public in self._custodians().items())
        # With what is looked for: books that were kept before that grew read from the start.
        return hashlib.sha256(repr((KINDS, keys)).encode()).hexdigest()

    def _walk(self, size: int) -> tuple[CompactRange, list[Standing], str]:
        """Read on to ``size``; also the checkpoint of a tree that it contradicts, if any."""
        start, roots, who = self._ledger.frontier()
        grown = CompactRange(start, roots) if who == self._who() else CompactRange()
        believed, found, other = self._ledger.trees_up_to(size), list[Standing](), ""
        for entry in self._entries(grown.size, size):
            grown.append(leaf_hash(entry))
            found += self._by_custodian(entry)
            root, older = believed.get(grown.size, (b"", ""))
            if root and grown.size < size and root != grown.root():
                other = older
        return grown, found, other

    def _entries(self, start: int, size: int) -> Iterator[bytes]:
        reader = TileReader(self._file, size)
        for number in range(start // WIDTH, -(-size // WIDTH)):
            yield from reader.entries(number)[max(0, start - number * WIDTH) :]

    def _by_custodian(self, entry: bytes) -> Iterator[Standing]:
        try:
            read = parse(entry)
        except ProvenanceError:
            return  # foreign bytes: for an audit to complain of, nothing of ours
        if read.kind not in KINDS:
            return
        for id, public in self._custodians().items():
            try:
                check_signature(read, public)
            except SignatureRefused:
                continue
            yield Standing(leaf_hash(entry).hex(), id, read.at, entry, read.kind)

    def _one_root(self, cosigned: Cosigned, note: str) -> None:
        here = cosigned.checkpoint
        if not self._ledger.saw_tree(here.size, here.root, note):
            detail = "the log showed two roots for one size; both checkpoints are kept here"
            raise Refused("split-view", detail, 409)

    def _tell_apart(self, cosigned: Cosigned, note: str) -> None:
        """The entries do not lead to the root: files in disorder, or another log than before."""
        here, older = cosigned.checkpoint, self._ledger.followed()
        try:
            reader = TileReader(self._file, here.size)
            theirs = tree_root_at(here.size, reader.node) == here.root
            before = older is None or tree_root_at(older.size, reader.node) == older.root
        except (TileRefused, LogUnreachable):
            theirs = before = False
        if older is not None and theirs and not before:
            self._fork(older.checkpoint, note)
        raise LogUnreachable("the log's files do not lead to its checkpoint")

    def _fork(self, older: str, newer: str) -> None:
        self._ledger.forked(older, newer)
        detail = "the log does not extend what it showed before; both checkpoints are kept here"
        raise Refused("split-view", detail, 409)
