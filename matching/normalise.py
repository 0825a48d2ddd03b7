"""One spelling of names, email, phone, address and date, on which both sides agree.

The version is part of every token: a change here that alters one output is a new ``VERSION``, and
``matching/data/vectors.json`` holds the conformance vectors that any other client must reproduce
(docs/normaliser.md). Names are in ``naming``, addresses in ``streets``; here is the rest.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers

from matching.folding import flat, letters
from matching.naming import names, parted, root, roots_from, sound, surnames
from matching.streets import Address, address, address_key

__all__ = [
    "VERSION",
    "Address",
    "Birth",
    "address",
    "address_key",
    "birth",
    "email",
    "letters",
    "mailbox",
    "names",
    "parted",
    "phone",
    "root",
    "roots_from",
    "sound",
    "surnames",
    "zip5",
]

VERSION = "n2"
MAX_EMAIL = 254

_MAILBOX = re.compile(r"([^\s@\"<>(),:;\[\]\\]+)@([^\s@\"<>(),:;\[\]\\]+)")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_GMAIL = frozenset({"gmail.com", "googlemail.com"})


def mailbox(raw: str) -> str:
    """The address a letter goes to: trimmed, domain in lower case, the local part as typed.

    Returns:
        The address, or "" when it cannot be one. A comma for a point, two addresses in one cell,
        addresses with spaces, control or invisible characters, and domains that are no host names
        are no addresses: guessing would write to a stranger. Whatever passes has an ``email``.
    """
    typed = _typed(raw)
    if not typed or not _recognised(typed):
        return ""
    local, _, domain = typed.rpartition("@")
    return f"{local}@{domain.lower()}"


def email(raw: str) -> str:
    """The spelling under which one mailbox is recognised twice; for tokens, never to write to.

    Lower case throughout, the domain in A-labels (IDNA 2003); at Gmail points and plus tags go
    too, since they reach one mailbox. Elsewhere a plus tag may be another mailbox and stays.
    """
    return _recognised(_typed(raw))


def _typed(raw: str) -> str:
    typed = raw.strip().strip("\u200b\u200e\u200f\u202a\u202c\u2060\ufeff").strip()
    if typed[:7].casefold() == "mailto:":
        typed = typed[7:]
    if len(typed) > MAX_EMAIL or any(unicodedata.category(c) in _UNSEEN for c in typed):
        return ""
    return typed if _MAILBOX.fullmatch(typed) else ""


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"})


def _recognised(typed: str) -> str:
    # Again after NFKC, which can turn one character into an @ or a blank.
    found = _MAILBOX.fullmatch(unicodedata.normalize("NFKC", typed).casefold())
    domain = _host(found[2]) if found else ""
    if not found or not domain:
        return ""
    local = found[1]
    if len(local) > 64 or local.startswith(".") or local.endswith(".") or ".." in local:
        return ""
    if domain in _GMAIL:
        local, domain = local.partition("+")[0].replace(".", ""), "gmail.com"
    return f"{local}@{domain}" if local else ""


def _host(domain: str) -> str:
    """A host name of at least two labels in A-labels, the last one no number; else ""."""
    try:
        plain = domain if domain.isascii() else domain.encode("idna").decode().lower()
    except UnicodeError:
        return ""
    labels = plain.split(".")
    if len(labels) < 2 or len(plain) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return ""
    return "" if labels[-1].isdigit() or len(labels[-1]) < 2 else plain


_PHONE_KIND = re.compile(r"\(?\b(?:cell|home|mobile|work|c|h|m|w)\b[.:]?\)?", re.IGNORECASE)


_PHONES = re.compile(r"[;,|]|\s/\s|\bor\b", re.IGNORECASE)
# Most are typed so; the library comes to the same, only later.
_USUAL_PHONE = re.compile(
    r"(?:\+?1[-. ]?)?\(?([2-9][0-9]{2})\)?[-. ]?([2-9][0-9]{2})[-. ]?([0-9]{4})"
)
_NORTH_AMERICAN = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}")


def phone(raw: str) -> str:
    """E.164 of a number typed anywhere in the United States, or "" when it is not one.

    The first of two in one cell; an extension goes. A North American number whose area code or
    exchange begins with 0 or 1 is none, nor is one of two digits alone: so people fill a field
    that insists, and many of them with the same.
    """
    plain = _USUAL_PHONE.fullmatch(raw)
    if plain:
        return _unless_filler(f"+1{plain[1]}{plain[2]}{plain[3]}")
    typed = _PHONE_KIND.sub(" ", re.sub(r"\A([0-9]{10,11})\.0\Z", r"\1", flat(raw)))
    parts = _PHONES.split(typed)
    found = map(_e164, (typed, *(parts if len(parts) > 1 else ())))
    return next(filter(None, found), "")


def _e164(typed: str) -> str:
    if sum(c.isdigit() for c in typed) < 10:
        return ""
    try:
        parsed = phonenumbers.parse(typed, "US")
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    said = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if said.startswith("+1") and not _NORTH_AMERICAN.fullmatch(said):
        return ""
    return _unless_filler(said)


def _unless_filler(said: str) -> str:
    return "" if len(set(said[2:])) < 3 else said


_ZIP = re.compile(r"([0-9]{3,5})(?:\.0)?(\s*[-‐-―−]?\s*[0-9]{4})?\s*[-‐-―−]?")


def zip5(raw: str) -> str:
    """Five digits, or "". A spreadsheet's eaten zero is put back; ZIP+4 loses its tail."""
    found = _ZIP.fullmatch(flat(raw).strip("='\" "))
    if not found or (len(found[1]) < 5 and found[2]):
        return ""
    return "" if found[1].strip("0") == "" or found[1] == "99999" else found[1].zfill(5)


@dataclass(frozen=True, slots=True, repr=False)
class Birth:
    """A birth date as far as it is known; month and day are 0 where they are not.

    A part that is 0 is missing: it neither agrees nor disagrees with another's.
    """

    year: int
    month: int = 0
    day: int = 0

    def __repr__(self) -> str:
        return "Birth()"


_YEARS = range(1890, 2031)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<y>[0-9]{4})(?:\.0)?",
        r"(?P<y>[0-9]{4})[-/.](?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})",
        r"(?P<m>[0-9]{1,2})[-/](?P<d>[0-9]{1,2})[-/](?P<y>[0-9]{4})",
        r"(?P<d>[0-9]{1,2})\.(?P<m>[0-9]{1,2})\.(?P<y>[0-9]{4})",
        r"(?P<y>189[0-9]|19[0-9]{2}|20[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2})(?:\.0)?",
        r"(?P<m>[0-9]{2})(?P<d>[0-9]{2})(?P<y>189[0-9]|19[0-9]{2}|20[0-9]{2})(?:\.0)?",
        r"(?P<y>[0-9]{4})[-/](?P<m>[0-9]{1,2})",
        r"(?P<m>[0-9]{1,2})[-/](?P<y>[0-9]{4})",
        rf"(?P<d>[0-9]{{1,2}})[-/ ]{_MONTH}[-/ ,]+(?P<y>[0-9]{{4}})",
        rf"{_MONTH} ?(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?[ ,]+(?P<y>[0-9]{{4}})",
        rf"{_MONTH}[- ,]+(?P<y>[0-9]{{4}})",
    )
)
_TIME = re.compile(r"(?:t|\s)\s*[0-9]{1,2}:.*\Z", re.DOTALL)


def birth(raw: str) -> Birth | None:
    """Read a date or the part of one that is given: year, year and month, or all three.

    ``YYYY``, ``YYYY-MM``, ``MM/YYYY``, ``YYYY-MM-DD``, ``MM/DD/YYYY``, ``DD.MM.YYYY``,
    ``YYYYMMDD``, ``MMDDYYYY``, ``DD-MON-YYYY`` and ``Month D, YYYY``, with or without a time. A
    part that is masked ("XX/XX/1970") or 0 is not given; one that cannot be leaves the year.

    Returns:
        None when it is none of these. A two-digit year is none: it could be two people. 1900 and
        1 January 1900 stand for "not given" in real files.
    """
    typed = _TIME.sub("", flat(raw).lower())
    typed = re.sub(r"(?<![a-z])[x#*]{1,2}(?![a-z])", "0", typed)
    found = next(filter(None, (pattern.fullmatch(typed) for pattern in _DATES)), None)
    if not found:
        return None
    said = found.groupdict()
    month = _MONTHS.index(said["name"][:3]) + 1 if said.get("name") else int(said.get("m") or 0)
    return _birth(int(said["y"]), month, int(said.get("d") or 0))


def _birth(year: int, month: int, day: int) -> Birth | None:
    if year not in _YEARS or (year == 1900 and month < 2 and day < 2):
        return None
    if not 1 <= month <= 12:
        return Birth(year)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > (28 if month == 2 and not leap else _DAYS[month - 1]):
        return Birth(year)
    return Birth(year, month, day)
