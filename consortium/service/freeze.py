"""Who is eligible by the public definition, over the sources that approved; the root is fixed."""

import secrets
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from consortium.service import agree, choose, enter, ghosts, match
from consortium.store import campaigns, contributions, doomed, frames, races, roster
from consortium.store.unit import Unit
from matching import engine, locks
from matching.bundle import write_rows
from provenance.merkle import tree_root

GHOSTS = "ghosts"
NO_GHOSTS = "the made-up rows among which people hide; they come with the voter file"


def freeze(bench: match.Bench, id: str) -> None:
    """Fix the audience of an approved campaign. Repeatable: a frozen one is left as it is.

    Freeze removes nobody: the stopped, capped and held out stay in, so that what custodians see is
    a function of the public definition alone. The mailer leaves them out.
    """

    def look(
        unit: Unit,
    ) -> tuple[campaigns.Campaign, list[str], choose.Snapshot, roster.Ghosts, object] | None:
        one = campaigns.get(unit, id)
        if one.state != "approved":
            return None
        drawn = roster.ghosts(unit, one.race, races.get(unit, one.race).epoch)
        if drawn is None or not drawn.rostered:
            campaigns.change(unit, id, waiting_for=NO_GHOSTS)
            return None
        yes = [a.partner for a in campaigns.approvals(unit, id, "approve")]
        return one, yes, choose.snapshot(unit, yes), drawn, _rows_of(unit, yes)

    due = bench.units.run("freeze-look", look)
    if due is None:
        return
    one, yes, seen, drawn, rows = due
    parties = sorted(bench.units.run("freeze-parties", lambda unit: agree.parties(unit, one.race)))
    assert one.manifest is not None  # what is approved has one
    sources = sorted(set(yes) & set(one.manifest["sources"]))
    nonce = secrets.token_bytes(32)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        attributes, listed = stack.enter_context(choose.opened(bench.artefacts, seen))
        mine = [source for source in listed if source.partner in sources]
        links = stack.enter_context(bench.artefacts.open(drawn.links_digest))
        chosen: dict[str, dict[int, int]] = {source.bundle: {} for source in mine}
        haunted: dict[int, int] = {}
        for eligible in engine.audience(
            one.definition, attributes, [*mine, engine.Source(GHOSTS, GHOSTS, links)]
        ):
            here = haunted if eligible.bundle == GHOSTS else chosen[eligible.bundle]
            here[eligible.row] = eligible.roll_row
        parts = [_part(bench, stack, source, chosen[source.bundle]) for source in mine]
        key = bench.artefacts.read(drawn.rows_digest)
        for source in mine:
            own = ghosts.of_list(haunted, parties.index(source.partner))
            parts.append(_ghosts_of(source.bundle, own, key, folder))
        out = folder / "audience.parquet"
        found = frames.write_audience(out, attributes, parts)
        digest = bench.artefacts.put(out)
    root = tree_root(locks.audience_leaves(nonce, found)).hex()

    def record(unit: Unit) -> None:
        still = campaigns.get(unit, id)
        if still.state != "approved" or still.manifest is None:
            doomed.doom(unit, [digest])
            return
        if _rows_of(unit, yes) != rows or _taken_back(unit, yes):
            doomed.doom(unit, [digest])  # whoever left is in it
            unit.after("freeze", campaign=id)  # somebody left meanwhile: cut it anew without them
            return
        if len(found) > still.manifest["size_class"]:
            doomed.doom(unit, [digest])
            campaigns.change(
                unit,
                id,
                state="stopped",
                waiting_for="the audience no longer fits what was approved; draft it again",
                closed=bench.clock(),
            )
            return
        campaigns.change(
            unit,
            id,
            state="frozen",
            nonce=nonce.hex(),
            root=root,
            audience_digest=digest,
            epoch=drawn.epoch,
            waiting_for="each partner's check of its own rows",
        )

    bench.units.run("freeze", record)


def _rows_of(unit: Unit, partners: list[str]) -> list[tuple[str, str, str]]:
    """From which files of these partners an audience is cut."""
    return [
        (one.id, one.state, one.rows_digest)
        for one in contributions.listed(unit)
        if one.partner in partners
    ]


def _taken_back(unit: Unit, partners: list[str]) -> bool:
    """Whether rows were withdrawn that the files still hold."""
    return any(
        contributions.get(unit, id).partner in partners for id in contributions.shredding(unit)
    )


def _ghosts_of(bundle: str, on: Mapping[int, int], key: bytes, folder: Path) -> frames.Part:
    """A list's ghosts among its rows, under the locks that came into the roster with it."""
    path = folder / f"{bundle}.ghosts.parquet"
    write_rows(path, [ghosts.row(key, bundle, n) for n in sorted(on)])
    # A ghost carries a token like everybody else; random, so it equals nobody's.
    return frames.Part(GHOSTS, GHOSTS, path, on, {n: secrets.token_bytes(16) for n in on})


def _part(
    bench: match.Bench, stack: ExitStack, source: engine.Source, chosen: dict[int, int]
) -> frames.Part:
    one = bench.units.run("freeze-source", lambda unit: contributions.get(unit, source.bundle))
    assert one.tokens_digest is not None
    rows = stack.enter_context(bench.artefacts.open(one.rows_digest))
    members = stack.enter_context(bench.artefacts.open(one.tokens_digest))
    known = engine.address_tokens(members, bench.keys(one.epoch).tokens)
    return frames.Part(
        source.bundle, source.partner, rows, chosen, {row: known[row] for row in chosen}
    )


def intend(bench: match.Bench, id: str) -> None:
    """Promise the send-intent to the log once every source has attested. Repeatable."""

    def record(unit: Unit) -> None:
        one = campaigns.get(unit, id)
        if one.state != "attested" or one.manifest is None or one.intent_leaf is not None:
            return
        yes = {a.partner for a in campaigns.approvals(unit, id, "approve")}
        leaf = enter.write(
            unit,
            bench.pen,
            "intent",
            {
                "kind": "send",
                "campaign": id,
                "race": one.race,
                "digest": one.digest,
                "root": one.root,
                "nonce": one.nonce,
                "size_class": one.manifest["size_class"],
                "opens": one.manifest["window"]["opens"],
                "closes": one.manifest["window"]["closes"],
                "agreement": races.get(unit, one.race).digest,
                "sources": sorted(yes & set(one.manifest["sources"])),
                # Not needed to open rows, but for what everybody may see once the polls closed.
                "places": one.definition["places"],
                "subject": one.template["subject"],
            },
            now=bench.clock(),
        )
        campaigns.change(unit, id, intent_leaf=leaf)

    bench.units.run("intend", record)
