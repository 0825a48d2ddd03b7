"""Places near a point or inside a drawn area, by one point per place, without any network."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from matching.errors import GeographyRefused

__all__ = [
    "Area", "Point", "Points", "Ring", "distance", "holds", "inside", "near", "polygons",
    "read_area", "read_points", "ring",
]  # fmt: skip

EARTH_KM = 6371.0
_HEADERS = (("zip", "lat", "lon"), ("geoid", "intptlat", "intptlong"))
"""An installation's own table, or the Census Bureau's gazetteer of ZIP code tabulation areas."""

Point = tuple[float, float]
"""Latitude and longitude in degrees."""
Points = Mapping[str, Point]
Ring = Sequence[Point]
Area = Sequence[Sequence[Ring]]
"""Polygons, each an outer ring and then its holes."""


def read_points(path: Path) -> dict[str, Point]:
    """Read one point per ZIP: CSV or tab-separated, with a header of ``_HEADERS``.

    Raises:
        GeographyRefused: no such text, another header, no row, a row whose ZIP or degrees are not
            such, or a ZIP with two points.
    """
    try:
        return _read_points(path)
    except (UnicodeDecodeError, csv.Error):
        raise GeographyRefused(
            f"{path.name}: is not CSV in UTF-8: save it as 'CSV UTF-8'"
        ) from None


def _read_points(path: Path) -> dict[str, Point]:
    found: dict[str, Point] = {}
    with path.open(encoding="utf-8-sig", newline="") as text:
        first = text.readline()
        text.seek(0)
        rows = csv.DictReader(text, delimiter="\t" if "\t" in first else ",")
        names = {name.strip().casefold(): name for name in rows.fieldnames or () if name}
        header = next((h for h in _HEADERS if set(h) <= names.keys()), None)
        if header is None:
            raise GeographyRefused(f"{path.name}: needs the columns zip, lat and lon")
        for number, row in enumerate(rows, 2):
            code, lat, lon = ((row[names[word]] or "").strip() for word in header)
            if len(code) != 5 or not (code.isascii() and code.isdigit()):
                raise GeographyRefused(f"{path.name}, row {number}: the ZIP is not five digits")
            point = _point(lat, lon, f"{path.name}, row {number}")
            if found.setdefault(code, point) != point:
                raise GeographyRefused(
                    f"{path.name}, row {number}: the ZIP has another point above"
                )
    if not found:
        raise GeographyRefused(f"{path.name}: holds no ZIP")
    return found


def near(points: Points, centre: Point, km: float) -> tuple[str, ...]:
    """The places whose point is at most so many kilometres from a centre, sorted."""
    return tuple(sorted(code for code, at in points.items() if distance(at, centre) <= km))


def inside(points: Points, area: Area) -> tuple[str, ...]:
    """The places whose point lies inside an area, sorted. An area must not cross the date line."""
    return tuple(sorted(code for code, at in points.items() if any(holds(p, at) for p in area)))


def read_area(path: Path) -> list[list[list[Point]]]:
    """Read a drawn area: GeoJSON (RFC 7946) with at least one Polygon or MultiPolygon.

    Raises:
        GeographyRefused: it is no such thing, or a ring is not closed or has no area.
    """
    try:
        drawn = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as refused:
        raise GeographyRefused(f"{path.name}: is not JSON") from refused
    found = [[_drawn(one, path.name) for one in polygon] for polygon in polygons(drawn)]
    if not found or not all(found):
        raise GeographyRefused(f"{path.name}: holds no Polygon or MultiPolygon of GeoJSON")
    return found


def _drawn(one: Any, where: str) -> list[Point]:
    """A ring as somebody drew it: with an area, and on one side of the date line."""
    found = ring(one, where)
    if len(set(found)) < 3:
        raise GeographyRefused(f"{where}: a ring has no area")
    if any(abs(a[1] - b[1]) > 180 for a, b in pairwise(found)):
        raise GeographyRefused(f"{where}: a ring crosses the date line: draw it in two")
    return found


def polygons(drawn: Any) -> Iterator[list[Any]]:
    """Every polygon of a GeoJSON object, as its rings; of what is none, nothing."""
    if not isinstance(drawn, dict):
        return
    match drawn.get("type"), drawn:
        case "FeatureCollection", {"features": [*each]}:
            for one in each:
                yield from polygons(one)
        case "Feature", {"geometry": shape}:
            yield from polygons(shape)
        case "Polygon", {"coordinates": [*rings]}:
            yield rings
        case "MultiPolygon", {"coordinates": [*parts]}:
            yield from (one for one in parts if isinstance(one, list))


def ring(drawn: Any, where: str) -> list[Point]:
    """A ring's positions, checked; raises GeographyRefused."""
    if not isinstance(drawn, list) or len(drawn) < 4 or drawn[0] != drawn[-1]:
        raise GeographyRefused(f"{where}: a ring is not closed, or has fewer than four positions")
    found: list[Point] = []
    for position in drawn:
        if not isinstance(position, list) or len(position) < 2:
            raise GeographyRefused(f"{where}: a position is not longitude and latitude")
        found.append(_point(position[1], position[0], where))
    return found


def _point(lat: Any, lon: Any, where: str) -> Point:
    try:
        at = float(lat), float(lon)
    except (TypeError, ValueError):
        raise GeographyRefused(f"{where}: latitude and longitude are not numbers") from None
    if not (-90 <= at[0] <= 90 and -180 <= at[1] <= 180):
        raise GeographyRefused(f"{where}: latitude and longitude are not degrees")
    return at


def distance(a: Point, b: Point) -> float:
    """Kilometres on a sphere (the haversine); half a per cent off the true shape at most."""
    (lat, lon), (to_lat, to_lon) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    half = math.sin((to_lat - lat) / 2) ** 2
    half += math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def holds(polygon: Sequence[Ring], at: Point) -> bool:
    """Inside the outer ring and in no hole: an odd number of crossings over all rings."""
    return sum(_crossings(ring, at) for ring in polygon) % 2 == 1


def _crossings(ring: Ring, at: Point) -> int:
    """How many edges of a ring lie due east of a point."""
    y, x = at
    crossed = 0
    for (y1, x1), (y2, x2) in pairwise(ring):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            crossed += 1
    return crossed
