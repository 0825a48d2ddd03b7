"""Which bytes would leave this computer: the very parts and requests, and the form of the rest."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from consortium.cli import handing_in, uploading
from consortium.cli.api import SealedKeys
from consortium.cli.desk import last_line, say, table
from consortium.cli.home import Home
from consortium.cli.lists import OwnList
from consortium.cli.spool import Members
from consortium.cli.vault import private_folder, write_whole
from matching.evaluation import BATCH, BATCH_BYTES

SHOWN = 10
"""Requests whose digests are printed; the folder and the line of JSON have them all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it would leave for each custodian asked: its body's length and SHA-256."""

    size: int
    digest: str


def exact(body: dict[str, Any]) -> bytes:
    """The bytes in which the HTTP client sends a JSON body."""
    return httpx.Request("POST", "http://custodian.invalid/evaluate", json=body).content


def show(
    home: Home, own: OwnList, members: Members, keys: SealedKeys, out: Path | None = None
) -> None:
    """Print what a real run sends, to whom, and keep it so that a real run sends just that.

    Args:
        out: a folder that gets a copy of everything whose bytes are known.
    """
    requests = list(_requests(home, own, members, keys, out))
    if not requests and not own.has("outputs.sealed"):
        # Nobody has to be asked: the outputs part, too, can be made now.
        uploading.tokenise(
            home, own, members, keys, lambda _done, _of: None, evaluate=lambda *_, **__: None
        )
    parts = [
        (part.name, f"{part.size:,}", part.digest, "the server") for part in handing_in.leaving(own)
    ]
    if requests:
        to = f"{keys.match.threshold} custodians, each the same"
        parts.append(("outputs", "known after the codes", "known after the codes", "the server"))
        parts.append(("blinded points", f"{len(requests) * BATCH_BYTES:,}", "in the requests", to))
    say("Nothing was sent. A real run of this file sends exactly this:")
    table(("part", "bytes", "SHA-256", "to"), parts)
    say(*_requests_said(requests), *_contents(own, keys, asked=bool(requests)))
    if out is not None:
        _copies(own, parts, requests, out)
    last_line(
        {
            "dry_run": True,
            "id": own.id,
            "parts": [list(row) for row in parts],
            "requests": [[one.size, one.digest] for one in requests],
            "rows": len(members),
        }
    )


def _requests(
    home: Home, own: OwnList, members: Members, keys: SealedKeys, out: Path | None
) -> Iterator[Asked]:
    for number, body in enumerate(uploading.prepare(home, own, members, keys), 1):
        raw = exact(body)
        if out is not None:
            write_whole(out / "requests" / f"{number:06d}.json", raw)
        yield Asked(len(raw), hashlib.sha256(raw).hexdigest())


def _requests_said(requests: list[Asked]) -> list[str]:
    if not requests:
        return ["No custodian has to be asked: every code is known from an earlier upload."]
    lines = [f"Each custodian asked gets {len(requests):,} request(s) of {BATCH:,} points:"]
    lines += [
        f"  POST /evaluate  {one.size:,} bytes, SHA-256 {one.digest}" for one in requests[:SHOWN]
    ]
    if len(requests) > SHOWN:
        lines.append(f"  ... and {len(requests) - SHOWN:,} more (--out FOLDER writes them all)")
    lines.append(
        "  A real run within twelve hours sends these very bytes; a later one draws fresh blinds, "
        "so other bytes of the same length."
    )
    return lines


def _contents(own: OwnList, keys: SealedKeys, *, asked: bool) -> list[str]:
    lines = ["What is in them:"]
    if asked:
        lines.append(
            "  requests: blinded codes, your id, this list's id, the key's name, your signature."
        )
    return [
        *lines,
        "  rows: per row a tag, a lock, its proof, and what is sealed under the mail machine's key "
        f"and {keys.seal.threshold} custodians' shares.",
        "  outputs: scrambled codes, sealed to the operator's pepper process."
        + (" Their bytes follow from the custodians' answers." if asked else ""),
        f"  POST /contributions/{own.id}: your id, the season, which fields are sealed, how",
        "  many rows, sizes, digests, the list's key wrapped for the mail machine, a log entry of",
        "  constant length. It names the digest of the outputs, so its bytes are made last.",
        "  Each call to the server carries a signed token with your id too, good for four minutes.",
    ]


def _copies(
    own: OwnList, parts: list[tuple[str, str, str, str]], requests: list[Asked], out: Path
) -> None:
    """Put the parts beside the requests, and a page that says which is which."""
    private_folder(out)
    for name, file in handing_in.PARTS:
        if own.has(file):
            shutil.copyfile(own.folder / file, out / name)
            (out / name).chmod(0o600)
    lines = [f"{name}  {size} bytes  {digest}  to {to}" for name, size, digest, to in parts]
    lines += [
        f"requests/{number:06d}.json  {one.size:,} bytes  {one.digest}  to each custodian asked"
        for number, one in enumerate(requests, 1)
    ]
    write_whole(out / "what-leaves.txt", ("\n".join(lines) + "\n").encode())
    say(f"Copies of all of it: {out}")
