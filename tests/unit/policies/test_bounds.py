"""Local words as a way around an approval: each trick is refused, plain words stand."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from policies.agreement import Agreement
from policies.errors import ProgrammeRefused
from policies.wording import Slot, check_marks, checked, filled
from tests.unit.policies.test_programme import TEMPLATE, letter, read

Make = Callable[..., Agreement]
CANDIDATES = ("Maria Lopez-Garcia", "Dan Lee", "Ann Smith Jr")
SLOT = Slot("hello", 80, "with your neighbors of Toledo.", ("Elm Street", "Leeside School", "44B"))
TIMED = Slot("hello", 80, "soon.", ("Elm Street",), times=True)

ELSEWHERE = {
    "a link": "see https://evil.example",
    "a bare host": "see evil.example",
    "a host with a space before its stop": "see evil .com",
    "a host with a space behind its stop": "see evil. com",
    "a host spelled out": "see evil dot com",
    "a host spelled out with hyphens": "see evil-dot-com",
    "a host spelled out in Spanish": "mira evil punto com",
    "an address": "write to me@evil",
    "an address spelled out": "write to me arroba evil",
    "a full stop of another alphabet": "see evil\u3002com",
    "a one dot leader": "see evil\u2024com",
    "a number to call": "at 419 555 0100",
    "a number with stops": "at 419-555.0100",
    "a number in words": "at four one nine five five five",
    "a number in Spanish words": "al cuatro uno nueve cinco",
    "a number in other digits": "at \u0664\u0661\u0669 \u0665\u0665\u0665 \u0660\u0661",
    "a visit": "visit our page first",
    "a click": "please click below",
    "a search": "google the result",
    "a text message": "text us first",
    "a gift": "donate today",
    "an app": "pay us by venmo",
    "a network": "we are on facebook",
    "a network in capitals": "we are on FACEBOOK",
    "a network with accents": "we are on f\u00e1cebook",
    "a network with a possessive": "from facebook's own",
    "a call in Spanish": "ll\u00e1menos",
}
LOOKALIKE = {
    "Cyrillic": "see you at th\u0435 school",
    "Greek": "see y\u03bfu",
    "full width": "see \uff45\uff56\uff49\uff4c",
    "mathematical": "see \U0001d41e\U0001d42f",
    "a dotless i": "see th\u0131s",
    "a script g": "\u0261o there",
    "Hebrew": "see \u05d0\u05d1",
    "Arabic": "see \u0627\u0628",
    "an invisible letter": "see\u3164you",
    "a zero width space": "ev\u200bil",
    "a soft hyphen": "ev\u00adil",
    "a right-to-left override": "\u202enow",
    "a right-to-left mark": "now\u200f",
    "an isolate": "\u2066now\u2069",
    "a no-break space": "two\u00a0words",
    "a combining mark on another letter": "vo\u0335te",
    "a ligature": "\ufb01rst",
    "letters one by one": "s m i t h",
    "a digit for a letter": "v0te",
    "a digit before letters": "5mith",
    "markup": "<b>now</b>",
    "a merge field": "{{ first_name }}",
    "a slot": "[[hello]]",
    "emphasis": "**now**",
    "two lines": "two\nlines",
    "an emoji": "now \U0001f5f3",
    "money": "give $5",
}
NAMES = {
    "a new name": "with Jordan of around the corner.",
    "a new street": "at Oak Street.",
    "half of a name": "at Elm.",
    "a name glued to another": "at Elm Streets.",
    "capitals": "VOTE now",
    "capitals inside a word": "with McVey",
}
TIMES = {
    "a day": "polls are open on wednesday.",
    "a day in Spanish": "el mi\u00e9rcoles.",
    "a month": "in december.",
    "tomorrow": "it is tomorrow.",
    "an hour": "until 6",
    "noon": "until noon.",
}
CANDIDATE = {
    "a last name": "with lee.",
    "a last name at the beginning": "Lee is with us.",
    "a possessive": "for lee's sake",
    "a long last name inside a word": "smithforhouse is here",
    "a last name with a hyphen": "with lopez-garcia",
    "a last name without its hyphen": "with lopezgarcia",
    "a last name with accents": "with sm\u00edth.",
    "a last name cut by a dash": "with sm\u2013ith.",
    "a last name behind a dash": "with us\u2013lee",
    "a last name in pieces": "with sm ith, ann smith",
}


def refusals(slot: Slot, corpus: dict[str, str]) -> dict[str, str]:
    """What each trick of a corpus is refused with; one that comes through says so."""
    said = {}
    for trick, words in corpus.items():
        try:
            said[trick] = f"came through as {checked(slot, words, CANDIDATES)}"
        except ProgrammeRefused as refused:
            said[trick] = f"{refused.key} quotes it" if words in str(refused) else refused.key
    return said


@pytest.mark.parametrize("corpus", [ELSEWHERE, LOOKALIKE, NAMES, TIMES, CANDIDATE])
def test_no_trick_of_the_corpus_gets_into_a_letter(corpus: dict[str, str]) -> None:
    assert refusals(SLOT, corpus) == dict.fromkeys(corpus, "slots.hello")


@pytest.mark.parametrize("corpus", [ELSEWHERE, LOOKALIKE, NAMES, CANDIDATE])
def test_a_slot_for_days_and_hours_opens_no_other_door(corpus: dict[str, str]) -> None:
    assert refusals(TIMED, corpus) == dict.fromkeys(corpus, "slots.hello")


@pytest.mark.parametrize(
    "words",
    [
        "See you at Elm Street.",
        "We meet. Then we walk over, all of us!",
        "\u00bfNos vemos? Todos los vecinos de Toledo: ven\u00ed.",
        "I will be there, and so will my neighbors.",
        "A ballot by mail counts as well.",
        "near Leeside School, by door 44B.",
        "in \u0141\u00f3d\u017a, \u0219i nu \u00een",
    ],
)
def test_plain_words_with_approved_names_stand(words: str) -> None:
    slot = Slot("hello", 80, SLOT.usual, (*SLOT.names, "\u0141\u00f3d\u017a"))
    assert checked(slot, words, CANDIDATES) == words


def test_days_and_hours_stand_only_where_partners_approved_that(make: Make) -> None:
    for words in ("on Tuesday, Nov 3.", "At 6:30, the 5th of May.", "ma\u00f1ana a las 8"):
        assert checked(TIMED, words, CANDIDATES) == words
        with pytest.raises(ProgrammeRefused, match="times"):
            checked(SLOT, words, CANDIDATES)


def test_partners_are_not_asked_to_approve_a_candidates_name_as_a_place(make: Make) -> None:
    terms = make(silence={"hours": 48, "rapid_hours": 12}, candidates=list(CANDIDATES))
    for slot in (
        {"most": 40, "usual": "from here.", "names": ["Smith Hall"]},
        {"most": 40, "usual": "with dan lee."},
        {"most": 40, "usual": "from here.", "names": ["evil.example"]},
        {"most": 40, "usual": "from here.", "names": "Elm Street"},
        {"most": 40, "usual": "from here.", "times": 1},
    ):
        bad = {**letter("plan", "plan", "early_vote", 0), "slots": {"hello": slot}}
        with pytest.raises(ProgrammeRefused, match="hello"):
            read(terms, letters=[bad])


def test_each_place_may_have_local_words_of_its_own() -> None:
    blocks = [
        {"kind": "text", "text": "Hi, [[north]]", "places": {"precinct": ["44-1"]}},
        {"kind": "text", "text": "Hi, [[south]]", "places": {"precinct": ["44-2"]}},
    ]
    slots = {name: Slot(name, 40, "from here.", ("Elm Street",)) for name in ("north", "south")}
    made = filled({**TEMPLATE, "blocks": blocks}, slots, {"north": "from Elm Street."})
    assert [one["text"] for one in made["blocks"]] == ["Hi, from Elm Street.", "Hi, from here."]
    assert made["blocks"][0]["places"] == {"precinct": ["44-1"]}
    in_code = deepcopy(blocks)
    in_code[0]["places"] = {"precinct": ["[[north]]"]}
    with pytest.raises(ProgrammeRefused, match="where nobody reads it"):
        check_marks({**TEMPLATE, "blocks": in_code}, slots)
