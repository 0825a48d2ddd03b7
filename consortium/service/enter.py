"""A signed entry is promised to the log: by whom, and whether they may."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import provenance.entry as log_entry
from consortium.service.errors import EntryMisfits
from consortium.store import actors, epochs, log, races
from consortium.store.errors import Conflict
from consortium.store.unit import Unit
from policies.authorise import Caller
from provenance.merkle import leaf_hash

SKEW = timedelta(hours=2)
MOST_WAITING = 256
"""Entries that one actor may have waiting: nobody keeps those of others out of the log."""

# Which role may post which (type, kind) without any other call. All else has a verb of its own.
POSTED = {
    ("key", "ceremony-commit"): "custodian",
    ("key", "statement"): "custodian",
    ("key", "destroyed"): "custodian",
    ("agreement", "sign"): "partner",
    ("sent", "released"): "custodian",
    ("ledger", "block"): "custodian",
    ("ledger", "opening"): "custodian",
    ("ledger", "consent"): "custodian",
    ("sent", "closed"): "mailer",
}


@dataclass(frozen=True, slots=True)
class Said:
    """An entry whose signature and openings have been checked."""

    leaf: str
    kind: str
    actor: actors.Actor
    facts: dict[str, Any]


def read(unit: Unit, entry: bytes, openings: Mapping[str, Any], *, now: datetime) -> Said:
    """Check an entry against its openings and find out who signed it.

    Raises:
        EntryMisfits: its hour is not now.
        Missing: its key is nobody's here.
        provenance.errors.ProvenanceRefused: it is no entry, or an opening or the signature is bad.
    """
    opened = log_entry.opened(entry, log_entry.openings_from_json(dict(openings)))
    if abs(opened.at - now) > SKEW:
        raise EntryMisfits("the entry's hour is not the present one; check the computer's clock")
    actor = actors.by_public(unit, opened.actor.hex())
    return Said(leaf_hash(entry).hex(), opened.kind, actor, dict(opened.facts))


def promise(
    unit: Unit, said: Said, entry: bytes, openings: Mapping[str, Any], *, now: datetime
) -> str:
    """Keep a checked entry for the next publication and ring for it.

    Returns:
        The leaf hash in hex, under which it will be found.
    """
    log.promise(
        unit,
        log.Promised(said.leaf, said.kind, said.actor.id, entry, dict(openings), None, now),
    )
    return said.leaf


def post(unit: Unit, entry: bytes, openings: Mapping[str, Any], *, now: datetime) -> str:
    """Take in an entry whose own signature is all the authority that it needs."""
    said = read(unit, entry, openings, now=now)
    role = POSTED.get((said.kind, str(said.facts.get("kind"))))
    if role is None or said.actor.role != role:
        raise EntryMisfits("entries of this kind are not posted here")
    if not log.promised(unit, said.leaf) and log.waiting_of(unit, said.actor.id) >= MOST_WAITING:
        raise Conflict("too many entries of yours wait for the log; try again when it has them")
    if (said.kind, said.facts["kind"]) == ("agreement", "sign"):
        race = races.get(unit, str(said.facts.get("race")))
        if said.facts.get("digest") != race.digest:
            raise EntryMisfits("this signs other bytes than the race's agreement")
        before = races.signatures(unit, race.id).get(said.actor.id)
        if before not in (None, said.leaf):
            raise Conflict("you have signed this agreement already")
        races.sign(unit, race.id, said.actor.id, said.leaf)
    return promise(unit, said, entry, openings, now=now)


@dataclass(frozen=True, slots=True)
class Pen:
    """What an actor of the operator's processes signs entries with; its key stays in here."""

    actor: str
    public: bytes
    sign: Callable[[bytes], bytes]
    salt: Callable[[], bytes]

    def __repr__(self) -> str:
        return f"Pen({self.actor})"


def write(unit: Unit, pen: Pen, kind: str, facts: Mapping[str, Any], *, now: datetime) -> str:
    """Promise an entry in the pen's own name. Returns its leaf hash in hex."""
    drafted = log_entry.draft(
        kind, at=now, actor=pen.public, facts=facts, salt=pen.salt, sign=pen.sign
    )
    openings = log_entry.openings_to_json(drafted.openings)
    leaf = leaf_hash(drafted.entry).hex()
    log.promise(unit, log.Promised(leaf, kind, pen.actor, drafted.entry, openings, None, now))
    return leaf


def open_epoch(unit: Unit, header: Mapping[str, Any]) -> str:
    """The epoch that a header names, if it takes uploads.

    Raises:
        EntryMisfits: it is not open, or not any more; says which ones are.
    """
    live = epochs.open_now(unit)
    if header.get("epoch") not in live:
        raise EntryMisfits(
            "the header's epoch takes no uploads; join the operator's newest invite and upload "
            f"again (open: {', '.join(live)})"
        )
    return str(header["epoch"])


def by(said: Said, caller: Caller) -> None:
    """Refuse, with ``EntryMisfits``, what somebody other than the caller signed."""
    if said.actor.id != caller.id:
        raise EntryMisfits("the entry is signed by another actor")


def expect(said: Said, event: str, /, **facts: Any) -> None:
    """Refuse unless the entry is of this type and says exactly these facts.

    Raises:
        EntryMisfits: names the fact that differs, never its value.
    """
    if said.kind != event:
        raise EntryMisfits(f"the entry is not of type {event}")
    for name, value in facts.items():
        if json.dumps(said.facts.get(name)) != json.dumps(value):
            raise EntryMisfits(f"the entry's {name} does not fit this call")
