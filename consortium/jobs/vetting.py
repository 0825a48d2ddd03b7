"""Look again at every sending domain, so that a record that broke is known before a campaign."""

from consortium.jobs import dkim_files, relay
from consortium.jobs.celery import app, process
from consortium.service import vet
from mailer import domains
from mailer.domains import Domain
from mailer.probing import StartTls
from mailer.resolving import DnsResolver

SECONDS = 60.0


@app.task(name="vet")  # type: ignore[untyped-decorator]
def run() -> None:
    """Check one domain that is due; harmless to repeat, and it touches no letter.

    One a turn: with a silent resolver each takes half a minute, and letters wait meanwhile.
    """
    try:
        for one in dkim_files.domains(process().settings.mailer_home):
            if _due(one.partner):
                _look(one)
                return
    finally:
        relay.answered("vet")


def _due(partner: str) -> bool:
    here = process()
    return here.units.read("vet-due", lambda unit: vet.due(unit, partner, here.clock()))


def _look(one: Domain) -> None:
    here = process()
    now, settings = here.clock(), here.settings
    resolver, station = DnsResolver(settings.resolver), dkim_files.station(settings)
    found = domains.check(one, station, resolver=resolver, probe=StartTls(), now=now)
    here.units.run("vet", lambda unit: vet.keep(unit, one, found, now))
