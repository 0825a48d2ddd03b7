"""How fast a voter file becomes the inputs of tokens, and in how much memory; nothing is kept."""

import json
import re
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from consortium.cli import rolls
from matching.recipes import token_inputs
from matching.roll.reader import Roll, open_roll

STEP = 100_000
"""Voters between two looks at the memory."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """What one pass took on one core; ``seconds`` are the processor's, neighbours or not."""

    voters: int
    inputs: int
    seconds: float
    first_mb: float
    """Peak memory when the first tenth, at least ``STEP`` voters, had passed."""
    peak_mb: float

    def figures(self) -> dict[str, Any]:
        """The figures as JSON."""
        return {
            "rows": self.voters,
            "inputs": self.inputs,
            "seconds": round(self.seconds, 3),
            "rows_per_second_per_core": round(self.voters / self.seconds) if self.seconds else 0,
            "first_mb": round(self.first_mb, 1),
            "peak_mb": round(self.peak_mb, 1),
        }


def normalise(roll: Roll) -> Normalised:
    """Read every voter and make the inputs of their tokens, one core, one voter at a time."""
    began = time.process_time()
    voters = inputs = 0
    first = 0.0
    for found in _inputs(roll):
        inputs += found
        voters += 1
        if voters == STEP:
            first = peak_mb()
    spent = time.process_time() - began
    return Normalised(voters, inputs, spent, first or peak_mb(), peak_mb())


def _inputs(roll: Roll) -> Iterator[int]:
    for voter in roll.voters():
        yield sum(made is not None for made in token_inputs(voter.record))


def peak_mb() -> float:
    """The most memory this program ever held.

    ``ru_maxrss`` counts what the parent held before the program began, so Linux's own word goes
    first; elsewhere it is the bound there is (macOS counts in bytes).
    """
    status = Path("/proc/self/status")
    if status.exists() and (most := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(most[1]) / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@click.command("normalise")
@click.argument("place", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")
def normalise_command(place: Path, as_json: bool) -> None:
    """Read a voter file as far as the inputs of its tokens: rows a second, memory."""
    roll = open_roll(place)
    found = normalise(roll)
    figures = found.figures()
    if as_json:
        click.echo(json.dumps(figures))
        return
    for said in rolls.report(roll, found.voters):
        click.echo(said)
    click.echo(
        f"{found.inputs:,} inputs in {found.seconds:.1f} s of one core: "
        f"{figures['rows_per_second_per_core']:,} voters a second; peak memory "
        f"{found.first_mb:.0f} MB after {min(found.voters, STEP):,} voters, "
        f"{found.peak_mb:.0f} MB at the end"
    )
