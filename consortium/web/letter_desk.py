"""What the pages ask of the service about letters: written, tried out, asked for, moved, held."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from consortium.service import (
    approve,
    draft,
    lend,
    look,
    preview,
    proofread,
    report,
    show,
    suggest,
    try_out,
)
from consortium.service.draft import Proposed
from consortium.web.counter import Counter
from mailer import stops
from policies.authorise import Caller


class LetterDesk(Counter):
    """Each method opens the units that its verb needs."""

    def draft(self, caller: Caller, race: str, asked: Proposed) -> str:
        """Keep a draft; its id."""
        now, artefacts = self._state.clock(), self._state.artefacts
        chart = None if asked.messenger else suggest.chart_of(self._state.settings)
        return self._units.run(
            "draft",
            lambda unit: draft.draft(
                unit, caller, race, asked, artefacts=artefacts, now=now, chart=chart
            ),
        )

    def nearest(self, caller: Caller, race: str, definition: Mapping[str, Any]) -> Any:
        """Who may sign, the nearest to an audience first."""
        artefacts, chart = self._state.artefacts, suggest.chart_of(self._state.settings)
        return self._units.run(
            "nearest",
            lambda unit: suggest.suggest(
                unit, caller, race, definition, artefacts=artefacts, chart=chart
            ),
        )

    def invite_messenger(
        self,
        caller: Caller,
        race: str,
        *,
        name: str,
        place: str,
        zip: str = "",
        precinct: str = "",
        daily: int = 0,
    ) -> str:
        """Name who might sign; the link to hand them, shown once."""
        now, url = self._state.clock(), str(self._state.settings.public_url)
        _, token = self._units.run(
            "invite-messenger",
            lambda unit: lend.invite(
                unit,
                caller,
                race,
                name=name,
                place=place,
                zip=zip,
                precinct=precinct,
                daily=daily,
                now=now,
            ),
        )
        return f"{url}/messenger/{token}"

    def messengers(self, caller: Caller) -> Any:
        """Who was asked to sign letters, and what they said."""
        return self._units.run("messengers", lambda unit: lend.asked(unit, caller))

    def own_draft(self, caller: Caller, id: str) -> tuple[Any, str]:
        """A draft that the caller may change, and its mark."""
        now = self._state.clock()
        found = self._units.run("own-draft", lambda unit: draft.own(unit, caller, id, now))
        return found, draft.mark(found)

    def change_draft(self, caller: Caller, id: str, asked: Proposed, *, was: str) -> None:
        """Put other words into a draft."""
        now, artefacts = self._state.clock(), self._state.artefacts
        chart = None if asked.messenger else suggest.chart_of(self._state.settings)
        self._units.run(
            "change-draft",
            lambda unit: draft.change(
                unit, caller, id, asked, was=was, artefacts=artefacts, now=now, chart=chart
            ),
        )

    def sketch(
        self,
        caller: Caller,
        race: str,
        template: Mapping[str, Any],
        messenger: Mapping[str, str],
        *,
        language: str = "",
        at: tuple[str, str] = ("", ""),
    ) -> Any:
        """A letter that is not kept yet, to a made-up person."""
        url, artefacts = str(self._state.settings.public_url), self._state.artefacts
        now = self._state.clock()
        return self._units.run(
            "sketch",
            lambda unit: preview.sketch(
                unit,
                caller,
                race,
                template,
                messenger,
                url,
                artefacts=artefacts,
                now=now,
                language=language,
                at=at,
            ),
        )

    def look_over(
        self, caller: Caller, race: str, template: Mapping[str, Any], messenger: Mapping[str, str]
    ) -> Any:
        """What is found of a letter that is not kept yet."""
        now, look, artefacts = self._state.clock(), self._look, self._state.artefacts
        return self._units.read(
            "look-over",
            lambda unit: proofread.sketch(
                unit, caller, race, template, messenger, look, artefacts=artefacts, now=now
            ),
        )

    def preview(
        self,
        caller: Caller,
        id: str,
        *,
        language: str = "",
        at: tuple[str, str] = ("", ""),
        arm: int = 1,
    ) -> Any:
        """A kept letter to a made-up person, in one language, at one place, of one arm."""
        url, artefacts = str(self._state.settings.public_url), self._state.artefacts
        return self._units.run(
            "preview",
            lambda unit: preview.preview(
                unit,
                caller,
                id,
                url,
                artefacts=artefacts,
                language=language,
                at=at,
                arm=arm,
            ),
        )

    def campaigns(self, caller: Caller) -> Any:
        """All that the caller may see."""
        return self._units.run("campaigns", lambda unit: look.campaign_list(unit, caller))

    def campaign(self, caller: Caller, id: str) -> Any:
        """One of them."""
        return self._units.run("campaign", lambda unit: look.campaign(unit, caller, id))

    def submit(self, caller: Caller, id: str) -> None:
        """Ask the partners."""
        approve.submit(
            self._units,
            caller,
            id,
            artefacts=self._state.artefacts,
            clock=self._state.clock,
            look=self._look,
        )

    def checks(self, caller: Caller, id: str) -> Any:
        """What was looked at before anybody approves."""
        now, look = self._state.clock(), self._look
        return self._units.read("proof", lambda unit: proofread.proof(unit, caller, id, look, now))

    @property
    def _look(self) -> proofread.Look:
        return proofread.Look(str(self._state.settings.public_url))

    def schedule(self, caller: Caller, id: str) -> None:
        """Let it go, after the hold."""
        hold = timedelta(seconds=float(self._state.settings.hold_seconds))
        now = self._state.clock()
        self._units.run(
            "schedule", lambda unit: approve.schedule(unit, caller, id, hold=hold, now=now)
        )

    def pause(self, caller: Caller, id: str) -> None:
        """Hold it."""
        self._units.run("pause", lambda unit: approve.pause(unit, caller, id))

    def resume(self, caller: Caller, id: str) -> None:
        """Go on."""
        self._units.run("resume", lambda unit: approve.resume(unit, caller, id))

    def stop(self, caller: Caller, id: str) -> None:
        """Stop it for good."""
        now = self._state.clock()
        self._units.run("stop", lambda unit: approve.stop(unit, caller, id, now=now))

    def figures(self, caller: Caller, id: str) -> Any:
        """What became of it, as far as it was asked before."""
        return self._units.run("figures", lambda unit: report.told(unit, caller, id))

    def ask_figures(self, caller: Caller, id: str) -> None:
        """Draw the figures of a closed campaign once; they are charged to the race."""
        report.outcomes(self._units, caller, id, clock=self._state.clock)

    def own_box(self, caller: Caller) -> str:
        """How far the caller's own address is."""
        return self._units.read("own", lambda unit: try_out.own(unit, caller))

    def type_own_box(self, caller: Caller, address: str) -> None:
        """Seal the caller's own address at once, and have it asked."""
        state, now = self._state, self._state.clock()
        key = self._units.read("mailer-key", lambda unit: show.mailer_key(unit, state.log_files))
        sealed = stops.seal_typed(key, address, try_out.OWN)
        self._units.run("own", lambda unit: try_out.type_box(unit, caller, sealed, now))

    def order_test(self, caller: Caller, id: str) -> None:
        """Send a letter to its author's own address."""
        now = self._state.clock()
        self._units.run("test", lambda unit: try_out.order(unit, caller, id, now))

    def asked_own_box(self, token: str) -> Any:
        """Whose address is asked about under a link, or ``Missing``."""
        return self._units.run("asked-own", lambda unit: try_out.asked_box(unit, token))

    def prove_own_box(self, token: str, *, yes: bool) -> None:
        """Whoever reads an address lets letters come there, or not, or ``Missing``."""
        self._units.run("prove-own", lambda unit: try_out.prove_box(unit, token, yes=yes))
