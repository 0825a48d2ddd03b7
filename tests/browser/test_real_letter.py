"""A real letter's links, the public log and the front page, as strangers meet them."""

from __future__ import annotations

import csv
import json
import re
import ssl
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from consortium.cli.home import Home
from consortium.cli.lists import own_lists
from provenance.row_receipt import RowReceipt
from tests.browser.installation import PATIENCE, Installation


def links(installation: Installation, number: int) -> tuple[str, str]:
    """The stop link and the why link of one letter that was really sent."""
    letter = installation.letters()[number]
    stop = str(letter["List-Unsubscribe"]).partition("<")[2].partition(">")[0]
    body = letter.get_body(("html",))
    assert body is not None
    why = re.search(r'href="([^"]+/why/[^"]+)"', body.get_content())
    assert why is not None
    return stop, why[1]


def test_a_recipient_reads_why_and_stops_over_tls_without_script(
    installation: Installation, chromium: Browser
) -> None:
    context = chromium.new_context(java_script_enabled=False, ignore_https_errors=True)
    page = context.new_page()
    stop, why = links(installation, 3)
    assert stop.startswith("https://")
    page.goto(why)
    # The agreement's own caps, and who could open the address, by name
    expect(page.locator("[data-caps]")).to_contain_text("at most 1 letter a week")
    expect(page.locator("main")).to_contain_text("2 of these 3: Custodian 1, Custodian 2")
    page.get_by_role("link", name="Español").click()
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.locator("[data-caps]")).to_contain_text("como máximo 1 carta por semana")
    page.goto(stop)
    page.get_by_text("Other ways to stop").click()
    page.get_by_role("button", name="Stop all emails sent through Trellis").click()
    expect(page.locator("h1")).to_have_text("Stopped")
    page.goto(why)
    expect(page.locator("main")).to_contain_text("Already stopped")
    answer = page.goto(stop.rpartition("/")[0] + "/not-a-link")
    assert answer is not None
    assert answer.status == 404
    expect(page.locator("h1")).to_have_text("This link does not work")
    assert context.cookies() == []
    context.close()


def test_one_click_stops_by_one_post_without_cookie_or_redirect(
    installation: Installation, chromium: Browser
) -> None:
    stop, why = links(installation, 5)
    trusted = ssl.create_default_context(cafile=str(installation.folder / "server" / "tls.pem"))
    with httpx.Client(verify=trusted, trust_env=False, timeout=120) as plain:
        for _ in range(2):  # the second time changes nothing
            answer = plain.post(stop, data={"List-Unsubscribe": "One-Click"})
            assert (answer.status_code, answer.text) == (200, "Stopped.\n")
            assert "set-cookie" not in answer.headers
        assert "Already stopped" in plain.get(why).text
        gone = plain.post(
            stop.rpartition("/")[0] + "/nobody", data={"List-Unsubscribe": "One-Click"}
        )
        assert gone.status_code == 404


def test_a_letters_receipt_and_its_partners_trace_prove_one_way(
    installation: Installation, chromium: Browser, tmp_path: Path
) -> None:
    _, why = links(installation, 1)
    trusted = ssl.create_default_context(cafile=str(installation.folder / "server" / "tls.pem"))
    with httpx.Client(verify=trusted, trust_env=False, timeout=120) as plain:
        page = plain.get(why).text
        address = re.search(r'href="(/why/[^"]+/receipt)"', page)
        assert address is not None
        raw = plain.get(why[: why.index("/why/")] + address[1]).content
    assert len(raw) < 8_000
    file = tmp_path / "letter.receipt"
    file.write_bytes(raw)
    invite = installation.partner(installation.partners()[0]) / "invite.json"
    told = json.loads(installation.cli("audit", "receipt", file, "--invite", invite, "--json"))
    # Each step that the page names is an entry of the receipt, and no other list is named.
    shown = re.findall(r'href="/audit/(\d+)"', page)
    assert [str(one["index"]) for one in told["entries"]] == shown
    sender = told["partner"]
    others = {*installation.partners()} - {sender}
    assert not [other for other in others if other in RowReceipt.from_bytes(raw).to_json().decode()]
    # The list's own partner finds the same row, opens it, and proves the same intent.
    home = installation.partner(sender)
    with (home / "audiences" / f"{told['campaign']}.csv").open() as table:
        mine = list(csv.DictReader(table))
    locks = {}
    for own in own_lists(Home(home)):
        locks |= {one.lock: (own.id, one.row) for one in own.each_row(Home(home))}
    list_id, number = locks[RowReceipt.from_bytes(raw).lock or b""]
    assert {"list": list_id, "row": str(number)} in mine
    ref = f"{list_id[:8]}:{number}"
    said = installation.cli("partner", "trace", "--home", home, ref, "--out", tmp_path)
    assert "and this row is in its audience" in said
    kept = tmp_path / f"row-{number}.{told['campaign']}.receipt"
    assert len(kept.read_bytes()) < 8_000
    found = json.loads(installation.cli("audit", "receipt", kept, "--invite", invite, "--json"))
    assert (found["row"], found["list"], told["row"]) == (True, told["list"], False)
    assert RowReceipt.from_bytes(kept.read_bytes()).lock == RowReceipt.from_bytes(raw).lock
    assert found["entries"][-1]["index"] == told["entries"][-1]["index"]


def test_a_letter_reads_well_on_a_phone_in_light_and_dark(
    installation: Installation, chromium: Browser
) -> None:
    body = installation.letters()[0].get_body(("html",))
    assert body is not None
    seen = set()
    asked: list[str] = []
    for scheme in ("light", "dark"):
        context = chromium.new_context(
            viewport={"width": 390, "height": 844}, color_scheme=scheme, java_script_enabled=True
        )
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.set_content(body.get_content())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        seen.add(page.evaluate("getComputedStyle(document.querySelector('p')).color"))
        context.close()
    assert asked == []  # no picture, no tracker: opening a letter tells nobody
    assert len(seen) == 2


def test_anybody_checks_the_log_in_the_browser(
    installation: Installation, chromium: Browser
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(installation.base + "/audit")
    # A witness that was slow to answer once signs with the next refresh.
    end = time.monotonic() + PATIENCE
    while page.locator(".wit .tag").inner_text() != "3 of 3":
        assert time.monotonic() < end, page.locator("main").inner_text()
        page.wait_for_timeout(1000)
        page.reload()
    page.locator("td.mono a").nth(2).click()
    page.get_by_role("button", name="Check this in my browser").click()
    expect(page.locator("[data-verify]")).to_have_attribute("data-verified", "true")
    expect(page.locator("[data-verify]")).to_have_attribute("data-signed", "true")
    page.goto(installation.base + "/audit")
    page.get_by_role("button", name="Check the whole log in my browser").click()
    expect(page.locator("[data-check-log]")).to_have_attribute("data-checked", "true")
    page.goto(installation.base + "/audit?number=999999")
    expect(page.locator("h1")).to_have_text("Everything recorded, in order")
    context.close()


def test_the_front_page_names_who_could_break_it(
    installation: Installation, chromium: Browser
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(installation.base + "/")
    said = page.locator("[data-break]")
    expect(said).to_contain_text(
        "mail machine together with 2 of these 3: Custodian 1, Custodian 2, Custodian 3"
    )
    expect(said).to_contain_text("1 of these 3 witnesses: witness-1, witness-2, witness-3")
    context.close()
