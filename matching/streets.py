"""A street address in one spelling: house number, street, unit.

Own rules over words, no trained parser: both sides, and a client in another language, must come to
the same letters for ever, and a model that is retrained changes its mind.

Source: street types, directions and unit words of USPS Publication 28, appendices B, C1 and C2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matching.folding import LIMIT, fold

__all__ = ["Address", "address", "address_key"]


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A street address in its parts; ``full`` keeps what ``street`` leaves out."""

    number: str
    street: str
    unit: str
    full: str

    def __repr__(self) -> str:
        return "Address()"


def _table(rows: str) -> dict[str, str]:
    """One line per meaning, the spelling that is kept first."""
    return {word: line.split()[0] for line in rows.strip().splitlines() for word in line.split()}


_DIRECTIONS = _table("""
    n north
    s south
    e east
    w west
    ne northeast
    nw northwest
    se southeast
    sw southwest
""")
_TYPES = _table("""
    st street str strt saint
    ave avenue av avn aven avenu
    rd road
    dr drive drv
    ln lane
    ct court crt
    pl place
    blvd boulevard boul blv
    cir circle circ
    way
    ter terrace terr
    pkwy parkway pky pkwy parkwy
    hwy highway hiway hway
    rte route rt
    trl trail
    sq square sqr
    loop
    pt point
    aly alley
    run
    path
    pike
""")
# Part of a name more often than left out, so these stay in the street. In full: then a blank in a
# wrong place changes nothing.
_SPELT = _table("""
    mount mt
    mountain mtn mntn
    fort ft
    heights hts
    crossing xing crssng
    center ctr centre cntr
    plaza plz
    ridge rdg
    hill hl
    hills hls
    creek crk
    spring spg
    springs spgs
    valley vly
    village vlg
    view vw
    cove cv
    turnpike tpke trnpk
    expressway expy
    freeway fwy
    junction jct
    trace trce
    hollow holw
    landing lndg
    meadows mdws
    crescent cres
    causeway cswy
    estates ests
    gardens gdns
    grove grv
    harbor hbr harbour
    lake lk
    bypass byp
    bridge brg
    knoll knl
    manor mnr
""")
_UNITS = frozenset(
    {"apt", "apartment", "unit", "ste", "suite", "lot", "trlr", "trailer", "spc", "space", "rm",
     "room", "bldg", "building", "fl", "floor", "no", "dept", "slip"}
)  # fmt: skip
_ALONE = frozenset(
    {"rear", "front", "bsmt", "basement", "upper", "uppr", "lower", "lowr", "ph", "penthouse"}
)  # fmt: skip
_UNITS_FULL = {"uppr": "upper", "lowr": "lower", "bsmt": "basement", "penthouse": "ph"}
_ORDINALS = {
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6",
    "seventh": "7", "eighth": "8", "ninth": "9", "tenth": "10", "eleventh": "11",
    "twelfth": "12", "thirteenth": "13", "fourteenth": "14", "fifteenth": "15",
    "sixteenth": "16", "seventeenth": "17", "eighteenth": "18", "nineteenth": "19",
    "twentieth": "20", "thirtieth": "30", "fortieth": "40", "fiftieth": "50", "sixtieth": "60",
    "seventieth": "70", "eightieth": "80", "ninetieth": "90",
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
_SPOKEN = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}

_DASHES = re.compile(r"\s*[‐-―−]\s*|(?<=[0-9]) ?- ?(?=[0-9])")
_FRACTIONS = re.compile(r"([¼-¾⅐-⅞])")
# "King, Jr." is one name.
_LINES = re.compile(r"[,;，；](?!\s*(?:jr|sr)\b)|[\r\n\v\f\x85\u2028\u2029]", re.IGNORECASE)
_INITIALS = re.compile(r"(?<=\b[a-z])\.(?=[a-z]\b)")
_APOSTROPHES = re.compile(r"['’‘ʻʼ`´]")
_NUMBER = re.compile(r"([0-9]{1,8})(?:-([0-9]{1,4})(?![0-9/]))?(?:-?([a-z]))?(?![a-z0-9/])")
_HALF = re.compile(r"[\s-]*([0-9])/([0-9])(?![0-9/])")
_WORDS = re.compile(r"#|[a-z0-9/]+")
_SPOKEN_FIRST = re.compile(r"\A(?:one|two|three|four|five)\b")
_RURAL = re.compile(
    r"(rr|r r|rural (?:route|rte|rt)|rfd|route|rte|rt|rd"
    r"|hc|hcr|highway contract|star (?:route|rte|rt))"
    r" ?#? ?([0-9]{1,4}) (?:box|bx) ?#? ?([0-9]{1,8})([a-z]?)(?![a-z0-9])"
)
_ROAD = r"(?:road|rd|route|rte|rt|highway|hwy)"
_PHRASES = tuple(
    (re.compile(pattern), put)
    for pattern, put in (
        (r"\bp ?o ?box\b.*", ""), (r"\bpmb\b.*", ""),
        (rf"\b(?:county|co|cnty) {_ROAD}\b(?= [0-9])", "cr"),
        (rf"\b(?:state|st) {_ROAD}\b(?= [0-9])", "sr"), (r"\bsh\b(?= [0-9])", "sr"),
        (r"\b(?:us|u s|united states)(?: (?:highway|hwy|route|rte|rt))?(?= [0-9])", "us"),
        (r"\b(?:township|twp) (?:road|rd)\b(?= [0-9])", "tr"),
        (r"\bfarm to market(?: road| rd)?(?= [0-9])", "fm"),
        (r"\b(?:dr )?(?:martin luther king|m l king|ml king|mlk|m l k)(?: (?:jr|junior))?\b",
         "mlk"),
    )
)  # fmt: skip
# What every one of them holds; most addresses do not.
_PHRASED = re.compile(r"box|pmb|king|mlk|m l k|[a-z] [0-9]")
_BARE_UNIT = re.compile(r"([0-9]{1,4}[a-z]?|[a-z][0-9]{0,4})(?:st|nd|rd|th)?")
# "Highway 12", "Ranch Road 9": here the number is the road's own.
_NUMBERED = frozenset({"hwy", "rte", "loop"})
_NUMBERED_BEFORE = frozenset({"ranch", "forest", "private", "service", "park"})


def address(raw: str) -> Address | None:
    """Take a street address apart: house number, street, unit.

    Returns:
        None without a house number, or for a post-office box. ``street`` is the street's own
        name without direction and type, because half of all lists leave those out; ``full`` has
        them and is what a household shares. What follows a comma or a line break is read as a
        unit or not at all: it is the town. "RR 2 Box 45" is number 45 of the street "rr2".
    """
    if not raw or len(raw) > LIMIT:
        return None
    said = _FRACTIONS.sub(r" \1 ", raw) if not raw.isascii() else raw
    parts = [part for line in _LINES.split(said) if (part := _line(line))]
    if parts and not parts[0][:1].isdigit() and (rural := _rural(parts)):
        return rural
    for at, part in enumerate(parts):
        if _only_number(part) and at + 1 < len(parts):
            part = f"{part} {parts[at + 1]}"
        found = _street(part, [*parts[:at], *parts[at + 1 :]])
        if found:
            return found
    return None


def _line(raw: str) -> str:
    folded = _APOSTROPHES.sub("", fold(raw)).replace("⁄", "/")
    dotted = _INITIALS.sub("", folded).replace(".", " ")
    return _DASHES.sub("-", dotted).strip()


def _only_number(part: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,8}(?:-[0-9]{1,4})?-?[a-z]?", part))


def _rural(parts: Sequence[str]) -> Address | None:
    found = _RURAL.match(" ".join(" ".join(parts).split()))
    if not found or not found[3].strip("0"):
        return None
    kind = "hc" if found[1].startswith("h") else "rr"
    route, box = str(int(found[2])), str(int(found[3]))
    full = f"{box} {kind} {route} {found[4]}".strip()
    return Address(box, f"{kind}{route}", found[4], full)


def _street(part: str, others: Sequence[str]) -> Address | None:
    """Read one line that begins with a house number; ``others`` may hold the unit."""
    opened = _SPOKEN_FIRST.sub(lambda m: _SPOKEN[m[0]], part.lstrip("# "), count=1)
    found = _NUMBER.match(opened)
    if not found or not found[1].strip("0"):
        return None
    rest, own = opened[found.end() :], found[3] or ""
    if half := _HALF.match(rest):
        rest, own = rest[half.end() :], f"{own}{half[1]}/{half[2]}"
    words = [word for word in _WORDS.findall(rest.replace("-", " ")) if "/" not in word]
    if not words or words[0] == "#":
        return None
    words, letter = _off_letter(_phrased(words))
    street, unit = _off_unit(words)
    said = _spelled(street)
    core = [word for word, aside in said if not aside] or [word for word, _ in said]
    if not core:
        return None
    unit = own + letter + (unit or _unit_of(others))
    number = _house(found[1], found[2] or "")
    full = " ".join([number, *(word for word, _ in said), unit]).strip()
    return Address(number, "".join(core), unit, full)


def _house(first: str, second: str) -> str:
    """The house number: a range counts from its beginning, Queens' "45-12" is 4512."""
    if second and not (len(first) == len(second) >= 3 and second > first):
        return str(int(first + second))
    return str(int(first))


def _phrased(words: list[str]) -> list[str]:
    """Roads by number and much-shortened names, which are several words, in one spelling."""
    text = " ".join(words)
    if not _PHRASED.search(text):
        return words
    for pattern, put in _PHRASES:
        text = pattern.sub(put, text)
    return text.split()


def _off_letter(words: list[str]) -> tuple[list[str], str]:
    """The letter of a house number that stands apart: "100 B Oak Ln", but not "100 B St"."""
    if len(words) > 1 and re.fullmatch(r"[a-z]", words[0]) and words[0] not in _DIRECTIONS:
        rest = [word for word in words[1:] if not _aside(word)]
        if rest and words[1] not in _TYPES and words[1] not in _UNITS and words[1] != "#":
            return words[1:], words[0]
    return words, ""


def _off_unit(words: list[str]) -> tuple[list[str], str]:
    """Cut the unit from the street: what follows "apt", "#" and their like, or the type."""
    for at, word in enumerate(words):
        if (word in _UNITS or word == "#") and any(w not in _DIRECTIONS for w in words[:at]):
            street, before = _off_bare(words[:at])
            return street, before + _unit(words[at:])
    if len(words) > 1 and words[-1] in _ALONE and any(not _aside(w) for w in words[:-1]):
        return words[:-1], _UNITS_FULL.get(words[-1], words[-1])
    return _off_bare(words)


def _off_bare(words: list[str]) -> tuple[list[str], str]:
    """Cut a unit without a word for it: "12 Main St 4B", "12 Main St 2nd Floor"."""
    last = words[-1] if len(words) > 2 else ""
    found = _BARE_UNIT.fullmatch(last) if last not in _DIRECTIONS else None
    if not found:
        return words, ""
    at = len(words) - 2
    while at and words[at] in _DIRECTIONS:
        at -= 1
    kind, before = _TYPES.get(words[at]), [w for w in words[:at] if w not in _DIRECTIONS]
    if not kind or kind in _NUMBERED or not before or before[-1] in _NUMBERED_BEFORE:
        return words, ""
    return words[:-1], found[1]


def _unit(words: Sequence[str]) -> str:
    return "".join(_UNITS_FULL.get(w, w) for w in words if w not in _UNITS and w != "#")


def _unit_of(others: Sequence[str]) -> str:
    """The unit on a line of its own, with a word for it or as short as "4B"."""
    for part in others:
        words = _WORDS.findall(part.replace("-", " "))
        if words and (words[0] in _UNITS or words[0] == "#"):
            return _unit(words)
        if len(words) == 1 and (words[0] in _ALONE or _BARE_UNIT.fullmatch(words[0])):
            return _unit(words)
    return ""


def _spelled(words: Sequence[str]) -> list[tuple[str, bool]]:
    """Each word in its one spelling, and whether lists often leave it out."""
    made: list[tuple[str, bool]] = []
    at = 0
    while at < len(words):
        word = words[at]
        after = _ORDINALS.get(words[at + 1], "") if word in _TENS and at + 1 < len(words) else ""
        if len(after) == 1:
            made.append((str(_TENS[word] + int(after)), False))
            at += 2
            continue
        made.append((_spell(word), _aside(word)))
        at += 1
    return made


def _spell(word: str) -> str:
    if word in _ORDINALS:
        return _ORDINALS[word]
    numbered = re.fullmatch(r"([0-9]+)(st|nd|rd|th)", word)
    if numbered:
        return numbered[1]
    return _DIRECTIONS.get(word) or _TYPES.get(word) or _SPELT.get(word) or word


def _aside(word: str) -> bool:
    return word in _DIRECTIONS or word in _TYPES


def address_key(found: Address | None, zip_code: str) -> str:
    """What the members of one household share; empty when the address is not known."""
    return f"{found.full}|{zip_code}" if found and zip_code else ""
