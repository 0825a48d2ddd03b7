"""What is found of a letter before anybody approves it: each point right once, and wrong once."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from mailer import (
    access,
    checks,
    compose,
    contrast,
    letter,
    reading,
    spam,
    starting,
    uniform,
)
from mailer.checks import Rules, Sample
from mailer.findings import Finding, worst
from tests.fakes.letters import AT, COMMON, SENDER, compiled, recipient

RULES = Rules(
    postal_address=COMMON["postal_address"],
    paid_for_by=COMMON["paid_for_by"],
    payer_named=True,
    hosts=frozenset({"example.org"}),
    own_hosts=frozenset({"letters.example"}),
    nonpartisan=True,
    candidates=("Ada Flores", "Bo de la Cruz"),
)
PLACE = {"precinct": "P1", "place_name": "Pueblo", "polling_place": "the library"}


def sample(name: str = "event", inside: str = "", head: str = 'lang="en"') -> Sample:
    """A starter as a made-up person gets it, or a letter with this inside."""
    made = compiled(name)
    if inside:
        mjml = (
            f"<mjml {head}><mj-head><mj-title>A letter</mj-title></mj-head><mj-body><mj-section>"
            f"<mj-column>{inside}</mj-column></mj-section></mj-body></mjml>"
        )
        made = compose.compile_template(
            compose.Template("Hello", mjml), allowed_fields=set(), allowed_hosts={"example.org"}
        )
    one = recipient(1, first_name="Ana", **PLACE)
    facts = {**COMMON, **one.facts, "stop_url": one.stop_url}
    shown = compose.render(made, facts)
    return Sample(shown.subject, shown.text, shown.html, "en")


def text(words: str, **attributes: str) -> Sample:
    said = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return sample(inside=f"<mj-text {said}>{words}</mj-text>")


def of(point: str, one: Sample, rules: Rules = RULES) -> Finding:
    """The worst finding of one point."""
    return max(
        (each for each in checks.inspect([one], rules) if each.point == point),
        key=lambda each: ("green", "none", "yellow", "red").index(each.level),
    )


@pytest.mark.parametrize("name", starting.ORDER)
def test_a_starter_has_nothing_to_mend(name: str) -> None:
    found = checks.inspect([sample(name)], RULES)
    assert [one for one in found if one.level in ("red", "yellow")] == []
    assert len({one.point for one in found}) == 14


def test_everything_wrong_says_what_to_do() -> None:
    bad = Sample("Elect Ada Flores", "x http://evil.test/", "<html><a href='x'></a></html>", "en")
    found = checks.inspect([bad], RULES)
    wrong = [one for one in found if one.level in ("red", "yellow")]
    assert len(wrong) >= 7
    assert all(one.todo for one in wrong)


def test_what_is_wrong_in_one_letter_is_not_praised_for_another() -> None:
    good, bad = sample(), replace(sample(), text=sample().text + "\nhttps://example.org/more")
    found = checks.inspect([good, bad], RULES)
    assert [one.level for one in found if one.point == checks.SAME_LINKS] == ["red"]


# Links, size, what is fetched


def test_both_parts_have_the_same_listed_links() -> None:
    one = sample()
    assert of(checks.SAME_LINKS, replace(one, text=one.text.replace("/rsvp", "/x"))).level == "red"
    elsewhere = replace(RULES, hosts=frozenset())
    assert "example.org" in of(checks.LINKS, one, elsewhere).what
    plain = replace(one, html=one.html.replace("https://example.org", "http://example.org"))
    assert of(checks.LINKS, plain).level == "red"


def test_a_letter_that_gmail_would_cut_is_red() -> None:
    one = sample()
    long = replace(one, html=one.html + "x" * (checks.MAX_HTML - len(one.html.encode())))
    assert of(checks.SIZE, long).level == "red"
    assert of(checks.SIZE, replace(long, html=long.html[:-1])).level == "green"


@pytest.mark.parametrize(
    "inside",
    ['<img src="https://example.org/x">', '<td background="x">', "<style>@import 'x'</style>"],
)
def test_what_would_be_fetched_is_red(inside: str) -> None:
    one = sample()
    assert of(checks.FETCHES, replace(one, html=one.html + inside)).level == "red"


# Who paid, and for whom


def test_who_paid_and_the_address_stand_in_both_parts() -> None:
    one = sample()
    for point, words in ((checks.PAID, RULES.paid_for_by), (checks.ADDRESS, RULES.postal_address)):
        assert of(point, one).level == "green"
        assert of(point, replace(one, text=one.text.replace(words, ""))).level == "red"
        assert of(point, replace(one, html=one.html.replace(words, ""))).level == "red"
    assert of(checks.PAID, one, replace(RULES, payer_named=False)).level == "yellow"


def test_a_letter_does_not_say_by_itself_who_paid() -> None:
    assert of(checks.PAID, text("<p>Paid for by Friends of Ada.</p>")).level == "red"


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ("Come and meet your neighbors.", "green"),
        ("Meet Ada Flores on Saturday.", "red"),
        ("Meet <b>ADA</b> flores.", "red"),
        ("Bo de la Cruz speaks.", "red"),
        ("The Flores family bakes.", "yellow"),
        ("Floresville is near.", "green"),
        ("Vote for the library.", "yellow"),
        ("Ask the Democrats.", "yellow"),
        ("This election counts.", "green"),
    ],
)
def test_a_nonpartisan_letter_names_no_candidate(words: str, level: str) -> None:
    assert of(checks.NEUTRAL, text(f"<p>{words}</p>")).level == level


def test_a_partisan_letter_may_name_them_and_a_race_without_names_says_so() -> None:
    named = text("<p>Meet Ada Flores.</p>")
    every = checks.inspect([named], replace(RULES, nonpartisan=False))
    assert checks.NEUTRAL not in {one.point for one in every}
    unnamed = of(checks.NEUTRAL, text("<p>Come.</p>"), replace(RULES, candidates=()))
    assert unnamed.level == "none"


# Reading level

HARD = (
    "Notwithstanding considerable administrative complications, municipal representatives "
    "continue deliberating comprehensive infrastructural modifications, necessitating "
    "extraordinary participatory consultations throughout the metropolitan administrative area "
    "before implementation of any transportation reconfiguration. "
)
EASY = "We meet on Saturday. Bring a friend. I will make the tea. You can ask what you like. " * 3
DIFICIL = (
    "La implementación administrativa de infraestructuras metropolitanas requiere consultas "
    "extraordinarias, deliberaciones interinstitucionales y consideraciones presupuestarias que "
    "los representantes municipales difícilmente podrán comunicar adecuadamente a la ciudadanía "
    "interesada en participar activamente. "
)
FACIL = "Ven el sábado a mi casa. Voy a hacer café para todos. Tú puedes traer pan. " * 3


@pytest.mark.parametrize(
    ("words", "language", "level"),
    [
        (EASY, "en", "green"),
        (HARD * 2, "en", "yellow"),
        (FACIL, "es", "green"),
        (DIFICIL * 2, "es", "yellow"),
        ("Come.", "en", "none"),
        (EASY, "vi", "none"),
    ],
)
def test_how_easily_it_reads_is_told_and_never_refused(
    words: str, language: str, level: str
) -> None:
    assert reading.inspect(words, language).level == level


def test_syllables_are_counted_as_they_are_spoken() -> None:
    english = {"people": 2, "made": 1, "table": 2, "wanted": 2, "asked": 1, "library": 3}
    spanish = {"ciudad": 2, "país": 2, "guerra": 2, "queso": 2, "pingüino": 3, "aéreo": 4, "hoy": 1}
    assert {word: reading.english_syllables(word) for word in english} == english
    assert {word: reading.spanish_syllables(word) for word in spanish} == spanish


def test_the_formulas_give_the_published_figures() -> None:
    # "The cat sat on the mat." has 6 words of one syllable in one sentence.
    assert reading.english("The cat sat on the mat.") == pytest.approx(0.39 * 6 + 11.8 - 15.59)
    assert reading.spanish("Yo voy.") == pytest.approx(206.835 - 62.3 - 2)


# For everybody


def test_a_letter_says_the_language_that_it_is_in() -> None:
    assert of(access.LANGUAGE, sample()).level == "green"
    words = f"<mj-text><p>{FACIL}</p></mj-text>"
    assert of(access.LANGUAGE, sample(inside=words)).level == "red"
    assert of(access.LANGUAGE, sample(inside=words, head='lang="es"')).level == "green"
    bare = replace(sample(), html=sample().html.replace('<html lang="en"', "<html"))
    assert of(access.LANGUAGE, bare).level == "red"


@pytest.mark.parametrize(
    ("inside", "level"),
    [
        ("<h1>One</h1><h2>Two</h2><h3>Three</h3><h2>Four</h2>", "green"),
        ("<p>None</p>", "green"),
        ("<h2>Two first</h2>", "yellow"),
        ("<h1>One</h1><h3>Three</h3>", "yellow"),
        ("<h1> </h1>", "red"),
    ],
)
def test_headings_come_in_order(inside: str, level: str) -> None:
    assert of(access.HEADINGS, text(inside)).level == level


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ("Tell me you are coming", "green"),
        ("Click here!", "yellow"),
        ("aquí", "yellow"),
        ("", "red"),
    ],
)
def test_a_link_says_where_it_leads(words: str, level: str) -> None:
    one = text(f'<p>Now <a href="https://example.org/x">{words}</a></p>')
    assert of(access.LINKS, one).level == level


def test_one_wording_leads_to_one_place() -> None:
    two = [f'<a href="https://example.org/{n}">Our plan</a>' for n in (1, 2)]
    assert of(access.LINKS, text(f"<p>{two[0]} {two[0]}</p>")).level == "green"
    assert of(access.LINKS, text(f"<p>{two[0]} {two[1]}</p>")).level == "yellow"


def test_tables_are_layout_and_there_is_no_title_without_words() -> None:
    one = sample()
    assert of(access.TABLES, replace(one, html=one.html + "<table>")).level == "red"
    assert of(access.TITLE, replace(one, html=one.html.replace("title>", "x>"))).level == "yellow"


# Contrast


@pytest.mark.parametrize(
    ("front", "size", "weight", "level"),
    [
        ("#767676", "16px", "normal", "yellow"),  # 4.54 to 1, and colours of its own: no dark form
        ("#777777", "16px", "normal", "red"),  # 4.48
        ("#777777", "24px", "normal", "yellow"),  # large letters need 3
        ("#777777", "19px", "bold", "yellow"),
        ("#949494", "24px", "normal", "yellow"),  # 3.03
        ("#959595", "24px", "normal", "red"),  # 2.99
        ("#fff", "69px", "bold", "red"),
        ("rebeccapurple", "16px", "normal", "yellow"),  # a name that is not known here
    ],
)
def test_words_stand_out_by_the_published_ratio(
    front: str, size: str, weight: str, level: str
) -> None:
    one = text("<p>Some words</p>", color=front, font_size=size, font_weight=weight)
    assert of(access.CONTRAST, one).level == level


def test_the_published_examples_of_contrast_come_out() -> None:
    assert contrast.ratio(contrast.BLACK, contrast.WHITE) == 21
    assert contrast.ratio((119, 119, 119), contrast.WHITE) == pytest.approx(4.48, abs=0.005)
    assert contrast.ratio((0, 0, 255), contrast.WHITE) == pytest.approx(8.59, abs=0.005)


def shown(one: Sample, words: str, *, dark: bool) -> contrast.Words:
    return next(run for run in contrast.shown(one.html, dark=dark) if words in run.text)


def test_dark_mode_is_computed_from_the_letters_own_rules() -> None:
    one = text('<p>Plain <a href="https://example.org/x">linked</a></p>')
    light, dark = (shown(one, "Plain", dark=mode) for mode in (False, True))
    assert (light.front, light.back) == (contrast.color("#15201c"), contrast.color("#ffffff"))
    assert (dark.front, dark.back) == (contrast.color("#e6edea"), contrast.color("#161e1b"))
    assert shown(one, "linked", dark=True).front == contrast.color("#74c6ac")
    assert shown(one, "Paid for by", dark=True).back == contrast.color("#0e1513")
    # A rule that is lost leaves dark words on a dark page.
    lost = replace(one, html=one.html.replace(".t-text, .t-text div, .t-text p", ".gone"))
    assert of(access.CONTRAST, lost).level == "red"
    assert "dark mode" in of(access.CONTRAST, lost).what


def test_what_is_hidden_is_nobodys_contrast() -> None:
    hidden = '<div style="display:none;color:#ffffff">unseen</div>'
    one = replace(sample(), html=sample().html.replace("<body", f"{hidden}<body"))
    assert all("unseen" not in run.text for run in contrast.shown(one.html, dark=False))


# Uniformity


def made(count: int = 20, **common: str) -> list[uniform.Made]:
    whole = compiled()
    facts = {name: COMMON[name] for name in COMMON if name in whole.fields} | common
    slice = letter.prepare(whole, sender=SENDER, common=facts, campaign="spring", at=AT)
    return list(uniform.written(slice, range(count), "https://letters.example", PLACE))


def test_letters_differ_by_the_readers_own_fields_alone() -> None:
    assert uniform.inspect({"teachers": made()}).level == "green"


def test_a_letter_of_somebodys_own_is_found_in_either_part_and_in_any_header() -> None:
    good = made()
    for old, new in (
        (b"putting the kettle on", b"putting the kettle ON"),
        (b"List-Id: <", b"List-Id: <a"),
        (b"Subject: ", b"Subject: Re "),
        (b"https://example.org/rsvp", b"https://example.org/rsv2"),
    ):
        odd = replace(good[3], message=good[3].message.replace(old, new, 1))
        assert odd.message != good[3].message
        assert uniform.inspect({"teachers": [*good[:3], odd, *good[4:]]}).level == "red", new


def test_letters_of_two_kinds_may_differ() -> None:
    other = made(place_name="Pueblo", partner_name="Parks")
    assert uniform.inspect({"teachers": made(), "parks": other}).level == "green"
    assert uniform.inspect({"both": [*made(), *other]}).level == "red"


# SpamAssassin


def program(folder: Path, script: str) -> str:
    path = folder / "spamassassin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


STATUS = (
    "X-Spam-Checker-Version: SpamAssassin 4.0.1 (2024-03-25) on vm\n"
    "X-Spam-Status: {0}, score={1} required=5.0 tests=HTML_FONT_LOW_CONTRAST,\n"
    "\tHTML_MESSAGE,NO_RECEIVED,NO_RELAYS autolearn=no autolearn_force=no\n\tversion=4.0.1\n"
)


@pytest.mark.parametrize(
    ("score", "level"), [("0.7", "green"), ("-1.1", "green"), ("1.9", "green"), ("2.0", "red")]
)
def test_the_score_is_read_from_the_programs_own_header(
    tmp_path: Path, score: str, level: str
) -> None:
    (tmp_path / "said").write_text(STATUS.format("No", score) + "Subject: x\n\nbody\n")
    asked = program(tmp_path, f'echo "$@" >{tmp_path}/asked; cat >/dev/null; cat {tmp_path}/said')
    found = spam.inspect(b"Subject: x\r\n\r\nbody", program=asked)
    assert found.level == level
    assert found.what == f"{score} of at most 2.0, for HTML_FONT_LOW_CONTRAST, HTML_MESSAGE."
    assert "-L" in (tmp_path / "asked").read_text().split()


def test_a_header_of_the_letter_itself_is_no_score(tmp_path: Path) -> None:
    forged = b"Subject: x\r\n\r\nX-Spam-Status: No, score=0.0 required=5.0 tests=none\r\n"
    assert spam.inspect(forged, program=program(tmp_path, "cat")).level == "yellow"


def test_a_program_that_fails_or_is_not_there_is_said_and_stops_nothing(tmp_path: Path) -> None:
    assert spam.inspect(b"x", program=str(tmp_path / "none")).level == "none"
    assert spam.inspect(b"x", program=program(tmp_path, "exit 3")).level == "yellow"
    slow = program(tmp_path, "exec sleep 60")
    assert spam.inspect(b"x", program=slow, seconds=0.1).level == "yellow"


def test_the_worst_of_nothing_is_that_nobody_looked() -> None:
    assert worst([]) == "none"
    assert worst([Finding("a", "green", ""), Finding("b", "yellow", "")]) == "yellow"
    read = Finding.from_json({**Finding("a", "red", "b", "c", 3).to_json(), "level": "purple"})
    assert read == Finding("a", "red", "b", "c", 3)
