"""HTML, one file per screen; every one works as plain forms."""

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Every screen's router, in the order in which they are mounted."""
    from consortium.web.pages import auditor, coordinator, partner, recipient, sign_in

    return [each.router for each in (sign_in, coordinator, partner, auditor, recipient)]


__all__ = ["routers"]
