"""What a row receipt proves: one row's list, who agreed, approved and checked, before any letter.

Nothing here believes the receipt's maker: every sentence comes from entries that their authors
signed, in the order in which a cosigned log has them.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from provenance.canonical import JSON
from provenance.entry import BROWSER_KEY, Opened, opened, parse
from provenance.errors import InclusionRefused, SignatureRefused, StoryRefused
from provenance.evidence import Checked, Evidence, closed_of
from provenance.merkle import leaf_hash, node_hash
from provenance.quorum import Cosigned, Policy
from provenance.row_receipt import Browser, Member, RowReceipt, join
from provenance.rows import check_row
from provenance.shared import check_shared
from provenance.withdrawn import check_absent, list_label

MOST_ROWS = 1 << 31
OPERATOR = "operator"
"""The id of whoever runs the service, in every invite."""
MOST_BYTES = 8_000
"""Bytes of a row receipt that is to go along with a letter."""


NEEDED = {
    "agreement": ("kind", "digest"),
    "contribution": ("kind", "partner", "bundle", "root", "size_class"),
    "match": ("kind", "bundle"),
    "approval": ("kind", "campaign", "digest", "root"),
    "intent": ("kind", "campaign", "digest", "root", "nonce", "agreement", "sources"),
    "withdrawal": ("kind", "number", "size", "root"),
}
"""Which facts a row receipt opens, by the entry's type: what the rules are about."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry that was checked, with its place in the log."""

    index: int
    said: Opened = field(repr=False)

    def says(self, kind: str, **facts: JSON) -> bool:
        """Whether it is of this kind and says these facts."""
        here = self.said.facts
        return here.get("kind") == kind and all(here.get(n) == value for n, value in facts.items())

    def text(self, name: str) -> str:
        """A fact that is text, or ``StoryRefused``."""
        value = self.said.facts.get(name)
        if not isinstance(value, str):
            raise StoryRefused(f"entry {self.index} ({self.said.kind}) does not say its {name}")
        return value


@dataclass(frozen=True, slots=True)
class Proven:
    """What a row receipt proves, in words, and what it does not.

    Attributes:
        partner: who put the list in.
        bundle: the list.
        campaign: the one to which there is an intent; None when the receipt shows no campaign.
        row: whether the receipt opens a row of the list.
        lines: a sentence for each step, oldest first.
        unproven: what this receipt leaves open.
    """

    partner: str
    bundle: str
    campaign: str | None
    row: bool
    cosigned: Cosigned
    steps: tuple[Placed, ...] = field(repr=False)
    lines: tuple[str, ...]
    unproven: tuple[str, ...]


def fitting(evidences: Sequence[Evidence], *, most: int = MOST_BYTES, **about: Any) -> RowReceipt:
    """Make a row receipt of at most ``most`` bytes, where it can be made so small.

    Left out for that, one after the other: matching runs, signatures under the agreement, checks
    of rows. Approvals never are.

    Args:
        about: as of ``join``.

    Raises:
        StoryRefused: an entry of a type that no row receipt has.
        ReceiptRefused, InclusionRefused: see ``join``.
    """
    kinds = [parse(one.entry).kind for one in evidences]
    if strange := sorted(set(kinds) - set(NEEDED)):
        raise StoryRefused(f"an entry of type {strange[0]} has nothing to do with a row")
    kept = [one.only(*NEEDED[kind]) for one, kind in zip(evidences, kinds, strict=True)]
    made = join(kept, **about)
    for least in (("run",), ("run", "sign"), ("run", "sign", "attest")):
        if len(made.to_bytes()) <= most:
            break
        made = join([one for one in kept if one.openings["kind"].value not in least], **about)
    return made


def check_row_receipt(
    receipt: RowReceipt, policy: Policy, actors: Mapping[str, bytes] | None = None
) -> Proven:
    """Check everything that a row receipt claims, offline.

    1. The checkpoint has the log's signature and the policy's quorum.
    2. Each entry, rebuilt to the byte, is at its place, is opened, and is signed by its actor.
    3. One of them is a list's, signed by the partner that it names; an opened row is under its
       root.
    4. An intent comes after the list, and after its partner's approval of the intent's digest and
       that of every source that the intent names. Where the receipt shows them, also after
       signatures under the agreement that it names, and checks of its root. Intents, matching
       runs and states of withdrawals are the operator's.
    5. The row's lock is under the intent's root.
    6. Neither the row's label nor its list's is in the state of withdrawals that an entry after
       the list's names.
    7. No entry is there that none of this needs.

    Args:
        receipt: as read.
        policy: of the log, from somewhere other than the receipt.
        actors: id to public key; those that the receipt itself names by default.

    Raises:
        StoryRefused: an order that must not be, or an entry about something else.
        ProvenanceError: one of its kinds, when anything else is wrong.
    """
    cosigned = policy.check(receipt.checkpoint)
    here = cosigned.checkpoint
    check_shared(
        {one.index: one.entry for one in receipt.steps}, here.size, receipt.hashes, here.root
    )
    steps = [
        Placed(one.index, opened(one.entry, one.openings, partial=True)) for one in receipt.steps
    ]
    story = _Story(steps, receipt.actors if actors is None else actors, receipt.browsers)
    story.upload()
    if receipt.row is not None:
        opening, proof = receipt.row
        check_row(opening, proof, _size_class(story.list), _root(story.list, "root"))
    story.campaign()
    if receipt.member is not None:
        _check_member(story, receipt.lock, receipt.member)
    if receipt.absent is not None:
        _check_absent(story, receipt)
    if story.left:
        raise StoryRefused(f"entry {story.left[0].index} has nothing to do with this row")
    return _proven(story, receipt, cosigned)


def entries_of(receipt: RowReceipt, proven: Proven) -> list[tuple[bytes, Checked]]:
    """A checked receipt's entries with their own bytes, as `provenance.story.gather` takes them."""
    tree, at = proven.cosigned.checkpoint, proven.cosigned.at
    found = []
    for step, placed in zip(receipt.steps, proven.steps, strict=True):
        said, closed = placed.said, closed_of(step.entry, placed.said.facts)
        checked = Checked(
            said.kind, said.at, said.actor, said.facts, step.index, tree.size, tree.root, at, closed
        )
        found.append((step.entry, checked))
    return found


class _Story:
    """The steps by what they are; each that is understood leaves ``left``."""

    def __init__(
        self, steps: Sequence[Placed], actors: Mapping[str, bytes], browsers: Sequence[Browser]
    ) -> None:
        self.steps, self.left = steps, list(steps)
        self.names = {public: name for name, public in actors.items()}
        for one in browsers:
            _check_browser(one, actors.get(one.partner))
            self.names.setdefault(one.public, one.partner)
        self.intent: Placed | None = None
        self.state: Placed | None = None
        self.untold: list[str] = []

    def upload(self) -> None:
        """The list, and the runs that matched it."""
        self.list = self._only([one for one in self.left if one.says("bundle")], "contribution")
        self.partner, self.bundle = self.list.text("partner"), self.list.text("bundle")
        if not self._by_us([self.list]):
            raise StoryRefused("the list is not signed by the partner that it names")
        runs = self._take("match", self.list.index, None, "run", bundle=self.bundle)
        if self._by(runs, OPERATOR) != runs:
            raise StoryRefused("a matching run is not signed by the operator")

    def campaign(self) -> None:
        """The intent, and what had to come before it."""
        intents = [one for one in self.left if one.said.kind == "intent"]
        if not intents:
            self._take("agreement", -1, None, "sign")
            return
        one = self.intent = self._only(intents, "intent")
        if not one.says("send") or one.index < self.list.index:
            raise StoryRefused("the intent to send does not come after the list")
        if self._by([one], OPERATOR) != [one]:
            raise StoryRefused("the intent to send is not signed by the operator")
        about = {"campaign": one.text("campaign"), "digest": one.text("digest")}
        root, end = one.text("root"), one.index
        said = self._take("agreement", -1, end, "sign", digest=one.text("agreement"))
        yes = self._take("approval", -1, end, "approve", **about)
        checked = self._take("approval", -1, end, "attest", root=root, **about)
        if not self._by_us(yes):
            raise StoryRefused(f"{self.partner} had not approved before the intent to send")
        self._everybody(one, yes)
        self.untold = [
            words
            for words, found in (
                ("had signed the agreement", said),
                ("had checked its rows", checked),
            )
            if not self._by_us(found)
        ]

    def withdrawals(self) -> Placed:
        """The state of withdrawals after the list was put in."""
        states = [one for one in self.left if one.says("state")]
        one = self.state = self._only(states, "withdrawal")
        if one.index < self.list.index or self._by([one], OPERATOR) != [one]:
            raise StoryRefused("the operator did not state the withdrawals after the list")
        return one

    def _everybody(self, intent: Placed, yes: Sequence[Placed]) -> None:
        """Hold the approvals against the sources, where the receipt opens them."""
        sources = intent.said.facts.get("sources")
        if sources is None:
            return
        said = {self.names.get(one.said.actor) for one in yes}
        if not isinstance(sources, list) or self.partner not in sources:
            raise StoryRefused("the list's partner is no source of this campaign")
        for name in sources:
            if name not in said:
                raise StoryRefused(f"{name} had not approved before the intent to send")

    def _by_us(self, found: Sequence[Placed]) -> list[Placed]:
        return self._by(found, self.partner)

    def _by(self, found: Sequence[Placed], name: str) -> list[Placed]:
        return [one for one in found if self.names.get(one.said.actor) == name]

    def _take(
        self, type_: str, after: int, before: int | None, kind: str, **facts: JSON
    ) -> list[Placed]:
        found = [
            one
            for one in self.left
            if one.said.kind == type_
            and one.says(kind, **facts)
            and after < one.index
            and (before is None or one.index < before)
        ]
        self.left = [one for one in self.left if one not in found]
        return found

    def _only(self, found: Sequence[Placed], type_: str) -> Placed:
        if len(found) != 1 or found[0].said.kind != type_:
            raise StoryRefused(f"a row receipt has one {type_}")
        self.left.remove(found[0])
        return found[0]


def _check_browser(one: Browser, public: bytes | None) -> None:
    """That a partner's own key vouches for a key in a browser, or ``SignatureRefused``."""
    try:
        if public is None:
            raise ValueError("nobody is known by that name")
        Ed25519PublicKey.from_public_bytes(public).verify(one.signature, BROWSER_KEY + one.public)
    except (InvalidSignature, ValueError) as refused:
        raise SignatureRefused("nobody vouches for a key in a browser") from refused


def _size_class(one: Placed) -> int:
    size = one.said.facts.get("size_class")
    if type(size) is not int or not 1 <= size <= MOST_ROWS or size & (size - 1):
        raise StoryRefused(f"entry {one.index} does not say its size class")
    return size


def _root(one: Placed, name: str) -> bytes:
    try:
        return bytes.fromhex(one.text(name))
    except ValueError:
        raise StoryRefused(f"entry {one.index} does not say its {name}") from None


def _check_member(story: _Story, lock: bytes | None, member: Member) -> None:
    """That the lock is under the intent's root; how many there are stays untold."""
    if story.intent is None or lock is None:
        raise StoryRefused("an audience without an intent, or without a lock")
    here = leaf_hash(hashlib.sha256(_root(story.intent, "nonce") + lock).digest())
    for beside, side in zip(member.path, member.sides, strict=True):
        here = node_hash(beside, here) if side == "1" else node_hash(here, beside)
    if not hmac.compare_digest(here, _root(story.intent, "root")):
        raise InclusionRefused("the row's lock is not in the audience of this campaign")


def _check_absent(story: _Story, receipt: RowReceipt) -> None:
    """That neither the row nor its list had left when the state was stated."""
    if receipt.row is None or receipt.absent is None:
        raise StoryRefused("that a row has not left, and no row")
    one = story.withdrawals()
    size, root = one.said.facts.get("size"), _root(one, "root")
    if type(size) is not int:
        raise StoryRefused(f"entry {one.index} does not say its size")
    labels = receipt.row[0].label, list_label(_root(story.list, "root"))
    for label, proof in zip(labels, receipt.absent, strict=True):
        check_absent(label, proof, size, root)


def _proven(story: _Story, receipt: RowReceipt, cosigned: Cosigned) -> Proven:
    campaign = story.intent.text("campaign") if story.intent else None
    unproven = ["That what was said is true, and that nothing was done outside the log."]
    if story.state is None:
        unproven.insert(0, "That the row has not left since: no state of withdrawals is in it.")
    if receipt.row is None:
        unproven.insert(0, "That the row is of this list: only its partner can open that.")
    if story.intent is None:
        unproven.insert(0, "Any campaign: this receipt shows the list alone.")
    else:
        unproven.insert(0, "That a letter was sent: the intent says who might be written to.")
        for words in story.untold:
            unproven.insert(0, f"That {story.partner} {words}: those entries are not in it.")
        if receipt.member is None:
            unproven.insert(0, "That the row is in the campaign's audience.")
        if story.intent.said.facts.get("sources") is None:
            unproven.insert(0, "Whose lists besides were used: the intent does not open that here.")
    return Proven(
        story.partner,
        story.bundle,
        campaign,
        receipt.row is not None,
        cosigned,
        tuple(story.steps),
        tuple(_line(one, story, receipt) for one in story.steps),
        tuple(unproven),
    )


def _line(one: Placed, story: _Story, receipt: RowReceipt) -> str:
    who = story.names.get(one.said.actor, one.said.actor.hex()[:16])
    return f"{one.said.at:%Y-%m-%d %H}h  entry {one.index}  {who} {_did(one, story, receipt)}"


def _did(one: Placed, story: _Story, receipt: RowReceipt) -> str:
    if one is story.list:
        row = ", and this row is in it" if receipt.row is not None else ""
        return f"put in list {story.bundle}{row}"
    if one is story.intent:
        member = ", and this row is in its audience" if receipt.member is not None else ""
        return f"promised to send campaign {one.text('campaign')} as approved{member}"
    if one is story.state:
        number = one.said.facts.get("number")
        return f"stated what had left by batch {number}: neither this row nor its list is in it"
    words = {
        "sign": "signed the agreement",
        "approve": "approved the campaign's exact bytes",
        "attest": "checked its own rows in the campaign's audience",
        "run": "matched the list with the voter file",
    }
    return words[one.text("kind")]
