"""A letter is written in a real Chromium: by plain forms, by the keyboard, on a phone."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.fakes.service import COORDINATOR

START = "/campaigns/new?place=zip:81003&starter=event"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_a_letter_is_written_changed_shown_and_saved_without_script(site: Site) -> None:
    page = site.visit(START, who=COORDINATOR, script=False)
    page.get_by_role("button", name="Remove block 5").click()
    expect(page.get_by_role("status")).to_contain_text("Block 5 was removed.")
    page.get_by_role("button", name="Undo").click()
    english = page.get_by_role("region", name="English")
    english.get_by_role("button", name="List", exact=True).click()
    save = page.get_by_role("button", name="Save the draft and see it")
    save.click()
    alert = page.get_by_role("alert")
    expect(alert).to_be_focused()
    alert.get_by_role("link", name="Block 6, items:").click()
    points = page.get_by_label("Points, one on each line")
    expect(points).to_have_attribute("aria-invalid", "true")
    points.fill("A question\nA friend")
    frame = page.frame_locator("iframe[name=letter-frame]")
    page.get_by_role("button", name="Show it").click()
    expect(frame.locator("li").first).to_have_text("A question")
    page.get_by_label("Language").select_option("es")
    page.get_by_role("button", name="Show it").click()
    expect(frame.locator("h1")).to_contain_text("Venga")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("heading", name="Checks")).to_be_focused()
    assert [verb for verb, *_ in site.desk.changed] == []
    save.click()
    page.get_by_role("link", name="Change it").click()
    expect(page.get_by_label("Points, one on each line")).to_have_value("A question\nA friend")
    assert [verb for verb, *_ in site.desk.changed] == ["draft"]


def test_the_keyboard_moves_blocks_and_stays_where_it_works(site: Site) -> None:
    page = site.visit(START, who=COORDINATOR)
    page.locator("[id='block.2.up']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[id='block.1.down']")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("[id='block.2.down']")).to_be_focused()
    # Enter in a field sends nothing and loses nothing.
    page.get_by_label("Subject", exact=True).fill("Kept")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Subject", exact=True)).to_have_value("Kept")
    # With script, the preview follows what is typed.
    frame = page.frame_locator("iframe[name=letter-frame]")
    page.locator("[id='block.1.text']").fill("Bring a chair")
    expect(frame.locator("h1")).to_have_text("Bring a chair")
    assert site.desk.changed == []
    assert site.complaints == []


def test_a_phone_writes_without_scrolling_sideways_and_with_large_targets(site: Site) -> None:
    page = site.visit(START, who=COORDINATOR, width=390, height=844)
    for summary in page.locator("details > summary").all():
        if summary.is_visible():
            summary.click()
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(OVERFLOW) <= 0, width
    sizes = page.evaluate(
        "Array.from(document.querySelectorAll('main .ico, main .btn, main select'))"
        ".map((each) => each.getBoundingClientRect().height).filter((height) => height > 1)"
    )
    assert len(sizes) > 40
    assert min(sizes) >= 36
    assert site.complaints == []
