"""Choosing a wrapping, opening it at a start, changing it: under a lock, and proved to open.

Who has a wrapping open holds the lock shared; who changes it holds it alone. Otherwise a ceremony
that began under the old passphrase could keep its share under it, and nobody could open that share
again.
"""

import fcntl
import os
from collections.abc import Container
from contextlib import closing
from pathlib import Path

from consortium.custodian.errors import HomeUnready, WrappingRefused
from consortium.custodian.protection import Protected, Protection
from consortium.custodian.wrapping import file, kinds
from consortium.custodian.wrapping.asking import Ask
from consortium.custodian.wrapping.kinds import REMOTE, Kind, Wish

_PROOF, _PROOF_LABEL = b"trellis custodian", b"trellis/custodian/proof"
_LOCK = "wrapping.lock"
_WRONG = {"passphrase": "that is not this home's passphrase"}


class Opened:
    """A wrapping that was proved to open this home; nobody changes it until it is closed."""

    def __init__(self, kind: Kind, lock: int) -> None:
        self._kind, self._inner, self._lock = kind, kind.wrapping, lock
        # A token or a vault is asked once for each secret: a share is needed at every call, and
        # must be there while the vault is not. A key in memory needs no second copy of a share.
        self._known: dict[bytes, tuple[bytes, bytes]] | None = {} if kind.name in REMOTE else None

    def wrap(self, secret: bytes, label: bytes) -> bytes:
        """Return the secret as it may stand on a disk."""
        return self._inner.wrap(secret, label)

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        """Return the secret; raises WrappingRefused or WrappingAway."""
        if self._known is None:
            return self._inner.unwrap(wrapped, label)
        if wrapped not in self._known or self._known[wrapped][0] != label:
            self._known[wrapped] = label, self._inner.unwrap(wrapped, label)
        return self._known[wrapped][1]

    def keep_only(self, held: Container[bytes]) -> None:
        """Forget what was opened and is in the database no more: a destroyed share.

        Its bytes are unreachable then; when they are overwritten is up to Python's allocator.
        """
        for wrapped in list(self._known or ()):
            if wrapped not in held:
                (self._known or {}).pop(wrapped, None)

    def close(self) -> None:
        """Let the wrapping be changed again."""
        if isinstance(self._known, dict):
            self._known.clear()
        self._kind.close()
        os.close(self._lock)


class Shut:
    """The wrapping of a command that counts and lists, and opens nothing."""

    def wrap(self, secret: bytes, label: bytes) -> bytes:
        """Raise WrappingRefused."""
        raise WrappingRefused("this command keeps no secret")

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        """Raise WrappingRefused."""
        raise WrappingRefused("this command opens no secret")


def protected(database: Path) -> bool:
    """Whether a wrapping was chosen for this database."""
    if not database.exists():
        return False
    with closing(Protection(database, Shut())) as books:
        return books.protection() is not None


def in_use(home: Path) -> bool:
    """Whether `serve` or a ceremony has this home's shares open now."""
    try:
        os.close(_locked(home, fcntl.LOCK_EX))
    except WrappingRefused:
        return True
    return False


def protect(home: Path, database: Path, owner: str, wish: Wish, ask: Ask) -> None:
    """Choose how the secrets of a new home are wrapped, and prove that it opens.

    Raises:
        WrappingRefused: it was chosen before, or what was wished for is not to be had.
        WrappingAway: the token or vault does not answer.
    """
    lock = _locked(home, fcntl.LOCK_EX)
    try:
        with closing(Protection(database, Shut())) as books:
            if books.protection() is not None:
                raise WrappingRefused(
                    "this home is protected: `trellis custodian rewrap` changes it"
                )
            with closing(kinds.make(home, owner, wish, ask)) as made:
                books.protect(_proved(made))
    finally:
        os.close(lock)


def opened(home: Path, database: Path, owner: str, ask: Ask) -> Opened:
    """Open this home's wrapping, asking for what it needs.

    Raises:
        HomeUnready: none was chosen.
        WrappingRefused: wrong passphrase, PIN or key.
        WrappingAway: the token or vault does not answer.
    """
    lock = _locked(home, fcntl.LOCK_SH)
    try:
        with closing(Protection(database, Shut())) as books:
            kind = _open(home, owner, books.protection(), ask)
        # What a crash kept `rewrap` from removing.
        file.forget_others(home, kind.facts)
        return Opened(kind, lock)
    except BaseException:
        os.close(lock)
        raise


def rewrap(home: Path, database: Path, owner: str, wish: Wish, ask: Ask, ask_new: Ask) -> str:
    """Change passphrase, key or kind; at every instant the old one opens, or the new one.

    Args:
        ask: for what opens the old one.
        ask_new: for what the new one needs.

    Returns:
        The kind it was before.

    Raises:
        WrappingRefused: the old one does not open, or the home is in use.
    """
    lock = _locked(home, fcntl.LOCK_EX)
    try:
        with closing(Protection(database, Shut())) as books:
            old = _open(home, owner, books.protection(), ask)
        with closing(old), closing(kinds.make(home, owner, wish, ask_new)) as new:
            with closing(Protection(database, old.wrapping)) as books:
                books.rewrap(_proved(new), new.wrapping)
            # Until here the old key file stands: a crash before the commit needs it.
            file.forget_others(home, new.facts)
        return old.name
    finally:
        os.close(lock)


def _open(home: Path, owner: str, protected: Protected | None, ask: Ask) -> Kind:
    if protected is None:
        raise HomeUnready("shares have no protection here yet: run `trellis custodian init` again")
    kind = kinds.open_(home, owner, protected.kind, protected.facts, ask)
    try:
        if kind.wrapping.unwrap(protected.proof, _PROOF_LABEL) != _PROOF:
            raise WrappingRefused("this home's protection was changed by hand")
    except WrappingRefused as refused:
        kind.close()
        raise WrappingRefused(_WRONG.get(kind.name, str(refused))) from None
    return kind


def _proved(kind: Kind) -> Protected:
    proof = kind.wrapping.wrap(_PROOF, _PROOF_LABEL)
    if kind.wrapping.unwrap(proof, _PROOF_LABEL) != _PROOF:
        raise WrappingRefused(f"what {kind.name} wrapped does not open: nothing was changed")
    return Protected(kind.name, kind.facts, proof)


def _locked(home: Path, how: int) -> int:
    handle = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise WrappingRefused(
            "this home is in use: end `trellis custodian serve` and every ceremony first"
            if how == fcntl.LOCK_EX
            else "this home's protection is being changed: wait for `trellis custodian rewrap`"
        ) from None
    return handle
