"""Files that stay on this computer: written whole or not at all, 0600, encrypted."""

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consortium.cli.errors import VaultRefused

MAGIC = b"trellis-vault-1\n"
FRAMED = b"trellis-vault-frames-1\n"
NONCE_BYTES = 12
SALT_BYTES = 32


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can enter, missing parents too; those there stay as they are."""  # noqa: E501
    for folder in (*reversed(path.parents), path):
        # mkdir(parents=True) would give the ones above everybody's rights.
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 so that after a crash it is the old one or the new one.

    A full disk leaves the old file, and no half of the new one under its name.
    """
    private_folder(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def settle(part: Path, path: Path) -> None:
    """Give a finished file its lasting name, after its bytes are on the disk."""
    part.chmod(0o600)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """Give a name to write to; the file gets its lasting name only when everything was written."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        settle(part, path)
    finally:
        part.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what an interrupted run left half written; no other run may be at work there."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def derived(seed: bytes, purpose: str) -> bytes:
    """Derive 32 bytes for one purpose from the home's signing seed (HKDF-SHA256)."""
    info = b"trellis/home/v1\n" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(seed)


class Vault:
    """JSON files encrypted under a key that comes from the home's signing seed.

    Args:
        seed: 32 bytes; who has the signing key can read these files, nobody else.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = derived(seed, "files")

    def write(self, path: Path, value: Any) -> None:
        """Write one value; its file name is bound to it, so files cannot be swapped."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        plain = json.dumps(value, separators=(",", ":")).encode()
        sealed = ChaCha20Poly1305(self._key).encrypt(nonce, plain, _bound(path))
        write_whole(path, MAGIC + nonce + sealed)

    def read(self, path: Path) -> Any:
        """Read one value back; raises VaultRefused."""
        content = path.read_bytes()
        if not content.startswith(MAGIC):
            raise VaultRefused(f"{path.name} is not a file of this tool")
        body = content[len(MAGIC) :]
        try:
            plain = ChaCha20Poly1305(self._key).decrypt(
                body[:NONCE_BYTES], body[NONCE_BYTES:], _bound(path)
            )
        except (InvalidTag, ValueError):
            raise VaultRefused(
                f"{path.name} does not open: it is damaged, or belongs to another home"
            ) from None
        return json.loads(plain)

    def write_frames(self, part: Path, path: Path, frames: Iterable[bytes]) -> None:
        """Write a long file piece by piece under ``part``, as the file that will be ``path``.

        Each frame is bound to its place, and the last one says that it is the last.
        """
        salt = secrets.token_bytes(SALT_BYTES)
        box, bound = self._box(salt), _bound(path)
        with part.open("wb") as file:
            file.write(FRAMED + salt)
            held, number = b"", 0
            for frame in frames:
                if number:
                    _put(file, box.encrypt(_place(number, last=False), held, bound))
                held, number = frame, number + 1
            _put(file, box.encrypt(_place(max(number, 1), last=True), held, bound))

    def read_frames(self, path: Path) -> Iterator[bytes]:
        """Read such a file back, frame by frame; raises VaultRefused, a cut end included."""
        with path.open("rb") as file:
            head = file.read(len(FRAMED) + SALT_BYTES)
            if not head.startswith(FRAMED):
                raise VaultRefused(f"{path.name} is not a file of this tool")
            box, number, sealed = self._box(head[len(FRAMED) :]), 1, _get(file)
            while True:
                following = _get(file)
                nonce = _place(number, last=not following)
                try:
                    yield box.decrypt(nonce, sealed, _bound(path))
                except (InvalidTag, ValueError):
                    raise VaultRefused(
                        f"{path.name} does not open: it is damaged, or belongs to another home"
                    ) from None
                if not following:
                    return
                sealed, number = following, number + 1

    def _box(self, salt: bytes) -> ChaCha20Poly1305:
        derive = HKDF(algorithm=SHA256(), length=32, salt=salt, info=FRAMED)
        return ChaCha20Poly1305(derive.derive(self._key))


def _place(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _put(file: BinaryIO, sealed: bytes) -> None:
    file.write(len(sealed).to_bytes(4, "big") + sealed)


def _get(file: BinaryIO) -> bytes:
    return file.read(int.from_bytes(file.read(4), "big"))


def _bound(path: Path) -> bytes:
    return MAGIC + f"{path.parent.name}/{path.name}".encode()
