"""HTML, one file per screen; every one works as plain forms."""

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Every screen's router, in the order in which they are mounted."""
    from consortium.web.assets import router as files
    from consortium.web.pages import (
        audience,
        auditor,
        calendar,
        coordinator,
        messenger,
        own,
        partner,
        programme,
        recipient,
        reply,
        sign_in,
        signing,
        volunteers,
        writing,
    )

    screens = (
        sign_in, audience, writing, volunteers, coordinator, partner, calendar, programme, auditor,
        recipient, messenger, reply, own, signing,
    )  # fmt: skip
    return [files, *(each.router for each in screens)]


__all__ = ["routers"]
