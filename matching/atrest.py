"""Keep a file encrypted at rest: framed ChaCha20-Poly1305, opened into a private folder.

DuckDB 2.0's own Parquet encryption needs an extension that is fetched from the network, so the
frames are ours. The salt comes from key and contents: the same artefact is always the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from matching.errors import ArtefactRefused

__all__ = ["lock_file", "unlocked"]

MAGIC = b"consortium/atrest/v1\n"
FRAME = 4 << 20
_SALT = 32
_TAG = 16


def lock_file(plain: Path, out: Path, *, key: bytes) -> None:
    """Encrypt a file under a 32-byte key; the bytes are a function of key and contents."""
    with plain.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").digest()
    salt = hmac.digest(key, MAGIC + digest, "sha256")
    box = _box(key, salt)
    with plain.open("rb") as source, out.open("wb") as target:
        os.chmod(out, 0o600)
        target.write(MAGIC + salt)
        frame, number = source.read(FRAME), 0
        while True:
            following = source.read(FRAME)
            target.write(box.encrypt(_nonce(number, last=not following), frame, MAGIC))
            if not following:
                break
            frame, number = following, number + 1
        target.flush()
        os.fsync(target.fileno())


@contextmanager
def unlocked(locked: Path, *, key: bytes) -> Iterator[Path]:
    """Open a file into a private folder of its own, which goes when the block ends.

    Raises:
        ArtefactRefused: another key, changed bytes, or the end cut off.
    """
    with tempfile.TemporaryDirectory(prefix="matching-") as folder:
        plain = Path(folder) / "plain"
        _unlock(locked, plain, key)
        yield plain


def _unlock(locked: Path, plain: Path, key: bytes) -> None:
    with locked.open("rb") as source, plain.open("xb") as target:
        head = source.read(len(MAGIC) + _SALT)
        if len(head) != len(MAGIC) + _SALT or not head.startswith(MAGIC):
            raise ArtefactRefused("the artefact does not begin as one")
        box = _box(key, head[len(MAGIC) :])
        frame, number = source.read(FRAME + _TAG), 0
        while True:
            following = source.read(FRAME + _TAG)
            try:
                target.write(box.decrypt(_nonce(number, last=not following), frame, MAGIC))
            except (InvalidTag, ValueError):
                raise ArtefactRefused("the artefact does not open under this key") from None
            if not following:
                return
            frame, number = following, number + 1


def _box(key: bytes, salt: bytes) -> ChaCha20Poly1305:
    derive = HKDF(hashes.SHA256(), length=32, salt=salt, info=b"consortium/atrest/v1")
    return ChaCha20Poly1305(derive.derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
