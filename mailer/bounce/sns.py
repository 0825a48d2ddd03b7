"""Bounces and complaints as Amazon SES tells them through SNS: signed, or not heard at all.

The signature is checked against a certificate that the operator put into a file. Nothing that a
notification names is ever fetched: not its certificate, not the address by which a topic is
confirmed. That one is handed to the operator.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from mailer.bounce.dsn import DEAD, STATUS_CODE
from mailer.bounce.returned import Return, quoted_verp
from mailer.errors import NotificationRefused

MAX_BYTES = 256 * 1024
OLDEST = timedelta(days=1)
"""A notification that was signed longer ago is refused; SNS tries for an hour at most."""
SKEW = timedelta(minutes=15)

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]
# SignatureVersion 1 is SHA-1, which AWS still sends unless the topic asks for 2.
_HASHES = {"1": SHA1, "2": SHA256}
_FULL = ("MailboxFull",)
_GONE = ("NoEmail", "Suppressed", "OnAccountSuppressionList")


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification whose signature held.

    Args:
        kind: what it is; only a ``Notification`` says something of a letter.
        ident: its MessageId: the same when it comes again.
        message: its text, JSON of SES's.
        subscribe_url: where a topic is confirmed, by a person who opens it.
    """

    kind: str
    ident: str
    topic: str
    message: str = field(repr=False)
    subscribe_url: str = field(default="", repr=False)


def check(
    octets: bytes, certificate: bytes, topics: Collection[str], now: datetime
) -> Notification:
    """Check that a notification was signed for one of our topics, lately.

    Args:
        octets: the body of the POST.
        certificate: PEM, from the operator's own file.
        topics: ARNs; of every other topic nothing is heard, however well it is signed.
        now: UTC.

    Raises:
        NotificationRefused: says which part is wrong, and nothing of what it held.

    Source:
        Amazon SNS, "Verifying the signatures of Amazon SNS messages".
    """
    said = _object(octets)
    kind = str(said.get("Type", ""))
    if kind not in _SIGNED:
        raise NotificationRefused("Type", "is none that SNS signs")
    _verify(said, kind, certificate, now)
    if said.get("TopicArn") not in topics:
        raise NotificationRefused("TopicArn", "is no topic of ours")
    signed_at = _moment(str(said.get("Timestamp", "")))
    if not now - OLDEST <= signed_at <= now + SKEW:
        raise NotificationRefused("Timestamp", "is too old, or to come")
    return Notification(
        kind,
        str(said["MessageId"]),
        str(said["TopicArn"]),
        str(said["Message"]),
        str(said.get("SubscribeURL", "")) if kind == "SubscriptionConfirmation" else "",
    )


def read_message(message: str) -> Return:
    """Read what SES says of one letter.

    Handed-over, opened and clicked letters are told here too, where somebody set that up: they ask
    ``nothing`` of anybody, as does whatever else is no bounce and no complaint.
    """
    try:
        said = _object(message.encode())
        mail = said.get("mail")
        kind = str(said.get("eventType") or said.get("notificationType") or "")
        about = mail if isinstance(mail, dict) else {}
        verp, ident = quoted_verp(str(about.get("source", ""))), _message_id(about)
        if kind == "Complaint":
            return Return(_complaint(said.get("complaint")), verp, None, ident)
        if kind == "Bounce":
            judged, code = _bounce(said.get("bounce"))
            return Return(judged, verp, code, ident)
        return Return("nothing", verp, None, ident)
    except NotificationRefused:
        return Return("unknown", None)


def _verify(said: Mapping[str, Any], kind: str, certificate: bytes, now: datetime) -> None:
    lines = []
    for name in _SIGNED[kind]:
        value = said.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise NotificationRefused(name, "is missing, or no text")
        lines += [name, value]
    chosen = _HASHES.get(str(said.get("SignatureVersion", "")))
    if chosen is None:
        raise NotificationRefused("SignatureVersion", "is neither 1 nor 2")
    try:
        signature = base64.b64decode(str(said.get("Signature", "")), validate=True)
        signed = ("\n".join(lines) + "\n").encode()
        _key(certificate, now).verify(signature, signed, padding.PKCS1v15(), chosen())
    except (InvalidSignature, binascii.Error, ValueError, UnicodeError):
        raise NotificationRefused(
            "Signature", "does not hold under the pinned certificate"
        ) from None


def _key(certificate: bytes, now: datetime) -> rsa.RSAPublicKey:
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise NotificationRefused("certificate", "the pinned file is no certificate") from None
    key = found.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise NotificationRefused("certificate", "has no RSA key of 2,048 bits")
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise NotificationRefused(
            "certificate", "the pinned one is over, or not yet valid: put the newer one in its file"
        )
    return key


def _object(octets: bytes) -> dict[str, Any]:
    if len(octets) > MAX_BYTES:
        raise NotificationRefused("body", f"has more than {MAX_BYTES} bytes")
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        raise NotificationRefused("body", "is no JSON") from None
    if not isinstance(found, dict):
        raise NotificationRefused("body", "is no object")
    return found


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise NotificationRefused("Timestamp", "is no moment") from None
    if found.tzinfo is None:
        raise NotificationRefused("Timestamp", "has no zone")
    return found


def _complaint(complaint: object) -> Literal["complaint", "nothing"]:
    kind = complaint.get("complaintFeedbackType") if isinstance(complaint, dict) else None
    return "nothing" if kind == "not-spam" else "complaint"


def _bounce(bounce: object) -> tuple[Literal["hard", "soft", "unknown"], str | None]:
    if not isinstance(bounce, dict):
        return "unknown", None
    kind, finer = str(bounce.get("bounceType", "")), str(bounce.get("bounceSubType", ""))
    code = _code(bounce.get("bouncedRecipients"))
    if kind == "Permanent":
        gone = finer in _GONE if code is None else code in DEAD
        return ("hard" if gone else "soft"), code
    if kind == "Transient":
        return "soft", code or ("4.2.2" if finer in _FULL else None)
    return "unknown", code


def _code(recipients: object) -> str | None:
    first = recipients[0] if isinstance(recipients, list) and len(recipients) == 1 else {}
    if not isinstance(first, dict):
        return None
    for name in ("status", "diagnosticCode"):
        found = STATUS_CODE.search(str(first.get(name, "")))
        if found and not found[1].endswith(".0.0"):
            return found[1]
    return None


def _message_id(mail: Mapping[str, Any]) -> str | None:
    """The letter's own: SES gives it another, and keeps ours among the headers."""
    headers = mail.get("headers")
    for one in headers if isinstance(headers, list) else ():
        if isinstance(one, dict) and str(one.get("name", "")).lower() == "message-id":
            return str(one.get("value", ""))[:500]
    common = mail.get("commonHeaders")
    found = common.get("messageId") if isinstance(common, dict) else None
    return str(found)[:500] if found else None
