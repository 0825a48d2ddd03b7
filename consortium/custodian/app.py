"""A custodian over HTTP: read a body, run one verb in a worker thread, answer JSON.

Nothing is decided here but the size of a body and the form in which a refusal is said.
"""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consortium.custodian.answers import Custodian
from consortium.custodian.errors import CustodianError, Refused
from matching.crypto_errors import CryptoRefused, LockRefused, MessageRefused, PointRefused

MOST_BYTES = 256 * 1024 * 1024


def create_app(custodian: Custodian) -> Starlette:
    """Return the ASGI application of one custodian."""

    async def answer(request: Request, work: Callable[[Any], Mapping[str, Any]]) -> Response:
        body: Any = None
        if request.method == "POST":
            # Counted as it comes: a sender may announce no length, or a wrong one.
            raw = bytearray()
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > MOST_BYTES:
                    return _refusal(Refused("too-large", "the body is too large", 413))
            try:
                body = json.loads(raw)
            except (ValueError, RecursionError):
                return _refusal(Refused("malformed", "the body is not JSON", 400))
            if not isinstance(body, dict):
                return _refusal(Refused("malformed", "the body is not a JSON object", 400))
        try:
            return JSONResponse(await run_in_threadpool(work, body))
        except Refused as refused:
            return _refusal(refused)
        except CryptoRefused as error:
            return _refusal(_named(error))
        except CustodianError as error:
            return _refusal(Refused("not-ready", str(error), 503))
        except sqlite3.OperationalError:
            # A full or locked disk. Counted before it is answered: so nothing was answered either.
            detail = "this custodian cannot write its ledger now; nothing was counted or answered"
            return _refusal(Refused("ledger-full", detail, 507))

    def posts(work: Callable[[Any], Mapping[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await answer(request, work)

        return endpoint

    async def roster(request: Request) -> Response:
        chunk = request.path_params["chunk"]
        return await answer(request, lambda body: custodian.add_roster(chunk, body))

    async def chunk(request: Request) -> Response:
        campaign, number = request.path_params["campaign"], request.path_params["chunk"]
        return await answer(request, lambda body: custodian.answer_chunk(campaign, number, body))

    async def closing(request: Request) -> Response:
        campaign = request.path_params["campaign"]
        return await answer(request, lambda body: custodian.close_release(campaign, body))

    async def ceremony(request: Request) -> Response:
        sid, step = request.path_params["sid"], request.path_params["round"]
        return await answer(request, lambda _: custodian.message(sid, step))

    async def consents(request: Request) -> Response:
        return await answer(request, lambda _: {"consents": custodian.anchors.said()})

    async def status(request: Request) -> Response:
        return await answer(request, lambda _: custodian.status())

    return Starlette(
        routes=[
            Route("/evaluate", posts(custodian.evaluate), methods=["POST"]),
            Route("/roster/{chunk:int}", roster, methods=["POST"]),
            Route("/retire", posts(custodian.retire), methods=["POST"]),
            Route("/stop", posts(custodian.stop), methods=["POST"]),
            Route("/standing", posts(custodian.standing), methods=["POST"]),
            Route("/told", posts(custodian.tell), methods=["POST"]),
            Route("/countersign", posts(custodian.countersign), methods=["POST"]),
            Route("/release", posts(custodian.open_release), methods=["POST"]),
            Route("/release/{campaign}/close", closing, methods=["POST"]),
            Route("/release/{campaign}/{chunk:int}", chunk, methods=["POST"]),
            Route("/ceremony/{sid}/{round}", ceremony),
            Route("/consents", consents),
            Route("/status", status),
        ]
    )


def _named(error: CryptoRefused) -> Refused:
    if isinstance(error, PointRefused):
        return Refused("malformed-points", "a point is malformed or the identity", 400)
    if isinstance(error, LockRefused):
        return Refused("lock-proof", str(error), 400)
    if isinstance(error, MessageRefused):
        return Refused("not-signed", str(error), 401)
    return Refused("malformed", str(error), 400)


def _refusal(refused: Refused) -> Response:
    # What waits for the log is worth asking again soon.
    later = {"Retry-After": "2"} if refused.name.startswith("not-yet-") else {}
    said = {"refused": refused.name, "detail": refused.detail}
    return JSONResponse(said, status_code=refused.status, headers=later)
