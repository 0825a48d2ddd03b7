"""One list's way out: its rows sealed, its tokens asked for; each kept before the next.

Crash order. Nothing leaves before ``list.json`` fixes the upload's id and ``plan.enc`` its order, so
a re-run is the same upload and the same evaluation. Rows are sealed whole or again from nothing.
"""  # noqa: E501

import base64
import hashlib
import hmac
import json
import secrets
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import rfc8785

from consortium.cli.api import SealedKeys
from consortium.cli.errors import CheckRefused
from consortium.cli.home import Home, Json
from consortium.cli.lists import (
    FACTS,
    TREE,
    OwnList,
    OwnRow,
    keep_names,
    keep_rows,
    own_lists,
    packed,
)
from consortium.cli.memory import Memory, forget, recollection
from consortium.cli.memory import sweep as sweep_memory
from consortium.cli.spool import Member, Members, Spool
from consortium.cli.tokenise import CustodianAddress, evaluate_missing, prepared
from consortium.cli.vault import part_of, private_folder, sweep, write_whole
from consortium.clock import Clock
from mailer.seal import DEK_BYTES, new_wrapped_key, seal
from matching import bundle
from matching.bundle import BundleRow, size_class, write_rows
from matching.group import reduce
from matching.locks import make_entry, shared_point
from matching.recipes import ADDRESS_RECIPE, VERSION
from matching.statement import Statement
from provenance.rows import RowOpening, Tree

Evaluate = Callable[..., None]
Steps = Callable[[int, int], None]
EVERY = 256
"""Rows between two reports of progress."""

# -- which upload ----------------------------------------------------------------------------------


def source_key(home: Home, digest: bytes, *more: str) -> str:
    """Name a file by its SHA-256 so that only this home can tell whether it is the same file again."""  # noqa: E501
    said = "\n".join((VERSION, home.invite["epoch"], *more)).encode()
    return hmac.digest(home.secret("source"), digest + said, hashlib.sha256).hex()


def known(home: Home, source: str) -> OwnList | None:
    """The live upload of the same file, finished or not."""
    for own in own_lists(home):
        if own.facts["source"] == source and not own.withdrawn:
            return own
    return None


def begin(home: Home, source: str, members: Members, clock: Clock) -> OwnList:
    """Fix an upload's id and row order, durably; an unfinished upload of the same file goes on."""
    own = known(home, source)
    if own is not None:
        sweep(own.folder)
        return own
    numbers = list(members.numbers)
    # The order in a partner's file tells who joined when; the order that leaves tells nothing.
    secrets.SystemRandom().shuffle(numbers)
    own = OwnList(private_folder(home.path / "lists" / str(uuid4())))
    home.vault.write(own.folder / "plan.enc", numbers)
    facts = {
        "id": own.id,
        "source": source,
        "rows": len(numbers),
        "created": clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    write_whole(own.folder / FACTS, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())
    return own


def in_order(home: Home, own: OwnList, members: Members) -> Members:
    """Return the members in the order in which they leave; raises CheckRefused."""
    numbers = home.vault.read(own.folder / "plan.enc")
    if sorted(numbers) != list(members.numbers):
        raise CheckRefused(
            f"upload {own.id[:8]} was begun with other rows of this file (another version of this "
            "tool?): withdraw it, then upload again"
        )
    return members.ordered(numbers)


# -- rows ------------------------------------------------------------------------------------------


def seal_rows(
    home: Home,
    own: OwnList,
    members: Sequence[Member],
    keys: SealedKeys,
    fields: Sequence[str],
    steps: Steps,
) -> None:
    """Seal every member under two locks and write the rows part; a finished one is left alone.

    Args:
        members: in the order in which they leave.
        keys: from the cosigned log.
        fields: what the agreement allows to be sealed.
    """
    under = {"mailer": hashlib.sha256(keys.mailer).hexdigest(), "seal": keys.seal.sid}
    if own.has("rows.parquet") and (own.has("entry.json") or own.facts.get("under") == under):
        return
    header = {
        "bundle": own.id,
        "partner": home.id,
        "epoch": home.invite["epoch"],
        "recipes": VERSION,
        "mailer": under["mailer"],
        "fields": sorted(fields),
        "size_class": size_class(len(members)),
        "created": own.facts["created"],
    }
    if own.facts.get("upload"):
        header["upload"] = own.facts["upload"]
    # First of all: a half-renewed pair of rows and header must not look whole after a crash.
    (own.folder / "rows.parquet").unlink(missing_ok=True)
    # The bundle's key and the rows' scalars live in this call only: after it, opening a row takes
    # the mail machine and the custodians, for this computer too.
    dek = secrets.token_bytes(DEK_BYTES)
    wrapped, commitment = new_wrapped_key(keys.mailer, rfc8785.dumps(header), dek)
    # Neither a row's place in the tree nor the tree's size tells how many rows there are.
    places, kept = array("I", range(header["size_class"])), Spool(own.folder)
    secrets.SystemRandom().shuffle(places)

    def sealing(tree: Tree) -> Iterator[BundleRow]:
        """One row after the other, so that a long list is never sealed in memory."""
        for number, member in enumerate(members):
            row, secret = sealed_row(number, member)
            tree.put(places[number], row_opening(row, secret).commitment())
            kept.append(packed(OwnRow(member.row, row.tag, secret, row.lock, member.zip)))
            if not number % EVERY:
                steps(number, len(members))
            yield row

    def sealed_row(number: int, member: Member) -> tuple[BundleRow, bytes]:
        secret, r = secrets.token_bytes(32), reduce(secrets.token_bytes(64))
        entry = make_entry(home.invite["epoch"], secret, r)
        sealed = seal(
            member.payload,
            dek=dek,
            shared=shared_point(r, keys.seal.public),
            bundle=UUID(own.id).bytes,
            tag=entry.tag,
            lock=entry.lock,
        )
        return BundleRow(number, entry.tag, entry.lock, entry.proof, sealed), secret

    with (
        part_of(own.folder / "rows.parquet") as part,
        part_of(own.folder / TREE) as planted,
        planted.open("w+b") as file,
    ):
        tree = Tree(file, header["size_class"], secrets.token_bytes)
        write_rows(part, sealing(tree))
        steps(len(members), len(members))
        keep_rows(home, own, (kept.read(number) for number in range(len(kept))))
        (own.folder / "outputs.sealed").unlink(missing_ok=True)
        more = {
            "wrapped": base64.b64encode(wrapped).decode(),
            "commitment": commitment.hex(),
            "rows": len(kept),
            "root": tree.root().hex(),
        }
        whole = {"header": header, "more": more}
        write_whole(own.folder / "sealed.json", json.dumps(whole).encode())
        own.note(under=under)
        # Last of all the rows part gets its name: what stands before it belongs to it.


def row_opening(row: BundleRow, secret: bytes) -> RowOpening:
    """Return what opens one row's commitment, which the bundle's tree holds."""
    return RowOpening.of(secret, row.lock, row.tag, row.proof, row.sealed)


# -- outputs ---------------------------------------------------------------------------------------


def tokenise(
    home: Home,
    own: OwnList,
    members: Members,
    keys: SealedKeys,
    steps: Steps,
    evaluate: Evaluate = evaluate_missing,
    workers: int | None = None,
    client: httpx.Client | None = None,
) -> None:
    """Have every row's tokens evaluated, blinded, and write the outputs part sealed to the pepper.

    The custodians are asked for what no upload of this season has had answered. Interrupted, they
    are asked again only for what they had not answered.
    """
    if own.has("outputs.sealed"):
        return
    with recollection(home, keys.match) as memory:
        about = asking(home, own, keys.match, keys.match_evidence, client, blinded=True)
        # Before anything is asked: what a live list has named, no sweep takes from the memory.
        keep_names(home, own, (memory.names([*inputs_of(one)]) for one in members))
        evaluate(
            each_input(members),
            memory=memory,
            total=members.inputs,
            progress=steps,
            workers=workers,
            **about,
        )
        with part_of(own.folder / "outputs.sealed") as part:
            # Once the outputs have their name, nothing looks at the members again.
            triples = _triples(members, memory)
            bundle.seal_outputs(part, triples, keys.pepper, outputs_info(own.id))
        memory.prune()
    sweep_memory(home)


def prepare(
    home: Home, own: OwnList, members: Members, keys: SealedKeys
) -> Iterator[dict[str, Any]]:
    """Begin every request to the custodians, send none; yield the bodies as they would leave."""
    if own.has("outputs.sealed"):
        return
    with recollection(home, keys.match) as memory:
        about = asking(home, own, keys.match, keys.match_evidence, None, blinded=True)
        yield from prepared(each_input(members), memory=memory, **about)


def asking(
    home: Home,
    own: OwnList,
    statement: Statement,
    evidence: Json | None,
    client: httpx.Client | None,
    *,
    blinded: bool,
) -> dict[str, Any]:
    """Who asks whom, under which key, and where what is unfinished stays."""
    return {
        "statement": statement,
        "custodians": addresses(home),
        "actor": home.id,
        "sign": home.sign,
        "batch": own.id,
        "state": private_folder(home.state / own.id),
        "state_key": home.secret("evaluation"),
        "blinded": blinded,
        "client": client,
        "key": evidence,
        "evidence": home.path / "evidence",
    }


def each_input(members: Iterable[Member]) -> Iterator[bytes]:
    """Every input of a list, row by row; a missing field makes none."""
    for member in members:
        yield from inputs_of(member)


def inputs_of(member: Member) -> Iterator[bytes]:
    """The inputs of one row, its address last."""
    yield from (one for one in member.inputs if one is not None)
    yield member.address


def _triples(members: Iterable[Member], memory: Memory) -> Iterator[tuple[int, int, bytes]]:
    """Every (row, recipe, output) of a list, each row's address token last."""
    for number, member in enumerate(members):
        named = [(at, one) for at, one in enumerate(member.inputs) if one is not None]
        named.append((ADDRESS_RECIPE, member.address))
        found = memory.outputs([one for _, one in named])
        for (at, _), output in zip(named, found, strict=True):
            yield number, at, output


def outputs_info(id: str) -> bytes:
    """What a sealed outputs part is bound to: its bundle or roll."""
    return id.encode()


def addresses(home: Home) -> list[CustodianAddress]:
    """The custodians as the invite names them."""
    return [
        CustodianAddress(c["id"], c["url"], bytes.fromhex(c["public"]))
        for c in home.invite["custodians"]
    ]


def forget_others(home: Home, epochs: Iterable[str]) -> int:
    """Drop the memory of every epoch but these; returns how many there were."""
    return forget(home, but=frozenset(epochs))
