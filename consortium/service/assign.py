"""Who signs for whom: every voter of the roll has a messenger, whoever is on a list.

A letter's messenger and the day on which it may leave follow from the roll, the noised size of the
campaign, what volunteers said, and the mailer's own draw for a voter. Nothing of it follows from a
list, a stop or another letter: otherwise a partner whose staff gets a letter from the second
nearest, or a day later, would know that many others are written to around there. What a place was
given stays for the race; only the voters of whoever took their name back go to the next nearest.
"""

import hashlib
import hmac
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeAlias

from consortium.service import choose, keep_free, lend
from consortium.service.errors import EntryMisfits, NotReady
from consortium.service.post_office import PostOffice, hold
from consortium.store import campaigns, deliveries, messengers, neighbours
from consortium.store.unit import Unit
from matching import engine
from matching.nearest import Chart, Spot, ranked
from matching.sharing import WHOLE, Piece, share_out, whose
from policies import caps
from policies.agreement import Agreement

SLACK = 0.7
"""Share of a daily limit that is planned with: how many letters a day really gets is by chance."""
UNSIGNED = "its messenger took their name back"
SLICE = 1_000

Whole: TypeAlias = Mapping[tuple[str, str], Sequence[tuple[int, str]]]
"""By ZIP and precinct: where each messenger's voters start."""


@dataclass(frozen=True, slots=True)
class Signers:
    """Says whose name a voter's letter of one campaign carries, and from which day it may leave."""

    race: str
    campaign: str
    who: Mapping[str, Spot]  # those who may sign it, by id
    whole: Whole
    days: Mapping[str, Sequence[date]]
    chart: Chart
    key: bytes = field(repr=False)

    def __call__(self, zip: str, precinct: str, person: int) -> tuple[str, date | None]:
        """The messenger's id, "" when the campaign's own one is not known here; and the day."""
        if not self.who:
            return "", None
        pieces = self.whole.get((zip, precinct))
        id = whose(pieces, self._draw("messenger", self.race, person)) if pieces else ""
        if id not in self.who:
            id = ranked(Spot(zip, precinct), self.who, self.chart)[0]
        days = self.days.get(id)
        return id, _one_of(days, self._draw("day", self.campaign, person)) if days else None

    def _draw(self, about: str, where: str, person: int) -> int:
        text = f"{about}/v1\0{where}|{person}".encode()
        return int.from_bytes(hmac.digest(self.key, text, hashlib.sha256)[:4], "big")


def _one_of(days: Sequence[date], draw: int) -> date:
    return days[draw * len(days) // WHOLE]


def signers(office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> Signers:
    """Give every voter of a campaign's places a messenger, once, and say who signs for whom.

    Raises:
        NotReady: everybody who may sign it took their name back.
    """
    asked, whole = office.units.read("signers-look", lambda unit: _asked(unit, one))
    known = {id: each for id, each in asked.items() if each.confirmed}
    if not known and (asked or nearest(one)):
        raise NotReady(lend.TAKEN_BACK)
    who = {id: Spot(each.zip, each.precinct) for id, each in known.items()}
    days = _free_days(office, one, terms)
    limited = [each for each in known.values() if each.daily]
    needs = _needs(office, one) if limited or nearest(one) else {}
    chart = Chart()
    mine: Whole = {}
    if nearest(one):
        chart = office.chart()
        mine = _settle(office, one, needs, known, whole, len(days), chart)
    loads = _loads(needs, mine, who, chart)
    spread = {
        each.id: days[: max(1, math.ceil(loads[each.id] / (SLACK * each.daily)))]
        for each in limited
    }
    return Signers(one.race, one.id, who, mine, spread, chart, office.keys.choice)


def nearest(one: campaigns.Campaign) -> bool:
    """Whether each letter of a campaign is signed by the nearest of several."""
    return "messengers" in (one.manifest or {})


def signs(unit: Unit, one: campaigns.Campaign, messenger: str) -> Mapping[str, str]:
    """The name and the place that a letter is signed with.

    Raises:
        EntryMisfits: nobody approved that this name signs.
    """
    if not messenger:
        return dict(one.template["messenger"])
    each = messengers.get(unit, messenger)
    found = {"name": each.name, "place": each.place}
    if found not in lend.signers(one):
        raise EntryMisfits("whoever would sign is not among those who were approved")
    return found


def resting(unit: Unit, terms: Agreement, now: datetime) -> dict[str, int]:
    """How many letters may still leave today in each messenger's name; 0 once they took it back.

    Whoever has no limit, and lends their name, is not in it.
    """
    listed = messengers.listed(unit, terms.race.id)
    limited = [one.id for one in listed if one.daily and one.confirmed]
    signed = deliveries.signed_since(unit, limited, caps.day_began(terms, now))
    return {
        one.id: max(0, one.daily - signed.get(one.id, 0)) if one.confirmed else 0
        for one in listed
        if one.daily or not one.confirmed
    }


def hand_on(office: PostOffice, one: campaigns.Campaign, terms: Agreement, fence: int) -> None:
    """Give letters whose messenger took their name back to the next nearest; others stay.

    Raises:
        NotReady: nobody who may sign is left.
    """

    def waiting(unit: Unit) -> list[deliveries.Delivery]:
        gone = [each.id for each in messengers.listed(unit, one.race) if not each.confirmed]
        return deliveries.waiting_for_signers(unit, one.id, gone) if gone else []

    if not nearest(one) or not (left := office.units.read("hand-on-look", waiting)):
        return
    sign = signers(office, one, terms)
    for start in range(0, len(left), SLICE):
        part = left[start : start + SLICE]
        office.units.run("hand-on", lambda u, part=part: _hand(office, u, one, fence, part, sign))  # type: ignore[misc]


def _hand(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    fence: int,
    part: Sequence[deliveries.Delivery],
    sign: Signers,
) -> None:
    hold(office, unit, one.id, fence)
    for letter in part:
        zip_, precinct = (str(letter.place.get(name, "")) for name in ("zip", "precinct"))
        deliveries.sign_anew(unit, letter.id, *sign(zip_, precinct, letter.person))


def _asked(unit: Unit, one: campaigns.Campaign) -> tuple[dict[str, messengers.Messenger], Whole]:
    """Those whom a campaign's approval names, as far as they are known; and whose each place is."""
    names = {(each["name"], each["place"]) for each in lend.signers(one)}
    listed = messengers.listed(unit, one.race)
    found = {each.id: each for each in listed if (each.name, each.place) in names}
    return found, neighbours.listed(unit, one.race)


def _free_days(office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> list[date]:
    """The days from today to the end of the window on which letters may leave; at least today."""
    kept = office.units.read("signers-days", lambda unit: keep_free.days(unit, one.race))
    first = caps.local_day(terms, office.clock())
    closes = datetime.fromisoformat(one.template["window"]["closes"].replace("Z", "+00:00"))
    span = max(0, (caps.local_day(terms, closes) - first).days)
    every = [first + timedelta(days=n) for n in range(span + 1)]
    return [day for day in every if day not in kept and day not in terms.blackout] or [first]


def _needs(office: PostOffice, one: campaigns.Campaign) -> dict[Spot, float]:
    """Letters that each ZIP and precinct is expected to need: the noised size, spread as the roll.

    That a list is denser in one place than in another shows in none of it.
    """
    try:
        attributes = office.units.read("signers-roll", lambda u: choose.snapshot(u, []).attributes)
    except NotReady:
        return {}
    with office.artefacts.open(attributes) as path:
        homes = engine.homes({"places": one.definition["places"]}, path)
    every = max(1, sum(homes.values()))
    size = max(0, one.estimate or 0)
    return {Spot(*spot): size * count / every for spot, count in homes.items()}


def _loads(
    needs: Mapping[Spot, float], whole: Whole, who: Mapping[str, Spot], chart: Chart
) -> Counter[str]:
    """Letters that each messenger is expected to sign."""
    found: Counter[str] = Counter()
    for spot, need in needs.items():
        pieces = whole.get((spot.zip, spot.precinct), [(0, ranked(spot, who, chart)[0])])
        for piece, id in _cut(spot, pieces):
            found[id] += need * (piece.end - piece.start) / WHOLE  # type: ignore[assignment]
    return found


def _cut(spot: Spot, pieces: Sequence[tuple[int, str]]) -> list[tuple[Piece, str]]:
    ends = [start for start, _ in pieces[1:]] + [WHOLE]
    return [
        (Piece(spot.zip, spot.precinct, start, end), id)
        for (start, id), end in zip(pieces, ends, strict=True)
    ]


def _settle(
    office: PostOffice,
    one: campaigns.Campaign,
    needs: Mapping[Spot, float],
    known: Mapping[str, messengers.Messenger],
    whole: Whole,
    days: int,
    chart: Chart,
) -> Whole:
    """Give what no messenger has yet, or one who took their name back had, to the nearest."""
    gone = office.units.read("signers-gone", lambda unit: _gone(unit, one.race))
    who = {id: Spot(each.zip, each.precinct) for id, each in known.items()}
    open_, kept = _parted(needs, whole, gone)
    if not open_:
        return whole
    rooms = {
        id: SLACK * each.daily * days - kept[id] if each.daily else math.inf
        for id, each in known.items()
    }
    given: dict[Spot, list[tuple[int, str]]] = defaultdict(list)
    for piece, id in share_out(open_, who, rooms, chart).items():
        given[piece.spot].append((piece.start, id))

    def write(unit: Unit) -> Whole:
        now_is = neighbours.listed(unit, one.race)
        for spot, new in given.items():
            place = (spot.zip, spot.precinct)
            if now_is.get(place, []) == list(whole.get(place, [])):  # or another mailer was first
                stay = [each for each in whole.get(place, []) if each[1] not in gone]
                neighbours.put(unit, one.race, *place, _joined([*stay, *new]))
        return neighbours.listed(unit, one.race)

    return office.units.run("signers", write)


def _gone(unit: Unit, race: str) -> frozenset[str]:
    return frozenset(one.id for one in messengers.listed(unit, race) if not one.confirmed)


def _parted(
    needs: Mapping[Spot, float], whole: Whole, gone: frozenset[str]
) -> tuple[dict[Piece, float], Counter[str]]:
    """What is to be given away, with the letters that it needs; and what each has already."""
    open_: dict[Piece, float] = {}
    kept: Counter[str] = Counter()
    for spot, need in needs.items():
        for piece, id in _cut(spot, whole.get((spot.zip, spot.precinct), [(0, "")])):
            part = need * (piece.end - piece.start) / WHOLE
            if id == "" or id in gone:
                open_[piece] = part
            else:
                kept[id] += part  # type: ignore[assignment]
    return open_, kept


def _joined(pieces: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Pieces in order, without cuts between two of one messenger."""
    found: list[tuple[int, str]] = []
    for start, id in sorted(pieces):
        if not found or found[-1][1] != id:
            found.append((start, id))
    return found


Sign: TypeAlias = Callable[[str, str, int], tuple[str, date | None]]
