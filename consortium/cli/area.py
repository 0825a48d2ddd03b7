"""A coordinator's verbs for the map: a radius or a drawn area as places that can be chosen."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from consortium.cli.desk import json_option, last_line, say
from consortium.cli.errors import CheckRefused
from consortium.cli.joining import home_option, line
from consortium.cli.vault import write_whole
from matching import geography
from matching import shapes as precincts
from policies.definition import MAX_PLACES

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_NAMED = {"zip": "ZIPs", "precinct": "precincts"}


@click.command()
@home_option
@click.option("--points", type=_FILE, help="CSV: zip, lat, lon; or a gazetteer.")
@click.option("--shapes", type=_FILE, help="Precinct shapes, as 'coordinator shapes' keeps them.")
@click.option("--near", metavar="LAT,LON", help="A point in degrees, such as 39.74,-104.99.")
@click.option("--km", type=click.FloatRange(min=0, min_open=True), help="How far from it.")
@click.option("--inside", "drawn", type=_FILE, help="A drawn area, GeoJSON.")
@click.option("--whole", is_flag=True, help="Only precincts no part of which lies outside.")
@click.option("--out", "-o", type=_OUT, required=True)
@json_option
def area(
    home: Path,
    points: Path | None,
    shapes: Path | None,
    near: str | None,
    km: float | None,
    drawn: Path | None,
    whole: bool,
    out: Path,
) -> None:
    """Write a definition for what lies around a point or in a drawn area; it spends no look.

    With --shapes precincts are chosen, else ZIPs. Each counts as where its point is: a ZIP's comes
    from the table, a precinct's lies inside its shape. Places with too few voters are left out and
    named.
    """
    if (drawn is None) == (near is None) or (near is None) != (km is None):
        raise click.UsageError("give --near and --km, or --inside")
    if (points is None) == (shapes is None) or (whole and shapes is None):
        raise click.UsageError(
            "give --points for ZIPs, or --shapes for precincts; --whole is theirs"
        )
    centre = None if near is None else (_degrees(near), float(km or 0))
    if shapes is not None:
        kept = precincts.read_shapes(shapes)
        say(f"Shapes: {kept.vintage}; {kept.licence}")
        _write(home, "precinct", _precincts(kept, centre, drawn, whole=whole), out)
    elif points is not None:
        _write(home, "zip", _around(geography.read_points(points), centre, drawn), out)


def _around(
    points: geography.Points, centre: tuple[geography.Point, float] | None, drawn: Path | None
) -> tuple[str, ...]:
    if centre is not None:
        return geography.near(points, *centre)
    assert drawn is not None
    return geography.inside(points, geography.read_area(drawn))


def _precincts(
    kept: precincts.Shapes,
    centre: tuple[geography.Point, float] | None,
    drawn: Path | None,
    *,
    whole: bool,
) -> tuple[str, ...]:
    if not whole:
        return _around(kept.points, centre, drawn)
    if centre is not None:
        return precincts.whole_near(kept, *centre)
    assert drawn is not None
    return precincts.whole_inside(kept, geography.read_area(drawn))


def _write(home: Path, kind: str, found: Sequence[str], out: Path) -> None:
    offered = _offered(home, kind)
    chosen = [code for code in found if code in offered]
    missing = [code for code in found if code not in offered]
    if missing:
        say(f"Not in the list of places: {', '.join(missing[:20])}{' ...' * (len(missing) > 20)}")
    if not chosen:
        raise CheckRefused(f"none of the {_NAMED[kind]} there can be chosen; nothing written")
    if len(chosen) > MAX_PLACES:
        raise CheckRefused(
            f"{len(chosen)} {_NAMED[kind]} lie there, and one definition names {MAX_PLACES} places"
            " at most: choose a district, or a smaller area; nothing written"
        )
    write_whole(out, (json.dumps({"places": {kind: chosen}}, indent=1) + "\n").encode())
    say(f"{len(chosen)} {_NAMED[kind]}: {', '.join(chosen)}", f"Use it with --definition {out}")
    last_line({kind: chosen, "not_offered": missing})


def _offered(home: Path, kind: str) -> set[str]:
    api = line(home)
    found = api.get(f"/races/{api.home.invite['race']}/places").get(kind, ())
    return {str(row["code"]) for row in found}


@click.command()
@home_option
@click.argument("drawn", metavar="GEOJSON", type=_FILE)
@click.option("--code", required=True, metavar="FORM",
              help="A precinct as the list of places has it: '{COUNTY} {PRECINCT}'.")  # fmt: skip
@click.option("--vintage", required=True, help="Whose shapes, and of when.")
@click.option("--licence", required=True, help="By what right they may be used.")
@click.option("--metres", type=click.FloatRange(min=0, max=500), default=precincts.METRES,
              show_default=True, help="How far simplifying may move a line.")  # fmt: skip
@click.option("--out", "-o", type=_OUT, required=True)
@json_option
def shapes(
    home: Path, drawn: Path, code: str, vintage: str, licence: str, metres: float, out: Path
) -> None:
    """Take in precinct shapes (GeoJSON in degrees), simplified, for 'coordinator area'.

    FORM names the features' properties in braces. A broken shape is refused with its number.
    """
    read = precincts.read_raw(drawn, code=code, vintage=vintage, licence=licence, metres=metres)
    offered = _offered(home, "precinct")
    known = sorted(offered & read.points.keys())
    if offered and not known:
        raise CheckRefused(
            f"none of {len(read.points)} shapes is in the list of places: there it says"
            f" {min(offered)!r}, here {min(read.points)!r}; change --code. Nothing written"
        )
    write_whole(out, precincts.kept(read))
    say(f"{len(read.points)} precincts; {len(known)} of {len(offered)} that can be chosen have a"
        " shape.", f"Use them with: area --shapes {out}")  # fmt: skip
    last_line({"precincts": len(read.points), "offered": len(offered), "with_shape": len(known),
               "source": read.source})  # fmt: skip


def _degrees(typed: str) -> geography.Point:
    try:
        lat, lon = (float(one) for one in typed.split(","))
    except ValueError:
        raise click.UsageError("--near is written LAT,LON in degrees") from None
    return lat, lon
