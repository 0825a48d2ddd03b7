"""What the pages ask of the service about plans of several letters."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from consortium.service import oversee, programme, proofread, suggest
from consortium.store.unit import Unit
from consortium.web.counter import Counter
from policies.authorise import Caller


class PlanDesk(Counter):
    """Each method opens the units that its verb needs."""

    def programmes(self, caller: Caller) -> Any:
        """Every plan of letters, newest first."""
        now = self._state.clock()
        return self._units.run("programmes", lambda unit: oversee.boards(unit, caller, now))

    def programme(self, caller: Caller, id: str) -> Any:
        """One plan of letters, and how it stands."""
        now = self._state.clock()
        return self._units.run("programme", lambda unit: oversee.board(unit, caller, id, now))

    def refuse_programme(self, caller: Caller, id: str, campaign: str = "") -> None:
        """A partner's no to a plan, and to one letter of it, which is stopped for good."""
        now = self._state.clock()

        def say(unit: Unit) -> str:
            if campaign:
                return programme.veto(unit, caller, id, campaign, now=now)
            return programme.answer(unit, caller, id, yes=False, digest="", now=now)

        self._units.run("programme-no", say)

    def ask_letter(
        self, caller: Caller, id: str, letter: str, words: Mapping[str, str], first: date | None
    ) -> None:
        """Ask the partners for one letter of a plan."""
        programme.ask(
            self._units,
            caller,
            id,
            letter,
            programme.Asking(words, first),
            artefacts=self._state.artefacts,
            clock=self._state.clock,
            look=proofread.Look(str(self._state.settings.public_url)),
            chart=suggest.chart_of(self._state.settings),
        )
