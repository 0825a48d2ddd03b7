"""One email on a real installation, from places to figures: no fake anywhere, Chromium included."""

from __future__ import annotations

import json
import re
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.installation import Installation

SUBJECT = "A second hello"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def choose(page: Page, base: str) -> None:
    """Tick one district and ask how many people that is."""
    page.goto(base + "/choose")
    page.get_by_label("State House 44").check()
    page.get_by_role("button", name="Estimate, uses 1 look").click()


def write(page: Page, base: str, subject: str) -> str:
    """Draft from a starter for the audience of the world; the draft's id."""
    choose(page, base)
    page.get_by_role("button", name="Use in an email").click()
    page.get_by_label("A letter that works everywhere").select_option("event")
    page.get_by_role("button", name="Load it").click()
    page.get_by_label("Subject", exact=True).fill(subject)
    page.get_by_label("Name and place").select_option("Maria Example\nAlderton")
    page.get_by_role("button", name="Save the draft and see it").click()
    expect(page.locator("h1")).to_have_text(subject)
    return page.url.rsplit("/", 1)[1]


def until(page: Page, state: str, seconds: float = 900) -> None:
    """Load the page again until it says so, as somebody without script would."""
    end = time.monotonic() + seconds
    while page.locator(f"[data-state={state}]").count() == 0:
        assert time.monotonic() < end, page.locator("main").inner_text()
        page.wait_for_timeout(500)
        page.reload()


def enrol(installation: Installation, page: Page, slug: str) -> None:
    """Make a key in this page's browser, and have the partner's own tool vouch for it."""
    page.get_by_role("button", name="Make a key in this browser").click()
    command = page.locator("[data-command]")
    expect(command).to_contain_text("enrol-browser")
    code = command.inner_text().split()[-1]
    home = installation.partner(slug)
    installation.cli("partner", "enrol-browser", code, "--home", home, "--yes")
    page.reload()


def nobody_again(letters: list[EmailMessage]) -> None:
    """Only whom the one letter that bounced never reached may be written to, at another address."""
    before = {m["To"] for m in letters if m["Subject"] != SUBJECT}
    again = [m["To"] for m in letters if m["Subject"] == SUBJECT]
    assert len(again) <= 1
    assert before.isdisjoint(again)


def test_a_coordinator_and_partners_bring_an_email_to_its_end(
    installation: Installation, chromium: Browser, tmp_path: Path
) -> None:
    base = installation.base
    coordinator = installation.enter(chromium, "coordinator", java_script_enabled=False)
    page = coordinator.new_page()

    # Places and an estimate: the same question is free
    choose(page, base)
    expect(page.locator(".pnum")).to_contain_text(re.compile(r"About\s*[\d,]+\s*people"))
    shown = page.locator(".pnum").inner_text()
    left = page.locator(".right .ft b").first.inner_text()
    choose(page, base)
    expect(page.locator("[data-estimate]")).to_contain_text("no look used")
    assert page.locator(".pnum").inner_text() == shown
    assert page.locator(".right .ft b").first.inner_text() == left

    # A letter that cannot be, with the line that is wrong; nothing typed is lost
    page.get_by_role("button", name="Use in an email").click()
    page.get_by_role("button", name="Own MJML").click()
    page.get_by_label("Subject", exact=True).fill(SUBJECT)
    page.get_by_label("Letter, in MJML").fill(
        "<mjml>\n<mj-body>\n<mj-sektion>\n</mj-sektion>\n</mj-body>\n</mjml>"
    )
    page.get_by_label("Name and place").select_option("Maria Example\nAlderton")
    page.get_by_role("button", name="Save the draft and see it").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 3")
    expect(page.get_by_label("Subject", exact=True)).to_have_value(SUBJECT)

    # A starter, the preview, the partners
    campaign = write(page, base, SUBJECT)
    letter = page.frame_locator("iframe[title^='The letter']")
    expect(letter.locator("body")).to_contain_text("Come say hello on Saturday")
    page.get_by_role("button", name="Submit to the partners").click()
    expect(page.locator("[data-state=submitted]")).to_be_visible()
    page.wait_for_load_state()  # it is there from its first line on; it is counted when whole
    said = page.locator("section.panel").filter(has_text="Who must say yes").locator(".checks")
    asked = said.locator("li").count()
    expect(said).to_contain_text("Has not answered")
    page.get_by_role("button", name="Schedule").click()
    expect(page.get_by_role("button", name="Schedule")).to_have_count(0)

    # One partner in its browser, with a key that its own tool vouched for
    slugs = installation.partners()[:asked]
    slug = slugs[0]
    context = installation.enter(chromium, slug)
    signing = context.new_page()
    complaints: list[str] = []
    signing.on("pageerror", lambda error: complaints.append(str(error)))
    signing.goto(base + "/approvals")
    signing.get_by_role("link", name=f"Read {SUBJECT}").click()
    enrol(installation, signing, slug)
    signing.get_by_role("button", name="Sign and approve").click()
    expect(signing.locator("[data-approve]")).to_have_attribute("data-done", "yes")
    expect(signing.locator("[data-steps] .done")).to_have_count(4)
    signing.reload()
    expect(signing.locator(".lede")).to_contain_text("You said yes")
    assert complaints == []

    # The others by their tools; every yes stands in the log
    for other in slugs[1:]:
        home = installation.partner(other)
        installation.cli("partner", "approve", "--home", home, campaign, "--yes", "--wait", "240")
    page.reload()
    until(page, "frozen")
    expect(said).not_to_contain_text("Has not answered")

    # Pause is harmless
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-state=paused]")).to_contain_text("Nothing leaves while it is paused")
    page.get_by_role("button", name="Resume").click()
    until(page, "frozen")
    said = page.locator("[data-digest]").inner_text()
    for other in slugs:
        home = installation.partner(other)
        installation.cli(
            "partner", "attest", "--home", home, campaign, "--digest", said,
            "--moved", "100000", "--wait", "240",
        )  # fmt: skip

    # Everybody had a letter this week, or one that came back: it ends well, and tells figures once
    until(page, "closed")
    expect(page.locator("[data-state=closed]")).to_contain_text("that can be everybody")
    page.get_by_role("button", name="Show the 3 figures").click()
    figures = page.locator("[data-figures] dl")
    expect(figures).to_contain_text("Handed to providers")
    page.wait_for_load_state()
    told = figures.inner_text()
    page.reload()
    assert figures.inner_text() == told
    nobody_again(installation.letters())

    # A receipt that holds offline
    signing.goto(base + "/lists")
    with signing.expect_download() as coming:
        signing.get_by_role("link", name="Receipt for the list").first.click()
    receipt = tmp_path / "receipt.json"
    coming.value.save_as(receipt)
    assert json.loads(receipt.read_text())
    log = installation.folder / "log"
    known = [part for n in (1, 2, 3) for part in ("--witness", log / f"witness-{n}.vkey")]
    installation.cli(
        "audit", "receipt", receipt, "--vkey", log / "log.vkey", *known, "--quorum", "2"
    )
    context.close()
    coordinator.close()


def test_any_one_partner_stops_a_letter_and_a_coordinator_types_the_word(
    installation: Installation, chromium: Browser
) -> None:
    base = installation.base
    coordinator = installation.enter(chromium, "coordinator", java_script_enabled=False)
    page = coordinator.new_page()
    slug = installation.partners()[-1]
    partner = installation.enter(chromium, slug, java_script_enabled=False)
    other = partner.new_page()
    for number in (1, 2):
        campaign = write(page, base, f"A letter to stop {number}")
        page.get_by_role("button", name="Submit to the partners").click()
        expect(page.locator("[data-state=submitted]")).to_be_visible()
        if number == 1:
            other.goto(f"{base}/approvals/{campaign}")
            other.get_by_role("button", name="Stop this email").click()
            expect(other.locator("[data-state=stopped]")).to_be_visible()
            page.reload()
        else:
            page.get_by_role("button", name="Stop for good").click()
            expect(page.get_by_label("Type stop to confirm")).to_be_visible()
            page.get_by_role("button", name="Stop for good").click()
            expect(page.get_by_role("alert")).to_contain_text("Nothing was stopped")
            page.get_by_label("Type stop to confirm").fill("stop")
            page.get_by_role("button", name="Stop for good").click()
        expect(page.locator("[data-state=stopped]")).to_contain_text("Nothing more will ever be")
        expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    coordinator.close()
    partner.close()


def test_every_real_page_fits_a_phone_in_light_and_dark(
    installation: Installation, chromium: Browser
) -> None:
    base, campaign = installation.base, installation.facts()["campaign"]
    slug = installation.partners()[-1]
    paths = {
        "": ("/", "/audit", "/audit/3"),
        "coordinator": ("/", "/choose", "/campaigns", "/campaigns/new", f"/campaigns/{campaign}"),
        slug: ("/", "/lists", "/approvals", f"/approvals/{campaign}"),
    }
    complaints: list[str] = []
    for actor, found in paths.items():
        options: dict[str, Any] = {
            "viewport": {"width": 390, "height": 844},
            "color_scheme": "dark",
        }
        context = (
            installation.enter(chromium, actor, **options)
            if actor
            else chromium.new_context(**options)
        )
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        for path in found:
            answer = page.goto(base + path)
            assert answer is not None
            assert answer.status == 200, path
            for width in (390, 320):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate(OVERFLOW) <= 0, (path, width)
            expect(page.locator(".trust")).to_contain_text("This is a demonstration")
        context.close()
    assert complaints == []


def test_last_of_all_a_partner_withdraws_its_list_by_a_key_in_its_browser(
    installation: Installation, chromium: Browser
) -> None:
    slug = installation.partners()[0]
    context = installation.enter(chromium, slug)
    signing = context.new_page()
    signing.goto(installation.base + "/lists")
    signing.get_by_role("link", name="Withdraw the list").first.click()
    enrol(installation, signing, slug)
    signing.get_by_label("Type withdraw to confirm").fill("withdraw")
    signing.get_by_role("button", name="Sign and withdraw").click()
    expect(signing.locator("[data-withdraw]")).to_have_attribute("data-done", "yes")
    signing.goto(installation.base + "/lists")
    expect(signing.locator("table.cards")).to_contain_text("Withdrawn")
    context.close()
