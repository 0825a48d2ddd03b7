"""Replays evidence in log order: nothing is sent that was not agreed, approved and attested."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from provenance.errors import StoryRefused
from provenance.evidence import Checked, Evidence, check
from provenance.quorum import Policy


@dataclass(frozen=True, slots=True)
class Story:
    """What the evidence tells, oldest first: the checked entries, and a sentence for each."""

    entries: tuple[Checked, ...]
    lines: tuple[str, ...]


def replay(
    evidences: Sequence[Evidence],
    policy: Policy,
    *,
    actors: Mapping[str, bytes] | None = None,
    approvals: int | None = None,
) -> Story:
    """Check every piece of evidence, then that each event was allowed by what came before it.

    1. ``sent`` for a campaign needs its ``intent`` before it.
    2. ``intent`` needs, before it, enough ``approve`` entries of exactly its digest, an
       ``attest`` entry of its digest and root by every source, and the agreement it names
       signed by every source.
    3. A campaign has one intent.

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
    entries = _in_order(evidences, policy)
    intents: dict[str, Checked] = {}
    for place, one in enumerate(entries):
        if one.kind == "intent":
            _check_intent(one, entries[:place], intents, actors, approvals)
            intents[_text(one, "campaign")] = one
        elif one.kind == "sent" and _text(one, "campaign") not in intents:
            raise StoryRefused(f"campaign {_text(one, 'campaign')}: sent without an intent")
    return Story(entries, tuple(_line(one) for one in entries))


def _in_order(evidences: Sequence[Evidence], policy: Policy) -> tuple[Checked, ...]:
    """Every entry once, oldest first; two histories side by side are refused."""
    found: dict[int, tuple[bytes, Checked]] = {}
    roots: dict[int, bytes] = {}
    for one in evidences:
        checked = check(one, policy)
        if roots.setdefault(checked.size, checked.root) != checked.root:
            raise StoryRefused(f"two different trees of {checked.size} entries: the log forked")
        entry, _ = found.setdefault(checked.index, (one.entry, checked))
        if entry != one.entry:
            raise StoryRefused(f"two different entries {checked.index}: the log has forked")
    return tuple(found[index][1] for index in sorted(found))


def _check_intent(
    intent: Checked,
    before: Sequence[Checked],
    intents: Mapping[str, Checked],
    actors: Mapping[str, bytes] | None,
    approvals: int | None,
) -> None:
    campaign, digest = _text(intent, "campaign"), _text(intent, "digest")
    if campaign in intents:
        raise StoryRefused(f"campaign {campaign}: a second intent")
    sources = intent.facts.get("sources")
    if (
        not isinstance(sources, list)
        or not sources
        or not all(isinstance(one, str) for one in sources)
        or len(set(sources)) != len(sources)
    ):
        raise StoryRefused(f"campaign {campaign}: its intent names no sources, or one twice")
    needed = len(sources) if approvals is None else approvals
    if needed < 1:
        raise StoryRefused(f"campaign {campaign}: nobody would have to approve")
    agreement = {"kind": "sign", "digest": _text(intent, "agreement")}
    if "race" in intent.facts:
        agreement["race"] = _text(intent, "race")
    said = {"campaign": campaign, "digest": digest}
    signed = _who("agreement", agreement, before)
    approved = _who("approval", {"kind": "approve", **said}, before)
    attested = _who("approval", {"kind": "attest", **said, "root": _text(intent, "root")}, before)
    if actors is None:
        # Nobody told us which key is which partner's: those who signed the agreement count.
        _enough(campaign, "agreement signatures", len(signed), len(sources))
        _enough(campaign, "approvals", len(approved & signed), needed)
        _enough(campaign, "attestations", len(attested & signed), len(sources))
        return
    keys = {name: actors.get(name) for name in sources}
    if len(set(keys.values())) != len(keys):
        # One key for two partners would speak twice; a partner without a key cannot speak.
        raise StoryRefused(f"campaign {campaign}: its sources are not all known by their own keys")
    for name, key in keys.items():
        if key is None or key not in signed:
            raise StoryRefused(f"campaign {campaign}: {name} did not sign the agreement before it")
        if key not in attested:
            raise StoryRefused(f"campaign {campaign}: {name} did not attest its rows before it")
    count = sum(key in approved for key in keys.values())
    _enough(campaign, "approvals", count, needed)


def _enough(campaign: str, what: str, found: int, needed: int) -> None:
    if found < needed:
        raise StoryRefused(f"campaign {campaign}: {found} {what}, {needed} are needed")


def _who(kind: str, facts: Mapping[str, str], entries: Iterable[Checked]) -> set[bytes]:
    """The actors of entries of this type that say these facts."""
    return {
        one.actor
        for one in entries
        if one.kind == kind and all(one.facts.get(name) == value for name, value in facts.items())
    }


def _text(one: Checked, name: str) -> str:
    value = one.facts.get(name)
    if not isinstance(value, str):
        raise StoryRefused(f"entry {one.index} ({one.kind}) does not say its {name}")
    return value


def _line(one: Checked) -> str:
    kind = one.facts.get("kind", one.kind)
    about = one.facts.get("campaign") or one.facts.get("bundle") or one.facts.get("race") or ""
    return (
        f"{one.at:%Y-%m-%d %H}h  entry {one.index}  {one.kind}: {kind}"
        + (f" {about}" if isinstance(about, str) and about else "")
        + f"  (by {one.actor.hex()[:16]})"
    )
