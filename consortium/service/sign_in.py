"""A one-time link becomes a browser session; nobody has a password."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from consortium.service.errors import NotSignedIn
from consortium.store import actors, doors
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from policies.authorise import Caller

LINK_LIFE = timedelta(hours=12)
SESSION_LIFE = timedelta(hours=10)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is somebody; ``cookie`` is empty when only looked up."""

    cookie: str
    csrf: str
    caller: Caller

    def __repr__(self) -> str:
        return f"SignedIn({self.caller.role})"


def as_caller(actor: actors.Actor) -> Caller:
    """The caller that an actor is to the rules."""
    return Caller(actor.id, actor.role, actor.id if actor.role == "partner" else None)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def make_link(unit: Unit, actor_id: str, now: datetime) -> str:
    """A one-time token for ``/sign-in/<token>``; only its hash is kept."""
    actors.get(unit, actor_id)
    token = secrets.token_urlsafe(24)
    doors.add_link(unit, _hash(token), actor_id, now + LINK_LIFE)
    return token


def sign_in(unit: Unit, token: str, now: datetime) -> SignedIn:
    """Spend a link and open a session.

    Raises:
        NotSignedIn: unknown, used or too old; the three are not told apart.
    """
    try:
        actor = actors.get(unit, doors.use_link(unit, _hash(token), now))
    except Missing as missing:
        raise NotSignedIn(str(missing)) from missing
    cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    doors.add_session(unit, _hash(cookie), doors.Session(actor.id, csrf, now + SESSION_LIFE))
    return SignedIn(cookie, csrf, as_caller(actor))


def who(unit: Unit, cookie: str, now: datetime) -> SignedIn:
    """Whose session this cookie is, or ``NotSignedIn``."""
    try:
        session = doors.session(unit, _hash(cookie), now)
    except Missing as missing:
        raise NotSignedIn("not signed in") from missing
    return SignedIn("", session.csrf, as_caller(actors.get(unit, session.actor)))


def sign_out(unit: Unit, cookie: str) -> None:
    """End the session."""
    doors.end_session(unit, _hash(cookie))
