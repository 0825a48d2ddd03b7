"""A partner's standing word for a programme, kept here; what its tool may sign by it, and when.

Silence counts on this computer alone: hours begin when this tool first saw exactly this letter, and
the letter is made again from the programme's kept bytes, so that whatever the server says of it
is held against what this partner said yes to. No custodian judges silence; each still asks
for this partner's signature, which nobody but this tool makes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from consortium.cli import approving
from consortium.cli.agreeing import Signed
from consortium.cli.api import Api, moment, unbase64
from consortium.cli.approving import Asked
from consortium.cli.errors import CheckRefused
from consortium.cli.home import SLUG, Home, Json
from consortium.cli.vault import write_whole
from policies import programme, silence
from policies.agreement import Agreement
from policies.programme import Letter, Programme, Rapid
from policies.wording import Slot

BREAK = timedelta(hours=24)
"""Counted hours between two looks after which a letter's silence begins again; for short ones half
of what is asked for."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A programme as the server shows it, its bytes checked against agreement and digest."""

    id: str
    state: str
    digest: str
    document: bytes
    read: Programme
    came: Mapping[str, tuple[str, Mapping[str, str]]]
    """By campaign: the letter that it is said to be, and the words that it is said to hold."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter of a programme that this partner said yes to: from when on silence is a yes."""

    asked: Asked
    programme: Offered
    letter: str
    ripe: datetime


def offered(api: Api, signed: Signed) -> list[Offered]:
    """Every programme that the server shows, each read strictly.

    Raises:
        CheckRefused, ProgrammeRefused: a digest is of other bytes, or the bytes are no programme.
    """
    answer = api.get("/programmes")
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise CheckRefused("the server's list of programmes is not a list")
    return [_offered(one, signed) for one in answer]


def _offered(one: Json, signed: Signed) -> Offered:
    document = unbase64(one.get("document"))
    digest = programme.digest(document)
    if one.get("digest") != digest:
        raise CheckRefused("the digest shown is not the digest of the programme shown")
    read = programme.parse(document, signed.agreement, signed.digest)
    came = {
        str(each["campaign"]): (str(each["letter"]), _words(each.get("words")))
        for each in one.get("campaigns") or ()
    }
    return Offered(str(one.get("id")), str(one.get("state")), digest, document, read, came)


def _words(raw: Any) -> dict[str, str]:
    if not isinstance(raw, dict) or not all(isinstance(said, str) for said in raw.values()):
        raise CheckRefused("the words said to be in a letter are no texts by slot")
    return raw


def described(one: Offered, signed: Signed) -> list[str]:
    """Everything that a yes to a programme would cover, in words."""
    read, hours = one.read, signed.agreement.silence
    days = {each.letter: each for each in programme.planned(read, signed.agreement)}
    places = read.definition["places"]
    where = "; ".join(f"{kind} {', '.join(codes)}" for kind, codes in sorted(places.items()))
    lines = [f"Programme {read.name} ({one.id})", f"  Who      your members in {where}"]
    signs = ", ".join(read.messenger.values()) or "each by the nearest volunteer who confirmed"
    lines += [f"  Signed   by {signs}" if read.messenger else f"  Signed   {signs}"]
    every: tuple[Letter | Rapid, ...] = (*read.letters, *read.rapid)
    for each in every:
        lines += _letter_lines(each, days)
    if hours is None:
        lines += ["Each letter still waits for your yes: this agreement knows none by silence."]
    else:
        lines += [
            f"Your tool signs each letter {hours.hours} h after it first saw it "
            f"({hours.rapid_hours} h for rapid response), unless somebody says no. Weekends, "
            "holidays and hours in which this computer looked at nothing do not count; for "
            "rapid response nights do not."
        ]
    if read.replaces:
        lines += [f"Nothing of the programme {read.replaces[:16]}... goes by silence any more."]
    return [*lines, f"SHA-256 {one.digest}"]


def _letter_lines(one: Letter | Rapid, days: Mapping[str, programme.Sending]) -> list[str]:
    if isinstance(one, Letter):
        at = days[one.id]
        lines = [f"  {one.id} ({one.step}): {at.first} to {at.last}, or up to 3 days earlier"]
    else:
        lines = [f"  {one.id} (rapid response): at most {one.most} times, {one.span} days each"]
    lines += [f"    {text}" for text in _texts(one.template)]
    return lines + [line for slot in one.slots.values() for line in _slot_lines(slot)]


def _slot_lines(slot: Slot) -> list[str]:
    also = [f"may name {', '.join(slot.names)}"] if slot.names else []
    also += ["may say days and hours"] if slot.times else []
    lines = [
        f'[[{slot.name}]]: local words, at most {slot.most} characters; usually "{slot.usual}"'
    ]
    return [f"    {line}" for line in (*lines, *also)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    inner: Sequence[Any] = ()
    if isinstance(value, dict):
        inner = [each for key, each in sorted(value.items()) if key != "kind"]
    elif isinstance(value, list):
        inner = value
    return [line for each in inner for line in _texts(each)]


def keep_word(home: Home, one: Offered) -> None:
    """Remember a yes to exactly these bytes, and under which id they were shown."""
    if not SLUG.fullmatch(one.id):
        raise CheckRefused("the programme's id is no id")
    _forget_seen(home, one)
    if one.read.replaces:
        _word(home, one.read.replaces).unlink(missing_ok=True)
    write_whole(_word(home, one.digest), one.document)
    write_whole(_named(home, one.id), one.digest.encode())


def drop_word(home: Home, name: str) -> bool:
    """Take back the yes to a programme, named by its id or by a campaign that came of it.

    What this computer kept decides, not what the server shows now. Returns whether there was one.
    """
    known = _named(home, name)
    if not SLUG.fullmatch(name) or not known.exists():
        return False
    file = _word(home, known.read_text())
    there = file.exists()
    file.unlink(missing_ok=True)
    return there


def _word(home: Home, digest: str) -> Path:
    return home.path / "programmes" / f"{digest}.json"


def _named(home: Home, name: str) -> Path:
    return home.path / "programmes" / "named" / name


def waiting(api: Api, signed: Signed, one: Offered, campaign: Json) -> Waiting:
    """Check that a campaign is a letter that this partner said yes to once; since when it is seen.

    Raises:
        CheckRefused: no standing word here, somebody said no, or the letter has had its turns.
        ProgrammeRefused, ManifestRefused: it is another letter than was approved.
    """
    home = api.home
    kept = _word(home, one.digest)
    if not kept.exists() or programme.digest(kept.read_bytes()) != one.digest:
        raise CheckRefused("you gave no standing word for this programme: read it and say yes")
    if one.state != "approved":
        _forget_seen(home, one)
        raise CheckRefused(f"the programme is {one.state}: nothing of it goes by silence")
    asked = approving.examine(campaign, signed, home)
    if asked.template is None:
        raise CheckRefused("the server does not show the letter; nothing signed")
    letter, words = one.came[asked.id]
    programme.fits(
        one.read, signed.agreement, letter, words, manifest=asked.manifest, template=asked.template
    )
    _turns_left(home, one, letter, asked.id)
    # From here on a stop of this campaign takes the standing word back, too.
    write_whole(_named(home, asked.id), one.digest.encode())
    rapid = isinstance(one.read.letter(letter), Rapid)
    seen = _seen(home, asked, signed.agreement, api.clock(), rapid=rapid)
    return Waiting(asked, one, letter, silence.ripe(signed.agreement, seen, rapid=rapid))


def _seen(home: Home, asked: Asked, terms: Agreement, now: datetime, *, rapid: bool) -> datetime:
    """Since when this computer has looked at exactly this manifest without a long break.

    A computer that was off for days has shown nothing to anybody: its hours begin again.
    """
    file = _seen_file(home, asked.id)
    known: Json = json.loads(file.read_bytes()) if file.exists() else {}
    first = now
    if known.get("digest") == asked.digest:
        gap = silence.counted(terms, moment(known["last"]), now, rapid=rapid)
        if gap <= min(silence.needed(terms, rapid=rapid) / 2, BREAK):
            first = moment(known["first"])
    told = {"digest": asked.digest, "first": _stamp(first), "last": _stamp(now)}
    write_whole(file, json.dumps(told).encode())
    return first


def _forget_seen(home: Home, one: Offered) -> None:
    """Somebody said no: should it be taken back, the hours of every letter begin again."""
    for campaign in one.came:
        if SLUG.fullmatch(campaign):
            _seen_file(home, campaign).unlink(missing_ok=True)


def _seen_file(home: Home, campaign: str) -> Path:
    return home.path / "programmes" / "seen" / campaign


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _turns(home: Home, one: Offered, letter: str) -> Path:
    return home.path / "programmes" / "turns" / f"{one.digest}.{letter}.json"


def _turns_left(home: Home, one: Offered, letter: str, campaign: str) -> None:
    file, what = _turns(home, one, letter), one.read.letter(letter)
    used = json.loads(file.read_bytes()) if file.exists() else []
    most = what.most if isinstance(what, Rapid) else 1
    if campaign not in used and len(used) >= most:
        raise CheckRefused("this letter of the programme has had its turns; it needs your own yes")


def sign(api: Api, one: Waiting) -> str:
    """Sign a letter whose silence is over; the turn is kept before. Returns the leaf in hex."""
    if api.clock() < one.ripe:
        raise CheckRefused("the time to say no is not over")
    file = _turns(api.home, one.programme, one.letter)
    used = json.loads(file.read_bytes()) if file.exists() else []
    if one.asked.id not in used:
        write_whole(file, json.dumps([*used, one.asked.id]).encode())
    return approving.approve(api, one.asked)
