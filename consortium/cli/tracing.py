"""Anyone's: what a receipt says of one list, campaign or row, step by step, each with its proof."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from consortium.cli.log_source import (
    FILE,
    actors_of,
    custodians_of,
    fail,
    json_option,
    loaded,
    moment,
    read_json,
    read_whole,
    show_json,
    whose_keys,
)
from provenance.errors import PolicyRefused, ProvenanceError, StoryRefused
from provenance.evidence import Checked, read_file
from provenance.people import People, browsers
from provenance.quorum import Policy
from provenance.receipt import parse_receipt
from provenance.row_receipt import RowReceipt, is_row_receipt
from provenance.row_story import check_row_receipt, entries_of
from provenance.story import in_order, tell

WORDS: Mapping[tuple[str, str], str] = {
    ("agreement", "sign"): "{actor} signed the agreement {digest} for the race {race}.",
    ("approval", "approve"): "{actor} approved campaign {campaign}, exactly the manifest {digest}.",
    ("approval", "attest"): "{actor} checked its own rows under the audience {root} of campaign "
    "{campaign}.",
    ("contribution", "bundle"): "{actor} put a sealed list, {bundle}, into the consortium: at most "
    "{size_class} rows, whose commitments have the root {root}.",
    ("contribution", "roster"): "{actor} published chunk {chunk} of the roster of {epoch}.",
    ("contribution", "thaw"): "{actor} let the frozen list of {partner} go on, by {by}: {why}.",
    (
        "intent",
        "send",
    ): "{actor} promised campaign {campaign} before any row of it was opened: from "
    "{opens} to {closes}, at most {size_class} rows, the audience {root}, lists of {sources}.",
    ("ledger", "block"): "{actor} reserved points up to {ends} for {whose}.",
    ("ledger", "consent"): "{actor} consented to what {whose} asked for in {epoch}.",
    ("ledger", "head"): "{actor} stated that {spent} units of the privacy budget were spent.",
    ("ledger", "opening"): "{actor} said that it opens campaign {campaign}, the audience {root}.",
    ("match", "run"): "{actor} stated that list {bundle} met the roll {roll}, by the parameters "
    "{parameters_digest}.",
    ("roll", "slice"): "{actor} put in a slice of the voter roll, {roll}, of {source_digest}.",
    ("sent", "closed"): "{actor} stated that campaign {campaign} was over.",
    (
        "sent",
        "decided",
    ): "{actor} decided about {letters} letters of campaign {campaign} of which no "
    "machine could tell whether they were taken: {was}, by {by} (looked: {looked}).",
    ("sent", "released"): "{actor} stated that it opened {released} rows for campaign {campaign}.",
    ("withdrawal", "bundle"): "{actor} took back list {bundle}.",
    ("withdrawal", "rows"): "{actor} took rows of list {bundle} back.",
    ("withdrawal", "state"): "{actor} stated what had left by batch {number} of withdrawals.",
    ("withdrawal", "shredded"): "{actor} stated that list {bundle} has files without those rows.",
}
"""By type and kind; in braces the facts. Whatever is not here is told by its type alone."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a file tells: its entries, how each is proved, and what it leaves open.

    Attributes:
        proofs: by index, the tlog-proof of one entry; empty where one proof is of all of them.
        shared: how many hashes prove all entries at once, 0 where each has its own.
        names: who is who, as the file says.
    """

    entries: tuple[Checked, ...]
    proofs: Mapping[int, str]
    shared: int
    names: Mapping[bytes, str]
    open: tuple[str, ...]


@click.command()
@click.argument("file", type=FILE)
@whose_keys
@json_option
def trace(file: Path, policy: Policy | None, invite: Path | None, as_json: bool) -> None:
    """Tell what a receipt shows, step by step in the order of the log, each with its proof."""
    try:
        raw = read_whole(file)
        trusted = None if invite is None else read_json(invite)
        told = _of_row(raw, policy, trusted) if is_row_receipt(raw) else _of_file(raw, policy)
        names = told.names if trusted is None else _names(trusted)
    except (ProvenanceError, ValueError) as refused:
        fail(as_json, f"{file}: {refused}", file=str(file))
    if as_json:
        steps = [_json(one, names, told.proofs.get(one.index)) for one in told.entries]
        whose = "from the file itself" if policy is None else "yours"
        show_json({"ok": True, "keys": whose, "steps": steps, "open": list(told.open)})
        return
    for number, one in enumerate(told.entries, 1):
        click.echo(f"{number}. {one.at:%Y-%m-%d %H}h  {sentence(one, names)}")
        click.echo(f"   Proof: entry {one.index}, signed by its actor; {_proved(one, told)}.")
    click.echo("\nNot shown:")
    if policy is None:
        click.echo("  - Whose keys these are: they came with the file. Give --invite or --vkey.")
    for line in told.open:
        click.echo(f"  - {line}")


def _of_file(raw: bytes, policy: Policy | None) -> Told:
    """Evidence as tools keep it: each entry with a proof of its own."""
    read = read_file(loaded(raw))
    believed = policy or read.policy
    if believed is None or not read.evidences:
        raise PolicyRefused("there is no evidence in it, or no keys: give --vkey or --invite")
    entries = in_order(read.evidences, believed)
    missing = _missing(entries, read.actors, browsers(read.browser_keys, read.actors))
    left = ["That what was stated is true, and that nothing was done outside the log."]
    if missing is not None:
        words = f"Each step holds by itself; the whole story is not in this file: {missing}."
        left.insert(0, words)
    proofs = {parse_receipt(one.proof).index: one.proof for one in read.evidences}
    names = {public: name for name, public in read.actors.items()}
    return Told(entries, proofs, 0, names, tuple(left))


def _of_row(raw: bytes, policy: Policy | None, invite: Mapping[str, Any] | None) -> Told:
    """A row receipt: one proof for all of its entries, and the row itself."""
    read = RowReceipt.from_bytes(raw)
    known = None if invite is None else actors_of(invite)
    proven = check_row_receipt(read, policy or Policy.from_text(read.policy), known)
    entries = tuple(checked for _, checked in entries_of(read, proven))
    names = {public: name for name, public in read.actors.items()}
    names |= {one.public: f"{one.partner} (in a browser)" for one in read.browsers}
    return Told(entries, {}, len(read.hashes), names, proven.unproven)


def _missing(
    entries: tuple[Checked, ...],
    actors: Mapping[str, bytes],
    vouched: Mapping[str, frozenset[bytes]],
) -> str | None:
    """What the steps together lack of a whole story, or that nothing."""
    try:
        tell(entries, People(partners=actors or None, browsers=vouched))
    except StoryRefused as refused:
        return str(refused)
    return None


def _names(invite: Mapping[str, Any]) -> dict[bytes, str]:
    listed = {**custodians_of(invite), **actors_of(invite)}
    return {public: name for name, public in listed.items()}


def sentence(one: Checked, names: Mapping[bytes, str]) -> str:
    """An entry in words, with whatever it says kept to one line of printable text."""
    facts = {name: _short(value) for name, value in one.facts.items()}
    facts["actor"] = _short(names.get(one.actor, f"somebody ({one.actor.hex()[:16]})"))
    words = WORDS.get((one.kind, str(one.facts.get("kind"))))
    try:
        return words.format_map(facts) if words else f"{facts['actor']} made an entry: {one.kind}."
    except KeyError:
        return f"{facts['actor']} made an entry: {one.kind} ({facts.get('kind', '')})."


def _short(value: object) -> str:
    """A fact on one line: digests cut, lists joined, nothing that a terminal would obey."""
    if isinstance(value, list):
        return ", ".join(_short(one) for one in value)
    text = str(value)
    cut = text[:16] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text[:200]
    return "".join(c if c.isprintable() else "?" for c in cut)


def _proved(one: Checked, told: Told) -> str:
    tree = f"the tree of {one.size} entries {one.root.hex()[:16]}"
    if one.cosigned_at.year > 1970:
        tree += f", which a quorum had seen by {moment(one.cosigned_at)}"
    if one.index not in told.proofs:
        return f"with the others, {told.shared} hashes lead to {tree}"
    return f"{len(parse_receipt(told.proofs[one.index]).path)} hashes lead to {tree}"


def _json(one: Checked, names: Mapping[bytes, str], proof: str | None) -> dict[str, Any]:
    return {
        "index": one.index,
        "type": one.kind,
        "at": moment(one.at),
        "says": sentence(one, names),
        "actor": one.actor.hex(),
        "facts": one.facts,
        "size": one.size,
        "root": one.root.hex(),
        "cosigned_at": moment(one.cosigned_at),
        "proof": proof,
    }
