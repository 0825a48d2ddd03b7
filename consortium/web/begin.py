"""Hands a route its units of work, its clock and its artefacts."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from consortium.settings import Settings
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Units
from provenance.backend import Backend


def units(request: Request) -> Units:
    """The process's database."""
    found: Units = request.app.state.units
    return found


def clock(request: Request) -> Callable[[], datetime]:
    """The process's clock."""
    found: Callable[[], datetime] = request.app.state.clock
    return found


def artefacts(request: Request) -> Artefacts:
    """The process's artefact store."""
    found: Artefacts = request.app.state.artefacts
    return found


def log_files(request: Request) -> Backend:
    """The public log's files, to read proofs from."""
    found: Backend = request.app.state.log_files
    return found


def settings(request: Request) -> Settings:
    """The process's settings."""
    found: Settings = request.app.state.settings
    return found


AllUnits = Annotated[Units, Depends(units)]
Now = Annotated[Callable[[], datetime], Depends(clock)]
Files = Annotated[Artefacts, Depends(artefacts)]
LogFiles = Annotated[Backend, Depends(log_files)]
Knobs = Annotated[Settings, Depends(settings)]
