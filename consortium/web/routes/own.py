"""The caller's own address: tests and seeds go there, once whoever reads it said yes."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from consortium.service import show, try_out
from consortium.web.begin import AllUnits, LogFiles, Now
from consortium.web.tokens import Bearer
from mailer import stops

router = APIRouter()


class Named(BaseModel):
    """An address; empty: none any more."""

    model_config = ConfigDict(extra="forbid")
    address: str


class Known(BaseModel):
    """How far it is: typed, asked, proven, or empty for none; never the address."""

    state: str


@router.get("/own-address")
def get(caller: Bearer, all_units: AllUnits) -> Known:
    """How far the caller's own address is."""
    return Known(state=all_units.read("own", lambda unit: try_out.own(unit, caller)))


@router.post("/own-address", status_code=202)
def post(named: Named, caller: Bearer, all_units: AllUnits, log_files: LogFiles, now: Now) -> Known:
    """Seal an address at once, and have it asked whether it is the caller's."""
    sealed = None
    if named.address:
        key = all_units.read("mailer-key", lambda unit: show.mailer_key(unit, log_files))
        sealed = stops.seal_typed(key, named.address, try_out.OWN)
    state = all_units.run("own", lambda unit: try_out.type_box(unit, caller, sealed, now()))
    return Known(state=state)
