"""Who of the volunteers that confirmed lives closest to an audience, by the roll alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from consortium.service import agree, choose
from consortium.service.errors import NotReady, WrongState
from consortium.settings import Settings
from consortium.store import messengers
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Unit
from matching import engine
from matching.errors import GeographyRefused
from matching.geography import read_points
from matching.nearest import Chart, Spot, for_audience
from matching.shapes import read_shapes
from policies.authorise import Caller, require

NOBODY = "nobody has confirmed yet that letters may be signed with their name; ask a volunteer"


@dataclass(frozen=True, slots=True)
class Suggested:
    """A messenger for an audience. Both figures are of the public roll, of nobody's list.

    Attributes:
        nearest_to: of a hundred registered voters there, for how many nobody lives closer.
        km: to them, on average; None where the installation has no points.
    """

    name: str
    place: str
    nearest_to: int
    km: int | None


def suggest(
    unit: Unit,
    caller: Caller,
    race: str,
    definition: Mapping[str, Any],
    *,
    artefacts: Artefacts,
    chart: Chart,
) -> list[Suggested]:
    """Everybody who confirmed, the nearest to an audience's places first. It spends no look.

    Raises:
        Denied, DefinitionRefused, NotReady.
    """
    require(caller, "draft", term=agree.term(unit, race, unit.now))
    attributes = choose.snapshot(unit, []).attributes
    places = choose.normal_form(definition, artefacts, attributes)["places"]
    known = {one.id: one for one in messengers.listed(unit, race) if one.confirmed}
    with artefacts.open(attributes) as path:
        found = engine.homes({"places": places}, path)
    voters = {Spot(*spot): count for spot, count in found.items()}
    whole = max(1, sum(voters.values()))
    spots = {id: Spot(one.zip, one.precinct) for id, one in known.items()}
    return [
        Suggested(
            known[one.id].name,
            known[one.id].place,
            round(100 * one.first / whole),
            None if one.km is None else round(one.km),
        )
        for one in for_audience(voters, spots, chart)
    ]


def first(found: list[Suggested]) -> dict[str, str]:
    """The messenger whom a letter names when its author names none.

    Raises:
        WrongState: nobody has confirmed.
    """
    if not found:
        raise WrongState(NOBODY)
    return {"name": found[0].name, "place": found[0].place}


def chart_of(settings: Settings) -> Chart:
    """The points that this installation has; read once, and again when a file is another one.

    Raises:
        NotReady: a file that the settings name cannot be read.
    """
    zips, precincts = settings.zip_points, settings.precinct_shapes
    try:
        return Chart(
            _read(zips, zips.stat().st_mtime_ns, "zips") if zips else {},
            _read(precincts, precincts.stat().st_mtime_ns, "precincts") if precincts else {},
        )
    except (OSError, GeographyRefused) as refused:
        raise NotReady(f"the operator's table of points cannot be read: {refused}") from refused


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int, kind: str) -> Mapping[str, tuple[float, float]]:
    return read_points(path) if kind == "zips" else read_shapes(path).points
