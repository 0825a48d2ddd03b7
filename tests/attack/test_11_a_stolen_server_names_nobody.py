"""A thief who takes the server's whole folder, its logs and its answers finds no member in them.

One list is uploaded for real: sealed payloads, canaries in every field of every row. More canaries
come in wherever a careless client could put one. Then every byte that the server has is searched.
"""

import base64
import json
import logging
import re
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import inspect, text

from mailer.keys import generate
from mailer.seal import DEK_BYTES, Payload, new_wrapped_key, seal
from matching.bundle import BundleRow, write_rows
from tests.fakes.actors import made
from tests.fakes.server import RACE, ROWS, Server, Upload, body, some_voters

CANARY = "zzcanary"
ADDRESS = re.compile(rb"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z.]{2,}")
MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ first_name | friend }}</mj-text>"
    "</mj-column></mj-section></mj-body></mjml>"
)


def member(row: int) -> Payload:
    return Payload(f"{CANARY}{row}@members.example", f"Ann{CANARY}", "en")


def sealed_upload(server: Server) -> Upload:
    """A bundle whose rows hold canaries under both locks."""
    upload = server.upload("union")
    dek = secrets.token_bytes(DEK_BYTES)
    wrapped, commitment = new_wrapped_key(generate().public, b"header", dek)
    rows = []
    for row in range(ROWS):
        tag, lock = secrets.token_bytes(32), secrets.token_bytes(32)
        sealed = seal(
            member(row),
            dek=dek,
            shared=secrets.token_bytes(32),
            bundle=UUID(upload.id).bytes,
            tag=tag,
            lock=lock,
        )
        rows.append(BundleRow(row, tag, lock, secrets.token_bytes(64), sealed))
    path = server.folder.parent / f"{server.folder.name}-partner.parquet"
    write_rows(path, rows)
    upload.rows = path.read_bytes()
    server.put_parts(upload)
    upload.header["wrapped"] = base64.b64encode(wrapped).decode()
    upload.header["commitment"] = commitment.hex()
    return upload


def a_season(server: Server) -> list[str]:
    """All that usually happens, and all that a careless client may do; returns the answers."""
    said: list[str] = []

    def ask(who: str | None, method: str, path: str, **more: Any) -> None:
        said.append(server.call(who, method, path, **more).text)

    upload = sealed_upload(server)
    offer = upload.offer()
    someone = member(7).email
    for name in ("bundle", "recipes", "created", "partner", someone):
        ask(
            "union",
            "POST",
            f"/contributions/{upload.id}",
            json={**offer, "header": {**upload.header, name: someone}},
        )
    for name in ("entry", someone):
        ask("union", "POST", f"/contributions/{upload.id}", json={**offer, name: someone})
    openings = {**offer["openings"], someone: {"salt": "00", "value": someone}}
    ask("union", "POST", f"/contributions/{upload.id}", json={**offer, "openings": openings})
    ask("union", "POST", f"/contributions/{upload.id}", json=offer)
    for who in (None, "union", "cora"):
        for path in (f"/contributions/{someone}", f"/races/{someone}/agreement", f"/{someone}"):
            ask(who, "GET", path, params={"email": someone})
    said.append(server.client.get("/api/v1/contributions", headers={"Authorization": someone}).text)
    entry = made("union", "agreement", kind="sign", race=someone, digest=someone)
    ask(None, "POST", "/log/entries", json=body(entry))
    server.publish()
    roll = server.enrol(some_voters())
    server.link(upload, roll, {row: row for row in range(ROWS)})
    question = {"places": {"precinct": ["44-0"]}}
    for definition in (question, {**question, "age": [someone]}, {"places": {someone: ["x"]}}):
        ask("cora", "POST", f"/races/{RACE}/counts", json={"definition": definition})
    draft = {
        "definition": question,
        "template": {"subject": "Vote", "mjml": MJML},
        "messenger": {"name": "Ann Lee", "place": "Toledo"},
        "window": {"opens": "2026-11-22T12:00:00Z", "closes": "2026-11-25T12:00:00Z"},
    }
    server.lend("Ann Lee", "Toledo")
    ask("cora", "POST", f"/races/{RACE}/campaigns", json=draft)
    window = {"opens": someone, "closes": someone}
    ask("cora", "POST", f"/races/{RACE}/campaigns", json={**draft, "window": window})
    ask("cora", "POST", f"/races/{someone}/campaigns", json=draft)
    ask("union", "GET", f"/contributions/{upload.id}")
    ask("union", "GET", "/contributions")
    return said


@pytest.fixture
def furnished(any_server: Server, caplog: pytest.LogCaptureFixture) -> Server:
    caplog.set_level(logging.DEBUG)
    return any_server


def test_no_byte_of_the_server_holds_a_member(
    furnished: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a_season(furnished)
    searched = 0
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            searched += len(content)
            assert CANARY.encode() not in content, path.name
            assert CANARY.encode().hex().encode() not in content, path.name
            assert base64.b64encode(CANARY.encode())[:9] not in content, path.name
    assert searched > 80_000
    assert "-wal" in "".join(path.name for path in tmp_path.iterdir()) or not list(
        tmp_path.glob("trellis.sqlite")
    )


def test_no_column_of_the_database_holds_an_address(furnished: Server) -> None:
    a_season(furnished)
    seen = 0
    with furnished.units.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f'select * from "{table}"')):
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    assert not ADDRESS.search(raw), table
                    assert CANARY.encode() not in raw, table
                    seen += 1
    assert seen > 150


def test_no_log_line_holds_a_member(furnished: Server, caplog: pytest.LogCaptureFixture) -> None:
    a_season(furnished)
    ours = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpx2", "httpcore"))  # the client's, not ours
    ]
    assert not [line for line in ours if CANARY in line]


def test_no_answer_repeats_what_was_sent(furnished: Server) -> None:
    said = a_season(furnished)
    assert len(said) > 20
    assert not [one for one in said if CANARY in one]


def test_what_is_withdrawn_does_not_stay_behind_in_free_pages(
    server: Server, tmp_path: Path
) -> None:
    """The wrapped key is what opens every row of a bundle: after a withdrawal it is nowhere."""
    server.sign_agreement()
    upload = sealed_upload(server)
    wrapped = base64.b64decode(upload.header["wrapped"])
    sent = server.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
    assert sent.status_code == 202
    gone = body(made("union", "withdrawal", kind="bundle", bundle=upload.id))
    path = f"/contributions/{upload.id}/withdraw"
    assert server.call("union", "POST", path, json=gone).status_code == 202
    with server.units.engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert wrapped[:64] not in file.read_bytes(), file.name
    assert json.dumps(upload.header)  # the partner still has its own
