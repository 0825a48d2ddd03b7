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
        if path.suffix == ".sns":
            understood = take_in(sns.read_message(octets.decode("utf-8", "replace")), key)
        else:
            understood = apply(octets, key)
    except (MailerError, Missing):
        understood = True  # forged, or nobody's: it changes nothing
    except Exception as error:
        # Kept for a person; one strange message must not hold up the stops behind it.
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


def apply(octets: bytes, key: bytes) -> bool:
    """Take in one return; False when it is about a letter of ours, and nobody knows what it says.

    Raises:
        TokenRefused: its return path is not one of ours.
        Missing: no letter has that return path, or that link.
    """
    here = process()
    if asked := _STOP.match(octets):
        token = asked[1].decode()
        here.units.run("stop", lambda unit: hear_back.stop(unit, token, "race", here.clock()))
        return True
    if _REPLY.match(octets):
        pass_on.hear(mailing.postmaster(), octets)
        return True
    return take_in(bounce.read(octets), key)


def take_in(found: bounce.Return, key: bytes) -> bool:
    """Take in what was read, of mail or of a notification; False as ``apply``.

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
