"""The agreement here: read it, sign it once, hold campaigns against the signed bytes."""

import hashlib
import json
from dataclasses import dataclass

from consortium.cli.api import Api
from consortium.cli.drafts import drafted_once, keep_receipt
from consortium.cli.errors import CheckRefused, HomeRefused
from consortium.cli.home import Home
from consortium.cli.vault import write_whole
from policies.agreement import Agreement, parse
from provenance.entry import Drafted

FILE = "agreement.json"


@dataclass(frozen=True, slots=True)
class Signed:
    """The agreement that this partner signed, and the digest of its exact bytes."""

    agreement: Agreement
    digest: str


def fetch(api: Api) -> tuple[bytes, Agreement]:
    """Fetch the race's agreement and check that this home can sign it.

    Raises:
        AgreementRefused: the code could not obey it.
        CheckRefused: it names this partner, the race or the custodians otherwise than the invite.
    """
    home = api.home
    document = api.get_bytes(f"/races/{home.invite['race']}/agreement")
    agreement = parse(document)
    _fits(home, agreement)
    return document, agreement


def _fits(home: Home, agreement: Agreement) -> None:
    if agreement.race.id != home.invite["race"]:
        raise CheckRefused("the agreement is for another race than the invite names")
    mine = agreement.party(home.id)
    if mine.public != home.public.hex():
        raise CheckRefused(
            "the agreement names another signing key for you: do not sign, ask the operator"
        )
    for word in ("name", "domain", "relation"):
        if getattr(mine, word) != home.identity.get(word, getattr(mine, word)):
            raise CheckRefused(
                f"the agreement states another {word} for you than your identity.json"
            )
    invited = {(c["id"], c["public"]) for c in home.invite["custodians"]}
    if {(c.id, c.public) for c in agreement.custodians} != invited:
        raise CheckRefused("the agreement names other custodians than the invite")
    if agreement.threshold != home.invite["threshold"]:
        raise CheckRefused("the agreement names another threshold than the invite")


def summary(agreement: Agreement, digest: str) -> list[str]:
    """Say in plain words what a signature would bind to."""
    a = agreement
    names = ", ".join(c.id for c in a.custodians)
    rule = "every partner" if a.approval.rule == "all" else f"{a.approval.k} partners"
    lines = [
        f"Agreement for {a.race.name} ({a.race.office}, {a.race.state}), {a.wall} side",
        f"  Letters      from {a.opens:%Y-%m-%d %H:%M} to {a.closes:%Y-%m-%d %H:%M} UTC, for {', '.join(a.purposes)}",  # noqa: E501
        f"  Caps         one person gets at most {a.caps.letters_per_week} letter(s) a week and "
        f"{a.caps.letters_per_race} in this race;",
        f"               a custodian helps to open one address at most {a.caps.opens_per_week} time(s) a week",  # noqa: E501
        f"  Approval     {rule} must approve each letter; any one partner can stop it",
        f"  Addresses    opening one takes the mail machine and {a.threshold} of these {len(a.custodians)}: {names}",  # noqa: E501
        f"  Fields       {', '.join(a.fields)}; nothing else is sealed, no other column leaves",
        f"  Quiet hours  {a.quiet_hours[0]:%H:%M} to {a.quiet_hours[1]:%H:%M} ({a.race.time_zone})",
        f"  After        rights end {a.retention_days} days after the polls",
        f"  Links        {', '.join(a.link_hosts) or 'none'}",
        "  Parties",
        *(f"    {p.name} ({p.domain}), {p.tax_status}: {p.relation}" for p in a.parties),
        f"  SHA-256      {digest}",
    ]
    if a.silence is not None:
        lines.insert(
            6,
            f"  Silence      for a programme that you approved, your own tool says yes after {a.silence.hours} h "  # noqa: E501
            f"({a.silence.rapid_hours} h for rapid response) unless somebody says no",
        )
    if a.trust == "operator":
        lines.insert(
            -1,
            "  TRUST        ONE custodian is enough here: it and the mail machine can open every list.",  # noqa: E501
        )
    return lines


def sign(api: Api, document: bytes, timeout: float) -> str:
    """Sign the agreement's bytes, wait until the log holds the signature, keep a copy.

    Returns:
        The leaf, in hex.
    """
    home = api.home
    digest = hashlib.sha256(document).hexdigest()
    facts = {"kind": "sign", "race": home.invite["race"], "digest": digest}
    drafted: Drafted = drafted_once(
        home, home.path / "agreements" / f"{digest}.entry.json", "agreement", facts, api.clock
    )
    # Kept before it is sent: whatever the log will hold, this computer has the bytes of.
    write_whole(home.path / "agreements" / f"{digest}.json", document)
    leaf = api.post_entry(drafted)
    evidence = api.wait_published(leaf, timeout)
    keep_receipt(home.path / "agreements" / f"{digest}.receipt.json", evidence, api)
    write_whole(home.path / FILE, document)
    return leaf


def signed(home: Home) -> Signed:
    """Return the agreement that this home signed; raises HomeRefused when it has not."""
    path = home.path / FILE
    if not path.exists():
        raise HomeRefused("no agreement is signed on this computer: run trellis partner sign first")
    document = path.read_bytes()
    digest = hashlib.sha256(document).hexdigest()
    if not (home.path / "agreements" / f"{digest}.receipt.json").exists():
        raise HomeRefused(
            "agreement.json was changed after signing: run trellis partner sign again"
        )
    return Signed(parse(document), digest)


def already(home: Home, document: bytes) -> bool:
    """Whether exactly these bytes are signed and logged."""
    digest = hashlib.sha256(document).hexdigest()
    path = home.path / "agreements" / f"{digest}.receipt.json"
    return path.exists() and bool(json.loads(path.read_bytes()))
