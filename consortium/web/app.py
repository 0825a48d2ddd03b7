"""Assembles the FastAPI application from routes, pages and problem handlers."""

from typing import Any

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from consortium.web import limits, pages, problems, routes, security

CHECKPOINT_SECONDS = 2
A_YEAR = 31_536_000


class LogFiles(StaticFiles):
    """The public log's tree as static files, with the headers of c2sp.org/tlog-tiles."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file: tiles are immutable, the checkpoint is not."""
        answer = await super().get_response(path, scope)
        if answer.status_code != 200:
            return answer
        if path.startswith("tile/"):
            answer.headers["Content-Type"] = "application/octet-stream"
            answer.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
        else:
            answer.headers["Content-Type"] = "text/plain; charset=utf-8"
            answer.headers["Cache-Control"] = f"public, max-age={CHECKPOINT_SECONDS}"
        answer.headers["Access-Control-Allow-Origin"] = "*"
        return answer


def create_app(process: Any) -> FastAPI:
    """The API, the pages and the log, over one wired process.

    Args:
        process: a ``consortium.wiring.Process``. It is not asked for a key.
    """
    app = FastAPI(title="Trellis", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.process = process
    app.state.units = process.units
    app.state.clock = process.clock
    app.state.artefacts = process.artefacts
    app.state.log_files = process.log_files
    app.state.settings = process.settings
    problems.install(app)
    app.include_router(routes.router())
    for router in pages.routers():
        app.include_router(router)
    app.mount("/log", LogFiles(directory=process.settings.log_dir, check_dir=False), name="log")
    app.add_middleware(limits.Bodies)
    app.add_middleware(security.Headers)
    return app
