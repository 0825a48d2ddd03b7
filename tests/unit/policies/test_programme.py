"""A programme: dates from deadlines, words within bounds, and what goes by silence."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest

from policies import programme as programmes
from policies.agreement import Agreement, digest, parse, to_bytes
from policies.errors import AgreementRefused, ProgrammeRefused
from policies.programme import Programme, Rapid, due, fits, planned, rapid_window, window
from policies.wording import Slot, checked, filled

Make = Callable[..., Agreement]
PLACES = {"places": {"precinct": ["44-1"]}}
SILENCE = {"hours": 48, "rapid_hours": 12}
TEMPLATE = {
    "subject": "Your plan to vote",
    "blocks": [{"kind": "text", "text": "Hi, [[hello]]"}],
}
NAMES = ["Elm Street"]
SLOTS = {"hello": {"most": 40, "usual": "from around the corner.", "names": NAMES}}


def letter(id: str, step: str, deadline: str, days: int, span: int = 2) -> dict[str, Any]:
    return {
        "id": id, "step": step, "deadline": deadline, "days": days, "span": span,
        "template": deepcopy(TEMPLATE), "slots": deepcopy(SLOTS),
    }  # fmt: skip


def document(terms: Agreement, **others: Any) -> dict[str, Any]:
    rapid = {"id": "news", "most": 1, "span": 1, "template": TEMPLATE, "slots": SLOTS}
    return {
        "version": 1,
        "race": terms.race.id,
        "agreement": digest(to_bytes(terms)),
        "name": "To the polls",
        "definition": PLACES,
        "messenger": {},
        "deadlines": {"early_vote": "2026-10-20", "polls": "2026-11-03"},
        "avoid": [],
        "lead_days": 5,
        "letters": [
            letter("invite", "invite", "early_vote", -9),
            letter("plan", "plan", "early_vote", 0),
            letter("remind", "remind", "polls", -3),
        ],
        "rapid": [rapid],
        **others,
    }


def read(terms: Agreement, **others: Any) -> Programme:
    made = programmes.to_bytes(document(terms, **others))
    return programmes.parse(made, terms, digest(to_bytes(terms)))


@pytest.fixture
def terms(make: Make) -> Agreement:
    return make(silence=SILENCE)


def test_an_agreement_without_silence_has_the_bytes_that_it_had(make: Make) -> None:
    assert b"silence" not in to_bytes(make())
    assert make().silence is None
    said = make(silence=SILENCE)
    assert parse(to_bytes(said)) == said


@pytest.mark.parametrize(
    "silence",
    [
        None,
        {},
        {"hours": 48},
        {"hours": 23, "rapid_hours": 12},
        {"hours": 48, "rapid_hours": 5},
        {"hours": 48, "rapid_hours": 49},
        {"hours": True, "rapid_hours": 12},
        "never",
    ],
)
def test_silence_is_never_shorter_than_somebody_needs_to_say_no(make: Make, silence: Any) -> None:
    with pytest.raises(AgreementRefused, match="silence"):
        make(silence=silence)


def test_each_letter_has_its_days_from_its_deadline_with_room_for_the_weeks_cap(
    terms: Agreement,
) -> None:
    # The plan's day is ten days after the invite's last as written: nothing has to move.
    found = planned(read(terms), terms)
    assert [(one.letter, one.first, one.last) for one in found] == [
        ("invite", date(2026, 10, 11), date(2026, 10, 12)),
        ("plan", date(2026, 10, 20), date(2026, 10, 21)),
        ("remind", date(2026, 10, 31), date(2026, 11, 1)),
    ]
    # Five days before; the plan's is asked for earlier, since a weekend stands in its silence.
    assert [(one.first - one.ask).days for one in found] == [5, 7, 5]


def test_a_letter_moves_earlier_until_a_person_may_get_the_next_one_too(terms: Agreement) -> None:
    near = document(terms)["letters"]
    near[0]["days"] = -7  # its last day would be seven days before the next letter's first
    found = planned(read(terms, letters=near), terms)
    assert found[0].first == date(2026, 10, 11)
    near[0]["days"] = -4
    with pytest.raises(ProgrammeRefused, match=r"letters\.invite"):
        read(terms, letters=near)


def test_days_that_partners_keep_or_that_news_would_drown_are_stepped_around(
    terms: Agreement,
) -> None:
    drowned = read(terms, avoid=["2026-10-12"])
    assert planned(drowned, terms)[0].first == date(2026, 10, 10)
    kept = [date(2026, 10, 10) + timedelta(days=n) for n in (-2, -1, 0, 1, 2)]
    with pytest.raises(ProgrammeRefused, match=r"letters\.invite"):
        planned(drowned, terms, kept)


def test_a_letter_is_asked_for_on_its_day_once_and_never_when_it_is_too_late_to_say_no(
    terms: Agreement,
) -> None:
    sendings = planned(read(terms), terms)
    assert due(sendings, (), date(2026, 10, 5)) == []
    assert [one.letter for one in due(sendings, (), date(2026, 10, 6))] == ["invite"]
    assert due(sendings, ("invite",), date(2026, 10, 6)) == []
    assert due(sendings, (), date(2026, 10, 11)) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"version": 2}, "version"),
        ({"more": 1}, "document"),
        ({"race": "oh-house-45"}, "agreement"),
        ({"agreement": "0" * 64}, "agreement"),
        ({"letters": []}, "letters"),
        ({"letters": [letter("a", "ask", "registration", 0)]}, "letters.a"),
        ({"letters": [letter("a", "ask", "polls", -1)]}, "letters.a"),
        ({"letters": [letter("a", "ask", "polls", 1)]}, "window"),
        ({"letters": [letter("a", "shout", "polls", -3)]}, "letters.0.step"),
        ({"letters": [letter("news", "ask", "polls", -3)]}, "letters"),
        ({"deadlines": {"polls": "2026-11-04"}}, "deadlines.polls"),
        ({"deadlines": {"polls": "2026-11-03", "debate": "2026-10-09"}}, "deadlines"),
        ({"lead_days": 2}, "lead_days"),
        ({"messenger": {"name": "Ana"}}, "messenger.place"),
    ],
)
def test_a_programme_that_could_not_be_kept_is_refused_by_its_key(
    terms: Agreement, change: dict[str, Any], where: str
) -> None:
    with pytest.raises(ProgrammeRefused) as refused:
        read(terms, **change)
    assert refused.value.key == where


def test_more_letters_than_one_person_may_get_are_refused(make: Make) -> None:
    caps = {"letters_per_week": 1, "letters_per_race": 3, "opens_per_week": 2}
    with pytest.raises(ProgrammeRefused, match="more than the 3"):
        read(make(caps=caps))


@pytest.mark.parametrize(
    "words",
    [
        "see https://evil.example",
        "see evil.example",
        "write to me@evil",
        "call 419 555 0100",
        "call 419-555.0100",
        "<b>now</b>",
        "{{ first_name }}",
        "[here](now)",
        "**now**",
        "two\nlines",
        "two  spaces",
        "\u202enow",
        "give $5",
        "x" * 41,
    ],
)
def test_local_words_lead_nowhere_hold_no_markup_and_stay_short(words: str) -> None:
    slot = Slot("hello", 40, "usual")
    with pytest.raises(ProgrammeRefused) as refused:
        checked(slot, words)
    assert words not in str(refused.value)


def test_plain_words_in_any_language_stand_as_they_are_typed() -> None:
    slot = Slot("hello", 60, "usual", ("José\u2019s",), times=True)
    assert checked(slot, "¿Nos vemos? At 6:30, Nov 3 - José's.") == (
        "¿Nos vemos? At 6:30, Nov 3 - José’s."
    )


@pytest.mark.parametrize(
    "template",
    [
        {"subject": "[[hello]]", "blocks": []},
        {"subject": "a", "blocks": [{"kind": "button", "text": "a", "link": "https://[[hello]]"}]},
        {"subject": "a", "mjml": '<mj-button href="https://x/[[hello]]">[[hello]]</mj-button>'},
        {"subject": "a", "mjml": "<mj-image alt='a > [[hello]]' /><mj-text>[[hello]]</mj-text>"},
        {"subject": "a", "mjml": "<mj-text>[[other]]</mj-text>"},
        {"subject": "a", "mjml": "<mj-text>no slot at all</mj-text>"},
    ],
)
def test_a_slot_stands_only_where_it_is_read(terms: Agreement, template: dict[str, Any]) -> None:
    bad = {**letter("a", "ask", "polls", -3), "template": template}
    with pytest.raises(ProgrammeRefused):
        read(terms, letters=[bad])


def campaign(terms: Agreement, made: Programme, **others: Any) -> dict[str, Any]:
    first = planned(made, terms)[1]
    return {
        "agreement": made.agreement,
        "race": made.race,
        "definition": PLACES,
        "messenger": {"name": "Ana", "place": "Toledo"},
        "messengers": [{"name": "Ana", "place": "Toledo"}],
        "window": window(terms, first.first, first.last),
        **others,
    }


WORDS = {"hello": "from Elm Street."}


def test_a_letter_of_the_programme_waits_its_hours_and_a_rapid_one_fewer(terms: Agreement) -> None:
    made = read(terms)
    worded = filled(TEMPLATE, made.letters[1].slots, WORDS)
    signed = {"mjml": None, "text": None, **worded, "facts": "0" * 64}
    manifest = campaign(terms, made)
    assert fits(made, terms, "plan", WORDS, manifest=manifest, template=signed) == timedelta(
        hours=48
    )
    news = made.letter("news")
    assert isinstance(news, Rapid)
    manifest["window"] = rapid_window(terms, news, date(2026, 10, 8))
    assert fits(made, terms, "news", WORDS, manifest=manifest, template=signed) == timedelta(
        hours=12
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"definition": {"places": {"precinct": ["44-1", "44-2"]}}}, "definition"),
        ({"agreement": "0" * 64}, "agreement"),
        ({"window": {"opens": "2026-10-20T04:00:00Z", "closes": "2026-10-23T04:00:00Z"}}, "window"),
        ({"window": {"opens": "2026-10-25T04:00:00Z", "closes": "2026-10-27T04:00:00Z"}}, "window"),
    ],
)
def test_whoever_else_is_written_to_or_when_is_no_letter_of_the_programme(
    terms: Agreement, change: dict[str, Any], where: str
) -> None:
    made = read(terms)
    worded = filled(TEMPLATE, made.letters[1].slots, WORDS)
    manifest = campaign(terms, made, **change)
    with pytest.raises(ProgrammeRefused) as refused:
        fits(made, terms, "plan", WORDS, manifest=manifest, template=worded)
    assert refused.value.key == where


def test_another_word_another_signer_or_no_silence_is_refused(terms: Agreement, make: Make) -> None:
    made = read(terms)
    worded = filled(TEMPLATE, made.letters[1].slots, WORDS)
    text = json.loads(json.dumps(worded).replace("Hi, from", "Hi! from"))
    alone = campaign(terms, made)
    del alone["messengers"]
    never = make()
    unsilent = read(never)
    for terms_, made_, manifest, template, key in (
        (terms, made, campaign(terms, made), text, "template"),
        (terms, made, campaign(terms, made), {**worded, "languages": {}}, "template"),
        (terms, made, alone, worded, "messenger"),
        (never, unsilent, campaign(never, unsilent), worded, "silence"),
    ):
        with pytest.raises(ProgrammeRefused) as refused:
            fits(made_, terms_, "plan", WORDS, manifest=manifest, template=template)
        assert refused.value.key == key
