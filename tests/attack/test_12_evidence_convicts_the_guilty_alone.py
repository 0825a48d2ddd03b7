"""Evidence against a custodian convicts it before anybody, and a forged file convicts nobody.

Threat: docs/threat-model.md, one custodian. Without a judge a caught custodian would only be somebody's
word against another's; with a careless one, a partner could have an honest custodian thrown out.
"""  # noqa: E501

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consortium.cli import auditor
from matching import evaluation, group, locks, released
from matching.blame import judge
from matching.envelope import Message, close
from matching.statement import Statement, signed_bytes
from tests.fakes.actors import made, private
from tests.fakes.api import EPOCH, NOW, PARTNER, FakeWorld
from tests.fakes.dealer import split

Shown = dict[str, Any]
OTHER = group.reduce(hashlib.sha512(b"another key").digest())
POINTS = b"".join(group.from_hash(bytes([n]) * 64) for n in range(1, 5))
ACCUSED = "c2"


class Case:
    """A custodian's share, what it can sign, and the log in which its statement stands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.world = folder, FakeWorld()
        self.statement, self.share = self.world.match, self.world.shares[ACCUSED]
        self.logged = self.world.evidence(self.world.keys["match"])

    def request(self, **other: Any) -> Message:
        asked = evaluation.Request(
            sid=self.statement.sid,
            version=1,
            actor=PARTNER,
            batch="b",
            purpose="match",
            nonce="00" * 16,
            expires=NOW + timedelta(hours=1),
            points=hashlib.sha256(POINTS).hexdigest(),
        )
        return evaluation.sign_request(replace(asked, **other), private(PARTNER).sign)

    def answer(
        self, request: Message, *, share: bytes = b"", total: int = 4096, by: str = ACCUSED
    ) -> tuple[bytes, Message]:
        """An answer with a valid proof for the share that was used, whichever it was."""
        key = share or self.share
        evaluated, proof = evaluation.answer(request, POINTS, share=key, commitment=group.base(key))
        said = evaluation.sign_response(
            request, evaluated, proof, custodian=ACCUSED, total=total, allowed=1 << 20,
            sign=private(by).sign,
        )  # fmt: skip
        return evaluated, said

    def shown(self, kind: str, request: Message, response: Message, **more: Any) -> Shown:
        return {
            "kind": kind,
            "custodian": ACCUSED,
            "request": request,
            "response": response,
            "statement": self.statement.to_json(),
            "key": self.logged,
            **more,
        }

    def evaluated(self, share: bytes = b"", request: Message | None = None, **more: Any) -> Shown:
        asked = request or self.request()
        answers, said = self.answer(asked, share=share, **more)
        return self.shown("evaluation", asked, said, points=POINTS.hex(), evaluations=answers.hex())

    def totals(self, first: int, then: int, *, chained: bool = True, **other: Any) -> Shown:
        earlier = self.request()
        _, before = self.answer(earlier, total=first)
        after = {ACCUSED: evaluation.response_digest(before)} if chained else {}
        later = self.request(nonce="11" * 16, after=after, **other)
        _, said = self.answer(later, total=then)
        return self.shown("total", later, said, before={"request": earlier, "response": before})

    def repeated(self, totals: tuple[int, int]) -> Shown:
        request = self.request()
        (_, one), (_, other) = (self.answer(request, total=total) for total in totals)
        return self.shown("repeat", request, other, before={"request": request, "response": one})

    def release(self, share: bytes, **other: Any) -> Shown:
        seal, public = self.world.seal, b"".join(group.base(bytes([n]) + bytes(31)) for n in (1, 2))
        answers = locks.share_answers(share, 2, (1, 2), public)
        body = {
            "campaign": "c", "chunk": 0, "quorum": [1, 2],
            "locks": hashlib.sha256(public).hexdigest(),
            "answers": hashlib.sha256(answers).hexdigest(),
            "proof": locks.prove_answers(share, 2, (1, 2), public, answers).to_bytes().hex(),
            "sid": seal.sid, "version": seal.version, **other,
        }  # fmt: skip
        said = close("released", body, by=ACCUSED, sign=private(ACCUSED).sign)
        answered = released.Answered(said, public, answers)
        key = self.world.evidence(self.world.keys["seal"])
        return {**released.to_json([answered], seal, ACCUSED), "key": key}

    def other_statement(self) -> tuple[Statement, Shown]:
        """A statement that was never logged here, yet signed by all and in somebody's own log."""
        forged, _ = split(OTHER, threshold=2, ids=self.statement.ids, epoch=EPOCH)
        stranger = FakeWorld()
        signatures = {c: private(c).sign(signed_bytes(forged)).hex() for c in forged.ids}
        leaf = stranger.put(
            made("c1", "key", NOW, kind="statement", sid=forged.sid, statement=forged.to_json(),
                 signatures=signatures)
        )  # fmt: skip
        return forged, stranger.evidence(leaf)

    def judged(self, shown: Shown, *more: str) -> Result:
        """`trellis audit evidence`, as anybody runs it."""
        file, invite = self.folder / "evidence.json", self.folder / "invite.json"
        file.write_text(json.dumps(shown))
        invite.write_text(json.dumps(self.world.invite()))
        words = ["evidence", str(file), "--invite", str(invite), *more]
        return CliRunner().invoke(auditor.command, words)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


GUILTY: dict[str, Callable[[Case], Shown]] = {
    "an answer under another key, proved for that key": lambda c: c.evaluated(OTHER),
    "a total below the batch it charged": lambda c: c.shown(
        "total", request := c.request(), c.answer(request, total=0)[1]
    ),
    "a total that went down": lambda c: c.totals(12288, 8192),
    "one total for two requests": lambda c: c.totals(8192, 8192, chained=False),
    "two answers to one request": lambda c: c.repeated((4096, 8192)),
    "a released share with a proof for another key": lambda c: c.release(OTHER),
}


@pytest.mark.parametrize("deed", GUILTY)
def test_what_a_custodian_signed_convicts_it(case: Case, deed: str) -> None:
    done = case.judged(GUILTY[deed](case), "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert (said["verdict"], said["custodian"]) == ("guilty", ACCUSED)


def test_the_judge_says_who_and_why(case: Case) -> None:
    said = case.judged(case.evaluated(OTHER)).output
    assert said.startswith("GUILTY  custodian c2: ")
    assert "not made with the key that was stated" in said


def with_points(case: Case, points: bytes) -> Shown:
    return {**case.evaluated(), "points": points.hex()}


def unlogged(case: Case) -> Shown:
    forged, _ = case.other_statement()
    return {**case.evaluated(), "statement": forged.to_json()}


def logged_elsewhere(case: Case) -> Shown:
    forged, entry = case.other_statement()
    key = {**entry, "proof": case.logged["proof"]}
    asked = case.request(sid=forged.sid)
    return {**case.evaluated(request=asked), "statement": forged.to_json(), "key": key}


def bent(case: Case) -> Shown:
    shown = case.evaluated()
    return {**shown, "evaluations": (group.mult_each(OTHER, POINTS)).hex()}


def raised(case: Case) -> Shown:
    shown = case.totals(4096, 8192)
    shown["response"]["body"]["total"] = 4096
    return shown


INNOCENT: dict[str, tuple[Callable[[Case], Shown], str]] = {
    "a right answer": (lambda c: c.evaluated(), "what it signed is right"),
    "an answer that somebody else signed": (
        lambda c: c.evaluated(OTHER, by=PARTNER), "signature of c2 does not hold"),
    "answers that were changed after signing": (bent, "not the ones the custodian signed"),
    "other points than were asked": (
        lambda c: with_points(c, POINTS[32:] + POINTS[:32]), "not those of the request"),
    "a request for another key": (
        lambda c: c.evaluated(OTHER, c.request(sid="ab" * 32)), "another key or share version"),
    "a request for another share version": (
        lambda c: c.evaluated(OTHER, c.request(version=2)), "another key or share version"),
    "a statement that is not the logged one": (unlogged, "not the one in the log"),
    "a statement that the log does not hold": (
        logged_elsewhere, "not in the log as the invite knows it"),
    "no statement": (lambda c: {**c.evaluated(OTHER), "key": None}, "no key statement"),
    "a total that went up": (lambda c: c.totals(4096, 8192), "what it signed is right"),
    "two totals of which nobody knows the first": (
        lambda c: c.totals(12288, 8192, chained=False), "which of the two answers came first"),
    "a total that the accuser wrote": (raised, "signature of c2 does not hold"),
    "totals of two actors": (
        lambda c: c.totals(8192, 8192, actor="somebody"), "different actors"),
    "the same answer twice": (lambda c: c.repeated((4096, 4096)), "what it signed is right"),
    "a right share": (
        lambda c: c.release(c.world.seal_shares[ACCUSED]), "what it signed is right"),
    "a share of another season": (
        lambda c: c.release(OTHER, sid="ab" * 32), "another key or version"),
    "a share of another version": (lambda c: c.release(OTHER, version=2), "another key or version"),
    "another custodian's name": (
        lambda c: {**c.evaluated(OTHER), "custodian": "c1"}, "signature of c2 does not hold"),
    "a stranger": (lambda c: {**c.evaluated(OTHER), "custodian": "cx"}, "no such custodian"),
    "an unknown kind": (lambda c: {**c.evaluated(OTHER), "kind": "gossip"}, "lacks something"),
    "half a file": (lambda c: {"custodian": ACCUSED, "key": c.logged}, "not the one in the log"),
}  # fmt: skip


@pytest.mark.parametrize("deed", INNOCENT)
def test_what_an_accuser_adds_convicts_nobody(case: Case, deed: str) -> None:
    make, words = INNOCENT[deed]
    done = case.judged(make(case), "--json")
    assert done.exit_code == 1, done.output
    said = json.loads(done.output)
    assert said["verdict"] == "not proven"
    assert words in said["why"]


def test_the_statement_may_come_from_the_log_instead_of_the_accuser(
    case: Case, tmp_path: Path
) -> None:
    own = tmp_path / "statement.json"
    own.write_text(json.dumps(case.logged))
    shown = {**case.evaluated(OTHER), "key": None}
    assert case.judged(shown).exit_code == 1
    assert case.judged(shown, "--statement", str(own)).exit_code == 0


def test_without_the_check_of_the_log_an_honest_custodian_would_be_convicted(case: Case) -> None:
    forged, _ = case.other_statement()
    asked = case.request(sid=forged.sid)
    shown = {**case.evaluated(request=asked), "statement": forged.to_json()}
    public = private(ACCUSED).public_key().public_bytes_raw()
    assert judge(shown, statement=forged, public=public).guilty
    assert not judge(shown, statement=case.statement, public=public).guilty
