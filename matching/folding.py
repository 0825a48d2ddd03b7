"""Fold what people type to plain lower-case text, the same on every machine."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["LIMIT", "MAX_NAME", "flat", "fold", "letters"]

LIMIT = 1000
"""A field of more code points than this is missing: nobody's name is, and hostile text may be."""
MAX_NAME = 40

# Letters that NFKD leaves whole.
_STROKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ı": "i",
     "ŧ": "t", "ŋ": "n", "ə": "e", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ƴ": "y", "ɨ": "i"}
)  # fmt: skip
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_NOT_LETTERS = re.compile(r"[^a-z]+")


def fold(raw: str) -> str:
    """Lower case without marks: invisible characters go, controls and strange blanks are blanks.

    Returns:
        Text in which every Latin letter is one of a-z; other scripts stay as they are. Empty for
        more than ``LIMIT`` code points.

    Source:
        Unicode TR15 (NFKD), the full case folding of CaseFolding.txt, general categories.
    """
    if len(raw) > LIMIT:
        return ""
    if raw.isascii():
        return _CONTROLS.sub(" ", raw.lower())
    # Strokes last: NFKD turns an o with stroke and acute into an o with stroke, and a mark.
    folded = unicodedata.normalize("NFKD", raw.casefold()).casefold().translate(_STROKES)
    return "".join(filter(None, map(_kept, folded)))


def _kept(char: str) -> str:
    if char.isascii():
        return " " if char < " " or char == "\x7f" else char
    kind = unicodedata.category(char)
    if kind in {"Mn", "Me", "Cf"}:
        return ""
    return " " if kind[0] == "Z" or kind == "Cc" else char


def letters(raw: str) -> str:
    """Fold to lower-case ASCII letters: marks, spaces, hyphens and apostrophes go.

    Returns:
        At most ``MAX_NAME`` letters; empty when nothing is left, which is "missing" and never
        a value of its own (an empty token would match every other empty name).
    """
    if raw.isascii() and raw.isalpha():
        return raw.lower()[:MAX_NAME] if len(raw) <= LIMIT else ""
    return _NOT_LETTERS.sub("", fold(raw))[:MAX_NAME]


def flat(raw: str) -> str:
    """Compatibility characters made plain and the edges trimmed, for numbers and dates."""
    return "" if len(raw) > LIMIT else unicodedata.normalize("NFKC", raw).strip(_EDGES)


_EDGES = (
    " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\u00a0\u00ad\u1680\u180e\u2028\u2029\u202f\u205f\u2060\u3000"
    "\ufeff" + "".join(map(chr, (*range(0x2000, 0x2010), *range(0x202A, 0x202F))))
    + "".join(map(chr, range(0x2066, 0x206A)))
)  # fmt: skip
