"""Wrapping by the transit engine of Vault or OpenBao: the key stays there, versions and all.

Each secret is one call: encrypt with the label as `associated_data`. Refused are a key that can be
exported, and a server without TLS anywhere but on this machine.
"""

import base64
import binascii
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions as said

from consortium.custodian.errors import WrappingAway, WrappingRefused
from consortium.custodian.wrapping.aead import DAMAGED, bound
from consortium.custodian.wrapping.asking import Ask

KIND = "vault"
TYPES = ("aes256-gcm96", "chacha20-poly1305")
SECONDS = 10
_HERE = ("127.0.0.1", "localhost", "::1")


class Transit:
    """One named key of one transit mount.

    Args:
        facts: ``url``, ``mount``, ``key``; ``namespace`` and ``ca`` (a file) or None.
        ask: asked for ``vault-token`` at every call, since an agent renews it in its file.
    """

    def __init__(self, owner: str, facts: Mapping[str, Any], ask: Ask) -> None:
        self._owner, self._facts, self._ask = owner, facts, ask

    def wrap(self, secret: bytes, label: bytes) -> bytes:
        """Return the secret as it may stand on a disk: the server's own ``vault:v1:...``."""
        with self._engine() as transit:
            answer = transit.encrypt_data(
                self._facts["key"], plaintext=_text(secret), **self._where(label)
            )
        return str(answer["data"]["ciphertext"]).encode()

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        """Return the secret; raises WrappingRefused or WrappingAway."""
        with self._engine() as transit:
            try:
                answer = transit.decrypt_data(
                    self._facts["key"], ciphertext=wrapped.decode(), **self._where(label)
                )
                return base64.b64decode(answer["data"]["plaintext"], validate=True)
            except (said.InvalidRequest, UnicodeDecodeError, binascii.Error):
                raise WrappingRefused(DAMAGED) from None

    def ready(self, *, make: bool) -> None:
        """Check the key, and make it if asked and there is none.

        Raises:
            WrappingRefused: it can be exported, or is of a type without authenticated data.
        """
        with self._engine() as transit:
            name, mount = self._facts["key"], self._facts["mount"]
            try:
                key = transit.read_key(name, mount_point=mount)["data"]
            except said.InvalidPath:
                if not make:
                    raise WrappingRefused(f"the vault holds no key {name}") from None
                transit.create_key(name, key_type=TYPES[0], exportable=False, mount_point=mount)
                key = transit.read_key(name, mount_point=mount)["data"]
        if key.get("exportable") or key.get("allow_plaintext_backup"):
            raise WrappingRefused(f"the key {name} may leave the vault: make one that may not")
        if key.get("type") not in TYPES or key.get("derived"):
            raise WrappingRefused(f"the key {name} is not of the type {' or '.join(TYPES)}")

    def _where(self, label: bytes) -> dict[str, str]:
        ad = _text(bound(KIND, self._owner, label))
        return {"mount_point": self._facts["mount"], "associated_data": ad}

    @contextmanager
    def _engine(self) -> Iterator[Any]:
        facts = self._facts
        with requests.Session() as session:
            session.trust_env = False  # neither a proxy nor a token from the environment
            client = hvac.Client(
                url=facts["url"],
                token=self._ask("vault-token").decode(),
                namespace=facts.get("namespace"),
                verify=facts.get("ca") or True,
                timeout=SECONDS,
                session=session,
                allow_redirects=False,
            )
            with _in_words(facts):
                yield client.secrets.transit


def make(
    owner: str,
    ask: Ask,
    *,
    url: str,
    key: str | None = None,
    mount: str = "transit",
    namespace: str | None = None,
    ca: str | None = None,
) -> tuple[Transit, dict[str, Any]]:
    """Take the key of this name, or make one; return the wrapping and its facts."""
    place = urlsplit(url)
    if place.scheme != "https" and not (place.scheme == "http" and place.hostname in _HERE):
        raise WrappingRefused("a vault is reached by https, or on this machine")
    name = key or f"trellis-{owner}-{secrets.token_hex(4)}"
    facts = {"url": url, "mount": mount, "key": name, "namespace": namespace, "ca": ca}
    made = Transit(owner, facts, ask)
    made.ready(make=True)
    return made, facts


def open_(owner: str, facts: Mapping[str, Any], ask: Ask) -> Transit:
    """Return the wrapping under the key that ``facts`` names; raises as `Transit.ready`."""
    made = Transit(owner, facts, ask)
    made.ready(make=False)
    return made


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@contextmanager
def _in_words(facts: Mapping[str, Any]) -> Iterator[None]:
    """What a vault says, as one of our two errors; never its token."""
    try:
        yield
    except (said.Forbidden, said.Unauthorized):
        words = f"the vault denies this token the key {facts['key']}: token or policy"
        raise WrappingRefused(words) from None
    except (said.InvalidRequest, said.InvalidPath, said.UnsupportedOperation):
        words = f"the vault refuses: is {facts['mount']} a transit engine with {facts['key']}?"
        raise WrappingRefused(words) from None
    except (said.VaultError, requests.RequestException, KeyError, TypeError) as error:
        # The last two: it answered something that is no vault's answer, such as a redirect.
        raise WrappingAway(f"the vault does not answer: {type(error).__name__}") from None
