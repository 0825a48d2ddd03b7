"""The pages over an in-memory desk: what they answer, and what they refuse."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from consortium.service.absence import Absence
from consortium.web.assets import FOLDER, asset
from consortium.web.pages import auditor
from consortium.web.security import LETTER_POLICY, POLICY
from mailer.findings import Finding
from policies.authorise import Caller
from provenance.merkle import leaf_hash
from tests.fakes.service import (
    AUDITOR,
    BUNDLE,
    CAPABILITY,
    COORDINATOR,
    MJML,
    NOW,
    SENDING,
    SUBMITTED,
    TEACHERS,
    FakeDesk,
    application,
)

Enter = Callable[[Caller], str]
PUBLIC = (
    "/",
    "/audit",
    "/audit/3",
    f"/u/{CAPABILITY}",
    f"/why/{CAPABILITY}",
    "/messenger/for-maria",
    "/messenger/for-maria/replies",
    "/reply/to-ana",
    "/replies/is-it-yours",
    "/stop",
    "/sign-in/to-cora",
)
COORDINATORS = (
    "/",
    "/campaigns",
    "/choose",
    "/campaigns/new",
    "/messengers",
    "/calendar",
    f"/campaigns/{SUBMITTED}",
    f"/campaigns/{SENDING}",
    f"/campaigns/{SENDING}/progress",
    f"/campaigns/{SENDING}/stop",
)
PARTNERS = (
    "/",
    "/lists",
    f"/lists/{BUNDLE}/withdraw",
    f"/lists/{BUNDLE}/receipt",
    "/approvals",
    "/calendar",
    f"/approvals/{SUBMITTED}",
    f"/approvals/{SENDING}",
)


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def browser(desk: FakeDesk) -> TestClient:
    return TestClient(application(desk), follow_redirects=False)


@pytest.fixture
def enter(desk: FakeDesk, browser: TestClient) -> Enter:
    def signed_in(caller: Caller) -> str:
        session = desk.open_session(caller)
        browser.cookies.set("trellis", session.cookie)
        return session.csrf

    return signed_in


class Marks(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def every_page(browser: TestClient, enter: Enter) -> list[tuple[str, str]]:
    found = [(path, browser.get(path).text) for path in PUBLIC]
    for caller, paths in ((COORDINATOR, COORDINATORS), (TEACHERS, PARTNERS)):
        enter(caller)
        found += [(path, browser.get(path).text) for path in paths if "receipt" not in path]
    return found


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_answer_anybody_with_the_strict_headers(
    browser: TestClient, path: str
) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("caller", "path"),
    [(COORDINATOR, p) for p in COORDINATORS] + [(TEACHERS, p) for p in PARTNERS],
)
def test_signed_in_pages_answer_their_people(
    browser: TestClient, enter: Enter, caller: Caller, path: str
) -> None:
    enter(caller)
    assert browser.get(path).status_code == 200


@pytest.mark.parametrize("path", [p for p in (*COORDINATORS, *PARTNERS) if p != "/"])
def test_nobody_else_sees_them(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 401
    assert "Please sign in" in answer.text


def test_no_page_holds_inline_script_style_or_anything_from_elsewhere(
    browser: TestClient, enter: Enter
) -> None:
    for path, page in every_page(browser, enter):
        for tag, marks in Marks(page).tags:
            assert tag != "style", path
            assert not [name for name in marks if name == "style" or name.startswith("on")], path
            if tag == "script":
                assert (marks["src"] or "").startswith("/static/"), path
                assert (marks["integrity"] or "").startswith("sha384-"), path
            for name in ("src", "action", "formaction"):
                assert (marks.get(name) or "/").startswith("/"), path


def test_every_form_that_changes_something_carries_the_token(
    browser: TestClient, enter: Enter
) -> None:
    for path, page in every_page(browser, enter):
        if path.startswith(("/u/", "/why/", "/messenger/", "/repl", "/sign-in", "/stop")):
            continue
        for form in re.findall(r'<form method="post".*?</form>', page, re.S):
            assert 'name="csrf" value="csrf-' in form, path


def test_no_token_is_ever_in_an_address(browser: TestClient, enter: Enter) -> None:
    for path, page in every_page(browser, enter):
        for form in re.findall(r'<form[^>]*method="get".*?</form>', page, re.S):
            assert "csrf" not in form, path
        assert not re.search(r'(?:href|src|action)="[^"]*csrf', page), path


def test_the_trust_line_stands_on_every_page(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    demo = "This is a demonstration: all three custodians run on one machine"
    for path, page in every_page(browser, enter):
        assert demo in page or path.endswith("/progress"), path
    desk.demo, desk.trust = False, "operator"
    for path, page in every_page(browser, enter):
        assert "One custodian holds the whole key here" in page or path.endswith("/progress"), path


def test_reading_changes_nothing(desk: FakeDesk, browser: TestClient, enter: Enter) -> None:
    for _ in range(3):
        every_page(browser, enter)
    enter(COORDINATOR)
    browser.get("/choose?place=district:State House 46&age=18-34")
    browser.get(f"/campaigns/{SENDING}/preview")
    assert desk.changed == []


def test_opening_a_sign_in_link_spends_nothing_and_pressing_the_button_does(
    desk: FakeDesk, browser: TestClient
) -> None:
    browser.get("/sign-in/to-cora")
    browser.head("/sign-in/to-cora")
    assert "to-cora" in desk.links
    answer = browser.post("/sign-in/to-cora")
    assert (answer.status_code, answer.headers["location"]) == (303, "/campaigns")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert browser.post("/sign-in/to-cora").status_code == 410


@pytest.mark.parametrize(
    ("link", "home"), [("to-teachers", "/lists"), ("to-ada", "/audit"), ("to-cora", "/campaigns")]
)
def test_each_role_goes_to_its_own_page(browser: TestClient, link: str, home: str) -> None:
    assert browser.post(f"/sign-in/{link}").headers["location"] == home


def test_over_tls_the_cookie_is_bound_to_the_host(desk: FakeDesk) -> None:
    browser = TestClient(
        application(desk), base_url="https://trellis.example", follow_redirects=False
    )
    answer = browser.post("/sign-in/to-ada")
    assert answer.headers["set-cookie"].startswith("__Host-trellis=")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    "path",
    [
        "/choose",
        "/campaigns/new",
        "/sign-out",
        *(
            f"/campaigns/{SENDING}/{verb}"
            for verb in ("submit", "schedule", "pause", "resume", "stop")
        ),
    ],
)
@pytest.mark.parametrize("token", ["", "csrf-of-somebody-else", "é"])
def test_a_form_from_elsewhere_is_refused_and_changes_nothing(
    desk: FakeDesk, browser: TestClient, enter: Enter, path: str, token: str
) -> None:
    enter(COORDINATOR)
    answer = browser.post(path, data={"csrf": token, "confirm": "stop"})
    assert answer.status_code == 403
    assert desk.changed == []


def test_signing_out_ends_the_session(desk: FakeDesk, browser: TestClient, enter: Enter) -> None:
    csrf = enter(AUDITOR)
    assert browser.post("/sign-out", data={"csrf": csrf}).status_code == 303
    assert desk.sessions == {}


def test_an_estimate_is_violet_says_its_price_and_costs_nothing_the_second_time(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    asked = {"csrf": enter(COORDINATOR), "place": ["zip:81003", "district:State House 46"]}
    first, again = browser.post("/choose", data=asked), browser.post("/choose", data=asked)
    assert first.status_code == 200
    assert 'class="pnum"' in first.text
    assert "1,250" in first.text
    assert "1,210" in first.text
    assert "This used 1 look" in first.text
    assert "no look used" in again.text
    assert "Estimate, uses 1 look" in first.text
    assert [what for what, *_ in desk.changed] == ["count"]
    assert json.loads(desk.changed[0][1])["places"] == {
        "zip": ["81003"],
        "district": ["State House 46"],
    }


def test_every_rule_that_was_ticked_stays_ticked_and_goes_on_to_the_letter(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    rules = {"age": "18-34", "votes": "new", "primaries": "3-4"}
    page = browser.post(
        "/choose", data={"csrf": enter(COORDINATOR), "place": "zip:81003", **rules}
    ).text
    asked = json.loads(desk.changed[0][1])
    assert asked == {"places": {"zip": ["81003"]}, **{name: [one] for name, one in rules.items()}}
    for name, value in rules.items():
        assert f'name="{name}" value="{value}" checked' in page
        assert f'type="hidden" name="{name}" value="{value}"' in page
    letter = browser.get("/campaigns/new", params={"place": "zip:81003", **rules}).text
    assert "Years with a primary in which they voted in it: 3 or 4 of the last 4" in letter


def test_too_few_shows_no_number_at_all(desk: FakeDesk, browser: TestClient, enter: Enter) -> None:
    desk.few = True
    page = browser.post("/choose", data={"csrf": enter(COORDINATOR), "place": "zip:81003"}).text
    assert "Fewer than 250" in page
    assert 'class="band"' not in page
    assert "1,210" not in page
    assert ">1,250<" not in page


def test_no_place_chosen_is_explained(browser: TestClient, enter: Enter) -> None:
    answer = browser.post("/choose", data={"csrf": enter(COORDINATOR)})
    assert answer.status_code == 422
    assert "choose at least one place" in answer.text


def letter(csrf: str, **other: str) -> dict[str, str]:
    return {
        "csrf": csrf,
        "place": "zip:81003",
        "subject": "Hello",
        "mjml": MJML,
        "signer": "Maria Trujillo\r\nBessemer",
        "opens": "2026-10-24T10:00",
        "closes": "2026-11-03T08:00",
        **other,
    }


def test_a_draft_is_kept_with_its_window_in_the_race_s_zone(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    answer = browser.post("/campaigns/new", data=letter(enter(COORDINATOR)))
    assert answer.status_code == 303
    assert desk.changed[0][2] == "2026-10-24T16:00:00Z"  # daylight time in Denver
    page = browser.get(answer.headers["location"]).text
    assert "Sat, Oct 24, 2026, 10:00 am MDT" in page
    assert "8:00 am MST" in page  # the clocks went back on November 1


def test_a_letter_is_signed_by_somebody_who_confirmed_and_nobody_else_is_offered(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    csrf = enter(COORDINATOR)
    made = browser.post("/messengers", data={"csrf": csrf, "name": "Joe Gray", "place": "Aguilar"})
    assert "https://trellis.example/messenger/for-joe" in made.text
    assert "No answer yet" in made.text
    where = {"zip": "81003", "precinct": "102", "name": "Di Fox", "place": "Aguilar"}
    browser.post("/messengers", data={"csrf": csrf, **where})
    assert (desk.lives["for-joe"], desk.lives["for-di"]) == (("", ""), ("81003", "102"))
    assert "/messenger/for-joe" not in browser.get("/messengers").text
    assert "Joe Gray" not in browser.get("/campaigns/new").text
    browser.post("/messenger/for-joe", data={"answer": "yes"})
    assert "Joe Gray, Aguilar" in browser.get("/campaigns/new").text
    chosen = browser.get("/campaigns/new?place=zip:81003").text
    assert "Joe Gray, Aguilar (about 7 km away; nearest to 60 of 100 voters there)" in chosen
    assert 'Aguilar" selected>' in chosen
    refused = browser.post("/messengers", data={"csrf": csrf, "name": "", "place": "Aguilar"})
    assert (refused.status_code, "1 to 80 letters" in refused.text) == (422, True)


def test_a_volunteer_reads_what_is_signed_before_saying_anything(
    desk: FakeDesk, browser: TestClient
) -> None:
    desk.invite_messenger(COORDINATOR, "pueblo-recall", name="Joe Gray", place="Aguilar")
    desk.changed.clear()
    page = browser.get("/messenger/for-joe")
    for said in (
        "Joe Gray for Steel City Teachers",
        "Joe Gray for Arkansas Valley Growers",
        "Aguilar",
        "Senate recall, Pueblo",
        "Nov 3, 2026",
        "take your name back",
    ):
        assert said in page.text
    assert "<script" not in page.text
    assert "set-cookie" not in page.headers
    assert desk.changed == []
    assert browser.post("/messenger/for-joe").status_code == 422
    assert desk.changed == []
    for answer, said in (("yes", "Letters may go in your name"), ("no", "No letter goes in your")):
        went = browser.post("/messenger/for-joe", data={"answer": answer})
        assert (went.status_code, went.headers["location"]) == (303, "/messenger/for-joe")
        assert said in browser.get("/messenger/for-joe").text
    assert browser.get("/messenger/for-nobody").status_code == 404
    assert browser.post("/messenger/for-nobody", data={"answer": "yes"}).status_code == 404


def test_template_errors_say_the_line_and_what_to_do_and_keep_what_was_typed(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    typed = "<mjml>\r\n<mj-txet>kept words</mj-txet>\r\n</mjml>"
    answer = browser.post("/campaigns/new", data=letter(enter(COORDINATOR), mjml=typed))
    assert answer.status_code == 422
    assert "<b>Line 2:</b> mj-txet is no MJML tag." in answer.text
    assert "Did you mean mj-text?" in answer.text
    assert "kept words" in answer.text
    assert desk.changed == []


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("opens", "soon", "is not a date and time"),
        ("opens", "2026-11-04T10:00", "is not later than the start"),
        ("closes", "", "is not a date and time"),
        ("subject", " ", "is empty"),
        ("signer", "", "is empty"),
    ],
)
def test_a_wrong_field_is_named(
    browser: TestClient, enter: Enter, field: str, typed: str, said: str
) -> None:
    answer = browser.post("/campaigns/new", data=letter(enter(COORDINATOR), **{field: typed}))
    assert answer.status_code == 422
    assert said in answer.text


def test_what_people_type_is_never_markup(browser: TestClient, enter: Enter) -> None:
    wild = '"><script>alert(1)</script>'
    answer = browser.post("/campaigns/new", data=letter(enter(COORDINATOR), subject=wild))
    page = browser.get(answer.headers["location"]).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_preview_has_its_own_policy_and_its_frame_is_sandboxed(
    browser: TestClient, enter: Enter
) -> None:
    enter(COORDINATOR)
    letter = browser.get(f"/campaigns/{SENDING}/preview")
    assert letter.headers["content-security-policy"] == LETTER_POLICY
    assert "x-frame-options" not in letter.headers
    frames = [m for t, m in Marks(browser.get(f"/campaigns/{SENDING}").text).tags if t == "iframe"]
    assert [frame["sandbox"] for frame in frames] == [None]
    assert frames[0]["src"] == f"/campaigns/{SENDING}/preview"


def test_pause_is_one_tap_and_stop_asks_for_the_word(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    csrf = enter(COORDINATOR)
    assert browser.post(f"/campaigns/{SENDING}/stop", data={"csrf": csrf}).status_code == 422
    assert desk.letters[SENDING].state == "sending"
    assert browser.post(f"/campaigns/{SENDING}/pause", data={"csrf": csrf}).status_code == 303
    assert desk.letters[SENDING].state == "paused"
    browser.post(f"/campaigns/{SENDING}/stop", data={"csrf": csrf, "confirm": " Stop "})
    assert desk.letters[SENDING].state == "stopped"
    again = browser.post(f"/campaigns/{SENDING}/resume", data={"csrf": csrf})
    assert again.status_code == 409
    assert "stopped for good" in again.text


def test_any_partner_stops_with_one_button(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    csrf = enter(TEACHERS)
    assert browser.post(f"/approvals/{SENDING}/stop", data={"csrf": csrf}).status_code == 303
    assert desk.changed == [("stop", SENDING, "teachers")]


def test_the_approval_page_shows_exactly_the_bytes_whose_digest_is_signed(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    import hashlib
    import html

    enter(TEACHERS)
    page = browser.get(f"/approvals/{SUBMITTED}").text
    manifest = html.unescape(re.search(r"data-manifest>(.*?)</pre>", page, re.S).group(1))  # type: ignore[union-attr]
    template = html.unescape(re.search(r"data-template>(.*?)</pre>", page, re.S).group(1))  # type: ignore[union-attr]
    assert hashlib.sha256(manifest.encode()).hexdigest() == desk.letters[SUBMITTED].digest
    assert hashlib.sha256(template.encode()).hexdigest() == json.loads(manifest)["template"]


def test_a_partner_is_told_in_words_that_its_list_is_frozen(
    browser: TestClient, enter: Enter, desk: FakeDesk
) -> None:
    enter(TEACHERS)
    assert "frozen" not in browser.get("/lists").text
    desk.lists[0] = replace(desk.lists[0], frozen=True)
    text = browser.get("/lists").text
    assert "Your list is frozen" in text
    assert '<span class="tag dan">Frozen</span>' in text
    assert "No letter leaves from it" in text


def test_a_page_that_withdraws_says_after_how_many_days_backups_forget(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    enter(TEACHERS)
    said = "gone now from the service; from backups after {} days."
    assert said.format(30) in browser.get(f"/lists/{BUNDLE}/withdraw").text
    assert "out of backups after 30 days" in browser.get("/lists").text
    desk.backup_days = 7
    assert said.format(7) in browser.get(f"/lists/{BUNDLE}/withdraw").text
    assert "out of backups after 7 days" in browser.get("/lists").text


def test_a_list_that_stands_in_two_epochs_is_shown_as_one(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    enter(TEACHERS)
    twin = BUNDLE[:-1] + "2"
    assert "under another epoch" not in browser.get("/lists").text
    desk.lists[0] = replace(desk.lists[0], twins=(twin,))
    text = browser.get("/lists").text
    assert "The same list as" in text
    assert "withdrawing one takes both" in text
    assert f'data-withdraw="{BUNDLE} {twin}"' in browser.get(f"/lists/{BUNDLE}/withdraw").text


def test_a_partner_is_told_which_epochs_keys_a_list_is_under(
    browser: TestClient, enter: Enter, desk: FakeDesk
) -> None:
    enter(TEACHERS)
    plain = browser.get("/lists").text
    assert "In use" in plain
    assert "epoch" not in plain
    desk.lists[0] = replace(desk.lists[0], stands="next")
    text = browser.get("/lists").text
    assert "Nobody is written to from it until the race moves there" in text
    assert "In use" not in text
    desk.lists[0] = replace(desk.lists[0], stands="past")
    assert "deleted when that epoch ends" in browser.get("/lists").text
    desk.lists[0] = replace(desk.lists[0], state="ended")
    text = browser.get("/lists").text
    assert "Deleted when its epoch ended" in text
    assert f"/lists/{BUNDLE}/withdraw" not in text
    assert f"/lists/{BUNDLE}/receipt" in text


def test_a_coordinator_is_told_that_lists_are_not_theirs(browser: TestClient, enter: Enter) -> None:
    enter(COORDINATOR)
    assert browser.get("/lists").status_code == 403
    enter(TEACHERS)
    assert browser.get("/choose").status_code == 403
    assert browser.get("/campaigns/new").status_code == 403


def test_a_receipt_is_a_file_and_a_pending_one_says_so(browser: TestClient, enter: Enter) -> None:
    enter(TEACHERS)
    answer = browser.get(f"/lists/{BUNDLE}/receipt")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.json()["format"] == "trellis-receipt"
    assert browser.get(f"/lists/{BUNDLE[:-1]}2/receipt").status_code == 503


@pytest.mark.parametrize("path", ["/campaigns/nope", "/approvals/nope", "/lists/nope/withdraw"])
def test_what_is_not_there_is_said_plainly(browser: TestClient, enter: Enter, path: str) -> None:
    enter(TEACHERS)
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "Nothing is here" in answer.text


def test_the_log_pages_back_and_forth_and_finds_an_entry(
    desk: FakeDesk, browser: TestClient
) -> None:
    first = browser.get("/audit").text
    assert 'href="/audit/46"' in first
    assert 'href="/audit/26"' not in first
    assert 'href="/audit?before=27"' in first
    second = browser.get("/audit?before=27").text
    assert 'href="/audit/26"' in second
    assert 'href="/audit?before=47"' in second
    assert browser.get("/audit?number=12").headers["location"] == "/audit/12"
    assert "No entry has that number" in browser.get("/audit?number=99").text
    leaf = leaf_hash(desk.log_entries[33]).hex()
    for code in (leaf, leaf[:12], leaf[:16].upper(), f"{leaf[:4]} {leaf[4:8]} {leaf[8:12]}"):
        assert browser.get("/audit", params={"number": code}).headers["location"] == "/audit/33"
    assert leaf[:4] + " " + leaf[4:8] in browser.get("/audit/33").text
    for code in (leaf[:11], leaf[:12] + "%", "0" * 64, "nobody's"):
        assert "No entry has that" in browser.get("/audit", params={"number": code}).text
    assert browser.get("/audit/47").status_code == 404
    assert browser.get("/audit/-1").status_code == 404
    assert "State University" in first
    assert "missing" in first
    assert "2 of 3" in first


def test_the_page_says_since_when_the_log_waits_and_for_whom(
    desk: FakeDesk, browser: TestClient
) -> None:
    assert "none of it counts" not in browser.get("/audit").text
    desk.waits = Absence(3, NOW, ("State University: cannot be reached (ConnectError)",))
    page = browser.get("/audit").text
    assert "3 entries wait for witnesses" in page
    assert "Missing: State University." in page
    assert "ConnectError" not in page  # why, is the operator's to know


def test_the_page_says_how_many_entries_its_tables_hold_where_that_is_not_all(
    desk: FakeDesk, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "EXPORT", len(desk.log_entries))
    whole = browser.get("/audit").text
    assert 'aria-label="Entries as CSV"' in whole
    assert "hold the newest" not in whole
    monkeypatch.setattr(auditor, "EXPORT", 40)
    assert "CSV and JSON hold the newest 40 of 47 entries." in browser.get("/audit").text
    rows = browser.get("/audit/entries.json").json()
    assert [rows[0]["index"], rows[-1]["index"]] == [7, 46]


def test_an_empty_log_has_a_page(desk: FakeDesk, browser: TestClient) -> None:
    desk.log_entries = []
    assert "Nothing has been recorded yet" in browser.get("/audit").text


def test_an_entry_comes_as_the_bytes_that_were_hashed(desk: FakeDesk, browser: TestClient) -> None:
    assert browser.get("/audit/12/entry.json").content == desk.log_entries[12]
    assert browser.get("/audit/12/proof").text == desk.proof(12)
    assert len(browser.get("/audit/entries.json").json()) == 47
    table = browser.get("/audit/entries.csv").text.splitlines()
    assert len(table) == 48
    assert table[0] == "index,kind,hour,leaf"


@pytest.mark.parametrize("path", ["/u/", "/why/"])
def test_recipient_pages_have_no_script_no_cookie_and_ask_not_to_be_indexed(
    browser: TestClient, path: str
) -> None:
    answer = browser.get(path + CAPABILITY)
    assert "<script" not in answer.text
    assert "set-cookie" not in answer.headers
    assert "noindex" in answer.headers["x-robots-tag"]
    assert "noindex" in answer.text


def test_opening_the_stop_link_stops_nothing(desk: FakeDesk, browser: TestClient) -> None:
    browser.get(f"/u/{CAPABILITY}")
    browser.head(f"/u/{CAPABILITY}")
    assert desk.stops == set()


def test_one_click_stops_the_race_without_cookie_token_or_redirect_as_often_as_it_comes(
    desk: FakeDesk, browser: TestClient
) -> None:
    for _ in range(3):
        answer = browser.post(f"/u/{CAPABILITY}", data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert "set-cookie" not in answer.headers
    assert desk.changed == [("hear_stop", "race")]


def test_one_click_also_comes_as_multipart(desk: FakeDesk, browser: TestClient) -> None:
    sent = {"List-Unsubscribe": (None, "One-Click")}
    assert browser.post(f"/u/{CAPABILITY}", files=sent).status_code == 200  # type: ignore[arg-type]
    assert desk.stops == {"race"}


@pytest.mark.parametrize("scope", ["race", "partner", "all", "protect"])
@pytest.mark.parametrize("lang", ["en", "es"])
def test_each_stop_says_what_ends_and_what_does_not(
    desk: FakeDesk, browser: TestClient, scope: str, lang: str
) -> None:
    answer = browser.post(f"/u/{CAPABILITY}?lang={lang}", data={"scope": scope})
    assert answer.status_code == 200
    assert desk.stops == {scope}
    assert ("Ends:" if lang == "en" else "Termina:") in answer.text
    assert ("Does not end:" if lang == "en" else "No termina:") in answer.text


@pytest.mark.parametrize("sent", [{}, {"scope": "everything"}, {"List-Unsubscribe": "Two-Click"}])
def test_anything_else_stops_nothing(
    desk: FakeDesk, browser: TestClient, sent: dict[str, str]
) -> None:
    assert browser.post(f"/u/{CAPABILITY}", data=sent).status_code == 422
    assert desk.stops == set()


@pytest.mark.parametrize("path", ["/u/", "/why/"])
def test_who_could_open_everything_is_said_in_the_readers_language(
    browser: TestClient, path: str
) -> None:
    english, spanish = (
        browser.get(f"{path}{CAPABILITY}?lang={lang}").text for lang in ("en", "es")
    )
    assert "all three custodians run on one machine" in english
    assert "los 3 custodios funcionan en una sola máquina" in spanish
    assert "This is a demonstration" not in spanish


def test_every_unknown_link_gets_the_same_page(browser: TestClient) -> None:
    answers = [browser.get(path) for path in ("/u/x", "/why/x", "/u/another-one")]
    answers.append(browser.post("/u/x", data={"scope": "race"}))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    machine = browser.post("/u/x", data={"List-Unsubscribe": "One-Click"})
    assert machine.status_code == 404


def test_the_why_page_says_who_stated_what_and_claims_no_more(browser: TestClient) -> None:
    page = browser.get(f"/why/{CAPABILITY}").text
    assert "Steel City Teachers states that you are a member" in page
    assert "2 of these 3: Steel City Teachers, Arkansas Valley Growers, Riverside Library" in page
    for never in ("neighbor of yours", "anonymous", "hashed", "delivered", "one message"):
        assert never not in page.lower()
    assert browser.get(f"/why/{CAPABILITY}?lang=es").text.count('lang="es"') == 1


def test_both_languages_say_the_same_things() -> None:
    from string import Formatter

    from consortium.web.pages.signer_words import SIGNER_WORDS
    from consortium.web.pages.words import WORDS

    def fields(said: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(said) if name}

    for words in (WORDS, SIGNER_WORDS):
        assert words["en"].keys() == words["es"].keys()
        for key, said in words["en"].items():
            assert fields(said) == fields(words["es"][key]), key


def test_static_files_are_named_by_their_bytes_and_kept(browser: TestClient) -> None:
    css = asset("app.css")
    answer = browser.get(css.url)
    assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/app.css").headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"] == POLICY


def test_vendored_files_are_what_their_lock_says() -> None:
    lock = json.loads((FOLDER / "vendor.lock.json").read_text())
    shipped = {f"vendor/{each.name}" for each in (FOLDER / "vendor").glob("*.woff2")}
    assert set(lock) == shipped
    for name, entry in lock.items():
        assert asset(name).integrity == entry["sha384"]
        assert entry["licence"] == "OFL-1.1"


def test_no_page_says_what_the_claims_forbid(browser: TestClient, enter: Enter) -> None:
    for path, page in every_page(browser, enter):
        for never in (
            "100%",
            "military",
            "never leave",
            "nobody can read",
            "hashed",
            "differentially private",
            "resets",
            "delivered",
        ):
            assert never not in page, (path, never)


def test_a_draft_does_not_claim_an_estimate(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    answer = browser.post("/campaigns/new", data=letter(enter(COORDINATOR)))
    page = browser.get(answer.headers["location"]).text
    assert "estimated when you submit it" in page
    assert "≈" not in page
    assert "very likely" not in page


def test_what_has_to_be_mended_is_said_and_keeps_a_draft_from_being_submitted(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    path = browser.post("/campaigns/new", data=letter(enter(COORDINATOR))).headers["location"]
    good = browser.get(path).text
    assert "Use shorter sentences." in good
    assert "news.teachers.example" in good
    assert f'action="{path}/submit"' in good
    desk.findings = [Finding("Contrast", "red", "Too pale.", "Use a darker colour.", 7)]
    bad = browser.get(path).text
    assert "Contrast, line 7 (to mend):" in bad
    assert "Use a darker colour." in bad
    assert "cannot be submitted" in bad
    assert f'action="{path}/submit"' not in bad


def test_who_approves_is_shown_what_to_look_at(browser: TestClient, enter: Enter) -> None:
    enter(TEACHERS)
    page = browser.get(f"/approvals/{SUBMITTED}").text
    assert "Reading level (look at it):" in page
    assert "1 to look at" in page


def test_an_address_that_makes_no_sense_is_a_page_too(browser: TestClient) -> None:
    answer = browser.get("/audit/abc")
    assert answer.status_code == 422
    assert "That was not understood" in answer.text


def test_figures_are_told_only_when_asked_and_only_after_the_close(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    enter(COORDINATOR)
    assert "What became of it" not in browser.get(f"/campaigns/{SENDING}").text
    desk.letters[SENDING] = replace(desk.letters[SENDING], state="closed", progress=100)
    page = browser.get(f"/campaigns/{SENDING}").text
    assert "Asking uses 3 of the figures" in page
    assert "100%" not in page  # closed by its window, it may have gone to fewer
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token is not None
    browser.post(f"/campaigns/{SENDING}/figures", data={"csrf": token[1]})
    assert ("figures", SENDING) in desk.changed
    assert "1,150" in browser.get(f"/campaigns/{SENDING}").text


def test_the_caps_on_the_page_are_the_agreements(desk: FakeDesk, browser: TestClient) -> None:
    wanted = {"en": "at most 1 letter a week and 5 letters", "es": "1 carta por semana y 5 cartas"}
    for lang, said in wanted.items():
        assert said in browser.get(f"/why/{CAPABILITY}?lang={lang}").text


def test_the_front_page_names_everybody_who_could_break_it(
    desk: FakeDesk, browser: TestClient
) -> None:
    page = browser.get("/").text
    race = desk.race()
    told = page[page.index("data-break") :]
    for name in (*race.custodians, *race.witnesses):
        assert name in told
    assert f"{race.threshold} of these {len(race.custodians)}" in told


def test_a_partner_keeps_a_day_and_gives_it_back_on_the_shared_calendar(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    csrf = enter(TEACHERS)
    page = browser.get("/calendar").text
    assert "Arkansas Valley Growers writes to its own members" in page
    assert "Give it back" not in page  # it is the growers'
    assert "both write to the same places" in page
    kept = browser.post("/calendar/keep", data={"csrf": csrf, "day": "2026-10-23"})
    assert (kept.status_code, kept.headers["location"]) == (303, "/calendar")
    page = browser.get("/calendar").text
    assert page.count("Give it back") == 1
    for day, said in (("2026-10-01", "That day is over."), ("soon", "not a day")):
        refused = browser.post("/calendar/keep", data={"csrf": csrf, "day": day})
        assert (refused.status_code, said in refused.text) == (422, True)
    browser.post("/calendar/give-back", data={"csrf": csrf, "day": "2026-10-23"})
    assert "Give it back" not in browser.get("/calendar").text
    enter(COORDINATOR)
    assert "Keep it" not in browser.get("/calendar").text


def test_a_volunteer_says_how_many_letters_a_day_and_may_change_it(
    desk: FakeDesk, browser: TestClient
) -> None:
    desk.invite_messenger(COORDINATOR, "r", name="Joe Gray", place="Aguilar", daily=40)
    page = "/messenger/for-joe"
    assert "at most 40" in browser.get(page).text
    for typed, said in (("25", "at most 25"), ("", "no limit of your own"), (" 7 ", "at most 7")):
        went = browser.post(page, data={"answer": "yes", "daily": typed})
        assert went.status_code == 303
        assert said in browser.get(page).text
    for typed in ("many", "-1", "\u0664", "9999999"):
        assert browser.post(page, data={"answer": "yes", "daily": typed}).status_code == 422
    browser.post(page, data={"answer": "yes"})
    assert "at most 7" in browser.get(page).text


def test_a_volunteer_reads_each_letter_without_script_in_english_or_spanish(
    desk: FakeDesk, browser: TestClient
) -> None:
    page = browser.get("/messenger/for-maria").text
    for said in (
        "Under way.",
        "Asked for: not every organization has said yes yet.",
        "In English, only for 044-12, 044-13",
        "In English, version 2",
        "Venga a saludar el sábado",
        "coffee &amp; maps",
        "as it would come from Arkansas Valley Growers",
        "none of it leaves so",
    ):
        assert said in page, said
    assert page.count("<details") == 5
    assert not [part for part in ("<script", "<iframe") if part in page]
    spanish = browser.get("/messenger/for-maria?lang=es").text
    assert "Está saliendo." in spanish
    assert "In English" not in spanish
    assert 'action="/messenger/for-maria?lang=es"' in spanish
    assert "de 2026" in spanish
    went = browser.post("/messenger/for-maria?lang=es", data={"answer": "no"})
    assert went.headers["location"] == "/messenger/for-maria?lang=es"
    refused = browser.get("/messenger/for-maria").text
    assert "<details" not in refused
    assert "The letters" not in refused
    browser.post("/messenger/for-maria", data={"answer": "yes"})
    desk.to_sign = []
    assert "There is none now." in browser.get("/messenger/for-maria").text


def test_what_a_letter_says_is_text_on_the_volunteers_page(
    desk: FakeDesk, browser: TestClient
) -> None:
    one = desk.to_sign[0]
    bad = replace(one.wordings[0], subject="<b>s</b>", text="<script>x</script>")
    desk.to_sign = [replace(one, subject="<i>t</i>", wordings=(bad,))]
    page = browser.get("/messenger/for-maria").text
    for kept in ("&lt;script&gt;", "&lt;b&gt;", "&lt;i&gt;"):
        assert kept in page
    assert not [part for part in ("<script", "<b>s", "<i>") if part in page]


def test_letters_that_each_readers_nearest_signs_say_so(
    desk: FakeDesk, browser: TestClient, enter: Enter
) -> None:
    enter(COORDINATOR)
    assert "Each reader’s nearest" in browser.get("/campaigns/new?place=zip:81003").text
    one = desk.letters[SUBMITTED]
    who = [{"name": name, "place": "Bessemer"} for name in ("Ana Ruiz", "Maria Trujillo")]
    desk.letters[SUBMITTED] = replace(one, manifest={**(one.manifest or {}), "messengers": who})
    enter(TEACHERS)
    page = browser.get(f"/approvals/{SUBMITTED}").text
    assert "each reader’s nearest of 2 volunteers" in page
    assert "Ana Ruiz, Bessemer" in page
