"""Precinct shapes that an installation drops in: read, simplified, and each stood for by a point.

No map library: GeoJSON (RFC 7946) in and out. A shape's point is computed before anything is
simplified, and always lies inside it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from matching.errors import GeographyRefused
from matching.geography import Area, Point, Ring, distance, holds, polygons, ring

__all__ = ["METRES", "Shapes", "kept", "read_raw", "read_shapes", "whole_inside", "whole_near"]

METRES = 20.0
"""How far a simplified line may be from the drawn one: less than a street and its front gardens."""
FORMAT = "trellis/shapes/v1"
_DEGREE = 111_195.0
"""Metres in a degree of latitude, on the sphere of ``geography``."""
_NOTHING = 1e-12
"""Square degrees: a hundredth of a square metre."""
_FIELD = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Shapes:
    """Precincts as areas. ``source`` is the SHA-256, in hex, of the file that they came from."""

    vintage: str
    licence: str
    source: str
    points: Mapping[str, Point]
    areas: Mapping[str, Area]


def read_raw(
    path: Path, *, code: str, vintage: str, licence: str, metres: float = METRES
) -> Shapes:
    """Read a GeoJSON file of precincts as an office gives it out, and simplify it.

    Args:
        code: the precinct as the voter file's reader writes it, out of the features' properties:
            ``{PRECINCT}``, or ``{COUNTY} {NAME}``. Features of one code are parts of one precinct.
        vintage, licence: whose it is and of when, and by what right; kept beside the shapes.
        metres: how far a line may move.

    Raises:
        GeographyRefused: with the file's name and, counted from 1, the feature that is broken.
    """
    if not vintage.strip() or not licence.strip():
        raise GeographyRefused(f"{path.name}: a vintage and a licence have to be said")
    raw = path.read_bytes()
    areas: dict[str, list[list[Ring]]] = {}
    for where, feature in _features(raw, path.name):
        found = [_polygon(one, where) for one in polygons(feature.get("geometry"))]
        if not found:
            raise GeographyRefused(f"{where}: is no Polygon and no MultiPolygon")
        areas.setdefault(_code(code, feature, where), []).extend(found)
    points = {name: _point_of(area) for name, area in areas.items()}
    simple = {name: [_simple(one, metres) for one in area] for name, area in areas.items()}
    source = hashlib.sha256(raw).hexdigest()
    return Shapes(vintage.strip(), licence.strip(), source, points, simple)


def kept(shapes: Shapes) -> bytes:
    """The shapes as an installation keeps them: GeoJSON that any map program opens."""
    features = [
        {
            "type": "Feature",
            "properties": {"precinct": name, "point": _position(shapes.points[name])},
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [[[_position(at) for at in one] for one in polygon]
                                for polygon in shapes.areas[name]],
            },
        }
        for name in sorted(shapes.areas)
    ]  # fmt: skip
    head = {"format": FORMAT, "vintage": shapes.vintage, "licence": shapes.licence,
            "source": shapes.source}  # fmt: skip
    whole = {"type": "FeatureCollection", "trellis": head, "features": features}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read_shapes(path: Path) -> Shapes:
    """Read what ``kept`` wrote.

    Raises:
        GeographyRefused: it is another file, or one of its features is broken.
    """
    raw = path.read_bytes()
    points: dict[str, Point] = {}
    areas: dict[str, Area] = {}
    head = _json(raw, path.name).get("trellis")
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise GeographyRefused(f"{path.name}: make it with 'trellis coordinator shapes' first")
    for where, feature in _features(raw, path.name):
        said = feature.get("properties")
        if not isinstance(said, dict) or not isinstance(said.get("precinct"), str):
            raise GeographyRefused(f"{where}: names no precinct")
        name = said["precinct"]
        areas[name] = [_polygon(one, where) for one in polygons(feature.get("geometry"))]
        points[name] = ring([said.get("point")] * 4, where)[0]
    return Shapes(str(head["vintage"]), str(head["licence"]), str(head["source"]), points, areas)


def whole_near(shapes: Shapes, centre: Point, km: float) -> tuple[str, ...]:
    """The precincts no part of which is farther than so many kilometres from a centre, sorted."""
    return tuple(
        sorted(
            name
            for name, area in shapes.areas.items()
            if all(distance(at, centre) <= km for polygon in area for at in polygon[0])
        )
    )


def whole_inside(shapes: Shapes, area: Area) -> tuple[str, ...]:
    """The precincts that lie whole inside a drawn area, sorted; one on its line is not inside."""
    edges = [edge for polygon in area for one in polygon for edge in pairwise(one)]
    return tuple(sorted(name for name, one in shapes.areas.items() if _within(one, area, edges)))


def _within(shape: Area, area: Area, edges: Sequence[tuple[Point, Point]]) -> bool:
    """Every corner inside, no line crossed, and no corner of the area (a hole's) in the shape."""
    corners = [at for polygon in shape for at in polygon[0]]
    if not all(any(holds(one, at) for one in area) for at in corners):
        return False
    low, high = _box(corners)
    close = [edge for edge in edges if _meets_box(edge, low, high)]
    if any(holds(polygon, edge[0]) for polygon in shape for edge in close):
        return False
    own = [edge for polygon in shape for edge in pairwise(polygon[0])]
    return not any(_cross(one, other) for one in own for other in close)


def _box(corners: Sequence[Point]) -> tuple[Point, Point]:
    lats, lons = [y for y, _ in corners], [x for _, x in corners]
    return (min(lats), min(lons)), (max(lats), max(lons))


def _meets_box(edge: tuple[Point, Point], low: Point, high: Point) -> bool:
    return all(
        max(edge[0][axis], edge[1][axis]) >= low[axis]
        and min(edge[0][axis], edge[1][axis]) <= high[axis]
        for axis in (0, 1)
    )


def _cross(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    (a, b), (c, d) = one, other
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[1] - a[1]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[1] - a[1])


# --- reading ---------------------------------------------------------------------------------


def _json(raw: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as refused:
        raise GeographyRefused(f"{name}: is not JSON") from refused
    if not isinstance(found, dict) or found.get("type") != "FeatureCollection":
        raise GeographyRefused(f"{name}: is no FeatureCollection of GeoJSON")
    return found


def _features(raw: bytes, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    features = _json(raw, name).get("features")
    if not isinstance(features, list) or not features:
        raise GeographyRefused(f"{name}: holds no feature")
    for number, feature in enumerate(features, 1):
        where = f"{name}, feature {number}"
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise GeographyRefused(f"{where}: is no Feature")
        yield where, feature


def _code(form: str, feature: Mapping[str, Any], where: str) -> str:
    properties = feature.get("properties")

    def said(field: re.Match[str]) -> str:
        value = properties.get(field[1]) if isinstance(properties, dict) else None
        if value is None or isinstance(value, (dict, list, bool)) or not str(value).strip():
            raise GeographyRefused(f"{where}: has no property {field[1]!r}")
        return str(value).strip()

    found = " ".join(_FIELD.sub(said, form).split())
    if not _FIELD.search(form):
        raise GeographyRefused("the precinct's code names no property, such as {PRECINCT}")
    return found


def _polygon(rings: Sequence[Any], where: str) -> list[Ring]:
    found = [ring(one, where) for one in rings]
    if not found:
        raise GeographyRefused(f"{where}: a polygon has no ring")
    for one in found:
        if abs(_area(one)) < _NOTHING:
            raise GeographyRefused(f"{where}: a ring encloses nothing")
        if _tangled(one):
            raise GeographyRefused(f"{where}: a ring crosses itself")
    return list(found)


def _tangled(one: Ring) -> bool:
    """Whether two edges cross; only those that overlap from west to east are held together."""
    edges = sorted(pairwise(one), key=lambda edge: min(edge[0][1], edge[1][1]))
    near: list[tuple[Point, Point]] = []
    for edge in edges:
        west = min(edge[0][1], edge[1][1])
        south, north = sorted((edge[0][0], edge[1][0]))
        near = [each for each in near if each[0][1] >= west or each[1][1] >= west]
        for (y1, x1), (y2, x2) in near:
            apart = (y1 < south and y2 < south) or (y1 > north and y2 > north)
            if not apart and _cross(edge, ((y1, x1), (y2, x2))):
                return True
        near.append(edge)
    return False


def _position(at: Point) -> list[float]:
    """Longitude first, as GeoJSON has it; seven digits are a centimetre."""
    return [round(at[1], 7), round(at[0], 7)]


# --- points ----------------------------------------------------------------------------------


def _point_of(area: Area) -> Point:
    """The centre of the largest part, or where it is widest at that height if that lies outside."""
    largest = max(area, key=lambda polygon: abs(_area(polygon[0])))
    centre = _centre(largest[0])
    return centre if holds(largest, centre) else _widest(largest, centre[0])


def _area(one: Ring) -> float:
    """Signed, in square degrees."""
    (y0, x0) = one[0]
    return (
        sum((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0) for (y1, x1), (y2, x2) in pairwise(one))
        / 2
    )


def _centre(one: Ring) -> Point:
    """The centre of gravity; the same in degrees as in any flat map of a small place."""
    (y0, x0), six = one[0], 6 * _area(one)
    lat = lon = 0.0
    for (y1, x1), (y2, x2) in pairwise(one):
        turn = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        lat += (y1 + y2 - 2 * y0) * turn
        lon += (x1 + x2 - 2 * x0) * turn
    return y0 + lat / six, x0 + lon / six


def _widest(polygon: Sequence[Ring], lat: float) -> Point:
    """The middle of the longest piece of a parallel that lies inside."""
    lats = sorted({y for one in polygon for y, _ in one})
    above = next((y for y in lats if y > lat), lats[-1])
    below = next((y for y in reversed(lats) if y <= lat), lats[0])
    lat = (above + below) / 2  # between two corners, so that no line is met at its end
    met = sorted(
        x1 + (lat - y1) * (x2 - x1) / (y2 - y1)
        for one in polygon
        for (y1, x1), (y2, x2) in pairwise(one)
        if (y1 > lat) != (y2 > lat)
    )
    west, east = max(zip(met[::2], met[1::2], strict=False), key=lambda pair: pair[1] - pair[0])
    return lat, (west + east) / 2


# --- simplifying -----------------------------------------------------------------------------


def _simple(polygon: Sequence[Ring], metres: float) -> list[Ring]:
    """The same with fewer corners; a ring that would fold up stays, a hole that small goes."""
    outer, *holes = polygon
    done = [_fewer(outer, metres)]
    return done + [_fewer(one, metres) for one in holes if abs(_area(one)) * _DEGREE**2 > metres**2]


def _fewer(one: Ring, metres: float) -> Ring:
    """Douglas and Peucker's way, from the first corner to the one farthest off and back."""
    squeeze = math.cos(math.radians(one[0][0]))
    flat = [(y * _DEGREE, x * _DEGREE * squeeze) for y, x in one]
    far = max(range(len(flat)), key=lambda at: math.dist(flat[0], flat[at]))
    keep = {0, far, len(flat) - 1}
    waiting = [(0, far), (far, len(flat) - 1)]
    while waiting:
        start, end = waiting.pop()
        if end - start < 2:
            continue
        at = max(range(start + 1, end), key=lambda n: _off(flat[n], flat[start], flat[end]))
        if _off(flat[at], flat[start], flat[end]) > metres:
            keep.add(at)
            waiting += [(start, at), (at, end)]
    found = [one[at] for at in sorted(keep)]
    return found if len(found) >= 4 and abs(_area(found)) >= _NOTHING else one


def _off(at: Point, start: Point, end: Point) -> float:
    """How far a point is from a piece of a line, in the line's unit."""
    dy, dx = end[0] - start[0], end[1] - start[1]
    long = dy * dy + dx * dx
    if not long:
        return math.dist(at, start)
    share = ((at[0] - start[0]) * dy + (at[1] - start[1]) * dx) / long
    share = min(1.0, max(0.0, share))
    return math.dist(at, (start[0] + share * dy, start[1] + share * dx))
