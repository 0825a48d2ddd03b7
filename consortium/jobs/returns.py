"""Apply bounces, complaints, stops, replies."""

import re
from pathlib import Path

from consortium.jobs import mailing, relay, unread
from consortium.jobs.celery import app, process
from consortium.service import hear_back, pass_on, plan, try_out
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from consortium.wiring import read_key
from mailer import bounce
from mailer.bounce import sns
from mailer.errors import MailerError

# The first lines of a file are the listener's own: from where, and to where, it truly came.
_REPLY = re.compile(rb"(?:Return-Path: [^\r\n]*\r\n)?Delivered-To: reply@", re.IGNORECASE)
PATIENCE = 86_400.0
"""Seconds for which what was read but could not be kept is tried again, at every ring."""
_STOP = re.compile(
    rb"(?:Return-Path: [^\r\n]*\r\n)?Delivered-To: stop-([\w-]{22})@[^\r\n]*\r\n", re.IGNORECASE
)


def spool(home: Path) -> Path:
    """Where the listener leaves what came back; only the mailer reads it."""
    return home / "returns" / "new"


@app.task(name="returns")  # type: ignore[untyped-decorator]
def run() -> None:
    """Take in every waiting return. Each file goes only after its effect is committed."""
    here = process()
    try:
        key = read_key(here.settings.mailer_home / "delivery.key")
        for path in sorted(spool(here.settings.mailer_home).glob("*")):
            _take(path, key)
        unread.forget(unread.folder(here.settings.mailer_home), here.clock())
        mailing.take_typed()
        _pass_on()
        _try_out()
    finally:
        relay.answered("returns")


def _take(path: Path, key: bytes) -> None:
    try:
        octets = path.read_bytes()
        found = _read(octets, path.suffix)
    except Exception as error:
        # Kept for a person; one strange message must not hold up the stops behind it.
        print(f"returns: {type(error).__name__}; kept for a person", flush=True)  # noqa: T201
        unread.keep(path, path.parent.parent / "unread")
        return
    try:
        understood = apply(octets) if found is None else take_in(found, key)
    except (MailerError, Missing):
        understood = True  # forged, or nobody's: it changes nothing
    except Exception as error:
        if process().clock().timestamp() - unread.arrived(path) < PATIENCE:
            # A database that is busy or away: set aside now, a stop would stop nobody.
            print(f"returns: {type(error).__name__}, trying again", flush=True)  # noqa: T201
            return
        print(f"returns: {type(error).__name__}; kept for a person", flush=True)  # noqa: T201
        understood = False
    if understood:
        path.unlink()
    else:
        unread.keep(path, path.parent.parent / "unread")


def _pass_on() -> None:
    """Ask and pass on what replies wait for; a fault there holds up no stop."""
    try:
        pass_on.turn(mailing.postmaster())
    except Exception as error:
        print(f"replies: {type(error).__name__}, trying again", flush=True)  # noqa: T201


def _try_out() -> None:
    """Send tests and seeds; a fault there holds up no stop."""
    try:
        try_out.turn(mailing.postmaster())
    except Exception as error:
        print(f"test letters: {type(error).__name__}, trying again", flush=True)  # noqa: T201


def _read(octets: bytes, suffix: str) -> bounce.Return | None:
    """What came back of a letter; None of a stop or a reply, which come to addresses of theirs."""
    if suffix == ".sns":
        return sns.read_message(octets.decode("utf-8", "replace"))
    return None if _STOP.match(octets) or _REPLY.match(octets) else bounce.read(octets)


def apply(octets: bytes) -> bool:
    """Take in a stop or a reply that came by mail; True once nothing of it is left to do.

    Raises:
        Missing: no letter has that link.
    """
    here = process()
    if asked := _STOP.match(octets):
        token = asked[1].decode()
        here.units.run("stop", lambda unit: hear_back.stop(unit, token, "race", here.clock()))
        return True
    pass_on.hear(mailing.postmaster(), octets)
    return True


def take_in(found: bounce.Return, key: bytes) -> bool:
    """Take in what came back of a letter; False when it is ours and nobody knows what it says.

    Raises:
        TokenRefused: neither its return path nor the Message-ID that it quotes is one of ours.
        Missing: no letter has them.
    """
    here, delivery = process(), unread.letter_of(found, key)
    if here.units.run("came-back", lambda unit: try_out.came_back(unit, delivery, found.kind)):
        return True
    if found.kind == "hard":
        plan.bounced(mailing.office(), delivery, here.clock())
        return True

    def note(unit: Unit) -> None:
        hear_back.returned(unit, delivery, found.kind, here.clock(), code=found.code)

    here.units.run("returned", note)
    return found.kind != "unknown"
