"""What the mailer refuses, by name; no message holds an address, a name or a letter's text.

MailerError
├── KeyRefused            key bytes of the wrong length or form
├── PayloadRefused        a field of a row cannot be sealed: says which field, and why
├── UnsealRefused         a wrapped key or a sealed row does not open under these keys
├── TokenRefused          a VERP address or a capability was not made by us
├── NotificationRefused   a provider's webhook was sent something not signed for us
├── AddressRefused        an address cannot stand in an envelope
├── TemplateRefused       a template breaks a rule: every problem, with its line
├── PlacesRefused         a table of places has a cell that cannot be: says row and column
├── FactsRefused          a letter lacks the text of a field it uses
├── LetterRefused         a header's source would break the header
├── PaceRefused           a breaker was given figures that cannot be
├── DnsSilent             a resolver gave no answer, so nothing is known
└── SpfBroken             an SPF record is one that receivers give up on
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class MailerError(Exception):
    """Anything the mailer refuses."""


class KeyRefused(MailerError):
    """Key bytes are not what they should be."""


class PayloadRefused(MailerError):
    """A field of one row cannot be sealed."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field} {why}")


class UnsealRefused(MailerError):
    """A wrapped key or a sealed row does not open under the keys given."""


class TokenRefused(MailerError):
    """A VERP address or a capability was not made with this key."""


class NotificationRefused(MailerError):
    """What a mail provider's webhook was sent is not signed for us; says which part."""

    def __init__(self, part: str, why: str) -> None:
        self.part = part
        self.why = why
        super().__init__(f"{part}: {why}")


class AddressRefused(MailerError):
    """An address cannot stand in an envelope; the address itself is never quoted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a template: where, what, and what to do about it."""

    line: int
    what: str
    todo: str
    where: str = ""
    """Which block and field, or which language; without it the line says enough."""

    @property
    def place(self) -> str:
        """Where it is, as a person says it."""
        return self.where or f"Line {self.line}"

    def __str__(self) -> str:
        return f"{self.place}: {self.what} {self.todo}"


class TemplateRefused(MailerError):
    """A template breaks one or more rules; ``problems`` holds the first 60, in order of line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))[:60]
        super().__init__("\n".join(map(str, self.problems)))


class PlacesRefused(MailerError):
    """A table of places cannot be used; no value of a cell is quoted."""

    def __init__(self, file: str, row: int, column: str, why: str) -> None:
        self.file, self.row, self.column, self.why = file, row, column, why
        where = f", row {row}" if row else ""
        named = f", column {column}" if column else ""
        super().__init__(f"{file}{where}{named}: {why}")


class FactsRefused(MailerError):
    """A letter lacks the text of a field that its template uses."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(f"no text was given for the field {field}, and it has no fallback")


class LetterRefused(MailerError):
    """A header's source would break the header."""

    def __init__(self, header: str, why: str) -> None:
        self.header = header
        self.why = why
        super().__init__(f"{header} {why}")


class PaceRefused(MailerError):
    """A breaker was given figures that cannot be."""


class DnsSilent(MailerError):
    """A resolver failed or stayed silent: that a record is missing is not known."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"{name}: {why}")


class SpfBroken(MailerError):
    """An SPF record is one that receivers give up on (``permerror``)."""
