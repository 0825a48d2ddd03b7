"""Wrapping inside a PKCS#11 token (a smart card, an HSM, SoftHSM): the key never leaves it.

AES-256-GCM with the label as authenticated data (PKCS #11 v2.40 current mechanisms, section
2.12). The key is made in the token, sensitive and not extractable; one that is not so is refused.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as said
from pkcs11.mechanisms import GCMParams

from consortium.custodian.errors import WrappingAway, WrappingRefused
from consortium.custodian.wrapping.aead import DAMAGED, NONCE_BYTES, bound, framed, unframed
from consortium.custodian.wrapping.asking import Ask

KIND = "pkcs11"
TAG_BITS = 128
_NOT_OURS = (
    said.EncryptedDataInvalid,
    said.EncryptedDataLenRange,
    said.DataInvalid,
    said.DataLenRange,
    # SoftHSM, OpenSSL behind it: a tag that does not hold is "general".
    said.GeneralError,
    said.FunctionFailed,
)


class Token:
    """One AES key in one token, used over one session of this process.

    Args:
        facts: ``module`` (path of the library), ``token`` and ``key`` (their labels).
    """

    def __init__(self, owner: str, facts: Mapping[str, Any], session: Any, key: Any) -> None:
        self._owner, self._facts, self._session, self._key = owner, facts, session, key
        self._lock = Lock()  # a session is one conversation

    def wrap(self, secret: bytes, label: bytes) -> bytes:
        """Return the secret as it may stand on a disk."""
        nonce = os.urandom(NONCE_BYTES)
        with self._lock, _in_words(self._facts):
            sealed = self._key.encrypt(
                secret, mechanism=Mechanism.AES_GCM, mechanism_param=self._how(nonce, label)
            )
        return framed(nonce, sealed)

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        """Return the secret; raises WrappingRefused or WrappingAway."""
        nonce, sealed = unframed(wrapped)
        with self._lock, _in_words(self._facts):
            try:
                opened = self._key.decrypt(
                    sealed, mechanism=Mechanism.AES_GCM, mechanism_param=self._how(nonce, label)
                )
            except _NOT_OURS:
                raise WrappingRefused(DAMAGED) from None
        return bytes(opened)

    def close(self) -> None:
        """Leave the token."""
        with self._lock:
            self._session.close()

    def _how(self, nonce: bytes, label: bytes) -> GCMParams:
        return GCMParams(nonce, bound(KIND, self._owner, label), TAG_BITS)


def make(
    owner: str, ask: Ask, *, module: str, token: str, key: str | None = None
) -> tuple[Token, dict[str, Any]]:
    """Take the key of this label, or make one in the token; return the wrapping and its facts."""
    facts = {"module": module, "token": token, "key": key or _label(owner)}
    return _token(owner, facts, ask, making=True), facts


def open_(owner: str, facts: Mapping[str, Any], ask: Ask) -> Token:
    """Return the wrapping under the key that ``facts`` names.

    Raises:
        WrappingRefused: wrong PIN, no such key, or a key that can leave its token.
        WrappingAway: the token is not there.
    """
    return _token(owner, facts, ask, making=False)


def _label(owner: str) -> str:
    return f"trellis-{owner}-{secrets.token_hex(4)}"


def _token(owner: str, facts: Mapping[str, Any], ask: Ask, *, making: bool) -> Token:
    with _in_words(facts):
        session = _session(facts, ask, writing=making)
        try:
            return Token(owner, facts, session, _fit(session, facts, making=making))
        except BaseException:
            session.close()
            raise


def _fit(session: Any, facts: Mapping[str, Any], *, making: bool) -> Any:
    """Return the key, made if it may be; raises WrappingRefused when it could leave the token."""
    key = _key(session, facts) or (_made(session, facts) if making else None)
    if key is None:
        raise WrappingRefused(f"the token {facts['token']} holds no key {facts['key']}")
    if not key[Attribute.SENSITIVE] or key[Attribute.EXTRACTABLE]:
        raise WrappingRefused(
            f"the key {facts['key']} may leave its token: make one that is sensitive and not "
            "extractable, or name no key and one is made"
        )
    return key


def _made(session: Any, facts: Mapping[str, Any]) -> Any:
    return session.generate_key(
        KeyType.AES,
        256,
        label=facts["key"],
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


def _session(facts: Mapping[str, Any], ask: Ask, *, writing: bool) -> Any:
    library = _library(str(facts["module"]))
    try:
        found = library.get_token(token_label=str(facts["token"]))
    except said.NoSuchToken:
        # Put in since this process began: the list of slots is read once.
        library.reinitialize()
        found = library.get_token(token_label=str(facts["token"]))
    pin = ask("pin").decode()
    try:
        return found.open(rw=writing, user_pin=pin)
    except said.UserAlreadyLoggedIn:
        return found.open(rw=writing)  # of this process; the PIN was right before


def _library(path: str) -> Any:
    """Load the token's library; one process uses one."""
    if not Path(path).is_file():
        raise WrappingAway(f"there is no PKCS#11 library {path}")
    try:
        return pkcs11.lib(path)
    except RuntimeError as error:
        raise WrappingAway(f"the PKCS#11 library {path} does not load: {error}") from None


def _key(session: Any, facts: Mapping[str, Any]) -> Any:
    try:
        return session.get_key(
            object_class=ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=str(facts["key"])
        )
    except said.NoSuchKey:
        return None


@contextmanager
def _in_words(facts: Mapping[str, Any]) -> Iterator[None]:
    """What a token says, as one of our two errors; never the PIN."""
    try:
        yield
    except (said.PinIncorrect, said.PinInvalid, said.PinLenRange):
        # Not tried again by anybody but a person: a token locks itself after a few.
        raise WrappingRefused(f"wrong PIN for the token {facts['token']}") from None
    except said.PinLocked:
        raise WrappingRefused(f"the PIN of {facts['token']} is locked: its SO unlocks it") from None
    except said.MultipleObjectsReturned:
        raise WrappingRefused(f"{facts['token']} holds two keys {facts['key']}") from None
    except said.MultipleTokensReturned:
        raise WrappingRefused(f"two tokens are called {facts['token']}") from None
    except said.NoSuchToken:
        raise WrappingAway(f"no token is called {facts['token']}: is it put in?") from None
    except said.PKCS11Error as error:
        raise WrappingAway(f"the token {facts['token']}: {type(error).__name__}") from None
