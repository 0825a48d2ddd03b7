"""The sending domains in the mailer's home: a key, a domain and a selector for each partner."""

import os
from pathlib import Path

from consortium.settings import Settings
from mailer import dkim
from mailer.dkim import Signer
from mailer.domains import Domain, Station, listed, named

SELECTOR = "trellis"


def add(home: Path, partner: str, domain: str, selector: str = "") -> Domain:
    """Make a partner's key once, and keep its domain and selector beside it.

    Args:
        home: the mailer's.
        selector: empty: the one that it has, at first ``trellis``.
    """
    folder = home / "dkim"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{partner}.pem"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(dkim.to_pem(dkim.generate_key()))
    path.with_suffix(".domain").write_text(domain + "\n")
    if selector:
        path.with_suffix(".selector").write_text(selector + "\n")
    return _domain(partner, _signer(path))


def signers(home: Path) -> dict[str, Signer]:
    """What signs each partner's letters."""
    return {path.stem: _signer(path) for path in sorted((home / "dkim").glob("*.pem"))}


def domains(home: Path) -> list[Domain]:
    """Every sending domain of this home, by partner."""
    return [_domain(partner, signer) for partner, signer in signers(home).items()]


def station(settings: Settings) -> Station:
    """The mail server, as the settings tell of it."""
    return Station(
        named(settings.mail_host), listed(settings.mail_addresses), named(settings.mail_spf)
    )


def _domain(partner: str, signer: Signer) -> Domain:
    public = dkim.dns_record(signer.key.public_key())
    return Domain(partner, signer.domain, signer.selector, public)


def _signer(path: Path) -> Signer:
    named_ = path.with_suffix(".selector")
    selector = named_.read_text().strip() if named_.exists() else SELECTOR
    domain = path.with_suffix(".domain").read_text().strip()
    return Signer(domain, selector, dkim.from_pem(path.read_bytes()))
