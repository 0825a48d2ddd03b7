"""Books that were put back are told by the other custodians what partners said since.

A retirement and a stop reach each custodian from the partner directly; the log does not hold them.
One that keeps rows shut was heard by n - t + 1 custodians at least: of any t others one knows it.
So as many are asked, and nothing is opened or countersigned before they have told. With n = t one
custodian is enough to keep a row shut, and what it alone was told is lost with its books.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consortium.custodian.consents import Neighbours
from consortium.custodian.errors import Refused
from consortium.custodian.ledger import Ledger
from consortium.custodian.settings import Registry, Settings
from matching import telling
from matching.crypto_errors import MessageRefused
from matching.envelope import close, open_
from matching.evaluation import stamp

LIFE = timedelta(minutes=5)


class Telling:
    """One custodian's questions to the others, and its answers to theirs."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        ledger: Ledger,
        registry: Registry,
        neighbours: Neighbours,
        now: Callable[[], datetime],
    ) -> None:
        self._settings, self._ledger, self._registry = settings, ledger, registry
        self._neighbours, self._now = neighbours, now
        # In memory alone: books that are put back once more must not bring along who had told.
        self._heard, self._asking = set[str](), False

    def check(self) -> None:
        """Go on only if nothing is owed.

        Raises:
            Refused: ``untold``.
        """
        if self._ledger.untold():
            detail = "its books were put back, and it has not heard from the others what it missed"
            raise Refused("untold", detail, 503)

    def answer(self, to: str, key: object) -> dict[str, Any]:
        """Tell another custodian what this one was told; encrypted, signed, padded.

        Args:
            to: who asked, checked.
            key: 32-byte X25519 key of this one question, hex.

        Raises:
            Refused: ``malformed``.
        """
        told = {**self._ledger.told(), "countersigned": self._ledger.given()}
        own, raw = self._settings(), json.dumps(told).encode()
        try:
            sealed = telling.tell(own.id, to, bytes.fromhex(str(key)), raw)
        except ValueError as error:
            raise Refused("malformed", "a key has 64 hex digits", 400) from error
        body = {
            "to": to,
            "key": str(key),
            "sealed": hashlib.sha256(sealed).hexdigest(),
            # One that was put back itself says what it has, and that it is not all. So does one
            # that holds no share yet: partners may not know it, and no dealer has told it.
            "whole": bool(self._ledger.sids()) and not self._ledger.untold(),
        }
        response = close("told", body, by=own.id, sign=own.key.sign)
        return {"response": response, "sealed": base64.b64encode(sealed).decode()}

    def ask(self) -> None:
        """Ask whoever has not told yet, while something is owed or somebody is still to tell."""
        others, owed = self._registry.others(self._settings().id), self._ledger.untold()
        if owed and not self._asking:
            self._heard, self._asking = set(), True
        if not self._asking:
            return
        self._heard |= {id for id in others.keys() - self._heard if self._hear(id, others[id])}
        heard = sorted(self._heard & others.keys())
        if owed and len(heard) >= self._needed(len(others)):
            self._ledger.catch_up(", ".join(heard), self._now())
        self._asking = len(heard) < len(others)

    def _needed(self, others: int) -> int:
        """How many must tell: as many as a key takes, or all where there are fewer."""
        return max(1, min(int(self._registry.invite["threshold"]), others))

    def _hear(self, id: str, public: bytes) -> bool:
        """Ask one; true when it told all that it ever was told."""
        private = X25519PrivateKey.generate()
        key, own = private.public_key().public_bytes_raw().hex(), self._settings()
        body = {"custodian": id, "expires": stamp(self._now() + LIFE), "key": key}
        answer = self._neighbours.told(id, close("tell", body, by=own.id, sign=own.key.sign))
        try:
            said = open_("told", answer.get("response"), public=public)
            sealed = base64.b64decode(str(answer["sealed"]), validate=True)
            wanted = {"to": own.id, "key": key, "sealed": hashlib.sha256(sealed).hexdigest()}
            if {name: said.get(name) for name in wanted} != wanted:
                return False
            raw = telling.hear(id, own.id, private.private_bytes_raw(), sealed)
            self._take(json.loads(raw))
        except (InvalidTag, KeyError, MessageRefused, RecursionError, TypeError, ValueError):
            return False  # it has told nothing; it is asked again
        return said.get("whole") is True

    def _take(self, told: Mapping[str, Any]) -> None:
        self._ledger.take_told(told)
        self._ledger.take_given(told["countersigned"], self._now())
