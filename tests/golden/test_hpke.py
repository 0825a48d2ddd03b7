"""HPKE is the RFC's: vectors of RFC 9180 and of its post-quantum draft, for both suites here."""

import hashlib
import json
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailer import keys
from matching import bundle, ceremony

FOLDER = Path(cryptography_vectors.__file__).parent / "HPKE"
CHACHA20_POLY1305 = 3
HKDF_SHA256 = 1


def vector(file: str, kem: int) -> dict[str, Any]:
    """The base-mode vector of one KEM with HKDF-SHA256 and ChaCha20Poly1305."""
    wanted = (0, kem, HKDF_SHA256, CHACHA20_POLY1305)
    (found,) = [
        one
        for one in json.loads((FOLDER / file).read_text())
        if tuple(int(one[name]) for name in ("mode", "kem_id", "kdf_id", "aead_id")) == wanted
    ]
    return dict(found)


def opens_as_the_vector_says(suite: Any, private: Any, found: dict[str, Any], info: bytes) -> None:
    """Our library has no AAD, so its first message is remade without: key and nonce are theirs."""
    aead, nonce = ChaCha20Poly1305(bytes.fromhex(found["key"])), bytes.fromhex(found["base_nonce"])
    first = found["encryptions"][0]
    aad, sealed = bytes.fromhex(first["aad"]), bytes.fromhex(first["ct"])
    plain = aead.decrypt(nonce, sealed, aad)
    enc = bytes.fromhex(found["enc"])
    assert suite.decrypt(enc + aead.encrypt(nonce, plain, b""), private, info) == plain
    with pytest.raises(InvalidTag):
        suite.decrypt(enc + sealed, private, info)  # with its AAD it is another message
    with pytest.raises(InvalidTag):
        suite.decrypt(enc + aead.encrypt(nonce, plain, b""), private, info + b"!")


@pytest.mark.parametrize("suite", [ceremony.HPKE, bundle.SUITE], ids=["shares", "outputs"])
def test_shares_and_outputs_are_encrypted_as_in_rfc_9180(suite: Any) -> None:
    found = vector("test-vectors.json", 0x0020)
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(found["skRm"]))
    assert private.public_key().public_bytes_raw().hex() == found["pkRm"]
    opens_as_the_vector_says(suite, private, found, bytes.fromhex(found["info"]))


def test_bundle_keys_are_wrapped_as_in_the_post_quantum_vectors() -> None:
    found = vector("hpke-pq-test-vectors.json", 0x647A)
    # The draft's private key is a seed; ours are the two halves that SHAKE256 makes of it.
    whole = hashlib.shake_256(bytes.fromhex(found["skRm"])).digest(keys.PRIVATE_BYTES)
    assert keys.public_of(whole).hex() == found["pkRm"]
    info = bytes.fromhex(found["info"])
    opens_as_the_vector_says(keys.SUITE, keys.load_private(whole), found, info)
