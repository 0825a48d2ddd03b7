"""A made-up campaign for tests of letters: one template, one sender, any number of readers."""

from __future__ import annotations

from datetime import UTC, datetime

from mailer import starting, stops, versions
from mailer.compose import Compiled
from mailer.fields import FIELDS
from mailer.letter import Recipient, Sender

SOME = ("event", "volunteer-small", "vote-plan")
"""Some of the starters: with a box, with a list, and with the facts of places."""
KEY = b"k" * 32
AT = datetime(2026, 1, 21, 15, tzinfo=UTC)
SENDER = Sender(
    messenger="Maria Trujillo",
    partner="Steel City Teachers",
    partner_id="teachers",
    slug="maria.trujillo",
    domain="mail.teachers.example",
    reply_to="reply@mail.teachers.example",
    list_id="house-44.lists.example",
)
COMMON = {
    "messenger_name": "Maria Trujillo",
    "partner_name": "Steel City Teachers",
    "relation": "a member",
    "author_role": "the local coordinator of this race",
    "race_name": "State House 44",
    "postal_address": "PO Box 100, Pueblo CO 81003",
    "paid_for_by": "Neighbors for Pueblo",
    "election_date": "Tuesday, November 3",
}


def compiled(name: str = "event", language: str = "en") -> Compiled:
    """Compile one of the starters."""
    return versions.compile_versions(
        starting.starter(name, language),
        languages=(language,),
        allowed_fields=FIELDS,
        allowed_hosts={"example.org"},
    )[language]


def recipient(number: int = 0, **facts: str) -> Recipient:
    """Return a made-up reader; the same number is the same reader."""
    delivery = stops.delivery_id(KEY, "spring", number.to_bytes(32, "big"))
    token = stops.capability(KEY, delivery).token
    base = "https://letters.example"
    return Recipient(
        address=f"reader{number}@example.net",
        message_id=stops.message_id(KEY, delivery, SENDER.domain),
        stop_url=f"{base}/stop/{token}",
        stop_mailto=f"stop-{token}@mail.teachers.example",
        facts={"why_url": f"{base}/why/{token}", **facts},
    )
