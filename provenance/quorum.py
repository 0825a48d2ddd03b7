"""Whose signatures count: which logs, which witnesses, how many (c2sp.org/tlog-policy)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provenance.checkpoint import Checkpoint, open_checkpoint
from provenance.errors import NoteRefused, PolicyRefused, QuorumRefused
from provenance.note import ED25519, Note, Verifier
from provenance.witness import COSIGNING, Cosignature, check_cosignatures

NOBODY = "none"


def overlap(witnesses: int, quorum: int) -> int:
    """How many witnesses any two quorums have in common: ``2k - n``.

    Two histories of one log need a quorum each, so at least so many witnesses that sign both. The
    log holds against fewer liars than that; at 0 nobody need lie at all.
    """
    return max(0, 2 * quorum - witnesses)


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness as a policy names it."""

    name: str
    verifier: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """``need`` of ``members`` (witnesses or groups defined before)."""

    name: str
    need: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint whose log signature and quorum were checked.

    ``at`` is the moment by which the quorum had seen it: the newest time that still leaves a
    quorum of cosignatures not older than it; 1970 when the policy asks for nobody.
    """

    checkpoint: Checkpoint
    note: Note
    cosignatures: dict[str, Cosignature]
    at: datetime


@dataclass(frozen=True, slots=True)
class Policy:
    """Accepted logs, known witnesses, and the group that must have cosigned.

    Attributes:
        logs: any one of them; a key's name is its log's origin.
        required: name of a witness or group, or ``none``.
    """

    logs: tuple[Verifier, ...]
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    required: str = NOBODY

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def of(cls, log: Verifier, witnesses: Sequence[Verifier | Witness], quorum: int) -> "Policy":
        """``quorum`` of these witnesses, for one log."""
        listed = tuple(
            one if isinstance(one, Witness) else Witness(f"w{place}", one)
            for place, one in enumerate(witnesses, 1)
        )
        if quorum == 0:
            return cls((log,), listed)
        group = Group("quorum", quorum, tuple(one.name for one in listed))
        return cls((log,), listed, (group,), group.name)

    @classmethod
    def from_invite(cls, invite: Mapping[str, Any]) -> "Policy":
        """From the keys ``origin``, ``log_vkey``, ``witnesses`` and ``quorum`` of an invitation."""
        try:
            log = Verifier.from_vkey(invite["log_vkey"])
            witnesses = [
                Witness(f"w{place}", Verifier.from_vkey(one["vkey"]), one.get("url"))
                for place, one in enumerate(invite["witnesses"], 1)
            ]
            origin, quorum = invite["origin"], invite["quorum"]
        except (KeyError, TypeError, AttributeError, NoteRefused) as refused:
            raise PolicyRefused(f"the invitation has no usable log policy: {refused}") from refused
        if log.name != origin:
            raise PolicyRefused("the invitation's log key belongs to another origin")
        return cls.of(log, witnesses, quorum)

    @classmethod
    def from_text(cls, text: str) -> "Policy":
        """Read a policy file, or ``PolicyRefused`` with the number of the line."""
        return _parse(text)

    def to_text(self) -> str:
        """The policy file."""
        lines = [f"log {log.vkey}" for log in self.logs]
        for one in self.witnesses:
            url = f" {one.url}" if one.url else ""
            lines.append(f"witness {one.name} {one.verifier.vkey}{url}")
        lines += [f"group {g.name} {g.need} {' '.join(g.members)}" for g in self.groups]
        return "\n".join([*lines, f"quorum {self.required}"]) + "\n"

    @property
    def quorum(self) -> int:
        """The smallest number of witnesses that can satisfy this policy."""
        least = {NOBODY: 0, **{one.name: 1 for one in self.witnesses}}
        for group in self.groups:
            least[group.name] = sum(sorted(least[name] for name in group.members)[: group.need])
        return least[self.required]

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The keys of the witnesses."""
        return tuple(one.verifier for one in self.witnesses)

    def satisfied_by(self, keys: set[bytes]) -> bool:
        """Whether cosignatures by these public keys are enough."""
        met = {NOBODY} | {one.name for one in self.witnesses if one.verifier.public in keys}
        for group in self.groups:
            if sum(name in met for name in group.members) >= group.need:
                met.add(group.name)
        return self.required in met

    def check(self, raw: bytes) -> Cosigned:
        """Check a checkpoint note: log signature, every known cosignature, the quorum.

        Raises:
            NoteRefused, CheckpointRefused, SignatureRefused: malformed, foreign, or a known
                signature that does not verify.
            QuorumRefused: too few cosignatures.
        """
        checkpoint, note = open_checkpoint(raw, self.logs)
        # Two keys may carry one name: collect by key, not by name.
        by_key = {
            one.public: found
            for one in self.verifiers
            for found in check_cosignatures(note, [one]).values()
        }
        at = self._when(by_key)
        names = {f"{found.name}": found for found in by_key.values()}
        return Cosigned(checkpoint, note, names, at)

    def _when(self, by_key: Mapping[bytes, Cosignature]) -> datetime:
        seen: set[bytes] = set()
        if self.satisfied_by(seen):
            return datetime(1970, 1, 1, tzinfo=UTC)
        for key, one in sorted(by_key.items(), key=lambda pair: -pair[1].at):
            seen.add(key)
            if self.satisfied_by(seen):
                return _moment(one.at)
        raise QuorumRefused(
            f"{len(by_key)} of {len(self.witnesses)} witnesses cosigned; "
            f"the policy asks for {self.quorum}"
        )


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as refused:
        raise QuorumRefused("a cosignature is dated outside of the calendar") from refused


def _check(policy: Policy) -> None:
    if not policy.logs or any(log.kind != ED25519 for log in policy.logs):
        raise PolicyRefused("a policy names at least one log, by a key of type 01")
    if any(one.verifier.kind not in COSIGNING for one in policy.witnesses):
        raise PolicyRefused("a witness is named by a key of type 04 or 06")
    keys = [log.public for log in policy.logs] + [one.public for one in policy.verifiers]
    if len(set(keys)) != len(keys):
        # One key under two names would count twice.
        raise PolicyRefused("one public key is listed twice")
    defined = {NOBODY}
    used: set[str] = set()
    for one in policy.witnesses:
        _define(one.name, defined)
    for group in policy.groups:
        if len(set(group.members)) != len(group.members) or used & set(group.members):
            raise PolicyRefused(f"group {group.name}: a name is a member of one group, once")
        if NOBODY in group.members or not defined >= set(group.members):
            raise PolicyRefused(f"group {group.name}: members are defined above it")
        if isinstance(group.need, bool) or not isinstance(group.need, int):
            raise PolicyRefused(f"group {group.name}: the number needed is no number")
        if not 1 <= group.need <= len(group.members):
            raise PolicyRefused(f"group {group.name}: needs 1 to {len(group.members)}")
        used |= set(group.members)
        _define(group.name, defined)
    if policy.required not in defined:
        raise PolicyRefused("the quorum is a witness, a group, or none")


def _define(name: str, defined: set[str]) -> None:
    if name in defined or not name or any(c.isspace() for c in name):
        raise PolicyRefused(f"the name {name!r} is taken or not allowed")
    defined.add(name)


def _parse(text: str) -> Policy:
    logs: list[Verifier] = []
    witnesses: list[Witness] = []
    groups: list[Group] = []
    required: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            match words:
                case ["log", vkey] | ["log", vkey, _]:
                    logs.append(Verifier.from_vkey(vkey))
                case ["witness", name, vkey, *url] if len(url) < 2:
                    found = Verifier.from_vkey(vkey)
                    witnesses.append(Witness(name, found, url[0] if url else None))
                case ["group", name, need, *members] if members:
                    groups.append(Group(name, _need(need, len(members)), tuple(members)))
                case ["quorum", name]:
                    required.append(name)
                case _:
                    raise PolicyRefused("not a line of a policy")
        except (NoteRefused, PolicyRefused) as refused:
            raise PolicyRefused(f"line {number}: {refused}") from refused
    if len(required) != 1:
        raise PolicyRefused("a policy has exactly one quorum line")
    return Policy(tuple(logs), tuple(witnesses), tuple(groups), required[0])


def _need(word: str, members: int) -> int:
    if word in ("all", "any"):
        return members if word == "all" else 1
    if not (word.isascii() and word.isdigit()) or word[0] == "0" or len(word) > 4:
        raise PolicyRefused("a group needs all, any, or a number")
    return int(word)
