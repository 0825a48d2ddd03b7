"""Tokens meet the roll.

Long work runs outside transactions: each step reads what is due in one unit, computes a new
artefact from immutable ones, and records its digest in another. A crash between the two leaves an
unnamed artefact and the same work due again.
"""

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consortium.service import agree, enter, ghosts, meet, unusable
from consortium.service.workbench import Bench, MatchKeys, forget
from consortium.store import campaigns, contributions, doomed, epochs, frames, log, races, roster
from consortium.store.unit import Unit
from matching import bundle, engine, locks
from matching.group import reduce
from matching.recipes import RECIPES
from provenance.merkle import tree_root

__all__ = ["Bench", "MatchKeys", "run"]

ROSTER_STEP = 1024
"""A roster chunk is padded to a multiple of this many entries."""


def run(bench: Bench) -> None:
    """Do all that is due, in order; repeatable at any time.

    During an overlap each epoch is matched by itself: no artefact of one ever meets the other's.
    """
    for epoch in bench.units.run("epochs-open", epochs.open_now):
        _ready_rolls(bench, epoch)
        _pepper_bundles(bench, epoch)
        _shred_outputs(bench)
        _draw_ghosts(bench, epoch)
        _extend_roster(bench, epoch)
        meet.link(bench, epoch)


def _published(unit: Unit, leaf: str) -> bool:
    return log.find(unit, leaf).index is not None


def _peppered(bench: Bench, digest: str, epoch: str, about: str, rows: int | None) -> str:
    """Open sealed outputs, check and pepper them, keep only the result. Returns its digest.

    Args:
        rows: of a list; None for a roll slice, whose tokens must be unique and tell no address.

    Raises:
        ArtefactRefused: they do not open.
        BundleRefused: they are not what a list's, or a roll's, must be.
    """
    keys = bench.keys(epoch)
    with tempfile.TemporaryDirectory() as folder, bench.artefacts.open(digest) as sealed:
        plain, out = Path(folder) / "outputs.parquet", Path(folder) / "tokens"
        bundle.open_file(sealed, plain, keys.outputs, about.encode())
        listed = rows is not None
        bundle.check_outputs(plain, recipes=len(RECIPES), address=listed, rows=rows)
        engine.pepper_outputs(
            plain, out, pepper=keys.pepper, epoch=epoch, key=keys.tokens, unique=not listed,
            memory=bench.memory,
        )  # fmt: skip
        return bench.artefacts.put(out)


def _ready_rolls(bench: Bench, epoch: str) -> None:
    due = bench.units.run(
        "rolls-due",
        lambda unit: [
            r
            for r in contributions.rolls(unit, state="received", epoch=epoch)
            if _published(unit, r.leaf)
        ],
    )
    for roll in due:
        tokens = unusable.sift(bench.units, roll.id, partial(_roll_tokens, bench, roll))
        if tokens is None:
            continue
        _make_ready(bench, roll, tokens)
        _forget_roll(bench, roll.id, tokens)


def _roll_tokens(bench: Bench, roll: contributions.Roll) -> str:
    assert roll.outputs_digest is not None
    return _peppered(bench, roll.outputs_digest, roll.epoch, roll.id, None)


def _make_ready(bench: Bench, roll: contributions.Roll, tokens: str) -> None:
    """From here on bundles meet this roll; in the same moment the race's ghosts stand on it."""

    def look(unit: Unit) -> tuple[roster.Ghosts | None, list[contributions.Roll]]:
        drawn = roster.ghosts(unit, races.first(unit).id, roll.epoch)
        return drawn, contributions.rolls(unit, state="ready", epoch=roll.epoch)

    drawn, ready = bench.units.run("ghosts-look", look)
    newest = not ready or roll.at > ready[0].at
    moved = None if drawn is None or not newest else _moved(bench, drawn, roll, ready)

    def record(unit: Unit) -> None:
        found = contributions.find_roll(unit, roll.id)
        if look(unit) != (drawn, ready) or found is None or found.state != "received":
            return  # another worker was faster, and the roll is due again; or its epoch has ended
        if drawn is not None and moved is not None:
            roster.move_ghosts(unit, drawn.race, drawn.epoch, moved)
        contributions.change_roll(unit, roll.id, state="ready", tokens_digest=tokens)

    bench.units.run("roll-ready", record)
    if drawn is not None:
        _forget_links(bench, drawn, {moved, drawn.links_digest})


def _moved(
    bench: Bench,
    drawn: roster.Ghosts,
    roll: contributions.Roll,
    older: Sequence[contributions.Roll],
) -> str:
    """Links of the same ghosts to rows that this roll has; the digest of the artefact.

    A ghost whose row is gone moves to a random row of the same precinct and keeps its lock: were
    it left out, the ghosts would be fewer with each roll. If the precinct is gone too, any row
    takes it.
    """
    with bench.artefacts.open(drawn.links_digest) as path:
        on = {row: roll_row for row, roll_row, _ in bundle.read_links(path)}
    with bench.artefacts.open(roll.attributes_digest) as path:
        lost = sorted({*on.values()} - {*engine.precincts_of(path, [*on.values()])})
        precincts = frames.precinct_rows(path) if lost else {}
    if not lost:
        return drawn.links_digest
    stood: dict[int, str] = {}
    for old in older:
        with bench.artefacts.open(old.attributes_digest) as path:
            stood = engine.precincts_of(path, lost) | stood
    anywhere = [row for rows in precincts.values() for row in rows]
    for row, roll_row in on.items():
        if roll_row in lost:
            on[row] = secrets.choice(precincts.get(stood.get(roll_row, ""), anywhere))
    return _put_links(bench, on)


def _put_links(bench: Bench, on: Mapping[int, int]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        links = Path(folder) / "links.parquet"
        bundle.write_links(links, [(row, roll_row, 1.0) for row, roll_row in sorted(on.items())])
        return bench.artefacts.put(links)


def _forget_links(bench: Bench, drawn: roster.Ghosts, digests: set[str | None]) -> None:
    """Delete links of ghosts that are named no longer, in this epoch or the other."""

    def look(unit: Unit) -> list[roster.Ghosts | None]:
        race, epoch = drawn.race, drawn.epoch
        return [roster.ghosts(unit, race, epoch), roster.ghosts_elsewhere(unit, race, epoch)]

    named = {one.links_digest for one in bench.units.run("ghosts-named", look) if one is not None}
    forget(bench, digests - named)


def _forget_roll(bench: Bench, id: str, tokens: str) -> None:
    """Delete a roll's new tokens if its epoch ended while they were made."""
    now = bench.units.run("forget-roll", lambda unit: contributions.find_roll(unit, id))
    if now is not None and now.state == "ended":
        forget(bench, {tokens})


def _pepper_bundles(bench: Bench, epoch: str) -> None:
    due = bench.units.run(
        "bundles-due",
        lambda unit: [
            c
            for c in contributions.listed(unit, state="received", epoch=epoch)
            if _published(unit, c.leaf)
        ],
    )
    for one in due:
        tokens = unusable.sift(bench.units, one.id, partial(_list_tokens, bench, one))
        if tokens is None:
            continue

        def record(unit: Unit, id: str = one.id, tokens: str = tokens) -> None:
            if contributions.get(unit, id).state == "received":
                contributions.change(unit, id, state="logged", tokens_digest=tokens)

        bench.units.run("bundle-logged", record)
        forget(bench, {tokens})


def _list_tokens(bench: Bench, one: contributions.Contribution) -> str:
    assert one.outputs_digest is not None
    with bench.artefacts.open(one.rows_digest) as path:
        rows = bundle.count_rows(path)
    return _peppered(bench, one.outputs_digest, one.epoch, one.id, rows)


def _shred_outputs(bench: Bench) -> None:
    """Delete the sealed outputs of all that has been peppered.

    Their names are let go, and doomed, in one transaction: a crash leaves the deletion due.
    """

    def let_go(unit: Unit) -> list[str | None]:
        bundles = [c for c in contributions.listed(unit) if c.outputs_digest and c.tokens_digest]
        rolls = [r for r in contributions.rolls(unit) if r.outputs_digest and r.tokens_digest]
        for list_ in bundles:
            contributions.change(unit, list_.id, outputs_digest=None)
        for roll in rolls:
            contributions.change_roll(unit, roll.id, outputs_digest=None)
        gone = [c.outputs_digest for c in bundles] + [r.outputs_digest for r in rolls]
        doomed.doom(unit, gone)
        return gone

    if bench.units.run("outputs-gone", let_go):
        doomed.sweep(bench.units, bench.artefacts)


@dataclass(frozen=True, slots=True)
class _GhostsDue:
    """A race whose ghosts have no locks in an epoch yet; ``before`` are those of its other one."""

    race: str
    roll: contributions.Roll
    lists: int
    before: roster.Ghosts | None
    older: list[contributions.Roll]


def _draw_ghosts(bench: Bench, epoch: str) -> None:
    """Give a race its ghosts in an epoch, once.

    In its first epoch they are drawn: per list and precinct a random number, each on a random roll
    row. In the next they stay as many, on the same rows, under new locks: were they drawn anew,
    whoever sees released sets of both epochs could average the noise away.
    """

    def due(unit: Unit) -> _GhostsDue | None:
        race = races.first(unit)
        ready = contributions.rolls(unit, state="ready", epoch=epoch)
        if not ready or roster.ghosts(unit, race.id, epoch) is not None:
            return None
        before = roster.ghosts_elsewhere(unit, race.id, epoch)
        lists = len(agree.terms(unit, race.id).parties)
        older = [r for r in contributions.rolls(unit, state="ready") if r.epoch != epoch]
        return _GhostsDue(race.id, ready[0], lists, before, older)

    found = bench.units.run("ghosts-due", due)
    if found is None:
        return
    if found.before is None:
        links = _put_links(bench, _anywhere(bench, found))
    else:
        links = _moved(bench, found.before, found.roll, found.older)
    # The key of their locks: each list that is sent has its own from it, whenever it comes.
    key = bench.artefacts.put(secrets.token_bytes(32))
    drawn = roster.Ghosts(found.race, epoch, key, links, True)

    def record(unit: Unit) -> None:
        if due(unit) == found:  # else another worker was faster, or a newer roll is ready
            roster.add_ghosts(unit, drawn)
            for each in campaigns.listed(unit, states=("approved",)):
                unit.after("freeze", campaign=each.id)

    bench.units.run("ghosts", record)


def _anywhere(bench: Bench, found: _GhostsDue) -> dict[int, int]:
    """On which roll row each of a race's first ghosts stands."""
    with bench.artefacts.open(found.roll.attributes_digest) as path:
        precincts = frames.precinct_rows(path)
    return ghosts.place(precincts, found.lists, secrets.randbelow)


def _extend_roster(bench: Bench, epoch: str) -> None:
    """Append one chunk with everybody's new locks, their ghosts and spares, mixed.

    Its length is a function of the lists' size classes and the roll's precincts alone.
    """

    def due(unit: Unit) -> tuple[roster.Ghosts, str, list[contributions.Contribution], int] | None:
        race = races.first(unit)
        live = contributions.listed(unit, state="logged", epoch=epoch)
        new = [c for c in live if not c.rostered]
        drawn = roster.ghosts(unit, race.id, epoch)
        ready = contributions.rolls(unit, state="ready", epoch=epoch)
        if drawn is None or not ready or not new:
            return None  # without a roll there is nothing that a list could be mailed by
        return drawn, ready[0].attributes_digest, new, roster.next_chunk(unit, epoch)

    found = bench.units.run("roster-due", due)
    if found is None:
        return
    drawn, attributes, new, number = found
    lists = bench.units.run("roster-lists", lambda unit: agree.parties(unit, drawn.race))
    with bench.artefacts.open(attributes) as path:
        slots = ghosts.at_most(len(frames.precinct_rows(path)), len(lists))
    key = bench.artefacts.read(drawn.rows_digest)
    entries: list[bytes] = []
    for one in new:
        with bench.artefacts.open(one.rows_digest) as path:
            own = [row.tag + row.lock + row.proof for row in bundle.read_rows(path)]
        spares = slots + max(0, int(one.header["size_class"]) - len(own))
        entries += own
        entries += [ghosts.entry(key, epoch, one.id, n).to_bytes() for n in range(spares)]
    while len(entries) % ROSTER_STEP:
        entries.append(_nobody(epoch))
    secrets.SystemRandom().shuffle(entries)
    ids = [one.id for one in new]
    body = b"".join(entries)
    digest = bench.artefacts.put(body)
    root = tree_root(entries).hex()

    def record(unit: Unit) -> bool:
        if roster.next_chunk(unit, epoch) != number or epoch not in epochs.open_now(unit):
            return False  # another worker was faster, and what it left out is due; or it is over
        leaf = enter.write(
            unit,
            bench.pen,
            "contribution",
            {
                "kind": "roster",
                "epoch": epoch,
                "chunk": number,
                "digest": digest,
                "root": root,
                "size": len(entries),
            },
            now=bench.clock(),
        )
        roster.add(unit, roster.Chunk(epoch, number, digest, leaf))
        for one in ids:
            contributions.change(unit, one, rostered=True)
        return True

    if not bench.units.run("roster", record):
        forget(bench, {digest})


def _nobody(epoch: str) -> bytes:
    """An entry whose secret and scalar are forgotten at once."""
    made = locks.make_entry(epoch, secrets.token_bytes(32), reduce(secrets.token_bytes(64)))
    return made.to_bytes()
