"""Who answers and what waits: the operator's one look at an installation."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import httpx

from consortium.service import agree, halted, show, thaw, unusable, vet
from consortium.store import campaigns, log, races, texts
from consortium.store.unit import Unit
from consortium.wiring import Process

SECONDS = 3.0
MOST = 1024
OPEN = ("submitted", "approved", "frozen", "attested", "logged", "sending", "paused")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is true now; no figure in it is about a person."""

    log_size: int
    published: datetime | None
    promised: int
    quorum: int
    witnesses: dict[str, bool]
    custodians: dict[str, bool]
    threshold: int
    campaigns: dict[str, str]
    frozen: list[str]
    uncosigned: int = 0
    missing: list[str] = field(default_factory=list)
    halted: str = ""
    unusable: dict[str, str] = field(default_factory=dict)
    red: dict[str, str] = field(default_factory=dict)
    """By partner, why no letter begins from its sending domain."""

    def lines(self) -> list[str]:
        """For a person: what stands, who is missing, what that stops."""
        at = f"{self.published:%Y-%m-%d %H:%M:%S} UTC" if self.published else "never"
        return [
            f"log: {self.log_size:,} entries, last cosigned {at}; {self.promised:,} promised",
            *([f"NOTHING IS PUBLISHED OR SENT: {self.halted}"] if self.halted else []),
            _roll("witnesses", self.witnesses, self.quorum, "nothing is published or sent"),
            *(
                [f"{self.uncosigned:,} entries are written and wait for a quorum of witnesses:"]
                if self.uncosigned
                else []
            ),
            *(f"  no cosignature by {one}" for one in self.missing),
            _roll("custodians", self.custodians, self.threshold, "no list goes in, no row opens"),
            *(f"campaign {id} waits for {why}" for id, why in self.campaigns.items()),
            *(f"the list of {partner} is frozen: {thaw.WHY}" for partner in self.frozen),
            *(f"{id} cannot be matched: {why}" for id, why in self.unusable.items()),
            *(f"no letter from {one} begins: {why}" for one, why in self.red.items()),
        ]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "published": self.published and self.published.isoformat()}


def _roll(name: str, answering: dict[str, bool], needed: int, else_: str) -> str:
    missing = sorted(one for one, there in answering.items() if not there)
    there = len(answering) - len(missing)
    words = f"{name}: {there} of {len(answering)} answer, {needed} are needed"
    if missing:
        words += f"; missing: {', '.join(missing)}"
    return words + (f"; until then {else_}" if there < needed else "")


def standing(process: Process) -> Standing:
    """Look at the log, ask who is there, and say what waits."""

    def read(
        unit: Unit,
    ) -> tuple[Any, show.LogView, int, dict[str, str], list[str], str, dict[str, dict[str, str]]]:
        waiting = {
            one.id: one.waiting_for or f"nothing, it is {one.state}"
            for one in campaigns.listed(unit, states=OPEN)
        }
        head = show.log_head(unit, process.log_files)
        invite = json.loads(texts.get(unit, "invite"))
        cold = thaw.frozen(unit, races.first(unit).id)
        why = halted.halted(unit)
        promised = len(log.pending(unit, MOST))
        said = {"unusable": unusable.listed(unit), "red": _red(unit)}
        return invite, head, promised, waiting, cold, why, said

    invite, head, promised, waiting, cold, why, bad = process.units.run("status", read)
    return Standing(
        log_size=head.size,
        published=head.published,
        promised=promised,
        quorum=invite["quorum"],
        witnesses={one["name"]: _answers(one["url"]) for one in invite["witnesses"]},
        custodians={one["id"]: _answers(one["url"]) for one in invite["custodians"]},
        threshold=invite["threshold"],
        campaigns=waiting,
        frozen=cold,
        uncosigned=head.waits.entries if head.waits else 0,
        missing=list(head.waits.missing) if head.waits else [],
        halted=why,
        **bad,
    )


def _red(unit: Unit) -> dict[str, str]:
    """The partners whose sending domains receivers would refuse, and why."""
    terms = agree.terms(unit, races.first(unit).id)
    said = {one.id: vet.red(unit, terms, [one.id], unit.now) for one in terms.parties}
    return {partner: why for partner, why in said.items() if why}


def _answers(url: str) -> bool:
    """Whether anything answers there; a 404 is an answer."""
    try:
        httpx.get(url, timeout=SECONDS, trust_env=False)
    except (httpx.TransportError, httpx.UnsupportedProtocol):
        return False
    return True
