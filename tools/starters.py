"""Pictures of every starter letter, 600 and 375 pixels wide, light and dark, for docs/starters.

.venv/bin/python tools/starters.py [FOLDER]

The reader, the town and the places in them are made up. Needs Chromium on the path. English letters
are kept; with a folder named, the Spanish ones are written there too.
"""

import shutil
import struct
import sys
import zlib
from collections import Counter
from pathlib import Path

from playwright.sync_api import sync_playwright

from mailer import starting, versions
from mailer.compose import render
from mailer.fields import FIELDS
from mailer.polling import PlaceTable

KEPT = Path(__file__).parents[1] / "docs/starters"
FACTS = {
    "first_name": "Ana",
    "messenger_name": "Maria Trujillo",
    "place_name": "Bessemer",
    "partner_name": "Steel City Teachers",
    "relation": "a member",
    "race_name": "State House 44 election",
    "postal_address": "PO Box 100, Pueblo CO 81003",
    "paid_for_by": "Neighbors for Pueblo",
    "stop_url": "https://letters.example/u/made-up",
    "why_url": "https://letters.example/why/made-up",
}
SAID = {
    "en": {
        "author_role": "the race's local coordinator",
        "election_date": "November 3",
        "race_name": "State House 44 election",
    },
    "es": {
        "author_role": "la coordinación local de esta contienda",
        "election_date": "3 de noviembre",
        "race_name": "la elección del Distrito 44",
    },
}
PLACES = PlaceTable(
    {
        "*": {
            "polling_place": "Lincoln School, gym",
            "polling_address": "1200 East Evans Avenue",
            "polling_hours": "7 am to 7 pm",
            "polling_hours_es": "de 7 a 19 horas",
            "early_voting_place": "County Clerk, ground floor",
            "early_voting_hours": "Monday to Saturday, 8 am to 5 pm",
            "early_voting_hours_es": "lunes a sábado, de 8 a 17 horas",
            "early_voting_ends": "2026-10-31",
            "cure_deadline": "2026-11-11",
            "election_office": "County Clerk, 719 555 0100",
        }
    }
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def letter(name: str, language: str) -> str:
    """One starter as a made-up reader gets it."""
    made = versions.compile_versions(
        starting.starter(name, language),
        languages=(language,),
        allowed_fields=FIELDS,
        allowed_hosts={"example.org"},
    )[language]
    facts = {**FACTS, **SAID[language], **PLACES.facts("", language)}
    return render(made, facts).html


def smaller(png: bytes) -> bytes:
    """The same picture in a palette of at most 256 colours, a quarter of the bytes."""
    width, height, pixels = _pixels(png)
    near = bytes(
        min(255, value // 17 * 17 + 8 if 16 < value < 239 else value) for value in range(256)
    )
    drawn = pixels.translate(near)
    triples = [drawn[at : at + 3] for at in range(0, len(drawn), 3)]
    most = [colour for colour, _ in Counter(triples).most_common(256)]
    truest: dict[bytes, bytes] = {}
    for colour, _ in Counter(pixels[at : at + 3] for at in range(0, len(pixels), 3)).most_common():
        truest.setdefault(colour.translate(near), colour)
    index = {colour: number for number, colour in enumerate(most)}
    flat = bytes(index.get(colour, 0) for colour in triples)
    rows = b"".join(b"\0" + flat[at : at + width] for at in range(0, len(flat), width))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(truest[colour] for colour in most)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return png[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def _pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGB bytes of an 8-bit truecolour PNG (ISO/IEC 15948, 9.2)."""
    at, idat, width, height, step = 8, b"", 0, 0, 3
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + size]
        if name == b"IHDR":
            width, height, _, kind = struct.unpack(">IIBB", body[:10])
            step = 4 if kind == 6 else 3
        idat += body if name == b"IDAT" else b""
        at += size + 12
    raw, line, above, whole = zlib.decompress(idat), width * step, bytes(width * step), bytearray()
    for row in range(height):
        start = row * (line + 1)
        kind, now = raw[start], bytearray(raw[start + 1 : start + 1 + line])
        for x in range(line) if kind else ():
            left = now[x - step] if x >= step else 0
            corner = above[x - step] if x >= step else 0
            up, guess = above[x], left + above[x] - corner
            paeth = min((left, up, corner), key=lambda one: abs(guess - one))
            now[x] = (now[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        above = bytes(now)
        whole += above
    if step == 4:
        del whole[3::4]
    return width, height, bytes(whole)


def main(folder: Path, languages: tuple[str, ...]) -> None:
    """Write the pictures, named by letter, language, width and scheme."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=FLAGS
        )
        for language in languages:
            for name in starting.ORDER:
                whole = letter(name, language)
                for width in (600, 375):
                    for scheme in ("light", "dark"):
                        page = browser.new_page(
                            viewport={"width": width, "height": 400},
                            color_scheme="dark" if scheme == "dark" else "light",
                            java_script_enabled=False,
                        )
                        page.set_content(whole)
                        end = "" if language == "en" else f"-{language}"
                        file = folder / f"{name}{end}-{width}-{scheme}.png"
                        file.write_bytes(smaller(page.screenshot(full_page=True)))
                        page.close()
        browser.close()


if __name__ == "__main__":
    named = [Path(each) for each in sys.argv[1:]]
    main(named[0] if named else KEPT, ("en", "es") if named else ("en",))
