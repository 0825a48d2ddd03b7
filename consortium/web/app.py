"""Assembles the FastAPI application from routes, pages and problem handlers."""

from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from consortium.web import limits, pages, problems, routes, security
from consortium.web.log_files import BucketFiles, LogFiles


def create_app(process: Any) -> FastAPI:
    """The API, the pages and the log, over one wired process.

    Args:
        process: a ``consortium.wiring.Process``. It is not asked for a key.
    """
    app = FastAPI(
        title="Trellis",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        routes=[*_routes()],
    )
    app.state.process = process
    app.state.units = process.units
    app.state.clock = process.clock
    app.state.artefacts = process.artefacts
    app.state.log_files = process.log_files
    app.state.settings = process.settings
    problems.install(app)
    folder = process.settings.log_dir
    files = (
        BucketFiles(process.log_files, folder)
        if process.settings.log_store
        else LogFiles(directory=folder, check_dir=False)
    )
    app.mount("/log", files, name="log")
    app.add_middleware(limits.Bodies)
    app.add_middleware(security.Headers)
    return app


@cache
def _routes() -> list[BaseRoute]:
    """Every route; they know no process, and making them is most of what an application costs.

    They belong to no application, so its ``dependency_overrides`` do not reach them.
    """
    whole = APIRouter()
    for router in (routes.router(), *pages.routers()):
        whole.include_router(router)
    return whole.routes
