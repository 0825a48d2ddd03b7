"""A campaign's story as entries of a log, with the evidence for each."""

from collections.abc import Sequence

from provenance.backend import CHECKPOINT, Backend
from provenance.entry import Drafted
from provenance.evidence import Evidence
from provenance.sequencer import Sequencer, prove
from tests.fakes.actors import LOG, NOON, POLICY, made, public, trusting
from tests.fakes.log import MemoryBackend, MemoryLock

D, R, A = "d" * 64, "e" * 64, "a" * 64
ACTORS = {name: public(name) for name in ("alder", "birch")}


def logged(drafts: Sequence[Drafted], backend: Backend | None = None) -> list[Evidence]:
    """A log of these entries, and the evidence for each."""
    backend = backend or MemoryBackend()
    log = Sequencer(backend, MemoryLock(), LOG, POLICY, trusting())
    log.append([one.entry for one in drafts], NOON)
    note = backend.read(CHECKPOINT)
    assert note is not None
    return [
        Evidence(one.entry, one.openings, prove(backend, index, note))
        for index, one in enumerate(drafts)
    ]


def sign(who: str, digest: str = A) -> Drafted:
    return made(who, "agreement", kind="sign", race="council", digest=digest)


def approve(who: str, digest: str = D) -> Drafted:
    return made(who, "approval", kind="approve", campaign="c1", digest=digest)


def attest(who: str, root: str = R) -> Drafted:
    return made(who, "approval", kind="attest", campaign="c1", digest=D, root=root)


def intent(**other: object) -> Drafted:
    facts: dict[str, object] = {
        "kind": "send",
        "campaign": "c1",
        "race": "council",
        "digest": D,
        "root": R,
        "agreement": A,
        "sources": ["alder", "birch"],
    }
    return made("operator", "intent", **{**facts, **other})


def sent(campaign: str = "c1") -> Drafted:
    return made("mailer", "sent", kind="closed", campaign=campaign, state="closed")


BOTH = ("alder", "birch")
WHOLE = [*map(sign, BOTH), *map(approve, BOTH), *map(attest, BOTH), intent(), sent()]
