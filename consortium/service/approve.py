"""Enough of the right people say yes to exactly these bytes."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import rfc8785

from consortium.service import agree, choose, draft, enter, lend, locate, vet
from consortium.service.errors import EntryMisfits, WrongState
from consortium.service.ghosts import at_most as ghosts_at_most
from consortium.service.proofread import USUAL, Look, must_pass
from consortium.store import campaigns, frames, programmes, races
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Unit, Units
from mailer import arms
from mailer.written import signed
from policies import approvals, disclosure
from policies.agreement import Agreement
from policies.authorise import Caller, require

STOPPABLE = ("submitted", "approved", "frozen", "attested", "logged", "sending", "paused")
TO_FIX = "the audience to be fixed"
"""What an approved campaign waits for, whether for the first time or once more."""
RUNNING = ("approved", "frozen", "attested", "logged", "sending")


def submit(
    units: Units,
    caller: Caller,
    id: str,
    *,
    artefacts: Artefacts,
    clock: Callable[[], datetime],
    look: Look = USUAL,
) -> str:
    """Ask the partners: the noised size is taken, the gate is passed, the manifest is fixed.

    Args:
        look: how letters are looked at before.

    Returns:
        The manifest's digest in hex: what every partner signs.

    Raises:
        TooFew: the noised size is below the gate. Nothing is asked of anybody.
        NotReady: receivers would refuse letters from a source's domain.
        TemplateRefused: something in the letter is red.
    """
    one = units.run("submit-look", lambda unit: campaigns.get(unit, id))
    term = units.run("submit-term", lambda unit: agree.term(unit, one.race, clock()))
    require(caller, "submit", term=term)
    if one.state == "submitted" and one.digest:
        return one.digest
    if one.state != "draft":
        raise WrongState("only a draft can be submitted")
    units.run("submit-signer", lambda unit: lend.may_sign(unit, one))
    terms = units.run("submit-terms", lambda unit: agree.signed_terms(unit, one.race))
    units.read("submit-domains", lambda unit: _domains_stand(unit, terms, clock()))
    must_pass(units, id, look)
    # The gate's look is charged for good, so what would be refused is refused before it.
    counted = choose.count(
        units, caller, one.race, one.definition, artefacts=artefacts, clock=clock, gate=True
    )
    parts = arms.shares(one.template)
    for part in parts:  # each arm is an audience of its own: the smallest has to be large enough
        noisy = counted.noisy * part // sum(parts)
        disclosure.gate(noisy, counted.sigma, counted.cells, k_min=terms.min_audience)
    seen = units.run("submit-snapshot", choose.snapshot)
    with artefacts.open(seen.attributes) as attributes:
        precincts = len(frames.precinct_rows(attributes))

    def fix(unit: Unit) -> str:
        still = campaigns.get(unit, id)
        if still.state != "draft":
            raise WrongState("only a draft can be submitted")
        if (still.template, still.definition) != (one.template, one.definition):
            raise WrongState("the draft was changed meanwhile; look at it and submit it again")
        lend.may_sign(unit, still)
        if outdated(unit, still, terms):
            raise WrongState("the facts of places were loaded anew since; save the draft again")
        still = _led(unit, still)
        manifest = _manifest(unit, terms, still, counted, precincts)
        digest = approvals.manifest_digest(manifest)
        campaigns.change(
            unit,
            id,
            state="submitted",
            template=still.template,
            manifest=manifest,
            digest=digest,
            estimate=counted.noisy,
            waiting_for="the partners' approval",
        )
        return digest

    return units.run("submit", fix)


def _domains_stand(unit: Unit, terms: Agreement, now: datetime) -> None:
    """Before the partners are asked: receivers would take letters from each source's domain."""
    vet.must_stand(unit, terms, draft.live_sources(unit), now)


def _led(unit: Unit, one: campaigns.Campaign) -> campaigns.Campaign:
    """A campaign of several messengers whose first one, whom previews name, still is among them."""
    if not one.template.get("nearest"):
        return one
    known = lend.everybody(unit, one.race)
    first = one.template["messenger"] if one.template["messenger"] in known else known[0]
    return replace(one, template={**one.template, "messenger": first})


def _manifest(
    unit: Unit,
    terms: Agreement,
    one: campaigns.Campaign,
    counted: choose.Counted,
    precincts: int,
) -> dict[str, Any]:
    sources = draft.live_sources(unit)
    # Rows, not people: somebody on every list has a row in each, and ghosts come on top.
    rows = len(sources) * (counted.noisy + 6 * counted.sigma * counted.cells**0.5)
    ghosts = len(sources) * ghosts_at_most(precincts, len(terms.parties))
    size_class = 1 << max(int(rows + ghosts) - 1, 1).bit_length()
    manifest = {
        "campaign": one.id,
        "race": one.race,
        "definition": one.definition,
        "sources": sources,
        "agreement": races.get(unit, one.race).digest,
        "template": template_digest(one.template),
        "sender": _senders(one, terms, sources),
        "links": draft.links(terms, one.template),
        "window": one.template["window"],
        "size_class": min(size_class, terms.size_class_max),
        "messenger": one.template["messenger"],
    }
    if one.template.get("arms"):
        manifest["arms"] = list(arms.shares(one.template))
    if one.template.get("nearest"):
        manifest["messengers"] = lend.everybody(unit, one.race)
    approvals.check_manifest(manifest)
    return manifest


def _senders(
    one: campaigns.Campaign, terms: Agreement, sources: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Whose name and domain each source's letters carry, spelled as ``mailer.letter`` does."""
    messenger = "{messenger}" if one.template.get("nearest") else one.template["messenger"]["name"]
    return {
        source: {
            "from": f"{messenger} for {terms.party(source).name}",
            "domain": terms.party(source).domain,
        }
        for source in sources
    }


def template_digest(template: Mapping[str, Any]) -> str:
    """Digest, in hex, of the letter's own words, as a manifest names it."""
    return hashlib.sha256(rfc8785.dumps(signed(template))).hexdigest()


def outdated(unit: Unit, one: campaigns.Campaign, terms: Agreement) -> bool:
    """Whether a newer table of places says anything else of what this letter states."""
    return locate.outdated(unit, one, draft.facts_used(terms, one.template))


def unchanged(one: campaigns.Campaign, terms: Agreement, race: races.Race) -> None:
    """Check that what would be sent is what was approved, whatever happened to the database since.

    Custodians check that this manifest is the one in the log; here the words, the signer and the
    window are held against it.

    Raises:
        EntryMisfits: names the part that differs.
    """
    manifest = one.manifest or {}
    held = {
        "digest": (one.digest, approvals.manifest_digest(manifest)),
        "template": (template_digest(one.template), manifest.get("template")),
        "messenger": (one.template["messenger"], manifest.get("messenger")),
        "messengers": (bool(one.template.get("nearest")), "messengers" in manifest),
        "arms": (arms.shares(one.template), tuple(manifest.get("arms", (1,)))),
        "window": (one.template["window"], manifest.get("window")),
        "definition": (one.definition, manifest.get("definition")),
        "agreement": (hashlib.sha256(race.agreement).hexdigest(), manifest.get("agreement")),
        "sender": (
            _senders(one, terms, manifest.get("sources", [])),
            manifest.get("sender"),
        ),
        "links": (
            draft.links(terms, one.template),
            manifest.get("links"),
        ),
    }
    for name, (here, approved) in held.items():
        if here != approved:
            raise EntryMisfits(f"the {name} is not what was approved; nothing is sent")


def approve(
    unit: Unit,
    caller: Caller,
    id: str,
    *,
    entry: bytes,
    openings: Mapping[str, Any],
    now: datetime,
) -> str:
    """Take in a partner's signature over the manifest's digest.

    Returns:
        The leaf hash, in hex, of the approval's entry.
    """
    one = campaigns.get(unit, id)
    require(caller, "approve", partner=caller.id, sources=(one.manifest or {}).get("sources", []))
    said = enter.read(unit, entry, openings, now=now)
    enter.expect(said, "approval", kind="approve", campaign=id, digest=one.digest)
    if leaf := said_before(unit, caller, id, "approve", said):
        return leaf
    if one.state != "submitted" or one.manifest is None:
        raise WrongState("this campaign is not waiting for approvals")
    if caller.id not in one.manifest["sources"]:
        raise WrongState("this campaign does not use this partner's list")
    leaf = enter.promise(unit, said, entry, openings, now=now)
    campaigns.approve(unit, campaigns.Approval(id, caller.id, "approve", leaf, now))
    unit.session.flush()
    yes = [a.partner for a in campaigns.approvals(unit, id, "approve")]
    terms = agree.signed_terms(unit, one.race)
    if len(set(yes) & set(one.manifest["sources"])) >= approvals.needed(
        terms, one.manifest["sources"]
    ):
        campaigns.change(unit, id, state="approved", waiting_for=TO_FIX)
        unit.after("freeze", campaign=id)
    return leaf


def said_before(unit: Unit, caller: Caller, id: str, kind: str, said: enter.Said) -> str | None:
    """The leaf of what this partner said before, if it did; nobody says it for another."""
    enter.by(said, caller)
    known = campaigns.approvals(unit, id, kind)
    return next((one.leaf for one in known if one.partner == caller.id), None)


def schedule(unit: Unit, caller: Caller, id: str, *, hold: timedelta, now: datetime) -> str:
    """Let the letters go once everything else is in place; a hold lets people think again.

    The hold is once: whoever pauses has thought again, and going on needs no other. It is anew only
    where the audience was fixed anew, since that is another intent.
    """
    one = campaigns.get(unit, id)
    require(caller, "schedule", term=agree.term(unit, one.race, now))
    if one.state not in ("submitted", *RUNNING):
        raise WrongState("this campaign cannot be scheduled now")
    if one.scheduled is None:
        held = now + hold
        said = {"waiting_for": holding(unit, one, held)} if one.state == "logged" else {}
        campaigns.change(unit, id, scheduled=held, **said)
        unit.after("mail", campaign=id)
    return one.state


def holding(unit: Unit, one: campaigns.Campaign, until: datetime) -> str:
    """What a campaign waits for in its hold: until when it can be stopped before any letter."""
    local = until.astimezone(ZoneInfo(agree.terms(unit, one.race).race.time_zone))
    said = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
    return f"the end of its hold: until {said} a stop or a pause lets no letter go"


def pause(unit: Unit, caller: Caller, id: str) -> str:
    """Hold further letters; harmless, and any partner may."""
    require(caller, "pause")
    one = campaigns.get(unit, id)
    if one.state == "paused":
        return "paused"
    if one.state not in RUNNING:
        raise WrongState("this campaign is not under way")
    campaigns.change(unit, id, state="paused", before_pause=one.state, waiting_for="paused")
    return "paused"


def resume(unit: Unit, caller: Caller, id: str) -> str:
    """Go on where the pause began."""
    one = campaigns.get(unit, id)
    require(caller, "resume", term=agree.term(unit, one.race, unit.now))
    if one.state != "paused" or one.before_pause is None:
        raise WrongState("this campaign is not paused")
    lend.may_sign(unit, one)
    holds = one.before_pause == "logged" and one.scheduled and one.scheduled > unit.now
    said = holding(unit, one, one.scheduled) if one.scheduled and holds else ""
    campaigns.change(unit, id, state=one.before_pause, before_pause=None, waiting_for=said)
    for task in ("freeze", "intend", "mail"):
        unit.after(task, campaign=id)
    return one.before_pause


def stop(unit: Unit, caller: Caller, id: str, *, now: datetime) -> str:
    """End a campaign for good; what has gone cannot be called back."""
    require(caller, "stop")
    one = campaigns.get(unit, id)
    if one.state in ("stopped", "closed"):
        return one.state
    campaigns.change(unit, id, state="stopped", waiting_for="", closed=now)
    if caller.role == "partner" and caller.partner:
        # A letter that came of a programme: none of the others goes by silence any more.
        programmes.hold(unit, id, caller.partner, now)
    return "stopped"
