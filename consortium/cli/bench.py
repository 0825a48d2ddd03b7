"""Each speed beside its floor, in one run, as ratios."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

#: The benches, each in a module of its own with ``rows()``, so that one loads no other's engine.
BENCHES = ("tokens", "match", "log", "send")
#: What every row holds; ``floor`` is the cost nobody can go below, measured in the same run.
FIELDS = ("name", "ours", "floor", "ratio", "goal", "unit")


def measured(bench: str) -> list[Mapping[str, Any]]:
    """Run one bench now.

    Raises:
        click.ClickException: the bench is not in this build, or a row lacks a field.
    """
    path = f"consortium.cli.bench_{bench}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name == path:
            raise click.ClickException(f"this build has no bench '{bench}'") from None
        raise
    rows = list(module.rows())
    for row in rows:
        lacking = [field for field in FIELDS if field not in row]
        if lacking:
            raise click.ClickException(f"bench {bench}: a row lacks {', '.join(lacking)}")
    return [{field: row[field] for field in FIELDS} for row in rows]


def table(bench: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows as a person reads them; a ratio above its goal is marked."""
    drawn = Table(title=f"trellis bench {bench}", title_justify="left")
    drawn.add_column("what")
    for field in FIELDS[1:5]:
        drawn.add_column(field, justify="right")
    drawn.add_column("unit")
    for row in rows:
        drawn.add_row(
            str(row["name"]), *(_figure(row[field]) for field in FIELDS[1:5]), row["unit"]
        )
    return drawn


def _figure(value: object) -> str:
    return (
        f"{value:,.3g}" if isinstance(value, int | float) else "-" if value is None else str(value)
    )


@click.command("bench")
@click.argument("bench", type=click.Choice(BENCHES))
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def command(bench: str, as_json: bool) -> None:
    """Measure one part, ours and its floor in the same run, on this machine, now."""
    rows = measured(bench)
    Console(stderr=as_json).print(table(bench, rows))
    if as_json:
        click.echo(json.dumps({"bench": bench, "rows": rows}))
