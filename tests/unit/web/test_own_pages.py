"""An own address is named, proven by its reader, and never shown; a test goes by one button."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.fakes.service import COORDINATOR, FakeDesk, application


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def browser(desk: FakeDesk) -> TestClient:
    return TestClient(application(desk), follow_redirects=False)


def enter(desk: FakeDesk, browser: TestClient) -> str:
    session = desk.open_session(COORDINATOR)
    browser.cookies.set("trellis", session.cookie)
    return str(session.csrf)


def draft(desk: FakeDesk) -> str:
    return next(iter(desk.campaigns(COORDINATOR))).id


def test_the_button_is_there_once_the_address_is_proven(
    desk: FakeDesk, browser: TestClient
) -> None:
    csrf, id = enter(desk, browser), draft(desk)
    page = browser.get(f"/campaigns/{id}").text
    assert ("Send me a test" in page, "Your own address" in page) == (False, True)
    form = {"csrf": csrf, "address": "cora@home.example"}
    assert browser.post(f"/campaigns/{id}/address", data=form).status_code == 303
    page = browser.get(f"/campaigns/{id}").text
    assert ("Your address gets an email with a link" in page, "home.example" in page) == (
        True,
        False,
    )
    desk.own = "proven"
    assert "Send me a test" in browser.get(f"/campaigns/{id}").text
    answer = browser.post(f"/campaigns/{id}/test", data={"csrf": csrf})
    assert answer.headers["location"] == f"/campaigns/{id}?test=ordered#test"
    assert "on its way" in browser.get(f"/campaigns/{id}?test=ordered").text
    assert desk.changed == [("type_own_box", "cora"), ("order_test", id)]


def test_what_is_no_address_or_too_much_is_said_in_words(
    desk: FakeDesk, browser: TestClient
) -> None:
    csrf, id = enter(desk, browser), draft(desk)
    wrong = browser.post(f"/campaigns/{id}/address", data={"csrf": csrf, "address": "cora"})
    assert wrong.headers["location"] == f"/campaigns/{id}?test=refused#test"
    assert "no email address" in browser.get(f"/campaigns/{id}?test=refused").text
    desk.changed += [("order_test", id)] * 11
    many = browser.post(f"/campaigns/{id}/test", data={"csrf": csrf})
    assert many.headers["location"] == f"/campaigns/{id}?test=enough#test"
    assert "Try again tomorrow" in browser.get(f"/campaigns/{id}?test=enough").text


def test_neither_happens_without_the_forms_own_token(desk: FakeDesk, browser: TestClient) -> None:
    enter(desk, browser)
    for path in ("address", "test"):
        answer = browser.post(f"/campaigns/{draft(desk)}/{path}", data={"address": "a@b.example"})
        assert answer.status_code == 403
    assert desk.changed == []


@pytest.mark.parametrize(
    ("token", "says"),
    [("is-it-coras", "at most ten a day"), ("is-it-a-seed", "before anybody else gets it")],
)
def test_its_reader_hears_what_would_come_before_either_button(
    desk: FakeDesk, browser: TestClient, token: str, says: str
) -> None:
    for _ in range(2):
        page = browser.get(f"/own/{token}")
        browser.head(f"/own/{token}")
    assert page.text.index(says) < page.text.index("Yes, it is mine")
    assert "noindex" in page.headers["x-robots-tag"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in page.text
    assert browser.post(f"/own/{token}").status_code == 422
    assert browser.get("/own/guessed").status_code == 404
    assert browser.post("/own/guessed", data={"answer": "yes"}).status_code == 404
    assert desk.changed == [], "opening it, or guessing, changes nothing"
    assert "This address is yours" in browser.post(f"/own/{token}", data={"answer": "yes"}).text
    browser.post(f"/own/{token}", data={"answer": "no"})
    assert desk.changed == [("prove_own_box", True), ("prove_own_box", False)]
