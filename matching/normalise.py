"""One spelling of names, email, phone, address and date, on which both sides agree.

The version is part of every token: a change here that alters one output is a new ``VERSION``, and
``matching/data/vectors.json`` holds the conformance vectors that any other client must reproduce.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import phonenumbers

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
    "phone",
    "root",
    "sound",
    "zip5",
]

VERSION = "n1"
MAX_NAME = 40
MAX_EMAIL = 254

# Letters that NFKD leaves whole.
_STROKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ı": "i"}
)
_SUFFIXES = {
    "jr": "jr", "junior": "jr", "sr": "sr", "senior": "sr", "ii": "ii", "2nd": "ii",
    "iii": "iii", "3rd": "iii", "iv": "iv", "4th": "iv",
}  # fmt: skip
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "rev", "prof", "hon"})
_DEGREES = frozenset({"md", "phd", "esq", "dds", "cpa", "rn"})


def letters(raw: str) -> str:
    """Fold to lower-case ASCII letters: marks, spaces, hyphens and apostrophes go.

    Returns:
        At most ``MAX_NAME`` letters; empty when nothing is left, which is "missing" and never
        a value of its own (an empty token would match every other empty name).

    Source:
        Unicode TR15 (NFKD), then marks dropped. "O'Neil-Ruiz" and "ONEIL RUIZ" agree.
    """
    folded = unicodedata.normalize("NFKD", raw.casefold().translate(_STROKES)).casefold()
    return "".join(c for c in folded if "a" <= c <= "z")[:MAX_NAME]


def _words(raw: str) -> list[str]:
    """Split where people put a gap; a comma, full stop or hyphen is one, an apostrophe is not."""
    return [word for word in re.split(r"[\s.,\-‐-―/()\"]+", raw) if word]


def names(first: str, middle: str, last: str, suffix: str = "") -> tuple[str, str, str, str]:
    """Fold the four parts of a name together, since people type one part into another's field.

    Returns:
        (first, middle, last, suffix): first is the first word of the given name; the middle
        keeps whole words, so that its initial is its first letter; last is all of the surname
        ("de la Cruz" is "delacruz"); suffix is "", "jr", "sr", "ii", "iii" or "iv".
    """
    given, family = _words(first), _words(last)
    found = ""
    for words in (given, family):
        while len(words) > 1 and _plain(words[-1]) in (*_SUFFIXES, *_DEGREES):
            found = found or _SUFFIXES.get(_plain(words.pop()), "")
        while len(words) > 1 and _plain(words[0]) in _TITLES:
            words.pop(0)
    found = _SUFFIXES.get(_plain(suffix), "") or found
    # "J. Robert": an initial alone says too little to be the first name.
    keep = 1 if not given or len(letters(given[0])) > 1 or len(given) == 1 else 2
    head = letters(given[keep - 1]) if given else ""
    tail = letters(" ".join(given[keep:])) if len(given) > keep else ""
    return head, letters(middle) or tail, letters(" ".join(family)), found


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.casefold())


@lru_cache(maxsize=1)
def _roots() -> dict[str, str]:
    text = resources.files("matching").joinpath("data/nickname_roots.json").read_text("utf-8")
    table: dict[str, str] = json.loads(text)["roots"]
    return table


def root(first: str) -> str:
    """The name a nickname comes from: "bill" and "william" are "william"; others are themselves.

    The table is frozen with ``VERSION`` (``roots_from`` rebuilds it), because the two sides may
    have installed different releases of the package it came from.
    """
    return _roots().get(first, first)


# Where the commonest canonical is not the likely one, or spellings of one name stand apart.
_SURE = {
    "bill": "william", "billy": "william", "ann": "anna", "anne": "anna", "annie": "anna",
    "kathy": "katherine", "cathy": "katherine", "catherine": "katherine", "kathryn": "katherine",
    "steve": "stephen", "steven": "stephen", "geoffrey": "jeffrey", "sara": "sarah",
}  # fmt: skip


def roots_from(pairs: Iterable[tuple[str, str]], shares: Mapping[str, float]) -> dict[str, str]:
    """Choose one root per nickname out of (canonical, nickname) pairs.

    Args:
        pairs: as a nickname table lists them; several canonicals for one nickname are usual.
        shares: how common each given name is; the commonest canonical wins ("bill" is William,
            not Willard), and a name commoner than all of its canonicals stays itself (John).
    """
    above: dict[str, set[str]] = {}
    for canonical, nick in pairs:
        whole, short = letters(canonical), letters(nick)
        if whole and short and whole != short:
            above.setdefault(short, set()).add(whole)

    def step(name: str) -> str:
        best = max(sorted(above.get(name, ())), key=lambda c: shares.get(c, 0.0), default=name)
        return best if shares.get(best, 0.0) > shares.get(name, 0.0) else name

    chosen: dict[str, str] = {}
    for name in sorted(above):
        here = step(name)
        if here != name:
            # One step only: a chain ("ann" to "anna" to "hannah") would join different names.
            chosen[name] = here
    chosen.update(_SURE)
    return {name: _SURE.get(whole, whole) for name, whole in chosen.items()}


_SOUNDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), put)
    for pattern, put in (
        (r"^(kn|gn|pn)", "n"), (r"^wr", "r"), (r"^x", "s"), (r"^mc", "mk"), (r"ph", "f"),
        (r"sch", "sk"), (r"tch", "x"), (r"ch|sh", "x"), (r"th", "0"), (r"gh(?=[^aeiouy]|$)", ""),
        (r"c(?=[eiy])", "s"), (r"ck|[cq]", "k"), (r"dg(?=[eiy])", "j"), (r"g(?=[eiy])", "j"),
        (r"g", "k"), (r"z", "s"), (r"v", "f"), (r"d", "t"), (r"b", "p"), (r"x(?=.)", "x"),
    )
)  # fmt: skip


@lru_cache(maxsize=1 << 14)
def sound(name: str) -> str:
    """How a folded name sounds, roughly: 1 to 6 consonants, a leading vowel as "a".

    An own short relative of metaphone, frozen with ``VERSION``: "smith" and "smyth", "stephens"
    and "stevens" agree. Empty for an empty name.
    """
    if not name:
        return ""
    heard = name
    for pattern, put in _SOUNDS:
        heard = pattern.sub(put, heard)
    first = "a" if heard[:1] in "aeiouy" else heard[:1]
    rest = re.sub(r"[aeiouyhw]", "", heard[1:])
    return re.sub(r"(.)\1+", r"\1", first + rest)[:6]


_LABEL = r"[^\s@.\"<>(),:;\[\]\\]"
_MAILBOX = re.compile(rf"[^\s@\"<>(),:;\[\]\\]+@(?:{_LABEL}+\.)+(?!\d+\Z){_LABEL}{{2,63}}")
_GMAIL = frozenset({"gmail.com", "googlemail.com"})


def mailbox(raw: str) -> str:
    """The address a letter goes to: trimmed, domain in lower case, the local part as typed.

    Returns:
        The address, or "" when it cannot be one. A comma for a point, two addresses in one cell
        and addresses with spaces are no addresses: guessing would write to a stranger.
    """
    typed = raw.strip().strip("\u200b\ufeff").removeprefix("mailto:")
    if len(typed) > MAX_EMAIL or not _MAILBOX.fullmatch(typed):
        return ""
    local, _, domain = typed.rpartition("@")
    if len(local) > 64 or local.startswith(".") or local.endswith(".") or ".." in local:
        return ""
    return f"{local}@{domain.lower()}"


def email(raw: str) -> str:
    """The spelling under which one mailbox is recognised twice; for tokens, never to write to.

    Lower case throughout; at Gmail points and plus tags go too, since they reach one mailbox.
    Elsewhere a plus tag may be another mailbox and stays.
    """
    found = mailbox(raw)
    if not found:
        return ""
    local, _, domain = unicodedata.normalize("NFKC", found).casefold().rpartition("@")
    if domain in _GMAIL:
        local, domain = local.partition("+")[0].replace(".", ""), "gmail.com"
    return f"{local}@{domain}" if local else ""


def phone(raw: str) -> str:
    """E.164 of a number typed anywhere in the United States, or "" when it is not one."""
    if sum(c.isdigit() for c in raw) < 10:
        return ""
    try:
        parsed = phonenumbers.parse(raw, "US")
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    said = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    # 000-000-0000 and the like are how people fill a field that insists.
    return "" if len(set(said[2:])) < 3 else said


def zip5(raw: str) -> str:
    """Five digits, or "". A spreadsheet's eaten zero is put back; ZIP+4 loses its tail."""
    found = re.fullmatch(r"\s*(\d{3,5})(?:\.0)?(?:[-\s]?\d{4})?\s*", raw)
    if not found or (len(found[1]) < 5 and len(raw.strip()) > 6):
        return ""
    return "" if found[1].strip("0") == "" else found[1].zfill(5)


@dataclass(frozen=True, slots=True, repr=False)
class Birth:
    """A birth date as far as it is known; month and day are 0 when only the year is."""

    year: int
    month: int = 0
    day: int = 0

    def __repr__(self) -> str:
        return "Birth()"


_YEARS = range(1890, 2031)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def birth(raw: str) -> Birth | None:
    """Read a year, ``MM/DD/YYYY``, ``YYYY-MM-DD``, ``YYYYMMDD`` or ``DD.MM.YYYY``.

    Returns:
        None when it is none of these. A two-digit year is none: it could be two people. A month
        of 0 and 1 January 1900 stand for "not given" in real files.
    """
    typed = raw.strip().partition("T")[0].partition(" ")[0].removesuffix(".0")
    year = month = day = 0
    if found := re.fullmatch(r"\d{4}", typed):
        year = int(typed)
    elif found := re.fullmatch(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", typed):
        year, month, day = int(found[1]), int(found[2]), int(found[3])
    elif found := re.fullmatch(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})", typed):
        month, day, year = int(found[1]), int(found[2]), int(found[3])
    elif found := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", typed):
        day, month, year = int(found[1]), int(found[2]), int(found[3])
    elif found := re.fullmatch(r"(\d{4})(\d{2})(\d{2})", typed):
        year, month, day = int(found[1]), int(found[2]), int(found[3])
    if year not in _YEARS or (year, month, day) == (1900, 1, 1):
        return None
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]):
        return Birth(year)
    return Birth(year, month, day)


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A street address in its parts; ``full`` keeps what ``street`` leaves out."""

    number: str
    street: str
    unit: str
    full: str

    def __repr__(self) -> str:
        return "Address()"


_DIRECTIONS = {
    "n": "n", "north": "n", "s": "s", "south": "s", "e": "e", "east": "e", "w": "w", "west": "w",
    "ne": "ne", "northeast": "ne", "nw": "nw", "northwest": "nw", "se": "se", "southeast": "se",
    "sw": "sw", "southwest": "sw",
}  # fmt: skip
_TYPES = {
    "street": "st", "st": "st", "str": "st", "avenue": "ave", "ave": "ave", "av": "ave",
    "road": "rd", "rd": "rd", "drive": "dr", "dr": "dr", "lane": "ln", "ln": "ln",
    "court": "ct", "ct": "ct", "place": "pl", "pl": "pl", "boulevard": "blvd", "blvd": "blvd",
    "circle": "cir", "cir": "cir", "way": "way", "terrace": "ter", "ter": "ter",
    "parkway": "pkwy", "pkwy": "pkwy", "highway": "hwy", "hwy": "hwy", "trail": "trl",
    "trl": "trl", "square": "sq", "sq": "sq", "loop": "loop", "point": "pt", "pt": "pt",
    "alley": "aly", "aly": "aly", "run": "run", "path": "path", "pike": "pike",
}  # fmt: skip
_UNITS = frozenset(
    {"apt", "apartment", "unit", "ste", "suite", "lot", "trlr", "spc", "space", "rm", "room",
     "bldg", "building", "fl", "floor", "no"}
)  # fmt: skip
_ORDINALS = {
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6",
    "seventh": "7", "eighth": "8", "ninth": "9", "tenth": "10", "eleventh": "11",
    "twelfth": "12", "thirteenth": "13", "fourteenth": "14", "fifteenth": "15",
    "sixteenth": "16", "seventeenth": "17", "eighteenth": "18", "nineteenth": "19",
    "twentieth": "20",
}  # fmt: skip


def address(raw: str) -> Address | None:
    """Take a street address apart: house number, street, unit.

    Returns:
        None without a house number, or for a post-office box. ``street`` is the street's own
        name without direction and type, because half of all lists leave those out; ``full`` has
        them and is what a household shares.
    """
    folded = unicodedata.normalize("NFKD", raw.casefold().translate(_STROKES))
    if re.match(r"\s*(p\.?\s*o\.?\s*b|box\b|general delivery)", folded):
        return None
    words = re.findall(r"#|[a-z0-9/]+", re.sub(r"['’.]", "", folded.replace("-", " ")))
    found = re.fullmatch(r"(\d+)([a-z]?)", words[0]) if words else None
    if not found or not int(found[1]):
        return None
    number, rest = str(int(found[1])), words[1:]
    if rest and re.fullmatch(r"\d/\d", rest[0]):
        rest = rest[1:]
    street, unit = _off_unit([word for word in rest if "/" not in word])
    said = [_spell(word) for word in street]
    core = [w for w, raw_word in zip(said, street, strict=True) if not _aside(raw_word)]
    if not core:
        core = said
    if not core:
        return None
    joined = "".join(core)
    return Address(number, joined, unit, " ".join([number, *said, unit]).strip())


def _off_unit(words: list[str]) -> tuple[list[str], str]:
    """Cut the unit from the street: what follows "apt", "#" and their like."""
    for at, word in enumerate(words):
        if at and (word in _UNITS or word == "#"):
            return words[:at], "".join(w for w in words[at:] if w not in _UNITS and w != "#")
    return words, ""


def _spell(word: str) -> str:
    if word in _ORDINALS:
        return _ORDINALS[word]
    numbered = re.fullmatch(r"(\d+)(st|nd|rd|th)", word)
    return numbered[1] if numbered else _DIRECTIONS.get(word) or _TYPES.get(word) or word


def _aside(word: str) -> bool:
    return word in _DIRECTIONS or word in _TYPES


def address_key(found: Address | None, zip_code: str) -> str:
    """What the members of one household share; empty when the address is not known."""
    return f"{found.full}|{zip_code}" if found and zip_code else ""
