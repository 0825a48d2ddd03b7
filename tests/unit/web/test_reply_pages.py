"""What is asked about a reply: shown whole before any button, in two languages, without script."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from consortium.web.pages.words import WORDS
from tests.fakes.service import COORDINATOR, FakeDesk, application


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.invite_messenger(COORDINATOR, "pueblo-recall", name="Maria Trujillo", place="Pueblo")
    made.changed.clear()
    return made


@pytest.fixture
def browser(desk: FakeDesk) -> TestClient:
    return TestClient(application(desk), base_url="https://trellis.example", follow_redirects=False)


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split()).replace("&#39;", "'")


@pytest.mark.parametrize("lang", ["en", "es"])
def test_it_says_to_whom_what_is_shown_before_either_button(browser: TestClient, lang: str) -> None:
    page = browser.get(f"/reply/to-ana?lang={lang}")
    said = WORDS[lang]["reply_shows"].format(
        messenger="Maria Trujillo", partner="Steel City Teachers"
    )
    assert page.status_code == 200
    assert said in words(page.text)
    assert words(page.text).index(said) < words(page.text).index(
        WORDS[lang]["reply_yes"].format(messenger="Maria Trujillo")
    )
    assert f'lang="{lang}"' in page.text
    assert "<script" not in page.text
    assert "set-cookie" not in page.headers
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in page.headers["x-robots-tag"]


def test_opening_or_guessing_passes_nothing_on(browser: TestClient, desk: FakeDesk) -> None:
    for _ in range(2):
        browser.get("/reply/to-ana")
        browser.head("/reply/to-ana")
    assert browser.post("/reply/to-ana").status_code == 422
    assert browser.post("/reply/to-ana", data={"answer": "maybe"}).status_code == 422
    assert browser.get("/reply/to-ben").status_code == 404
    assert browser.post("/reply/to-ben", data={"answer": "yes"}).status_code == 404
    assert desk.changed == []


@pytest.mark.parametrize(
    ("answer", "said"), [("yes", "in the next minutes"), ("no", "No reply waits here")]
)
def test_one_press_answers(browser: TestClient, desk: FakeDesk, answer: str, said: str) -> None:
    page = browser.post("/reply/to-ana", data={"answer": answer})
    assert (page.status_code, said in words(page.text)) == (200, True)
    assert desk.changed == [("answer_reply", answer == "yes")]
    assert "<form" not in page.text


def test_a_messenger_names_an_address_that_is_never_shown(
    browser: TestClient, desk: FakeDesk
) -> None:
    page = browser.post("/messenger/for-maria/replies", data={"address": "maria@home.example"})
    assert page.status_code == 200
    assert "got an email" in words(page.text)
    assert "home.example" not in page.text
    for wrong in ({"address": "maria"}, {}, {"address": "a@b.example", "drop": "yes"}):
        refused = browser.post("/messenger/for-maria/replies", data=wrong)
        assert (refused.status_code, "not an email address" in words(refused.text)) == (422, True)
    assert browser.post("/messenger/for-maria/replies", data={"drop": "yes"}).status_code == 200
    assert desk.changed == [("type_reply_box", True), ("type_reply_box", False)]
    assert browser.get("/messenger/for-nobody/replies").status_code == 404


def test_whoever_reads_that_address_says_whether_it_is_theirs(
    browser: TestClient, desk: FakeDesk
) -> None:
    assert "Is this address yours, Maria Trujillo?" in browser.get("/replies/is-it-yours").text
    assert desk.changed == []
    page = browser.post("/replies/is-it-yours", data={"answer": "yes"})
    assert "now come to this address" in words(page.text)
    browser.post("/replies/is-it-yours", data={"answer": "no"})
    assert desk.changed == [("prove_box", True), ("prove_box", False)]
    assert browser.get("/replies/whose").status_code == 404


def test_both_languages_say_the_same_things() -> None:
    assert WORDS["en"].keys() == WORDS["es"].keys()
    for name, said in WORDS["en"].items():
        assert set(re.findall(r"{(\w+)}", said)) == set(re.findall(r"{(\w+)}", WORDS["es"][name]))
