"""Bounded local words in a letter that is approved once: marked places, short, plain, no way out.

A mark is ``[[name]]`` in what a reader reads. Who fills it in can neither lead a reader anywhere
(no link, address, host, number to call) nor write markup, nor say more than was allowed.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies import bounds
from policies.errors import ProgrammeRefused

MOST = 300
"""Characters that one slot may hold at the very most."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,29}\Z")

_MARK = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_TAG = re.compile(r"""<(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_READ = frozenset({"text", "items", "mjml"})
"""Parts of a letter that a reader reads, where a mark may stand; never a subject or a link."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for local words: so many characters at most, and what stands there without any.

    names: what may be named there besides what ``usual`` names: streets, schools, halls.
    times: whether a day, an hour or a number may stand there.
    """

    name: str
    most: int
    usual: str
    names: tuple[str, ...] = ()
    times: bool = False

    @property
    def where(self) -> str:
        """Its path in a refusal."""
        return f"slots.{self.name}"


def checked(slot: Slot, words: str, candidates: Sequence[str] = ()) -> str:
    """Return a slot's words as they will stand in the letter.

    Args:
        candidates: names that nobody's local words hold.

    Raises:
        ProgrammeRefused: names the slot and the bound, and quotes nothing.
    """
    words = spelled(words)
    if len(words) > slot.most:
        raise ProgrammeRefused(slot.where, f"is longer than {slot.most} characters")
    rest = bounds.without(words, slot.names)
    usual = {bounds.fold(word) for word in re.findall(r"\w+", slot.usual)}
    known = usual | (bounds.calendar_words() if slot.times else frozenset())
    for wrong in (
        bounds.spelling(words) or bounds.way_out(words),
        None if slot.times else bounds.timing(rest),
        bounds.names(rest, known),
        bounds.candidate(words, candidates),
    ):
        if wrong:
            raise ProgrammeRefused(slot.where, wrong)
    return words


def check_slot(slot: Slot, candidates: Sequence[str]) -> None:
    """Check what partners are to approve of a slot: its usual words, and each name on its own.

    Raises:
        ProgrammeRefused: names the slot.
    """
    for name in slot.names:
        wrong = bounds.spelling(name) or bounds.way_out(name) or bounds.candidate(name, candidates)
        if wrong:
            raise ProgrammeRefused(f"{slot.where}.names", wrong)
    checked(slot, slot.usual, candidates)


def spelled(words: str) -> str:
    """Words as a letter spells them: accents in one piece, typographic apostrophes."""
    return unicodedata.normalize("NFC", words).replace("'", "\u2019")


def check_marks(template: Mapping[str, Any], slots: Mapping[str, Slot]) -> None:
    """Check that marks stand only in what is read, that each is a slot, and each slot is used.

    Raises:
        ProgrammeRefused: names the mark's place or the slot.
    """
    seen: set[str] = set()
    for key, text in _strings(template, ""):
        found = _MARK.findall(text)
        if found and (key not in _READ or found != _MARK.findall(_TAG.sub(" ", text))):
            raise ProgrammeRefused(f"template.{key}", "has a slot where nobody reads it")
        seen |= set(found)
    for name in sorted(seen ^ set(slots)):
        said = "is no slot of this letter" if name in seen else "stands nowhere in the letter"
        raise ProgrammeRefused(f"slots.{name[:30]}", said)


def filled(
    template: Mapping[str, Any],
    slots: Mapping[str, Slot],
    given: Mapping[str, str],
    candidates: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the letter with local words in its slots, the usual words where none are given.

    The same words give the same letter on every computer: this is how a partner's tool sees that
    a letter is the one that was approved, and differs by bounded words alone.

    Raises:
        ProgrammeRefused: words for a slot that is not there, or beyond its bounds.
    """
    for name in sorted(set(given) - set(slots)):
        raise ProgrammeRefused(f"slots.{name[:30]}", "is no slot of this letter")
    words = {
        name: checked(one, given.get(name, one.usual), candidates) for name, one in slots.items()
    }

    def put(text: str) -> str:
        return _MARK.sub(lambda found: words.get(found[1], found[0]), text)

    return {key: _each(value, put) for key, value in template.items()}


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every text below a value, with the name of the part that it stands in."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner, key)


def _each(value: Any, put: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return put(value)
    if isinstance(value, Mapping):
        return {name: _each(inner, put) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_each(inner, put) for inner in value]
    return value
