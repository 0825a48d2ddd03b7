"""A person's names in one spelling: parts put where they belong, nicknames to roots, sounds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources

from matching.folding import MAX_NAME, flat, fold, letters

__all__ = ["names", "parted", "root", "roots_from", "sound", "surnames"]

_SUFFIXES = {
    "jr": "jr", "junior": "jr", "sr": "sr", "senior": "sr", "ii": "ii", "2nd": "ii",
    "iii": "iii", "3rd": "iii", "iv": "iv", "4th": "iv",
}  # fmt: skip
# "V" after a surname is the fifth; after a given name it is an initial.
_FAMILY_SUFFIXES = {**_SUFFIXES, "v": "v", "5th": "v"}
_TITLES = frozenset(
    {"mr", "mrs", "ms", "miss", "mx", "dr", "rev", "prof", "hon", "sra", "srta"}
)  # fmt: skip
_DEGREES = frozenset({"md", "phd", "esq", "dds", "cpa", "rn", "jd", "dvm", "edd", "mba", "lcsw"})
_NOBODY = frozenset({"unknown", "fnu", "lnu", "nfn", "nln", "nmn", "nmi"})
_NO_MIDDLE = _NOBODY | {"none", "na"}
_GIVEN_PARTICLES = frozenset({"de", "la", "le", "da", "du", "el"})
_PARTICLES = frozenset(
    {"de", "del", "della", "di", "da", "do", "dos", "das", "du", "des", "la", "las", "le", "los",
     "lo", "van", "von", "vande", "vanden", "vander", "den", "der", "ter", "ten", "zu", "zur",
     "af", "al", "el", "bin", "ibn", "ben", "abu", "st", "ste", "san", "santa", "mac", "mc", "o",
     "d", "l"}
)  # fmt: skip
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\"[^\"]*\"|“[^”]*”")
_APOSTROPHES = re.compile(r"&#0?39;|&apos;|['’‘ʻʼ`´]")
_GAPS = re.compile(r"[\s.,;:\-‐-―−/_()\[\]\"“”]+")


def _words(raw: str) -> list[str]:
    """Split where people put a gap; a comma, full stop or hyphen is one, an apostrophe is not.

    A nickname in brackets or quotation marks is left out, unless it is all there is.
    """
    if not raw:
        return []
    folded = fold(raw if raw.isalpha() else _APOSTROPHES.sub("", raw))
    if folded.isalpha():
        return [folded]
    bare = _ASIDE.sub(" ", folded)
    spaced = (bare if letters(bare) else folded).replace("&amp;", "&").replace("&", " & ")
    return [word for word in _GAPS.split(spaced) if word]


def names(first: str, middle: str, last: str, suffix: str = "") -> tuple[str, str, str, str]:
    """Fold the four parts of a name together, since people type one part into another's field.

    Returns:
        (first, middle, last, suffix): first is the first whole word of the given name; the middle
        keeps whole words, so that its initial is its first letter; last is all of the surname
        ("de la Cruz" is "delacruz"); suffix is "", "jr", "sr", "ii", "iii", "iv" or "v".
    """
    given, within = _off_ends(_one_person(_words(first)), _SUFFIXES)
    family, after = _off_ends(_one_person(_words(last)), _FAMILY_SUFFIXES)
    typed, between = _middle_words(middle)
    head, tail = _head(given, typed)
    found = _suffix(suffix) or after or within or between
    return head, letters(" ".join(tail)), "".join(_joined(family))[:MAX_NAME], found


def surnames(last: str) -> tuple[str, ...]:
    """The surnames in the order written, each with its particles; usually one.

    "García López" and "Ruiz-Smith" are two, "de la Cruz" and "van der Berg" one. ``names`` joins
    them, so that a hyphen, a blank or nothing between them is one spelling.
    """
    return tuple(_joined(_off_ends(_one_person(_words(last)), _FAMILY_SUFFIXES)[0]))


def parted(full: str) -> tuple[str, str]:
    """Part a name that stands in one field into what belongs in the first and the last one.

    "Ruiz, Ana" and "Ana Ruiz", particles with the surname, "Jr." after it. Of three names without
    a comma the last one is the surname: "Ana María Ruiz" is commoner here than two surnames.

    Returns:
        (given names, surname) as typed but for blanks; the surname is "" for a single word.
    """
    parts = [" ".join(part.split()) for part in flat(full).split(",")]
    ends: list[str] = []
    while len(parts) > 1 and all(map(_is_end, parts[-1].split())):
        ends = [parts.pop(), *ends]
    if len(parts) > 1:
        return " ".join(filter(None, parts[1:])), " ".join(filter(None, (parts[0], *ends)))
    words = parts[0].split()
    while len(words) > 2 and _is_end(words[-1]):
        ends = [words.pop(), *ends]
    at = len(words) - 1
    while at > 1 and _plain(fold(words[at - 1])) in _PARTICLES:
        at -= 1
    if at < 1:
        return " ".join(words), " ".join(filter(None, ends)) if words else ""
    return " ".join(words[:at]), " ".join(filter(None, (*words[at:], *ends)))


def _is_end(word: str) -> bool:
    return _plain(fold(word)) in {*_FAMILY_SUFFIXES, *_DEGREES}


def _one_person(words: list[str]) -> list[str]:
    """The first of "Ana & Bob", who share a row."""
    for at, word in enumerate(words):
        if word in {"&", "and"}:
            return words[:at] or words[at + 1 :]
    return words


def _off_ends(words: list[str], suffixes: Mapping[str, str]) -> tuple[list[str], str]:
    """Take titles off the front and degrees and the generation off the end; never the last word."""
    if len(words) == 1:
        return words, ""
    found = ""
    while len(words) > 1:
        whole = _plain(words[-1])
        if whole in suffixes or whole in _DEGREES:
            found = found or suffixes.get(whole, "")
            words = words[:-1]
        elif (
            len(words) > 2
            and suffixes is _FAMILY_SUFFIXES
            and _plain("".join(words[-2:])) in _DEGREES
        ):
            words = words[:-2]
        else:
            break
    while len(words) > 1 and _plain(words[0]) in _TITLES:
        words = words[1:]
    return words, found


def _middle_words(raw: str) -> tuple[list[str], str]:
    words, found = _off_ends(_words(raw), _SUFFIXES)
    if len(words) == 1 and words[0] in _SUFFIXES:
        return [], _SUFFIXES[words[0]]
    return ([] if letters("".join(words)) in _NO_MIDDLE else words), found


def _head(given: Sequence[str], typed: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The first name and what is left for the middle one.

    An initial alone says too little to be the first name: "J. Robert" is Robert, whether the
    fields were filled as one or as two.
    """
    if len(given) == 1 and len(given[0]) > 1:
        whole = letters(given[0])
        return ("" if whole in _NOBODY else whole), typed
    for words, rest in ((given, typed), (typed, ())):
        for at, word in enumerate(words):
            if len(letters(word)) > 1 and letters(word) not in _NOBODY:
                if word in _GIVEN_PARTICLES and at + 1 < len(words):
                    return letters(word + words[at + 1]), rest or words[at + 2 :]
                return letters(word), rest or words[at + 1 :]
        if not any(map(letters, given)):
            # No given name at all: a middle one is no substitute.
            return "", typed
    first = next(word for word in given if letters(word))
    return letters(first), typed or given[given.index(first) + 1 :]


def _joined(family: Sequence[str]) -> list[str]:
    """Surnames with their particles; "y" between two of them says nothing."""
    made, carried = [], ""
    for at, word in enumerate(family):
        whole, inner = letters(word), at + 1 < len(family)
        if inner and not at and whole in {"saint", "sainte"}:
            whole = {"saint": "st", "sainte": "ste"}[whole]
        if whole == "y" and at and inner:
            continue
        if inner and whole in _PARTICLES:
            carried += whole
        elif carried + whole:
            made.append(carried + whole)
            carried = ""
    return [] if len(made) == 1 and made[0] in _NOBODY else made


def _suffix(raw: str) -> str:
    found = (_FAMILY_SUFFIXES.get(_plain(word), "") for word in _words(raw))
    return next(filter(None, found), "")


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word)


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
    # Spanish, which the table it was made from does not have.
    "pepe": "jose", "paco": "francisco", "pancho": "francisco", "lupe": "guadalupe",
    "lupita": "guadalupe", "nacho": "ignacio", "chuy": "jesus", "memo": "guillermo",
    "quique": "enrique", "kike": "enrique", "lalo": "eduardo", "tono": "antonio",
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
