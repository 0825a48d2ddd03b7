"""Asks witnesses over HTTP to cosign a checkpoint, all at once, and says who is missing and why."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from provenance.checkpoint import parse_size, read_checkpoint
from provenance.errors import ProvenanceError
from provenance.quorum import Policy, Witness
from provenance.sequencer import ProofFor
from provenance.witness import AddCheckpoint, origin_path, parse_answer

log = logging.getLogger("trellis.witnesses")

TRIES = 3
MAX_ANSWER = 1 << 16


class Away(Exception):
    """A witness did not cosign; the words say why."""


def gather(
    checkpoint: bytes,
    witnesses: Sequence[Witness],
    proof_for: Callable[[int], list[bytes]],
    timeout: float,
    *,
    sizes: dict[str, int] | None = None,
    transport: httpx.BaseTransport | None = None,
) -> tuple[list[bytes], list[str]]:
    """Ask every witness for a cosignature.

    Args:
        checkpoint: the note with the log's signature.
        witnesses: those with a url are asked.
        proof_for: old size to the consistency path; called from several threads.
        timeout: seconds for each request.
        sizes: remembers, by verifier key, what each witness has seen, so that the next call needs
            one request instead of two; may be empty.
        transport: instead of the network, for tests.

    Returns:
        Checked signature lines, and for every witness without one ``name: reason``.
    """
    known = {} if sizes is None else sizes
    target, note = read_checkpoint(checkpoint)

    def ask(witness: Witness) -> bytes | str:
        vkey = witness.verifier.vkey
        try:
            with httpx.Client(timeout=timeout, transport=transport) as client:
                answer = _answer(
                    client, timeout, witness, checkpoint, target.size, proof_for, known.get(vkey, 0)
                )
            line = parse_answer(answer, note.text, witness.verifier).to_line()
        except (Away, ProvenanceError) as why:
            return f"{witness.verifier.name}: {why}"
        except httpx.HTTPError as why:
            return f"{witness.verifier.name}: cannot be reached ({type(why).__name__})"
        except Exception as why:  # whatever one of them sends, the others count
            return f"{witness.verifier.name}: cannot be understood ({type(why).__name__})"
        known[vkey] = target.size
        return line

    if not witnesses:
        return [], []
    with ThreadPoolExecutor(min(len(witnesses), 16)) as pool:
        answers = list(pool.map(ask, witnesses))
    return (
        [one for one in answers if isinstance(one, bytes)],
        [one for one in answers if isinstance(one, str)],
    )


@dataclass(slots=True)
class Asker:
    """What a ``Sequencer`` asks its policy's witnesses with; it is a ``Cosign``.

    Attributes:
        missing: ``name: reason`` of each that did not cosign when last asked; logged as well.
        sizes: what each witness has seen, remembered between calls.
    """

    policy: Policy
    timeout: float
    transport: httpx.BaseTransport | None = None
    missing: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def __call__(self, checkpoint: bytes, proof_for: ProofFor) -> list[bytes]:
        """Ask all of them at once; the lines of those that cosigned."""
        lines, self.missing = gather(
            checkpoint,
            self.policy.witnesses,
            proof_for,
            self.timeout,
            sizes=self.sizes,
            transport=self.transport,
        )
        for one in self.missing:
            log.warning("no cosignature by %s", one)
        return lines


def asker(
    policy: Policy, timeout: float = 5.0, *, transport: httpx.BaseTransport | None = None
) -> Asker:
    """What a ``Sequencer`` asks its policy's witnesses with."""
    return Asker(policy, timeout, transport)


def shown(
    policy: Policy, timeout: float, *, transport: httpx.BaseTransport | None = None
) -> dict[str, bytes | None]:
    """The newest checkpoint that each witness shows of the log; see ``provenance.seen.Seen``."""
    path = origin_path(policy.logs[0].name)

    def ask(witness: Witness) -> tuple[str, bytes | None] | None:
        if witness.url is None:
            return None
        try:
            with httpx.Client(timeout=timeout, transport=transport) as client:
                status, body = _fetched(
                    client, timeout, "GET", f"{witness.url.rstrip('/')}/{path}/checkpoint"
                )
        except Exception:  # one that cannot be heard is as one that is away
            return None
        if status == 404:
            return witness.verifier.name, None
        return (witness.verifier.name, body) if status == 200 else None

    if not policy.witnesses:
        return {}
    with ThreadPoolExecutor(min(len(policy.witnesses), 16)) as pool:
        return dict(one for one in pool.map(ask, policy.witnesses) if one is not None)


def _answer(
    client: httpx.Client,
    timeout: float,
    witness: Witness,
    checkpoint: bytes,
    size: int,
    proof_for: Callable[[int], list[bytes]],
    old: int,
) -> bytes:
    """The body of a 200. A 409 tells the size this witness knows; ask again from there."""
    if witness.url is None:
        raise Away("the policy names no address for it")
    url = witness.url.rstrip("/") + "/add-checkpoint"
    for _ in range(TRIES):
        body = AddCheckpoint(old, tuple(proof_for(old)), checkpoint).to_bytes()
        status, said = _fetched(client, timeout, "POST", url, body)
        if status == 200:
            return said
        if status != 409:
            raise Away(f"refuses with status {status}")
        old = parse_size(said.decode("ascii", "replace").removesuffix("\n"))
        if old > size:
            raise Away(
                f"has already cosigned {old} entries and this log has only {size}: "
                "the log was rolled back or has forked"
            )
    raise Away("its size keeps changing while we ask")


def _fetched(
    client: httpx.Client, timeout: float, method: str, url: str, content: bytes = b""
) -> tuple[int, bytes]:
    """Status and bytes as they came, of a witness that may want to keep us for ever."""
    until, parts, size = time.monotonic() + 2 * timeout, [], 0
    plain = {"accept-encoding": "identity"}
    with client.stream(method, url, content=content, headers=plain) as answer:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise Away("its answer is compressed, which nobody asked for")
        for part in answer.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER:
                raise Away("its answer is too large")
            if time.monotonic() > until:
                raise Away("its answer takes too long")
    return answer.status_code, b"".join(parts)
