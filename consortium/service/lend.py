"""A volunteer lends their name to letters, and takes it back."""

import hashlib
import secrets
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from consortium.service import agree, hear_back
from consortium.service.errors import WrongState
from consortium.store import begun, campaigns, deliveries, messengers, races
from consortium.store.unit import Unit, Units
from policies.authorise import Caller, require

LONGEST = 80
MOST = 200
"""Messengers whom one campaign may name; who approves it reads them all."""
MOST_DAILY = 10_000
UNDER_WAY = ("submitted", "approved", "frozen", "attested", "logged", "sending")
TAKEN_BACK = "the volunteer who signs, who took their name back"


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who was asked; ``state`` is asked, confirmed or refused."""

    name: str
    place: str
    state: str
    daily: int = 0


@dataclass(frozen=True, slots=True)
class Lending:
    """What a volunteer is asked to lend: shown whole before they say anything."""

    name: str
    place: str
    race: str
    until: datetime
    senders: tuple[str, ...]  # From lines exactly as letters spell them
    state: str
    near: str = ""  # the ZIP and the precinct that are kept, in words
    daily: int = 0  # letters a day at most; 0 is no limit


def invite(
    unit: Unit,
    caller: Caller,
    race: str,
    *,
    name: str,
    place: str,
    now: datetime,
    zip: str = "",
    precinct: str = "",
    daily: int = 0,
) -> tuple[str, str]:
    """Name a volunteer and make the link with which they alone answer.

    Asked again before they answered, the old link ends. Somebody who said no is not asked again:
    only the link that they hold can change it.

    Args:
        zip, precinct: where they live, as the roll spells it, so that the nearest can be found;
            no letter shows them. Asked again, what is given replaces what was.
        daily: letters a day in their name at most, 0 for no limit; they may change it.

    Returns:
        The messenger's id and the link's token, which is shown once: its hash is kept.

    Raises:
        WrongState: they have answered already, or the name or place is empty or too long.
    """
    require(caller, "draft", term=agree.term(unit, race, now))
    name, place = plain(name), plain(place)
    zip, precinct = _zip(zip), plain(precinct) if precinct.strip() else ""
    _daily(daily)
    known = messengers.named(unit, race, name, place)
    if known is not None and known.confirmed:
        raise WrongState("this volunteer has confirmed already")
    if known is not None and known.refused:
        raise WrongState("this volunteer said no; only the link that they hold can change it")
    token = secrets.token_urlsafe(24)
    if known is not None:
        messengers.change(unit, known.id, confirmed=None, refused=None, token_hash=_hash(token))
        messengers.move(unit, known.id, zip=zip, precinct=precinct)
        messengers.limit(unit, known.id, daily)
        return known.id, token
    new = messengers.Messenger(
        str(uuid4()), race, name, place, None, None, _hash(token), zip, precinct, daily
    )
    messengers.add(unit, new)
    return new.id, token


def show(unit: Unit, token: str) -> Lending:
    """What will be signed in the name of whoever holds this link; ``Missing`` if nobody does."""
    one = by_link(unit, token)
    terms = agree.terms(unit, one.race)
    return Lending(
        one.name,
        one.place,
        terms.race.name,
        terms.closes,
        tuple(
            agree.FROM_NAME.format(messenger=one.name, partner=party.name)
            for party in sorted(terms.parties, key=lambda party: party.name)
        ),
        _state(one),
        ", ".join([*([f"ZIP {one.zip}"] if one.zip else []), *filter(None, [one.precinct])]),
        one.daily,
    )


def by_link(unit: Unit, token: str) -> messengers.Messenger:
    """Who holds a link; ``Missing`` if nobody does."""
    return messengers.by_token(unit, _hash(token))


def confirm(unit: Unit, token: str, now: datetime, daily: int | None = None) -> None:
    """The volunteer lends their name, for so many letters a day. Again changes the limit alone.

    Raises:
        Missing: nobody was asked with that link.
        WrongState: the limit is no number of letters.
    """
    one = by_link(unit, token)
    if daily is not None:
        messengers.limit(unit, one.id, _daily(daily))
    if one.confirmed is None:
        messengers.change(unit, one.id, confirmed=now, refused=None, token_hash=one.token_hash)
    if one.daily if daily is None else daily:
        for each in signed_by(unit, one, (*UNDER_WAY, "paused")):
            begun.slow_down(unit, each.id)


def refuse(unit: Unit, token: str, now: datetime) -> None:
    """The volunteer says no, or takes it back: every letter in their name that waits is held.

    Letters that others sign go on; those that were to be signed by this one go to the next nearest
    whom the partners approved, and a campaign that has nobody else is paused.
    """
    one = by_link(unit, token)
    if one.refused is None:
        messengers.change(unit, one.id, confirmed=None, refused=now, token_hash=one.token_hash)
    for each in signed_by(unit, one, UNDER_WAY):
        if not _lent(unit, each):
            campaigns.change(
                unit, each.id, state="paused", before_pause=each.state, waiting_for=TAKEN_BACK
            )


def refuse_and_wait(
    units: Units,
    token: str,
    now: datetime,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """As ``refuse``; answers only once no letter in their name is between claim and outcome.

    A letter that was looked at a moment before may still be at its final dot. One that is only
    claimed is looked at again before it leaves, so that a slow batch is waited for no longer.
    """
    units.run("refuse-to-lend", lambda unit: refuse(unit, token, now))
    end = time.monotonic() + hear_back.PATIENCE
    while time.monotonic() < end and units.read("lend-flight", lambda u: _in_flight(u, token)):
        sleep(0.05)


def _in_flight(unit: Unit, token: str) -> bool:
    return deliveries.being_signed(unit, by_link(unit, token).id)


def signed_by(
    unit: Unit, one: messengers.Messenger, states: tuple[str, ...]
) -> list[campaigns.Campaign]:
    """Campaigns in these states that may go in somebody's name."""
    signed = {"name": one.name, "place": one.place}
    listed = campaigns.listed(unit, states=states)
    return [each for each in listed if each.race == one.race and signed in signers(each)]


def signers(one: campaigns.Campaign) -> list[Mapping[str, str]]:
    """Everybody in whose name letters of a campaign may go, as its approval names them."""
    manifest: Mapping[str, Any] = one.manifest or {}
    return list(manifest.get("messengers", [one.template["messenger"]]))


def everybody(unit: Unit, race: str) -> list[dict[str, str]]:
    """All who confirmed, in the one order that a manifest has.

    Raises:
        WrongState: nobody did, or more than a campaign may name.
    """
    found = [
        {"name": one.name, "place": one.place}
        for one in messengers.listed(unit, race)
        if one.confirmed
    ]
    if not 0 < len(found) <= MOST:
        raise WrongState(
            f"letters of the nearest messenger need 1 to {MOST} volunteers who confirmed; "
            f"there are {len(found)}"
        )
    return sorted(found, key=lambda one: (one["name"], one["place"]))


def may_sign(unit: Unit, one: campaigns.Campaign) -> None:
    """Check that a campaign has somebody who signs: its one messenger, or any of several.

    Raises:
        WrongState: it has not, and what to do.
    """
    if not one.template.get("nearest"):
        lent(unit, one.race, one.template["messenger"])
    elif one.manifest is None:
        everybody(unit, one.race)
    elif not _lent(unit, one):
        raise WrongState("everybody who was to sign has taken their name back")


def _lent(unit: Unit, one: campaigns.Campaign) -> bool:
    """Whether anybody whom a campaign names lends their name."""
    known = (messengers.named(unit, one.race, each["name"], each["place"]) for each in signers(one))
    return any(each is not None and each.confirmed for each in known)


def lent(unit: Unit, race: str, messenger: dict[str, str]) -> None:
    """Check that whoever is named as signing a letter has confirmed it, and not taken it back.

    Raises:
        WrongState: they have not, and what to do.
    """
    one = messengers.named(unit, race, messenger["name"], messenger["place"])
    if one is None or one.confirmed is None:
        raise WrongState(
            "whoever signs has not confirmed that name and place for this race; "
            "invite them, and they confirm with their own link"
        )


def asked(unit: Unit, caller: Caller) -> list[Asked]:
    """Everybody who was asked in this race, for the coordinator."""
    require(caller, "draft", term=agree.term(unit, (race := races.first(unit).id), unit.now))
    return [
        Asked(one.name, one.place, _state(one), one.daily) for one in messengers.listed(unit, race)
    ]


def plain(text: str) -> str:
    """A name or a place with single spaces, or ``WrongState``."""
    found = " ".join(text.split())
    if not found or len(found) > LONGEST or not found.isprintable():
        raise WrongState(f"a name and a place have 1 to {LONGEST} letters each")
    # A wide @ shows as one does: what a name looks like counts, as compatibility forms spell it.
    if set(unicodedata.normalize("NFKC", found)) & set('<>@"\\'):
        raise WrongState('a name and a place have none of < > @ " \\: no From line could carry it')
    return found


def _zip(typed: str) -> str:
    found = typed.strip()
    if found and not (len(found) == 5 and found.isascii() and found.isdigit()):
        raise WrongState("a ZIP has five digits")
    return found


def _daily(limit: int) -> int:
    if not 0 <= limit <= MOST_DAILY:
        raise WrongState(f"a daily limit is 1 to {MOST_DAILY:,} letters, or 0 for none")
    return limit


def _state(one: messengers.Messenger) -> str:
    return "confirmed" if one.confirmed else "refused" if one.refused else "asked"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
