"""What campaigns and partners of one race must know of each other: one calendar, its clashes.

Everything here is of definitions, windows and named days, which partners see anyway, and of the
public roll. Nothing depends on a list.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import combinations
from typing import Any

from consortium.service import agree, choose, draft
from consortium.service.errors import NotReady
from consortium.store import campaigns, kept_days, races
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Unit
from matching import engine
from policies import caps
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.definition import FILTERS

OVER = ("stopped", "closed")
WEEK = timedelta(days=7)
Spots = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Day:
    """A day on which no letter leaves; ``partner`` keeps it, or "" for the agreement's own."""

    day: date
    partner: str
    name: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A campaign as it stands in the calendar."""

    id: str
    subject: str
    state: str
    opens: datetime
    closes: datetime
    places: dict[str, list[str]]
    free_days: int


@dataclass(frozen=True, slots=True)
class Clash:
    """Something that keeps people from getting a letter; ``campaigns`` in the order they send.

    kind: ``no_day`` (no day in the window on which letters may leave), ``week`` or ``race`` (more
    letters to the same places than the agreement's cap allows one person).
    """

    kind: str
    campaigns: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """One race's shared calendar, soonest first."""

    race: str
    time_zone: str
    election_date: date
    days: tuple[Day, ...]
    campaigns: tuple[Planned, ...]
    clashes: tuple[Clash, ...]


@dataclass(frozen=True, slots=True)
class _Aim:
    planned: Planned
    definition: Mapping[str, Any]


def calendar(unit: Unit, caller: Caller, *, artefacts: Artefacts) -> Calendar:
    """What is planned in the race, on which days nothing leaves, and what cannot be as planned.

    A partner sees the campaigns that ask the partners; the coordinator its drafts as well.

    Raises:
        Denied.
    """
    require(caller, "see_campaign")
    one = races.first(unit)
    terms = agree.terms(unit, one.id)
    days = _days(unit, terms, caps.local_day(terms, unit.now))
    closed = {each.day for each in days}
    aims = [
        _Aim(_planned(terms, each, closed), each.definition)
        for each in campaigns.listed(unit)
        if each.race == one.id and (caller.role != "partner" or each.manifest is not None)
    ]
    aims.sort(key=lambda aim: (aim.planned.opens, aim.planned.closes, aim.planned.id))
    return Calendar(
        one.id,
        terms.race.time_zone,
        terms.race.election_date,
        days,
        tuple(aim.planned for aim in aims if aim.planned.state not in OVER),
        tuple(_clashes(terms, aims, _where(unit, artefacts))),
    )


def urgency(terms: Agreement, one: campaigns.Campaign) -> tuple[Any, ...]:
    """Where a campaign stands among those that are due: the soonest election, then window, first.

    Whoever two letters would reach gets the one that can wait least, when a cap allows one.
    """
    closes = one.template["window"]["closes"]
    return terms.race.election_date, terms.race.polls_close, closes, one.scheduled or one.at, one.id


def ahead(unit: Unit, terms: Agreement, one: campaigns.Campaign, now: datetime) -> list[str]:
    """Campaigns of other races, under way beside this one, to which it has to give way.

    Those that can wait less, where a cap a week has no room for all of them. One that is paused, or
    outside its window, is waited for by nobody. It follows from states and windows, of no list.
    """

    def goes(each: campaigns.Campaign) -> bool:
        opens, closes = (
            draft.moment(each.template["window"], name) for name in ("opens", "closes")
        )
        due = each.scheduled is not None and each.scheduled <= now
        return due and opens <= now < closes

    beside = [
        each
        for each in campaigns.listed(unit, states=("logged", "sending"))
        if each.race != one.race and each.epoch == one.epoch and goes(each)
    ]
    mine = urgency(terms, one)
    first = [each.id for each in beside if urgency(agree.terms(unit, each.race), each) < mine]
    return first if 1 + len(first) > terms.caps.letters_per_week else []


def _days(unit: Unit, terms: Agreement, since: date) -> tuple[Day, ...]:
    names = {party.id: party.name for party in terms.parties}
    kept = kept_days.listed(unit, terms.race.id, since)
    found = [Day(each.day, each.partner, names.get(each.partner, each.partner)) for each in kept]
    found += [Day(day, "", "") for day in terms.blackout if day >= since]
    return tuple(sorted(found, key=lambda each: (each.day, each.partner)))


def _planned(terms: Agreement, one: campaigns.Campaign, closed: set[date]) -> Planned:
    opens, closes = (draft.moment(one.template["window"], name) for name in ("opens", "closes"))
    first, last = caps.local_day(terms, opens), caps.local_day(terms, closes)
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return Planned(
        one.id,
        str(one.template["subject"]),
        one.state,
        opens,
        closes,
        {kind: list(codes) for kind, codes in one.definition["places"].items()},
        sum(day not in closed for day in span),
    )


def _clashes(
    terms: Agreement, aims: Sequence[_Aim], where: Callable[[Mapping[str, Any]], Spots]
) -> Iterable[Clash]:
    live = [aim for aim in aims if aim.planned.state not in OVER]
    for aim in live:
        if not aim.planned.free_days:
            words = "no day of its window is free: choose a longer window, or ask for a day back"
            yield Clash("no_day", (aim.planned.id,), words)
    near = [pair for pair in combinations(live, 2) if _near(*pair) and _meet(*pair, where)]
    for pair in near:
        if 1 + max(sum(one in each for each in near) for one in pair) > terms.caps.letters_per_week:
            yield Clash(
                "week",
                _first_closing(pair),
                "both write to the same places within seven days, and one person gets at most "
                f"{terms.caps.letters_per_week} in a week: who is written to by the first gets "
                "nothing from the second",
            )
    for aim in live:
        before = [each for each in aims if each is not aim and _meet(aim, each, where)]
        counted = [each for each in before if each.planned.state != "stopped"]
        if len(counted) >= terms.caps.letters_per_race:
            words = (
                f"{len(counted)} other letters aim at the same places, and one person gets at most "
                f"{terms.caps.letters_per_race} in this race"
            )
            yield Clash("race", (aim.planned.id,), words)


def _first_closing(pair: tuple[_Aim, _Aim]) -> tuple[str, ...]:
    planned = sorted((aim.planned for aim in pair), key=lambda one: (one.closes, one.opens, one.id))
    return tuple(one.id for one in planned)


def _near(one: _Aim, other: _Aim) -> bool:
    gap = max(one.planned.opens, other.planned.opens) - min(
        one.planned.closes, other.planned.closes
    )
    return gap < WEEK


def _meet(one: _Aim, other: _Aim, where: Callable[[Mapping[str, Any]], Spots]) -> bool:
    """Whether the roll may have somebody whom both aim at."""
    for name in FILTERS:
        bands = [set(aim.definition.get(name, ())) for aim in (one, other)]
        if all(bands) and not bands[0] & bands[1]:
            return False
    return bool(where(one.definition) & where(other.definition))


def _where(unit: Unit, artefacts: Artefacts) -> Callable[[Mapping[str, Any]], Spots]:
    """Which ZIPs and precincts of the newest roll a definition's places touch."""
    try:
        attributes = choose.snapshot(unit, []).attributes
    except NotReady:
        return lambda definition: _named(definition["places"])

    @cache
    def spots(places: str) -> Spots:
        with artefacts.open(attributes) as path:
            return frozenset(engine.homes({"places": json.loads(places)}, path))

    return lambda definition: spots(json.dumps(definition["places"]))


def _named(places: Mapping[str, Sequence[str]]) -> Spots:
    return frozenset((kind, code) for kind, codes in places.items() for code in codes)
