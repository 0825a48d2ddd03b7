"""What a custodian answers: evaluate, release, retire, stop, tell; each refusal has a name."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from consortium.custodian import countersign
from consortium.custodian.anchors import Anchors
from consortium.custodian.ceremony import ROUNDS
from consortium.custodian.consents import Neighbours
from consortium.custodian.endings import hear_endings
from consortium.custodian.errors import Refused
from consortium.custodian.follow import Follow
from consortium.custodian.for_partners import KIND, for_partner
from consortium.custodian.intake import Intake, Rosters
from consortium.custodian.ledger import Key, Ledger
from consortium.custodian.log import Log
from consortium.custodian.release import Gate, read_asked, unpack
from consortium.custodian.settings import Actor, Registry, Settings
from consortium.custodian.standing import stand
from consortium.custodian.telling import Telling
from consortium.custodian.trees import Trees
from matching import evaluation, locks
from matching.crypto_errors import CryptoRefused
from matching.envelope import close, open_, signer
from matching.evaluation import moment
from matching.statement import Statement

MOST_SECRETS = 4096


class Custodian:
    """One custodian: what it answers, and what it must have written before it does."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        registry: Registry,
        log: Log,
        now: Callable[[], datetime],
        follow: Follow,
        neighbours: Neighbours,
        rosters: Rosters | None = None,
    ) -> None:
        self._settings, self._ledger, self._registry = settings, ledger, registry
        self._log, self._now = Trees(log, ledger), now
        self._intake = Intake(ledger, registry, self._log, rosters)
        self.anchors = Anchors(
            lambda: self._settings, ledger, registry, self._log, now, follow, neighbours
        )
        self.telling = Telling(lambda: self._settings, ledger, registry, neighbours, now)

    # -- tokens -----------------------------------------------------------------------------------

    def evaluate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one batch of exactly 4,096 blinded points, charged before it is evaluated."""
        message, points = body.get("request"), unpack(body.get("points"), 32)
        actor = self._registry.actor(signer(message), "partner", "steward")
        request = evaluation.read_request(message, public=actor.public)
        assert isinstance(message, Mapping)
        if len(points) != evaluation.BATCH_BYTES:
            raise Refused("wrong-batch-size", f"a batch is {evaluation.BATCH} points", 400)
        if hashlib.sha256(points).hexdigest() != request.points:
            raise Refused("not-signed", "the points are not the ones that were signed", 400)
        self._in_time(request.expires)
        self._in_hours()
        key = self._key(request)
        if actor.role == "steward":
            self._check_consents(actor.id, key.statement.epoch)
        digest = evaluation.request_digest(message)
        total, allowed = self.anchors.charge(actor, request.sid, request.nonce, digest)
        # From here on the batch is paid for: a crash now is repaired by sending the same request
        # again.
        commitment = key.statement.share(self._settings.id)
        evaluated, proof = evaluation.answer(
            message, points, share=key.share, commitment=commitment
        )
        response = evaluation.sign_response(
            message,
            evaluated,
            proof,
            custodian=self._settings.id,
            total=total,
            allowed=allowed,
            sign=self._settings.key.sign,
        )
        return {"response": response, "evaluations": base64.b64encode(evaluated).decode()}

    def _key(self, request: evaluation.Request) -> Key:
        key = self._ledger.key_of(request.sid)
        if key is None:
            raise self._no_key(request.sid)
        if (request.purpose, key.statement.purpose) != ("match", "match"):
            # The key of locks must never evaluate points of a caller's choosing.
            raise Refused("wrong-key", "only the matching key evaluates points")
        _same_version(request.version, key.statement)
        return key

    def _check_consents(self, steward: str, epoch: str) -> None:
        """A bulk run needs our own word for this epoch, and t custodians' words in the log."""
        if not self._ledger.consented(steward, epoch):
            raise Refused("no-consent", "a steward's bulk run needs this custodian's consent")
        if self.anchors.bulk(steward, epoch):
            return
        self.anchors.consents()
        self.anchors.look()
        if not self.anchors.bulk(steward, epoch):
            detail = "the log does not show the consent of enough custodians yet; ask again"
            raise Refused("not-yet-agreed", detail, 503)

    def _in_time(self, expires: datetime) -> None:
        now = self._now()
        if not now < expires <= now + self._settings.horizon:
            raise Refused("expired", "the call has expired, or expires too far ahead", 400)

    def _in_hours(self) -> None:
        """Only uploads keep hours: a release waits for nobody's laptop to be on by day."""
        hours, now = self._settings.hours, self._now()
        if not hours.open_at(now):
            when = f"{hours.opens(now):%a %d %b %Y %H:%M}"
            detail = f"it answers uploads {hours.said()}, next from {when} {hours.zone}"
            raise Refused("outside-hours", detail, 503)

    # -- what partners and other custodians said --------------------------------------------------

    def add_roster(self, chunk: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take in one chunk of the roster that the log vouches for."""
        return self._intake.add(chunk, body)

    def pull_rosters(self) -> int:
        """Fetch and check every published chunk that is not known yet; return how many.

        Raises:
            Refused, CryptoRefused: the first chunk that does not hold, after all others are in.
        """
        return self._intake.pull()

    def hear_endings(self) -> None:
        """Open what other custodians said of keys, as following the log found it.

        Raises:
            Refused, LogUnreachable: the first that does not open now, after all others.
        """
        hear_endings(self._ledger, self._log, self._registry.custodians)

    def retire(self, message: object) -> dict[str, Any]:
        """Retire for good the rows whose secrets a partner reveals; unknown ones are padding."""
        _, body = self._opened("retire", message, "partner")
        secrets = body.get("secrets")
        if not isinstance(secrets, list) or len(secrets) > MOST_SECRETS:
            raise Refused("malformed", f"secrets is a list of at most {MOST_SECRETS}", 400)
        try:
            tags = [locks.retire_tag(bytes.fromhex(secret)) for secret in secrets]
        except (TypeError, ValueError) as error:
            raise Refused("malformed", "a secret is 64 hex digits", 400) from error
        self._ledger.retire(tags)
        return {"retired": len(tags)}

    # -- releases ---------------------------------------------------------------------------------

    def open_release(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Check a campaign's whole evidence and count its opens; no share leaves yet."""
        call = body.get("call")
        mailer, said = self._opened("release-open", call, "mailer")
        asked = read_asked(body)
        digests = (asked.digest, hashlib.sha256(asked.locks).hexdigest())
        if (said.get("digest"), said.get("locks")) != digests:
            raise Refused("not-signed", "the mailer signed another manifest or other locks", 400)
        self._caught_up()
        key = self._seal_key(asked.locks)
        _same_version(said.get("version"), key.statement)
        gate = self._gate(key.statement)
        if self._ledger.stopped(str(asked.manifest["campaign"])):
            raise Refused("stopped", "a partner stopped this campaign")
        opened = str(asked.manifest["campaign"])
        if self._ledger.has_release(opened, asked.digest, asked.root):
            # The same root is the same set; chunks are cut from the order the mailer has now.
            self._ledger.reorder(opened, asked.locks)
        else:
            release, per_week = gate.check(asked, mailer.id)
            self._all_in_roster(release.locks)
            key = self._seal_key(release.locks)
            self.anchors.open(release, per_week)
        chunks = -(-len(asked.locks) // (32 * locks.CHUNK_LOCKS))
        return {"campaign": opened, "chunks": chunks, "index": self._index(key)}

    def _caught_up(self) -> None:
        """Books that were put back lack retirements, stops and countersignatures since.

        Raises:
            Refused: ``restored`` until the log is newer, ``untold`` until others have told.
            LogUnreachable: the log was not followed since the start, and cannot be now.
        """
        self.anchors.ready()
        self.telling.check()

    def _gate(self, key: Statement) -> Gate:
        return Gate(self._registry, self._log, self._now, self._settings.fresh, key)

    def _epoch(self, raw: bytes) -> str:
        """The epoch of the first of some locks; the present one where no roster has it."""
        if self._ledger.epoch_of(raw[:32]) is None:
            with suppress(Refused, CryptoRefused):
                self.pull_rosters()
        return self._ledger.epoch_of(raw[:32]) or str(self._registry.epochs[0])

    def _seal_key(self, raw: bytes) -> Key:
        key = self._ledger.key("seal", self._epoch(raw))
        if key is None:
            raise self._no_key(self._registry.invite["epoch"])
        return key

    def _no_key(self, sid_or_epoch: str) -> Refused:
        if self._ledger.gave_up(sid_or_epoch):
            detail = "this custodian gave its share up; take the newest statement from the log"
            return Refused("wrong-version", detail, 409)
        return Refused("no-key", "no share of that key is held here", 404)

    def _index(self, key: Key) -> int:
        return key.statement.index(self._settings.id)

    def _all_in_roster(self, raw: bytes) -> None:
        """All locks stand in the roster of one epoch: no audience is of two."""
        each = [raw[n : n + 32] for n in range(0, len(raw), 32)]
        if self._ledger.unknown_locks(self._epoch(raw), each):
            with suppress(Refused, CryptoRefused):
                self.pull_rosters()
            if self._ledger.unknown_locks(self._epoch(raw), each):
                raise Refused("lock-unknown", "a lock is in no roster that the log vouches for")

    def answer_chunk(self, campaign: str, chunk: int, message: object) -> dict[str, Any]:
        """Answer one chunk of an open campaign for the quorum the mailer names.

        A lock that was retired is answered with 32 zero bytes: its share never leaves again.
        """
        mailer, body = self._opened("release-answer", message, "mailer")
        self._caught_up()
        release = self._ledger.release(campaign)
        if (body.get("campaign"), body.get("chunk")) != (campaign, chunk):
            raise Refused("not-signed", "the mailer signed another chunk", 400)
        if mailer.id != release.mailer:
            raise Refused("not-allowed", "another mailer opened this campaign")
        if release.closed:
            raise Refused("closed", "this campaign has been closed", 410)
        if self._ledger.stopped(campaign):
            raise Refused("stopped", "a partner stopped this campaign")
        key = self._seal_key(release.locks)
        _same_version(body.get("version"), key.statement)
        self._gate(key.statement).check_window(release.opens, release.closes)
        quorum = self._quorum(body.get("quorum"), key)
        start, step = chunk * locks.CHUNK_LOCKS * 32, locks.CHUNK_LOCKS * 32
        part = release.locks[start : start + step]
        if chunk < 0 or not part:
            raise Refused("no-chunk", "the campaign has no such chunk", 404)
        return self._answers(key, quorum, part, campaign, chunk, bool(body.get("proofs")))

    def _quorum(self, stated: object, key: Key) -> tuple[int, ...]:
        size, here = key.statement.threshold, self._index(key)
        if (
            not isinstance(stated, list)
            or sorted(set(stated)) != stated
            or len(stated) != size
            or here not in stated
            or not all(1 <= one <= len(key.statement.ids) for one in stated)
        ):
            raise Refused(
                "wrong-quorum", f"a quorum is {size} indices in order, ours among them", 400
            )
        return tuple(stated)

    def _answers(
        self,
        key: Key,
        quorum: tuple[int, ...],
        part: bytes,
        campaign: str,
        chunk: int,
        proofs: bool,
    ) -> dict[str, Any]:
        index = self._index(key)
        each = [part[n : n + 32] for n in range(0, len(part), 32)]
        gone = self._ledger.retired_among(each)
        live = b"".join(lock for lock in each if lock not in gone)
        answered = locks.share_answers(key.share, index, quorum, live)
        fresh = iter(answered[n : n + 32] for n in range(0, len(answered), 32))
        answers = b"".join(bytes(32) if lock in gone else next(fresh) for lock in each)
        body: dict[str, Any] = {
            "campaign": campaign,
            "chunk": chunk,
            "quorum": list(quorum),
            "locks": hashlib.sha256(part).hexdigest(),
            "answers": hashlib.sha256(answers).hexdigest(),
            # Who judges this answer later must know which of the keys it was made with.
            "sid": key.statement.sid,
            "version": key.statement.version,
        }
        if proofs and live:
            proof = locks.prove_answers(key.share, index, quorum, live, answered)
            body["proof"] = proof.to_bytes().hex()
        signed = close("released", body, by=self._settings.id, sign=self._settings.key.sign)
        return {"response": signed, "answers": base64.b64encode(answers).decode()}

    def close_release(self, campaign: str, message: object) -> dict[str, Any]:
        """End a campaign: nothing of it is answered again; the signed total goes to the log."""
        _, body = self._opened("release-close", message, "mailer", "operator")
        if body.get("campaign") != campaign:
            raise Refused("not-signed", "another campaign was signed", 400)
        released = self._ledger.close_release(campaign, self._now())
        name = f"released/{campaign}"
        facts = {"kind": "released", "campaign": campaign, "released": released}
        drafted = self._ledger.draft(name) or self._ledger.put_draft(
            name, self._log.draft("sent", facts)
        )
        leaf = self._ledger.leaf(name) or self._log.submit(drafted)
        self._ledger.set_leaf(name, leaf)
        total = {"campaign": campaign, "released": released, "leaf": leaf}
        signed = close("release-total", total, by=self._settings.id, sign=self._settings.key.sign)
        return {"response": signed}

    def stop(self, message: object) -> dict[str, Any]:
        """Stop a campaign for good: any one partner can, directly, without the operator."""
        partner, body = self._opened("stop", message, "partner")
        campaign = str(body.get("campaign"))
        self._ledger.stop(campaign, partner.id, self._now())
        return {"campaign": campaign, "stopped": True}

    def countersign(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Countersign the mail machine's next key, once an interval."""
        mailer, said = self._opened("countersign", body.get("call"), "mailer")
        self._caught_up()
        desk = countersign.Desk(self._settings, self._registry, self._ledger, self._log)
        signature = desk.give(mailer, {**body, "next": said.get("next")}, self._now())
        return {"custodian": self._settings.id, "signature": signature}

    def standing(self, message: object) -> dict[str, Any]:
        """Tell a partner, signed, how this custodian stands, as far as that partner may know."""
        partner, body = self._opened("standing", message, "partner")
        now = self._now()
        here = stand(self._settings, self._registry, self._ledger, now, running=True)
        said = for_partner(here, partner.id, body.get("nonce"), now)
        signed = close(KIND, said, by=self._settings.id, sign=self._settings.key.sign)
        return {"response": signed}

    def _opened(self, kind: str, message: object, *roles: str) -> tuple[Actor, dict[str, Any]]:
        """Check a signed call: who, what kind, for this custodian, not expired."""
        actor = self._registry.actor(signer(message), *roles)
        return actor, self._for_us(kind, message, actor.public)

    def _for_us(self, kind: str, message: object, public: bytes) -> dict[str, Any]:
        body = open_(kind, message, public=public)
        if body.get("custodian") != self._settings.id:
            raise Refused("not-signed", "the call was signed for another custodian", 400)
        try:
            expires = moment(body.get("expires"))
        except ValueError as error:
            raise Refused("malformed", "the call does not say when it expires", 400) from error
        self._in_time(expires)
        return body

    # -- other custodians -------------------------------------------------------------------------

    def tell(self, message: object) -> dict[str, Any]:
        """Tell another custodian, whose books were put back, what was retired and stopped."""
        by = signer(message)
        public = self._registry.others(self._settings.id).get(by)
        if public is None:
            raise Refused("unknown-actor", "only another custodian of the invite is told")
        return self.telling.answer(by, self._for_us("tell", message, public).get("key"))

    # -- public -----------------------------------------------------------------------------------

    def message(self, sid: str, round: str) -> dict[str, Any]:
        """Serve this custodian's own message of a ceremony round."""
        found = self._ledger.message(sid, round, self._settings.id) if round in ROUNDS else None
        if found is None:
            raise Refused("not-yet", "no message of that round yet", 404)
        return found

    def status(self) -> dict[str, Any]:
        """Say who this is, its hours and its keys; counts are for `trellis custodian status`."""
        hours, now = self._settings.hours, self._now()
        return {
            "id": self._settings.id,
            "keys": self._ledger.status()["keys"],
            "hours": hours.text,
            "time_zone": hours.zone,
            "open": hours.open_at(now),
            "opens": hours.opens(now).isoformat(),
        }


def _same_version(asked: object, held: Statement) -> None:
    """Refuse a call for other shares than are held: shares of two versions do not combine."""
    if asked != held.version:
        detail = f"shares of version {held.version} are held here; take its statement from the log"
        raise Refused("wrong-version", detail, 409)
