"""The operator's look at one link: which recipes agreed, what each weighs, and never who it is."""

from pathlib import Path
from typing import Any

import click

from matching import score
from matching.explaining import Explained, explain

__all__ = ["explained", "figures", "lines"]


def explained(home: Path, link: str) -> Explained | None:
    """Explain a row of a contribution that was matched.

    Args:
        home: the operator's folder; it has the key under which tokens are kept.
        link: CONTRIBUTION:ROW.

    Raises:
        click.UsageError: no such contribution here, or it has met no roll yet.
    """
    from consortium.store import contributions
    from consortium.wiring import Process, settings_of

    bundle, _, row = link.rpartition(":")
    if not bundle or not row.isdigit():
        raise click.UsageError("a link is CONTRIBUTION:ROW, the row as its receipt counts it")
    process = Process(settings_of(home))
    one = process.units.run("explain", lambda unit: contributions.find(unit, bundle))
    if one is None or one.tokens_digest is None or one.linked_roll is None:
        raise click.UsageError("no contribution of this name has met a roll here")
    met = one.linked_roll
    roll = process.units.run("explain", lambda unit: contributions.find_roll(unit, met))
    assert roll is not None
    assert roll.tokens_digest is not None
    key = process.bench.keys(one.epoch).tokens
    with (
        process.artefacts.open(one.tokens_digest) as mine,
        process.artefacts.open(roll.tokens_digest) as theirs,
    ):
        return explain(mine, theirs, int(row), key=key, weights=score.load())


def lines(found: Explained) -> list[str]:
    """For a person: the recipes by what they add, then the sum."""
    told = sorted(found.recipes(), key=lambda one: (one[1] == "missing", -one[2]))
    width = max(len(says) for says, _, _ in told)
    second = found.score - found.alone
    return [
        *(f"{says:<{width}}  {what:<7}  {weight:+7.3f}" for says, what, weight in told),
        f"{'before any recipe':<{width}}           {found.start:+7.3f}",
        f"{'the second best voter takes':<{width}}           {second:+7.3f}",
        f"{'score':<{width}}           {found.score:+7.3f}: {found.verdict} (likely from "
        f"{found.weights.threshold:.3f}, certain from {found.weights.certain:.3f})",
    ]


def figures(found: Explained) -> dict[str, Any]:
    """The same for machines."""
    return {
        "verdict": found.verdict,
        "score": found.score,
        "probability": round(found.probability, 6),
        "bias": round(found.start, 6),
        "second_best": round(found.score - found.alone, 6),
        "recipes": [
            {"recipe": says, "is": what, "weight": weight} for says, what, weight in found.recipes()
        ],
    }
