"""What comes back changes who is written to: stops, bounces, complaints, by click and by mail.

A whole installation, every actor its own process; returns arrive over real SMTP, stops over TLS.
"""

from __future__ import annotations

import hashlib
import os
import smtplib
import ssl
import subprocess
import sys

import httpx
import pytest

from consortium.cli import outcome
from tests.fakes.rehearsal import Rehearsal, rehearsal

__all__ = ["rehearsal"]

DSN = (
    "MIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nIt did not arrive.\r\n"
    "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    "Reporting-MTA: dns; mailbox.example\r\n\r\n"
    "Final-Recipient: rfc822; somebody@mailbox.example\r\n"
    "Action: failed\r\nStatus: {status}\r\n\r\n--b--\r\n"
)
ARF = (
    "MIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nA reader calls this spam.\r\n"
    "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
    "Feedback-Type: abuse\r\nUser-Agent: Mailbox/1\r\nVersion: 1\r\n"
    "Original-Mail-From: <{verp}>\r\n\r\n--b--\r\n"
)
AUTO_REPLY = "Auto-Submitted: auto-replied\r\nSubject: away\r\n\r\nI am away.\r\n"
RING = (
    "from consortium.jobs.celery import app; "
    "[app.send_task(name, queue='mailing') for name in ('mail', 'mail', 'returns', 'mail')]"
)
UNKNOWN = "Subject: who are you\r\n\r\nPlease do not write to me.\r\n"


def post_back(here: Rehearsal, to: str, text: str) -> None:
    """Send something to the returns listener, as a mailbox host would."""
    host, _, port = here.demo.at("returns").rpartition(":")
    head = f"From: mailer-daemon@mailbox.example\r\nTo: {to}\r\n"
    with smtplib.SMTP(host, int(port)) as line:
        line.sendmail("", [to], (head + text).encode())


def suppressions(here: Rehearsal) -> list[tuple[object, ...]]:
    return here.rows("SELECT scope, reason, stop_key, delivery FROM suppressions ORDER BY seq")


def taken_in(here: Rehearsal) -> None:
    """Wait until the mailer has read everything that came back."""
    spool = here.demo.mailer / "returns" / "new"
    here.until(lambda: not any(spool.glob("*")), "the returns to be read")


def forged(verp: str) -> str:
    """The same letter's return path under another key."""
    head, _, domain = verp.partition("@")
    body, _, mac = head.rpartition("-")
    swapped = ("b" if mac[0] == "a" else "a") + mac[1:]
    return f"{body}-{swapped}@{domain}"


def second_campaign(here: Rehearsal) -> None:
    """Draft, approve, attest and send the same again, by the actors' own tools."""
    here.demo.facts.pop("campaign")
    for stage in (here.demo.write, here.demo.approve, here.demo.attest, here.demo.send):
        stage()


@pytest.fixture
def sent(rehearsal: Rehearsal) -> Rehearsal:
    """A whole installation, everybody up, whose first campaign has gone out."""
    rehearsal.again(letters_per_second=300)
    rehearsal.demo.start()
    rehearsal.demo.send()
    return rehearsal


def test_what_comes_back_is_heard_and_the_next_campaign_keeps_to_it(sent: Rehearsal) -> None:
    here, first = sent, sent.letters()
    assert len(first) > 60
    assert len({one.to for one in first}) == len(first)
    assert suppressions(here) == []

    # By one click: over TLS, without cookie; a GET changes nothing; twice is once.
    real = outcome.truth(here.demo.world)
    partner = {one.domain: one.slug for one in here.demo.world.partners}
    addresses: dict[str, set[str]] = {}
    for (_, address), voters in real.voters.items():
        for voter in voters - {""}:
            addresses.setdefault(voter, set()).add(address)

    def of(one: outcome.Letter) -> set[str]:
        return real.voters.get((partner[one.sender_domain], one.to), set()) - {""}

    clicked = next(one for one in first if any(len(addresses[voter]) > 1 for voter in of(one)))
    context = ssl.create_default_context(cafile=str(here.demo.server / "tls.pem"))
    with httpx.Client(verify=context, trust_env=False, timeout=120) as client:
        client.get(clicked.stop_url)
        assert suppressions(here) == []
        for _ in range(2):
            answer = client.post(clicked.stop_url, data={"List-Unsubscribe": "One-Click"})
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers
    assert [row[:2] for row in suppressions(here)] == [("race", "stop")]

    # By mail: a letter to stop-<token>@, a bounce, a complaint; and what changes nothing.
    rest = [one for one in first if one is not clicked and not of(one) & of(clicked)]
    mailed, bounced, complained, full, away, odd, spared = rest[:7]
    post_back(here, forged(spared.return_path), DSN.format(status="5.1.1"))
    post_back(here, forged(spared.return_path), ARF.format(verp=forged(spared.return_path)))
    post_back(here, f"stop-{'A' * 22}@{spared.sender_domain}", UNKNOWN)
    post_back(here, away.return_path, AUTO_REPLY)
    post_back(here, odd.return_path, UNKNOWN)
    taken_in(here)
    assert len(suppressions(here)) == 1
    # What nobody understands about a letter of ours waits for a person; forged, it is gone.
    kept = [path.read_bytes() for path in (here.demo.mailer / "returns" / "unread").iterdir()]
    first_lines = {tuple(one.split(b"\r\n")[:2]) for one in kept}
    assert first_lines == {  # a daemon that says it is away is not understood, either
        (b"Return-Path: <>", f"Delivered-To: {one.return_path}".encode()) for one in (odd, away)
    }

    post_back(here, full.return_path, DSN.format(status="4.2.2"))
    token = mailed.stop_url.rpartition("/")[2]
    post_back(here, f"stop-{token}@{mailed.sender_domain}", "Subject: stop\r\n\r\n")
    for _ in range(2):  # a replayed bounce is one bounce
        post_back(here, bounced.return_path, DSN.format(status="5.1.1"))
    post_back(here, complained.return_path, ARF.format(verp=complained.return_path))
    taken_in(here)
    assert sorted(str(row[1]) for row in suppressions(here)) == [
        "complaint", "hard", "soft", "stop", "stop",
    ]  # fmt: skip
    assert all(row[2] for row in suppressions(here)), "each is kept by stop key"
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        post_back(here, "somebody@else.example", UNKNOWN)

    # The second campaign: none of the stopped, on any list and at any of their addresses.
    before = set(here.verps())
    second_campaign(here)
    second = {one.to for one in here.letters() if _hash(one.return_path) not in before}
    first_to = {one.to for one in first}
    silenced = {mailed.to, complained.to, bounced.to}
    for one in (clicked, mailed, complained):
        for voter in of(one):
            silenced |= addresses[voter]
    assert clicked.to in silenced
    assert not second & silenced
    # Everybody else is written to again; soft, automatic, odd and forged returns silenced nobody.
    assert {full.to, away.to, odd.to, spared.to} - silenced <= second
    assert first_to - silenced <= second
    # A dead address falls through to another list's copy, and reaches nobody new besides.
    other_copies = set().union(*(addresses[voter] for voter in of(bounced)), set())
    assert second - first_to <= other_copies


def _hash(verp: str) -> str:
    return hashlib.sha256(verp.encode()).hexdigest()


def test_rings_that_are_lost_or_doubled_change_nothing(rehearsal: Rehearsal) -> None:
    here = rehearsal
    here.again(letters_per_second=60)
    here.start()
    here.start_mailer()
    box = here.demo.server / "broker" / "box"
    here.until(lambda: bool(here.letters()), "the first letter")
    lost = 0

    def lose() -> bool:
        nonlocal lost
        for path in box.glob("*"):
            path.unlink(missing_ok=True)
            lost += 1
        return lost > 0 or here.state() == "closed"

    here.until(lose, "a ring to lose")
    environment = {**os.environ, "TRELLIS_HOME": str(here.demo.server), "C_FORCE_ROOT": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", RING], env=environment, check=True)
    here.until(lambda: here.state() == "closed", "the campaign to close")
    taken = here.verps()
    assert len(taken) == len(set(taken))
    assert {state for state, _ in here.outbox().values()} <= {"sent", "dropped"}
    assert {verp for verp, (state, _) in here.outbox().items() if state == "sent"} == set(taken)
