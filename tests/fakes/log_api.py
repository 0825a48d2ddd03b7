"""The part of the operator's API that custodians call: real entries, proofs and cosignatures."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from provenance.backend import CHECKPOINT
from provenance.canonical import openings_from_json
from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.entry import opened
from provenance.evidence import Evidence
from provenance.merkle import inclusion_path, leaf_hash, nodes_of, tree_root
from provenance.note import COSIGNATURE, Note, Signer, parse_note
from provenance.receipt import make_receipt
from provenance.tiles import WIDTH, pack_entries, pack_hashes, parse_path
from provenance.witness import cosign

ORIGIN = "log.test/trellis"


class LogApi:
    """Entries in a list; every proof is made afresh under two cosignatures."""

    def __init__(self) -> None:
        self.log = Signer.from_seed(ORIGIN, b"\x01" * 32)
        self.witnesses = [
            Signer.from_seed(f"w{n}.test", bytes([n]) * 32, COSIGNATURE) for n in (2, 3)
        ]
        self.entries: list[bytes] = []
        self.clock: Callable[[], int] = lambda: int(time.time())
        self.openings: dict[str, Any] = {}

    def invite(self, url: str) -> dict[str, Any]:
        """The part of an invite that describes this log."""
        return {
            "api": url,
            "origin": ORIGIN,
            "log_url": f"{url}/log",
            "log_vkey": self.log.verifier.vkey,
            "witnesses": [
                {"name": one.verifier.name, "vkey": one.verifier.vkey, "url": url}
                for one in self.witnesses
            ],
            "quorum": 2,
            "mailer_key": "4e" * 32,
        }

    def add(self, entry: bytes, openings: Any) -> str:
        """Take an entry in, after opening it as the API does."""
        opened(entry, openings_from_json(openings))
        leaf = leaf_hash(entry).hex()
        if leaf not in self.openings:
            self.entries.append(entry)
            self.openings[leaf] = openings
        return leaf

    def evidence(self, leaf: str) -> dict[str, Any]:
        """Prove an entry under a checkpoint of now."""
        index = next(n for n, one in enumerate(self.entries) if leaf_hash(one).hex() == leaf)
        size, whole = len(self.entries), self.checkpoint()
        path = inclusion_path(index, size, nodes_of([leaf_hash(one) for one in self.entries]))
        receipt = make_receipt(index, path, whole)
        openings = openings_from_json(self.openings[leaf])
        return Evidence(self.entries[index], openings, receipt).to_json()

    def lines(self, epoch: str) -> dict[str, list[dict[str, Any]]]:
        """Every statement of an epoch's keys, by purpose, in the order of the log."""
        found: dict[str, list[dict[str, Any]]] = {"match": [], "seal": []}
        for entry in self.entries:
            leaf = leaf_hash(entry).hex()
            statement = self.openings[leaf].get("statement", {}).get("value")
            if statement and statement["epoch"] == epoch:
                found[statement["purpose"]].append(self.evidence(leaf))
        return found

    def destroyed(self, epoch: str) -> list[dict[str, Any]]:
        """What was said of destroying shares of an epoch."""
        leaves = [leaf_hash(entry).hex() for entry in self.entries]
        said = {leaf: {k: v["value"] for k, v in self.openings[leaf].items()} for leaf in leaves}
        wanted = ("destroyed", epoch)
        found = [
            leaf for leaf in leaves if (said[leaf].get("kind"), said[leaf].get("epoch")) == wanted
        ]
        return [self.evidence(leaf) for leaf in found]

    def checkpoint(self) -> bytes:
        """The newest checkpoint, cosigned now."""
        root = tree_root(self.entries)
        signed = sign_checkpoint(Checkpoint(ORIGIN, len(self.entries), root), self.log)
        note = parse_note(signed)
        lines = [cosign(note.text, one, self.clock()) for one in self.witnesses]
        return Note(note.text, (*note.signatures, *lines)).to_bytes()

    def file(self, path: str) -> bytes | None:
        """One of the log's public files, made when it is asked for."""
        if path == CHECKPOINT:
            return self.checkpoint()
        tile = parse_path(path)
        nodes = nodes_of([leaf_hash(one) for one in self.entries])
        first = tile.number * WIDTH
        if first + tile.width > len(self.entries) >> 8 * max(tile.level, 0):
            return None
        if tile.level < 0:
            return pack_entries(self.entries[first : first + tile.width])
        return pack_hashes([nodes(8 * tile.level, first + n) for n in range(tile.width)])

    def app(self) -> Starlette:
        """The calls custodians make."""

        async def post(request: Request) -> JSONResponse:
            body = await request.json()
            leaf = self.add(base64.b64decode(body["entry"]), body["openings"])
            return JSONResponse({"leaf": leaf}, status_code=202)

        async def get(request: Request) -> JSONResponse:
            proof = self.evidence(request.path_params["leaf"])
            return JSONResponse({"state": "published", "evidence": proof})

        async def roster(_: Request) -> JSONResponse:
            return JSONResponse({"epoch": "", "chunks": []})

        async def keys(request: Request) -> JSONResponse:
            epoch = request.path_params["epoch"]
            return JSONResponse({"lines": self.lines(epoch), "destroyed": self.destroyed(epoch)})

        async def file(request: Request) -> Response:
            found = self.file(request.path_params["path"])
            return Response(found or b"", status_code=200 if found is not None else 404)

        return Starlette(
            routes=[
                Route("/api/v1/keys/{epoch}", keys),
                Route("/log/{path:path}", file),
                Route("/api/v1/log/entries", post, methods=["POST"]),
                Route("/api/v1/log/entries/{leaf}", get),
                Route("/api/v1/roster", roster),
            ]
        )


@contextmanager
def serving_log(port: int, made: LogApi | None = None) -> Iterator[LogApi]:
    """Serve a log, a fresh one unless given, on loopback."""
    made = made or LogApi()
    server = uvicorn.Server(
        uvicorn.Config(made.app(), host="127.0.0.1", port=port, log_level="critical")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join(timeout=60)
