"""Replays evidence in log order: nothing is sent that was not agreed, approved and attested."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from provenance import rules
from provenance.entry import DUMMY
from provenance.errors import NotOpened, StoryRefused
from provenance.evidence import Checked, Evidence, check
from provenance.openings import Closed
from provenance.people import People, Terms
from provenance.quorum import Cosigned, Policy
from provenance.totals import Totals


@dataclass(frozen=True, slots=True)
class Story:
    """What the evidence tells, oldest first.

    Attributes:
        entries, lines: the checked entries, and a sentence for each.
        held: each rule that was applied, and how often it was kept.
        unshown: in sentences, what these openings leave open.
    """

    entries: tuple[Checked, ...]
    lines: tuple[str, ...]
    held: tuple[tuple[str, int], ...] = ()
    unshown: tuple[str, ...] = ()


def replay(
    evidences: Sequence[Evidence],
    policy: Policy,
    *,
    actors: Mapping[str, bytes] | None = None,
    approvals: int | None = None,
) -> Story:
    """Check every piece of evidence, then that each event was allowed by what came before it.

    The evidence has to be the whole story: what it does not hold did not happen.

    Args:
        evidences: in any order.
        policy: of the log.
        actors: partner id to public key. Without it a source is any partner key that signed the
            agreement, and the sources are only counted.
        approvals: how many sources must have approved; all of them by default.

    Raises:
        StoryRefused: naming the campaign and what is missing.
        ProvenanceError: a piece of evidence does not hold.
    """
    return tell(in_order(evidences, policy), People(partners=actors), approvals=approvals)


def tell(
    entries: Sequence[Checked],
    people: People,
    *,
    terms: Sequence[Terms] = (),
    approvals: int | None = None,
    closed: Closed | None = None,
) -> Story:
    """Check that each event was allowed by what came before it.

    1. ``sent``, and a custodian's opening, need the campaign's ``intent`` before them; the opening
       is of what that names, and in its window.
    2. ``intent`` needs, before it, enough ``approve`` entries of exactly its digest, an
       ``attest`` entry of its digest and root by every source, and the agreement it names
       signed by every source, and by every party where its document is given. It lies within that
       document's dates.
    3. A campaign has one intent.
    4. A custodian states one total for a campaign, after an opening of its own, within the size
       class, and not below the letters that the mail machine says it handed over.
    5. Whether letters in doubt were taken is decided in the operator's name.
    6. The privacy ledger's heads never go back.
    7. A dummy, of whatever type, says nothing.
    8. The operator's batches of withdrawals follow from one another, to the root.

    Args:
        entries: oldest first, from `in_order`.
        people: whom the caller knows.
        terms: of agreements whose documents are at hand.
        approvals: how many sources must approve where no terms say it; all of them by default.
        closed: what of the log nobody opened. What a rule misses may be among that; then it is
            told as not shown. Without it nothing else exists.

    Raises:
        StoryRefused: naming the campaign and what is wrong.
    """
    by_digest = {one.digest: one for one in terms}
    telling = rules.Telling(people, by_digest, approvals, closed or Closed())
    totals = Totals()
    for one in entries:
        try:
            _judge(telling, totals, one)
        except NotOpened as hidden:
            telling.unshown.append(str(hidden))
        if one.facts.get("kind") != DUMMY:  # there may be thousands, and no rule looks for one
            telling.said.append(one)
    totals.settle(telling)
    return Story(
        tuple(entries),
        tuple(_line(one) for one in entries),
        tuple(sorted(telling.held.items())),
        tuple(telling.unshown),
    )


def _judge(telling: rules.Telling, totals: Totals, one: Checked) -> None:
    match (one.kind, one.facts.get("kind")):
        case (_, kind) if kind == DUMMY:
            rules.dummy(telling, one)
        case ("intent", _):
            rules.intent(telling, one)
        case ("sent", _):
            totals.sent(telling, one)
        case ("withdrawal", "state"):
            rules.withdrawals(telling, one)
        case ("ledger", "opening"):
            rules.opening(telling, one)
        case ("ledger", "head"):
            totals.head(telling, one)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Checked entries, each once and oldest first, and the root of every tree they stand in."""

    entries: tuple[Checked, ...]
    trees: dict[int, bytes]


def in_order(evidences: Sequence[Evidence], policy: Policy) -> tuple[Checked, ...]:
    """Check every piece, all of it opened; each entry once, oldest first; raises as `gather`."""
    seen: dict[bytes, Cosigned] = {}
    return gather((one.entry, check(one, policy, seen=seen)) for one in evidences).entries


def gather(checked: Iterable[tuple[bytes, Checked]]) -> Gathered:
    """Put checked entries in order; what several pieces open of one entry is put together.

    Args:
        checked: each with the entry's own bytes.

    Raises:
        StoryRefused: two histories side by side.
    """
    found: dict[int, tuple[bytes, Checked]] = {}
    trees: dict[int, bytes] = {}
    for raw, one in checked:
        if trees.setdefault(one.size, one.root) != one.root:
            raise StoryRefused(f"two different trees of {one.size} entries: the log forked")
        entry, known = found.setdefault(one.index, (raw, one))
        if entry != raw:
            raise StoryRefused(f"two different entries {one.index}: the log has forked")
        if known.closed:
            both = tuple(name for name in known.closed if name in one.closed)
            facts = {**known.facts, **one.facts}
            found[one.index] = raw, replace(known, facts=facts, closed=both)
    return Gathered(tuple(found[index][1] for index in sorted(found)), trees)


def _line(one: Checked) -> str:
    kind = one.facts.get("kind", one.kind)
    about = one.facts.get("campaign") or one.facts.get("bundle") or one.facts.get("race") or ""
    return (
        f"{one.at:%Y-%m-%d %H}h  entry {one.index}  {one.kind}: {kind}"
        + (f" {about}" if isinstance(about, str) and about else "")
        + f"  (by {one.actor.hex()[:16]})"
    )
