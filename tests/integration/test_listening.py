"""What reaches the listener, by LMTP behind a real Postfix, by SMTP, or by a provider's webhook."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP
from starlette.testclient import TestClient

from consortium.cli.hooks import Hook, application
from consortium.cli.listen import Spool
from tests.servers import free_port, running_postfix, wait_until
from tests.unit.mailer.test_sns import NOW, OTHER, PEM, TOPIC, signed

ROOT = Path(__file__).parents[2]
VERP = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.parks.example"
STOP = f"stop-{'A' * 22}@mail.parks.example"
OURS = (VERP, STOP, "reply@mail.parks.example", "fbl@mail.union.example")
STRANGE = (
    "news@mail.parks.example",
    "reply@elsewhere.example",
    "r-short-x@mail.parks.example",
    "postmaster@mail.parks.example",
    f"x{VERP}",
)
LETTER = b"Delivered-To: stop-BBBBBBBBBBBBBBBBBBBBBB@evil.example\r\nSubject: x\r\n\r\nhello\r\n"


@contextmanager
def listening(folder: Path, *, lmtp: bool) -> Iterator[int]:
    class Listener(Controller):
        def factory(self) -> SMTP:
            return (LMTP if lmtp else SMTP)(self.handler, decode_data=False)

    made = Listener(Spool(folder), hostname="127.0.0.1", port=free_port(), ready_timeout=60)
    made.start()
    try:
        yield made.port
    finally:
        made.stop()


def kept(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "new").glob("*.eml"))]


def heads(folder: Path) -> list[tuple[bytes, bytes]]:
    """The listener's own two lines of each file."""
    found = [
        re.match(rb"Return-Path: <(.*)>\r\nDelivered-To: (.*)\r\n", one) for one in kept(folder)
    ]
    return [(one[1], one[2]) for one in found if one is not None]


def test_it_takes_our_own_forms_alone_and_believes_only_the_envelope(tmp_path: Path) -> None:
    with listening(tmp_path, lmtp=False) as port, smtplib.SMTP("127.0.0.1", port) as client:
        for to in OURS:
            client.sendmail("ana@example.net", [to], LETTER)
        for to in STRANGE[2:]:
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("ana@example.net", [to], LETTER)
    assert heads(tmp_path) == [(b"ana@example.net", to.encode()) for to in OURS]
    for path in (tmp_path / "new").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_postfix_hands_over_by_the_lines_that_we_ship_and_refuses_the_rest(tmp_path: Path) -> None:
    with listening(tmp_path, lmtp=True) as port, running_postfix(**shipped(port)) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port) as client:
            for to in OURS:
                client.sendmail("", [to], LETTER)
            refused = client.sendmail("", [OURS[0], *STRANGE], LETTER)
        assert sorted(refused) == sorted(STRANGE)
        wait_until(lambda: len(kept(tmp_path)) >= 5, "the fifth", postfix.log)
    assert sorted(heads(tmp_path)) == sorted((b"", to.encode()) for to in (*OURS, OURS[0]))


def shipped(port: int) -> dict[str, str]:
    """The lines of deploy/postfix/main.cf, for this machine."""
    lines = (ROOT / "deploy" / "postfix" / "main.cf").read_text().splitlines()
    given = dict(line.split(" =", 1) for line in lines if line and not line.startswith("#"))
    made = {name: value.strip() for name, value in given.items()}
    recipients = ROOT / "deploy" / "postfix" / "trellis-recipients"
    made["relay_recipient_maps"] = f"regexp:{recipients}"
    made["relay_transport"] = made["relay_transport"].replace("2524", str(port))
    # Whoever hands in here is a stranger, not this machine.
    others = {
        "virtual_mailbox_domains": "",
        "virtual_mailbox_maps": "",
        "mynetworks": "192.0.2.0/24",
    }
    return {**made, **others}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def hook(tmp_path: Path, said: list[str]) -> TestClient:
    (tmp_path / "pinned.pem").write_bytes(PEM)
    made = Hook(tmp_path / "spool", tmp_path / "pinned.pem", [TOPIC], lambda: NOW, said.append)
    return TestClient(application(made))


def files(tmp_path: Path, name: str) -> list[str]:
    return [path.read_text() for path in sorted((tmp_path / "spool" / name).iterdir())]


def test_a_signed_notification_is_kept_once_and_no_other(
    tmp_path: Path, hook: TestClient, said: list[str]
) -> None:
    good = json.dumps(signed(Message='{"eventType":"Bounce"}'))
    for _ in range(3):
        assert hook.post("/hooks/sns", content=good).status_code == 200
    assert files(tmp_path, "new") == ['{"eventType":"Bounce"}']
    assert hook.post("/hooks/sns", content=json.dumps(signed(key=OTHER))).status_code == 403
    assert hook.post("/hooks/sns", content=good.replace("Bounce", "Click")).status_code == 403
    assert hook.post("/hooks/sns", content=b"x" * 300_000).status_code == 413
    assert hook.get("/hooks/sns").status_code == 405
    assert len(files(tmp_path, "new")) == 1
    assert not any("Click" in one for one in said)


def test_where_a_topic_is_confirmed_goes_to_the_operator_and_nobody_opens_it(
    tmp_path: Path, hook: TestClient, said: list[str]
) -> None:
    asked = json.dumps(signed(kind="SubscriptionConfirmation"))
    assert hook.post("/hooks/sns", content=asked).status_code == 200
    assert files(tmp_path, "to-confirm") == ["https://sns.example/?Token=t\n"]
    assert files(tmp_path, "new") == []
    assert "Token" not in "".join(said), "the address is a secret: it stands in no log"


def test_without_the_pinned_file_a_provider_is_asked_to_come_again(
    tmp_path: Path, hook: TestClient
) -> None:
    (tmp_path / "pinned.pem").unlink()
    assert hook.post("/hooks/sns", content=json.dumps(signed())).status_code == 503
    assert files(tmp_path, "new") == []
