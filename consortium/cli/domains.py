"""Set a partner's sending domain up, and see whether receivers would take letters from it."""

import json
from pathlib import Path

import click

from consortium.jobs import dkim_files
from consortium.service import vet
from consortium.settings import Settings
from consortium.store import races
from consortium.store.unit import Unit
from consortium.wiring import Process, settings_of
from mailer import domains
from mailer.domains import Domain, Station
from mailer.errors import AddressRefused, KeyRefused, LetterRefused
from mailer.findings import Finding, worst
from mailer.probing import StartTls
from mailer.resolving import DnsResolver
from policies import agreement

_home = click.option(
    "--home", required=True, type=click.Path(path_type=Path), help="The operator's folder."
)
_json = click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")
RED = 1


@click.group("domain")
def command() -> None:
    """Sending domains: what to publish for each, and whether it is right. Runs on the mailer."""


@command.command()
@_home
@click.option("--partner", required=True, help="Whose domain; it stands in the agreement.")
@click.option("--selector", default="", help="Of the DKIM record; 'trellis' unless it has another.")
@_json
def add(home: Path, partner: str, selector: str, as_json: bool) -> None:
    """Make the partner's signing key once, and print the DNS records to publish."""
    process = Process(settings_of(home))
    with_terms = process.units.read("domain-terms", _terms)
    known = {party.id: party.domain for party in with_terms.parties}
    if partner not in known:
        raise click.ClickException(f"the agreement has no partner of that id: {', '.join(known)}")
    try:
        station = dkim_files.station(process.settings)
        one = dkim_files.add(process.settings.mailer_home, partner, known[partner], selector)
    except (AddressRefused, KeyRefused, LetterRefused) as refused:
        raise click.ClickException(f"{refused}; nothing was changed") from refused
    found = domains.records(one, station)
    if as_json:
        click.echo(json.dumps([{"name": r.name, "type": r.kind, "value": r.value} for r in found]))
        return
    click.echo(f"; {one.name}, for {partner}. Publish these; then: trellis operator domain check")
    for record in found:
        click.echo(f"; {record.why}\n{record.zone_line()}")
    for said in _besides(one, station):
        click.echo(f"; {said}")


def _besides(one: Domain, station: Station) -> list[str]:
    """What no record says, in words."""
    name = station.name or f"the mail server of {one.name}"
    told = [] if station.name else ["Set TRELLIS_MAIL_HOST to what the mail server says in EHLO."]
    if not station.addresses and not station.include:
        told.append("Set TRELLIS_MAIL_ADDRESSES (or TRELLIS_MAIL_SPF for a provider): SPF and PTR.")
    return [
        *told,
        f"TLS: a certificate for {name} from a public authority, offered by STARTTLS on port 25;",
        "and letters leave over TLS too (Postfix: smtp_tls_security_level = may, or more).",
        f"Return path: bounces and complaints come to one address a letter at {one.name}.",
    ]


@command.command()
@_home
@click.option("--partner", default="", help="One partner; otherwise all.")
@_json
def check(home: Path, partner: str, as_json: bool) -> None:
    """Look at each domain as receivers do, and keep what was found. Ends with 1 while red."""
    process = Process(settings_of(home))
    mine = dkim_files.domains(process.settings.mailer_home)
    chosen = [one for one in mine if partner in ("", one.partner)]
    if not chosen:
        raise click.ClickException("there is no such domain here: 'trellis operator domain add'")
    demo = process.units.read("domain-demo", vet.is_demo)
    found = {one: (vet.DEMO,) if demo else _look(process, one) for one in chosen}
    if as_json:
        click.echo(json.dumps([_told(one, said) for one, said in found.items()]))
    else:
        for one, said in found.items():
            click.echo(f"{one.name} ({one.partner}): {worst(said)}")
            for each in said:
                click.echo(f"  {each}")
    if any(worst(said) == "red" for said in found.values()):
        click.get_current_context().exit(RED)


def _look(process: Process, one: Domain) -> tuple[Finding, ...]:
    now, settings = process.clock(), process.settings
    found = domains.check(
        one, _station(settings), resolver=DnsResolver(settings.resolver), probe=StartTls(), now=now
    )
    process.units.run("domain-keep", lambda unit: vet.keep(unit, one, found, now))
    return found


def _station(settings: Settings) -> Station:
    try:
        return dkim_files.station(settings)
    except (AddressRefused, LetterRefused) as refused:
        raise click.ClickException(f"the settings do not hold: {refused}") from refused


def _told(one: Domain, said: tuple[Finding, ...]) -> dict[str, object]:
    return {
        "partner": one.partner,
        "domain": one.name,
        "level": worst(said),
        "findings": [each.to_json() for each in said],
    }


def _terms(unit: Unit) -> agreement.Agreement:
    return agreement.parse(races.first(unit).agreement)
