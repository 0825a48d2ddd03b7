"""Successors without what was withdrawn; the files before them go.

Everything here is repeatable: a successor is stored, then one transaction names it and dooms its
predecessor, then bytes are deleted. Only when nothing holds a withdrawn row any more is it
forgotten which rows were withdrawn.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from consortium.service import approve, enter
from consortium.service.match import Bench
from consortium.service.settle import OVER
from consortium.store import campaigns, contributions, deliveries, doomed, frames, texts
from consortium.store.contributions import WHOLE, Contribution
from consortium.store.unit import Unit
from matching import engine
from matching.bundle import without_rows

CUT = "cut:"
"""Marks a campaign whose audience holds bare locks, until it can be opened no more."""


@dataclass(frozen=True, slots=True)
class _Due:
    """One bundle, and which of its rows leave; ``rows`` is None when all do."""

    one: Contribution
    taken: frozenset[int]

    @property
    def rows(self) -> list[int] | None:
        """Numbers in order, or None for the whole bundle."""
        whole = WHOLE in self.taken or self.one.state == "withdrawn"
        return None if whole else sorted(self.taken)


def run(bench: Bench) -> None:
    """Shred all that is due, then the bytes of everything doomed. Repeatable at any time."""
    for due in bench.units.run("shred-due", _look):
        _shred(bench, due)
    for campaign in bench.units.run("cut-due", _over):
        _replace_audience(bench, campaign, "", [], locks=False)
    doomed.sweep(bench.units, bench.artefacts)
    bench.units.forget()


def _look(unit: Unit) -> list[_Due]:
    return [
        _Due(contributions.get(unit, id), contributions.taken_back(unit, id))
        for id in contributions.shredding(unit)
    ]


def _shred(bench: Bench, due: _Due) -> None:
    one, rows = due.one, due.rows
    if rows is not None:
        if one.tokens_digest is None:
            return  # its tokens are still sealed to the pepper: due again once they are not
        if not _replace_parts(bench, one, rows):
            return
    seen = bench.units.run("shred-audiences", _audiences)
    for campaign, digest in seen.items():
        now = _replace_audience(bench, campaign, one.id, rows, locks=True)
        seen[campaign] = now or digest

    def forget(unit: Unit) -> None:
        if all(seen.get(id, digest) == digest for id, digest in _audiences(unit).items()):
            contributions.shredded(unit, one.id, due.taken)
        # Otherwise an audience was fixed meanwhile: all of this is due again.

    bench.units.run("shredded", forget)


def _replace_parts(bench: Bench, one: Contribution, rows: list[int]) -> bool:
    """Successors of a bundle's rows, tokens and links. Returns whether they are named now."""
    key = bench.keys(one.epoch).tokens
    assert one.tokens_digest is not None
    new = replace(
        one,
        rows_digest=_successor(bench, one.rows_digest, lambda a, b: without_rows(a, b, rows)),
        tokens_digest=_successor(
            bench, one.tokens_digest, lambda a, b: engine.without_tokens(a, b, rows, key=key)
        ),
        links_digest=one.links_digest
        and _successor(bench, one.links_digest, lambda a, b: without_rows(a, b, rows)),
    )
    names = ("rows_digest", "tokens_digest", "links_digest")
    before, after = ([getattr(each, name) for name in names] for each in (one, new))
    if before == after:
        return True  # an earlier run came so far

    def record(unit: Unit) -> bool:
        now = contributions.get(unit, one.id)
        if [getattr(now, name) for name in names] != before:
            # Matched anew, or withdrawn whole: due again. Others' rows must not stay in what no
            # later withdrawal would find; what is named by another way is spared.
            doomed.doom(unit, {*after} - {*before})
            return False
        changed = dict(zip(names, after, strict=True))
        contributions.change(unit, one.id, **changed)
        doomed.doom(unit, {*before} - {*after})
        facts = {"kind": "shredded", "bundle": one.id, **changed}
        enter.write(unit, bench.pen, "withdrawal", facts, now=bench.clock())
        return True

    return bench.units.run("shred-parts", record)


def _successor(bench: Bench, digest: str, write: Callable[[Path, Path], int]) -> str:
    """Store a file's successor; the same name when nothing left."""
    with tempfile.TemporaryDirectory() as folder, bench.artefacts.open(digest) as path:
        out = Path(folder) / "successor"
        return bench.artefacts.put(out) if write(path, out) else digest


def _audiences(unit: Unit) -> dict[str, str]:
    found = campaigns.listed(unit)
    return {one.id: one.audience_digest for one in found if one.audience_digest is not None}


def _replace_audience(
    bench: Bench, id: str, bundle: str, rows: list[int] | None, *, locks: bool
) -> str | None:
    """A frozen audience's successor; the digest that is named now, None when that is no other.

    Until it can be opened no more, the root of an audience stands over every lock of it, so bare
    locks stay. An audience that not everybody has checked yet is cut anew instead.
    """
    one, bare = bench.units.run(
        "audience-look", lambda unit: (campaigns.get(unit, id), _bare(unit))
    )
    if one.audience_digest is None:
        return None
    keep = locks and id not in bare
    with (
        tempfile.TemporaryDirectory() as folder,
        bench.artefacts.open(one.audience_digest) as path,
    ):
        out = Path(folder) / "audience.parquet"
        changed = frames.without(path, out, bundle, rows, locks=keep)
        new = bench.artefacts.put(out) if changed else one.audience_digest

    def record(unit: Unit) -> str | None:
        now = campaigns.get(unit, id)
        if (now.audience_digest, now.state) != (one.audience_digest, one.state):
            doomed.doom(unit, {new} - {one.audience_digest})
            return None  # it moved on: due again
        if not keep:
            texts.drop(unit, CUT + id)
        if new == one.audience_digest:
            return None
        if one.state == "frozen":
            _cut_anew(unit, one)
            doomed.doom(unit, [new])  # it holds everybody else, and nothing names it
            return None
        campaigns.change(unit, id, audience_digest=new)
        doomed.doom(unit, [one.audience_digest])
        if keep:
            texts.put(unit, CUT + id, "bare")
        return new

    return bench.units.run("audience-cut", record)


def _cut_anew(unit: Unit, one: campaigns.Campaign) -> None:
    """Nothing can be opened under this root yet: its sources check another one.

    They are told what they were told before it was cut for the first time: never that, or why,
    somebody of another list left.
    """
    campaigns.unattest(unit, one.id)
    none = {"nonce": None, "root": None, "audience_digest": None}
    campaigns.change(unit, one.id, state="approved", waiting_for=approve.TO_FIX, **none)
    doomed.doom(unit, [one.audience_digest])
    unit.after("freeze", campaign=one.id)


def _bare(unit: Unit) -> set[str]:
    """Campaigns that are over, and that no custodian opens any more."""
    over = {one.id for one in campaigns.listed(unit, states=OVER)}
    return over - {*deliveries.to_close(unit)}


def _over(unit: Unit) -> list[str]:
    marked = {name.removeprefix(CUT) for name in texts.named(unit, CUT)}
    return sorted(marked & _bare(unit))
