"""How much memory one upload takes, from reading the CSV to the last byte sent; in own process.

The list, the home and the server are made up. With ``hash``, the custodians' part is a keyed hash
made here, so that a million rows take minutes; with ``custodians``, two custodians' real answers
with proofs are made in this very process, whose memory then counts too.
"""

import base64
import hashlib
import hmac
import json
import os
import resource
import secrets
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from consortium.cli import handing_in, uploading
from consortium.cli.api import Api, SealedKeys
from consortium.cli.home import Home
from consortium.cli.memory import Memory
from consortium.cli.reading import read_list
from consortium.cli.tokenise import cores, evaluate_missing
from consortium.clock import utc
from mailer import keys as mailer_keys
from matching import evaluation, group, oprf
from matching.evaluation import BATCH
from matching.statement import Statement
from matching.threshold import committed, polynomial
from provenance.note import Signer

IDS = ("a", "b", "c")
MEGABYTE = 1 << 20


def peak(rows: int, kind: str) -> float:
    """Megabytes that an upload of so many rows took at most, its worker processes among them.

    Args:
        kind: ``hash`` or ``custodians``.
    """
    with TemporaryDirectory(prefix="trellis-bench-") as folder:
        words = [sys.executable, "-m", "consortium.cli.bench_upload", str(rows), kind, folder]
        ran = subprocess.run(words, check=True, capture_output=True, text=True)
        return float(json.loads(ran.stdout.splitlines()[-1])["megabytes"])


class Outside(httpx.BaseTransport):
    """A server that takes parts as they come and keeps none, and custodians that answer."""

    def __init__(self, shares: dict[str, bytes], home: Home) -> None:
        self._shares, self._home, self._totals = shares, home, dict.fromkeys(shares, 0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.method == "PUT":
            digest = hashlib.sha256()
            assert isinstance(request.stream, httpx.SyncByteStream)
            for chunk in request.stream:
                digest.update(chunk)
            return httpx.Response(200, json={"digest": digest.hexdigest()})
        body, id = json.loads(request.read()), request.url.host.partition(".")[0]
        message, points = body["request"], base64.b64decode(body["points"])
        share = self._shares[id]
        evaluated, proof = evaluation.answer(
            message, points, share=share, commitment=group.base(share)
        )
        self._totals[id] += BATCH
        response = evaluation.sign_response(
            message,
            evaluated,
            proof,
            custodian=id,
            total=self._totals[id],
            allowed=1 << 40,
            sign=self._home.sign,
        )
        said = {"response": response, "evaluations": base64.b64encode(evaluated).decode()}
        return httpx.Response(200, json=said)


def keyed(inputs: Iterable[bytes], *, memory: Memory, **_: Any) -> None:
    """Stand in for the custodians: a keyed hash of every input that is not known."""
    key, source = secrets.token_bytes(32), iter(inputs)
    while batch := list(islice(source, BATCH)):
        new = memory.fresh(batch)
        points = b"".join(hmac.digest(key, one, hashlib.sha256) for one in new)
        memory.put(new, points)


def upload(folder: Path, rows: int, kind: str) -> None:
    """Read, seal, tokenise and send a list of so many rows."""
    home, keys, shares = _set_up(folder)
    write_list(folder / "list.csv", rows)
    outside = Outside(shares, home)
    ready = read_list(
        folder / "list.csv", ("first_name", "language"), attested=False, private=home.state
    )
    digest = bytes.fromhex(handing_in.digest_of(folder / "list.csv"))
    source = uploading.source_key(home, digest)
    own = uploading.begin(home, source, ready.members, utc)
    members = uploading.in_order(home, own, ready.members)
    uploading.seal_rows(home, own, members, keys, ("first_name",), _quiet)
    with httpx.Client(transport=outside) as client:
        evaluate = keyed if kind == "hash" else evaluate_missing
        uploading.tokenise(home, own, members, keys, _quiet, evaluate=evaluate, client=client)
    api = Api(home, transport=outside)
    for name, file in handing_in.PARTS:
        handing_in.put_once(api, own, name, own.folder / file)
    api.close()


def write_list(path: Path, rows: int) -> None:
    """A list with name, address and ZIP code of people who are all different."""
    with path.open("w") as file:
        file.write("first_name,last_name,email,zip,status\n")
        for n in range(rows):
            first, last = _letters(n % 5_003), _letters(n // 7 + 26**3)
            file.write(f"{first},{last},{first}.{n}@mail.example,{80001 + n % 9000},subscribed\n")


def _letters(number: int) -> str:
    out = ""
    while number or not out:
        number, rest = divmod(number, 26)
        out += chr(97 + rest)
    return out


def _set_up(folder: Path) -> tuple[Home, SealedKeys, dict[str, bytes]]:
    """A partner's home in an installation that is nowhere, and the keys that its log would show."""
    home = Home.create(folder / "home", id="bench", role="partner", name="Bench")
    public, log = home.public.hex(), Signer.from_seed("log.invalid/bench", bytes(32)).verifier
    invite = {
        "api": "http://server.invalid", "log_url": "http://log.invalid",
        "origin": log.name, "log_vkey": log.vkey, "witnesses": [],
        "epoch": "bench", "race": "bench", "threshold": 2, "quorum": 0,
        "custodians": [{"id": id, "url": f"http://{id}.invalid", "public": public} for id in IDS],
    }  # fmt: skip
    home.__dict__["invite"] = invite
    statements, shares = {}, {}
    for purpose in ("match", "seal"):
        scalars = [group.reduce(os.urandom(64)) for _ in range(2)]
        commitments = tuple(group.base(one) for one in scalars)
        publics = tuple(committed(commitments, n) for n in (1, 2, 3))
        statements[purpose] = Statement(
            secrets.token_hex(32), "bench", purpose, oprf.SUITE, 2, IDS, commitments, publics
        )
        if purpose == "match":
            shares = {id: polynomial(scalars, n) for n, id in enumerate(IDS, 1)}
    pepper = bytes(31) + b"\x09"
    mailer = mailer_keys.generate().public
    return home, SealedKeys(statements["match"], statements["seal"], mailer, pepper), shares


def _quiet(_done: int, _total: int) -> None:
    return None


def main(rows: int, kind: str, folder: Path) -> None:
    """Run one upload and print the most memory it took, as one line of JSON."""
    upload(folder, rows, kind)
    unit = 1 if sys.platform == "darwin" else 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if kind == "custodians":
        # As if every worker had held the most at the very moment when the parent did.
        most += cores() * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"megabytes": round(most * unit / MEGABYTE, 1)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
