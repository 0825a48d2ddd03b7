"""What local words may not say: the rules are a net, and read by every computer alike.

Words that nobody approved by hand go out under partners' names. So they hold no letter that looks
like another one, no way out of the letter, no name that was not approved, none of a candidate, and
no day or hour unless the slot is for one. That they are true no rule can know: that is what the
hours of silence and everybody's no are for.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence

PUNCTUATION = frozenset(" .,:;!?-'\u2018\u2019\u201c\u201d\u2013\u2014\u00bf\u00a1")

_LATIN = frozenset(
    char
    for code in (*range(0x41, 0x180), *range(0x218, 0x21C), 0x1A0, 0x1A1, 0x1AF, 0x1B0)
    if (char := chr(code)).isalpha()
    and unicodedata.category(char) in ("Lu", "Ll")
    and unicodedata.normalize("NFKC", char) == char
    and char not in "\u0131\u0138\u00b5"
) | frozenset(chr(code) for code in range(0x1EA0, 0x1EFA))
"""Letters of the languages written in Latin script. Cyrillic or full-width letters look the same
and read as other words to a check; Hebrew and Arabic ones turn the line's order round."""

_WORD = re.compile(r"[^\W_]+")
_SPLIT = re.compile(r"[-\u2013\u2014\s.,:;!?\u201c\u201d\u2018\u00bf\u00a1]+")
_STOP = re.compile(r"(?<![^\W_])\.|\.(?!\Z| [A-Z0-9\u00c0-\u00de\u00bf\u00a1\u201c])|\w\.\w")
_CALL = re.compile(r"(?:\d[ .,:;\-\u2013\u2014]*){7}")
_SINGLE = re.compile(r"(?:\b[^\W_]\b[^\w]*){3}")
_MIXED = re.compile(r"[^\W\d_]\d|\d[^\W\d_]{3}")
_BEGIN = re.compile(r"(?:\A|[.!?] |[\u00bf\u00a1\u201c])$")

_WAYS = frozenset(
    re.findall(
        r"[a-z]+",
        """app apps arroba bitly browser call cash cashapp click com correo descarga descargar dial
        donar donate donation donations donativo dot download edu email enlace escanea escanear
        escribe facebook follow gmail google goto gov haz hotline hotmail http https info insta
        instagram io link links llama llamar llame llamenos marca marque net online org outlook
        pagina pago paypal phone pincha punto qr scan search sitio sms social subscribe tap
        telefono telegram text tiktok twitter url venmo visit visita visitar visite visiten web
        webpage website websites whatsapp www yahoo youtube zelle""",
    )
)
"""Words by which a letter sends its reader somewhere else, in English and Spanish, folded."""

_DIGITS = frozenset(
    re.findall(
        r"[a-z]+",
        """zero oh one two three four five six seven eight nine double cero uno dos tres cuatro
        cinco seis siete ocho nueve""",
    )
)

_TIMES = frozenset(
    re.findall(
        r"[a-z]+",
        """monday tuesday wednesday thursday friday saturday sunday january february april june july
        august september october november december today tomorrow tonight yesterday noon midnight
        lunes martes miercoles jueves viernes sabado domingo enero febrero marzo abril mayo junio
        julio agosto septiembre octubre noviembre diciembre hoy manana ayer mediodia medianoche""",
    )
)
_SHORT = frozenset(
    re.findall(
        r"[a-z]+",
        """mon tue tues wed thu thur thurs fri sat sun jan feb mar apr jun jul aug sep sept oct nov
        dec may march""",
    )
)


def fold(text: str) -> str:
    """Small letters without accents: how two spellings of one word are held together."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char))


def spelling(words: str) -> str | None:
    """What is wrong with the characters, or None: letters, digits and plain punctuation alone."""
    plain = all(char in _LATIN or char in PUNCTUATION or char in "0123456789" for char in words)
    if not plain or words != " ".join(words.split()):
        return "holds more than letters, digits and plain punctuation"
    if _SINGLE.search(words) or _MIXED.search(words):
        return "spells a word in pieces, or with digits in it"
    return None


def way_out(words: str) -> str | None:
    """What in the words could lead a reader elsewhere, or None."""
    if _STOP.search(words):
        return "has a full stop inside a word or a sentence, as a link would"
    said = [fold(word) for word in _SPLIT.split(words) if word]
    if _CALL.search(words) or _run(said, _DIGITS) >= 4:
        return "has a number that a reader could call"
    if {re.sub("\u2019.*", "", word) for word in said} & _WAYS:
        return "has a word that sends its reader elsewhere, such as click, call or visit"
    return None


def timing(words: str) -> str | None:
    """What in the words names a day or an hour, or None; ``words`` without approved names."""
    if any(char.isdigit() for char in words) or {fold(w) for w in _WORD.findall(words)} & _TIMES:
        return "names a day, an hour or a number, and this slot is not for one (times)"
    return None


def names(words: str, known: Collection[str]) -> str | None:
    """A capital letter where no sentence begins and no approved name stands, or None.

    Args:
        words: without the names that were approved.
        known: further words that may be capital, folded.
    """
    for found in _WORD.finditer(words):
        word = found[0]
        capitals = sum(char.isupper() for char in word)
        begins = capitals == 1 and word[0].isupper() and _BEGIN.search(words[: found.start()])
        if capitals and not begins and word != "I" and fold(word) not in known:
            return "holds a name that was not approved with it (names)"
    return None


def candidate(words: str, candidates: Sequence[str]) -> str | None:
    """A candidate's last or whole name however it is spelled, or None."""
    said = [re.sub("\u2019s?\\Z", "", word) for word in words.split()]
    pieces = [_WORD.findall(fold(word)) for word in said]
    together = "".join("".join(each) for each in pieces)
    tokens = {token for each in pieces for token in (*each, "".join(each))}
    for name in candidates:
        parts = ["".join(_WORD.findall(fold(part))) for part in name.split()]
        last = next((p for p in reversed(parts) if p not in ("jr", "sr", "ii", "iii", "iv")), "")
        inside = len(last) > 4 and any(last in token for token in tokens)
        if last and (inside or last in tokens or "".join(parts) in together):
            return "names a candidate"
    return None


def without(words: str, approved: Sequence[str]) -> str:
    """The words with each approved name taken out whole, the longest first."""
    for name in sorted(approved, key=lambda each: (-len(each), each)):
        words = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "\u2014", words)
    return words


def calendar_words() -> frozenset[str]:
    """Names of days and months, folded: capital in English, and no name of anybody."""
    return _TIMES | _SHORT


def _run(said: Sequence[str], wanted: Collection[str]) -> int:
    """How many words of a kind stand next to each other at most."""
    return max(_runs(said, wanted), default=0)


def _runs(said: Sequence[str], wanted: Collection[str]) -> Iterator[int]:
    length = 0
    for word in said:
        length = length + 1 if word in wanted else 0
        yield length
