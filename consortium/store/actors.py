"""Who may sign what: the registered actors and their keys."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from consortium.store.errors import Conflict, Missing
from consortium.store.rows import frozen
from consortium.store.tables import ActorRow, BrowserKeyRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody whose signature counts; ``public`` is 64 hex characters of an Ed25519 key."""

    id: str
    role: str
    name: str
    public: str


def add(unit: Unit, actor: Actor) -> None:
    """Register an actor; the same again changes nothing.

    Raises:
        Conflict: the id or the key is another actor's.
    """
    known = unit.get(ActorRow, actor.id)
    if known is None:
        twin = unit.session.scalar(select(ActorRow.id).where(ActorRow.public == actor.public))
        if twin is not None:
            raise Conflict(f"the key of actor {actor.id} is another actor's")
        unit.session.add(
            ActorRow(id=actor.id, role=actor.role, name=actor.name, public=actor.public)
        )
        unit.session.flush()
    elif frozen(Actor, known) != actor:
        raise Conflict(f"actor {actor.id} is registered with other facts")


def get(unit: Unit, id: str) -> Actor:
    """The actor with this id, or ``Missing``."""
    row = unit.get(ActorRow, id)
    if row is None:
        raise Missing("no actor has that id")
    return frozen(Actor, row)


def everyone(unit: Unit, role: str | None = None) -> list[Actor]:
    """All actors, or those of one role, by id."""
    query = select(ActorRow).order_by(ActorRow.id)
    if role is not None:
        query = query.where(ActorRow.role == role)
    return [frozen(Actor, row) for row in unit.session.scalars(query)]


def by_public(unit: Unit, public: str) -> Actor:
    """Whose key this is: an actor's own, or a browser's that the actor's tool vouched for.

    Raises:
        Missing: nobody's.
    """
    row = unit.session.scalar(select(ActorRow).where(ActorRow.public == public))
    if row is None:
        browser = unit.get(BrowserKeyRow, public)
        if browser is None or browser.signature is None:
            raise Missing("that key is not registered")
        return get(unit, browser.actor)
    return frozen(Actor, row)


def start_browser_key(unit: Unit, actor: str, public: str, code: str, at: datetime) -> None:
    """Remember a browser's key under a code until the partner's tool vouches for it."""
    if unit.get(BrowserKeyRow, public) is not None:
        raise Conflict("that browser key is known already")
    unit.session.add(BrowserKeyRow(public=public, actor=actor, code=code, signature=None, at=at))


def browser_key(unit: Unit, code: str) -> tuple[str, str]:
    """The actor and the public key behind an enrolment code, or ``Missing``."""
    row = unit.session.scalar(select(BrowserKeyRow).where(BrowserKeyRow.code == code))
    if row is None:
        raise Missing("no browser is waiting under that code")
    return row.actor, row.public


def vouch_browser_key(unit: Unit, code: str, signature: str) -> None:
    """The partner's tool signed the browser's key."""
    row = unit.session.scalar(select(BrowserKeyRow).where(BrowserKeyRow.code == code))
    if row is None:
        raise Missing("no browser is waiting under that code")
    row.signature = signature


def browser_keys(unit: Unit) -> list[dict[str, str]]:
    """Every enrolled browser's key, its partner, and the signature that vouches for it."""
    rows = unit.session.scalars(select(BrowserKeyRow).where(BrowserKeyRow.signature.is_not(None)))
    return [
        {"partner": row.actor, "public": row.public, "signature": str(row.signature)}
        for row in rows
    ]
