"""Apply bounces, complaints, stops, replies."""

from pathlib import Path

from consortium.jobs import relay
from consortium.jobs.celery import app, process
from consortium.service import hear_back
from consortium.store.errors import Missing
from consortium.wiring import read_key
from mailer import bounce
from mailer.errors import MailerError
from mailer.stops import parse_verp


def spool(home: Path) -> Path:
    """Where the listener leaves what came back; only the mailer reads it."""
    return home / "returns" / "new"


@app.task(name="returns")  # type: ignore[untyped-decorator]
def run() -> None:
    """Take in every waiting return. Each file goes only after its effect is committed."""
    here = process()
    key = read_key(here.settings.mailer_home / "delivery.key")
    for path in sorted(spool(here.settings.mailer_home).glob("*")):
        try:
            found = bounce.read(path.read_bytes())
            delivery = parse_verp(key, found.verp or "").hex()
            here.units.run(
                "returned",
                lambda unit, d=delivery, k=found.kind: hear_back.returned(  # type: ignore[misc]
                    unit, d, k, here.clock()
                ),
            )
        except (MailerError, Missing):
            pass  # forged, or nobody's: it changes nothing
        path.unlink()
    relay.answered("returns")
