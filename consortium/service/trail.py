"""How a list and a letter came about: the log's entries on the way, under one checkpoint.

A partner sees the whole way of its own lists. Whoever got a letter sees the way of the list that it
came from, and nothing of any other list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from consortium.service import agree, assign, show
from consortium.service.errors import NotReady
from consortium.store import (
    actors,
    campaigns,
    contributions,
    deliveries,
    frames,
    leaving,
    log,
    races,
    suppressions,
)
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from matching.locks import audience_leaf, audience_leaves
from policies.authorise import Caller, require
from provenance.backend import Backend
from provenance.evidence import Evidence
from provenance.merkle import leaf_hash, tree_root
from provenance.row_receipt import Browser, Member, RowReceipt, find_member, join

RUN = ("kind", "bundle", "roll", "parameters_digest")
"""What of a matching run its list's partner sees: which run it was, and nothing of its files."""
LEFT = ("kind", "number", "size", "root")
"""What of a batch of withdrawals a receipt opens; its labels are shown apart from it."""


@dataclass(frozen=True, slots=True)
class ListTrail:
    """A partner's list: its own entries, and by campaign those that allowed it.

    ``browsers`` are the keys in browsers under which partners may have signed; ``left`` states
    which rows of all lists have left, without their labels, and is None while none has.
    """

    own: list[Evidence]
    campaigns: dict[str, list[Evidence]]
    browsers: list[dict[str, str]]
    left: Evidence | None = None


@dataclass(frozen=True, slots=True)
class TrailStep:
    """One sentence, and the entry of the log that it rests on; None while there is none."""

    words: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class RecipientView:
    """Why somebody got a letter; it holds neither name nor address."""

    partner_name: str
    relation: str
    race_name: str
    messenger_name: str
    sent_on: date
    trail: list[TrailStep]
    stopped: list[str]
    race_closes: datetime


# -- for partners ----------------------------------------------------------------------------------


def of_list(unit: Unit, caller: Caller, id: str, backend: Backend) -> ListTrail:
    """The way of one of the caller's lists, and of every campaign that is promised over it.

    Which row somebody wants to know about, nobody is told: all of it is given at once.

    Raises:
        Missing: no such list of this partner's.
    """
    require(caller, "contribute", partner=caller.id)
    one = contributions.get(unit, id)
    if one.partner != caller.id:
        raise Missing(f"no contribution {id}")
    runs = _runs(unit, id)
    promised = {
        each.id: [*_yes(unit, each, caller.id), str(each.intent_leaf)]
        for each in campaigns.listed(unit)
        if each.intent_leaf is not None
        and each.manifest is not None
        and caller.id in each.manifest["sources"]
        and each.epoch == one.epoch
    }
    state = leaving.newest(unit, published=True)
    last = [state.leaf] if state else []
    wanted = [one.leaf, *runs, *(leaf for leaves in promised.values() for leaf in leaves), *last]
    found = dict(zip(wanted, _each(unit, wanted, backend), strict=True))
    matched = [each.only(*RUN) for leaf in runs if (each := found[leaf]) is not None]
    return ListTrail(
        [*(each for each in [found[one.leaf]] if each is not None), *matched],
        {
            id: [each for leaf in leaves if (each := found[leaf]) is not None]
            for id, leaves in promised.items()
            if found[leaves[-1]] is not None
        },
        actors.browser_keys(unit),
        next((each.only(*LEFT) for leaf in last if (each := found[leaf]) is not None), None),
    )


def _each(unit: Unit, leaves: Sequence[str], backend: Backend) -> list[Evidence | None]:
    """Evidence for each entry, under one checkpoint; None where there is none yet, or no more."""
    known = [leaf for leaf in leaves if log.promised(unit, leaf)]
    found = {leaf_hash(one.entry).hex(): one for one in show.evidences(unit, known, backend)}
    return [found.get(leaf) for leaf in leaves]


def _runs(unit: Unit, bundle: str) -> list[str]:
    """The runs that matched a list, oldest first."""
    return [
        one.leaf
        for one in log.of_kind(unit, "match")
        if one.openings is not None and one.openings.get("bundle", {}).get("value") == bundle
    ]


def _yes(unit: Unit, one: campaigns.Campaign, partner: str) -> list[str]:
    """Everybody's approvals; of agreeing and of checking rows, this partner's own."""
    signed = races.signatures(unit, one.race).get(partner)
    said = campaigns.approvals(unit, one.id)
    yes = [each.leaf for each in said if each.kind == "approve" or each.partner == partner]
    return [*([signed] if signed else []), *yes]


# -- for whoever got a letter ----------------------------------------------------------------------


def recipient(unit: Unit, capability: str) -> RecipientView:
    """Why somebody got a letter, for whoever holds its capability.

    Raises:
        Missing: no letter has that capability, or it has ended.
    """
    letter = deliveries.by_capability(unit, capability)
    one = campaigns.get(unit, letter.campaign)
    terms = agree.terms(unit, one.race)
    party = terms.party(letter.partner)
    sent = letter.settled_at or letter.claimed_at or one.at
    return RecipientView(
        partner_name=party.name,
        relation=party.relation,
        race_name=terms.race.name,
        messenger_name=assign.signs(unit, one, letter.messenger)["name"],
        sent_on=sent.date(),
        trail=_steps(unit, letter, one, party.name, party.relation, sent),
        stopped=suppressions.stopped_scopes(unit, letter, one.race),
        race_closes=terms.closes,
    )


def _steps(
    unit: Unit,
    letter: deliveries.Delivery,
    one: campaigns.Campaign,
    name: str,
    relation: str,
    sent: datetime,
) -> list[TrailStep]:
    bundle = contributions.get(unit, letter.bundle)
    leaves = _letter_leaves(unit, letter, one)
    at = {what: log.find(unit, leaf) for what, leaf in leaves.items() if log.promised(unit, leaf)}

    def step(what: str, words: str) -> list[TrailStep]:
        found = at.get(what)
        return [] if found is None else [TrailStep(words, found.index)]

    approved = {a.partner: a.at for a in campaigns.approvals(unit, one.id, "approve")}
    yes = approved.get(letter.partner)
    return [
        *step("sign", f"{name} states that you are {relation}, in an agreement that it signed."),
        *step("bundle", f"It put a sealed list into the consortium on {_day(bundle.at)}."),
        *step("run", "That list was matched with the voter file, in codes."),
        *(step("approve", f"It approved this email on {_day(yes)}.") if yes else []),
        *step("attest", "It checked which of its own rows the email may go to."),
        *step("intent", "That the email would go out, as approved, was recorded before it left."),
        TrailStep(f"The email was handed to your provider on {_day(sent)}."),
    ]


def _letter_leaves(
    unit: Unit, letter: deliveries.Delivery, one: campaigns.Campaign
) -> dict[str, str]:
    """The entries on a letter's way: of the list's own partner, and of the operator."""
    found = {"bundle": contributions.get(unit, letter.bundle).leaf}
    if signed := races.signatures(unit, one.race).get(letter.partner):
        found["sign"] = signed
    if runs := _runs(unit, letter.bundle):
        found["run"] = runs[-1]
    for each in campaigns.approvals(unit, one.id):
        if each.partner == letter.partner:
            found[each.kind] = each.leaf
    if one.intent_leaf is not None:
        found["intent"] = one.intent_leaf
    return found


OPENED = {
    "sign": ("kind", "digest"),
    "bundle": ("kind", "partner", "bundle"),
    "run": ("kind", "bundle"),
    "approve": ("kind", "campaign", "digest"),
    "attest": ("kind", "campaign", "digest", "root"),
    "intent": ("kind", "campaign", "digest", "root", "nonce", "agreement"),
}
"""What a letter's receipt opens: not whose lists besides were used, nor how long any list is."""


def receipt(units: Units, capability: str, backend: Backend, artefacts: Artefacts) -> RowReceipt:
    """A receipt of the trail, for whoever holds a letter's capability.

    Raises:
        Missing: no letter has that capability, or it has ended.
        NotReady: the log does not hold all of it yet.
    """

    def find(unit: Unit) -> tuple[deliveries.Delivery, campaigns.Campaign, RowReceipt]:
        letter = deliveries.by_capability(unit, capability)
        one = campaigns.get(unit, letter.campaign)
        leaves = _letter_leaves(unit, letter, one)
        found = _each(unit, list(leaves.values()), backend)
        if {*OPENED} - {*leaves, "run"} or None in found:
            raise NotReady("the log does not hold all of this letter's way yet; try again later")
        opened = [
            each.only(*OPENED[what])
            for what, each in zip(leaves, found, strict=True)
            if each is not None
        ]
        made = join(
            opened,
            policy=show.policy(unit).to_text(),
            actors=show.publics(unit),
            browsers=_browsers(unit),
        )
        return letter, one, made

    letter, one, made = units.read("letter-receipt", find)
    member = _member(letter, one, artefacts)
    if member is None:
        return made
    lock = bytes.fromhex(letter.lock)
    return replace(made, lock=lock, member=member)


def _browsers(unit: Unit) -> list[Browser]:
    return [
        Browser(one["partner"], bytes.fromhex(one["public"]), bytes.fromhex(one["signature"]))
        for one in actors.browser_keys(unit)
    ]


def _member(
    letter: deliveries.Delivery, one: campaigns.Campaign, artefacts: Artefacts
) -> Member | None:
    """The letter's lock under the audience's root; None once the audience was cut."""
    if one.audience_digest is None or one.nonce is None or letter.row == deliveries.GONE:
        return None
    with artefacts.open(one.audience_digest) as path:
        locks = frames.read_locks(path)
    nonce = bytes.fromhex(one.nonce)
    leaves = audience_leaves(nonce, locks)
    if tree_root(leaves).hex() != one.root:
        return None
    return find_member(leaves, audience_leaf(nonce, bytes.fromhex(letter.lock)))


def _day(at: datetime) -> str:
    return f"{at:%B} {at.day}, {at.year}"
