"""Custodians that deviate: real servers over real databases, each with one lie."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli import auditor
from consortium.custodian.answers import Custodian
from consortium.custodian.errors import LogUnreachable, Refused
from consortium.custodian.ledger import Key
from matching import evaluation, group, locks
from matching.envelope import close
from matching.statement import Statement, signed_bytes
from provenance.canonical import openings_to_json
from provenance.entry import draft
from tests.fakes.custodians import EPOCH, World, public
from tests.fakes.log_api import LogApi

Said = dict[str, Any]
Lie = Callable[["Liar", Mapping[str, Any], Said], Said]

OTHER = group.reduce(hashlib.sha512(b"another key").digest())
NOT_CANONICAL = b"\xff" * 32


class Liar(Custodian):
    """A custodian whose answers pass through one lie before they leave."""

    about: Lie | None = None
    releasing: Lie | None = None
    asked: int = 0

    def evaluate(self, body: Mapping[str, Any]) -> Said:
        said = super().evaluate(body)
        return self.about(self, body, said) if self.about else said

    def answer_chunk(self, campaign: str, chunk: int, message: object) -> Said:
        said = super().answer_chunk(campaign, chunk, message)
        assert isinstance(message, Mapping)
        return self.releasing(self, message["body"], said) if self.releasing else said

    def key_for(self, purpose: str) -> Key:
        """The share it really holds."""
        found = self._ledger.key(purpose, EPOCH)
        assert found is not None
        return found

    def say(
        self, body: Mapping[str, Any], answers: bytes, proof: bytes | None = None, **more: Any
    ) -> Said:
        """Sign an evaluation as its own: these answers, this proof; an honest one unless given."""
        message, points = body["request"], base64.b64decode(body["points"])
        key = self.key_for("match")
        if proof is None:
            commitment = key.statement.share(self._settings.id)
            proof = evaluation.answer(message, points, share=key.share, commitment=commitment)[1]
        terms = {"total": len(points) // 32, "allowed": 10**6, **more}
        response = evaluation.sign_response(
            terms.pop("message", message),
            answers,
            proof,
            custodian=self._settings.id,
            sign=terms.pop("sign", self._settings.key.sign),
            **terms,
        )
        return {"response": response, "evaluations": base64.b64encode(answers).decode()}

    def counting(self, *, down: bool) -> int:
        """A running total that falls by a batch each time, or stands still."""
        self.asked += 1
        return evaluation.BATCH * (100 - self.asked if down else 100)

    def release(self, said: Said, answers: bytes, **other: Any) -> Said:
        """Sign a released chunk as its own: these answers, and any other field of the body."""
        body = {**said["response"]["body"], "answers": hashlib.sha256(answers).hexdigest(), **other}
        signed = close("released", body, by=self._settings.id, sign=self._settings.key.sign)
        return {"response": signed, "answers": base64.b64encode(answers).decode()}


@contextmanager
def corrupted(
    world: World, id: str, *, about: Lie | None = None, releasing: Lie | None = None
) -> Iterator[Liar]:
    """Put a liar in a custodian's place, with its home, shares, database and key."""
    host = world.hosts[id]
    made = Liar(
        host.settings,
        host.ledger,
        host.registry,
        host.log,
        lambda: world.now,
        follow=host.follow,
        neighbours=world.neighbours,
        rosters=world.rosters,
    )
    made.about, made.releasing = about, releasing
    honest, host.custodian = host.custodian, made
    try:
        yield made
    finally:
        host.custodian = honest


class Court:
    """Anybody with `trellis audit evidence`, an invite, and a log that holds the statement."""

    def __init__(self, world: World, statement: Statement) -> None:
        log = LogApi()
        signatures = {one: world.keys[one].sign(signed_bytes(statement)).hex() for one in world.ids}
        entry = draft(
            "key",
            at=world.now,
            actor=public(world.keys[world.ids[0]]),
            facts={
                "kind": "statement",
                "sid": statement.sid,
                "statement": statement.to_json(),
                "signatures": signatures,
            },
            salt=lambda: os.urandom(32),
            sign=world.keys[world.ids[0]].sign,
        )
        self.key = log.evidence(log.add(entry.entry, openings_to_json(entry.openings)))
        self.invite = {**world.invite, **log.invite("http://127.0.0.1:1")}

    def finds(self, file: Path) -> tuple[str, str]:
        """The verdict on a file, and on whom."""
        invite = file.with_name("invite.json")
        invite.write_text(json.dumps(self.invite))
        words = ["evidence", str(file), "--invite", str(invite), "--json"]
        said = json.loads(CliRunner().invoke(auditor.command, words).output)
        return said["verdict"], said["custodian"]


def flipped(raw: bytes, at: int) -> bytes:
    """One bit of one byte changed."""
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def _good(said: Said) -> bytes:
    return base64.b64decode(said["evaluations"])


def _honestly_proved(liar: Liar, body: Mapping[str, Any], share: bytes) -> Said:
    """A valid proof, of another key than the log states."""
    message, points = body["request"], base64.b64decode(body["points"])
    answers, proof = evaluation.answer(message, points, share=share, commitment=group.base(share))
    return liar.say(body, answers, proof)


def _replayed(liar: Liar, body: Mapping[str, Any], said: Said) -> Said:
    other = dict(body["request"], signature="00" * 64)  # what it answered to somebody else
    return liar.say(body, _good(said), message=other)


def _silent(liar: Liar, body: Mapping[str, Any], said: Said) -> Said:
    raise LogUnreachable("no answer for this one")


def _refusing(liar: Liar, body: Mapping[str, Any], said: Said) -> Said:
    raise Refused("quota-exceeded", "none is left for you", 429)


ABOUT_TOKENS: dict[str, tuple[Lie, bool]] = {
    # name: the lie, and whether what it signed convicts it before a third party
    "one element under another key": (
        lambda me, body, said: me.say(
            body,
            group.mult(OTHER, base64.b64decode(body["points"])[:32]) + _good(said)[32:],
        ),
        True,
    ),
    "two answers swapped": (
        lambda me, body, said: me.say(
            body, _good(said)[32:64] + _good(said)[:32] + _good(said)[64:]
        ),
        True,
    ),
    "another key for this partner, with a valid proof of it": (
        lambda me, body, said: _honestly_proved(me, body, OTHER),
        True,
    ),
    "the share of an earlier version, with a valid proof of it": (
        lambda me, body, said: _honestly_proved(
            me, body, group.scalar_mul(OTHER, me.key_for("match").share)
        ),
        True,
    ),
    "the points themselves": (
        lambda me, body, said: me.say(body, base64.b64decode(body["points"])),
        True,
    ),
    "one answer missing": (lambda me, body, said: me.say(body, _good(said)[:-32]), True),
    "an identity among the answers": (
        lambda me, body, said: me.say(body, _good(said)[:-32] + bytes(32)),
        True,
    ),
    "bytes that are no point": (
        lambda me, body, said: me.say(body, _good(said)[:-32] + NOT_CANONICAL),
        True,
    ),
    "a bent proof": (
        lambda me, body, said: me.say(
            body, _good(said), flipped(bytes.fromhex(said["response"]["body"]["proof"]), 40)
        ),
        True,
    ),
    "no proof": (lambda me, body, said: me.say(body, _good(said), bytes(64)), True),
    "a total below what this very request cost": (
        lambda me, body, said: me.say(body, _good(said), total=0),
        True,
    ),
    "a total that goes down": (
        lambda me, body, said: me.say(body, _good(said), total=me.counting(down=True)),
        True,
    ),
    "one total for two requests": (
        lambda me, body, said: me.say(body, _good(said), total=me.counting(down=False)),
        True,
    ),
    "the answer to another request": (_replayed, False),
    "signed by another key": (
        lambda me, body, said: me.say(body, _good(said), sign=_stranger().sign),
        False,
    ),
    "a signature without an answer": (
        lambda me, body, said: {"response": said["response"], "evaluations": ""},
        False,
    ),
    "silence": (_silent, False),
    "a refusal made up for this partner": (_refusing, False),
}


def _stranger() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


# -- released shares


def _answers(said: Said) -> bytes:
    return base64.b64decode(said["answers"])


def _part(liar: Liar, body: Mapping[str, Any]) -> bytes:
    release = liar._ledger.release(str(body["campaign"]))
    start = int(body["chunk"]) * locks.CHUNK_LOCKS * 32
    return release.locks[start : start + locks.CHUNK_LOCKS * 32]


def _released_under(liar: Liar, body: Mapping[str, Any], said: Said, share: bytes) -> Said:
    """Another share, and a proof of it that is valid for that share."""
    part, index = _part(liar, body), liar.key_for("seal").statement.index(liar._settings.id)
    answers = locks.share_answers(share, index, body["quorum"], part)
    more: dict[str, Any] = {}
    if body["proofs"]:
        proof = locks.prove_answers(share, index, body["quorum"], part, answers)
        more["proof"] = proof.to_bytes().hex()
    return liar.release(said, answers, **more)


def _wrong_lambda(liar: Liar, body: Mapping[str, Any], said: Said) -> Said:
    """Its own share, times the factor for another quorum than the one it names."""
    part, key = _part(liar, body), liar.key_for("seal")
    index = key.statement.index(liar._settings.id)
    other = sorted({index, next(n for n in (1, 2, 3) if n not in body["quorum"])})
    answers = locks.share_answers(key.share, index, other, part)
    more: dict[str, Any] = {}
    if body["proofs"]:
        proof = locks.prove_answers(key.share, index, other, part, answers)
        more["proof"] = proof.to_bytes().hex()
    return liar.release(said, answers, **more)


def _only_unasked(bend: Callable[[bytes], bytes]) -> Lie:
    """Wrong as long as nobody asks for a proof, and right with one."""

    def lie(liar: Liar, body: Mapping[str, Any], said: Said) -> Said:
        return said if body["proofs"] else liar.release(said, bend(_answers(said)))

    return lie


def _always(bend: Callable[[bytes], bytes]) -> Lie:
    return lambda liar, _, said: liar.release(said, bend(_answers(said)))


def _unproved(liar: Liar, body: Mapping[str, Any], said: Said) -> Said:
    """Wrong, and no proof when it is asked for one."""
    wrong = _first_altered(_answers(said))
    fields = {k: v for k, v in said["response"]["body"].items() if k != "proof"}
    bare = {**said, "response": {**said["response"], "body": fields}}
    return liar.release(bare, wrong)


def _first_altered(answers: bytes) -> bytes:
    return group.mult(OTHER, answers[:32]) + answers[32:]


ABOUT_RELEASES: dict[str, tuple[Lie, bool]] = {
    "one released share altered": (_always(_first_altered), True),
    "shares under another key, with a proof of it": (
        lambda me, body, said: _released_under(me, body, said, OTHER),
        True,
    ),
    "the share of an earlier version, with a proof of it": (
        lambda me, body, said: _released_under(
            me, body, said, group.scalar_mul(OTHER, me.key_for("seal").share)
        ),
        True,
    ),
    "the factor of another quorum": (_wrong_lambda, True),
    "another lock's share": (_always(lambda raw: raw[32:64] + raw[:32] + raw[64:]), True),
    "one share altered, and the right one proved when asked": (_only_unasked(_first_altered), True),
    "one share altered, and no proof when asked": (_unproved, False),
}
SHUTTING = _always(lambda raw: bytes(32) + raw[32:])
"""It says that the first row was retired."""
SILENT_RELEASES: dict[str, Lie] = {
    "it opens, and then falls silent": _silent,
    "it opens, and then refuses this campaign": _refusing,
    "a chunk cut short": lambda me, _, said: me.release(said, _answers(said)[:-32]),
    "the answer of another chunk": lambda me, _, said: me.release(said, _answers(said), chunk=7),
    "an answer named for another quorum": lambda me, _, said: me.release(
        said, _answers(said), quorum=[1, 3]
    ),
    "signed by another key": lambda me, _, said: {
        **said,
        "response": close(
            "released", said["response"]["body"], by=me._settings.id, sign=_stranger().sign
        ),
    },
}
