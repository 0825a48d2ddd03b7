"""Signed notes (c2sp.org/signed-note): keys, signing, strict parsing, verifying."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provenance.errors import NoteRefused, SignatureRefused

ED25519 = 0x01
COSIGNATURE = 0x04
MLDSA_COSIGNATURE = 0x06
PUBLIC_BYTES = {ED25519: 32, COSIGNATURE: 32, MLDSA_COSIGNATURE: 1312}
SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE: 64, MLDSA_COSIGNATURE: 2420}
MAX_NOTE = 1 << 20
MAX_SIGNATURES = 100

_DASH = "\u2014"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def to_base64(raw: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def from_base64(text: str) -> bytes:
    """Standard base64 in its one canonical spelling, or ``NoteRefused``."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as refused:
        raise NoteRefused("not base64") from refused
    if to_base64(raw) != text:  # the decoder lets stray padding bits pass
        raise NoteRefused("not canonical base64")
    return raw


def check_name(name: str) -> None:
    """A key name is UTF-8, not empty, and has no space, no control character, no '+'."""
    if not name or any(
        c.isspace() or c == "+" or ord(c) < 0x20 or "\ud800" <= c <= "\udfff" for c in name
    ):
        raise NoteRefused("a key name is not empty and has neither space nor '+'")


@dataclass(frozen=True, slots=True)
class Verifier:
    """A named public key.

    ``kind`` says what it signs: ``ED25519`` notes, ``COSIGNATURE`` (Ed25519) or
    ``MLDSA_COSIGNATURE`` (ML-DSA-44, FIPS 204) checkpoints as a witness.
    """

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != PUBLIC_BYTES.get(self.kind):
            raise NoteRefused(
                "only Ed25519 keys of type 01 and 04, and ML-DSA-44 keys of type 06, are known here"
            )

    @classmethod
    def from_vkey(cls, vkey: str) -> "Verifier":
        """Read ``<name>+<hex key id>+<base64 of type and key>``, or ``NoteRefused``."""
        parts = vkey.split("+", 2)  # base64 may hold '+' itself
        if len(parts) != 3:
            raise NoteRefused("a verifier key is <name>+<id>+<base64>")
        raw = from_base64(parts[2])
        if not raw:
            raise NoteRefused("a verifier key is <name>+<id>+<base64>")
        found = cls(parts[0], raw[0], raw[1:])
        if found.key_id.hex() != parts[1]:
            raise NoteRefused("the key id does not belong to this name and key")
        return found

    @property
    def key_id(self) -> bytes:
        """First 4 bytes of SHA-256(name, LF, type, key)."""
        pre = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(pre).digest()[:4]

    @property
    def vkey(self) -> str:
        """The verifier key string."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.kind]) + self.public)}"

    def check(self, message: bytes, signature: bytes) -> None:
        """Check a plain signature over these bytes, or ``SignatureRefused``."""
        try:
            if self.kind == MLDSA_COSIGNATURE:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as refused:
            raise SignatureRefused(f"the signature of {self.name} does not verify") from refused


@dataclass(frozen=True, slots=True)
class Signer:
    """A verifier and the function that signs under it; the key may live elsewhere."""

    verifier: Verifier
    sign: Callable[[bytes], bytes] = field(repr=False)

    @classmethod
    def from_seed(cls, name: str, seed: bytes, kind: int = ED25519) -> "Signer":
        """From the 32-byte seed of ``signing.key``."""
        if kind == MLDSA_COSIGNATURE:
            quantum = MLDSA44PrivateKey.from_seed_bytes(seed)
            return cls(Verifier(name, kind, quantum.public_key().public_bytes_raw()), quantum.sign)
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(Verifier(name, kind, public), private.sign)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line of a note; ``signature`` is what follows the 4-byte key id."""

    name: str
    key_id: bytes
    signature: bytes

    def to_line(self) -> bytes:
        """The line with its LF."""
        return f"{_DASH} {self.name} {to_base64(self.key_id + self.signature)}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note. Nothing in it is verified yet."""

    text: bytes
    signatures: tuple[SignatureLine, ...]

    def to_bytes(self) -> bytes:
        """Text, empty line, signature lines."""
        return self.text + b"\n" + b"".join(one.to_line() for one in self.signatures)

    def lines_of(self, verifier: Verifier) -> list[SignatureLine]:
        """The lines that claim to be by this (name, id) pair."""
        return [
            one
            for one in self.signatures
            if one.name == verifier.name and one.key_id == verifier.key_id
        ]


def parse_line(line: str) -> SignatureLine:
    """One signature line without its LF, or ``NoteRefused``."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:
        raise NoteRefused("a signature line is: dash, name, base64")
    check_name(parts[1])
    raw = from_base64(parts[2])
    if len(raw) < 5:
        raise NoteRefused("a signature line is too short")
    return SignatureLine(parts[1], raw[:4], raw[4:])


def parse_note(raw: bytes) -> Note:
    """Split a note into its text and signature lines, strictly.

    Raises:
        NoteRefused: no UTF-8, control characters, no empty line, any malformed line, too large.

    Source:
        c2sp.org/signed-note. The split is at the last empty line; lines end at LF alone.
    """
    if len(raw) > MAX_NOTE:
        raise NoteRefused("the note is too large")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as refused:
        raise NoteRefused("a note is UTF-8") from refused
    if _CONTROL.search(whole):
        raise NoteRefused("a note has no control characters but LF")
    at = whole.rfind("\n\n")
    if at < 0 or not whole.endswith("\n") or at + 2 == len(whole):
        raise NoteRefused("a note is text, an empty line and signature lines, each ended by LF")
    text, rest = whole[: at + 1], whole[at + 2 : -1].split("\n")
    if len(rest) > MAX_SIGNATURES:
        raise NoteRefused(f"a note has at most {MAX_SIGNATURES} signatures")
    return Note(text.encode(), tuple(parse_line(line) for line in rest))


def sign_note(text: bytes, signer: Signer) -> Note:
    """Sign ``text``, which ends with LF."""
    if not text.endswith(b"\n"):
        raise NoteRefused("the text of a note ends with LF")
    made = SignatureLine(signer.verifier.name, signer.verifier.key_id, signer.sign(text))
    return Note(text, (made,))


def check_note(note: Note, verifiers: Iterable[Verifier]) -> list[Verifier]:
    """Check every line that a known key claims; lines of unknown keys are ignored.

    Returns:
        The verifiers that signed; at least one.

    Raises:
        SignatureRefused: none signed, or one known line does not verify: the note is then
            worth nothing, whoever else signed it.
    """
    good = []
    for verifier in verifiers:
        if verifier.kind != ED25519:
            continue
        claimed = note.lines_of(verifier)
        for line in claimed:
            verifier.check(note.text, line.signature)
        if claimed:
            good.append(verifier)
    if not good:
        raise SignatureRefused("no known key signed this note")
    return good
