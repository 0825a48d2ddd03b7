"""A coordinator's verb that turns a radius or a drawn area into ZIPs that can be chosen."""

import json
from pathlib import Path

import click

from consortium.cli.desk import json_option, last_line, say
from consortium.cli.errors import CheckRefused
from consortium.cli.joining import home_option, line
from consortium.cli.vault import write_whole
from matching import geography

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@home_option
@click.option("--points", type=_FILE, required=True, help="CSV: zip, lat, lon; or a gazetteer.")
@click.option("--near", metavar="LAT,LON", help="A point in degrees, such as 39.74,-104.99.")
@click.option("--km", type=click.FloatRange(min=0, min_open=True), help="How far from it.")
@click.option("--inside", "drawn", type=_FILE, help="A drawn area, GeoJSON.")
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), required=True)
@json_option
def area(
    home: Path, points: Path, near: str | None, km: float | None, drawn: Path | None, out: Path
) -> None:
    """Write a definition for the ZIPs around a point or in a drawn area; it spends no look.

    A ZIP counts as where its point is. ZIPs with too few voters are left out and named.
    """
    if (drawn is None) == (near is None) or (near is None) != (km is None):
        raise click.UsageError("give --near and --km, or --inside")
    known = geography.read_points(points)
    if drawn is not None:
        found = geography.inside(known, geography.read_area(drawn))
    else:
        found = geography.near(known, _degrees(str(near)), float(km or 0))
    api = line(home)
    offered = {
        str(row["code"])
        for row in api.get(f"/races/{api.home.invite['race']}/places").get("zip", ())
    }
    chosen = [code for code in found if code in offered]
    missing = [code for code in found if code not in offered]
    if missing:
        say(f"Not in the list of places: {', '.join(missing[:20])}{' ...' * (len(missing) > 20)}")
    if not chosen:
        raise CheckRefused("no ZIP that can be chosen lies there; nothing written")
    write_whole(out, (json.dumps({"places": {"zip": chosen}}, indent=1) + "\n").encode())
    say(f"{len(chosen)} ZIPs: {', '.join(chosen)}", f"Use it with --definition {out}")
    last_line({"zip": chosen, "not_offered": missing})


def _degrees(typed: str) -> tuple[float, float]:
    try:
        lat, lon = (float(one) for one in typed.split(","))
    except ValueError:
        raise click.UsageError("--near is written LAT,LON in degrees") from None
    return lat, lon
