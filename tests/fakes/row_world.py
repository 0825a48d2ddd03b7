"""A small log in which one row of one list goes all the way, and who must say yes for that."""

import hashlib
import io
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from matching.locks import audience_leaf, audience_leaves
from provenance.backend import CHECKPOINT
from provenance.entry import Drafted, draft, parse
from provenance.evidence import Evidence
from provenance.merkle import tree_root
from provenance.row_receipt import RowReceipt, find_member, join
from provenance.row_story import fitting
from provenance.rows import RowOpening, Tree, prove_row
from provenance.sequencer import Sequencer, prove
from provenance.withdrawn import Absence, State, list_label, mix, prove_absent
from tests.fakes.actors import LOG, NOON, POLICY, private, public, trusting
from tests.fakes.log import MemoryBackend, MemoryLock

D, A, NONCE = "d" * 64, "a" * 64, bytes([7]) * 32
BUNDLE, CAMPAIGN = "0b5e1d6a-0000-4000-8000-000000000001", "c0a1d2b3-0000-4000-8000-000000000002"
SIZE = 256
SECRET = bytes([3]) * 32
LOCKS = [hashlib.sha256(bytes([n])).digest() for n in range(40)]
OPENING = RowOpening.of(SECRET, LOCKS[0], b"tag", b"proof", b"sealed")


_SALTS = count()


def noise(*about: object) -> bytes:
    """32 bytes as good as random, and the same on every run."""
    return hashlib.sha256(repr(about).encode()).digest()


def made(who: str, type_: str, salts: Iterator[int] = _SALTS, **facts: object) -> Drafted:
    """An entry by a test actor, with salts that nothing compresses."""
    return draft(
        type_,
        at=NOON,
        actor=public(who),
        facts=facts,
        salt=lambda: noise("salt", next(salts)),
        sign=private(who).sign,
    )


def row_tree() -> tuple[bytes, str]:
    """The list's tree, made of made-up bytes, with the row somewhere in it; and its root."""
    noise = random.Random(5)
    file = io.BytesIO()
    tree = Tree(file, SIZE, noise.randbytes)
    tree.put(noise.randrange(SIZE), OPENING.commitment())
    return file.getvalue(), tree.root().hex()


ROWS, ROOT = row_tree()
LEAVES = audience_leaves(NONCE, LOCKS)
AUDIENCE = tree_root(LEAVES).hex()


def sign(who: str, digest: str = A) -> Drafted:
    return made(who, "agreement", kind="sign", race="council", digest=digest)


def bundle(who: str = "alder", **other: object) -> Drafted:
    facts: dict[str, object] = {
        "kind": "bundle", "partner": "alder", "bundle": BUNDLE, "epoch": "2026-season",
        "rows_digest": "b" * 64, "outputs_digest": "c" * 64, "root": ROOT, "size_class": SIZE,
    }  # fmt: skip
    return made(who, "contribution", **{**facts, **other})


def run(bundle: str = BUNDLE) -> Drafted:
    return made(
        "operator", "match", kind="run", bundle=bundle, roll="roll-1", parameters_digest="e" * 64
    )


def approve(who: str, digest: str = D) -> Drafted:
    return made(who, "approval", kind="approve", campaign=CAMPAIGN, digest=digest)


def attest(who: str, root: str = AUDIENCE) -> Drafted:
    return made(who, "approval", kind="attest", campaign=CAMPAIGN, digest=D, root=root)


def intent(sources: Sequence[str] = ("alder", "birch"), **other: object) -> Drafted:
    facts: dict[str, object] = {
        "kind": "send", "campaign": CAMPAIGN, "race": "council", "digest": D, "root": AUDIENCE,
        "nonce": NONCE.hex(), "size_class": 64, "opens": "2026-10-05T15:00:00Z",
        "closes": "2026-10-06T00:00:00Z", "agreement": A, "sources": list(sources),
    }  # fmt: skip
    return made("operator", "intent", **{**facts, **other})


def left(*labels: bytes, who: str = "operator", **other: object) -> tuple[State, Drafted]:
    """The first batch of withdrawals, these labels among it, and its entry."""
    fillers = (noise("filler", n) for n in count())
    batch, _ = mix(labels, State(), lambda: next(fillers))
    state = State().after(batch)
    return state, made(who, "withdrawal", **{**state.facts(batch), **other})


def absent(state: State, row: bytes = OPENING.label) -> tuple[Absence, Absence]:
    """That neither the row nor its list has left."""
    return prove_absent(state, row), prove_absent(state, list_label(bytes.fromhex(ROOT)))


WHOLE = [
    sign("alder"), bundle(), run(), approve("alder"), approve("birch"), attest("alder"), intent(),
]  # fmt: skip
ACTORS = {name: public(name) for name in ("alder", "birch", "cedar", "operator")}


def logged(drafts: Sequence[Drafted], between: int = 3) -> list[Evidence]:
    """A log of these entries with others between them, and the evidence for each of these."""
    backend = MemoryBackend()
    log = Sequencer(backend, MemoryLock(), LOG, POLICY, trusting())
    every: list[bytes] = []
    places = []
    for one in drafts:
        every += [b"another entry %d" % (len(every) + n) for n in range(between)]
        places.append(len(every))
        every.append(one.entry)
    log.append(every, NOON)
    note = backend.files[CHECKPOINT]
    return [
        Evidence(one.entry, one.openings, prove(backend, place, note))
        for one, place in zip(drafts, places, strict=True)
    ]


def example() -> RowReceipt:
    """The worked example of docs/row-receipt.md: the same bytes on every run."""
    salts = count(1 << 20)
    return receipt([_salted(one, salts) for one in WHOLE], make=fitting)


def _salted(one: Drafted, salts: Iterator[int]) -> Drafted:
    """The same entry with the next salts of a row; tests that ran before draw from the others."""
    by = one.openings["actor"].value
    who = next(name for name, key in ACTORS.items() if key.hex() == by)
    facts = {name: each.value for name, each in one.openings.items() if name != "actor"}
    return made(who, parse(one.entry).kind, salts, **facts)


def receipt(
    drafts: Sequence[Drafted] = WHOLE,
    *,
    campaign: bool = True,
    make: Callable[..., RowReceipt] = join,
    **more: Any,
) -> RowReceipt:
    """A receipt of the row over these entries."""
    member = find_member(LEAVES, audience_leaf(NONCE, LOCKS[0])) if campaign else None
    return make(
        logged(drafts),
        policy=POLICY.to_text(),
        actors=ACTORS,
        lock=LOCKS[0],
        row=(OPENING, prove_row(ROWS, OPENING)),
        member=member,
        **more,
    )
