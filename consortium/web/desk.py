"""Every question and deed of the pages, each one call of the service."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import Request

from consortium.service import (
    approve,
    choose,
    coordinate,
    hear_back,
    keep_free,
    lend,
    look,
    pass_on,
    read_over,
    show,
    sign_in,
    trail,
    withdraw,
)
from consortium.service.sign_in import SignedIn
from consortium.store import actors
from consortium.store.errors import Missing
from consortium.web.letter_desk import LetterDesk
from consortium.web.plan_desk import PlanDesk
from mailer import stops
from policies.authorise import Caller, require


class Desk(LetterDesk, PlanDesk):
    """What the pages ask of the service, for the process whose state it is given.

    Nothing is decided here. Each method opens the units that its verb needs.
    """

    def who(self, cookie: str) -> SignedIn:
        """Whose session it is, or ``NotSignedIn``."""
        now = self._state.clock()
        return self._units.run("who", lambda unit: sign_in.who(unit, cookie, now))

    def sign_in(self, token: str) -> SignedIn:
        """Spend a link, or ``NotSignedIn``."""
        now = self._state.clock()
        return self._units.run("sign-in", lambda unit: sign_in.sign_in(unit, token, now))

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._units.run("sign-out", lambda unit: sign_in.sign_out(unit, cookie))

    def race(self) -> Any:
        """The race, its people and its limits, for everybody."""
        return self._units.run("race", look.race)

    def budget(self, caller: Caller) -> Any:
        """Looks left."""
        now = self._state.clock()
        return self._units.run("budget", lambda unit: look.budget(unit, caller, now))

    def places(self, caller: Caller) -> Any:
        """What may be chosen."""
        artefacts = self._state.artefacts
        return self._units.run("places", lambda unit: choose.places(unit, caller, artefacts))

    def count(self, caller: Caller, race: str, definition: Mapping[str, Any]) -> Any:
        """One protected number."""
        return choose.count(
            self._units,
            caller,
            race,
            definition,
            artefacts=self._state.artefacts,
            clock=self._state.clock,
        )

    def calendar(self, caller: Caller) -> Any:
        """What is planned in the race, when nothing leaves, and what clashes."""
        artefacts = self._state.artefacts
        return self._units.run(
            "calendar", lambda unit: coordinate.calendar(unit, caller, artefacts=artefacts)
        )

    def own_days(self, caller: Caller, race: str) -> Any:
        """The days that a partner keeps free for itself."""
        return self._units.run("own-days", lambda unit: keep_free.own(unit, caller, race))

    def keep_day(self, caller: Caller, race: str, day: date) -> None:
        """No letter of the race leaves that day."""
        now = self._state.clock()
        self._units.run("keep-day", lambda unit: keep_free.keep(unit, caller, race, day, now))

    def give_day_back(self, caller: Caller, race: str, day: date) -> None:
        """Letters may leave that day after all."""
        self._units.run("give-back", lambda unit: keep_free.give_back(unit, caller, race, day))

    def lending(self, token: str) -> Any:
        """What whoever holds this link is asked to lend, or ``Missing``."""
        return self._units.run("lending", lambda unit: lend.show(unit, token))

    def letters_to_sign(self, token: str) -> Any:
        """The letters that may go in the name of whoever holds this link, or ``Missing``."""
        url = str(self._state.settings.public_url)
        return self._units.read("to-sign", lambda unit: read_over.read_over(unit, token, url))

    def lend(self, token: str, daily: int | None = None) -> None:
        """They lend their name, for so many letters a day, or ``Missing``."""
        now = self._state.clock()
        self._units.run("lend", lambda unit: lend.confirm(unit, token, now, daily))

    def refuse_to_lend(self, token: str) -> None:
        """They say no, or take it back, or ``Missing``; what is at its final dot is waited for."""
        lend.refuse_and_wait(self._units, token, self._state.clock())

    @property
    def backup_days(self) -> int:
        """Days after which no backup holds what was withdrawn."""
        return int(self._state.settings.backup_days)

    def contributions(self, caller: Caller) -> Any:
        """The caller's own lists."""
        return self._units.run("lists", lambda unit: look.contribution_list(unit, caller))

    def receipt(self, caller: Caller, id: str) -> Any:
        """One receipt as JSON."""
        backend = self._state.log_files
        return self._units.run("receipt", lambda unit: look.receipt(unit, caller, id, backend))

    def start_key(self, caller: Caller, public: str, code: str) -> None:
        """Remember a browser's key under a code."""
        require(caller, "approve")
        now = self._state.clock()
        self._units.run(
            "browser-key",
            lambda unit: actors.start_browser_key(unit, caller.id, public, code, now),
        )

    def waiting_key(self, caller: Caller, code: str) -> str:
        """The caller's own key behind a code, or ``Missing``."""
        actor, public = self._units.run("browser-key", lambda unit: actors.browser_key(unit, code))
        if actor != caller.id:
            raise Missing("no browser is waiting under that code")
        return public

    def own_key(self, caller: Caller) -> str:
        """The key that the caller was registered with."""
        return self._units.run("actor", lambda unit: actors.get(unit, caller.id)).public

    def vouch_key(self, code: str, signature: str) -> None:
        """Let a browser's key count."""
        self._units.run("browser-key", lambda unit: actors.vouch_browser_key(unit, code, signature))

    def approve(self, caller: Caller, id: str, entry: bytes, openings: Mapping[str, Any]) -> str:
        """A partner's yes; its leaf."""
        now = self._state.clock()
        return self._units.run(
            "approve",
            lambda unit: approve.approve(unit, caller, id, entry=entry, openings=openings, now=now),
        )

    def withdraw(
        self, caller: Caller, signed: Mapping[str, tuple[bytes, Mapping[str, Any]]]
    ) -> dict[str, str]:
        """Every bundle of an upload goes; their leaves."""
        return withdraw.upload(
            self._units,
            caller,
            signed,
            artefacts=self._state.artefacts,
            now=self._state.clock(),
        )

    def log(self) -> Any:
        """Size, checkpoint, witnesses."""
        backend = self._state.log_files
        return self._units.read("log", lambda unit: show.log_head(unit, backend))

    def entries(self, start: int, count: int) -> Any:
        """Entries from ``start``, oldest first."""
        return self._units.read("entries", lambda unit: show.entries(unit, start, count))

    def entry(self, index: int) -> Any:
        """One entry."""
        return self._units.read("entry", lambda unit: show.entry(unit, index))

    def by_code(self, code: str) -> int:
        """The index of the entry with this receipt code, or ``Missing``."""
        return self._units.read("by-code", lambda unit: show.by_code(unit, code))

    def proof(self, index: int) -> str:
        """Its proof as text."""
        backend = self._state.log_files
        return self._units.read("proof", lambda unit: show.proof(unit, index, backend))

    def recipient(self, capability: str) -> Any:
        """What one letter's link may show, or ``Missing``."""
        return self._units.run("recipient", lambda unit: trail.recipient(unit, capability))

    def visited(self, capability: str) -> None:
        """Somebody opened a page of a letter's, or ``Missing``."""
        now = self._state.clock()
        self._units.run("visited", lambda unit: hear_back.visit(unit, capability, now))

    def letter_receipt(self, capability: str) -> bytes:
        """A receipt of one letter's way, or ``Missing``."""
        state = self._state
        return trail.receipt(self._units, capability, state.log_files, state.artefacts).to_bytes()

    def ask_stop(self, address: str, scope: str) -> None:
        """Seal an address that was typed, at once, and keep it for the mailer."""
        backend, now = self._state.log_files, self._state.clock()
        key = self._units.read("mailer-key", lambda unit: show.mailer_key(unit, backend))
        sealed = stops.seal_typed(key, address, scope)
        self._units.run("ask-stop", lambda unit: hear_back.ask(unit, sealed, now))

    def hear_stop(self, capability: str, scope: str) -> None:
        """Stop letters to whoever got this link, or ``Missing``; waits for one in flight."""
        hear_back.stop_and_wait(self._units, capability, scope, self._state.clock())

    def waiting_reply(self, token: str) -> Any:
        """What is asked under a reply's link, or ``Missing``."""
        return self._units.run("waiting-reply", lambda unit: pass_on.show(unit, token))

    def answer_reply(self, token: str, *, yes: bool) -> None:
        """Its writer says whether it may be passed on, or ``Missing``."""
        self._units.run("answer-reply", lambda unit: pass_on.answer(unit, token, yes=yes))

    def reply_box(self, token: str) -> Any:
        """Where a messenger's replies go, as far as their link may say, or ``Missing``."""
        return self._units.run("reply-box", lambda unit: pass_on.show_box(unit, token))

    def type_reply_box(self, token: str, address: str) -> None:
        """Seal the address that a messenger typed, at once; empty: replies go nowhere."""
        state, now, sealed = self._state, self._state.clock(), None
        if address:
            key = self._units.read("mailer-key", lambda u: show.mailer_key(u, state.log_files))
            sealed = stops.seal_typed(key, address, pass_on.BOX)
        self._units.run("type-box", lambda unit: pass_on.type_box(unit, token, sealed, now))

    def asked_box(self, token: str) -> Any:
        """Whose address is asked about under a link, or ``Missing``."""
        return self._units.run("asked-box", lambda unit: pass_on.asked_box(unit, token))

    def prove_box(self, token: str, *, yes: bool) -> None:
        """Whoever reads an address lets replies come there, or not, or ``Missing``."""
        self._units.run("prove-box", lambda unit: pass_on.prove_box(unit, token, yes=yes))


def desk(request: Request) -> Desk:
    """The desk of this application."""
    state = request.app.state
    if not hasattr(state, "desk"):
        state.desk = Desk(state)
    made: Desk = state.desk
    return made
