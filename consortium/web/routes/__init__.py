"""JSON endpoints, one file per noun."""

from fastapi import APIRouter

from consortium.web.routes import campaigns, contributions, log, own, programmes, races


def router() -> APIRouter:
    """All of them under ``/api/v1``."""
    whole = APIRouter(prefix="/api/v1")
    for part in (log, races, contributions, campaigns, own, programmes):
        whole.include_router(part.router)
    return whole
