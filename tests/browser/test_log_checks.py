"""The log is checked in a browser: signatures, every fingerprint, and what was there yesterday."""

from __future__ import annotations

import base64
import hashlib

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site

BUTTON = "Check the whole log in my browser"


def check(page: Page, good: bool) -> str:
    """Press the button; what it says in the end."""
    page.evaluate("document.querySelector('[data-check-log]').removeAttribute('data-checked')")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.locator(f"[data-check-log][data-checked={str(good).lower()}]")).to_be_visible()
    return page.locator("[data-check-log] [data-out]").inner_text()


def marks(page: Page) -> list[str]:
    """Which steps were good, which one was not."""
    steps = page.locator("[data-check-log] li")
    return [steps.nth(n).get_attribute("class") or "" for n in range(3)]


@pytest.mark.parametrize("size", [1, 47, 300, 512])
def test_every_entry_leads_to_what_log_and_witnesses_signed(site: Site, size: int) -> None:
    site.desk.log_entries = (site.desk.log_entries * 12)[:size]
    page = site.visit("/audit")
    said = check(page, True)
    assert f"{size} entries in one order, signed by the log and 2 witnesses" in said
    assert "remembers it" in said
    assert marks(page) == ["done", "done", "done"]
    assert site.complaints == []


def test_tomorrow_it_must_go_on_from_there_and_another_history_is_found(site: Site) -> None:
    page = site.visit("/audit")
    whole = list(site.desk.log_entries)
    check(page, True)
    site.desk.log_entries = (whole * 9)[:400]
    page.reload()
    assert "the first 47 are those this browser saw before" in check(page, True)
    site.desk.log_entries = (whole * 9)[:399]  # it went back
    page.reload()
    assert "another history before: 400 entries" in check(page, False)
    assert marks(page) == ["done", "done", "bad"]
    site.desk.log_entries = [whole[1], *(whole * 9)[1:401]]  # it grew, but is another
    page.reload()
    assert "another history before: 400 entries" in check(page, False)
    site.desk.log_entries = (whole * 9)[:401]
    page.reload()
    assert "the first 400 are those" in check(page, True)  # what was believed first stays


def test_a_changed_tile_or_signature_and_a_missing_witness_are_found(site: Site) -> None:
    page = site.visit("/audit")
    panel = "document.querySelector('[data-check-log]').dataset"
    page.evaluate(f"{panel}.quorum = '3'")
    assert "Only 2 witnesses signed; 3 are needed" in check(page, False)
    page.evaluate(f"{panel}.quorum = ''")
    check(page, False)
    page.evaluate(f"{panel}.quorum = '2'")
    honest = site.desk.log_file

    def tampered(path: str) -> bytes:
        raw = honest(path)
        return raw[:-1] + bytes([raw[-1] ^ 1]) if path.startswith("tile") else raw

    def resigned(path: str) -> bytes:
        raw = honest(path)
        return raw.replace(b"\n47\n", b"\n46\n") if path == "checkpoint" else raw

    site.desk.log_file = tampered  # type: ignore[method-assign]
    assert "do not lead to the fingerprint" in check(page, False)
    assert marks(page) == ["done", "bad", ""]
    site.desk.log_file = resigned  # type: ignore[method-assign]
    assert "signature of log.example/pueblo does not fit" in check(page, False)
    assert marks(page) == ["bad", "", ""]
    site.desk.log_file = honest  # type: ignore[method-assign]
    check(page, True)


def test_an_entrys_check_counts_witnesses_and_finds_a_bad_signature(site: Site) -> None:
    page = site.visit("/audit/12")
    page.get_by_role("button", name="Check this in my browser").click()
    expect(page.locator("[data-verified=true][data-signed=true]")).to_be_visible()
    assert "2 witnesses saw it there" in page.locator("[data-verify] [data-out]").inner_text()
    page.evaluate("document.querySelector('[data-verify]').dataset.quorum = '3'")
    page.get_by_role("button", name="Check this in my browser").click()
    expect(page.locator("[data-verified=false][data-signed=false]")).to_be_visible()


def test_a_witness_whose_key_no_browser_checks_makes_an_honest_log_no_lie(site: Site) -> None:
    raw = b"\x06" + bytes(1312)  # ML-DSA-44
    name = "witness.example/later"
    told = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex()
    vkey = f"{name}+{told}+{base64.b64encode(raw).decode()}"
    for address, button, panel in (
        ("/audit/12", "Check this in my browser", "[data-verify]"),
        ("/audit", BUTTON, "[data-check-log]"),
    ):
        page = site.visit(address)
        data = f"document.querySelector('{panel}').dataset"
        page.evaluate(f"{data}.witnesses += ' {vkey}'")
        page.get_by_role("button", name=button).click()
        expect(page.locator(f"{panel} li.done")).to_have_count(3)  # two others are enough
        page = site.visit(address)
        page.evaluate(f"{data}.witnesses += ' {vkey}'")
        page.evaluate(f"{data}.quorum = '3'")
        page.get_by_role("button", name=button).click()
        expect(page.locator(f"{panel} [data-out]")).to_contain_text("browser")
        expect(page.locator(f"{panel} [data-out]")).not_to_contain_text("report this")


def test_a_receipt_code_finds_its_entry(site: Site) -> None:
    page = site.visit("/audit/33")
    code = page.locator("text=Receipt code: >> span").inner_text()
    page = site.visit("/audit")
    page.get_by_label("Entry number or receipt code").fill(code)
    page.get_by_role("button", name="Find").click()
    expect(page.locator("h1")).to_have_text("Entry 33")
