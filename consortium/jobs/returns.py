"""Apply bounces, complaints, stops, replies."""

import re
from pathlib import Path

from consortium.jobs import mailing, relay
from consortium.jobs.celery import app, process
from consortium.service import hear_back, pass_on, plan
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from consortium.wiring import read_key
from mailer import bounce
from mailer.errors import MailerError
from mailer.stops import parse_verp

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
        mailing.take_typed()
        _pass_on()
    finally:
        relay.answered("returns")


def _take(path: Path, key: bytes) -> None:
    try:
        apply(path.read_bytes(), key)
    except (MailerError, Missing):
        pass  # forged, or nobody's: it changes nothing
    except Exception as error:
        # Kept for a person; one strange message must not hold up the stops behind it.
        aside = path.parent.parent / "unread"
        aside.mkdir(mode=0o700, exist_ok=True)
        path.rename(aside / path.name)
        print(f"returns: {type(error).__name__}; kept in {aside.name}", flush=True)  # noqa: T201
        return
    path.unlink()


def _pass_on() -> None:
    """Ask and pass on what replies wait for; a fault there holds up no stop."""
    try:
        pass_on.turn(mailing.postmaster())
    except Exception as error:
        print(f"replies: {type(error).__name__}, trying again", flush=True)  # noqa: T201


def apply(octets: bytes, key: bytes) -> None:
    """Take in one return.

    Raises:
        TokenRefused: its return path is not one of ours.
        Missing: no letter has that return path, or that link.
    """
    here = process()
    if asked := _STOP.match(octets):
        token = asked[1].decode()
        here.units.run("stop", lambda unit: hear_back.stop(unit, token, "race", here.clock()))
        return
    if _REPLY.match(octets):
        pass_on.hear(mailing.postmaster(), octets)
        return
    found = bounce.read(octets)
    delivery = parse_verp(key, found.verp or "").hex()

    if found.kind == "hard":
        plan.bounced(mailing.office(), delivery, here.clock())
        return

    def take_in(unit: Unit) -> None:
        hear_back.returned(unit, delivery, found.kind, here.clock(), code=found.code)

    here.units.run("returned", take_in)
