"""The operator's look at one link: which recipes agreed, what each weighs, and never who it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matching.errors import ArtefactRefused
from matching.explaining import Explained

if TYPE_CHECKING:
    from consortium.service.explain import Told

__all__ = ["explained", "figures", "lines", "of_run", "said_of_run"]


def explained(home: Path, link: str) -> Told:
    """Explain a row of a contribution that was matched.

    Args:
        home: the operator's folder; it has the key under which tokens are kept.
        link: CONTRIBUTION:ROW.

    Raises:
        click.ClickException: it is no such link, or cannot be explained; says why.
    """
    from sqlalchemy.exc import OperationalError

    from consortium.service.errors import WrongState
    from consortium.service.explain import explain
    from consortium.store.errors import StoreRefused
    from consortium.wiring import Process, epoch_keys, settings_of

    bundle, _, row = link.rpartition(":")
    if not bundle or not (row.isascii() and row.isdigit() and len(row) < 10):
        raise click.UsageError("LINK is CONTRIBUTION:ROW, the row as its receipt counts it")
    process = Process(settings_of(home))
    try:
        return explain(
            process.units,
            process.artefacts,
            lambda epoch: epoch_keys(home, epoch).tokens,
            bundle,
            int(row),
        )
    except OperationalError as error:
        raise click.ClickException(f"{home}: no operator's database is there") from error
    except (StoreRefused, WrongState, ArtefactRefused) as refused:
        raise click.ClickException(str(refused)) from refused


def said_of_run(told: Told) -> list[str]:
    """What the run itself kept, and whether it is explained by the weights that it had."""
    lines = [f"The run linked this row: {'yes' if told.linked else 'no'}."]
    if not told.same_weights:
        lines.append("It had other weights than this version: the sum may differ from its score.")
    elif told.linked != (told.found is not None and told.found.verdict != "not linked"):
        lines.append("A row of this list was withdrawn since; the next run will say otherwise.")
    return lines


def of_run(told: Told) -> dict[str, Any]:
    """The same for machines."""
    return {"linked": told.linked, "same_weights": told.same_weights}


def lines(found: Explained) -> list[str]:
    """For a person: the recipes by what they add, then the sum."""
    told = sorted(found.recipes(), key=lambda one: (one[1] == "missing", -one[2]))
    width = max(len(says) for says, _, _ in told)
    second = found.score - found.alone - found.weights.lift
    verdict = f"{found.verdict}: {found.why}" if found.why else found.verdict
    return [
        *(f"{says:<{width}}  {what:<7}  {weight:+7.3f}" for says, what, weight in told),
        f"{'before any recipe':<{width}}           {found.start:+7.3f}",
        f"{'the second best voter takes':<{width}}           {second:+7.3f}",
        f"{'score':<{width}}           {found.score:+7.3f}: {verdict} (likely from "
        f"{found.weights.threshold:.3f}, certain from {found.weights.certain:.3f})",
    ]


def figures(found: Explained) -> dict[str, Any]:
    """The same for machines."""
    return {
        "verdict": found.verdict,
        "why": found.why,
        "score": found.score,
        "probability": round(found.probability, 6),
        "bias": round(found.start, 6),
        "second_best": round(found.score - found.alone - found.weights.lift, 6),
        "recipes": [
            {"recipe": says, "is": what, "weight": weight} for says, what, weight in found.recipes()
        ],
    }
