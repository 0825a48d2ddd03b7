"""Evaluate and train matching on generated people, in the clear; nothing of a real list is used."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import click

from consortium.cli.normalising import normalise_command
from matching import quality, score
from matching.errors import WeightsRefused

RECIPE = {"seed": 100, "voters": 20_000, "members": 4_000}
"""What the shipped weights were trained with; the same numbers make the same bytes."""
HELD_OUT = 900
"""Seed of the world that is evaluated; training used 100, 101 and 102 and must not see it."""


@click.group()
def command() -> None:
    """How good is linking? Measured on made-up people, by the recipes and weights that ship."""


command.add_command(normalise_command)


def _json(function: Any) -> Any:
    return click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")(
        function
    )


@command.command()
@click.option("--voters", default=20_000, show_default=True, type=click.IntRange(min=500))
@click.option("--members", default=4_000, show_default=True, type=click.IntRange(min=30))
@click.option("--seed", default=HELD_OUT, show_default=True, help="Not 100, 101 or 102.")
@click.option("--weights", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Another weights file than the shipped one.")  # fmt: skip
@_json
def evaluate(voters: int, members: int, seed: int, weights: Path | None, as_json: bool) -> None:
    """Precision and recall of the weights on a fresh world that they were not trained on."""
    trained_on = range(RECIPE["seed"], RECIPE["seed"] + 3)
    if seed in trained_on:
        raise click.UsageError(f"the weights were trained on seed {seed}: take another one")
    chosen = score.load() if weights is None else _read(weights)
    town = quality.sample(seed, voters=voters, members=members)
    links = quality.reference_links(town.members, town.voters, weights=chosen)
    found = quality.measure(links, town.truth)
    said = _said(found, voters=voters, rows=len(town.members), seed=seed)
    if as_json:
        click.echo(json.dumps(said))
        return
    click.echo(
        f"{voters:,} voters, a list of {len(town.members):,} people, {found.true:,} of them on "
        f"the roll (seed {seed})"
    )
    click.echo(
        f"linked {found.linked:,}; right {found.right:,}; "
        f"precision {found.precision:.4f}; recall {found.recall:.4f}"
    )
    click.echo("Made-up people differ from yours: take it as a bound on the method, not as yours.")


@command.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the weights here; without it they are compared only.")  # fmt: skip
@click.option("--seed", default=RECIPE["seed"], show_default=True)
@click.option("--voters", default=RECIPE["voters"], show_default=True)
@click.option("--members", default=RECIPE["members"], show_default=True)
@_json
def train(out: Path | None, seed: int, voters: int, members: int, as_json: bool) -> None:
    """Train the weights anew; with the default numbers, the shipped file bit for bit."""
    trained, found = quality.train_on_generated(seed=seed, voters=voters, members=members)
    made = trained.to_json().encode()
    same = made == _shipped().strip()
    if out is not None:
        out.write_bytes(made + b"\n")
    said = {**_said(found, voters=voters, rows=members, seed=seed), "same_as_shipped": same}
    if as_json:
        click.echo(json.dumps(said))
        return
    verdict = "the same bytes as the shipped file" if same else "other bytes than the shipped file"
    click.echo(f"{verdict}; on a third world: precision {found.precision:.4f}, "
               f"recall {found.recall:.4f}")  # fmt: skip


def _shipped() -> bytes:
    return resources.files("matching").joinpath("data/weights.json").read_bytes()


def _read(path: Path) -> score.Weights:
    try:
        return score.Weights.from_json(path.read_text("utf-8"))
    except WeightsRefused as refused:
        raise click.ClickException(str(refused)) from refused


def _said(found: quality.Quality, **world: int) -> dict[str, Any]:
    return {
        **world,
        "on_roll": found.true,
        "linked": found.linked,
        "right": found.right,
        "precision": round(found.precision, 6),
        "recall": round(found.recall, 6),
    }
