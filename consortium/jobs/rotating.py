"""Follow the mail machine's key by another, a step at a time; every step can be taken again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.custodians import CustodianAddress, CustodianProblem, call
from consortium.jobs import key_files, mailing, relay
from consortium.jobs.celery import app, process
from consortium.service import enter, rotate, show
from consortium.store.unit import Unit, Units
from consortium.wiring import pen, read_key
from mailer.keys import KeyPair
from matching.countersigning import Successor, check_countersigned, named
from matching.crypto_errors import StatementRefused
from matching.envelope import Signer, close
from matching.evaluation import stamp
from provenance.backend import Backend

SECONDS = 300.0
"""Between two looks at whether a step is due."""
LEAD = 0.1
"""The last part of a key's life, in which its successor is sought: custodians may be off a day."""
SLICE = 50
"""Bundles wrapped anew in one turn, each in a transaction of its own; letters go in between."""
CALL = timedelta(minutes=10)

Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""One custodian's answer to a call, by its id."""


@dataclass
class Rotation:
    """One mail machine and its keys.

    Args:
        home: of the mailer; nobody else reads it.
        life: how long a key stands.
        changed: told once private keys came or went, so that no older one stays in memory.
    """

    home: Path
    units: Units
    log_files: Backend
    pen: enter.Pen
    invite: Mapping[str, Any]
    ask: Ask
    sign: Signer
    life: timedelta
    clock: Callable[[], datetime]
    changed: Callable[[], None] = lambda: None
    waits: str = field(default="", init=False)

    def advance(self) -> None:
        """Do all that can be done now; ``waits`` says what for.

        A crash between any two of these, and inside each, leaves the same step due again.
        """
        self.waits = ""
        now, old = self.clock(), key_files.current(self.home)
        self._announce(old, now)
        self._say_destroyed()
        said = self.units.run("mailer-key", lambda unit: rotate.known(unit, old.public))
        if now < said[0].expires and not self._vouched(said):
            self.waits = f"custodians to countersign the key in use again: {self.waits}"
            return
        early = now < said[0].expires - LEAD * self.life
        if early and key_files.following(self.home) is None:
            return
        if self._outlived(now):
            key_files.discard(self.home)  # custodians took longer than it would have stood
        new = key_files.begin(self.home)
        key = self._next(old, new, now)
        if not self._public(self._offered(key)):
            self.waits = "the log to hold the offer of the next key"
        elif not self._countersigned(key):
            self.waits = f"custodians to countersign the next key: {self.waits}"
        elif not self._public(self._in_use(key)):
            self.waits = "the log to hold the next key"
        elif not self._wrap(old, new):
            self.waits = "bundles that are still wrapped to the old key"
        elif now < said[0].expires + rotate.GRACE:
            self.waits = f"the old key's end, {said[0].expires:%Y-%m-%d %H:%M} UTC"
        else:
            self._destroy(old, said[0].expires)

    # -- steps ---------------------------------------------------------------------------------

    def _announce(self, key: KeyPair, now: datetime) -> None:
        """The key in use stands in the log for the epoch; the first needs nobody's word."""
        expires = stamp(now + self.life)

        def say(unit: Unit) -> None:
            for epoch in self._epochs():
                rotate.announce(unit, self.pen, epoch, key.public, expires, now)

        self.units.run("announce", say)

    def _vouched(self, said: Sequence[rotate.Known]) -> bool:
        """Whether tools believe the key in use; if not, present custodians are asked for it again.

        Who countersigned it may have left since. It is the same key that is asked for: who stayed
        gave its word on that for ever, and would give none on another one so soon.
        """
        newest = said[-1].facts
        if "countersignatures" not in newest:
            return True  # the first one, which the invite names
        key, given = Successor.of(newest), newest["countersignatures"]
        if self._enough(key, given):
            return True
        kept = key_files.collected(self.home, key_files.AGAIN)
        if kept.get("name") != named(key.public):
            kept = {"name": named(key.public), "countersignatures": {}}
        stayed = {id: one for id, one in given.items() if self._enough(key, {id: one}, 1)}
        kept["countersignatures"] = {**stayed, **kept["countersignatures"]}
        if not self._gathered(key, kept, key_files.AGAIN):
            return False

        def renew(unit: Unit) -> None:
            for epoch in self._epochs():
                rotate.renew(
                    unit, self.pen, epoch, key.public, kept["countersignatures"], self.clock()
                )

        self.units.run("key-again", renew)
        return True

    def _outlived(self, now: datetime) -> bool:
        """Whether the next key has ended before it was ever in use."""
        new, kept = key_files.following(self.home), key_files.collected(self.home)
        if new is None or not kept or Successor.of(kept["next"]).ends > now:
            return False
        return not self.units.run("next-key", lambda unit: rotate.known(unit, new.public))

    def _epochs(self) -> list[str]:
        """The epoch, and while two overlap the next one: lists are sealed for both."""
        return [self.invite[name] for name in ("epoch", "next_epoch") if self.invite.get(name)]

    def _next(self, old: KeyPair, new: KeyPair, now: datetime) -> Successor:
        """What is asked of custodians, fixed before anybody is asked."""
        kept = key_files.collected(self.home)
        if kept.get("name") != named(new.public):
            made = Successor(new.public, named(old.public), stamp(now + self.life))
            kept = {"name": named(new.public), "next": made.facts(), "countersignatures": {}}
            key_files.collect(self.home, kept)
            self.changed()
        return Successor.of(kept["next"])

    def _offered(self, key: Successor) -> str:
        def write(unit: Unit) -> str:
            rotate.offer(unit, self.pen, key, self.clock())
            return rotate.known(unit, key.public, "mailer-offer")[0].leaf

        return self.units.run("offer-key", write)

    def _countersigned(self, key: Successor) -> bool:
        """Gather countersignatures until there are enough; each is kept as it comes."""
        return self._gathered(key, key_files.collected(self.home), key_files.COLLECTED)

    def _gathered(self, key: Successor, kept: dict[str, Any], file: str) -> bool:
        """Ask present custodians that have not countersigned a key; whether enough have now."""
        if self._enough(key, kept["countersignatures"]):
            return True
        why = []
        for one in self.invite["custodians"]:
            id = str(one["id"])
            if id in kept["countersignatures"]:
                continue
            try:
                given = self.ask(id, self._asked(id, key)).get("signature")
            except CustodianProblem as problem:
                why.append(str(problem))
                continue
            if not self._enough(key, {id: given}, threshold=1):
                why.append(f"custodian {id} signed something else")
                continue
            kept["countersignatures"][id] = given
            key_files.collect(self.home, kept, file)
        self.waits = "; ".join(why)
        return self._enough(key, kept["countersignatures"])

    def _enough(
        self, key: Successor, signatures: Mapping[str, Any], threshold: int | None = None
    ) -> bool:
        publics = {one["id"]: bytes.fromhex(one["public"]) for one in self.invite["custodians"]}
        try:
            check_countersigned(
                key, signatures, publics, threshold or int(self.invite["threshold"])
            )
        except StatementRefused:
            return False
        return True

    def _asked(self, custodian: str, key: Successor) -> dict[str, Any]:
        def shown(unit: Unit) -> dict[str, Any]:
            found = {
                "offer": rotate.known(unit, key.public, "mailer-offer")[0].leaf,
                "predecessor": rotate.of_name(unit, key.predecessor)[-1].leaf,
            }
            proofs = {
                name: show.evidence(unit, leaf, self.log_files) for name, leaf in found.items()
            }
            return {name: dict(one.to_json()) for name, one in proofs.items() if one is not None}

        said = {
            "custodian": custodian,
            "expires": stamp(self.clock() + CALL),
            "next": key.facts(),
        }
        message = close("countersign", said, by="mailer", sign=self.sign)
        return {"call": message, **self.units.read("offer-evidence", shown)}

    def _in_use(self, key: Successor) -> str:
        kept = key_files.collected(self.home)
        more = {
            "predecessor": key.predecessor,
            "countersignatures": kept["countersignatures"],
        }

        def write(unit: Unit) -> str:
            now = self.clock()
            for epoch in self._epochs():
                rotate.announce(unit, self.pen, epoch, key.public, key.expires, now, **more)
            return rotate.known(unit, key.public)[0].leaf

        return self.units.run("key-in-use", write)

    def _public(self, leaf: str) -> bool:
        """Whether the log holds an entry under a published checkpoint."""
        found = self.units.read(
            "key-public", lambda unit: show.evidence(unit, leaf, self.log_files)
        )
        return found is not None

    def _wrap(self, old: KeyPair, new: KeyPair) -> bool:
        """Wrap some bundles anew; whether none is left. Only this process sees their keys."""
        name = named(old.public)
        for one in self.units.run("rewrap-due", lambda unit: rotate.due(unit, name, SLICE)):
            again = mailing.rewrap(one, old.private, new)

            def write(unit: Unit, one: rotate.Wrapped = one, again: bytes | None = again) -> None:
                if again is None:
                    rotate.leave_aside(unit, one)
                else:
                    rotate.keep(unit, one, again, named(new.public))

            # One statement replaces the wrapping: before it the old one works, after it the new.
            self.units.run("rewrap", write)
        return not self.units.run("rewrap-left", lambda unit: rotate.due(unit, name, 1))

    def _destroy(self, old: KeyPair, ended: datetime) -> None:
        name = named(old.public)
        if not self.units.run("shut-key", lambda unit: rotate.shut(unit, name, ended)):
            self.waits = "a list or a typed address that came in under the old key"
            return
        self.units.forget()  # nor do earlier wrappings stay in the database's log of changes
        key_files.change(self.home)
        self.changed()
        self._say_destroyed()

    def _say_destroyed(self) -> None:
        """For each key that takes in nothing and is no file of ours: it was deleted here."""
        here = {named(key_files.current(self.home).public)}
        following = key_files.following(self.home)
        here |= {named(following.public)} if following else set()

        def say(unit: Unit) -> None:
            for name in rotate.shut_keys(unit):
                if name not in here:
                    rotate.destroyed(unit, self.pen, name, self.clock())

        self.units.run("key-destroyed", say)


# -- the process -----------------------------------------------------------------------------------


def rotation() -> Rotation:
    """This process's own."""
    here, invite = process(), process().invite()
    home = here.settings.mailer_home
    seed = read_key(home / "signing.key")
    listed = invite["custodians"]
    assert isinstance(listed, list)
    addresses = {str(one["id"]): CustodianAddress.of(one) for one in listed}

    def ask(custodian: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with httpx.Client(trust_env=False) as client:
            return call(client, addresses[custodian], "/countersign", body, tries=1, seconds=30)

    return Rotation(
        home=home,
        units=here.units,
        log_files=here.log_files,
        pen=pen("mailer", seed),
        invite=invite,
        ask=ask,
        sign=Ed25519PrivateKey.from_private_bytes(seed).sign,
        life=timedelta(days=here.settings.mailer_key_days),
        clock=here.clock,
        changed=lambda: mailing.hold_keys(home),
    )


_waits: list[str] = [""]


@app.task(name="rotate")  # type: ignore[untyped-decorator]
def run() -> None:
    """Take the next step of following this machine's key by another. Repeatable."""
    try:
        turn = rotation()
        turn.advance()
        if turn.waits != _waits[0]:
            _waits[0] = turn.waits
            if turn.waits:
                print(f"mailer: its next key waits for {turn.waits}", flush=True)  # noqa: T201
    finally:
        relay.answered("rotate")
