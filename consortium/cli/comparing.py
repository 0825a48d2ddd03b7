"""Anyone's: two copies of a log, or two checkpoints: the same, one extends the other, or forked."""

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click

from consortium.cli.log_source import (
    fail,
    json_option,
    loaded,
    needed_policy,
    opened,
    read_whole,
    show_json,
    whose_keys,
)
from consortium.cli.vault import write_whole
from provenance.audit import Source
from provenance.backend import CHECKPOINT
from provenance.checkpoint import open_checkpoint, read_checkpoint
from provenance.errors import AuditRefused, ForkRefused, ProvenanceError
from provenance.evidence import read_file
from provenance.fork import Fork, check_fork, compare, find_fork
from provenance.merkle import Nodes
from provenance.note import Verifier
from provenance.quorum import Policy
from provenance.receipt import parse_receipt
from provenance.row_receipt import RowReceipt, is_row_receipt
from provenance.tiles import TileReader

CANNOT_TELL = 4


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its checkpoint, and its tiles if it is more than a checkpoint."""

    name: str
    note: bytes = field(repr=False)
    size: int
    source: Source | None

    @property
    def nodes(self) -> Nodes | None:
        """The tree's nodes, read from its tiles."""
        return None if self.source is None else TileReader(self.source.read, self.size).node


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B", required=False)
@whose_keys
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("fork.json"),
    show_default=True,
    help="Where to write the evidence if they contradict each other.",
)
@json_option
def diff(
    a: str, b: str | None, policy: Policy | None, invite: Path | None, out: Path, as_json: bool
) -> None:
    """Compare A and B: each a folder, an address, a checkpoint, or a receipt that holds one.

    With A alone: check evidence of a fork, as `watch` or `diff` wrote it.

    Exit code 0: the same, or one extends the other. 1: forked, or something does not hold.
    4: cannot be told from what was given.
    """
    logs = needed_policy(policy).logs
    try:
        if b is None:
            _judge(Path(a), logs, as_json)
            return
        with ExitStack() as stack:
            older, newer = sorted((_known(stack, name, logs) for name in (a, b)), key=_rank)
            _compare(older, newer, logs, out, as_json)
    except ForkRefused as refused:
        fail(as_json, f"cannot be told: {refused}", file=a, code=CANNOT_TELL, verdict="unknown")
    except AuditRefused as refused:
        fail(as_json, str(refused), file=refused.file)


def _rank(side: Side) -> tuple[int, bool]:
    """Smaller trees first; of two equal ones that without tiles first."""
    return side.size, side.source is not None


def _known(stack: ExitStack, name: str, logs: tuple[Verifier, ...]) -> Side:
    try:
        return _side(stack, name, logs)
    except AuditRefused:
        raise
    except (ProvenanceError, ValueError) as refused:
        raise AuditRefused(name, f"its checkpoint: {refused}") from refused


def _side(stack: ExitStack, name: str, logs: tuple[Verifier, ...]) -> Side:
    path, source = Path(name), None
    if path.is_file():
        note = _note_in(read_whole(path))
    else:
        source = stack.enter_context(opened(name))
        found = source.read(CHECKPOINT)
        if found is None:
            raise AuditRefused(name, "has no checkpoint")
        note = found
    here, _ = open_checkpoint(note, logs)
    return Side(name, note, here.size, source)


def _note_in(raw: bytes) -> bytes:
    """A checkpoint, from its own file or from a receipt: of several the one of most entries."""
    if is_row_receipt(raw):
        return RowReceipt.from_bytes(raw).checkpoint
    if not raw.lstrip().startswith((b"{", b"[")):
        return raw
    notes = [parse_receipt(one.proof).checkpoint for one in read_file(loaded(raw)).evidences]
    return max(notes, key=lambda note: read_checkpoint(note)[0].size, default=b"")


def _compare(
    older: Side, newer: Side, logs: tuple[Verifier, ...], out: Path, as_json: bool
) -> None:
    verdict = compare(older.note, newer.note, logs, newer.nodes)
    if verdict == "forked":
        fork = find_fork(older.note, newer.note, logs, newer.nodes)
        raw = json.dumps(fork.to_json(), indent=1, sort_keys=True) + "\n"
        write_whole(out.absolute(), raw.encode())
        why = f"FORKED: {_words(older.size, newer.size)}. Evidence: {out}"
        fail(as_json, why, file=newer.name, verdict="forked", evidence=str(out))
    if as_json:
        sizes = {"older": older.size, "newer": newer.size}
        show_json({"ok": True, "verdict": verdict, **sizes, "larger": newer.name})
    elif verdict == "same":
        click.echo(f"The same: one tree of {newer.size} entries.")
    else:
        click.echo(
            f"{newer.name} ({newer.size} entries) extends {older.name} ({older.size}): nothing "
            "that the older one covers was changed or removed."
        )


def _judge(path: Path, logs: tuple[Verifier, ...], as_json: bool) -> None:
    """Say whether evidence of a fork holds; it convicts with exit code 0, as `evidence` does."""
    try:
        fork = Fork.from_json(loaded(read_whole(path)))
        older, newer = check_fork(fork, logs)
    except ProvenanceError as refused:
        raise AuditRefused(str(path), f"shows no fork: {refused}") from refused
    except (OSError, ValueError) as refused:
        raise AuditRefused(str(path), f"is no evidence of a fork ({refused})") from refused
    if as_json:
        show_json({"ok": True, "verdict": "forked", "older": older.size, "newer": newer.size})
        return
    click.echo(f"FORKED  {older.origin}: {_words(older.size, newer.size)}.")
    click.echo("Shown by the log's own signatures, not by the word of whoever gave you this file.")


def _words(older: int, newer: int) -> str:
    if older == newer:
        return f"two different trees of {older} entries, both signed by the log"
    return (
        f"the log signed a tree of {older} entries, and one of {newer} that does not begin with it"
    )
