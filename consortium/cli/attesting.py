"""A source checks its own rows under an audience's root before it signs."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from consortium.cli.api import Api, read_evidence, unbase64, unhex
from consortium.cli.approving import hand_in
from consortium.cli.errors import CheckRefused
from consortium.cli.home import Home, Json
from consortium.cli.lists import OwnList, OwnRow, sent
from consortium.cli.parting import unfinished
from consortium.cli.vault import write_whole
from matching.locks import RosterEntry, audience_leaf
from policies.approvals import manifest_digest
from provenance.merkle import tree_root

LEAF_BYTES = 32
ROSTER_ENTRY_BYTES = 128


@dataclass(frozen=True, slots=True)
class Found:
    """One own row inside an audience."""

    own: OwnList
    row: OwnRow = field(repr=False)


@dataclass(frozen=True, slots=True)
class Examined:
    """An audience whose root and own rows hold; what is left unjudged is said in ``notes``."""

    campaign: str
    digest: str
    root: str
    rows: tuple[Found, ...] = field(repr=False)
    notes: tuple[str, ...]


def examine(api: Api, campaign: Json, *, approved: str, moved: int = 0) -> Examined:
    """Check a frozen audience as its source must before signing.

    Args:
        campaign: the server's answer for this campaign.
        approved: the digest of the manifest that this partner approved.
        moved: how many own rows may lie outside the ZIPs asked for: people move, and the voter
            file may know a newer address than the list.

    Raises:
        CheckRefused: says how many rows, and their numbers in the partner's own file; signing
            nothing is the only safe answer.
    """
    home = api.home
    manifest = _manifest(campaign, approved)
    audience = api.get(f"/campaigns/{manifest['campaign']}/audience")
    leaves, nonce = _leaves(audience, manifest, approved)
    live, gone = _own_leaves(home, nonce)
    inside = {leaf for leaf in leaves if leaf in live}
    retired = [gone[leaf] for leaf in leaves if leaf in gone]
    if retired:
        raise CheckRefused(
            f"{_count(retired)} of yours that you withdrew {_is(retired)} in the audience "
            f"({_numbers(retired)}); nothing signed. Tell the operator."
        )
    rows = [live[leaf] for leaf in sorted(inside)]
    if rows and home.id not in manifest["sources"]:
        raise CheckRefused(
            f"{_count(rows)} of yours in the audience of a campaign you are no source of; nothing signed"  # noqa: E501
        )
    notes = _places(manifest["definition"], rows, moved)
    check_roster(api, rows)
    return Examined(manifest["campaign"], approved, audience["root"], tuple(rows), tuple(notes))


def _manifest(campaign: Json, approved: str) -> Json:
    manifest = campaign.get("manifest")
    if not isinstance(manifest, dict) or manifest_digest(manifest) != approved:
        raise CheckRefused("the campaign is no longer the one you approved; nothing signed")
    if manifest.get("campaign") != campaign.get("id"):
        raise CheckRefused("the manifest is of another campaign; nothing signed")
    return manifest


def _leaves(audience: Json, manifest: Json, approved: str) -> tuple[list[bytes], bytes]:
    """Return the audience's leaves and nonce, after recomputing the root over them."""
    if not isinstance(audience, dict):
        raise CheckRefused("the audience is not an object")
    if audience.get("campaign") != manifest["campaign"] or audience.get("digest") != approved:
        raise CheckRefused(
            "the audience belongs to another manifest than you approved; nothing signed"
        )
    if audience.get("definition") != manifest["definition"]:
        raise CheckRefused(
            "the audience was cut by another definition than you approved; nothing signed"
        )
    blob = unbase64(audience.get("leaves"))
    if len(blob) % LEAF_BYTES:
        raise CheckRefused("the audience's leaves are cut off; nothing signed")
    leaves = [blob[at : at + LEAF_BYTES] for at in range(0, len(blob), LEAF_BYTES)]
    if any(one >= after for one, after in pairwise(leaves)):
        raise CheckRefused("the audience's leaves are not sorted, or not distinct; nothing signed")
    if tree_root(leaves).hex() != audience.get("root"):
        raise CheckRefused("the audience's leaves do not lead to its root; nothing signed")
    if len(leaves) > manifest["size_class"]:
        raise CheckRefused("the audience is larger than the size you approved; nothing signed")
    return leaves, unhex(audience.get("nonce"))


def _own_leaves(home: Home, nonce: bytes) -> tuple[dict[bytes, Found], dict[bytes, Found]]:
    """Return own rows by their leaf: those that are live, and those that were withdrawn."""
    live: dict[bytes, Found] = {}
    gone: dict[bytes, Found] = {}
    for own in sent(home):
        leaving = {number for one in unfinished(home, own) for number in one.numbers}
        for row in own.rows(home):
            into = gone if own.withdrawn or row.row in leaving else live
            into[audience_leaf(nonce, row.lock)] = Found(own, row)
        for number, lock in own.gone(home):
            left = OwnRow(number, b"", b"", lock, "")
            gone[audience_leaf(nonce, lock)] = Found(own, left)
    return live, gone


def _places(definition: Json, rows: Sequence[Found], moved: int) -> list[str]:
    """Hold own ZIPs against the definition as far as a ZIP can tell; returns what it cannot."""
    places = definition["places"]
    others = sorted(kind for kind in places if kind != "zip")
    if others:
        return [
            f"Whether your rows lie in the {' or '.join(others)} asked for cannot be told from the "
            "ZIP on your list; the voter file decides, and this computer does not have it."
        ]
    asked = set(places.get("zip", ()))
    unknown = [one for one in rows if not one.row.zip]
    outside = [one for one in rows if one.row.zip and one.row.zip not in asked]
    if len(outside) > moved:
        raise CheckRefused(
            f"{_count(outside)} of yours {_is(outside)} in the audience with a ZIP that it does not "  # noqa: E501
            f"ask for ({_numbers(outside)}); nothing signed. Should these people have moved, say so "  # noqa: E501
            f"with --moved {len(outside)}."
        )
    notes = []
    if outside:
        notes.append(f"{_count(outside)} with another ZIP on your list accepted as moved.")
    if unknown:
        notes.append(
            f"{_count(unknown)} without a ZIP on your list: their place cannot be judged here."
        )
    return notes


def check_roster(api: Api, rows: Sequence[Found]) -> None:
    """Check that every own row of an audience stands in the logged roster, with its own tag.

    Raises:
        CheckRefused: a chunk is not what was logged, or an own row is missing from all of them.
    """
    wanted = {one.row.lock: one for one in rows}
    seen: set[bytes] = set()
    operator = api.home.actor(role="operator")["public"]
    # The race's epoch, which the server says: locks are proved for one, so no answer of it can
    # make rows of the other look as if they stood there.
    answer: Json = api.get("/roster") if rows else {"chunks": [], "epoch": api.home.epochs[0]}
    epoch = str(answer.get("epoch"))
    if epoch not in api.home.epochs:
        raise CheckRefused(
            "the roster is of an epoch that your invite does not name; join the operator's newest "
            "invite; nothing signed"
        )
    for chunk in answer.get("chunks", ()):
        for tag, lock in _chunk(api, epoch, chunk, operator):
            if lock not in wanted:
                continue
            if lock in seen or tag != wanted[lock].row.tag:
                raise CheckRefused(
                    "one of your locks stands in the roster under a foreign tag; nothing signed"
                )
            seen.add(lock)
    missing = [one for lock, one in wanted.items() if lock not in seen]
    if missing:
        raise CheckRefused(
            f"{_count(missing)} of yours {_is(missing)} in the audience but not in the logged roster "  # noqa: E501
            f"({_numbers(missing)}); nothing signed"
        )


def _chunk(api: Api, epoch: str, chunk: Json, operator: str) -> list[tuple[bytes, bytes]]:
    checked = api.check(read_evidence(chunk.get("evidence")))
    facts = checked.facts
    if (checked.kind, facts.get("kind"), checked.actor.hex()) != (
        "contribution",
        "roster",
        operator,
    ):
        raise CheckRefused("a chunk of the roster was not logged by the operator; nothing signed")
    if facts.get("epoch") != epoch or facts.get("chunk") != chunk.get("chunk"):
        raise CheckRefused("a chunk of the roster is shown in another's place; nothing signed")
    content = api.get_bytes(f"/roster/{chunk['chunk']}?epoch={epoch}")
    entries = [
        content[at : at + ROSTER_ENTRY_BYTES] for at in range(0, len(content), ROSTER_ENTRY_BYTES)
    ]
    if (
        hashlib.sha256(content).hexdigest() != facts.get("digest")
        or len(content) % ROSTER_ENTRY_BYTES
        or len(entries) != facts.get("size")
        or tree_root(entries).hex() != facts.get("root")
    ):
        raise CheckRefused("a chunk of the roster is not what was logged; nothing signed")
    read = [RosterEntry.from_bytes(one) for one in entries]
    return [(one.tag, one.lock) for one in read]


def attest(api: Api, examined: Examined) -> str:
    """Keep the own rows of the audience, sign, hand in; returns the leaf in hex."""
    keep_audience(api.home, examined)
    facts = {
        "kind": "attest",
        "campaign": examined.campaign,
        "digest": examined.digest,
        "root": examined.root,
    }
    return hand_in(
        api, examined.campaign, "attest", facts, "attestation", {"rows": len(examined.rows)}
    )


def keep_audience(home: Home, examined: Examined) -> None:
    """Write which own rows are in the audience: list and row number, nothing of the people."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("list", "row"))
    writer.writerows(sorted((one.own.id, one.row.row) for one in examined.rows))
    write_whole(home.path / "audiences" / f"{examined.campaign}.csv", text.getvalue().encode())


def _count(rows: Sequence[Found]) -> str:
    return f"{len(rows)} row{'s' if len(rows) != 1 else ''}"


def _is(rows: Sequence[Found]) -> str:
    return "is" if len(rows) == 1 else "are"


def _numbers(rows: Sequence[Found]) -> str:
    """Row numbers in the partner's own file: for the partner's eyes, on its own screen."""
    shown = sorted(one.row.row for one in rows)[:10]
    return "row " + ", ".join(map(str, shown)) + (" ..." if len(rows) > len(shown) else "")
