"""What this custodian says in the log before it acts, and what it finds there of itself.

Three facts are own entries of it: a block of points, the opening of a campaign, a consent. Each is
drafted durably, handed to the log, and counts from when this custodian has itself found it under
a cosigned root. So books that were put back to an earlier day find in the log what they lost: an
own entry that they never promised. Until that is settled nothing is served.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from consortium.custodian.consents import Neighbours
from consortium.custodian.errors import CustodianError, LogUnreachable, Refused
from consortium.custodian.follow import KIND, Follow
from consortium.custodian.ledger import Ledger, Release
from consortium.custodian.log import Log
from consortium.custodian.opens import SPOKEN, opening
from consortium.custodian.own import Standing, Tree
from consortium.custodian.settings import Actor, Registry, Settings
from matching.evaluation import BATCH, LEAST_CLASS, MOST_CLASS, allowance

_SIZES = tuple(1 << n for n in range(LEAST_CLASS.bit_length() - 1, MOST_CLASS.bit_length()))
ANEW = timedelta(hours=1)  # the server takes no entry whose hour is long past


class Anchors:
    """One custodian's own entries."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        ledger: Ledger,
        registry: Registry,
        log: Log,
        now: Callable[[], datetime],
        follow: Follow,
        neighbours: Neighbours,
    ) -> None:
        self._settings, self._ledger, self._registry = settings, ledger, registry
        self._log, self._now, self._follow, self._neighbours = log, now, follow, neighbours
        self._looked: frozenset[str] | None = None

    # -- looking

    def look(self) -> Tree:
        """Follow the log to its end, and settle what it shows that the books do not know.

        Raises:
            LogUnreachable, Refused: as `Follow.advance`.
        """
        tree, now, id = self._follow.advance(), self._now(), self._settings().id
        held = self._ledger.sids()
        if self._looked != held:
            # A block of a key that came back only now could not be told from any other entry.
            for one in self._ledger.doubts():
                if self._recognise(one):
                    self._ledger.mark_restored()
        for one in self._ledger.unknown(id):
            # Whatever it is: it was said by this custodian, and its books have never heard of it.
            # Marked first: a crash in between must not leave a block that looks unspent.
            self._ledger.mark_restored()
            self._recognise(one)
        since = self._ledger.restored(now)
        # A tree of before the restore was found could lack what was said last.
        if since is not None and tree.at >= since.replace(microsecond=0):
            self._ledger.settle(id)
        self._looked = held
        return tree

    def ready(self) -> None:
        """Have followed the log since the start, and past a restore, before anything is served.

        Raises:
            Refused: ``restored`` until the log is newer than the restore.
            LogUnreachable: the log cannot be followed now.
        """
        held = self._ledger.sids()
        if self._looked != held or self._ledger.restored(self._now()) is not None:
            self.look()
        if self._ledger.restored(self._now()) is not None:
            detail = "its books were put back, and it waits for the log to show how far it was"
            raise Refused("restored", detail, 503)

    def _recognise(self, one: Standing) -> bool:
        """Take an entry into the books again, when it is a block or a consent of ours."""
        for name, facts in self._candidates():
            if not self._log.is_own(one.entry, facts, name):
                continue
            # Promised last: what is promised is never recognised again.
            if facts["kind"] == "block":
                self._ledger.add_block(name, facts["sid"], facts["whose"], facts["ends"])
            self._ledger.promise(one.leaf, name, {}, one.at)
            return True
        return False

    def _candidates(self) -> Iterator[tuple[str, dict[str, Any]]]:
        epochs, actors = self._registry.epochs, self._registry.evaluated()
        sids = [one["sid"] for one in self._ledger.status()["keys"]]
        for actor in actors:
            whole = {allowance(size) for size in _SIZES} | {self._settings().allowed(actor)}
            for ends in sorted({end for one in whole for end in _ends(one)}):
                for sid in sids:
                    yield _block(sid, actor.id, ends)
            for epoch in epochs:
                for rows in (0, *_SIZES):
                    yield _consent(epoch, actor.id, rows)

    # -- saying

    def say(self, name: str, facts: Mapping[str, Any], since: datetime | None = None) -> bool:
        """Say a fact in the log, once; true when it stands there.

        Drafted durably before it is posted: a crash posts the same bytes again.

        Args:
            since: an entry before this hour does not count, and is said anew.
        """
        if self._ledger.stands(name, since):
            return True
        self._submit(name, facts)
        self.look()
        return self._ledger.stands(name, since)

    def _submit(self, name: str, facts: Mapping[str, Any]) -> None:
        now, promised = self._now(), self._ledger.promised(name)
        if promised is None or not promised[0] or now - promised[1] > ANEW:
            drafted = self._log.draft(KIND, facts, name)
            self._ledger.promise(self._log.leaf(drafted), name, drafted, now)
            promised = drafted, now
        self._log.submit(promised[0])

    # -- blocks

    def charge(self, actor: Actor, sid: str, nonce: str, request: str) -> tuple[int, int]:
        """Charge one batch; a block that is not in the log yet is handed to it now.

        Args:
            request: digest of the whole signed request.

        Returns:
            The actor's running total and its allowance, as first answered.

        Raises:
            Refused: as `ready` and `Quotas.charge`.
        """
        self.ready()
        while True:
            now = self._now()
            try:
                return self._ledger.charge(
                    sid=sid,
                    actor=actor.id,
                    nonce=nonce,
                    request=request,
                    points=BATCH,
                    allowed=self.allowed(actor),
                    at=now,
                )
            except Refused as refused:
                if refused.name != "not-yet-reserved":
                    self._ledger.odd(actor.id, "refused", now)
                    raise
                if not self.reserve(sid, actor, BATCH):
                    raise
                # Reserved, by us or by another call: should that one have spent it, once more.

    def reserve(self, sid: str, actor: Actor, points: int) -> bool:
        """Have the log show blocks for so many more points; false while it does not."""
        account = self._ledger.account(sid, actor.id)
        wanted = account.points + points
        for ends in _ends(self.allowed(actor)):
            if ends <= account.reserved:
                continue
            name, facts = _block(sid, actor.id, ends)
            self._ledger.add_block(name, sid, actor.id, ends)
            if not self.say(name, facts):
                return False
            if ends >= wanted:
                return True
        return True

    def reserve_ahead(self) -> None:
        """Reserve the first block of everybody, and the next one when one is half spent."""
        for key in self._ledger.status()["keys"]:
            if key["purpose"] != "match":
                continue
            for actor in self._registry.evaluated():
                if actor.role == "steward" and not self.bulk(actor.id, key["epoch"]):
                    continue
                account = self._ledger.account(key["sid"], actor.id)
                if account.points * 2 >= account.reserved:
                    ahead = account.reserved - account.points + BATCH
                    self.reserve(key["sid"], actor, ahead)

    def allowed(self, actor: Actor) -> int:
        """Return the points an epoch that an actor may have evaluated, raises included."""
        return self._settings().allowed(actor, self.raised(actor.id))

    # -- openings

    def open(self, release: Release, per_week: int) -> None:
        """Count a campaign's opens: allowed, said in the log, then counted.

        A crash between the last two leaves an opening that the log shows and no count: until the
        same campaign is asked for again, no other opens.

        Raises:
            Refused: as `ready`, `look` and `Opens.open_release`, and ``not-fresh``.
        """
        self.ready()
        self._explain(release)
        if not self._ledger.may_open(release, per_week=per_week, now=self._now()):
            tree = self.look()
            if self._now() - tree.at > self._settings().fresh:
                raise Refused("not-fresh", "the log has not been cosigned within the hour")
            self._say_opening(release)
        self._ledger.open_release(release, per_week=per_week, now=self._now())

    def _explain(self, release: Release) -> None:
        """An opening that the books lost is known again when its campaign is asked for again."""
        name, facts = _opening(release)
        for one in self._ledger.doubts():
            if self._log.is_own(one.entry, facts, name):
                self._ledger.promise(one.leaf, name, {}, one.at)

    def _say_opening(self, release: Release) -> None:
        name, facts = _opening(release)
        self.say(name, facts, self._now() - SPOKEN)

    # -- consents

    def consents(self) -> None:
        """Say what this custodian agreed to, and hear what the others said."""
        epochs, mine = self._registry.epochs, self._settings().id
        wanted = [(epochs[0], actor, rows) for actor, rows in self._ledger.agreed()]
        wanted += [(one, actor, 0) for actor, one in self._ledger.bulks() if one in epochs]
        for epoch, actor, rows in wanted:
            name, facts = _consent(epoch, actor, rows)
            if not self._ledger.stands(name):
                self._submit(name, facts)
        present = [one["id"] for one in self._registry.invite["custodians"]]
        self._ledger.unhear(self._registry.epochs, present)
        self._hear(mine, self.said())
        for one in present:
            if one != mine:
                self._hear(one, self._neighbours.consents(one))

    def said(self) -> list[dict[str, Any]]:
        """Return this custodian's own consents as drafted, for the others to check."""
        named = [f"consent/{epoch}/" for epoch in self._registry.epochs]
        return [draft for prefix in named for draft in self._ledger.drafts_under(prefix)]

    def _hear(self, by: str, drafts: Any) -> None:
        """Keep what another custodian said, at most one entry for each thing that can be said."""
        public = self._registry.custodians()[by]
        newest: dict[tuple[str, str, int], str] = {}
        for one in drafts if isinstance(drafts, list) else []:
            try:
                said = self._log.opened(one)
                facts = said.facts
                rows, epoch, actor = facts["rows"], str(facts["epoch"]), str(facts["whose"])
            except (Refused, AttributeError, KeyError, TypeError, ValueError):
                continue  # it agrees to nothing
            fits = self._sayable(epoch, actor, rows)
            if not fits or said.actor != public or facts.get("kind") != "consent":
                continue
            fact = (epoch, actor, rows)
            if fact not in newest or not self._ledger.stands_of(by, newest[fact]):
                newest[fact] = said.leaf
        for fact, leaf in newest.items():
            self._ledger.hear(by, leaf, *fact)

    def _sayable(self, epoch: str, actor: str, rows: Any) -> bool:
        """Whether a command could have said this here; another custodian wrote it."""
        known = {one.id for one in self._registry.evaluated()}
        sizes = type(rows) is int and (rows == 0 or rows in _SIZES)
        return sizes and epoch in self._registry.epochs and actor in known

    def _agreed(self, actor: str, epoch: str = "") -> tuple[int, int]:
        return self._ledger.agreement_on(self._registry.invite, actor, epoch)

    def bulk(self, actor: str, epoch: str) -> bool:
        """Whether t custodians agreed to a steward's bulk run in this epoch, in the log."""
        return self._agreed(actor, epoch)[0] >= int(self._registry.invite["threshold"])

    def raised(self, actor: str) -> int:
        """Return the size class that t custodians raised an actor to in the log, 0 without one."""
        return self._agreed(actor)[1]

    # -- in the background

    def step(self) -> None:
        """Do what can be done ahead, so that nobody waits for the log when they come.

        Raises:
            CustodianError: the first thing that could not be done, after all others were tried.
        """
        failed: CustodianError | None = None
        for one in (self.consents, self.look, self.ready, self.reserve_ahead):
            try:
                one()
            except (Refused, LogUnreachable) as error:
                failed = failed or error
        if failed is not None:
            raise failed


def _ends(allowed: int) -> tuple[int, ...]:
    """Where the two blocks of an allowance end, in points; the first in whole batches."""
    half = -(-allowed // (2 * BATCH)) * BATCH
    return (half, allowed) if half < allowed else (allowed,)


def _block(sid: str, actor: str, ends: int) -> tuple[str, dict[str, Any]]:
    facts = {"kind": "block", "sid": sid, "whose": actor, "ends": ends}
    return f"block/{sid}/{actor}/{ends}", facts


def _consent(epoch: str, actor: str, rows: int) -> tuple[str, dict[str, Any]]:
    facts = {"kind": "consent", "epoch": epoch, "whose": actor, "rows": rows}
    return f"consent/{epoch}/{actor}/{rows}", facts


def _opening(release: Release) -> tuple[str, dict[str, Any]]:
    name = opening(release.campaign, release.digest)
    said = {"campaign": release.campaign, "digest": release.digest, "root": release.root}
    return name, {"kind": "opening", **said}
