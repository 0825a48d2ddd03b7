"""Facts in the words, times and pictures that a page shows: no number sharper than it was given."""

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

STATES = {
    "draft": ("Draft", ""),
    "submitted": ("Waiting for partners", "warn"),
    "approved": ("Approved", "ok"),
    "frozen": ("Audience fixed", ""),
    "attested": ("Rows checked by partners", ""),
    "logged": ("In the public log", ""),
    "sending": ("Sending", "ok"),
    "paused": ("Paused", "warn"),
    "stopped": ("Stopped for good", "dan"),
    "closed": ("Finished", ""),
}
MEANINGS = {
    "draft": "Nobody but you can see it. Submit it, and the partners are asked.",
    "submitted": "Every partner reads exactly these bytes and says yes or no.",
    "approved": "Enough partners said yes to exactly these bytes. Next, who is eligible is fixed.",
    "frozen": "Who is eligible is fixed. Each partner's tool now checks its own rows.",
    "attested": "Each partner checked its own rows. Next, the intent goes into the public log.",
    "logged": "The intent is in the public log. Sending starts when enough witnesses have signed.",
    "sending": "The mail machine hands letters to mail providers, one at a time.",
    "paused": "Nothing leaves while it is paused. Nothing is lost either.",
    "stopped": "Nothing more will ever be sent. What had gone cannot be called back.",
    "closed": (
        "Sending is over. Whatever could go within the window was handed to mail providers. "
        "Whoever had stopped, or had as many letters as the agreement allows, got none; that can "
        "be everybody."
    ),
}
LIST_STATES = {
    "received": ("Received", "warn"),
    "logged": ("In the public log", "ok"),
    "matched": ("In use", "ok"),
    "withdrawn": ("Withdrawn", ""),
    "ended": ("Deleted when its epoch ended", ""),
}
LIST_STANDS = {
    "next": (
        "Under the keys of the next epoch. Nobody is written to from it until the race moves there."
    ),
    "past": (
        "Under the keys of the epoch before. Nobody is written to from it any more; it is deleted "
        "when that epoch ends."
    ),
}
KINDS = {
    "agreement": "A partner signed the agreement",
    "approval": "A partner said yes, or checked its rows",
    "contribution": "A list or its roster was added",
    "intent": "A send was announced",
    "key": "A key was made known",
    "ledger": "The privacy ledger was recorded",
    "match": "Members were matched to the voter file",
    "roll": "A slice of the voter file was added",
    "sent": "A send went on or ended, or a doubt was decided",
    "withdrawal": "Something about withdrawals",
    "witness": "The rule for witnesses was set",
}
LANGUAGES = {"en": "English", "es": "Spanish"}
PLACE_KINDS = {"district": "Districts", "precinct": "Precincts", "zip": "ZIP codes"}
AGES = {"18-34": "18 to 34", "35-49": "35 to 49", "50-64": "50 to 64", "65+": "65 and over"}
VOTES = {
    "0": "none of the last 4",
    "1-2": "1 or 2 of the last 4",
    "3-4": "3 or 4 of the last 4",
    "new": "registered since the last one",
}
PRIMARIES = {
    "0": "none of the last 4",
    "1-2": "1 or 2 of the last 4",
    "3-4": "3 or 4 of the last 4",
}
"""Counted are years with a primary, so that a presidential one beside another is no second."""
_MONTHS = (
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
)
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def moment(value: datetime | str | None) -> datetime | None:
    """A time as it crosses our edges: aware, or the text form of one in UTC."""
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")) if value else None
    return value


def zone(name: str) -> ZoneInfo:
    """The race's time zone; UTC when this machine does not know it, and then UTC is printed."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def clock_time(value: datetime | str | None, name: str, language: str = "en") -> str:
    """As ``Thu, Nov 5, 2026, 10:00 am MST``: the zone is always said; in Spanish by 24 hours."""
    at = moment(value)
    if at is None:
        return ""
    here = at.astimezone(zone(name))
    if language == "es":
        return f"{day(here, language)}, {here:%H:%M} {here.tzname()}"
    half = "am" if here.hour < 12 else "pm"
    return (
        f"{here:%a, %b} {here.day}, {here.year}, "
        f"{here.hour % 12 or 12}:{here.minute:02} {half} {here.tzname()}"
    )


def hour(value: datetime | str | None) -> str:
    """As ``Nov 5, 2026, 17:00 UTC``: the log says the hour and no more."""
    at = moment(value)
    return f"{at:%b} {at.day}, {at.year}, {at.hour:02}:00 UTC" if at else ""


def day(value: date, language: str = "en") -> str:
    """As ``November 5, 2026`` or ``5 de noviembre de 2026``."""
    if language == "es":
        return f"{value.day} de {_MONTHS[value.month - 1]} de {value.year}"
    return f"{value:%B} {value.day}, {value.year}"


def number_word(count: int) -> str:
    """``three`` for 3; figures from ten."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else str(count)


def together(names: Sequence[str]) -> str:
    """``A, B and C``."""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def audience(definition: Mapping[str, Any]) -> list[str]:
    """A definition as sentences, one per rule, in the order in which they apply."""
    said = []
    for kind, label in PLACE_KINDS.items():
        codes = (definition.get("places") or {}).get(kind) or []
        if codes:
            said.append(f"{label}: {', '.join(codes)}")
    if definition.get("age"):
        said.append("Age: " + ", ".join(AGES.get(a, a) for a in definition["age"]))
    if definition.get("votes"):
        said.append("Voted in: " + ", ".join(VOTES.get(v, v) for v in definition["votes"]))
    if definition.get("primaries"):
        words = (PRIMARIES.get(one, one) for one in definition["primaries"])
        said.append("Years with a primary in which they voted in it: " + ", ".join(words))
    return said


def band(low: int, estimate: int, high: int) -> list[tuple[float, float]]:
    """The bars of the density band: where each begins (0 to 320), and how dark it is.

    The two ends of the range stand at 62.5 and 257.5, two standard deviations out.
    """
    middle = 62.5 + 195 * ((estimate - low) / (high - low) if high > low else 0.5)
    bars = [(round(i * 320 / 64, 2), i * 320 / 64 + 2.5) for i in range(64)]
    return [
        (x, round(0.06 + 0.94 * math.exp(-(((at - middle) / 49) ** 2) / 2), 3)) for x, at in bars
    ]


def code(leaf: str) -> str:
    """A leaf hash as a receipt code: its first 16 hex digits in groups of four."""
    return " ".join(leaf[at : at + 4] for at in range(0, 16, 4))


def fingerprint(checkpoint: str) -> str:
    """The root hash in a checkpoint's third line, as hex; empty when there is none yet."""
    lines = checkpoint.split("\n")
    try:
        return base64.b64decode(lines[2], validate=True).hex() if len(lines) > 3 else ""
    except ValueError:
        return ""


def cell(value: object) -> str:
    """One CSV cell that no spreadsheet will run as a formula."""
    text = str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
