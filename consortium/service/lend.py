"""A volunteer lends their name to letters, and takes it back."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from consortium.service import agree
from consortium.service.errors import WrongState
from consortium.store import campaigns, messengers, races
from consortium.store.unit import Unit
from policies.authorise import Caller, require

LONGEST = 80
UNDER_WAY = ("submitted", "approved", "frozen", "attested", "logged", "sending")
TAKEN_BACK = "the volunteer who signs, who took their name back"


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who was asked; ``state`` is asked, confirmed or refused."""

    name: str
    place: str
    state: str


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
) -> tuple[str, str]:
    """Name a volunteer and make the link with which they alone answer.

    Asked again before they answered, the old link ends. Somebody who said no is not asked again:
    only the link that they hold can change it.

    Args:
        zip, precinct: where they live, as the roll spells it, so that the nearest can be found;
            no letter shows them. Asked again, what is given replaces what was.

    Returns:
        The messenger's id and the link's token, which is shown once: its hash is kept.

    Raises:
        WrongState: they have answered already, or the name or place is empty or too long.
    """
    require(caller, "draft", term=agree.term(unit, race, now))
    name, place = plain(name), plain(place)
    zip, precinct = _zip(zip), plain(precinct) if precinct.strip() else ""
    known = messengers.named(unit, race, name, place)
    if known is not None and known.confirmed:
        raise WrongState("this volunteer has confirmed already")
    if known is not None and known.refused:
        raise WrongState("this volunteer said no; only the link that they hold can change it")
    token = secrets.token_urlsafe(24)
    if known is not None:
        messengers.change(unit, known.id, confirmed=None, refused=None, token_hash=_hash(token))
        messengers.move(unit, known.id, zip=zip, precinct=precinct)
        return known.id, token
    new = messengers.Messenger(
        str(uuid4()), race, name, place, None, None, _hash(token), zip, precinct
    )
    messengers.add(unit, new)
    return new.id, token


def show(unit: Unit, token: str) -> Lending:
    """What will be signed in the name of whoever holds this link; ``Missing`` if nobody does."""
    one = messengers.by_token(unit, _hash(token))
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
    )


def confirm(unit: Unit, token: str, now: datetime) -> None:
    """The volunteer lends their name. Again changes nothing."""
    one = messengers.by_token(unit, _hash(token))
    if one.confirmed is None:
        messengers.change(unit, one.id, confirmed=now, refused=None, token_hash=one.token_hash)


def refuse(unit: Unit, token: str, now: datetime) -> None:
    """The volunteer says no, or takes it back: every letter in their name that waits is held."""
    one = messengers.by_token(unit, _hash(token))
    if one.refused is None:
        messengers.change(unit, one.id, confirmed=None, refused=now, token_hash=one.token_hash)
    signed = {"name": one.name, "place": one.place}
    for each in campaigns.listed(unit, states=UNDER_WAY):
        if each.race == one.race and each.template["messenger"] == signed:
            campaigns.change(
                unit, each.id, state="paused", before_pause=each.state, waiting_for=TAKEN_BACK
            )


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
    return [Asked(one.name, one.place, _state(one)) for one in messengers.listed(unit, race)]


def plain(text: str) -> str:
    """A name or a place with single spaces, or ``WrongState``."""
    found = " ".join(text.split())
    if not found or len(found) > LONGEST or not found.isprintable():
        raise WrongState(f"a name and a place have 1 to {LONGEST} letters each")
    return found


def _zip(typed: str) -> str:
    found = typed.strip()
    if found and not (len(found) == 5 and found.isascii() and found.isdigit()):
        raise WrongState("a ZIP has five digits")
    return found


def _state(one: messengers.Messenger) -> str:
    return "confirmed" if one.confirmed else "refused" if one.refused else "asked"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
