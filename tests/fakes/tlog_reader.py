"""A second reader of logs, written from the specifications alone; it imports nothing of ours.

Sources: RFC 6962 2.1; c2sp.org/signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature,
tlog-proof. Slow, and plain on purpose: each function follows the words of its specification.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, over leaf hashes: split at the largest power of two below the length."""
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha(b"\x01", mth(leaves[:k]), mth(leaves[k:]))


@dataclass
class Key:
    name: str
    id: bytes
    type: int
    public: bytes


def key(vkey: str) -> Key:
    name, id, encoded = vkey.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    assert sha(name.encode(), b"\n", raw)[:4].hex() == id
    return Key(name, bytes.fromhex(id), raw[0], raw[1:])


def note(raw: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """Text with its last LF, and (name, key id, signature) of each line below it."""
    at = raw.rindex(b"\n\n")
    lines = []
    for line in raw[at + 2 :].decode().split("\n")[:-1]:
        dash, name, encoded = line.split(" ")
        assert dash == "\u2014"
        payload = base64.b64decode(encoded, validate=True)
        lines.append((name, payload[:4], payload[4:]))
    return raw[: at + 1], lines


def opened(raw: bytes, log: Key, witnesses: list[Key]) -> tuple[int, bytes]:
    """Size and root of a checkpoint that the log signed and every one of the witnesses cosigned."""
    text, lines = note(raw)
    origin, size, root = text.decode().split("\n")[:3]
    assert origin == log.name
    assert log.type == 1
    signed = {(name, id): signature for name, id, signature in lines}
    Ed25519PublicKey.from_public_bytes(log.public).verify(signed[log.name, log.id], text)
    for one in witnesses:
        assert one.type == 4
        payload = signed[one.name, one.id]
        when = int.from_bytes(payload[:8], "big")
        message = b"cosignature/v1\ntime %d\n" % when + text
        assert when > 0
        Ed25519PublicKey.from_public_bytes(one.public).verify(payload[8:], message)
    return int(size), base64.b64decode(root, validate=True)


def path_of(level: str, number: int, width: int) -> str:
    digits = f"{number % 1000:03d}"
    number //= 1000
    while number:
        digits = f"x{number % 1000:03d}/{digits}"
        number //= 1000
    return f"tile/{level}/{digits}" + ("" if width == 256 else f".p/{width}")


def bundle(raw: bytes) -> list[bytes]:
    entries = []
    while raw:
        length = int.from_bytes(raw[:2], "big")
        assert len(raw) >= 2 + length
        entries.append(raw[2 : 2 + length])
        raw = raw[2 + length :]
    return entries


def entries_under(folder: Path, size: int, root: bytes) -> list[bytes]:
    """Every entry; every tile that the size implies was compared, and the root computed."""
    entries: list[bytes] = []
    for number in range((size + 255) // 256):
        width = min(256, size - 256 * number)
        entries += bundle((folder / path_of("entries", number, width)).read_bytes())
        assert len(entries) == 256 * number + width
    hashes, level = [sha(b"\x00", one) for one in entries], 0
    assert mth(hashes) == root
    while hashes:
        for start in range(0, len(hashes), 256):
            part = hashes[start : start + 256]
            tile = folder / path_of(str(level), start // 256, len(part))
            assert tile.read_bytes() == b"".join(part)
        hashes = [mth(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]
        level += 1
    return entries


def included(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that a path leads to. RFC 9162 2.1.3.2."""
    assert index < size
    fn, sn, r = index, size - 1, leaf
    for p in path:
        assert sn != 0
        if fn & 1 or fn == sn:
            r = sha(b"\x01", p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha(b"\x01", r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def proved(text: str, entry: bytes, log: Key, witnesses: list[Key]) -> int:
    """The index at which a tlog-proof proves these bytes."""
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    assert lines.pop(0) == "c2sp.org/tlog-proof@v1"
    if lines[0].startswith("extra "):
        lines.pop(0)
    word, index = lines.pop(0).split(" ")
    assert word == "index"
    size, root = opened(checkpoint.encode(), log, witnesses)
    path = [base64.b64decode(one, validate=True) for one in lines]
    assert included(sha(b"\x00", entry), int(index), size, path) == root
    return int(index)
