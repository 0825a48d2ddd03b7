"""Precinct shapes: each has a point inside it, fewer corners, and a broken one says which it is."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from matching import shapes
from matching.errors import GeographyRefused
from matching.geography import distance, holds, inside, near, read_area

WEST, SOUTH = -105.0, 39.7
CODE = "{COUNTY} {PCT}"


def box(x: float, y: float, size: float = 0.01) -> list[list[float]]:
    """A square's ring: so many degrees east and north of our own corner of the world."""
    west, south = WEST + x, SOUTH + y
    east, north = west + size, south + size
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(pct: str | int, *rings: Any, kind: str = "Polygon", **other: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"COUNTY": "Made Up", "PCT": pct, **other},
        "geometry": {"type": kind, "coordinates": list(rings)},
    }


def write(folder: Path, *features: Any) -> Path:
    path = folder / "precincts.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def read(path: Path, **other: Any) -> shapes.Shapes:
    about = {"code": CODE, "vintage": "2024 general", "licence": "public domain", **other}
    return shapes.read_raw(path, **about)


def grid(folder: Path, side: int = 6) -> Path:
    """``side`` by ``side`` squares, named by row and column."""
    squares = [
        feature(f"{row}{at}", box(at / 100, row / 100)) for row in range(side) for at in range(side)
    ]
    return write(folder, *squares)


def test_a_radius_and_a_drawn_area_choose_precincts_by_the_point_inside_each(
    tmp_path: Path,
) -> None:
    found = read(grid(tmp_path))
    assert len(found.points) == 36
    centre = found.points["Made Up 22"]
    assert centre == pytest.approx((SOUTH + 0.025, WEST + 0.025))
    close = near(found.points, centre, 1.2)  # a hundredth of a degree is 1.11 km north, .86 east
    assert close == tuple(f"Made Up {code}" for code in ("12", "21", "22", "23", "32"))
    drawn = tmp_path / "drawn.geojson"
    drawn.write_text(json.dumps({"type": "Polygon", "coordinates": [box(0.004, 0.004, 0.02)]}))
    area = read_area(drawn)
    assert inside(found.points, area) == tuple(f"Made Up {c}" for c in ("00", "01", "10", "11"))
    assert shapes.whole_inside(found, area) == ("Made Up 11",)
    assert shapes.whole_near(found, centre, 0.71) == ("Made Up 22",)
    assert shapes.whole_near(found, centre, 0.6) == ()


def test_a_precinct_around_a_hole_of_the_drawn_area_or_crossed_by_it_is_not_whole_inside(
    tmp_path: Path,
) -> None:
    found = read(write(tmp_path, feature(1, box(0.01, 0.01, 0.03))))
    drawn = tmp_path / "drawn.geojson"

    def whole(*rings: Any) -> bool:
        drawn.write_text(json.dumps({"type": "Polygon", "coordinates": list(rings)}))
        return bool(shapes.whole_inside(found, read_area(drawn)))

    around = box(0, 0, 0.05)
    assert whole(around)
    assert not whole(around, box(0.02, 0.02, 0.001))  # a hole in the middle of the precinct
    assert whole(around, box(0.001, 0.001, 0.002))
    corner = [WEST + 0.02, SOUTH - 0.01]
    notched = [*around[:1], [WEST + 0.015, SOUTH], [WEST + 0.02, SOUTH + 0.02],
               [WEST + 0.025, SOUTH], *around[1:]]  # fmt: skip
    assert corner not in notched
    assert not whole(notched)  # every corner of the precinct is inside, and a notch goes into it


def test_a_point_stands_inside_a_crescent_and_in_the_largest_part(tmp_path: Path) -> None:
    arc = [math.pi * n / 40 for n in range(41)]
    ring = [[WEST + 0.02 * math.cos(a), SOUTH + 0.02 * math.sin(a)] for a in arc]
    ring += [[WEST + 0.018 * math.cos(a), SOUTH + 0.018 * math.sin(a)] for a in reversed(arc)]
    crescent = [*ring, ring[0]]
    parts = [[box(0.5, 0.5, 0.001)], [box(0.2, 0.2, 0.02)]]
    found = read(
        write(
            tmp_path, feature(1, crescent), feature(2, *parts, kind="MultiPolygon"),
            feature(3, box(0.3, 0.3), box(0.303, 0.303, 0.004)),
        ),
        metres=1,
    )  # fmt: skip
    for name, at in found.points.items():
        assert any(holds(polygon, at) for polygon in found.areas[name]), name
    assert found.points["Made Up 2"] == pytest.approx((SOUTH + 0.21, WEST + 0.21))


def test_simplifying_moves_no_line_by_more_than_it_says_and_takes_most_corners(
    tmp_path: Path,
) -> None:
    chance = random.Random(7)
    smooth = [
        [
            WEST + 0.02 * math.cos(2 * math.pi * n / 2000) + chance.uniform(-1e-5, 1e-5),
            SOUTH + 0.02 * math.sin(2 * math.pi * n / 2000) + chance.uniform(-1e-5, 1e-5),
        ]
        for n in range(0, 2000, 4)
    ]
    path = write(tmp_path, feature(1, [*smooth, smooth[0]]))
    fine, coarse = read(path, metres=0.001), read(path)
    [[before]], [[after]] = fine.areas["Made Up 1"], coarse.areas["Made Up 1"]
    assert len(after) < len(before) / 5
    assert (after[0], fine.points) == (after[-1], coarse.points)

    def metres(at: tuple[float, float]) -> float:
        pieces = [
            (a[0] + (b[0] - a[0]) * n / 50, a[1] + (b[1] - a[1]) * n / 50)
            for a, b in pairwise(after)
            for n in range(51)
        ]
        return 1000 * min(distance(at, one) for one in pieces)

    assert max(metres(at) for at in before[::25]) < shapes.METRES + 3


def test_a_tiny_precinct_keeps_its_shape(tmp_path: Path) -> None:
    [[ring]] = read(write(tmp_path, feature(1, box(0, 0, 0.0001)))).areas["Made Up 1"]
    assert len(ring) == 5


def test_what_is_kept_says_whose_it_is_and_reads_back_the_same(tmp_path: Path) -> None:
    found = read(grid(tmp_path))
    path = tmp_path / "shapes.json"
    path.write_bytes(shapes.kept(found))
    again = shapes.read_shapes(path)
    assert (again.vintage, again.licence, again.source) == (
        "2024 general",
        "public domain",
        found.source,
    )
    assert again.points.keys() == found.points.keys()
    assert shapes.kept(again) == path.read_bytes()
    assert json.loads(path.read_bytes())["type"] == "FeatureCollection"


def test_features_of_one_code_are_parts_of_one_precinct_and_numbers_are_codes(
    tmp_path: Path,
) -> None:
    found = read(write(tmp_path, feature(7, box(0, 0)), feature("7", box(0.02, 0))), code="P{PCT}")
    assert {name: len(area) for name, area in found.areas.items()} == {"P7": 2}


BOW = [[WEST, SOUTH], [WEST + 1, SOUTH + 1], [WEST + 1, SOUTH], [WEST, SOUTH + 2], [WEST, SOUTH]]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (feature(2, box(0, 0)[:-1]), "ring is not closed"),
        (feature(2, [[0, 0], [1, 1], [0, 0]]), "fewer than four"),
        (feature(2, [[0, 0], [1, 1], [2, 2], [0, 0]]), "encloses nothing"),
        (feature(2, BOW), "crosses itself"),
        (feature(2, [[500000, 4400000]] * 2), "ring is not closed"),
        (feature(2, [[500000, 4400000], [5e5, 4.5e6], [6e5, 4.5e6], [500000, 4400000]]), "degrees"),
        (feature(2, [["a", 1], [1, 1], [1, 2], ["a", 1]]), "not numbers"),
        (feature(2, kind="Polygon"), "no ring"),
        (feature(2, [1, 2], kind="LineString"), "no Polygon"),
        ({"type": "Feature", "geometry": None, "properties": {"COUNTY": "x", "PCT": 1}}, "Polygon"),
        ({**feature(2, box(0, 0)), "properties": {"PCT": 2}}, "'COUNTY'"),
        ({**feature(2, box(0, 0)), "properties": None}, "'COUNTY'"),
        (feature("  ", box(0, 0)), "'PCT'"),
        ("a feature", "no Feature"),
    ],
)
def test_a_broken_shape_says_the_file_and_the_feature(
    tmp_path: Path, broken: Any, why: str
) -> None:
    path = write(tmp_path, feature(1, box(0, 0)), broken)
    with pytest.raises(GeographyRefused, match=why) as refused:
        read(path)
    assert str(refused.value).startswith("precincts.geojson, feature 2: ")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\xff", "JSON"),
        (b"[]", "FeatureCollection"),
        (b'{"type": "FeatureCollection"}', "no feature"),
    ],
)
def test_what_is_no_file_of_shapes_is_refused(tmp_path: Path, raw: bytes, why: str) -> None:
    path = tmp_path / "x.geojson"
    path.write_bytes(raw)
    with pytest.raises(GeographyRefused, match=why):
        read(path)


def test_shapes_come_with_a_vintage_and_a_licence_or_not_at_all(tmp_path: Path) -> None:
    for missing in ("vintage", "licence"):
        with pytest.raises(GeographyRefused, match="vintage and a licence"):
            read(grid(tmp_path), **{missing: " "})
    with pytest.raises(GeographyRefused, match="names no property"):
        read(grid(tmp_path), code="PCT")
    with pytest.raises(GeographyRefused, match="coordinator shapes"):
        shapes.read_shapes(grid(tmp_path))
