"""Lists meet the newest roll: what has met it by the same weights is left alone."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from consortium.service import enter
from consortium.service.workbench import Bench, Link
from consortium.store import contributions, doomed, log
from consortium.store.unit import Unit
from matching import engine, recipes, score
from matching.updates import Update

__all__ = ["link"]


@dataclass(frozen=True, slots=True)
class _LinksDue:
    """The newest roll, the lists that have to meet it, and of those it met before, whose links may
    still be right: the older roll by the list's id."""

    roll: contributions.Roll
    waiting: list[contributions.Contribution]
    before: dict[str, contributions.Roll]


def link(bench: Bench, epoch: str) -> None:
    """Match every list of an epoch that has not met its newest roll by the weights of today.

    A list that met an older roll by these weights, and meets no voter who has changed since, keeps
    its links.
    """
    weights = score.load()
    due = bench.units.run("links-due", lambda unit: _links_due(unit, epoch, score.digest(weights)))
    if due is None or not due.waiting:
        return
    with ExitStack() as stack:
        updates = _Updates(bench, due, bench.keys(epoch).tokens, stack)
        tie: Link | None = None
        for one in due.waiting:
            if updates.untouched(one):
                assert one.links_digest is not None
                _record_links(bench, one, due.roll, one.links_digest, weights)
                continue
            tie = tie or stack.enter_context(bench.linking())
            links = _links(bench, one, due.roll, tie, weights)
            _record_links(bench, one, due.roll, links, weights)


def _links_due(unit: Unit, epoch: str, parameters: str) -> _LinksDue | None:
    ready = contributions.rolls(unit, state="ready", epoch=epoch)
    if not ready:
        return None
    live = [
        one
        for state in ("logged", "matched")
        for one in contributions.listed(unit, state=state, epoch=epoch)
    ]
    runs = _runs(unit)
    older = {roll.id: roll for roll in ready[1:] if roll.tokens_digest}

    def current(one: contributions.Contribution) -> bool:
        run = runs.get((one.id, ready[0].id), (parameters, ""))
        return one.linked_roll == ready[0].id and run[0] == parameters

    def unchanged(one: contributions.Contribution) -> bool:
        run = runs.get((one.id, str(one.linked_roll)))
        return run == (parameters, one.tokens_digest) and one.links_digest is not None

    waiting = [one for one in live if one.rostered and not current(one)]
    before = {
        one.id: older[one.linked_roll]
        for one in waiting
        if one.linked_roll in older and unchanged(one)
    }
    return _LinksDue(ready[0], waiting, before)


def _runs(unit: Unit) -> dict[tuple[str, str], tuple[str, str]]:
    """By list and roll, as the log says of the newest run: its weights, and the list's tokens."""
    found = {}
    for one in log.of_kind(unit, "match", "operator"):
        said = {name: opened["value"] for name, opened in (one.openings or {}).items()}
        if said.get("kind") == "run":
            met = str(said["bundle"]), str(said["roll"])
            found[met] = str(said["parameters_digest"]), str(said.get("tokens_digest"))
    return found


class _Updates:
    """What the newest roll changed since each older one; each pair of rolls is compared once."""

    def __init__(self, bench: Bench, due: _LinksDue, key: bytes, stack: ExitStack) -> None:
        self._bench, self._due, self._key, self._stack = bench, due, key, stack
        self._known: dict[str, Update] = {}

    def untouched(self, one: contributions.Contribution) -> bool:
        """Whether a list's links are those that it would get by meeting the newest roll."""
        before = self._due.before.get(one.id)
        if before is None or one.tokens_digest is None:
            return False
        if before.id not in self._known:
            self._known[before.id] = self._compared(before)
        with self._bench.artefacts.open(one.tokens_digest) as members:
            return not self._known[before.id].touches(members)

    def _compared(self, before: contributions.Roll) -> Update:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        assert before.tokens_digest is not None
        assert self._due.roll.tokens_digest is not None
        with (
            self._bench.artefacts.open(before.tokens_digest) as old,
            self._bench.artefacts.open(self._due.roll.tokens_digest) as new,
        ):
            return Update(old, new, folder, key=self._key, memory=self._bench.memory)


def _links(
    bench: Bench,
    one: contributions.Contribution,
    roll: contributions.Roll,
    tie: Link,
    weights: score.Weights,
) -> str:
    """Link a list; the digest of the artefact."""
    assert one.tokens_digest is not None
    assert roll.tokens_digest is not None
    with (
        tempfile.TemporaryDirectory() as folder,
        bench.artefacts.open(one.tokens_digest) as members,
        bench.artefacts.open(roll.tokens_digest) as voters,
    ):
        out = Path(folder) / "links.parquet"
        tie(members, voters, out, key=bench.keys(one.epoch).tokens, weights=weights)
        return bench.artefacts.put(out)


def _record_links(
    bench: Bench,
    one: contributions.Contribution,
    roll: contributions.Roll,
    links: str,
    weights: score.Weights,
) -> None:
    def record(unit: Unit) -> None:
        now_is = contributions.get(unit, one.id)
        over = now_is.state in ("withdrawn", "ended")
        ready = contributions.rolls(unit, state="ready", epoch=one.epoch)
        if (
            over  # withdrawn meanwhile,
            or now_is.tokens_digest != one.tokens_digest  # or some rows: linked without them
            # or another worker was faster, or a newer roll is ready, which it may have met already
            or (now_is.linked_roll, now_is.links_digest) != (one.linked_roll, one.links_digest)
            or not ready
            or ready[0].id != roll.id
        ):
            doomed.doom(unit, {links} - {now_is.links_digest})
            return
        contributions.change(unit, one.id, state="matched", links_digest=links, linked_roll=roll.id)
        doomed.doom(unit, {one.links_digest} - {links})
        facts = {
            "kind": "run",
            "bundle": one.id,
            "roll": roll.id,
            "tokens_digest": one.tokens_digest,
            "roll_tokens_digest": roll.tokens_digest,
            "links_digest": links,
            "parameters": _parameters(bench, weights),
            "parameters_digest": score.digest(weights),
        }
        enter.write(unit, bench.pen, "match", facts, now=bench.clock())

    bench.units.run("linked", record)
    doomed.sweep(bench.units, bench.artefacts)


def _parameters(bench: Bench, weights: score.Weights) -> dict[str, str]:
    """What a run hung on besides its files; the digest of the weights covers what they say."""
    return {
        "cap": str(engine.BLOCK_CAP),
        "certain": str(weights.certain),
        "engine": bench.engine,
        "likely": str(weights.threshold),
        "recipes": recipes.VERSION,
    }
