"""A plan's page: what stands when, what waits for whom and until when, and whose button it is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest
from fastapi.testclient import TestClient

from consortium.web.pages.programme import WIDTH, line
from policies.authorise import Caller
from tests.fakes.service import COORDINATOR, SUBMITTED, TEACHERS, FakeDesk, application

PAGE = "/programmes/0a0e7a52-0000-4000-8000-000000000002"


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def browser(desk: FakeDesk) -> TestClient:
    return TestClient(application(desk), follow_redirects=False)


def enter(desk: FakeDesk, browser: TestClient, who: Caller) -> str:
    session = desk.open_session(who)
    browser.cookies.set("trellis", session.cookie)
    return str(session.csrf)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_everybody_reads_the_local_words_who_is_waited_for_and_the_hour_of_silence(
    desk: FakeDesk, browser: TestClient
) -> None:
    for who in (COORDINATOR, TEACHERS):
        enter(desk, browser, who)
        told = words(browser.get(PAGE).text)
        assert "“See you at Lincoln School.”" in told
        assert "Waits for Steel City Teachers." in told
        assert "Thu, Oct 22, 2026, 10:00 am MDT at the earliest" in told
        assert "usually “See you there.”" in told
        assert desk.board is not None
        assert desk.board.digest in told


def test_a_partner_says_no_to_a_letter_or_to_all_and_cannot_say_yes_here(
    desk: FakeDesk, browser: TestClient
) -> None:
    csrf = enter(desk, browser, TEACHERS)
    page = browser.get(PAGE).text
    assert f'name="campaign" value="{SUBMITTED}"' in page
    assert "Ask the partners" not in page
    assert "trellis partner programme approve" in page
    for form in ({"campaign": SUBMITTED}, {}):
        answer = browser.post(f"{PAGE}/refuse", data={"csrf": csrf, **form})
        assert answer.headers["location"] == PAGE
    assert desk.changed == [
        ("refuse_programme", "teachers", SUBMITTED),
        ("refuse_programme", "teachers", ""),
    ]


def test_a_coordinator_asks_with_local_words_and_hears_why_not(
    desk: FakeDesk, browser: TestClient
) -> None:
    csrf = enter(desk, browser, COORDINATOR)
    assert "Say no" not in browser.get(PAGE).text
    form = {"csrf": csrf, "slot": "hello", "word": "See you at Elm Street."}
    assert browser.post(f"{PAGE}/ask/remind", data=form).status_code == 303
    rapid = {"csrf": csrf, "slot": "hello", "word": "", "first": "2026-10-29"}
    assert browser.post(f"{PAGE}/ask/news", data=rapid).status_code == 303
    assert desk.changed == [
        ("ask_letter", "remind", "{'hello': 'See you at Elm Street.'}", "None"),
        ("ask_letter", "news", "{}", "2026-10-29"),
    ]
    for bad in ({"word": "see evil.example"}, {"first": "soon"}):
        refused = browser.post(f"{PAGE}/ask/news", data={**form, **bad})
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
        assert "evil" not in refused.text
    assert len(desk.changed) == 2


def test_a_rapid_letter_says_which_planned_ones_it_takes_readers_from(
    desk: FakeDesk, browser: TestClient
) -> None:
    enter(desk, browser, COORDINATOR)
    told = words(browser.get(PAGE).text)
    assert "from October 23, 2026 to November 7, 2026 it takes the week of “Four days left”" in told
    assert "week of “Come say hello" not in told  # it is over
    assert desk.board is not None
    desk.board = replace(desk.board, a_week=2)
    assert "it takes the week" not in browser.get(PAGE).text


def test_nothing_happens_without_the_forms_own_token_or_in_anothers_place(
    desk: FakeDesk, browser: TestClient
) -> None:
    enter(desk, browser, TEACHERS)
    assert browser.post(f"{PAGE}/refuse", data={"campaign": SUBMITTED}).status_code == 403
    csrf = enter(desk, browser, TEACHERS)
    assert browser.post(f"{PAGE}/ask/remind", data={"csrf": csrf}).status_code == 403
    csrf = enter(desk, browser, COORDINATOR)
    assert browser.post(f"{PAGE}/refuse", data={"csrf": csrf}).status_code == 403
    browser.cookies.clear()
    assert browser.get(PAGE).status_code == 401
    assert desk.changed == []


@pytest.mark.parametrize(
    ("state", "says"),
    [("held", "Steel City Teachers said no."), ("replaced", "Another plan was proposed")],
)
def test_what_is_held_or_replaced_says_so_and_asks_for_nothing(
    desk: FakeDesk, browser: TestClient, state: str, says: str
) -> None:
    assert desk.board is not None
    no = {**desk.board.answers, "Steel City Teachers": False}
    desk.board = replace(desk.board, state=state, answers=no)
    enter(desk, browser, COORDINATOR)
    page = browser.get(PAGE).text
    assert says in words(page)
    assert "Ask the partners" not in page


def test_the_calendar_and_the_list_show_the_letters_ahead(
    desk: FakeDesk, browser: TestClient
) -> None:
    enter(desk, browser, TEACHERS)
    told = words(browser.get("/calendar").text)
    assert "Four days left To the polls October 30, 2026 to October 31, 2026" in told
    assert "To the polls" in browser.get("/programmes").text
    desk.board = None
    assert "No program has a letter ahead" in browser.get("/calendar").text
    assert "Nobody has proposed one" in browser.get("/programmes").text


def test_the_line_holds_every_day_of_the_plan_between_its_ends(desk: FakeDesk) -> None:
    assert desk.board is not None
    board = replace(desk.board, today=date(2026, 9, 1))
    for one in (desk.board, board):
        marks, weeks = line(one)
        assert {mark.kind for mark in marks} == {
            "closed", "avoid", "deadline", "ask", "letter", "today",
        }  # fmt: skip
        assert all(mark.x >= 0 and mark.x + mark.width <= WIDTH for mark in marks)
        letters = [mark.x for mark in marks if mark.kind == "letter"]
        assert letters == sorted(letters)
        assert all(0 <= x < WIDTH for _, x in weeks)
