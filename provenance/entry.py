"""One log entry: constant length, salted commitments, signed by who acted."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from provenance.canonical import (
    JSON,
    Opening,
    canonical,
    check_commitment,
    commitment,
    openings_from_json,
    openings_to_json,
    unhex,
)
from provenance.errors import (
    CanonicalRefused,
    CommitmentRefused,
    EntryRefused,
    SignatureRefused,
)

ENTRY_BYTES = 1536
ENTRY_LABEL = b"trellis/entry/v1\n"
BROWSER_KEY = b"trellis/browser-key/v1\n"
"""Before the key of a browser that a partner's own key vouches for."""
KINDS = (
    "agreement",
    "approval",
    "contribution",
    "intent",
    "key",
    "ledger",
    "match",
    "roll",
    "sent",
    "withdrawal",
    "witness",
)

DUMMY = "dummy"
"""The opened ``kind`` of an entry that says nothing; its other facts are null."""

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_HOUR = "%Y-%m-%dT%HZ"
_KEYS = {"actor", "at", "commitments", "pad", "signature", "type"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the public sees it: its type, its hour, and nothing else."""

    kind: str
    at: datetime
    actor: bytes
    commitments: dict[str, bytes]
    signature: bytes
    signed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Drafted:
    """A new entry and the openings its author keeps (``actor`` among them)."""

    entry: bytes
    openings: dict[str, Opening]


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry whose openings and signature were checked."""

    kind: str
    at: datetime
    actor: bytes
    facts: dict[str, JSON] = field(repr=False)


def draft(
    kind: str,
    *,
    at: datetime,
    actor: bytes,
    facts: Mapping[str, JSON],
    salt: Callable[[], bytes],
    sign: Callable[[bytes], bytes],
) -> Drafted:
    """Write one entry.

    Args:
        kind: one of ``KINDS``; public.
        at: aware; only its hour in UTC is kept.
        actor: the 32-byte Ed25519 public key that ``sign`` signs under.
        facts: field to value; ``kind`` is among them. Only commitments to them are logged.
        salt: 32 fresh random bytes at each call.
        sign: Ed25519 over the bytes it is given.

    Raises:
        EntryRefused: unknown type, naive time, bad field name, or too much for ``ENTRY_BYTES``.
    """
    if at.tzinfo is None:
        raise EntryRefused("the time of an entry needs a time zone")
    openings = {"actor": Opening(salt(), actor.hex())}
    openings.update({name: Opening(salt(), value) for name, value in facts.items()})
    hidden = {name: commitment(one.salt, one.value).hex() for name, one in openings.items()}
    body: dict[str, JSON] = {
        "actor": hidden.pop("actor"),
        "at": at.astimezone(UTC).strftime(_HOUR),
        "commitments": hidden,
        "type": kind,
    }
    body["signature"] = sign(ENTRY_LABEL + canonical(body)).hex()
    room = ENTRY_BYTES - len(canonical({**body, "pad": ""}))
    if room < 0:
        raise EntryRefused(f"{len(facts)} facts do not fit into {ENTRY_BYTES} bytes")
    raw = canonical({**body, "pad": "0" * room})
    opened(raw, openings)  # a wrong key or a bad field is found here, not in the log
    return Drafted(raw, openings)


def parse(entry: bytes) -> Entry:
    """Read an entry strictly: one byte form, one length, known fields.

    Raises:
        EntryRefused: anything else.
    """
    if len(entry) != ENTRY_BYTES:
        raise EntryRefused(f"an entry has {ENTRY_BYTES} bytes, this has {len(entry)}")
    try:
        body = json.loads(entry)
    except (ValueError, RecursionError) as refused:
        raise EntryRefused("not JSON") from refused
    try:
        if not isinstance(body, dict) or set(body) != _KEYS:
            raise EntryRefused("an entry has exactly the fields " + ", ".join(sorted(_KEYS)))
        if not isinstance(body["type"], str) or body["type"] not in KINDS:
            raise EntryRefused("the type is none of " + ", ".join(KINDS))
        if not isinstance(body["pad"], str) or body["pad"].strip("0"):
            raise EntryRefused("the padding is not zeros")
        signature = unhex(body["signature"], 64)
        actor = unhex(body["actor"], 32)
        commitments = _commitments(body["commitments"])
    except CanonicalRefused as refused:
        raise EntryRefused(str(refused)) from refused
    at = _hour(body["at"])
    if _plain(body) != entry:
        raise EntryRefused("JSON, but not in its canonical form (RFC 8785)")
    del body["pad"], body["signature"]
    signed = ENTRY_LABEL + _plain(body)
    return Entry(body["type"], at, actor, commitments, signature, signed)


def opened(entry: bytes, openings: Mapping[str, Opening], *, partial: bool = False) -> Opened:
    """Open an entry: every commitment, then the signature under the opened actor.

    Args:
        entry: its exact bytes.
        openings: for ``actor`` and for each committed field.
        partial: allow fields other than ``actor`` and ``kind`` to stay closed; they are then
            absent from ``facts``.

    Raises:
        EntryRefused: the bytes are no entry.
        CommitmentRefused: an opening is missing, superfluous or wrong.
        SignatureRefused: the opened actor did not sign this.
    """
    read = parse(entry)
    committed = {"actor": read.actor, **read.commitments}
    if unknown := sorted(set(openings) - set(committed)):
        raise CommitmentRefused(f"the entry has no field {unknown[0]!r}")
    needed = {"actor", "kind"} if partial else set(committed)
    if missing := sorted(needed - set(openings)):
        raise CommitmentRefused(f"the opening of {missing[0]!r} is missing")
    for name, opening in openings.items():
        check_commitment(name, committed[name], opening)
    try:
        actor = unhex(openings["actor"].value, 32)
    except CanonicalRefused as refused:
        raise CommitmentRefused(f"the actor is no public key: {refused}") from refused
    check_signature(read, actor)
    facts = {name: one.value for name, one in openings.items() if name != "actor"}
    return Opened(read.kind, read.at, actor, facts)


def check_signature(entry: Entry, public: bytes) -> None:
    """Check the entry's signature under a 32-byte Ed25519 key, or ``SignatureRefused``."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(entry.signature, entry.signed)
    except (InvalidSignature, ValueError) as refused:
        raise SignatureRefused("the entry is not signed by its actor") from refused


def _plain(body: JSON) -> bytes:
    """RFC 8785 for what ``parse`` has just checked: only objects and ASCII text without escapes.

    There the standard library's sorted form is the same bytes, ten times as fast.
    """
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _commitments(value: JSON) -> dict[str, bytes]:
    if not isinstance(value, dict) or "kind" not in value:
        raise EntryRefused("the commitments are an object with 'kind' in it")
    if any(name == "actor" or not _FIELD.fullmatch(name) for name in value):
        raise EntryRefused("a committed field has a name that is not allowed")
    return {name: unhex(one, 32) for name, one in value.items()}


def _hour(text: JSON) -> datetime:
    try:
        at = datetime.strptime(text, _HOUR).replace(tzinfo=UTC)
    except (TypeError, ValueError) as refused:
        raise EntryRefused("the time is not an hour like 2026-11-21T14Z") from refused
    if at.strftime(_HOUR) != text:
        raise EntryRefused("the time is not an hour like 2026-11-21T14Z")
    return at


__all__ = [
    "DUMMY",
    "ENTRY_BYTES",
    "KINDS",
    "Drafted",
    "Entry",
    "Opened",
    "Opening",
    "check_signature",
    "draft",
    "opened",
    "openings_from_json",
    "openings_to_json",
    "parse",
]
