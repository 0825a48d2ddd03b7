"""The mail machine's key files: the one in use, the one that follows, and how the first goes.

``hpke.key`` is in use. ``hpke-next.key`` is durable before anybody hears of its public half. To go,
a key becomes ``hpke-gone.key`` in one rename; then that is overwritten and unlinked, and the next
takes its place. After a crash in between ``settle`` finishes it.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consortium.wiring import read_key
from mailer import keys
from mailer.keys import KeyPair

CURRENT = "hpke.key"
NEXT = "hpke-next.key"
GONE = "hpke-gone.key"
COLLECTED = "hpke-next.json"
AGAIN = "hpke-again.json"
"""Who countersigned the key in use again, since too many of those who first did have left."""


def settle(home: Path) -> None:
    """Finish a change of keys that a crash interrupted after the old one was gone."""
    _destroy(home / GONE)
    if not (home / CURRENT).exists() and (home / NEXT).exists():
        (home / NEXT).rename(home / CURRENT)
        _sync(home)
    if not (home / NEXT).exists():
        (home / COLLECTED).unlink(missing_ok=True)


def current(home: Path) -> KeyPair:
    """The key in use."""
    settle(home)
    private = read_key(home / CURRENT)
    return KeyPair(keys.public_of(private), private)


def following(home: Path) -> KeyPair | None:
    """The key that is to follow, if there is one."""
    if not (home / NEXT).exists():
        return None
    private = read_key(home / NEXT)
    return KeyPair(keys.public_of(private), private)


def held(home: Path) -> list[bytes]:
    """Every private key of this home, the one in use first."""
    settle(home)
    found = [home / CURRENT, home / NEXT]
    return [read_key(path) for path in found if path.exists()]


def begin(home: Path) -> KeyPair:
    """Make the key that is to follow, once; on disk, and whole, before it is returned."""
    if not (home / NEXT).exists():
        _write(home / NEXT, keys.generate().private.hex() + "\n")
    private = read_key(home / NEXT)
    return KeyPair(keys.public_of(private), private)


def discard(home: Path) -> None:
    """Let go of a next key that never came into use: nothing was ever wrapped to it."""
    (home / NEXT).unlink(missing_ok=True)
    (home / COLLECTED).unlink(missing_ok=True)
    _sync(home)


def collected(home: Path, name: str = COLLECTED) -> dict[str, Any]:
    """What was agreed and countersigned about the next key so far; empty at first."""
    path = home / name
    return dict(json.loads(path.read_text())) if path.exists() else {}


def collect(home: Path, said: Mapping[str, Any], name: str = COLLECTED) -> None:
    """Keep that; after a crash it is the old or the new."""
    _write(home / name, json.dumps(dict(said)))


def change(home: Path) -> None:
    """Delete the key in use; the next one takes its place.

    Overwriting reaches what the file system still keeps in place. A disk that writes elsewhere, a
    snapshot or a backup may keep the old bytes: they must go with the backups.
    """
    if (home / CURRENT).exists() and (home / NEXT).exists():
        (home / CURRENT).rename(home / GONE)
        _sync(home)
    settle(home)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    _sync(path.parent)


def _destroy(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
