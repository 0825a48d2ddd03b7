"""Sign a letter for its sending domain: relaxed/simple, rsa-sha256, 2,048 bits (RFC 6376)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from mailer.addresses import host
from mailer.errors import KeyRefused, LetterRefused

BITS = 2048
# Named once more than they occur: a relay that adds a second From breaks the signature.
OVERSIGNED = (b"from", b"to", b"subject", b"list-unsubscribe", b"list-unsubscribe-post")
SIGNED = (
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"reply-to",
    b"list-id",
    b"feedback-id",
    b"auto-submitted",
)
_PADDING, _HASH = padding.PKCS1v15(), SHA256()
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FOLDED = re.compile(rb"\r\n(?=[ \t])")
_SPACES = re.compile(rb"[ \t]+")


@dataclass(frozen=True, slots=True)
class Signer:
    """One sending domain's signing key.

    Args:
        domain: ``d=``; the domain of From, so that DMARC aligns.
        selector: ``s=``; the record stands at ``<selector>._domainkey.<domain>``.
        key: the RSA key. ``repr`` does not show it.
    """

    domain: str
    selector: str
    key: rsa.RSAPrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        host(self.domain)
        if not _SELECTOR.fullmatch(self.selector):
            raise LetterRefused("DKIM-Signature", "selector is no lower-case host label")

    def sign(self, message: bytes, *, at: datetime) -> bytes:
        """Return the DKIM-Signature header, CRLF included, to be put before the message.

        Args:
            message: whole, CRLF line ends, before dot-stuffing.
            at: UTC; ``t=``.

        Raises:
            LetterRefused: no From, or a header that is signed occurs twice.

        Source:
            RFC 6376, 3.4.2 (relaxed header), 3.4.3 (simple body), 3.7 (hash steps).
        """
        head, _, body = message.partition(b"\r\n\r\n")
        return self.ready(head, (), at=at).sign({}, body)

    def ready(self, shared: bytes, own: Collection[bytes], *, at: datetime) -> Ready:
        """Do once what the signatures of many letters share.

        Args:
            shared: the header lines that all letters have, without an empty line.
            own: names, in lower case, of the signed headers that each letter brings itself.
            at: UTC; ``t=`` of every signature.

        Raises:
            LetterRefused: no From, or a header that is signed occurs twice.
        """
        headers = _canonical_headers(shared)
        if twice := headers.keys() & set(own):
            raise LetterRefused(min(twice).decode("ascii", "replace"), "stands twice")
        if b"from" not in headers and b"from" not in own:
            raise LetterRefused("From", "is missing")
        names = [n for n in (*OVERSIGNED, *SIGNED) if n in headers or n in own]
        # Oversigned names that have no further instance hash as nothing (3.5, h=).
        tags = self._tags([*names, *OVERSIGNED], at)
        hashed = tuple((n, headers[n] + b"\r\n" if n in headers else b"") for n in names)
        return Ready(self.key, hashed, tags, _relaxed(tags))

    def _tags(self, names: list[bytes], at: datetime) -> bytes:
        listed = _fold_names(names)
        return (
            b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple;\r\n\td=%s; s=%s; t=%d;\r\n"
            b"\th=%s;\r\n\tbh="
            % (self.domain.encode(), self.selector.encode(), int(at.timestamp()), listed)
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """A signer with everything computed that its letters share; made by ``Signer.ready``."""

    key: rsa.RSAPrivateKey = field(repr=False)
    hashed: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    tags: bytes
    relaxed: bytes

    def sign(self, own: Mapping[bytes, bytes], body: bytes) -> bytes:
        """Return one letter's DKIM-Signature header, CRLF included.

        Args:
            own: each of the names given to ``ready``, and its whole header line without CRLF at
                its end.
            body: CRLF line ends, before dot-stuffing.
        """
        digest = base64.b64encode(hashlib.sha256(_simple_body(body)).digest())
        parts = [line or _relaxed(own[name]) + b"\r\n" for name, line in self.hashed]
        parts += (self.relaxed, digest, b"; b=")
        signature = base64.b64encode(self.key.sign(b"".join(parts), _PADDING, _HASH))
        return b"".join((self.tags, digest, b";\r\n\tb=", _fold(signature), b"\r\n"))


def generate_key() -> rsa.RSAPrivateKey:
    """Make a sending domain's key: RSA, 2,048 bits; Ed25519 is verified unreliably."""
    return rsa.generate_private_key(public_exponent=65537, key_size=BITS)


def to_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return the key as unencrypted PKCS #8 PEM; whoever writes it makes the file 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def from_pem(pem: bytes) -> rsa.RSAPrivateKey:
    """Read a key of at least 2,048 bits; raises KeyRefused."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused("these bytes are no private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < BITS:
        raise KeyRefused(f"a DKIM key is RSA with at least {BITS} bits")
    return key


def dns_record(public: rsa.RSAPublicKey) -> str:
    """Return the TXT record's text; strings over 255 letters are split by the DNS tool."""
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def _canonical_headers(head: bytes) -> dict[bytes, bytes]:
    kept: dict[bytes, bytes] = {}
    for line in _FOLDED.sub(b"", head).split(b"\r\n"):
        name, relaxed = _relaxed_line(line)
        if name in kept:
            raise LetterRefused(name.decode("ascii", "replace"), "stands twice")
        kept[name] = relaxed
    return kept


def _relaxed(header: bytes) -> bytes:
    return _relaxed_line(_FOLDED.sub(b"", header))[1]


def _relaxed_line(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    name = name.rstrip(b" \t").lower()
    if b"  " in value or b"\t" in value:
        value = _SPACES.sub(b" ", value)
    return name, name + b":" + value.strip(b" \t\r\n")


def _simple_body(body: bytes) -> bytes:
    if body.endswith(b"\r\n") and not body.endswith(b"\r\n\r\n") and body != b"\r\n":
        return body
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n"


def _fold_names(names: list[bytes]) -> bytes:
    lines, line = [], b""
    for name in names:
        if len(line) + len(name) > 64:
            lines.append(line)
            line = b""
        line += name + b":"
    return b"\r\n\t ".join([*lines, line])[:-1]


def _fold(letters: bytes) -> bytes:
    return b"\r\n\t ".join(letters[i : i + 72] for i in range(0, len(letters), 72))
