"""A plan of several letters: proposed once, asked for letter by letter on the right day.

Nothing here approves, freezes or sends. A letter of a programme becomes a campaign of its own by
`draft` and `approve.submit`, with the gate, the checks, the caps and the log of any other; and each
source's signature over its manifest is still made on that source's own computer.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from consortium.service import agree, approve, choose, draft, keep_free
from consortium.service.errors import NotReady, WrongState
from consortium.service.proofread import USUAL, Look
from consortium.store import campaigns, programmes, races
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from mailer.written import signed
from matching.nearest import Chart
from policies import caps, programme, silence
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.errors import ProgrammeRefused
from policies.programme import Letter, Programme, Rapid, Sending
from policies.wording import filled


@dataclass(frozen=True, slots=True)
class Asking:
    """With what a letter is asked for: local words by slot; a rapid one also from which day."""

    words: Mapping[str, str] = field(default_factory=dict)
    first: date | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A programme as its partners and its coordinator see it.

    state: proposed (somebody has not said yes), approved, held (somebody said no), replaced
    (another was proposed in its place: nothing of it goes any more).
    """

    id: str
    name: str
    state: str
    digest: str
    document: bytes
    answers: list[programmes.Answer]
    made: list[programmes.Made]
    planned: tuple[Sending, ...]
    rapid: tuple[str, ...]


def propose(
    unit: Unit,
    caller: Caller,
    race: str,
    document: Mapping[str, Any],
    *,
    artefacts: Artefacts,
    now: datetime,
) -> str:
    """Keep a plan for the partners to say yes to; every letter compiles with its usual words.

    Returns:
        The programme's id.

    Raises:
        Denied, ProgrammeRefused, TemplateRefused, DefinitionRefused.
    """
    require(caller, "draft", term=agree.term(unit, race, now))
    terms = agree.signed_terms(unit, race)
    definition = document.get("definition")
    if not isinstance(definition, Mapping):
        raise ProgrammeRefused("definition", "is not an object")
    normal = choose.normal_form(definition, artefacts, choose.snapshot(unit, []).attributes)
    raw = programme.to_bytes({**document, "definition": normal})
    made = programme.parse(raw, terms, races.get(unit, race).digest)
    if made.replaces and made.replaces not in {
        each.digest for each in programmes.listed(unit, race)
    }:
        raise ProgrammeRefused("replaces", "is no programme of this race")
    every: tuple[Letter | Rapid, ...] = (*made.letters, *made.rapid)
    for one in every:
        draft.compiled(terms, filled(one.template, one.slots, {}))
    id = str(uuid.uuid4())
    kept = programmes.Kept(id, race, caller.id, programme.digest(raw), raw, now)
    programmes.add(unit, kept)
    return id


def answer(unit: Unit, caller: Caller, id: str, *, yes: bool, digest: str, now: datetime) -> str:
    """A partner says yes to exactly these bytes, or no to whatever comes of them from now on.

    Returns:
        The programme's state.
    """
    kept = programmes.get(unit, id)
    parties = sorted(agree.parties(unit, kept.race))
    require(caller, "approve", partner=caller.partner or "", sources=parties)
    if caller.partner not in parties:
        raise WrongState("this partner has not joined that race")
    if yes and digest != kept.digest:
        raise WrongState("this yes is to other bytes than the programme's")
    if yes and kept.digest in _replaced(unit, kept.race):
        raise WrongState("another programme was proposed in the place of this one")
    programmes.answer(unit, programmes.Answer(id, caller.partner, yes, now))
    return state(unit, kept)


def veto(unit: Unit, caller: Caller, id: str, campaign: str, *, now: datetime) -> str:
    """A partner's no to one letter: it is stopped for good, and the programme is held.

    Returns:
        The programme's state.
    """
    if campaign not in {one.campaign for one in programmes.made_of(unit, id)}:
        raise Missing("that campaign did not come of this programme")
    approve.stop(unit, caller, campaign, now=now)
    return answer(unit, caller, id, yes=False, digest="", now=now)


def state(unit: Unit, kept: programmes.Kept) -> str:
    """``held`` when anybody's last word is no; ``approved`` when everybody's is yes."""
    if kept.digest in _replaced(unit, kept.race):
        return "replaced"
    said = {one.partner: one.yes for one in programmes.answers(unit, kept.id)}
    if not all(said.values()):
        return "held"
    return "approved" if agree.parties(unit, kept.race) <= set(said) else "proposed"


def _replaced(unit: Unit, race: str) -> set[str]:
    """Digests of plans in whose place others were proposed."""
    return {json.loads(one.document).get("replaces", "") for one in programmes.listed(unit, race)}


def view(unit: Unit, caller: Caller, id: str) -> View:
    """One programme with its days as they stand; partners' own days may have moved them."""
    require(caller, "see_campaign")
    kept = programmes.get(unit, id)
    terms, made = read(unit, kept)
    try:
        days = programme.planned(made, terms, keep_free.days(unit, kept.race))
    except ProgrammeRefused:
        days = ()  # days were kept since: ``ask`` says which letter has none left
    return View(
        kept.id,
        made.name,
        state(unit, kept),
        kept.digest,
        kept.document,
        programmes.answers(unit, id),
        programmes.made_of(unit, id),
        days,
        tuple(one.id for one in made.rapid),
    )


def views(unit: Unit, caller: Caller) -> list[View]:
    """Every programme of the race, newest first."""
    require(caller, "see_campaign")
    return [view(unit, caller, one.id) for one in readable(unit)]


def readable(unit: Unit) -> list[programmes.Kept]:
    """The race's programmes without those that an earlier version took and this one would not.

    Nothing can be asked for of such a one; it must not hide the others, or the calendar.
    """
    found = []
    for one in programmes.listed(unit, races.first(unit).id):
        with suppress(ProgrammeRefused):
            read(unit, one)
            found.append(one)
    return found


def due(unit: Unit, caller: Caller, id: str, now: datetime) -> list[str]:
    """Planned letters whose day to be asked for has come; also those that wait to be submitted."""
    require(caller, "see_campaign")
    kept = programmes.get(unit, id)
    terms, made = read(unit, kept)
    days = programme.planned(made, terms, keep_free.days(unit, kept.race))
    asked = {
        one.letter
        for one in programmes.made_of(unit, id)
        if campaigns.get(unit, one.campaign).state != "draft"
    }
    return [one.letter for one in programme.due(days, asked, caps.local_day(terms, now))]


def ask(
    units: Units,
    caller: Caller,
    id: str,
    letter: str,
    asking: Asking,
    *,
    artefacts: Artefacts,
    clock: Callable[[], datetime],
    look: Look = USUAL,
    chart: Chart | None = None,
) -> str:
    """Draft one letter and ask the partners for it; again after a break goes on where it was.

    Returns:
        The campaign's id.

    Raises:
        NotReady: not everybody has said yes to the programme, or somebody said no since.
        WrongState: it is not this letter's day, or it was asked for before.
        ProgrammeRefused, and whatever ``draft`` and ``approve.submit`` raise.
    """

    def begin(unit: Unit) -> str:
        return _begin(unit, caller, id, letter, asking, artefacts, clock(), chart)

    campaign = units.run("programme-ask", begin)
    approve.submit(units, caller, campaign, artefacts=artefacts, clock=clock, look=look)
    return campaign


def _begin(
    unit: Unit,
    caller: Caller,
    id: str,
    letter: str,
    asking: Asking,
    artefacts: Artefacts,
    now: datetime,
    chart: Chart | None,
) -> str:
    kept = programmes.get(unit, id)
    require(caller, "draft", term=agree.term(unit, kept.race, now))
    if state(unit, kept) != "approved":
        raise NotReady("not every partner's last word on this programme is yes")
    terms, made = read(unit, kept)
    one = made.letter(letter)
    template = filled(one.template, one.slots, asking.words, terms.candidates)
    before = [each for each in programmes.made_of(unit, id) if each.letter == letter]
    if before and (open_ := _still_draft(unit, before[-1], template)):
        return open_
    window = _window(unit, terms, made, one, asking.first, len(before), now)
    campaign = draft.draft(
        unit,
        caller,
        kept.race,
        draft.Proposed(made.definition, template, made.messenger, window),
        artefacts=artefacts,
        now=now,
        chart=chart,
    )
    turn = programmes.Made(campaign, id, letter, len(before) + 1, dict(asking.words), now)
    programmes.made(unit, turn)
    return campaign


def _still_draft(unit: Unit, made: programmes.Made, template: Mapping[str, Any]) -> str:
    """The campaign of a turn that broke off between drafting and submitting, with these words."""
    one = campaigns.get(unit, made.campaign)
    if one.state != "draft":
        return ""
    same = {**signed(one.template), "facts": None} == {**signed(template), "facts": None}
    if not same:
        raise WrongState("this letter is drafted with other words: submit that draft, or stop it")
    return one.id


def _window(
    unit: Unit,
    terms: Agreement,
    made: Programme,
    one: Letter | Rapid,
    first: date | None,
    turns: int,
    now: datetime,
) -> dict[str, str]:
    """When a letter may leave that is asked for now.

    Raises:
        WrongState: it is not its day, or it has had its turns.
    """
    if isinstance(one, Rapid):
        if turns >= one.most:
            raise WrongState(f"this letter may be used {one.most} times, and was")
        spoken = silence.ripe(terms, now, rapid=True) if terms.silence else now
        soonest = caps.local_day(terms, spoken) + timedelta(days=1)
        if first is None or first < soonest:
            raise WrongState(f"its first day is {soonest} or later, so that partners can say no")
        return programme.rapid_window(terms, one, first)
    if turns:
        raise WrongState("this letter was asked for already; each goes once")
    days = programme.planned(made, terms, keep_free.days(unit, made.race))
    for each in programme.due(days, (), caps.local_day(terms, now)):
        if each.letter == one.id:
            return programme.window(terms, each.first, each.last)
    when = next(each for each in days if each.letter == one.id)
    raise WrongState(f"this letter is asked for from {when.ask} on, and before {when.first}")


def read(unit: Unit, kept: programmes.Kept) -> tuple[Agreement, Programme]:
    """The agreement in force, and a programme held against it."""
    terms = agree.signed_terms(unit, kept.race)
    return terms, programme.parse(kept.document, terms, races.get(unit, kept.race).digest)
