"""A volunteer reads every letter that may go in their name, before it leaves, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import Any

import pytest

from consortium.service import lend, read_over
from consortium.service.read_over import ToSign
from consortium.store import messengers
from consortium.store.errors import Missing
from mailer import arms
from mailer.errors import TemplateRefused
from policies import agreement
from tests.fakes.post import LETTER, MORNING, Post
from tests.fakes.server import RACE

MARIA = {"name": "Maria Trujillo", "place": "Toledo"}
URL = "https://letters.example"
PEOPLE = [(n, f"m{n}@example.net") for n in range(1, 4)]


@pytest.fixture
def signer(post: Post, monkeypatch: pytest.MonkeyPatch) -> Post:
    """Maria has confirmed, and the agreement allows letters in both languages."""
    both = replace(agreement.parse(post.server.agreement), languages=("en", "es"))
    for name in ("terms", "signed_terms"):
        monkeypatch.setattr(lend.agree, name, lambda *_: both)
    one = messengers.Messenger(
        "m1", RACE, **MARIA, confirmed=post.clock(), refused=None, token_hash=_hash("maria")
    )
    post.units.run("lend", lambda unit: messengers.add(unit, one))
    return post


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read(post: Post, token: str = "maria") -> list[ToSign]:
    return post.units.read("read", lambda unit: read_over.read_over(unit, token, URL))


def letter(post: Post, id: str = "c1", state: str = "submitted", **more: Any) -> None:
    post.campaign(id, post.bundle("union", int(id[1:]), PEOPLE), state=state, **more)


def test_a_letter_is_shown_in_their_own_name_and_place_and_to_a_made_up_reader(
    signer: Post,
) -> None:
    letter(signer)
    [one] = read(signer)
    [words] = one.wordings
    assert (one.subject, one.state, words.language, words.arm) == ("Saturday", "asked", "en", 0)
    assert words.subject == "Saturday"
    assert (one.opens, one.opens < one.closes) == (MORNING, True)
    assert "Alex" in words.text
    assert "Sampletown" not in words.text
    signed = f"{MARIA['name']} for {one.partner}"
    assert signed in signer.units.read("see", lambda u: lend.show(u, "maria")).senders
    assert one.partner in words.text


@pytest.mark.parametrize(
    ("state", "before", "shown"),
    [
        ("submitted", None, "asked"),
        ("approved", None, "approved"),
        ("frozen", None, "approved"),
        ("attested", None, "approved"),
        ("logged", None, "approved"),
        ("sending", None, "going"),
        # Why a letter is held may follow from what came back: it stands as it stood.
        ("paused", "sending", "going"),
        ("paused", "logged", "approved"),
        ("draft", None, None),
        ("stopped", None, None),
        ("closed", None, None),
    ],
)
def test_what_was_not_submitted_or_is_over_is_not_shown(
    signer: Post, state: str, before: str | None, shown: str | None
) -> None:
    letter(signer, state=state, before_pause=before)
    assert [one.state for one in read(signer)] == ([shown] if shown else [])


def test_every_arm_every_language_and_every_place_with_words_of_its_own_is_shown(
    signer: Post,
) -> None:
    blocks = [
        {"kind": "text", "text": "Come."},
        {"kind": "text", "text": "A ride from here.", "places": {"precinct": ["44-1", "44-2"]}},
    ]
    spanish = {"subject": "Sábado", "blocks": [{"kind": "text", "text": "Venga."}]}
    letter(
        signer,
        template={"mjml": None, "blocks": blocks, "languages": {"es": spanish}, "facts": None},
    )
    [one] = read(signer)
    told = [(w.language, w.places, w.subject) for w in one.wordings]
    assert told == [("en", "", "Saturday"), ("en", "44-1, 44-2", "Saturday"), ("es", "", "Sábado")]
    assert ["A ride from here." in w.text for w in one.wordings] == [False, True, False]
    two = arms.complete(
        {"subject": "Saturday", "mjml": LETTER, "share": 1, "arms": [{"subject": "C", "share": 1}]}
    )
    letter(signer, "c2", template={"text": None, **two})
    assert [(w.arm, w.subject) for w in read(signer)[1].wordings] == [(1, "Saturday"), (2, "C")]


def test_whoever_may_sign_reads_it_and_nobody_else(signer: Post) -> None:
    bo = messengers.Messenger("m2", RACE, "Bo Ray", "Parma", signer.clock(), None, _hash("bo"))
    signer.units.run("lend", lambda unit: messengers.add(unit, bo))
    letter(signer)
    assert (len(read(signer)), read(signer, "bo")) == (1, [])
    manifest = signer.state("c1").manifest or {}
    signer.change(
        "c1", manifest={**manifest, "messengers": [MARIA, {"name": "Bo Ray", "place": "Parma"}]}
    )
    assert [len(read(signer, each)) for each in ("maria", "bo")] == [1, 1]
    assert "Bo Ray" in str(read(signer, "bo"))
    with pytest.raises(Missing):
        read(signer, "nobody")


def test_who_takes_the_name_back_reads_nothing_more_and_no_letter_leaves(signer: Post) -> None:
    letter(signer, state="logged")
    assert len(read(signer)) == 1
    signer.units.run("refuse", lambda unit: lend.refuse(unit, "maria", signer.clock()))
    assert read(signer) == []
    signer.go("c1")
    assert signer.mta.to == []
    signer.units.run("confirm", lambda unit: lend.confirm(unit, "maria", signer.clock()))
    signer.change("c1", state="logged", before_pause=None)
    signer.go("c1")
    assert len(signer.mta.to) == len(PEOPLE)


def test_nothing_shown_depends_on_whose_lists_it_meets_or_who_is_on_them(signer: Post) -> None:
    def shown(id: str, *bundles: Any) -> dict[str, Any]:
        signer.campaign(id, *bundles, state="sending")
        [one] = read(signer)
        signer.change(id, state="closed")
        return asdict(one)

    few = shown("c1", signer.bundle("union", 1, PEOPLE[:1]))
    many = shown("c2", signer.bundle("parks", 2, [(n, f"p{n}@example.net") for n in range(90)]))
    assert few == many
    for never in ("example.net", "90"):
        assert never not in repr(many)


def test_words_that_the_agreement_refuses_by_now_are_said_to_leave_nothing(signer: Post) -> None:
    letter(signer)
    broken = LETTER.replace("first_name", "no_such")
    letter(signer, "c2", template={"mjml": broken})
    assert sorted(len(one.wordings) for one in read(signer)) == [0, 1]
    assert "none of it leaves so" in signer.server.client.get("/messenger/maria").text
    for id in ("c1", "c2"):
        signer.change(id, state="logged")
    with pytest.raises(TemplateRefused):
        signer.go("c2")
    assert signer.mta.to == []
    signer.go("c1")
    assert len(signer.mta.to) == len(PEOPLE)


def test_the_page_shows_it_without_a_word_on_who_gets_it(signer: Post) -> None:
    letter(signer, state="sending")
    for lang, said in (("en", "Under way."), ("es", "Está saliendo.")):
        page = signer.server.client.get(f"/messenger/maria?lang={lang}")
        assert page.status_code == 200
        assert said in page.text
        assert "Hi Alex, come on Saturday." in page.text
        assert "example.net" not in page.text
