"""Judge evidence against a custodian: by what it signed and the logged key statement alone.

Guilty means that its own signatures contradict the statement or each other. Whatever only an
accuser says counts for nothing: bytes that no signature of the custodian covers, a statement that
is not the logged one, a request for another key or share version. So a forged file convicts nobody.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matching import evaluation, released
from matching.crypto_errors import CryptoRefused, MessageRefused, ProofRefused
from matching.envelope import open_, signer
from matching.statement import Statement

RIGHT = "what it signed is right, as far as this file shows"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the evidence shows, of whom, and why; ``guilty`` or not proven."""

    guilty: bool
    custodian: str
    why: str


def judge(shown: Mapping[str, Any], *, statement: Statement, public: bytes) -> Verdict:
    """Judge one file of evidence.

    Args:
        shown: as the partner's tool (kinds ``evaluation``, ``total``, ``repeat``) or the mailer
            (``released``) wrote it.
        statement: the key statement in the log, checked by the caller; the file's copy is not used.
        public: the accused custodian's 32-byte key, from a registry that the judge trusts.
    """
    custodian = str(shown.get("custodian"))
    try:
        if shown.get("statement") != statement.to_json():
            raise MessageRefused("the key statement in the file is not the one in the log")
        statement.index(custodian)
        _KINDS[str(shown.get("kind"))](shown, statement, custodian, public)
    except ProofRefused as wrong:
        return Verdict(True, custodian, str(wrong))
    except CryptoRefused as nothing:
        return Verdict(False, custodian, str(nothing))
    except (AttributeError, KeyError, TypeError, ValueError):
        return Verdict(False, custodian, "the file lacks something, or has it misshapen")
    return Verdict(False, custodian, RIGHT)


def _evaluation(
    shown: Mapping[str, Any], statement: Statement, custodian: str, public: bytes
) -> None:
    """A signed answer that was not made with the share in the statement."""
    request, points = _request(shown, statement), bytes.fromhex(shown["points"])
    if hashlib.sha256(points).hexdigest() != request["body"]["points"]:
        raise MessageRefused("the points are not those of the request")
    evaluation.check_response(
        request,
        points,
        shown["response"],
        bytes.fromhex(shown["evaluations"]),
        custodian=custodian,
        public=public,
        statement=statement,
    )


def _total(shown: Mapping[str, Any], statement: Statement, custodian: str, public: bytes) -> None:
    """A signed running total that is too small, comes twice, or is below one before it."""
    request = _request(shown, statement)
    total = int(_said(request, shown["response"], custodian, public)["total"])
    if total < evaluation.BATCH:
        raise ProofRefused("it signed a running total below the batch it had just charged")
    if "before" not in shown:
        return
    earlier = _request(shown["before"], statement)
    before = _said(earlier, shown["before"]["response"], custodian, public)
    if evaluation.request_digest(earlier) == evaluation.request_digest(request):
        raise MessageRefused("both answers are to one request")
    if earlier["by"] != request["by"]:
        raise MessageRefused("the two requests are by different actors, who have a total each")
    if total == int(before["total"]):
        raise ProofRefused("it signed one running total for two different requests")
    after = request["body"].get("after", {}).get(custodian)
    if after != evaluation.response_digest(shown["before"]["response"]):
        raise MessageRefused("nothing shows which of the two answers came first")
    if total < int(before["total"]):
        raise ProofRefused("it signed a running total below one that it had signed before")


def _repeat(shown: Mapping[str, Any], statement: Statement, custodian: str, public: bytes) -> None:
    """Two signed answers to one request that are not the same."""
    request = _request(shown, statement)
    one = _said(request, shown["response"], custodian, public)
    other = _said(request, shown["before"]["response"], custodian, public)
    if one != other:
        raise ProofRefused("it answered one request in two ways")


def _released(
    shown: Mapping[str, Any], statement: Statement, custodian: str, public: bytes
) -> None:
    """A released share that its own proof, or its own other answer, contradicts."""
    if statement.purpose != "seal":
        raise MessageRefused("shares are released with the sealing key, and this is another")
    for one in shown["answered"]:
        made_with = (one["response"]["body"]["sid"], one["response"]["body"]["version"])
        # Else an honest answer of another season, or after a resharing, would convict.
        if made_with != (statement.sid, statement.version):
            raise MessageRefused("the share is of another key or version than the statement")
    released.judge(shown, public=public)


_KINDS = {
    "evaluation": _evaluation,
    "total": _total,
    "repeat": _repeat,
    released.RELEASED: _released,
}


def _request(shown: Mapping[str, Any], statement: Statement) -> dict[str, Any]:
    """The request, when it is for this very key and share version."""
    request = dict(shown["request"])
    asked = (request["body"]["sid"], request["body"]["version"], request["body"]["purpose"])
    if asked != (statement.sid, statement.version, statement.purpose):
        raise MessageRefused("the request is for another key or share version than the statement")
    return request


def _said(
    request: Mapping[str, Any], response: object, custodian: str, public: bytes
) -> dict[str, Any]:
    """What the custodian signed as its answer to this request."""
    body = open_(evaluation.RESPONSE, response, public=public)
    if signer(response) != custodian or body["request"] != evaluation.request_digest(request):
        raise MessageRefused("an answer to another request, or by another custodian")
    return body
