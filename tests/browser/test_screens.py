"""The screens in a real Chromium: policy, width, keyboard, no script, a signature made there."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from playwright.sync_api import expect

from policies.authorise import Caller
from provenance.canonical import canonical, openings_from_json
from provenance.entry import ENTRY_LABEL, opened
from tests.browser.conftest import Site
from tests.fakes.service import (
    BUNDLE,
    CAPABILITY,
    COORDINATOR,
    SENDING,
    SUBMITTED,
    TEACHERS,
)

SCREENS: list[tuple[str, Caller | None]] = [
    ("/", None),
    ("/audit", None),
    ("/audit/12", None),
    (f"/u/{CAPABILITY}", None),
    (f"/why/{CAPABILITY}", None),
    (f"/why/{CAPABILITY}?lang=es", None),
    ("/sign-in/to-cora", None),
    ("/", COORDINATOR),
    ("/campaigns", COORDINATOR),
    ("/choose?place=zip:81003", COORDINATOR),
    ("/campaigns/new?place=zip:81003", COORDINATOR),
    (f"/campaigns/{SENDING}", COORDINATOR),
    (f"/campaigns/{SENDING}/stop", COORDINATOR),
    ("/", TEACHERS),
    ("/lists", TEACHERS),
    (f"/lists/{BUNDLE}/withdraw", TEACHERS),
    ("/approvals", TEACHERS),
    (f"/approvals/{SUBMITTED}", TEACHERS),
]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_no_screen_breaks_the_policy_or_scrolls_sideways(site: Site) -> None:
    for path, who in SCREENS:
        page = site.visit(path, who=who, width=390, height=844)
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate(OVERFLOW) <= 0, (path, width)
        page.context.close()
    assert site.complaints == []


def test_every_control_is_reached_by_the_keyboard_and_shows_where_it_is(site: Site) -> None:
    page = site.visit(f"/campaigns/{SENDING}", who=COORDINATOR)
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "[document.activeElement.textContent.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    words = [text for text, _ in seen]
    assert words[0] == "Skip to main content"
    for wanted in ("Pause", "Stop for good", "Emails", "Sign out"):
        assert wanted in words
    assert dict(map(tuple, seen))["Pause"] == "solid"


def test_targets_are_large_enough_for_a_thumb(site: Site) -> None:
    page = site.visit(f"/campaigns/{SENDING}", who=COORDINATOR, width=390, height=844)
    box = page.get_by_role("button", name="Pause").bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["y"] + box["height"] <= 844  # in reach without scrolling
    for button in page.locator(".btn:visible").all():
        size = button.bounding_box()
        assert size is None or size["height"] >= 36


def test_the_menu_opens_with_and_without_script(site: Site) -> None:
    for script in (True, False):
        page = site.visit("/lists", who=TEACHERS, script=script, width=390, height=844)
        expect(page.get_by_role("link", name="To approve")).to_be_hidden()
        page.locator(".menu").click()
        expect(page.get_by_role("link", name="To approve")).to_be_visible()


def test_a_coordinator_works_without_script_from_places_to_pause(site: Site) -> None:
    page = site.visit("/choose", who=COORDINATOR, script=False)
    page.get_by_label("State House 46").check()
    page.get_by_role("button", name="Estimate, uses 1 look").click()
    expect(page.locator(".pnum")).to_contain_text("1,250")
    page.get_by_role("button", name="Use in an email").click()
    page.get_by_role("button", name="Own MJML").click()
    page.get_by_label("Subject", exact=True).fill("Where do you vote now?")
    page.get_by_label("Letter, in MJML").fill("<mjml></mjml>")
    page.get_by_label("Name and place").select_option("Maria Trujillo\nBessemer")
    page.get_by_role("button", name="Save the draft and see it").click()
    page.get_by_role("button", name="Submit to the partners").click()
    expect(page.locator("[data-state=submitted]")).to_be_visible()
    page.goto(site.base + f"/campaigns/{SENDING}")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert [verb for verb, *_ in site.desk.changed] == [
        "count",
        "draft",
        "submit",
        "pause",
        "resume",
    ]


def test_no_look_is_spent_by_clicking_about(site: Site) -> None:
    page = site.visit("/choose", who=COORDINATOR)
    boxes = page.locator("input[name=place]")
    for n in range(20):
        boxes.nth(n % boxes.count()).click()
    page.get_by_label("Find in ZIP codes").fill("8100")
    page.get_by_label("Find in ZIP codes").press("Enter")
    page.reload()
    page.go_back()
    assert site.desk.changed == []


def test_a_changed_choice_marks_the_number_as_old(site: Site) -> None:
    page = site.visit("/choose", who=COORDINATOR)
    page.get_by_label("81003").check()
    page.get_by_role("button", name="Estimate, uses 1 look").click()
    expect(page.locator("[data-stale]")).to_be_hidden()
    page.get_by_label("81004").check()
    expect(page.locator("[data-stale]")).to_be_visible()
    expect(page.get_by_role("button", name="Use in an email")).to_be_disabled()


def test_the_letter_in_its_frame_keeps_its_styles_and_runs_nothing(site: Site) -> None:
    page = site.visit(f"/campaigns/{SENDING}", who=COORDINATOR)
    frame = page.frame_locator("iframe")
    page.locator("iframe").scroll_into_view_if_needed()
    expect(frame.get_by_text("Hi Alex")).to_be_visible()
    font = frame.locator("p").first.evaluate("node => getComputedStyle(node).fontFamily")
    assert "Georgia" in font
    assert site.complaints == []


def test_signing_in_takes_a_press_and_a_stop_needs_the_word(site: Site) -> None:
    page = site.visit("/sign-in/to-cora", script=False)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Come say hello on Saturday").click()
    page.get_by_role("button", name="Stop for good").click()
    page.get_by_label("Type stop to confirm").fill("no")
    page.get_by_role("button", name="Stop for good").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was stopped")
    page.get_by_label("Type stop to confirm").fill("stop")
    page.get_by_role("button", name="Stop for good").click()
    expect(page.locator("[data-state=stopped]")).to_be_visible()
    assert site.desk.letters[SENDING].state == "stopped"


@pytest.mark.parametrize("lang", ["en", "es"])
def test_a_recipient_stops_in_one_press_without_script(site: Site, lang: str) -> None:
    page = site.visit(f"/why/{CAPABILITY}?lang={lang}", script=False, width=320, height=640)
    page.locator("button.pri").first.click()
    expect(page.get_by_role("status")).to_be_visible()
    assert site.desk.stops == {"race"}
    assert page.context.cookies() == []


def test_the_key_is_made_here_cannot_be_read_out_and_really_signs(site: Site) -> None:
    page = site.visit(f"/approvals/{SUBMITTED}", who=TEACHERS)
    go = page.get_by_role("button", name="Sign and approve")
    expect(go).to_be_disabled()
    page.get_by_role("button", name="Make a key in this browser").click()
    expect(page.locator("[data-command]")).to_contain_text("enrol-browser")
    expect(page.locator("[data-command]")).to_contain_text("4821-7730")
    page.reload()  # the key stays in this browser
    go.click()
    expect(page.locator("[data-approve][data-done=yes]")).to_be_visible()
    (sent,) = site.app.state.signed
    entry = sent["entry_unsigned"]
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(site.app.state.public))
    message = ENTRY_LABEL + canonical(entry)
    public.verify(bytes.fromhex(sent["signature"]), message)
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(sent["signature"]), message + b" ")
    assert sent["openings"]["digest"]["value"] == site.desk.letters[SUBMITTED].digest
    refused = page.evaluate(
        """async () => {
          const database = await new Promise((done) => {
            const asked = indexedDB.open('trellis', 1);
            asked.onsuccess = () => done(asked.result);
          });
          const pair = await new Promise((done) => {
            const asked = database.transaction('keys').objectStore('keys').get('teachers');
            asked.onsuccess = () => done(asked.result);
          });
          try { await crypto.subtle.exportKey('pkcs8', pair.privateKey); return ''; }
          catch (error) { return error.name; }
        }"""
    )
    assert refused == "InvalidAccessError"
    assert site.complaints == []


def test_nothing_is_signed_when_the_server_asks_for_something_else(site: Site) -> None:
    site.app.state.lie = True
    page = site.visit(f"/approvals/{SUBMITTED}", who=TEACHERS)
    page.get_by_role("button", name="Make a key in this browser").click()
    page.get_by_role("button", name="Sign and approve").click()
    expect(page.locator("[data-approve] [data-out]")).to_contain_text("Nothing was signed")
    assert site.app.state.signed == []


@pytest.mark.parametrize("twins", [(), (BUNDLE[:-1] + "3",)])
def test_a_withdrawal_signed_here_is_an_entry_that_the_log_accepts_for_each_epoch_of_the_list(
    site: Site, twins: tuple[str, ...]
) -> None:
    site.desk.lists[0] = replace(site.desk.lists[0], twins=twins)
    page = site.visit(f"/lists/{BUNDLE}/withdraw", who=TEACHERS)
    page.get_by_role("button", name="Make a key in this browser").click()
    expect(page.locator("[data-command]")).to_be_visible()
    assert page.get_by_text("here for another epoch too").count() == len(twins)
    page.get_by_label("Type withdraw to confirm").fill("withdraw")
    page.get_by_role("button", name="Sign and withdraw").click()
    expect(page.locator("[data-withdraw][data-done=yes]")).to_be_visible()
    (sent,) = site.app.state.signed
    assert set(sent["bundles"]) == {BUNDLE, *twins}
    for id, one in sent["bundles"].items():
        said = opened(base64.b64decode(one["entry"]), openings_from_json(one["openings"]))
        assert said.kind == "withdrawal"
        assert said.actor.hex() == site.app.state.public
        assert said.facts == {"kind": "bundle", "bundle": id}


def test_an_entry_is_checked_in_the_browser_and_a_changed_one_is_found(site: Site) -> None:
    for index in (0, 12, 46):
        page = site.visit(f"/audit/{index}")
        page.get_by_role("button", name="Check this in my browser").click()
        expect(page.locator("[data-verified=true]")).to_be_visible()
    page.evaluate(
        "() => { const at = document.querySelector('[data-verify]').dataset;"
        " at.entry = at.entry.replace('0', '1'); }"
    )
    page.get_by_role("button", name="Check this in my browser").click()
    expect(page.locator("[data-verified=false]")).to_be_visible()
    assert json.loads(page.request.get(site.base + "/audit/46/entry.json").text())["type"]


def test_dark_and_light_are_remembered(site: Site) -> None:
    page = site.visit("/audit")
    page.get_by_role("button", name="Dark or light").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.goto(site.base + "/")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_page_stays_under_its_budget_of_bytes(site: Site) -> None:
    page = site.visit("/campaigns", who=COORDINATOR)
    total = page.evaluate(
        "performance.getEntriesByType('resource')"
        ".concat(performance.getEntriesByType('navigation'))"
        ".reduce((sum, each) => sum + each.transferSize, 0)"
    )
    assert 0 < total < 150_000
