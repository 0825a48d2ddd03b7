"""ZIPs by their points: near a place, inside a drawn area, and every broken table says where."""

import json
from pathlib import Path

import pytest

from matching.errors import GeographyRefused
from matching.geography import inside, near, read_area, read_points

# Points of our own near Denver; a degree of latitude is 111.2 km.
POINTS = {"80202": (39.75, -105.00), "80134": (39.48, -104.78), "80903": (38.83, -104.82)}
SQUARE = [[-105.1, 39.4], [-104.7, 39.4], [-104.7, 39.8], [-105.1, 39.8], [-105.1, 39.4]]


def test_a_radius_takes_the_points_within_it_and_no_other() -> None:
    assert near(POINTS, (39.75, -105.00), 0) == ("80202",)
    assert near(POINTS, (39.75, -105.00), 35) == ("80202",)
    assert near(POINTS, (39.75, -105.00), 36) == ("80134", "80202")
    assert near(POINTS, (39.75, -105.00), 110) == ("80134", "80202", "80903")
    assert near({"00001": (0.0, 179.9)}, (0.0, -179.9), 23) == ("00001",)


def test_a_drawn_area_takes_what_is_inside_and_not_in_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [SQUARE]}))
    assert inside(POINTS, read_area(path)) == ("80134", "80202")
    hole = [[-105.05, 39.7], [-104.95, 39.7], [-104.95, 39.79], [-105.05, 39.79], [-105.05, 39.7]]
    shape = {"type": "MultiPolygon", "coordinates": [[SQUARE, hole]]}
    drawn = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": shape}]}
    path.write_text(json.dumps(drawn))
    assert inside(POINTS, read_area(path)) == ("80134",)


def test_an_installations_own_table_and_the_gazetteer_are_read(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("zip,lat,lon\n02108,42.36,-71.07\n")
    assert read_points(path) == {"02108": (42.36, -71.07)}
    path.write_text(
        "GEOID\tALAND\tAWATER\tINTPTLAT\tINTPTLONG   \n00601\t1\t2\t18.180555\t -66.749961\n"
    )
    assert read_points(path) == {"00601": (18.180555, -66.749961)}


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ("zip,city\n80202,Denver\n", "columns"),
        ("zip,lat,lon\n", "no ZIP"),
        ("zip,lat,lon\n8020,1,2\n", "row 2"),
        ("zip,lat,lon\n80202,1,2\n80203,91,2\n", "row 3"),
        ("zip,lat,lon\n80202,north,2\n", "row 2"),
        ("zip,lat,lon\n80202,nan,2\n", "row 2"),
        ("zip,lat,lon\n80202,1,2\n80202,1,2\n80202,1,3\n", "row 4: the ZIP has another point"),
        ("zip,lat,lon,name\n80202,1,2,Do\xf1a\n", "CSV UTF-8"),
        (f'zip,lat,lon,name\n80202,1,2,"{"x" * 200_000}\n', "CSV UTF-8"),
    ],
)
def test_a_broken_table_says_where(tmp_path: Path, written: str, where: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(written, encoding="latin-1")
    with pytest.raises(GeographyRefused, match=where):
        read_points(path)


@pytest.mark.parametrize(
    "drawn",
    [
        "no JSON",
        "[]",
        '{"type": "Point", "coordinates": [1, 2]}',
        '{"type": "Polygon", "coordinates": []}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 99], [0, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [0, 0], [0, 0], [0, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[170, 0], [-170, 1], [-170, 2], [170, 0]]]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_drawn_area_is_refused(tmp_path: Path, drawn: str) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(drawn)
    with pytest.raises(GeographyRefused):
        read_area(path)
