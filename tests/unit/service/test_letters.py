"""Whoever the seal says reads Spanish gets Spanish; where somebody votes decides on their words."""

from __future__ import annotations

import email
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from consortium.service import approve, locate
from consortium.service.errors import NotReady
from consortium.service.send import SealedRow
from consortium.store import campaigns, texts
from consortium.store.unit import Unit
from mailer.polling import PlaceTable
from mailer.seal import Payload
from tests.fakes.post import Post
from tests.fakes.server import RACE

EN = [{"kind": "text", "text": "Vote at {{ polling_place | your polling place }}."}]
PLACED = [
    *EN,
    {"kind": "text", "text": "Ride from here.", "places": {"precinct": ["44-1"]}},
    {"kind": "text", "text": "Other ride.", "places": {"precinct": ["44-2"]}},
    {"kind": "text", "text": "House ride.", "places": {"district": ["State House 44"]}},
]
ES = [{"kind": "text", "text": "Vote en {{ polling_place | su lugar de votación }}."}]


def template(facts: str | None = None, blocks: Any = EN) -> dict[str, Any]:
    both = {
        "subject": "Saturday",
        "mjml": None,
        "blocks": blocks,
        "languages": {"es": {"subject": "Sábado", "blocks": ES}},
    }
    return {**both, "facts": facts} if facts else both


def keep(post: Post, rows: dict[str, dict[str, str]]) -> str:
    table = PlaceTable(rows)
    digest = table.digest()

    def put(unit: Unit) -> None:
        texts.put(unit, locate._document(digest), table.to_bytes().decode())
        texts.put(unit, locate._pointer(RACE), digest)

    post.units.run("places", put)
    return digest


def speak(post: Post, languages: dict[str, str]) -> None:
    """Let rows say a language, and the agreement allow both."""
    opened: Callable[[SealedRow, bytes], Payload] = post.open_row

    def open_row(row: SealedRow, shared: bytes) -> Payload:
        payload = opened(row, shared)
        return replace(payload, language=languages.get(payload.email, "en"))

    post.office.open_row = open_row


def bodies(post: Post) -> dict[str, EmailMessage]:
    found = {}
    for _, to, raw in post.mta.taken:
        message = email.message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        found[to] = message
    return found


def text(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@pytest.fixture
def bilingual(post: Post, monkeypatch: pytest.MonkeyPatch) -> Post:
    from consortium.service import agree

    kept = agree.signed_terms
    monkeypatch.setattr(
        agree,
        "signed_terms",
        lambda unit, race: replace(kept(unit, race), languages=("en", "es")),
    )
    return post


def test_each_reader_gets_their_language_and_who_names_none_the_first(bilingual: Post) -> None:
    post = bilingual
    speak(post, {"m1@example.net": "es", "m2@example.net": "vi"})
    people = [(n, f"m{n}@example.net") for n in (1, 2, 3)]
    post.go(post.campaign("c1", post.bundle("union", 1, people), template=template()))
    got = bodies(post)
    assert {to: message["Subject"] for to, message in got.items()} == {
        "m1@example.net": "Sábado",
        "m2@example.net": "Saturday",
        "m3@example.net": "Saturday",
    }
    assert "Vote en su lugar de votación." in text(got["m1@example.net"])
    assert "Pagado por" in text(got["m1@example.net"])
    assert "Vote at your polling place." in text(got["m2@example.net"])


def test_words_and_facts_are_those_of_the_readers_precinct(bilingual: Post) -> None:
    post = bilingual
    facts = keep(post, {"44-1": {"polling_place": "Lincoln School"}, "44-2": {}})
    people = [(n, f"m{n}@example.net") for n in (1, 2)]
    made = template(facts, PLACED)
    post.go(post.campaign("c1", post.bundle("union", 1, people), template=made))
    for message in bodies(post).values():
        said = text(message)
        assert "Vote at Lincoln School." in said
        assert "Ride from here." in said
        assert "House ride." in said
        assert "Other ride." not in said
    assert post.letters("c1")[0].place["districts"].split("|")[2:3] == ["State House 44"]


def test_a_newer_table_that_says_something_else_holds_the_letter(bilingual: Post) -> None:
    post = bilingual
    facts = keep(post, {"44-1": {"polling_place": "Lincoln School"}})
    id = post.campaign(
        "c1", post.bundle("union", 1, [(1, "m1@example.net")]), template=template(facts)
    )
    keep(post, {"44-1": {"polling_place": "Fire Station 3"}})
    post.go(id)
    assert post.mta.to == []
    assert "drafted anew" in post.state(id).waiting_for
    keep(post, {"44-1": {"polling_place": "Lincoln School", "polling_hours": "7 to 7"}})
    post.go(id)
    assert post.mta.to == ["m1@example.net"]


def test_a_table_changed_in_the_database_states_nothing(post: Post) -> None:
    digest = keep(post, {"44-1": {"polling_place": "Lincoln School"}})

    def forge(unit: Unit) -> None:
        texts.put(unit, locate._document(digest), '{"44-1":{"polling_place":"Elsewhere"}}')

    post.units.run("forge", forge)
    with pytest.raises(NotReady):
        post.units.run("read", lambda unit: locate.table(unit, digest))


def test_a_letter_that_states_no_fact_waits_for_no_table(bilingual: Post) -> None:
    post = bilingual
    plain = {**template(blocks=[{"kind": "text", "text": "Hello"}]), "languages": None}
    id = post.campaign("c1", post.bundle("union", 1, [(1, "m1@example.net")]), template=plain)
    keep(post, {"44-1": {"polling_place": "Lincoln School"}})

    def look(unit: Unit) -> bool:
        one = campaigns.get(unit, id)
        from consortium.service import agree

        return approve.outdated(unit, one, agree.signed_terms(unit, RACE))

    assert not post.units.run("look", look)
