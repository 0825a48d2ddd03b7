"""Sign-in links, browser sessions and spent token ids; only hashes are kept."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete

from consortium.store.errors import Conflict, Missing
from consortium.store.rows import frozen
from consortium.store.tables import SessionRow, SignInRow, SpentTokenRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser."""

    actor: str
    csrf: str
    expires: datetime


def add_link(unit: Unit, hash: str, actor: str, expires: datetime) -> None:
    """Keep a one-time link's hash."""
    unit.session.add(SignInRow(hash=hash, actor=actor, expires=expires, used=None))


def use_link(unit: Unit, hash: str, now: datetime) -> str:
    """Whose link it is; afterwards it is spent.

    Raises:
        Missing: unknown, used or expired; the three are not told apart.
    """
    row = unit.get(SignInRow, hash)
    if row is None or row.used is not None or row.expires <= now:
        raise Missing("that link is used up or too old; ask for a new one")
    row.used = now
    return row.actor


def add_session(unit: Unit, hash: str, session: Session) -> None:
    """Keep a session under the hash of its cookie."""
    unit.session.add(
        SessionRow(hash=hash, actor=session.actor, csrf=session.csrf, expires=session.expires)
    )


def session(unit: Unit, hash: str, now: datetime) -> Session:
    """The session behind a cookie's hash, or ``Missing``."""
    row = unit.get(SessionRow, hash)
    if row is None or row.expires <= now:
        raise Missing("not signed in")
    return frozen(Session, row)


def end_session(unit: Unit, hash: str) -> None:
    """Sign out."""
    unit.session.execute(delete(SessionRow).where(SessionRow.hash == hash))


def spend_token(unit: Unit, jti: str, expires: datetime, now: datetime) -> None:
    """Accept a token id once; old ones are forgotten.

    Raises:
        Conflict: seen before.
    """
    unit.session.execute(delete(SpentTokenRow).where(SpentTokenRow.expires < now))
    if unit.get(SpentTokenRow, jti) is not None:
        raise Conflict("that token was used before")
    unit.session.add(SpentTokenRow(jti=jti, expires=expires))
