"""Each speed beside its floor, in one run, as ratios."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
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
    return _whole(bench, module.rows())


def kept(folder: Path, entries: int) -> tuple[list[Mapping[str, Any]], dict[str, Any]]:
    """Make a log to be kept, measure what can be measured on it, and say what lies there."""
    from consortium.cli import bench_log, kept_log

    made = kept_log.keep(folder, entries)
    said = {
        "folder": str(folder),
        "origin": made.origin,
        "size": made.size,
        "root": made.root.hex(),
        "witnesses": list(made.witnesses),
        "proofs": {str(index): name for index, name in made.proofs.items()},
    }
    return _whole("log", bench_log.kept_rows(folder, made.policy, made.size)), said


def _whole(bench: str, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    rows = list(rows)
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


def verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line: how many goals hold, and each that does not, with its ratio."""
    missed = [f"{row['name']} ({row['ratio']:.2f}, {row['goal']:g})" for row in rows if over(row)]
    if not missed:
        return f"All {len(rows)} goals hold."
    return f"{len(rows) - len(missed)} of {len(rows)} goals hold; over: {'; '.join(missed)}."


def over(row: Mapping[str, Any]) -> bool:
    """Whether a row's ratio is above its goal."""
    return bool(row["ratio"] > row["goal"])


def _figure(value: object) -> str:
    return (
        f"{value:,.3g}" if isinstance(value, int | float) else "-" if value is None else str(value)
    )


def written(page: str, bench: str, rows: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """The page with this bench's table put between its marks, the command and the day above it.

    Raises:
        click.ClickException: the page lacks the marks.
    """
    first, last = f"<!-- bench {bench} -->\n", f"<!-- end {bench} -->"
    before, found, rest = page.partition(first)
    _, ended, after = rest.partition(last)
    if not found or not ended:
        raise click.ClickException(f"the page lacks {first.strip()} and {last}")
    lines = [
        f"`trellis bench {bench} --json`, {now:%Y-%m-%d}, two shared cores:",
        "",
        "| what | ours | floor | unit | ratio | goal |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
        *(
            f"| {row['name']} | {row['ours']:,.3g} | {row['floor']:,.3g} | {row['unit']}"
            f" | **{row['ratio']:.2f}** | {row['goal']:g} |"
            for row in rows
        ),
        "",
    ]
    return before + first + "\n".join(lines) + last + after


@click.command("bench")
@click.argument("bench", type=click.Choice(BENCHES))
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
@click.option(
    "--update",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A page whose table between this bench's two marks is to hold the new figures.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="For log: make a log in this new folder, with keys and proofs, and measure on it.",
)
@click.option(
    "--entries",
    type=click.IntRange(min=256),
    default=70_000,
    show_default=True,
    help="With --keep: how many.",
)
def command(
    bench: str, as_json: bool, update: Path | None, keep: Path | None, entries: int
) -> None:
    """Measure one part, ours and its floor in the same run, on this machine, now."""
    said = {}
    if keep is None:
        rows = measured(bench)
    elif bench == "log" and update is None:
        rows, said["kept"] = kept(keep, entries)
    else:
        raise click.UsageError("--keep is for the bench log, without --update")
    if update is not None:
        page = written(update.read_text(), bench, rows, datetime.now(UTC))
        update.write_text(page)
    console = Console(stderr=as_json)
    console.print(table(bench, rows))
    console.print(verdict(rows), soft_wrap=True, highlight=False)
    if as_json:
        missed = [row["name"] for row in rows if over(row)]
        click.echo(json.dumps({"bench": bench, "rows": rows, "over": missed, **said}))
