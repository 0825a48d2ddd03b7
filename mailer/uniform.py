"""Letters to made-up people, held against each other: nobody's letter is a letter of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from mailer.findings import Finding
from mailer.letter import Recipient, Slice

POINT = "Uniformity"
PEOPLE = 100
OWN_HEADERS = frozenset({"to", "message-id", "list-unsubscribe", "dkim-signature"})
_NAMES = ("Alex", "José", "Mary-Ann", "D'Angelo", "Zoë", "Nguyễn", "O’Neil", "李", "", "Ana María")


@dataclass(frozen=True, slots=True)
class Made:
    """A made-up reader: what is theirs alone, and the letter that was written to them."""

    own: Mapping[str, str]
    message: bytes


def reader(number: int, base: str, facts: Mapping[str, str]) -> tuple[Recipient, dict[str, str]]:
    """Make up reader ``number``: names short, long, foreign and empty; links nobody else has.

    Args:
        base: prefix of links, as letters have it.
        facts: what readers of one place share.

    Returns:
        The recipient, and each text that is this reader's own.
    """
    token = hashlib.sha256(b"made up %d" % number).hexdigest()[:22]
    name = _NAMES[number % len(_NAMES)]
    own = {
        "first_name": name and f"{name} {'x' * (number % 7)}{number}".strip(),
        "stop_url": f"{base}/u/{token}",
        "why_url": f"{base}/why/{token}",
    }
    recipient = Recipient(
        address=f"made-up-{number}@example.net",
        message_id=f"<{token}@example.net>",
        stop_url=own["stop_url"],
        stop_mailto=f"stop-{token}@example.net",
        facts={**facts, "why_url": own["why_url"], "first_name": own["first_name"]},
    )
    return recipient, own


def written(
    slice: Slice, numbers: Iterable[int], base: str, facts: Mapping[str, str]
) -> Iterator[Made]:
    """Write letters to some made-up readers, as they would leave."""
    for number in numbers:
        recipient, own = reader(number, base, facts)
        yield Made(own, bytes(slice.write(recipient)))


def inspect(groups: Mapping[str, list[Made]]) -> Finding:
    """Compare the letters of each group: one partner, language, messenger and place.

    What is a reader's own becomes a mark; then headers and both parts must be equal, for readers
    with a first name and for those without.
    """
    count = sum(len(group) for group in groups.values())
    for name, group in groups.items():
        for named in (True, False):
            forms = {_form(one) for one in group if bool(one.own["first_name"]) is named}
            if len(forms) > 1:
                what = f"Letters of one kind ({name}) differ by more than the reader's own fields."
                todo = "Tell whoever looks after this installation; nothing can be sent like this."
                return Finding(POINT, "red", what, todo)
    kinds = f"{len(groups)} kind" + ("s" if len(groups) != 1 else "")
    return Finding(POINT, "green", f"{count} letters to made-up people, alike within {kinds}.")


def _form(one: Made) -> tuple[object, ...]:
    parsed = message_from_bytes(one.message, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    heads = tuple(
        (name, str(value)) for name, value in parsed.items() if name.lower() not in OWN_HEADERS
    )
    parts = tuple(
        (part.get_content_type(), _marked(str(part.get_content()), one.own))
        for part in parsed.walk()
        if not part.is_multipart()
    )
    return heads, parts


def _marked(text: str, own: Mapping[str, str]) -> str:
    # The longest first: a link may hold what a shorter text is.
    for name, value in sorted(own.items(), key=lambda item: -len(item[1])):
        if value:
            for spelled in {value, value.replace("'", "&#x27;")}:
                text = text.replace(spelled, f"[{name}]")
    return text
