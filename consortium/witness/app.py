"""The witness over HTTP (c2sp.org/tlog-witness)."""

import re

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consortium.clock import Clock
from consortium.witness.ledger import Ledger
from provenance.errors import WitnessRefused
from provenance.note import Signer

MAX_BODY = 1 << 17
SIZE_TYPE = "text/x.tlog.size"


def make_app(ledger: Ledger, signer: Signer, clock: Clock) -> Starlette:
    """The witness's ASGI application; submission and monitoring prefix are both ``/``."""

    async def add_checkpoint(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return PlainTextResponse("the request is too large\n", 400)
        try:
            line = await run_in_threadpool(ledger.add, body, signer, clock())
        except WitnessRefused as refused:
            return refusal(refused)
        return Response(line.to_line(), media_type="text/plain; charset=utf-8")

    def checkpoint(request: Request) -> Response:
        path = request.path_params["log"]
        note = ledger.latest(path) if re.fullmatch(r"[0-9a-f]{64}", path) else None
        if note is None:
            return PlainTextResponse("no checkpoint of such a log\n", 404)
        return Response(note, media_type="text/plain; charset=utf-8")

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{log}/checkpoint", checkpoint, methods=["GET"]),
        ]
    )


def refusal(refused: WitnessRefused) -> Response:
    """The answer to a request that is not cosigned; a 409 says the known size."""
    if refused.status == 409:
        return Response(f"{refused.known_size}\n", 409, {"content-type": SIZE_TYPE})
    return PlainTextResponse(f"{refused}\n", refused.status)
