"""A wrapping key in a file of its own beside the database: for a demonstration and for tests.

It keeps a stolen *database* or its backup shut. Who copies the whole home has both.
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from consortium.custodian.errors import WrappingRefused
from consortium.custodian.wrapping.aead import KEY_BYTES, Sealed

KIND = "file"


def make(home: Path, owner: str) -> tuple[Sealed, dict[str, Any]]:
    """Write a fresh key and return the wrapping under it, with the facts that find it again.

    Each key has a name of its own: until the database names the new one, the old one stands.
    """
    name = f"wrapping-{secrets.token_hex(4)}.key"
    handle = os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    # The name too must survive a power cut, or a share would outlive its only key.
    folder = os.open(home, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return open_(home, owner, {"file": name}), {"file": name}


def open_(home: Path, owner: str, facts: Mapping[str, Any]) -> Sealed:
    """Return the wrapping under the key that ``facts`` names; raises WrappingRefused."""
    path = home / Path(str(facts["file"])).name
    try:
        if path.stat().st_mode & 0o077:
            raise WrappingRefused(f"{path.name} can be read by others: chmod 600 it")
        key = path.read_bytes()
    except FileNotFoundError:
        raise WrappingRefused(f"{path.name} is gone, and no share opens without it") from None
    if len(key) != KEY_BYTES:
        raise WrappingRefused(f"{path.name} does not hold {KEY_BYTES} bytes")
    return Sealed(KIND, owner, key)


def forget_others(home: Path, facts: Mapping[str, Any]) -> None:
    """Overwrite and remove every wrapping key but the one that ``facts`` names, if any."""
    for path in home.glob("wrapping-*.key"):
        if path.name != facts.get("file"):
            # On flash and on copying filesystems the old blocks may stay; the disk's own
            # encryption is what covers those.
            with suppress(FileNotFoundError), path.open("r+b") as file:
                file.write(bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            path.unlink(missing_ok=True)
