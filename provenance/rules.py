"""What an entry of a campaign needs before it: each rule by itself, over entries in log order."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from provenance.canonical import JSON
from provenance.errors import NotOpened, StoryRefused
from provenance.evidence import Checked
from provenance.openings import Closed
from provenance.people import People, Terms
from provenance.withdrawn import State, follow

HOUR = timedelta(hours=1)
"""An entry says its hour only."""


@dataclass(slots=True)
class Telling:
    """How far a replay has come.

    Attributes:
        people, terms: as the caller believes them; terms by the agreement's digest.
        approvals: how many sources must approve where no terms say it; None for all of them.
        closed: what nobody opened; where nothing is closed, what is missing never was.
        said: entries so far.
        intents: by campaign.
        held: how often each rule was kept.
        unshown: sentences of what the openings do not show.
        left: the state of withdrawals so far; None after a batch that was not opened.
        batch: the number of the batch that came last.
    """

    people: People
    terms: Mapping[str, Terms]
    approvals: int | None
    closed: Closed
    said: list[Checked] = field(default_factory=list)
    intents: dict[str, Checked] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    unshown: list[str] = field(default_factory=list)
    left: State | None = field(default_factory=State)
    batch: int = 0

    def lacks(
        self, about: str, what: str, missing: int, kinds: Collection[str], at: Checked
    ) -> None:
        """Say that so much is not shown; refuse when nothing that stays closed could be it."""
        hidden = self.closed.before(kinds, at.index)
        if missing > hidden:
            raise StoryRefused(f"{about}: {what}")
        self.unshown.append(
            f"{about}: {what}, as far as the openings show; {hidden} entries of type "
            f"{' or '.join(sorted(kinds))} before entry {at.index} stay closed"
        )


def intent(telling: Telling, one: Checked) -> None:
    """An intent needs the agreement, enough approvals, and every source's attestation before it.

    Raises:
        StoryRefused: naming the campaign and what is missing.
    """
    campaign = text(one, "campaign")
    if campaign in telling.intents:
        raise StoryRefused(f"campaign {campaign}: a second intent")
    operators = telling.people.operators
    if operators is not None and one.actor not in operators:
        raise StoryRefused(f"campaign {campaign}: its intent is not signed by the operator")
    telling.intents[campaign] = one
    sources, open_before = _sources(one), len(telling.unshown)
    needed = _needed(telling, one, sources)
    if needed < 1:
        raise StoryRefused(f"campaign {campaign}: nobody would have to approve")
    if telling.people.partners is None:
        _by_count(telling, one, len(sources), needed)
    else:
        _by_name(telling, one, sources, needed)
    if len(telling.unshown) == open_before:
        telling.held["intent: signed agreement, enough approvals, every source's attestation"] += 1


def dummy(telling: Telling, one: Checked) -> None:
    """What is called a dummy says nothing, or ``StoryRefused``."""
    if any(value is not None for name, value in one.facts.items() if name != "kind"):
        raise StoryRefused(f"entry {one.index} is called a dummy, but it says something")
    telling.held["dummy: all its fields are null"] += 1


def withdrawals(telling: Telling, one: Checked) -> None:
    """Each batch of withdrawals follows from the one before; only the operator states them.

    Raises:
        StoryRefused: one is missing, comes twice, or states another size or root than follows.
    """
    operators = telling.people.operators
    if operators is not None and one.actor not in operators:
        raise StoryRefused(f"entry {one.index} (withdrawal: state) is not signed by the operator")
    number = fact(one, "number")
    if type(number) is not int or number <= telling.batch:
        raise StoryRefused(f"entry {one.index}: batch {number} of withdrawals comes out of turn")
    missing, telling.batch = number - telling.batch - 1, number
    if missing:
        what = f"{missing} batches before batch {number}"
        telling.left = None
        telling.lacks("withdrawals", what, missing, {"withdrawal"}, one)
    if one.closed:
        telling.left = None
        raise NotOpened(f"entry {one.index}: the labels of batch {number} were not opened")
    if telling.left is not None:
        telling.left = follow(telling.left, one.facts)
        telling.held["withdrawals: each batch follows from the one before"] += 1


def _sources(one: Checked) -> list[str]:
    stated = fact(one, "sources")
    sources = [name for name in stated if isinstance(name, str)] if isinstance(stated, list) else []
    if not sources or not isinstance(stated, list) or len(set(sources)) != len(stated):
        campaign = text(one, "campaign")
        raise StoryRefused(f"campaign {campaign}: its intent names no sources, or one twice")
    return sources


def _needed(telling: Telling, one: Checked, sources: Collection[str]) -> int:
    """Hold an intent against the agreement it names; return how many approvals it needs."""
    about, named = f"campaign {text(one, 'campaign')}", text(one, "agreement")
    terms = telling.terms.get(named)
    if terms is None:
        telling.unshown.append(
            f"{about}: whether it lies within its agreement's dates, parties and size; "
            f"the document {named[:16]} was not given"
        )
        return len(sources) if telling.approvals is None else telling.approvals
    try:
        _within(telling, one, terms, sources)
    except NotOpened as hidden:
        telling.unshown.append(f"{about}: whether it lies within its agreement; {hidden}")
    missing = set(terms.parties.values()) - _signers(telling, one)
    if missing:
        short = f"{len(missing)} of {len(terms.parties)} parties"
        what = f"{short} did not sign the agreement before it"
        telling.lacks(about, what, len(missing), ("agreement",), one)
    return len(sources) if terms.approvals is None else min(terms.approvals, len(sources))


def _within(telling: Telling, one: Checked, terms: Terms, sources: Collection[str]) -> None:
    about, known = f"campaign {text(one, 'campaign')}", telling.people.partners
    if known is not None and any(known.get(id) != key for id, key in terms.parties.items()):
        raise StoryRefused(f"{about}: the agreement's parties have other keys than you know")
    if not set(sources) <= set(terms.parties):
        raise StoryRefused(f"{about}: a source is no party of its agreement")
    opens, closes = window(one)
    if not terms.opens <= opens < closes <= terms.closes:
        raise StoryRefused(f"{about}: its window lies outside the agreement's dates")
    if text(one, "race") != terms.race:
        raise StoryRefused(f"{about}: its race is not the agreement's")
    size = fact(one, "size_class")
    if type(size) is not int or size > terms.size_class:
        raise StoryRefused(f"{about}: its size class is above the agreement's")
    telling.held["intent: within the agreement's dates, parties and size"] += 1


def _signers(telling: Telling, one: Checked) -> set[bytes]:
    wanted = {"kind": "sign", "digest": text(one, "agreement")}
    if "race" in one.facts:
        wanted["race"] = text(one, "race")
    return who("agreement", wanted, telling.said)


def _said(one: Checked) -> tuple[dict[str, str], dict[str, str]]:
    """What approvals and attestations of an intent's campaign say."""
    both = {"campaign": text(one, "campaign"), "digest": text(one, "digest")}
    return {"kind": "approve", **both}, {"kind": "attest", **both, "root": text(one, "root")}


def _by_count(telling: Telling, one: Checked, sources: int, needed: int) -> None:
    """Nobody told us which key is which partner's: those who signed the agreement count."""
    about, signed = f"campaign {text(one, 'campaign')}", _signers(telling, one)
    approve, attest = _said(one)
    approved = who("approval", approve, telling.said) & signed
    attested = who("approval", attest, telling.said) & signed
    for what, found, wanted, kinds in (
        ("agreement signatures", len(signed), sources, {"agreement"}),
        ("approvals", len(approved), needed, {"agreement", "approval"}),
        ("attestations", len(attested), sources, {"agreement", "approval"}),
    ):
        if found < wanted:
            short = f"{found} {what}, {wanted} are needed"
            telling.lacks(about, short, wanted - found, kinds, one)


def _by_name(telling: Telling, one: Checked, sources: Collection[str], needed: int) -> None:
    about, people = f"campaign {text(one, 'campaign')}", telling.people
    keys = {name: (people.partners or {}).get(name) for name in sources}
    if None in keys.values() or len(set(keys.values())) != len(keys):
        # One key for two partners would speak twice; a partner without a key cannot speak.
        raise StoryRefused(f"{about}: its sources are not all known by their own keys")
    approve, attest = _said(one)
    signed, approved = _signers(telling, one), who("approval", approve, telling.said)
    attested = who("approval", attest, telling.said)
    for name, key in keys.items():
        if key not in signed:
            telling.lacks(
                about, f"{name} did not sign the agreement before it", 1, {"agreement"}, one
            )
        if key not in attested:
            telling.lacks(about, f"{name} did not attest its rows before it", 1, {"approval"}, one)
    found = sum(not approved.isdisjoint(people.keys_of(name)) for name in sources)
    if found < needed:
        what = f"{found} approvals, {needed} are needed"
        telling.lacks(about, what, needed - found, {"approval"}, one)


def of_intent(telling: Telling, one: Checked) -> Checked | None:
    """The intent of the campaign that an entry names; None when it may be one that stays closed.

    Raises:
        StoryRefused: there was none before it.
    """
    campaign = text(one, "campaign")
    found = telling.intents.get(campaign)
    if found is None:
        what = f"{one.kind} ({one.facts.get('kind')}) without an intent before it"
        telling.lacks(f"campaign {campaign}", what, 1, {"intent"}, one)
    return found


def opening(telling: Telling, one: Checked) -> None:
    """A custodian opens what an intent named, and inside its window."""
    by_custodian(telling, one)
    found = of_intent(telling, one)
    if found is None:
        return
    about = f"campaign {text(one, 'campaign')}"
    if any(fact(one, name) != fact(found, name) for name in ("digest", "root")):
        raise StoryRefused(f"{about}: a custodian opened other rows than its intent names")
    opens, closes = window(found)
    if not opens - HOUR < one.at < closes:
        raise StoryRefused(f"{about}: a custodian opened it outside its window")
    telling.held["opening: of what the intent names, inside its window"] += 1


def by_custodian(telling: Telling, one: Checked) -> None:
    """Refuse what only a custodian says, from anybody else."""
    custodians = telling.people.custodians
    if custodians is not None and one.actor not in custodians.values():
        raise StoryRefused(f"entry {one.index} ({one.kind}) is not signed by a custodian")


def who(kind: str, facts: Mapping[str, str], entries: Iterable[Checked]) -> set[bytes]:
    """The actors of entries of this type that say these facts."""
    return {
        one.actor
        for one in entries
        if one.kind == kind and all(one.facts.get(name) == value for name, value in facts.items())
    }


def fact(one: Checked, name: str) -> JSON:
    """A fact, None where the entry has none of that name.

    Raises:
        NotOpened: the entry has one, and nobody opened it.
    """
    if name in one.closed:
        raise NotOpened(f"entry {one.index} ({one.kind}): its {name} was not opened")
    return one.facts.get(name)


def text(one: Checked, name: str) -> str:
    """A fact that is text, or as `fact`."""
    value = fact(one, name)
    if not isinstance(value, str):
        raise StoryRefused(f"entry {one.index} ({one.kind}) does not say its {name}")
    return value


def window(one: Checked) -> tuple[datetime, datetime]:
    """When an intent's campaign opens and closes, or ``StoryRefused``."""
    try:
        opens, closes = (datetime.fromisoformat(text(one, part)) for part in ("opens", "closes"))
    except ValueError as refused:
        raise StoryRefused(
            f"entry {one.index} ({one.kind}) has a window without times"
        ) from refused
    if opens.tzinfo is None or closes.tzinfo is None:
        raise StoryRefused(f"entry {one.index} ({one.kind}) has a window without a time zone")
    return opens.astimezone(UTC), closes.astimezone(UTC)
