"""The assembled application over a real database: an empty installation, sessions, browser keys."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from consortium.clock import Standing
from consortium.service import sign_in
from consortium.store import actors
from consortium.store.errors import Missing
from consortium.store.schema import migrate
from consortium.store.unit import Units, engine
from consortium.web.app import create_app
from consortium.web.pages.signing import assembled, unsigned
from consortium.web.security import POLICY
from consortium.web.tokens import AUDIENCE, TYPE
from provenance.backend import FolderBackend
from provenance.canonical import canonical, openings_from_json
from provenance.entry import BROWSER_KEY, ENTRY_LABEL, opened

NOW = datetime(2026, 10, 20, 16, 30, tzinfo=UTC)


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Units]:
    database = engine(f"sqlite:///{tmp_path / 'web.db'}")
    migrate(database)
    yield Units(database, Standing(NOW))
    database.dispose()


@pytest.fixture
def own() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def browser(tmp_path: Path, units: Units, own: Ed25519PrivateKey) -> TestClient:
    public = own.public_key().public_bytes_raw().hex()

    def found(unit: object) -> None:
        actors.add(unit, actors.Actor("teachers", "partner", "Teachers", public))  # type: ignore[arg-type]
        other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        actors.add(unit, actors.Actor("growers", "partner", "Growers", other))  # type: ignore[arg-type]

    units.run("found", found)
    process = SimpleNamespace(
        units=units,
        clock=units.clock,
        artefacts=None,
        log_files=FolderBackend(tmp_path / "log"),
        settings=SimpleNamespace(
            log_dir=tmp_path / "log", log_store="", public_url="http://localhost"
        ),
    )
    return TestClient(create_app(process), follow_redirects=False)


def enter(browser: TestClient, units: Units, who: str) -> str:
    """Sign in with a real one-time link; the token that the pages' forms carry."""
    token = units.run("link", lambda unit: sign_in.make_link(unit, who, NOW))
    assert browser.get(f"/sign-in/{token}").status_code == 200
    assert browser.post(f"/sign-in/{token}").status_code == 303
    assert browser.post(f"/sign-in/{token}").status_code == 410
    cookie = browser.cookies["trellis"]
    return units.run("who", lambda unit: sign_in.who(unit, cookie, NOW)).csrf


def bearer(own: Ed25519PrivateKey) -> dict[str, str]:
    issued = int(NOW.timestamp())
    claims = {
        "iss": "teachers",
        "sub": "teachers",
        "aud": AUDIENCE,
        "iat": issued,
        "exp": issued + 60,
        "jti": secrets.token_hex(16),
    }
    token = jwt.encode(claims, own, algorithm="EdDSA", headers={"typ": TYPE, "kid": "teachers"})
    return {"authorization": f"Bearer {token}"}


def test_an_empty_installation_has_a_front_page_with_styles(browser: TestClient) -> None:
    answer = browser.get("/")
    assert answer.status_code == 200
    assert "No race has been set up here yet" in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert browser.get("/static/app.css").status_code == 200
    assert browser.get("/static/../security.py").status_code == 404


def test_a_browser_key_counts_only_after_its_own_partner_s_tool_vouched(
    browser: TestClient, units: Units, own: Ed25519PrivateKey
) -> None:
    csrf = enter(browser, units, "teachers")
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes_raw()
    body = {"public": raw.hex()}
    assert browser.post("/api/v1/browser-keys/start", json=body).status_code == 403
    started = browser.post("/api/v1/browser-keys/start", json=body, headers={"x-csrf-token": csrf})
    code = started.json()["code"]

    def whose(unit: object) -> str:
        return actors.by_public(unit, raw.hex()).id  # type: ignore[arg-type]

    with pytest.raises(Missing):
        units.run("whose", whose)
    assert browser.get(f"/api/v1/browser-keys/{code}", headers=bearer(own)).json() == body
    wrong = {**body, "code": code, "signature": key.sign(BROWSER_KEY + raw).hex()}
    assert browser.post("/api/v1/browser-keys", json=wrong, headers=bearer(own)).status_code == 422
    with pytest.raises(Missing):
        units.run("whose", whose)
    right = {**body, "code": code, "signature": own.sign(BROWSER_KEY + raw).hex()}
    assert browser.post("/api/v1/browser-keys", json=right, headers=bearer(own)).status_code == 201
    assert units.run("whose", whose) == "teachers"


def test_one_partner_cannot_vouch_for_what_waits_for_another(
    browser: TestClient, units: Units, own: Ed25519PrivateKey
) -> None:
    csrf = enter(browser, units, "growers")
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    started = browser.post(
        "/api/v1/browser-keys/start",
        json={"public": public.hex()},
        headers={"x-csrf-token": csrf},
    )
    said = {
        "code": started.json()["code"],
        "public": public.hex(),
        "signature": own.sign(BROWSER_KEY + public).hex(),
    }
    assert browser.post("/api/v1/browser-keys", json=said, headers=bearer(own)).status_code == 404


def test_a_drafted_approval_signed_elsewhere_is_a_whole_entry() -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    facts = {"kind": "approve", "campaign": "c", "digest": "ab" * 32}
    body, openings = unsigned("approval", NOW, public.hex(), facts)
    entry = assembled(body, key.sign(ENTRY_LABEL + canonical(body)).hex())
    said = opened(entry, openings_from_json(openings))
    assert (said.kind, said.actor, said.facts) == ("approval", public, facts)


def test_an_unknown_stop_link_is_the_neutral_page(browser: TestClient) -> None:
    for path in ("/u/nobody", "/why/nobody"):
        assert browser.get(path).status_code == 404
    once = browser.post("/u/nobody", data={"List-Unsubscribe": "One-Click"})
    assert once.status_code == 404
