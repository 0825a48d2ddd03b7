"""What comes back is read by its form; only a clear report of a bad address suppresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.bounce import read

VERP = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.example.org"
COPY = f"Return-Path: <{VERP}>\r\nMessage-ID: <abc@mail.example.org>\r\nSubject: x\r\n"


def dsn(block: str, to: str = VERP, copy: str = COPY) -> bytes:
    return (
        f"To: <{to}>\r\nFrom: MAILER-DAEMON@mx.example\r\nAuto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.example\r\n\r\n{block}\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\n{copy}\r\nbody\r\n--b--\r\n"
    ).encode()


def block(action: str, status: str, said: str = "") -> str:
    return (
        f"Final-Recipient: rfc822; hidden@example.net\r\nAction: {action}\r\n"
        f"Status: {status}\r\nDiagnostic-Code: smtp; {said}"
    )


@pytest.mark.parametrize(
    ("action", "status", "said", "kind", "code"),
    [
        ("failed", "5.1.1", "550 5.1.1 no such user", "hard", "5.1.1"),
        ("Failed", "5.1.10 (null mx)", "", "hard", "5.1.10"),
        ("failed", "5.0.0", "550 5.1.1 unknown", "hard", "5.1.1"),
        ("failed", "5.0.0", "550 go away", "soft", "5.0.0"),
        ("failed", "5.2.2", "552 5.2.2 over quota", "soft", "5.2.2"),
        ("failed", "5.7.1", "550 5.7.1 policy", "soft", "5.7.1"),
        ("failed", "5.4.7", "", "soft", "5.4.7"),
        ("delayed", "4.4.1", "", "soft", "4.4.1"),
        ("delayed", "5.1.1", "", "soft", "5.1.1"),
        ("delivered", "2.0.0", "", "unknown", None),
        ("relayed", "2.0.0", "", "unknown", None),
        ("failed", "", "", "soft", None),
        ("", "5.1.1", "", "unknown", None),
    ],
)
def test_delivery_reports(action: str, status: str, said: str, kind: str, code: str | None) -> None:
    came = read(dsn(block(action, status, said)))
    assert (came.kind, came.code) == (kind, code)
    assert came.verp == VERP
    assert came.message_id == "<abc@mail.example.org>"


def test_of_several_recipients_the_worst_counts() -> None:
    came = read(dsn(block("delayed", "4.4.1") + "\r\n\r\n" + block("failed", "5.1.1")))
    assert (came.kind, came.code) == ("hard", "5.1.1")


def test_a_report_to_another_mailbox_is_found_by_the_copy_of_our_letter() -> None:
    assert read(dsn(block("failed", "5.1.1"), to="postmaster@example.org")).verp == VERP
    nobodys = read(dsn(block("failed", "5.1.1"), to="x@example.org", copy="Subject: x\r\n"))
    assert nobodys.verp is None


def arf(kind: str, mail_from: str = f"<{VERP}>") -> bytes:
    return (
        "From: fbl@provider.example\r\nTo: fbl@example.org\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nA complaint.\r\n"
        "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: {kind}\r\nUser-Agent: X/1\r\nVersion: 1\r\n"
        f"Original-Mail-From: {mail_from}\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\n{COPY}\r\nbody\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize("kind", ["abuse", "Abuse", "fraud", "other"])
@pytest.mark.parametrize("mail_from", [f"<{VERP}>", "<>", "redacted"])
def test_a_complaint_is_found_by_its_return_path(kind: str, mail_from: str) -> None:
    came = read(arf(kind, mail_from))
    assert (came.kind, came.verp) == ("complaint", VERP)


def test_not_spam_is_no_complaint() -> None:
    assert read(arf("not-spam")).kind == "unknown"


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; x=y",
        "Precedence: bulk",
        "Precedence: auto_reply",
        "X-Autoreply: yes",
        "X-Autorespond: away",
        "X-Auto-Response-Suppress: All",
        "Return-Path: <>",
    ],
)
def test_machines_that_answer_are_heard_as_machines(header: str) -> None:
    came = read(f"To: {VERP}\r\n{header}\r\nSubject: Away\r\n\r\nback Monday\r\n".encode())
    assert (came.kind, came.verp) == ("auto_reply", VERP)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0\xff",
        b"From: ana@example.net\r\nSubject: hello\r\n\r\nthank you",
        b"Subject: Undelivered Mail\r\n\r\nuser unknown 550 5.1.1",
        b"Auto-Submitted: no\r\n\r\nx",
        b"Content-Type: multipart/report; report-type=delivery-status\r\n\r\nno parts",
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b--",
    ],
)
def test_what_is_unclear_is_unknown(octets: bytes) -> None:
    assert read(octets).kind == "unknown"


def test_a_return_shows_no_return_path() -> None:
    assert VERP not in repr(read(dsn(block("failed", "5.1.1"))))


@given(noise=st.binary(max_size=300), at=st.integers(0, 600))
def test_no_bytes_make_reading_fail(noise: bytes, at: int) -> None:
    whole = dsn(block("failed", "5.1.1"))
    came = read(whole[:at] + noise + whole[at:])
    assert came.kind in ("hard", "soft", "complaint", "auto_reply", "unknown")
    assert read(noise).kind in ("auto_reply", "unknown")
