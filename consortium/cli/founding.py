"""Sets a consortium up: keys of operator and mailer, database, agreement, invite."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.jobs import dkim_files, key_files
from consortium.service import agree, enter, succeed
from consortium.settings import Settings
from consortium.store import actors, epochs, log, texts
from consortium.store.unit import Unit
from consortium.wiring import Process, make_epoch_keys, make_key, pen, read_key
from consortium.world import World
from mailer import keys
from mailer.domains import Station, records
from matching.countersigning import named
from policies import agreement
from provenance.note import ED25519, Signer
from provenance.quorum import Policy, overlap

EPOCH_FORMAT = "{year}-season"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the installation's parts are."""

    home: Path
    log_dir: Path
    mailer_home: Path
    api: str
    origin: str


def identity(folder: Path) -> dict[str, Any]:
    """A home's public identity."""
    found: dict[str, Any] = json.loads((folder / "identity.json").read_text())
    return found


def write_identity(home: Path, facts: Mapping[str, Any]) -> None:
    """Write a home's public identity beside its keys."""
    (home / "identity.json").write_text(json.dumps(dict(facts), indent=1, sort_keys=True) + "\n")


def public_of(seed: bytes) -> str:
    """The public key, in hex, of a signing seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def make_home(home: Path) -> None:
    """A folder that nobody else may enter."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)


def found_operator(home: Path) -> str:
    """Make the operator's keys once. Returns its public key in hex."""
    make_home(home)
    seed = make_key(home / "signing.key")
    make_key(home / "log.key")
    public = public_of(seed)
    who = {"id": "operator", "role": "operator", "name": "Operator", "public": public}
    write_identity(home, who)
    return public


def found_mailer(home: Path, sending: Mapping[str, str]) -> dict[str, str]:
    """Make the mail machine's keys once: signing, sealing, stops, links, DKIM for each partner.

    Args:
        sending: domain by partner.

    Returns:
        The DNS records to publish, by name: DKIM, SPF and DMARC for each domain.
    """
    make_home(home)
    seed = make_key(home / "signing.key")
    key_files.settle(home)
    private = make_key(home / key_files.CURRENT, keys.generate().private)
    for name in ("delivery", "stop", "choice"):
        make_key(home / f"{name}.key")
    make_home(home / "returns")
    make_home(home / "dkim")
    found: dict[str, str] = {}
    for partner, domain in sorted(sending.items()):
        added = dkim_files.add(home, partner, domain)
        texts_of = (one for one in records(added, Station()) if one.kind == "TXT")
        found |= {one.name: one.value for one in texts_of}
    write_identity(
        home,
        {
            "id": "mailer",
            "role": "mailer",
            "name": "Mail machine",
            "public": public_of(seed),
            "hpke_public": _first_key(home) or keys.public_of(private).hex(),
        },
    )
    return found


def _first_key(home: Path) -> str:
    """The public half, in hex, that this home began with: invites name it for good."""
    known = (home / "identity.json").exists()
    return str(identity(home).get("hpke_public", "")) if known else ""


def agreement_of(
    world: World,
    identities: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    quiet_hours: tuple[str, str],
    letters_per_week: int = 1,
) -> bytes:
    """The default agreement for a world, over its partners' and custodians' own keys."""
    publics = {one["id"]: one["public"] for one in identities}
    closes = datetime.combine(
        world.election, world.polls_close, ZoneInfo(world.time_zone)
    ).astimezone(UTC)
    document = agreement.default(
        race={
            "id": world.race.id,
            "name": world.race.name,
            "office": world.race.office,
            "state": world.race.state,
            "jurisdiction": ", ".join(world.districts) or world.race.state,
            "election_date": world.election.isoformat(),
            "polls_close": f"{closes:%Y-%m-%dT%H:%M:%SZ}",
            "time_zone": world.time_zone,
        },
        parties=[
            {
                "id": partner.slug,
                "name": partner.name,
                "domain": partner.domain,
                "relation": partner.relation,
                "public": publics[partner.slug],
            }
            for partner in world.partners
        ],
        custodians=[
            {"id": one["id"], "public": one["public"]}
            for one in identities
            if one["role"] == "custodian"
        ],
        threshold=world.custodians.threshold,
        opens=(now - timedelta(hours=1)).replace(microsecond=0),
        closes=closes,
        postal_address=world.letter.postal_address,
        paid_for_by=world.letter.paid_for_by,
        quiet_hours=list(quiet_hours),
        caps={
            "letters_per_week": letters_per_week,
            "letters_per_race": max(5, letters_per_week),
            "opens_per_week": letters_per_week + 1,
        },
        link_hosts=sorted({*world.letter.link_hosts, *(p.domain for p in world.partners)}),
    )
    return agreement.to_bytes(document)


def invite_of(
    place: Place,
    world: World,
    identities: Sequence[Mapping[str, Any]],
    *,
    quorum: int,
    demo: bool,
) -> dict[str, Any]:
    """The public facts that every tool is set up with."""
    signer = Signer.from_seed(place.origin, read_key(place.home / "log.key"), ED25519)
    return {
        "api": place.api,
        "origin": place.origin,
        "log_url": f"{place.api}/log",
        "log_vkey": signer.verifier.vkey,
        "witnesses": [
            {"name": one["name"], "vkey": one["vkey"], "url": one["url"]}
            for one in identities
            if one["role"] == "witness"
        ],
        "quorum": quorum,
        "custodians": [
            {key: one[key] for key in ("id", "url", "public", "hours", "time_zone") if key in one}
            for one in identities
            if one["role"] == "custodian"
        ],
        "former": _former(place.home, identities),
        "threshold": world.custodians.threshold,
        "epoch": EPOCH_FORMAT.format(year=world.election.year),
        "race": world.race.id,
        "actors": [
            {part: one[part] for part in ("id", "role", "name", "public", "rows") if part in one}
            for one in identities
            if one["role"] != "witness"
        ],
        "demo": demo,
        # Its first key's name; every later one is believed as custodians countersigned it.
        "mailer_key": next(
            named(bytes.fromhex(one["hpke_public"]))
            for one in identities
            if one["role"] == "mailer"
        ),
    }


def _former(home: Path, identities: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Custodians of the invite before this one: what they signed is checked with their keys."""
    path = home / "invite.json"
    before = json.loads(path.read_bytes()) if path.exists() else {}
    present = {one["id"] for one in identities if one["role"] == "custodian"}
    known = [*before.get("former", ()), *before.get("custodians", ())]
    return [one for one in known if one["id"] not in present]


def found(
    process: Process,
    world: World,
    invite: Mapping[str, Any],
    document: bytes,
) -> None:
    """Set up database, race, public log folder and the first entries. Safe to repeat.

    An installation that has lived on keeps its epochs: the invite says the first only at first.
    """
    process.migrate()
    settings = process.settings
    signing = pen("operator", read_key(settings.home / "signing.key"))
    first = not process.units.run("founded", epochs.listed)
    outputs = make_epoch_keys(settings.home, str(invite["epoch"])) if first else b""

    def begin(unit: Unit) -> dict[str, Any]:
        for one in invite["actors"]:
            actors.add(unit, actors.Actor(one["id"], one["role"], one["name"], one["public"]))
        texts.put(unit, "invite", json.dumps(dict(invite)))
        agree.open_race(unit, document, str(invite["epoch"]))
        if not log.of_kind(unit, "witness"):
            vkeys = [one["vkey"] for one in invite["witnesses"]]
            facts = {"kind": "policy", "witnesses": vkeys, "quorum": invite["quorum"]}
            enter.write(unit, signing, "witness", facts, now=unit.now)
        if outputs:
            facts = {"kind": "pepper", "epoch": invite["epoch"], "public": outputs.hex()}
            enter.write(unit, signing, "key", facts, now=unit.now)
        return succeed.renew_invite(unit)

    write_invite(settings.home, process.units.run("found", begin))
    folder = settings.log_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.vkey").write_text(str(invite["log_vkey"]) + "\n")
    for number, one in enumerate(invite["witnesses"], 1):
        (folder / f"witness-{number}.vkey").write_text(one["vkey"] + "\n")
    (folder / "policy").write_text(Policy.from_invite(invite).to_text())


def cover_of(seconds: float) -> int:
    """How many entries of each form a publication shows at least, unless somebody says.

    Dummies by the second would fill the disk and hide nothing from who looks by the second.
    """
    return 4 if seconds >= 60 else 0


def quorum_words(people: Sequence[Mapping[str, Any]], quorum: int) -> str:
    """What a quorum means: who may be away, and how many would have to lie.

    Raises:
        click.ClickException: it cannot be met, or two histories could have one without a lie.
    """
    count = sum(one["role"] == "witness" for one in people)
    if not 1 <= quorum <= count:
        raise click.ClickException(f"a quorum of {quorum} cannot come of {count} witnesses")
    liars = overlap(count, quorum)
    if liars == 0:
        raise click.ClickException(
            f"with {quorum} of {count} witnesses two histories could each have a quorum, and no "
            f"witness would have lied; ask for {count // 2 + 1} at least"
        )
    return (
        f"The log goes on while {count - quorum} of its {count} witnesses are away, and no more.\n"
        f"Two histories would need {liars} that sign both (2 x {quorum} - {count}): "
        f"it holds while at most {liars - 1} lie."
        + ("" if liars > 1 else " One liar is enough; with 4 of 5 it would take three.")
    )


def write_invite(home: Path, invite: Mapping[str, Any]) -> None:
    """Write the invite that the operator hands to everybody, whole or not at all."""
    aside = home / ".invite.json.part"
    aside.write_text(json.dumps(dict(invite), indent=1) + "\n")
    aside.replace(home / "invite.json")


def write_settings(settings: Mapping[str, object], home: Path) -> None:
    """Keep a home's settings where its processes find them."""
    lines = [f"TRELLIS_{name.upper()}={value}\n" for name, value in settings.items()]
    known = set(Settings.model_fields)
    assert set(settings) <= known, set(settings) - known
    (home / "trellis.env").write_text("".join(lines))
