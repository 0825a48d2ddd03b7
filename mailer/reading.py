"""How easily a letter reads: a school grade for English, a scale of ease for Spanish.

Both are own formulas after the published ones, over the letter's own words alone (no footer): a
figure to think about, never a reason to refuse. Words of other languages are not judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailer.findings import Finding

POINT = "Reading level"
LEAST_WORDS = 30
GRADE = 9.0
"""Above this US school grade English is yellow: about half of adults read at the eighth."""
EASE = 55.0
"""Below this on the INFLESZ scale Spanish is yellow: "somewhat difficult"."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_END = re.compile(r"[.!?…]+(?=\s|$)|\n+")
_ENGLISH = frozenset(
    [
        "the",
        "and",
        "you",
        "your",
        "to",
        "of",
        "is",
        "in",
        "for",
        "we",
        "are",
        "it",
        "on",
        "have",
        "with",
        "this",
        "that",
    ]
)
_SPANISH = frozenset(
    [
        "el",
        "la",
        "los",
        "las",
        "de",
        "que",
        "y",
        "en",
        "un",
        "una",
        "su",
        "por",
        "para",
        "con",
        "es",
        "se",
        "del",
    ]
)
_STRONG, _WEAK = "aeoáéóíú", "iuü"


@dataclass(frozen=True, slots=True)
class Measured:
    """Words, sentences and syllables of a text."""

    words: int
    sentences: int
    syllables: int


def english(text: str) -> float:
    """Return the Flesch-Kincaid grade: years of US school.

    Source:
        Kincaid et al. 1975: 0.39 words/sentences + 11.8 syllables/words - 15.59.
    """
    m = measure(text, english_syllables)
    return 0.39 * m.words / m.sentences + 11.8 * m.syllables / m.words - 15.59


def spanish(text: str) -> float:
    """Return ease of reading, 0 to 100; above 65 easy, below 40 very difficult.

    Source:
        Szigriszt-Pazos 1993: 206.835 - 62.3 syllables/words - words/sentences; scale INFLESZ
        (Barrio-Cantalejo 2008).
    """
    m = measure(text, spanish_syllables)
    return 206.835 - 62.3 * m.syllables / m.words - m.words / m.sentences


def measure(text: str, syllables: object) -> Measured:
    """Count; a line's end ends a sentence, as in headings and lists."""
    assert callable(syllables)
    words = _WORD.findall(text)
    sentences = sum(1 for part in _END.split(text) if part and _WORD.search(part))
    many = sum(syllables(word) for word in words)
    return Measured(max(1, len(words)), max(1, sentences), many)


def english_syllables(word: str) -> int:
    """Count groups of vowels, without a silent e at the end."""
    low = word.lower()
    found = len(re.findall(r"[aeiouy]+", low))
    if re.search(r"[^aeiouyl]e$|[^aeiouydt]ed$|[^aeiouys]es$", low) and not re.search(
        r"(?:ch|sh|x|z|c|g)es$", low
    ):
        found -= 1
    return max(1, found)


def spanish_syllables(word: str) -> int:
    """Count a strong or accented vowel as one, and weak ones alone as one (RAE, Ortografía)."""
    low = re.sub(r"qu|gu(?=[eiéí])", "k", word.lower())
    low = re.sub(r"y(?![aeiouáéíóú])", "i", low)
    found = 0
    for group in re.findall(f"[{_STRONG}{_WEAK}]+", low):
        found += max(1, sum(letter in _STRONG for letter in group))
    return max(1, found)


def guess(text: str) -> str:
    """Say which of the two languages a text is in, ``en`` or ``es``, or nothing."""
    words = [word.lower() for word in _WORD.findall(text)]
    scores = {
        "en": sum(word in _ENGLISH for word in words),
        "es": sum(word in _SPANISH for word in words),
    }
    best = max(scores, key=lambda name: scores[name])
    other = min(scores.values())
    return best if scores[best] >= 5 and scores[best] >= 2 * other else ""


def inspect(text: str, language: str) -> Finding:
    """Judge the words that the coordinator wrote.

    Args:
        text: without the footer.
        language: of the letter, ``en`` or ``es``; others are not judged.
    """
    todo = "Use shorter sentences and everyday words."
    short = language.split("-")[0].lower()
    if len(_WORD.findall(text)) < LEAST_WORDS:
        return Finding(POINT, "none", f"Under {LEAST_WORDS} words: too few to judge.")
    if short == "en":
        grade = english(text)
        what = f"About {max(1, round(grade))} years of school (Flesch-Kincaid)."
        return Finding(POINT, "yellow", what, todo) if grade > GRADE else _good(what)
    if short == "es":
        ease = spanish(text)
        what = f"{max(0, min(100, round(ease)))} of 100 for ease (Szigriszt-Pazos)."
        return Finding(POINT, "yellow", what, todo) if ease < EASE else _good(what)
    return Finding(POINT, "none", f"There is no formula here for the language {short}.")


def _good(what: str) -> Finding:
    return Finding(POINT, "green", what)
