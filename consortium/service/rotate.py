"""The mail machine's key is followed by another: what the log and the bundles say on the way.

In order: the next key is offered in the log, t custodians countersign, the key is in the log and
every tool seals to it, bundles are wrapped to it one by one, the old key takes in no new list any
more, and it goes. At every instant each live bundle is wrapped to exactly one key that exists.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from consortium.service import enter
from consortium.service.errors import WrongState
from consortium.store import contributions, log, texts, typed
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from matching.countersigning import Successor, named

SHUT = "mailer-shut"
GRACE = timedelta(hours=1)
"""After a key's end: whoever began to send a list before it may finish."""


@dataclass(frozen=True, slots=True)
class Known:
    """A key of the mail machine as the log has it, or will."""

    name: str
    expires: datetime
    leaf: str
    facts: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A live bundle's key, and what its wrapping is bound to."""

    bundle: str
    header: Mapping[str, Any] = field(repr=False)
    wrapped: bytes = field(repr=False)


def known(unit: Unit, public: bytes, kind: str = "mailer") -> list[Known]:
    """Every entry of ours about a key, oldest first: one for each epoch that it serves.

    Args:
        kind: ``mailer``, or ``mailer-offer`` for a key that is not yet in use.
    """
    return of_name(unit, named(public), kind)


def of_name(unit: Unit, name: str, kind: str = "mailer") -> list[Known]:
    """As ``known``, of a key by its name."""
    found = []
    for one in log.of_kind(unit, "key", "mailer"):
        facts = {part: said["value"] for part, said in (one.openings or {}).items()}
        if facts.get("kind") == kind and named(bytes.fromhex(facts["public"])) == name:
            found.append(Known(name, _moment(facts["expires"]), one.leaf, facts))
    return found


def announce(
    unit: Unit, pen: enter.Pen, epoch: str, public: bytes, expires: str, now: datetime, **more: Any
) -> None:
    """Put a key into the log, once an epoch.

    Args:
        more: of a key that is not the first: its ``predecessor`` and ``countersignatures``.
    """
    before = known(unit, public)
    if any(one.facts["epoch"] == epoch for one in before):
        return
    facts = {"kind": "mailer", "epoch": epoch, "public": public.hex(), "expires": expires, **more}
    if before:  # it serves a further epoch, and ends when it always did
        facts = {**before[-1].facts, "epoch": epoch}
        facts.pop("actor", None)
    enter.write(unit, pen, "key", facts, now=now)


def renew(
    unit: Unit,
    pen: enter.Pen,
    epoch: str,
    public: bytes,
    signatures: Mapping[str, Any],
    now: datetime,
) -> None:
    """Say a key again with the countersignatures of present custodians, once; it ends as before."""
    for one in [one for one in known(unit, public) if one.facts["epoch"] == epoch][-1:]:
        facts = {**one.facts, "countersignatures": dict(signatures)}
        facts.pop("actor", None)
        if one.facts.get("countersignatures") != facts["countersignatures"]:
            enter.write(unit, pen, "key", facts, now=now)


def offer(unit: Unit, pen: enter.Pen, key: Successor, now: datetime) -> None:
    """Make a next key public before anybody is asked to countersign it; once."""
    if not known(unit, key.public, "mailer-offer"):
        enter.write(unit, pen, "key", {"kind": "mailer-offer", **key.facts()}, now=now)


def due(unit: Unit, name: str, most: int) -> list[Wrapped]:
    """Some live bundles that are wrapped to this key."""
    found: list[Wrapped] = []
    for one in contributions.listed(unit):
        if one.wrapped is not None and one.wrapped_to == name and len(found) < most:
            found.append(Wrapped(one.id, one.header, one.wrapped))
    return found


def live(unit: Unit) -> list[str]:
    """Bundles that can be opened."""
    return [one.id for one in contributions.listed(unit) if one.wrapped is not None]


def keep(unit: Unit, before: Wrapped, wrapped: bytes, name: str) -> bool:
    """Name a bundle's new wrapping in place of the old one; whether it did.

    A bundle that was withdrawn meanwhile stays without any, and one that another worker was
    faster with stays as it is.
    """
    if contributions.get(unit, before.bundle).wrapped != before.wrapped:
        return False
    contributions.change(unit, before.bundle, wrapped=wrapped, wrapped_to=name)
    return True


def leave_aside(unit: Unit, before: Wrapped) -> None:
    """Note that a bundle's key does not open under the key that its header names.

    Whoever made it so made it unreadable; it must not keep the old key alive for ever.
    """
    if contributions.get(unit, before.bundle).wrapped == before.wrapped:
        contributions.change(unit, before.bundle, wrapped_to=None)


def shut(unit: Unit, name: str, ended: datetime) -> bool:
    """Let a key take in no list any more, if nothing needs it; whether it is so now.

    One transaction: a list that comes after it is refused, and one that came before it is seen.
    Addresses that were typed into the form are sealed to whichever key was in the log then.

    Args:
        ended: when it expired; long before, another one was in the log.
    """
    if due(unit, name, 1) or typed.waiting_since(unit, ended):
        return False
    texts.put(unit, SHUT, json.dumps(sorted({*_shut(unit), name})))
    return True


def is_shut(unit: Unit, name: str) -> bool:
    """Whether nothing may be sealed to this key any more, because it is gone or about to go."""
    return name in _shut(unit)


def refuse_shut(unit: Unit, header: Mapping[str, Any]) -> None:
    """Refuse a list that is sealed to a key that is gone: nobody could ever open it.

    Raises:
        WrongState: says what to do.
    """
    if is_shut(unit, str(header.get("mailer"))):
        raise WrongState(
            "this list is sealed to a key that the mail machine no longer has; nothing was kept."
            " Withdraw it, then upload the file again: it is sealed anew"
        )


def destroyed(unit: Unit, pen: enter.Pen, name: str, now: datetime) -> None:
    """Say in the log, once, that the mail machine deleted its copy of a private key."""
    said = (one.openings or {} for one in log.of_kind(unit, "key", "mailer"))
    told = {
        facts["key"]["value"]
        for facts in said
        if facts.get("kind", {}).get("value") == "mailer-destroyed"
    }
    if name not in told:
        enter.write(unit, pen, "key", {"kind": "mailer-destroyed", "key": name}, now=now)


def _shut(unit: Unit) -> set[str]:
    try:
        return set(json.loads(texts.get(unit, SHUT)))
    except Missing:
        return set()


def shut_keys(unit: Unit) -> list[str]:
    """Names of all keys that take in no list any more."""
    return sorted(_shut(unit))


def _moment(stated: str) -> datetime:
    return datetime.fromisoformat(stated)
