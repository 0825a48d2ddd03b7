"""One list's way out: sealed rows, tokens, parts, entry, receipt; each kept before the next.

Crash order. Nothing leaves before ``list.json`` fixes the upload's id and ``plan.enc`` its order, so
a re-run is the same upload and the same evaluation. Rows are sealed whole or again from nothing.
``entry.json`` is written before the POST: from then on the server may know this upload, and only
the same bytes are ever sent again.
"""  # noqa: E501

import base64
import hashlib
import hmac
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import rfc8785

from consortium.cli.api import Api, SealedKeys, entry_json, same_leaf
from consortium.cli.drafts import drafted_once, keep_receipt
from consortium.cli.errors import CheckRefused
from consortium.cli.home import Home, Json
from consortium.cli.lists import FACTS, OwnList, OwnRow, keep_rows, own_lists
from consortium.cli.tokenise import CustodianAddress, evaluate_inputs
from consortium.cli.vault import private_folder, settle, write_whole
from consortium.clock import Clock
from mailer.seal import DEK_BYTES, Payload, new_wrapped_key, seal
from matching.bundle import BundleRow, seal_file, size_class, write_outputs, write_rows
from matching.evaluation import BATCH
from matching.group import reduce
from matching.locks import make_entry, shared_point
from matching.recipes import ADDRESS_RECIPE, VERSION
from matching.statement import Statement
from provenance.merkle import tree_root

Evaluate = Callable[..., list[bytes]]
Steps = Callable[[int, int], None]
REQUEST_BYTES = BATCH * 32
EVERY = 256
"""Rows between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Member:
    """One mailable row, ready to be tokenised and sealed; ``repr`` shows only where it stands."""

    row: int
    inputs: tuple[bytes | None, ...] = field(repr=False)
    address: bytes = field(repr=False)
    payload: Payload = field(repr=False)
    zip: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Leaving:
    """One part as it leaves: its name, its size in bytes, its digest where it is known already."""

    name: str
    size: int
    digest: str


# -- which upload ----------------------------------------------------------------------------------


def source_key(home: Home, content: bytes, *more: str) -> str:
    """Name a file's content so that only this home can tell whether it is the same file again."""
    said = "\n".join((VERSION, home.invite["epoch"], *more)).encode()
    return hmac.digest(
        home.secret("source"), hashlib.sha256(content).digest() + said, hashlib.sha256
    ).hex()


def known(home: Home, source: str) -> OwnList | None:
    """The live upload of the same file, finished or not."""
    for own in own_lists(home):
        if own.facts["source"] == source and not own.withdrawn:
            return own
    return None


def begin(home: Home, source: str, members: Sequence[Member], clock: Clock) -> OwnList:
    """Fix an upload's id and row order, durably; an unfinished upload of the same file goes on."""
    own = known(home, source)
    if own is not None:
        return own
    numbers = [member.row for member in members]
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


def in_order(home: Home, own: OwnList, members: Sequence[Member]) -> list[Member]:
    """Return the members in the order in which they leave; raises CheckRefused."""
    numbers = home.vault.read(own.folder / "plan.enc")
    by_row = {member.row: member for member in members}
    if sorted(numbers) != sorted(by_row):
        raise CheckRefused(
            f"upload {own.id[:8]} was begun with other rows of this file (another version of this "
            "tool?): withdraw it, then upload again"
        )
    return [by_row[number] for number in numbers]


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
    # First of all: a half-renewed pair of rows and header must not look whole after a crash.
    (own.folder / "rows.parquet").unlink(missing_ok=True)
    # The bundle's key and the rows' scalars live in this call only: after it, opening a row takes
    # the mail machine and the custodians, for this computer too.
    dek = secrets.token_bytes(DEK_BYTES)
    wrapped, commitment = new_wrapped_key(keys.mailer, rfc8785.dumps(header), dek)
    kept: list[OwnRow] = []
    leaves: list[bytes] = []

    def sealing() -> Iterator[BundleRow]:
        """One row after the other, so that a long list is never sealed in memory."""
        for number, member in enumerate(members):
            row, secret = sealed_row(number, member)
            leaves.append(row_commitment(row, secret))
            kept.append(OwnRow(member.row, row.tag, secret, row.lock, member.zip, b""))
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

    with part_of(own.folder / "rows.parquet") as part:
        write_rows(part, sealing())
        steps(len(members), len(members))
        keep_rows(home, own, kept)
        (own.folder / "outputs.sealed").unlink(missing_ok=True)
        more = {
            "wrapped": base64.b64encode(wrapped).decode(),
            "commitment": commitment.hex(),
            "rows": len(kept),
            "root": tree_root(leaves).hex(),
        }
        whole = {"header": header, "more": more}
        write_whole(own.folder / "sealed.json", json.dumps(whole).encode())
        own.note(under=under)
        # Last of all the rows part gets its name: what stands before it belongs to it.


def row_commitment(row: BundleRow, secret: bytes) -> bytes:
    """Return the salted commitment to one row, which the bundle's tree holds."""
    salt = hmac.digest(secret, b"row-salt", hashlib.sha256)
    return hashlib.sha256(salt + row.tag + row.lock + row.proof + row.sealed).digest()


# -- outputs ---------------------------------------------------------------------------------------


def tokenise(
    home: Home,
    own: OwnList,
    members: Sequence[Member],
    keys: SealedKeys,
    steps: Steps,
    evaluate: Evaluate = evaluate_inputs,
    workers: int = 2,
    client: httpx.Client | None = None,
) -> None:
    """Have every row's tokens evaluated, blinded, and write the outputs part sealed to the pepper.

    Interrupted, the custodians are asked again only for what they had not answered.
    """
    if own.has("outputs.sealed"):
        return
    wanted = _wanted(members)
    distinct = list(dict.fromkeys(one for _, _, one in wanted))
    found = evaluated(
        home, own, distinct, keys.match, steps, evaluate, workers, client, blinded=True
    )
    addressed = {number: found[one] for number, at, one in wanted if at == ADDRESS_RECIPE}
    rows = own.rows(home)
    keep_rows(
        home,
        own,
        [
            OwnRow(r.row, r.tag, r.secret, r.lock, r.zip, addressed[number])
            for number, r in enumerate(rows)
        ],
    )
    triples = [(number, at, found[one]) for number, at, one in wanted]
    seal_outputs(home, own.folder / "outputs.sealed", own.id, triples, keys.pepper)


def evaluated(
    home: Home,
    own: OwnList,
    inputs: Sequence[bytes],
    statement: Statement,
    steps: Steps,
    evaluate: Evaluate,
    workers: int,
    client: httpx.Client | None,
    *,
    blinded: bool,
) -> dict[bytes, bytes]:
    """Have the custodians evaluate distinct inputs; each input's output."""
    outputs = evaluate(
        inputs,
        statement=statement,
        custodians=addresses(home),
        actor=home.id,
        sign=home.sign,
        batch=own.id,
        state=private_folder(home.state / own.id),
        state_key=home.secret("evaluation"),
        blinded=blinded,
        workers=workers,
        progress=steps,
        client=client,
    )
    return dict(zip(inputs, outputs, strict=True))


def _wanted(members: Sequence[Member]) -> list[tuple[int, int, bytes]]:
    """Every (row, recipe, input) of a list; a missing field makes no input."""
    return list(_asked(members))


def _asked(members: Sequence[Member]) -> Iterator[tuple[int, int, bytes]]:
    for number, member in enumerate(members):
        for at, one in enumerate(member.inputs):
            if one is not None:
                yield number, at, one
        yield number, ADDRESS_RECIPE, member.address


def blinded(members: Sequence[Member]) -> tuple[int, int]:
    """How many points would go to each custodian, and in how many requests."""
    points = len({one for _, _, one in _asked(members)})
    return points, -(-points // BATCH)


def seal_outputs(
    home: Home, out: Path, id: str, triples: Sequence[tuple[int, int, bytes]], pepper: bytes
) -> None:
    """Write token outputs and seal them to the pepper's key; the plain file goes at once."""
    plain = private_folder(home.state / id) / "outputs.parquet"
    try:
        write_outputs(plain, triples)
        plain.chmod(0o600)
        with part_of(out) as part:
            seal_file(plain, part, pepper, outputs_info(id))
    finally:
        plain.unlink(missing_ok=True)


def outputs_info(id: str) -> bytes:
    """What a sealed outputs part is bound to: its bundle or roll."""
    return id.encode()


def addresses(home: Home) -> list[CustodianAddress]:
    """The custodians as the invite names them."""
    return [
        CustodianAddress(c["id"], c["url"], bytes.fromhex(c["public"]))
        for c in home.invite["custodians"]
    ]


# -- sending ---------------------------------------------------------------------------------------


def leaving(own: OwnList) -> list[Leaving]:
    """The parts of an upload that are ready, with their sizes and digests."""
    return [
        Leaving(name, (own.folder / file).stat().st_size, digest_of(own.folder / file))
        for name, file in (("rows", "rows.parquet"), ("outputs", "outputs.sealed"))
        if own.has(file)
    ]


def send(api: Api, own: OwnList) -> str:
    """Send both parts, then the header with its signed entry; returns the leaf in hex.

    Nothing is visible on the server until the last call; the same again sends the same bytes.
    """
    home = api.home
    kept = json.loads((own.folder / "sealed.json").read_bytes())
    digests = {}
    for name, file in (("rows", "rows.parquet"), ("outputs", "outputs.sealed")):
        digests[name] = put_part(api, f"/contributions/{own.id}/{name}", own.folder / file)
    header: Json = {
        **kept["header"],
        **kept["more"],
        "rows_digest": digests["rows"],
        "outputs_digest": digests["outputs"],
    }
    facts: Json = {
        "kind": "bundle",
        "partner": home.id,
        "bundle": own.id,
        "epoch": header["epoch"],
        "rows_digest": header["rows_digest"],
        "outputs_digest": header["outputs_digest"],
        "root": header["root"],
        "size_class": header["size_class"],
    }
    write_whole(own.folder / "header.json", json.dumps(header, indent=1, sort_keys=True).encode())
    drafted = drafted_once(home, own.folder / "entry.json", "contribution", facts, api.clock)
    body = {"header": header, **entry_json(drafted)}
    return same_leaf(drafted, api.post(f"/contributions/{own.id}", body))


def put_part(api: Api, path: str, file: Path) -> str:
    """PUT one part; returns its SHA-256 in hex, after the server said the same.

    Raises:
        CheckRefused: the server holds other bytes than were sent.
    """
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    answer = api.put_bytes(path, content)
    if not isinstance(answer, dict) or answer.get("digest") != digest:
        raise CheckRefused(
            "the server holds other bytes than were sent; run the same command again"
        )
    return digest


def finish(
    api: Api, own: OwnList, leaf: str, timeout: float, progress: Callable[[str], None]
) -> Json:
    """Wait for publication, keep the receipt, drop what was only needed on the way."""
    evidence = api.wait_published(leaf, timeout, progress)
    made = keep_receipt(own.folder / "receipt.json", evidence, api)
    own.note(leaf=leaf)
    (own.folder / "outputs.sealed").unlink(missing_ok=True)
    shutil.rmtree(api.home.path / "state" / own.id, ignore_errors=True)
    return made


# -- small things ----------------------------------------------------------------------------------


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """Give a name to write to; the file gets its lasting name only when everything was written."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        settle(part, path)
    finally:
        part.unlink(missing_ok=True)
