"""What is shown to whoever asks: the public log, its proofs and keys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from consortium.service import keyring, publish, rotate
from consortium.service.absence import Absence, absence
from consortium.service.errors import NotReady
from consortium.store import actors, leaving, log, races, roster, texts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from matching.countersigning import believed, named
from matching.crypto_errors import StatementRefused
from provenance.backend import CHECKPOINT, Backend
from provenance.canonical import openings_from_json
from provenance.checkpoint import read_checkpoint
from provenance.evidence import Evidence, check, write_file
from provenance.note import Verifier
from provenance.quorum import Policy
from provenance.sequencer import prove

MOST_BATCHES = 200
"""Batches of withdrawals in one answer."""


@dataclass(frozen=True, slots=True)
class WitnessView:
    """A witness and whether it stands under the newest checkpoint."""

    name: str
    cosigned: bool
    vkey: str = ""


@dataclass(frozen=True, slots=True)
class LogView:
    """The public log's newest published state."""

    origin: str
    size: int
    checkpoint: str
    published: datetime | None
    witnesses: list[WitnessView]
    vkey: str
    custody: list[str] = field(default_factory=list)
    quorum: int = 0
    waits: Absence | None = None
    covered: bool = False
    """Whether dummies stand among the entries."""


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry as the public sees it."""

    index: int
    kind: str
    at: datetime
    leaf: str
    entry_json: dict[str, Any]


def evidence(unit: Unit, leaf: str, backend: Backend) -> Evidence | None:
    """Entry, openings and proof under the newest published checkpoint; None while it is pending."""
    return _under(log.find(unit, leaf), backend.read(CHECKPOINT), backend)


def evidences(unit: Unit, leaves: Sequence[str], backend: Backend) -> list[Evidence]:
    """Those of these entries that are published and can be opened, all under one checkpoint."""
    note = backend.read(CHECKPOINT)
    promised = [log.find(unit, leaf) for leaf in leaves]
    found = [_under(one, note, backend) for one in promised if one.openings is not None]
    return [one for one in found if one is not None]


def _under(promised: log.Promised, note: bytes | None, backend: Backend) -> Evidence | None:
    if promised.index is None or note is None:
        return None
    if promised.openings is None:
        raise Missing("what this entry says has been shredded")
    if promised.index >= read_checkpoint(note)[0].size:
        return None  # the files that this process reads are a moment behind
    return Evidence(
        promised.entry,
        openings_from_json(promised.openings),
        prove(backend, promised.index, note),
    )


def dummies(unit: Unit, backend: Backend, first: int, end: int) -> dict[str, Any]:
    """A receipt file of the published dummies at these indices; opens nothing else."""
    proved = [evidence(unit, one.leaf, backend) for one in log.dummies(unit, first, end)]
    return write_file([one for one in proved if one], policy(unit), publics(unit))


def left(unit: Unit, backend: Backend, first: int) -> dict[str, Any]:
    """A receipt file of the published batches of withdrawals from this one on, with their labels:
    whoever follows all of them knows the state, and that nobody made it up.
    """
    each = leaving.batches(unit, first, MOST_BATCHES)
    return write_file(
        _shown(unit, [one.leaf for one in each], backend), policy(unit), publics(unit)
    )


def policy(unit: Unit) -> Policy:
    """Whose signatures on the log count here."""
    return Policy.from_invite(json.loads(texts.get(unit, "invite")))


def publics(unit: Unit) -> dict[str, bytes]:
    """Every actor's public key."""
    return {actor.id: bytes.fromhex(actor.public) for actor in actors.everyone(unit)}


def log_head(unit: Unit, backend: Backend) -> LogView:
    """The newest published checkpoint and who stands under it."""
    invite = json.loads(texts.get(unit, "invite"))
    note = backend.read(CHECKPOINT)
    witnesses = [(str(one["name"]), str(one["vkey"])) for one in invite["witnesses"]]
    if note is None:
        return LogView(
            invite["origin"],
            0,
            "",
            None,
            [WitnessView(name, False, vkey) for name, vkey in witnesses],
            invite["log_vkey"],
            quorum=invite["quorum"],
            waits=absence(unit),
            covered=publish.covers(unit),
        )
    tree, _ = read_checkpoint(note)
    cosigned = policy(unit).check(note)
    # By the name in its key: the invite's is for people to read, and two may have the same.
    standing = {vkey for _, vkey in witnesses if _key_name(vkey) in cosigned.cosignatures}
    return LogView(
        origin=invite["origin"],
        size=tree.size,
        checkpoint=note.decode(),
        published=cosigned.at,
        witnesses=[WitnessView(name, vkey in standing, vkey) for name, vkey in witnesses],
        vkey=invite["log_vkey"],
        custody=keyring.endings(unit),
        quorum=invite["quorum"],
        waits=absence(unit),
        covered=publish.covers(unit),
    )


def _key_name(vkey: str) -> str:
    return Verifier.from_vkey(vkey).name


def entries(unit: Unit, start: int, count: int) -> list[EntryView]:
    """Published entries from ``start`` on, newest of them last."""
    return [_view(one) for one in log.between(unit, max(start, 0), max(start, 0) + count)]


def entry(unit: Unit, index: int) -> EntryView:
    """One published entry, or ``Missing``."""
    return _view(log.at_index(unit, index))


def _view(one: log.Promised) -> EntryView:
    assert one.index is not None
    body = json.loads(one.entry)
    at = datetime.strptime(body["at"], "%Y-%m-%dT%HZ").replace(tzinfo=one.at.tzinfo)
    return EntryView(one.index, one.kind, at, one.leaf, body)


def by_code(unit: Unit, code: str) -> int:
    """Where the entry stands whose receipt code this is, or ``Missing``."""
    return log.by_code(unit, code)


def proof(unit: Unit, index: int, backend: Backend) -> str:
    """The tlog-proof of one published entry."""
    log.at_index(unit, index)
    note = backend.read(CHECKPOINT)
    if note is None:
        raise NotReady("nothing has been published yet")
    return prove(backend, index, note)


def keys(unit: Unit, epoch: str, backend: Backend) -> dict[str, Evidence | None]:
    """The newest logged statement of each key of an epoch."""
    found: dict[str, Evidence | None] = dict.fromkeys(("match", "seal", "mailer", "pepper"))
    for one in log.of_kind(unit, "key"):
        opened = one.openings or {}
        kind = opened.get("kind", {}).get("value")
        if kind not in ("mailer", "pepper") or one.index is None:
            continue
        if kind == "mailer" and not _vouched(unit, opened):
            continue
        if opened["epoch"]["value"] == epoch:
            found[kind] = evidence(unit, one.leaf, backend)
    for purpose, line in keyring.lines_of(unit, epoch).items():
        found[purpose] = evidence(unit, line[-1][0], backend) if line else None
    return found


def _vouched(unit: Unit, opened: Mapping[str, Any]) -> bool:
    """Whether a key of the mailer is its first one, or countersigned; tools judge that again.

    One that is gone is shown to nobody, also when no later one holds: what somebody types would be
    sealed to it, and never read.
    """
    if rotate.is_shut(unit, named(bytes.fromhex(str(opened["public"]["value"])))):
        return False
    invite = json.loads(texts.get(unit, "invite"))
    try:
        believed(
            {name: part["value"] for name, part in opened.items()},
            first=invite.get("mailer_key"),
            publics={one["id"]: bytes.fromhex(one["public"]) for one in invite["custodians"]},
            threshold=int(invite["threshold"]),
        )
    except StatementRefused:
        return False
    return True


def mailer_key(unit: Unit, backend: Backend) -> bytes:
    """The mailer's public key, believed only as the cosigned log has it.

    Raises:
        NotReady: the log has not published it yet.
        EvidenceRefused, QuorumRefused: the log's files do not prove it.
    """
    found = keys(unit, races.first(unit).epoch, backend)["mailer"]
    if found is None:
        raise NotReady("the mail machine's key is not in the log yet; try again in a moment")
    said = check(found, policy(unit))
    if said.actor != publics(unit).get("mailer"):
        raise NotReady("the log has no key that the mail machine itself signed")
    return bytes.fromhex(str(said.facts["public"]))


def key_lines(unit: Unit, epoch: str, backend: Backend) -> dict[str, list[Evidence]]:
    """Each custodians' key's statements from its first version to its newest."""
    found = keyring.lines_of(unit, epoch)
    return {
        purpose: _shown(unit, [leaf for leaf, _ in line], backend)
        for purpose, line in found.items()
    }


def destructions(unit: Unit, epoch: str, backend: Backend) -> list[Evidence]:
    """What custodians logged of destroying their shares of an epoch."""
    return _shown(unit, keyring.destructions_of(unit, epoch), backend)


def _shown(unit: Unit, leaves: Sequence[str], backend: Backend) -> list[Evidence]:
    found = [evidence(unit, leaf, backend) for leaf in leaves]
    return [one for one in found if one is not None]


def roster_chunks(
    unit: Unit, backend: Backend, epoch: str | None = None
) -> tuple[str, list[tuple[int, Evidence]]]:
    """The epoch, by default the race's, and each published chunk with its proof."""
    epoch = epoch or races.first(unit).epoch
    found = []
    for chunk in roster.chunks(unit, epoch):
        proof = evidence(unit, chunk.leaf, backend)
        if proof is not None:
            found.append((chunk.chunk, proof))
    return epoch, found
