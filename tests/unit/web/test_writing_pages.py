"""Letters are written in plain forms: each button answers with a page; nothing typed is lost."""

from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from consortium.web.security import LETTER_POLICY, POLICY
from tests.fakes.service import COORDINATOR, TEACHERS, FakeDesk, application
from tests.unit.web.test_pages import Marks

NEW = "/campaigns/new"
PLACE = "?place=zip:81003"
AREA = r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>'
SELECT = r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>'


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def browser(desk: FakeDesk) -> TestClient:
    made = TestClient(application(desk), follow_redirects=False)
    made.cookies.set("trellis", desk.open_session(COORDINATOR).cookie)
    return made


def fields(page: str) -> dict[str, str]:
    """What a browser would send of the page's letter: every field of that form, as it stands."""
    found: dict[str, str] = {}
    for tag, marks in Marks(page).tags:
        name, kind = marks.get("name"), marks.get("type")
        if tag == "input" and name and (kind != "checkbox" or "checked" in marks):
            found[name] = marks.get("value") or ""
    for name, text in re.findall(AREA, page, re.S):
        found[name] = unescape(text).removeprefix("\n")
    for name, inside in re.findall(SELECT, page, re.S):
        options = re.findall(r'<option value="([^"]*)"( selected)?', inside)
        found[name] = unescape(next((v for v, on in options if on), options[0][0]))
    return found


def press(browser: TestClient, sent: dict[str, str], do: str, path: str = NEW) -> dict[str, str]:
    """Press a button; the fields of the page that answers."""
    answer = browser.post(path, data={**sent, "do": do})
    assert answer.status_code == 200, answer.text
    return fields(answer.text)


def test_a_starter_is_changed_block_by_block_and_saved_in_both_languages(
    desk: FakeDesk, browser: TestClient
) -> None:
    sent = fields(browser.get(f"{NEW}{PLACE}&starter=event").text)
    said = [sent[f"block.{n}.kind"] for n in range(1, 7)]
    assert said == ["heading", "text", "facts", "button", "text", "sign"]
    sent = press(browser, sent, "remove::5")
    sent = press(browser, sent, "add::list")
    assert sent["block.5.kind"] == "list"  # before the signature, as the page proposes
    sent["block.5.items"] = "A question\r\nA friend"
    sent = press(browser, sent, "up::5")
    sent["block.2.who"], sent["block.2.zip"] = "places", "81003, 81004"
    answer = browser.post(NEW, data={**sent, "do": "save"})
    assert answer.status_code == 303, answer.text
    kept = desk.letters[answer.headers["location"].rpartition("/")[2]].template
    made = [one["kind"] for one in kept["blocks"]]
    assert made == ["preview", "heading", "text", "facts", "list", "button", "sign"]
    assert kept["blocks"][4]["items"] == ["A question", "A friend"]
    assert kept["blocks"][2]["places"] == {"zip": ["81003", "81004"]}
    assert list(kept["languages"]) == ["es"]


def test_what_is_wrong_is_named_by_block_and_field_and_everything_typed_stays(
    desk: FakeDesk, browser: TestClient
) -> None:
    sent = fields(browser.get(NEW + PLACE).text)
    sent |= {"subject": "Hello", "block.1.text": "Kept <b>words</b>", "block.2.text": " "}
    answer = browser.post(NEW, data={**sent, "do": "save"})
    assert answer.status_code == 422
    assert '<a href="#block.2.text"><b>Block 2, text:</b>' in answer.text
    marks = {m["id"]: m for _, m in Marks(answer.text).tags if m.get("id")}
    assert marks["block.2.text"]["aria-invalid"] == "true"
    assert marks["block.2.text"]["aria-describedby"] in marks
    assert "aria-invalid" not in marks["block.1.text"]
    alert = [m for _, m in Marks(answer.text).tags if m.get("role") == "alert"]
    assert ["autofocus" in one for one in alert] == [True]
    assert fields(answer.text) == sent
    assert desk.changed == []
    # Spanish that was begun and not written is refused too, in its own words and place.
    sent = press(browser, {**sent, "block.2.text": "Words"}, "begin:_es:")
    answer = browser.post(NEW, data={**sent, "subject_es": "Hola", "do": "save"})
    assert '<a href="#block_es.1.text"><b>Spanish: Block 1, text:</b>' in answer.text


@pytest.mark.parametrize("do", ["keep", "add::text", "up::2", "remove::1", "check", "begin:_es:"])
def test_no_button_but_save_keeps_anything_and_every_word_comes_back(
    desk: FakeDesk, browser: TestClient, do: str
) -> None:
    sent = fields(browser.get(NEW + PLACE).text) | {
        "subject": 'A "quoted" subject',
        "block.1.text": "First </textarea><script>alert(1)</script>",
        "block.2.text": "\n Second & third",
        "block.3.text": "Yours,",
    }
    answer = browser.post(NEW, data={**sent, "do": do})
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert "<script>alert" not in answer.text
    assert desk.changed == []
    typed = {v.strip() for n, v in sent.items() if n.endswith((".text", "subject"))}
    gone = {sent["block.1.text"]} if do.startswith("remove") else set()
    assert typed - gone <= {word.strip() for word in fields(answer.text).values()}
    focused = [m for _, m in Marks(answer.text).tags if "autofocus" in m]
    assert len(focused) == (0 if do == "keep" else 1)


def test_every_field_has_a_label_every_id_is_one_and_every_block_a_legend(
    browser: TestClient,
) -> None:
    page = browser.get(f"{NEW}{PLACE}&starter=event").text
    tags = Marks(page).tags
    ids = [m["id"] for _, m in tags if m.get("id")]
    assert len(ids) == len(set(ids))
    labelled = {m.get("for") for tag, m in tags if tag == "label"}
    for tag, marks in tags:
        unseen = marks.get("type") in ("hidden", "checkbox")
        if tag in ("input", "select", "textarea") and not unseen:
            assert marks.get("id") in labelled, marks
    assert page.count('<fieldset class="blk"') == page.count('<legend><span class="n">') == 12
    # A press of Enter in a field keeps what is typed: the first button does nothing else.
    first = next(m for tag, m in tags if tag == "button" and m.get("name") == "do")
    assert first["value"] == "keep"


def test_the_letter_as_it_is_typed_is_shown_in_a_sandboxed_frame_to_a_made_up_reader(
    desk: FakeDesk, browser: TestClient
) -> None:
    page = browser.get(f"{NEW}{PLACE}&starter=event").text
    [frame] = [m for tag, m in Marks(page).tags if tag == "iframe"]
    assert (frame["sandbox"], frame["name"]) == (None, "letter-frame")
    assert browser.get(frame["src"] or "").headers["content-security-policy"] == LETTER_POLICY
    sent = fields(page) | {"block.5.who": "places", "block.5.zip": "81003"}
    for more, seen, unseen in (
        ({"kind": "zip", "code": "81003"}, "does not work?", "Venga"),
        ({}, "Come say hello", "does not work?"),
        ({"language": "es"}, "Venga a saludar", "Come say hello"),
        ({"part": "text"}, "Coffee at the library", "<table"),
        ({"block.1.text": ""}, "It cannot be shown yet.", "Venga"),
    ):
        shown = browser.post(f"{NEW}/preview", data={**sent, **more})
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
        assert shown.headers["content-security-policy"] == LETTER_POLICY
        assert seen in unescape(shown.text), more
        assert unseen not in unescape(shown.text), more
    assert desk.changed == []


def test_what_the_checks_found_stands_beside_the_letter_with_what_to_do(
    browser: TestClient,
) -> None:
    sent = fields(browser.get(f"{NEW}{PLACE}&starter=event").text)
    page = browser.post(NEW, data={**sent, "do": "check"}).text
    assert "Reading level (look at it):" in page
    assert "Use shorter sentences." in page


@pytest.mark.parametrize("path", [NEW, f"{NEW}/preview", "/campaigns/{id}/edit"])
def test_a_letter_from_elsewhere_or_somebody_else_is_refused(
    desk: FakeDesk, browser: TestClient, path: str
) -> None:
    sent = fields(browser.get(f"{NEW}{PLACE}&starter=event").text)
    made = browser.post(NEW, data={**sent, "do": "save"}).headers["location"]
    path = path.format(id=made.rpartition("/")[2])
    before = list(desk.changed)
    for token in ("", "csrf-teachers", "é"):
        refused = browser.post(path, data={**sent, "do": "save", "csrf": token})
        assert refused.status_code == 403
    session = desk.open_session(TEACHERS)
    browser.cookies.set("trellis", session.cookie)
    refused = browser.post(path, data={**sent, "do": "save", "csrf": session.csrf})
    assert refused.status_code == 403
    assert desk.changed == before


def test_a_draft_is_changed_and_a_second_window_overwrites_nothing(
    desk: FakeDesk, browser: TestClient
) -> None:
    sent = fields(browser.get(f"{NEW}{PLACE}&starter=event").text)
    made = browser.post(NEW, data={**sent, "do": "save"}).headers["location"]
    id, edit = made.rpartition("/")[2], f"{made}/edit"
    assert f'href="{edit}"' in browser.get(made).text
    sent = fields(browser.get(edit).text)
    sent["block.1.text"] = "Changed"
    assert browser.post(edit, data={**sent, "do": "save"}).status_code == 303
    assert desk.letters[id].template["blocks"][1]["text"] == "Changed"
    sent["block.1.text"] = "Later, from a page that was opened before"
    late = browser.post(edit, data={**sent, "do": "save"})
    assert late.status_code == 422
    assert "changed elsewhere" in late.text
    assert "Later, from a page" in late.text
    assert desk.letters[id].template["blocks"][1]["text"] == "Changed"
