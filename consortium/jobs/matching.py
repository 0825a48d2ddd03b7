"""Link what has arrived; fix an audience; promise an intent."""

from consortium.jobs import relay
from consortium.jobs.celery import app, process
from consortium.service import freeze, gauge, match, shred
from consortium.store import doomed, strays

TIDY_SECONDS = 3600.0
"""Between two looks for artefacts that nothing names."""


@app.task(name="match")  # type: ignore[untyped-decorator]
def run() -> None:
    """Do all matching that is due. Delivered at least once; matching is repeatable."""
    shred.run(process().bench)
    match.run(process().bench)
    relay.answered("match")


@app.task(name="shred")  # type: ignore[untyped-decorator]
def forget() -> None:
    """Write successors without what was withdrawn, delete the old files. Repeatable."""
    shred.run(process().bench)


@app.task(name="broom")  # type: ignore[untyped-decorator]
def tidy() -> None:
    """Doom artefacts that nothing ever named, then delete all that is doomed. Repeatable."""
    try:
        bench = process().bench
        strays.condemn(bench.units, bench.artefacts)
        doomed.sweep(bench.units, bench.artefacts)
    finally:
        relay.answered("broom")


@app.task(name="freeze")  # type: ignore[untyped-decorator]
def fix(campaign: str) -> None:
    """Fix the audience of a campaign with this id. Repeatable."""
    shred.run(process().bench)  # first what was withdrawn, so that it is in no new audience
    freeze.freeze(process().bench, campaign)


@app.task(name="gauge")  # type: ignore[untyped-decorator]
def measure(bundle: str) -> None:
    """Draw a list's match report that was paid for. Repeatable."""
    gauge.draw(process().bench, bundle)


@app.task(name="intend")  # type: ignore[untyped-decorator]
def intend(campaign: str) -> None:
    """Promise the intent of a campaign with this id. Repeatable."""
    freeze.intend(process().bench, campaign)
