"""A programme: several letters over weeks, each relative to a deadline, said yes to once.

A programme sends nothing and opens nothing. On its day each letter becomes a campaign of its own,
with manifest, approvals, attestations and intent like any other. What a partner approves here is
only what its own tool may later sign for it without asking again, and only where the agreement
says so (``silence``).
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import rfc8785

from policies import silence
from policies.agreement import Agreement
from policies.errors import AgreementRefused, ProgrammeRefused
from policies.strict import Strict, day, no_twins, pattern, text
from policies.wording import MOST, NAME, Slot, check_marks, check_slot, filled, spelled

VERSION = 1
STEPS = frozenset({"invite", "ask", "plan", "remind", "thank"})
DEADLINES = ("registration", "ballot_drop", "early_vote", "polls")
LARGEST = 2**19
"""Bytes of a programme's document at most."""
SLACK = 3
"""Days by which a letter may leave earlier than planned, so that letters do not crowd."""
SLOT_KEYS = (("most", "usual"), ("names", "times"))
"""Keys of a slot: those it must have, and those it may."""
_ID = re.compile(r"[a-z0-9-]{1,40}\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_NO_DIGEST = "is not a digest of 64 hex characters"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter of the plan; ``days`` from its deadline to its first day, negative before it."""

    id: str
    step: str
    deadline: str
    days: int
    span: int
    template: Mapping[str, Any]
    slots: Mapping[str, Slot]


@dataclass(frozen=True, slots=True)
class Rapid:
    """A letter kept ready for what nobody can plan; at most ``most`` times, ``span`` days each."""

    id: str
    most: int
    span: int
    template: Mapping[str, Any]
    slots: Mapping[str, Slot]


@dataclass(frozen=True, slots=True)
class Programme:
    """What partners approve once.

    avoid: days on which other news would drown a letter; none leaves on its account.
    lead_days: from asking the partners for a letter to its first day.
    replaces: the digest of a plan of which nothing goes any more, or "".
    """

    race: str
    agreement: str
    name: str
    definition: Mapping[str, Any]
    messenger: Mapping[str, str]
    deadlines: Mapping[str, date]
    avoid: tuple[date, ...]
    lead_days: int
    letters: tuple[Letter, ...]
    rapid: tuple[Rapid, ...]
    replaces: str = ""

    def letter(self, id: str) -> Letter | Rapid:
        """One letter, planned or kept ready; raises ``ProgrammeRefused`` when there is none."""
        every: tuple[Letter | Rapid, ...] = (*self.letters, *self.rapid)
        for one in every:
            if one.id == id:
                return one
        raise ProgrammeRefused("letter", "is not in this programme")


@dataclass(frozen=True, slots=True)
class Sending:
    """When a planned letter is asked for, and its first and last day, in the race's time zone."""

    letter: str
    ask: date
    first: date
    last: date


def digest(document: bytes) -> str:
    """The SHA-256, in hex, of a programme's exact bytes."""
    return hashlib.sha256(document).hexdigest()


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a programme's document, RFC 8785."""
    try:
        return rfc8785.dumps(dict(document))
    except (rfc8785.CanonicalizationError, RecursionError) as refused:
        raise ProgrammeRefused("document", "has no canonical JSON") from refused


def parse(document: bytes, agreement: Agreement, agreement_digest: str) -> Programme:
    """Read a programme and hold it against the agreement that it names.

    Raises:
        ProgrammeRefused: names the key.
    """
    if len(document) > LARGEST:
        raise ProgrammeRefused("document", f"is larger than {LARGEST} bytes")
    try:
        raw = json.loads(document.decode(), object_pairs_hook=no_twins)
    except (UnicodeDecodeError, ValueError, RecursionError) as refused:
        raise ProgrammeRefused("document", "is not one JSON object") from refused
    try:
        made = _read(raw)
    except AgreementRefused as refused:
        raise ProgrammeRefused(refused.key, refused.reason) from refused
    _check_whole(made, agreement, agreement_digest)
    return made


def planned(
    programme: Programme, agreement: Agreement, kept: Collection[date] = ()
) -> tuple[Sending, ...]:
    """Give each letter its days: spread so that one person can get each of them.

    The last letter keeps its day, since deadlines bind at the end; each one before it moves up to
    ``SLACK`` days earlier until the week's cap has room between them. Of the days that do, the ones
    with the most free days win, then the ones closest to the plan.

    Args:
        kept: days on which a partner writes to its own members.

    Raises:
        ProgrammeRefused: names a letter for which there are no such days.
    """
    closed = {*kept, *agreement.blackout, *programme.avoid}
    gap = timedelta(days=7 // agreement.caps.letters_per_week + 1)
    found: list[Sending] = []
    for one in reversed(programme.letters):
        until = found[-1].first - gap if found else None
        found.append(_days(programme, agreement, one, closed, until))
    return tuple(reversed(found))


def due(sendings: Sequence[Sending], asked: Collection[str], today: date) -> list[Sending]:
    """Planned letters for which the partners are to be asked today, soonest first.

    One whose first day has come unasked is not due any more: nobody had the time to say no.
    """
    return [one for one in sendings if one.letter not in asked and one.ask <= today < one.first]


def window(agreement: Agreement, first: date, last: date) -> dict[str, str]:
    """The campaign's window from the beginning of the first day to the end of the last, UTC."""
    zone = ZoneInfo(agreement.race.time_zone)
    opens, closes = (
        datetime.combine(at, time(0), zone).astimezone(UTC) for at in (first, last + _DAY)
    )
    opens, closes = max(opens, agreement.opens), min(closes, agreement.closes)
    if not opens < closes:
        raise ProgrammeRefused("window", "lies outside the agreement's dates")
    return {"opens": _stamp(opens), "closes": _stamp(closes)}


def rapid_window(agreement: Agreement, letter: Rapid, first: date) -> dict[str, str]:
    """The window of a letter kept ready, from a day on."""
    return window(agreement, first, first + (letter.span - 1) * _DAY)


def fits(
    programme: Programme,
    agreement: Agreement,
    id: str,
    words: Mapping[str, str],
    *,
    manifest: Mapping[str, Any],
    template: Mapping[str, Any],
) -> timedelta:
    """Check that a campaign is a letter of this programme and differs by bounded words alone.

    Args:
        id: the letter that it is said to be.
        words: the local words that it is said to hold; not believed, the letter is made again.
        manifest: already held against the agreement (``approvals.check_against``).
        template: the signed parts of the letter whose digest is in the manifest.

    Returns:
        How long nobody may have said no before a partner's own tool says yes (``silence.ripe``).

    Raises:
        ProgrammeRefused: names what differs, or that the agreement knows no silence.
    """
    letter = programme.letter(id)
    needed = silence.needed(agreement, rapid=isinstance(letter, Rapid))
    made = filled(letter.template, letter.slots, words, agreement.candidates)
    held = {
        "agreement": (manifest["agreement"], programme.agreement),
        "race": (manifest["race"], programme.race),
        "definition": (manifest["definition"], programme.definition),
        "template": (_stated(template), _stated(made)),
        "messenger": ("messengers" in manifest, not programme.messenger),
    }
    if programme.messenger:
        held["messenger"] = (manifest["messenger"], programme.messenger)
    for name, (here, approved) in held.items():
        if here != approved:
            raise ProgrammeRefused(name, "is not what was approved once")
    if dict(manifest["window"]) not in _windows(programme, agreement, letter):
        raise ProgrammeRefused("window", "is not among the days that were approved once")
    return needed


def _windows(
    programme: Programme, agreement: Agreement, letter: Letter | Rapid
) -> list[dict[str, str]]:
    """Every window that a letter may have, whatever days partners keep."""
    if isinstance(letter, Letter):
        aim = _aim(programme, letter)
        firsts = [aim - n * _DAY for n in range(SLACK + 1)]
    else:
        count = (agreement.closes.date() - agreement.opens.date()).days
        firsts = [agreement.opens.date() + n * _DAY for n in range(-1, count + 2)]
    found = []
    for first in firsts:
        try:
            found.append(window(agreement, first, first + (letter.span - 1) * _DAY))
        except ProgrammeRefused:
            continue  # outside the agreement: no campaign has it
    return found


def _days(
    programme: Programme, agreement: Agreement, one: Letter, closed: set[date], until: date | None
) -> Sending:
    aim = _aim(programme, one)
    best: tuple[int, int] | None = None
    for back in range(SLACK + 1):
        span = [aim + (n - back) * _DAY for n in range(one.span)]
        free = sum(each not in closed for each in span)
        fits_before = until is None or span[-1] <= until
        if free and fits_before and (best is None or free > best[0]):
            best = (free, back)
    if best is None:
        raise ProgrammeRefused(
            f"letters.{one.id}",
            f"has no free day up to {SLACK} days before its own that leaves room for the next "
            "letter: move it, or shorten it",
        )
    first = aim - best[1] * _DAY
    ask = silence.latest_ask(agreement, first, programme.lead_days)
    return Sending(one.id, ask, first, first + (one.span - 1) * _DAY)


def _aim(programme: Programme, one: Letter) -> date:
    return programme.deadlines[one.deadline] + one.days * _DAY


def _stated(template: Mapping[str, Any]) -> dict[str, Any]:
    """A letter's words; not which table of places fills its facts, which is newer each week."""
    return {
        name: value for name, value in template.items() if name != "facts" and value is not None
    }


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(raw: object) -> Programme:
    keys = ("version", *(name for name in Programme.__dataclass_fields__ if name != "replaces"))
    at = Strict("", raw, keys, ("replaces",))
    at.number("version", VERSION, VERSION)
    messenger = at.raw["messenger"]
    if messenger != {}:
        signs = at.inner("messenger", ("name", "place"))
        messenger = {name: signs.text(name, 200) for name in ("name", "place")}
    if not isinstance(at.raw["definition"], dict):
        raise ProgrammeRefused("definition", "is not an object")
    deadlines = at.inner("deadlines", ("polls",), DEADLINES)
    return Programme(
        race=at.match("race", _ID, "is not an id"),
        agreement=at.match("agreement", _HEX64, _NO_DIGEST),
        name=at.text("name", 120),
        definition=at.raw["definition"],
        messenger=messenger,
        deadlines={one: day(f"deadlines.{one}", found) for one, found in deadlines.raw.items()},
        avoid=at.each("avoid", day),
        lead_days=at.number("lead_days", 1, 21),
        letters=_listed(at, "letters", _letter),
        rapid=_listed(at, "rapid", _rapid),
        replaces=at.match("replaces", _HEX64, _NO_DIGEST) if "replaces" in at.raw else "",
    )


def _listed(at: Strict, name: str, read: Any) -> tuple[Any, ...]:
    values = at.raw[name]
    if not isinstance(values, list) or len(values) > 20:
        raise ProgrammeRefused(name, "is not a list of at most 20 letters")
    return tuple(read(f"{name}.{number}", value) for number, value in enumerate(values))


def _letter(where: str, value: Any) -> Letter:
    at = Strict(where, value, tuple(Letter.__dataclass_fields__))
    template, slots = _worded(at)
    return Letter(
        id=at.match("id", _ID, "is not 1-40 of a-z, 0-9, -"),
        step=at.one_of("step", STEPS),
        deadline=at.one_of("deadline", frozenset(DEADLINES)),
        days=at.number("days", -120, 30),
        span=at.number("span", 1, 7),
        template=template,
        slots=slots,
    )


def _rapid(where: str, value: Any) -> Rapid:
    at = Strict(where, value, tuple(Rapid.__dataclass_fields__))
    template, slots = _worded(at)
    return Rapid(
        id=at.match("id", _ID, "is not 1-40 of a-z, 0-9, -"),
        most=at.number("most", 1, 5),
        span=at.number("span", 1, 3),
        template=template,
        slots=slots,
    )


def _worded(at: Strict) -> tuple[Mapping[str, Any], dict[str, Slot]]:
    template = at.raw["template"]
    if not isinstance(template, dict) or "facts" in template:
        raise ProgrammeRefused(at.of("template"), "is not a letter without a table of places")
    slots: dict[str, Slot] = {}
    names = at.raw["slots"]
    if not isinstance(names, dict) or len(names) > 40:
        raise ProgrammeRefused(at.of("slots"), "is not an object of at most 40 slots")
    for name in names:
        where = at.of("slots")
        pattern(NAME, "has a slot whose name is not 1-30 of a-z, 0-9, _")(where, name)
        slots[name] = _slot(name, Strict(f"{where}.{name}", names[name], *SLOT_KEYS))
    check_marks(template, slots)
    return template, slots


def _slot(name: str, at: Strict) -> Slot:
    known: tuple[str, ...] = ()
    if "names" in at.raw:
        known = at.each("names", lambda where, value: spelled(text(where, value, 60)))
        if len(known) > 60:
            raise ProgrammeRefused(at.of("names"), "is not a list of at most 60 names")
    times = at.raw.get("times", False)
    if not isinstance(times, bool):
        raise ProgrammeRefused(at.of("times"), "is neither true nor false")
    return Slot(name, at.number("most", 1, MOST), at.text("usual", MOST), known, times)


def _check_whole(made: Programme, agreement: Agreement, agreement_digest: str) -> None:
    if (made.race, made.agreement) != (agreement.race.id, agreement_digest):
        raise ProgrammeRefused("agreement", "is not the agreement in force")
    if made.deadlines["polls"] != agreement.race.election_date:
        raise ProgrammeRefused("deadlines.polls", "is not the election's day")
    if not made.letters:
        raise ProgrammeRefused("letters", "is empty")
    ids = [one.id for one in made.letters] + [one.id for one in made.rapid]
    if len(set(ids)) != len(ids):
        raise ProgrammeRefused("letters", "names something twice")
    if sum(one.most for one in made.rapid) + len(made.letters) > agreement.caps.letters_per_race:
        most = agreement.caps.letters_per_race
        raise ProgrammeRefused("letters", f"are more than the {most} that one person may get")
    if agreement.silence and made.lead_days * 24 < agreement.silence.hours + 24:
        raise ProgrammeRefused(
            "lead_days", "leaves less than a day after the silence for checking rows and the log"
        )
    every: tuple[Letter | Rapid, ...] = (*made.letters, *made.rapid)
    for slot in (slot for each in every for slot in each.slots.values()):
        check_slot(slot, agreement.candidates)
    for one in made.letters:
        if one.deadline not in made.deadlines:
            raise ProgrammeRefused(f"letters.{one.id}", "names a deadline without a day")
        if one.days < 0 and -one.days < one.span:
            raise ProgrammeRefused(f"letters.{one.id}", "would still leave after its deadline")
        window(agreement, _aim(made, one), _aim(made, one) + (one.span - 1) * _DAY)
    aims = [_aim(made, one) for one in made.letters]
    if aims != sorted(aims):
        raise ProgrammeRefused("letters", "are not in the order of their days")
    planned(made, agreement)
