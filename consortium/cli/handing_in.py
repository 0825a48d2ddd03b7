"""The parts of an upload on their way to the server: each sent once, then the entry; the receipt.

``entry.json`` is written before the POST: from then on the server may know this upload, and only
the same bytes are ever sent again.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from consortium.cli.api import Api, entry_json, same_leaf
from consortium.cli.drafts import drafted_once, keep_receipt
from consortium.cli.errors import ApiRefused, CheckRefused
from consortium.cli.home import Home, Json
from consortium.cli.lists import OwnList
from consortium.cli.vault import sweep, write_whole

PARTS = (("rows", "rows.parquet"), ("outputs", "outputs.sealed"))
GONE = 410
"""The status by which the server says that it does not have a part (any more)."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """One part as it leaves: its name, its size in bytes, its digest where it is known already."""

    name: str
    size: int
    digest: str


def leaving(own: OwnList) -> list[Leaving]:
    """The parts of an upload that are ready, with their sizes and digests."""
    return [
        Leaving(name, (own.folder / file).stat().st_size, digest_of(own.folder / file))
        for name, file in PARTS
        if own.has(file)
    ]


def send(api: Api, own: OwnList) -> str:
    """Send both parts, then the header with its signed entry; returns the leaf in hex.

    Nothing is visible on the server until the last call; the same again sends the same bytes.
    """
    home = api.home
    kept = json.loads((own.folder / "sealed.json").read_bytes())
    digests = {}
    for name, file in PARTS:
        digests[name] = put_once(api, own, name, own.folder / file)
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
    path, body = f"/contributions/{own.id}", {"header": header, **entry_json(drafted)}
    try:
        return same_leaf(drafted, api.post(path, body))
    except ApiRefused as refused:
        if refused.status != GONE:
            raise
    # They waited there for days without their entry, and were removed: the same bytes once more.
    own.note(there={})
    for name, file in PARTS:
        put_once(api, own, name, own.folder / file)
    return same_leaf(drafted, api.post(path, body))


def put_once(api: Api, own: OwnList, name: str, file: Path) -> str:
    """PUT one part unless the server has said before that it holds these bytes; its digest."""
    digest, there = digest_of(file), dict(own.facts.get("there", {}))
    if there.get(name) != digest:
        put_part(api, f"/contributions/{own.id}/{name}", file, digest)
        # From here on no re-run sends it again. A crash just before sends the same bytes twice.
        own.note(there={**there, name: digest})
    return digest


def put_part(api: Api, path: str, file: Path, digest: str | None = None) -> str:
    """PUT one part from the disk; returns its SHA-256 in hex, after the server said the same.

    Raises:
        CheckRefused: the server holds other bytes than were sent.
    """
    sent = digest or digest_of(file)
    answer = api.put_file(path, file)
    if not isinstance(answer, dict) or answer.get("digest") != sent:
        raise CheckRefused(
            "the server holds other bytes than were sent; run the same command again"
        )
    return sent


def finish(
    api: Api, own: OwnList, leaf: str, timeout: float, progress: Callable[[str], None]
) -> Json:
    """Wait for publication, keep the receipt, drop what was only needed on the way."""
    evidence = api.wait_published(leaf, timeout, progress)
    own.note(leaf=leaf)
    # Last of all but the tidying: from here on the list is uploaded.
    made = keep_receipt(own.folder / "receipt.json", evidence, api)
    tidy(api.home, own)
    return made


def tidy(home: Home, own: OwnList) -> None:
    """Drop what an uploaded list needed on the way, a crash's litter too."""
    sweep(own.folder)
    (own.folder / "outputs.sealed").unlink(missing_ok=True)
    shutil.rmtree(home.path / "state" / own.id, ignore_errors=True)


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
