"""A provider's notification counts when signed under the pinned certificate, or not at all."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mailer.bounce.sns import MAX_BYTES, check, read_message
from mailer.errors import NotificationRefused

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOPIC = "arn:aws:sns:us-east-1:000000000000:returns"
VERP = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.parks.example"
SHA = {"1": hashes.SHA1(), "2": hashes.SHA256()}


def certificate(key: rsa.RSAPrivateKey, begins: datetime = NOW - timedelta(days=1)) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.example")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 7).not_valid_before(begins)
    signed = built.not_valid_after(begins + timedelta(days=30)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
PEM = certificate(KEY)


def signed(
    *, version: str = "2", key: rsa.RSAPrivateKey = KEY, kind: str = "Notification", **more: Any
) -> dict[str, Any]:
    """A notification as SNS signs it."""
    said: dict[str, Any] = {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": "{}",
        "Timestamp": "2026-11-22T11:59:00.000Z",
        **more,
    }
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if kind != "Notification":
        said = {"SubscribeURL": "https://sns.example/?Token=t", "Token": "t", **said}
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    lines = [part for name in names if name in said for part in (name, said[name])]
    whole = ("\n".join(lines) + "\n").encode()
    signature = key.sign(whole, padding.PKCS1v15(), SHA[version])
    return {
        **said,
        "SignatureVersion": version,
        "Signature": base64.b64encode(signature).decode(),
        "SigningCertURL": "https://sns.example/SimpleNotificationService.pem",
    }


def heard(said: dict[str, Any], pem: bytes = PEM, now: datetime = NOW) -> Any:
    return check(json.dumps(said).encode(), pem, [TOPIC], now)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("more", [{}, {"Subject": "Amazon SES Email Event Notification"}])
def test_both_versions_of_the_signature_hold(version: str, more: dict[str, str]) -> None:
    found = heard(signed(version=version, Message='{"a":1}', **more))
    assert (found.kind, found.message, found.subscribe_url) == ("Notification", '{"a":1}', "")


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"Message": '{"eventType":"Bounce"}'}, "Signature"),
        ({"TopicArn": "arn:aws:sns:us-east-1:1:other"}, "Signature"),
        ({"Timestamp": "2026-11-22T11:58:00.000Z"}, "Signature"),
        ({"Subject": "added"}, "Signature"),
        ({"Signature": ""}, "Signature"),
        ({"Signature": "not base64!"}, "Signature"),
        ({"SignatureVersion": "3"}, "SignatureVersion"),
        ({"SignatureVersion": "1"}, "Signature"),
        ({"Type": "Notice"}, "Type"),
        ({"MessageId": None}, "MessageId"),
        ({"Message": {"a": 1}}, "Message"),
        ({"Message": "\ud800"}, "Signature"),
    ],
)
def test_what_was_changed_after_it_was_signed_is_refused(wrong: dict[str, Any], part: str) -> None:
    with pytest.raises(NotificationRefused) as refused:
        heard({**signed(), **wrong})
    assert refused.value.part == part


def test_another_key_another_topic_and_an_old_one_are_refused() -> None:
    for said in (
        signed(key=OTHER),
        signed(TopicArn="arn:aws:sns:us-east-1:111111111111:somebody-elses"),
        signed(Timestamp="2026-11-20T11:59:00.000Z"),
        signed(Timestamp="2026-11-23T11:59:00.000Z"),
        signed(Timestamp="2026-11-22T11:59:00.000"),
        signed(Timestamp="lately"),
    ):
        with pytest.raises(NotificationRefused):
            heard(said)


def test_a_certificate_that_a_notification_names_is_never_used() -> None:
    theirs = {**signed(key=OTHER), "SigningCertURL": "https://sns.us-east-1.amazonaws.com/x.pem"}
    with pytest.raises(NotificationRefused):
        heard(theirs)
    assert heard(theirs, certificate(OTHER)).kind == "Notification", "the control"


@pytest.mark.parametrize(
    ("pem", "now"),
    [
        (b"", NOW),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", NOW),
        (certificate(KEY, NOW - timedelta(days=40)), NOW),
        (certificate(KEY, NOW + timedelta(days=1)), NOW),
    ],
)
def test_a_pinned_file_that_is_no_certificate_of_today_lets_nothing_in(
    pem: bytes, now: datetime
) -> None:
    with pytest.raises(NotificationRefused):
        heard(signed(), pem, now)


def test_a_topic_that_asks_to_be_confirmed_says_where_and_nothing_opens_it() -> None:
    found = heard(signed(kind="SubscriptionConfirmation"))
    assert found.kind == "SubscriptionConfirmation"
    assert found.subscribe_url == "https://sns.example/?Token=t"
    assert "Token" not in repr(found)
    forged = {**signed(kind="SubscriptionConfirmation"), "SubscribeURL": "https://evil.example"}
    with pytest.raises(NotificationRefused):
        heard(forged)


@pytest.mark.parametrize(
    "octets", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff", b" " * (MAX_BYTES + 1)]
)
def test_what_is_no_notification_is_refused(octets: bytes) -> None:
    with pytest.raises(NotificationRefused):
        check(octets, PEM, [TOPIC], NOW)


def ses(kind: str, name: str = "notificationType", **more: Any) -> str:
    mail = {
        "source": VERP,
        "messageId": "0100017",
        "destination": ["ana@example.net"],
        "headers": [{"name": "Message-ID", "value": "<abc@mail.parks.example>"}],
    }
    return json.dumps({name: kind, "mail": mail, **more})


def bounce(kind: str, finer: str, *recipients: dict[str, str]) -> dict[str, Any]:
    return {"bounce": {"bounceType": kind, "bounceSubType": finer, "bouncedRecipients": recipients}}


GONE = {"emailAddress": "ana@example.net", "action": "failed", "status": "5.1.1"}
SAID = {"emailAddress": "ana@example.net", "diagnosticCode": "smtp; 550 5.7.1 blocked"}


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        (ses("Bounce", **bounce("Permanent", "General", GONE)), "hard", "5.1.1"),
        (ses("Bounce", "eventType", **bounce("Permanent", "General", GONE)), "hard", "5.1.1"),
        (ses("Bounce", **bounce("Permanent", "NoEmail", {})), "hard", None),
        (ses("Bounce", **bounce("Permanent", "OnAccountSuppressionList", {})), "hard", None),
        (ses("Bounce", **bounce("Permanent", "General", SAID)), "soft", "5.7.1"),
        (ses("Bounce", **bounce("Permanent", "General")), "soft", None),
        (ses("Bounce", **bounce("Transient", "MailboxFull", {})), "soft", "4.2.2"),
        (ses("Bounce", **bounce("Transient", "General", {"status": "4.4.7"})), "soft", "4.4.7"),
        (ses("Bounce", **bounce("Transient", "ContentRejected")), "soft", None),
        (ses("Bounce", **bounce("Undetermined", "Undetermined")), "unknown", None),
        (ses("Bounce", bounce="none"), "unknown", None),
        (ses("Complaint", complaint={"complaintFeedbackType": "abuse"}), "complaint", None),
        (ses("Complaint", complaint={}), "complaint", None),
        (ses("Complaint", complaint={"complaintFeedbackType": "not-spam"}), "nothing", None),
        (ses("Delivery", delivery={}), "nothing", None),
        (ses("Open", "eventType", open={}), "nothing", None),
        (ses("Click", "eventType", click={}), "nothing", None),
    ],
)
def test_what_ses_says_of_a_letter(message: str, kind: str, code: str | None) -> None:
    found = read_message(message)
    assert (found.kind, found.code) == (kind, code)
    assert (found.verp, found.message_id) == (VERP, "<abc@mail.parks.example>")
    assert "ana" not in repr(found)


@given(noise=st.text(max_size=200))
def test_no_text_makes_reading_fail(noise: str) -> None:
    assert read_message(noise).kind == "unknown"
    assert read_message(ses("Bounce", bounce=noise)).kind == "unknown"
