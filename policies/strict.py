"""A document read strictly, key by key: a refusal names the path of what is wrong, and no value."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from policies.errors import AgreementRefused


class Strict:
    """One object of the document, and the path to it, so that a refusal says where."""

    def __init__(self, path: str, raw: object, keys: Sequence[str], optional: Sequence[str] = ()):
        self.path = path
        if not isinstance(raw, dict):
            raise AgreementRefused(path or "document", "is not an object")
        for name in keys:
            if name not in raw:
                raise AgreementRefused(self.of(name), "is missing")
        if set(raw) - set(keys) - set(optional):
            raise AgreementRefused(path or "document", "has a key that the code does not know")
        self.raw: dict[str, Any] = raw

    def of(self, name: str) -> str:
        """The path of a key."""
        return f"{self.path}.{name}" if self.path else name

    def inner(self, name: str, keys: Sequence[str], optional: Sequence[str] = ()) -> "Strict":
        """An object under a key."""
        return Strict(self.of(name), self.raw[name], keys, optional)

    def number(self, name: str, low: int, high: int) -> int:
        """A whole number, both bounds allowed."""
        value = self.raw[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise AgreementRefused(self.of(name), f"is not a whole number from {low} to {high}")
        return value

    def share(self, name: str) -> float:
        """A share from 0 to 0.5."""
        value = self.raw[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 0.5:
            raise AgreementRefused(self.of(name), "is not a share from 0 to 0.5")
        return float(value)

    def text(self, name: str, longest: int, *, empty: bool = False) -> str:
        """Text of at most so many characters, without control characters but a line feed."""
        return text(self.of(name), self.raw[name], longest, empty=empty)

    def match(self, name: str, wanted: re.Pattern[str], reason: str) -> str:
        """Text that a pattern matches."""
        return pattern(wanted, reason)(self.of(name), self.raw[name])

    def one_of(self, name: str, allowed: frozenset[str]) -> str:
        """One of these words."""
        value = self.raw[name]
        if not isinstance(value, str) or value not in allowed:
            raise AgreementRefused(self.of(name), f"is none of {', '.join(sorted(allowed))}")
        return value

    def some_of(self, name: str, allowed: frozenset[str]) -> tuple[str, ...]:
        """At least one of these words, each once."""
        values = self.each(name, lambda where, v: text(where, v, 40))
        if not values or not set(values) <= allowed:
            raise AgreementRefused(self.of(name), f"is not some of {', '.join(sorted(allowed))}")
        return values

    def moment(self, name: str) -> datetime:
        """A time in UTC, to the second."""
        value = self.raw[name]
        try:
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except (TypeError, ValueError):
            reason = "is not a UTC time such as 2026-11-21T14:00:00Z"
            raise AgreementRefused(self.of(name), reason) from None

    def each(self, name: str, read: Callable[[str, Any], Any]) -> tuple[Any, ...]:
        """A list, each read by its path and value, none twice."""
        values = self.raw[name]
        if not isinstance(values, list):
            raise AgreementRefused(self.of(name), "is not a list")
        found = tuple(read(f"{self.of(name)}.{n}", value) for n, value in enumerate(values))
        if len(set(found)) != len(found):
            raise AgreementRefused(self.of(name), "names something twice")
        return found


def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For ``json.loads``: refuse an object that has a key twice."""
    # Two readers of {"k": 1, "k": 2} may see two agreements; nobody can sign that.
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


def text(where: str, value: object, longest: int, *, empty: bool = False) -> str:
    """See ``Strict.text``; ``where`` is the path."""
    if not isinstance(value, str) or len(value) > longest or not (value.strip() or empty):
        raise AgreementRefused(where, f"is not text of at most {longest} characters")
    if any(ord(c) < 32 and c != "\n" for c in value) or "\x7f" in value:
        raise AgreementRefused(where, "holds a control character")
    return value


def pattern(wanted: re.Pattern[str], reason: str) -> Callable[[str, Any], str]:
    """A reader for ``Strict.each`` of text that a pattern matches."""

    def read(where: str, value: Any) -> str:
        if not isinstance(value, str) or not wanted.match(value):
            raise AgreementRefused(where, reason)
        return value

    return read


def day(where: str, value: Any) -> date:
    """A date; ``where`` is the path."""
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise AgreementRefused(where, "is not a date such as 2026-11-03") from None
