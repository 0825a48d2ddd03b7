"""A voter file's way in: coarsened, tokenised, shared tokens as decoys; the map back stays here."""

import hashlib
import hmac
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from consortium.cli import rolls
from consortium.cli.api import Api, entry_json, same_leaf
from consortium.cli.drafts import drafted_once, keep_receipt
from consortium.cli.errors import CheckRefused
from consortium.cli.handing_in import digest_of, put_part
from consortium.cli.home import Home, Json
from consortium.cli.lists import FACTS, OwnList
from consortium.cli.memory import recollection
from consortium.cli.tokenise import evaluate_missing
from consortium.cli.uploading import (
    Evaluate,
    Steps,
    asking,
    outputs_info,
    source_key,
)
from consortium.cli.vault import part_of, private_folder, write_whole
from matching.attributes import cells, write_attributes
from matching.bundle import seal_outputs, size_class
from matching.coarsen import Merged, coarsen, decoys
from matching.eligible import Electorate, withheld
from matching.recipes import RECIPES, VERSION, token_inputs
from matching.roll.local import county_names
from matching.roll.reader import LAST, Roll, Voter, open_roll
from matching.statement import Statement
from matching.totals import check_slice
from provenance.merkle import tree_root

FORMAT = "slice/v4"
"""The form of a slice: files enrolled in an earlier one are enrolled once more."""
K = 10
"""Voters that share every combination of attributes in a precinct."""


@dataclass(frozen=True, slots=True)
class Read:
    """A voter file read whole; ``repr`` shows no voter. ``only`` is the slice taken of it."""

    roll: Roll
    voters: tuple[Voter, ...] = field(repr=False)
    source: str
    only: rolls.Only = ()


def read_roll(place: Path, *, last: date = LAST, only: rolls.Only = ()) -> Read:
    """Read a voter file or a folder of them; bad lines are set aside and counted in ``roll``.

    Args:
        last: the day after which no date in the files can lie.
        only: (kind, code) pairs of ``rolls.SLICED_BY``; who lives in one is read; all without.

    Raises:
        RollRefused: no voter file, or one of no known layout; or nobody in it can be enrolled.
    """
    roll = open_roll(place, last=last)
    kept = tuple(sorted(set(only)))
    voters = tuple(voter for voter in roll.voters() if rolls.inside(voter, kept))
    if kept and not voters:
        raise rolls.nobody(kept)
    if not voters:
        raise rolls.none_at_all(roll)
    return Read(roll, voters, roll.source_digest(), kept)


def report(read: Read, *, every: bool = False) -> list[str]:
    """Say what was read and what was set aside: line and field, never a value."""
    return rolls.report(read.roll, len(read.voters), read.only, every=every)


def own_roll(home: Home, source: str) -> OwnList | None:
    """The enrolment of the same files, finished or not."""
    for path in (home.path / "rolls").glob(f"*/{FACTS}"):
        own = OwnList(path.parent)
        if own.facts["source"] == source:
            return own
    return None


def begin(
    api: Api,
    read: Read,
    *,
    on: date,
    k: int = K,
    households: bool = False,
    rule: Electorate | None = None,
) -> tuple[OwnList, list[Merged]]:
    """Coarsen and keep attributes and map, durably; or go on with them.

    Row and household ids are keyed by this steward and race: the same person keeps hers in the
    next slice and in the next epoch, with every stop and cap that hangs on it, and nobody else can
    compute one.

    Args:
        households: whether rows of one address share a number; only a holdout needs that.
        rule: who may vote in this election, and who has; nothing is told of the others.

    Raises:
        RollRefused: nobody may vote, the rule names what the file has not, or what was written
            does not hold the file's voters, precinct by precinct.
    """
    home, rule = api.home, rule or Electorate()
    parts = [f"{kind}={code}" for kind, code in read.only]
    source = source_key(
        home, bytes.fromhex(read.source), FORMAT, on.isoformat(), str(k), str(households),
        *parts, *rule.words(),
    )  # fmt: skip
    known = own_roll(home, source)
    if known is not None:
        return known, [Merged(**one) for one in home.vault.read(known.folder / "merged.enc")]
    key, under = home.secret("row-ids"), ids_under(home)

    def name(label: str) -> int:
        mac = hmac.digest(key, f"{under}|{label}".encode(), hashlib.sha256)
        return int.from_bytes(mac[:8], "big") >> 1

    counties = county_names(read.roll.layout.state)
    hidden = withheld(read.voters, rule, counties)
    made = coarsen(
        read.voters,
        on=on,
        generals=read.roll.generals,
        name=name,
        k=k,
        households=households,
        withheld=hidden.ids,
        primaries=read.roll.primaries,
        parties=rule.parties,
        counties=counties,
    )
    own = OwnList(private_folder(home.path / "rolls" / str(uuid4())))
    home.vault.write(
        own.folder / "map.enc", {str(row): voter for row, voter in made.voter_ids.items()}
    )
    home.vault.write(own.folder / "merged.enc", [asdict(one) for one in made.merged])
    with part_of(own.folder / "attributes.parquet") as part:
        write_attributes(part, made.rows)
    counted = cells(own.folder / "attributes.parquet")
    told = ("" if one.voter_id in hidden.ids else one.precinct for one in read.voters)
    check_slice(Counter(told), counted.by_precinct)
    facts = {
        "id": own.id,
        "epoch": home.invite["epoch"],
        "ids": under,
        "only": parts,
        "source": source,
        "rows": len(made.rows),
        "k": k,
        "rows_root": tree_root(counted.leaves).hex(),
        "cells": len(counted.leaves),
        "smallest": counted.smallest,
        "withheld": {"party": hidden.party, "district": hidden.district, "voted": hidden.voted},
        "created": api.clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    write_whole(own.folder / FACTS, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())
    return own, list(made.merged)


def ids_under(home: Home) -> str:
    """Under which word this home keys row ids: the race.

    An earlier version of this tool keyed them by the season; who began with that goes on with it,
    or nobody would be known any more in the race's next slice.
    """
    earlier = [OwnList(path.parent).facts for path in (home.path / "rolls").glob(f"*/{FACTS}")]
    said = [str(facts["ids"]) for facts in earlier if "ids" in facts]
    if said:
        return said[0]
    return Home(home.path).epochs[0] if earlier else str(home.invite["race"])


def tokenise(
    home: Home,
    own: OwnList,
    read: Read,
    *,
    statement: Statement,
    pepper: bytes,
    steps: Steps,
    workers: int | None = None,
    client: httpx.Client | None = None,
    evaluate: Evaluate = evaluate_missing,
) -> None:
    """Evaluate every voter's tokens, replace the shared ones by decoys, seal to the pepper.

    Unblinded: a voter file is public, so blinding would hide nothing and cost a multiplication each.
    """  # noqa: E501
    if own.has("outputs.sealed"):
        return
    stable = {int(row): voter for row, voter in home.vault.read(own.folder / "map.enc").items()}
    inputs = {voter.voter_id: token_inputs(voter.record) for voter in read.voters}
    rows = sorted(stable)
    distinct = list(
        dict.fromkeys(one for row in rows for one in inputs[stable[row]] if one is not None)
    )
    with recollection(home, statement) as memory:
        about = asking(home, own, statement, None, client, blinded=False)
        evaluate(
            distinct,
            memory=memory,
            total=len(distinct),
            progress=steps,
            workers=workers,
            **about,
        )
        found = dict(zip(distinct, memory.outputs(distinct), strict=True))
        memory.prune()
    by_row = {row: [found[one] if one else None for one in inputs[stable[row]]] for row in rows}
    # The roll must not be a graph: what two voters share would find them again in the public file.
    # Another in each epoch: who sees the outputs of two must not know them by being the same.
    key = home.secret(f"decoys/{home.invite['epoch']}")
    safe = decoys(by_row, steward_key=key, stable_ids=stable)
    triples = [
        (row, recipe, output)
        for row in rows
        for recipe, output in zip(range(len(RECIPES)), safe[row], strict=True)
        if output is not None
    ]
    with part_of(own.folder / "outputs.sealed") as part:
        seal_outputs(part, triples, pepper, outputs_info(own.id))


def send(api: Api, own: OwnList, read: Read, use_terms: Json) -> str:
    """Send both parts and the signed header; returns the leaf in hex."""
    home = api.home
    facts: Json = {
        "kind": "slice",
        "roll": own.id,
        "epoch": home.invite["epoch"],
        "attributes_digest": put_part(
            api, f"/rolls/{own.id}/attributes", own.folder / "attributes.parquet"
        ),
        "outputs_digest": put_part(api, f"/rolls/{own.id}/outputs", own.folder / "outputs.sealed"),
        "size_class": size_class(own.facts["rows"]),
        "k": own.facts["k"],
        "rows_root": own.facts["rows_root"],
        "source_digest": read.source,
        "use_terms": use_terms,
    }
    header = {
        **{name: value for name, value in facts.items() if name != "kind"},
        "steward": home.id,
        "recipes": VERSION,
        "rows": own.facts["rows"],
        "created": own.facts["created"],
    }
    drafted = drafted_once(home, own.folder / "entry.json", "roll", facts, api.clock)
    return same_leaf(
        drafted, api.post(f"/rolls/{own.id}", {"header": header, **entry_json(drafted)})
    )


def finish(
    api: Api, own: OwnList, leaf: str, timeout: float, progress: Callable[[str], None]
) -> None:
    """Wait for publication, keep the receipt, drop what was only needed on the way."""
    keep_receipt(own.folder / "receipt.json", api.wait_published(leaf, timeout, progress), api)
    own.note(leaf=leaf)
    (own.folder / "outputs.sealed").unlink(missing_ok=True)
    shutil.rmtree(api.home.path / "state" / own.id, ignore_errors=True)


def sizes(own: OwnList) -> list[tuple[str, int, str]]:
    """The parts that are ready: name, bytes, SHA-256."""
    return [
        (name, (own.folder / file).stat().st_size, digest_of(own.folder / file))
        for name, file in (("attributes", "attributes.parquet"), ("outputs", "outputs.sealed"))
        if own.has(file)
    ]


def terms(path: Path | None, agreed: Any) -> Json:
    """The roll's terms of use: a JSON file, or else those of the agreement.

    Raises:
        CheckRefused: the file is no JSON object.
    """
    if path is None:
        return dict(agreed)
    try:
        read = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise CheckRefused(f"{path.name}: the terms of use are not a JSON object")
    return read
