"""What openings say of a log that was checked: whose they are, which rules they keep, the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from consortium.cli.log_source import actors_of, custodians_of, loaded, read_whole
from matching.crypto_errors import StatementRefused
from matching.lineage import Signed, check_next
from matching.statement import Statement, check_statement
from policies import agreement as agreements
from policies.errors import AgreementRefused
from provenance.canonical import JSON
from provenance.errors import PolicyRefused, StoryRefused
from provenance.evidence import Checked, Evidence, check, read_file
from provenance.openings import Closed
from provenance.people import People, Terms, browsers
from provenance.quorum import Cosigned, Policy
from provenance.row_receipt import RowReceipt, is_row_receipt
from provenance.row_story import check_row_receipt, entries_of
from provenance.story import Gathered, Story, gather, tell


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody gave to replay: evidence, agreements, and whom to believe.

    Attributes:
        people: from the invite, else partners as the files themselves name them.
        actors: everybody's key by id, of the invite; None without one.
        statements: custodians' keys, former ones too, for key statements; empty without an invite.
    """

    evidences: tuple[Evidence, ...]
    rows: tuple[RowReceipt, ...]
    terms: tuple[Terms, ...]
    people: People
    actors: Mapping[str, bytes] | None
    statements: Mapping[str, bytes]

    def check(self, policy: Policy) -> Gathered:
        """Check each piece by itself; an entry may be opened in part.

        Raises:
            ProvenanceError: a piece does not hold.
        """
        seen: dict[bytes, Cosigned] = {}
        found = [(one.entry, check(one, policy, partial=True, seen=seen)) for one in self.evidences]
        for row in self.rows:
            found += entries_of(row, check_row_receipt(row, policy, self.actors))
        return gather(found)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was replayed, and in words what it showed and what not."""

    story: Story
    checked: tuple[str, ...]
    open: tuple[str, ...]
    closed: Closed

    @property
    def closed_words(self) -> list[str]:
        """By type, how many entries nobody opened."""
        return [
            f"{count} {kind}: nobody gave openings of these entries, and no rule was held to them"
            for kind, count in self.closed.counts().items()
        ]

    def to_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "opened": len(self.story.entries),
            "lines": list(self.story.lines),
            "checked": list(self.checked),
            "open": list(self.open),
            "closed": self.closed.counts(),
        }


def read_given(
    openings: Sequence[Path], documents: Sequence[Path], invite: Mapping[str, Any] | None
) -> Given:
    """Read receipts (files, or folders of them), agreements' bytes, and an invite.

    Raises:
        ProvenanceError: a file is no evidence.
        click.ClickException: a file cannot be read as what it should be.
    """
    evidences: list[Evidence] = []
    rows: list[RowReceipt] = []
    actors: dict[str, bytes] = {}
    vouched: list[JSON] = []
    for path in _files(openings):
        raw = read_whole(path)
        row = is_row_receipt(raw)
        named = _row(raw, rows, vouched) if row else _file(path, raw, evidences, vouched)
        for name, public in named.items():
            if actors.setdefault(name, public) != public:
                raise StoryRefused(f"{path}: {name} has another key here than in another file")
    people = _people(invite, actors, vouched)
    terms = tuple(_terms(path) for path in documents)
    known, keys = (actors_of(invite), custodians_of(invite)) if invite is not None else (None, {})
    return Given(tuple(evidences), tuple(rows), terms, people, known, keys)


def _file(
    path: Path, raw: bytes, evidences: list[Evidence], vouched: list[JSON]
) -> dict[str, bytes]:
    """Take a receipt in; return who is who in it."""
    try:
        read = read_file(loaded(raw))
    except ValueError as refused:
        raise click.ClickException(f"{path} is no receipt: {refused}") from refused
    evidences += read.evidences
    vouched += read.browser_keys
    return read.actors


def _row(raw: bytes, rows: list[RowReceipt], vouched: list[JSON]) -> dict[str, bytes]:
    """Take a row receipt in; return who is who in it."""
    read = RowReceipt.from_bytes(raw)
    rows.append(read)
    vouched += [
        {"partner": one.partner, "public": one.public.hex(), "signature": one.signature.hex()}
        for one in read.browsers
    ]
    return read.actors


def _files(openings: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for one in openings:
        names = ("*receipt.json", "*.receipt")
        found += sorted(p for name in names for p in one.rglob(name)) if one.is_dir() else [one]
    if openings and not found:
        raise click.ClickException("no receipt (*receipt.json, *.receipt) is in these folders")
    return found


def _people(
    invite: Mapping[str, Any] | None, actors: Mapping[str, bytes], vouched: Sequence[JSON]
) -> People:
    if invite is None:
        return People(partners=actors or None, browsers=browsers(vouched, actors))
    partners = _of_role(invite, "partner")
    return People(
        partners=partners,
        custodians=custodians_of(invite),
        operators=frozenset(_of_role(invite, "operator").values()),
        mailers=frozenset(_of_role(invite, "mailer").values()),
        threshold=_threshold(invite),
        browsers=browsers(vouched, partners),
    )


def _threshold(invite: Mapping[str, Any]) -> int:
    """How many custodians open a row, as the invite says it; one where it says nothing."""
    said = invite.get("threshold", 1)
    if type(said) is not int:
        raise PolicyRefused("the invite does not say how many custodians open a row")
    return said


def _of_role(invite: Mapping[str, Any], role: str) -> dict[str, bytes]:
    every = actors_of(invite)
    theirs = [str(one["id"]) for one in invite["actors"] if one.get("role") == role]
    return {id: every[id] for id in theirs}


def _terms(path: Path) -> Terms:
    document = read_whole(path)
    try:
        read = agreements.parse(document)
    except AgreementRefused as refused:
        raise click.ClickException(f"{path} is no agreement: {refused}") from refused
    return Terms(
        digest=agreements.digest(document),
        race=read.race.id,
        opens=read.opens,
        closes=read.closes,
        parties={one.id: bytes.fromhex(one.public) for one in read.parties},
        approvals=None if read.approval.rule == "all" else read.approval.k,
        size_class=read.size_class_max,
    )


def replay_given(given: Given, entries: Sequence[Checked], closed: Closed) -> Replayed:
    """Hold what was opened to every rule.

    Args:
        entries: of ``given``, checked, and known to stand in the log that was walked.
        closed: what of that log nobody opened.

    Raises:
        StoryRefused: naming the rule that was broken.
    """
    story = tell(entries, given.people, terms=given.terms, closed=closed)
    held, unshown = _key_statements(entries, given.statements, closed)
    checked = [f"{len(entries)} entries opened, each at its place in this log, signed by its actor"]
    checked += [f"{rule} ({count})" for rule, count in (*story.held, *held)]
    left = [*story.unshown, *unshown]
    if given.actors is None:
        left.append(
            "Which key is whose: that is what the receipts say; give --invite with one you trust. "
            "Roles of operator, mail machine and custodians were not checked."
        )
    return Replayed(story, tuple(checked), tuple(left), closed)


def _key_statements(
    entries: Sequence[Checked], publics: Mapping[str, bytes], closed: Closed
) -> tuple[list[tuple[str, int]], list[str]]:
    """Custodians' keys: points that fit, all signatures, each version after the one before."""
    stated = [
        one
        for one in entries
        if (one.kind, one.facts.get("kind")) == ("key", "statement") and not one.closed
    ]
    if not stated or not publics:
        return [], ["Key statements: custodians' keys are in the invite"] if stated else []
    known: dict[tuple[str, int], Statement] = {}
    unshown: list[str] = []
    for one in stated:
        try:
            _next_statement(one, known, publics, closed, unshown)
        except StatementRefused as refused:
            raise StoryRefused(f"entry {one.index} (key statement): {refused}") from refused
    rule = "key statements: share commitments fit, all signed, each follows the one before"
    return [(rule, len(stated))], unshown


def _next_statement(
    one: Checked,
    known: dict[tuple[str, int], Statement],
    publics: Mapping[str, bytes],
    closed: Closed,
    unshown: list[str],
) -> None:
    signed = Signed.from_facts(one.facts)
    now = signed.statement
    check_statement(now, signed.signatures, publics)
    again = known.setdefault((now.sid, now.version), now)
    if again.digest != now.digest:
        raise StatementRefused(f"a second statement of version {now.version} of one key")
    if now.version == 1:
        return
    before = known.get((now.sid, now.version - 1))
    if before is not None:
        check_next(before, signed, publics)
    elif closed.before(("key",), one.index):
        unshown.append(
            f"key {now.sid[:16]}: version {now.version} follows one that nobody opened; "
            "trellis audit keys asks the server for the whole line"
        )
    else:
        raise StatementRefused(f"version {now.version} stands before any other of its key")
