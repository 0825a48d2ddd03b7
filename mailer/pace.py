"""How fast letters leave, and when they stop: what receivers and readers say against going on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from mailer.errors import PaceRefused


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a campaign's or a bundle's letters so far."""

    sent: int
    complaints: int
    hard: int


@dataclass(frozen=True, slots=True)
class Limits:
    """When the breaker trips. Shares of letters sent; the least counts keep one bad day from it."""

    warn_complaints: float = 0.001
    stop_complaints: float = 0.003
    stop_hard: float = 0.02
    least_complaints: int = 2
    least_hard: int = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a breaker says, and why in words that a screen may show."""

    state: Literal["go", "warn", "stop"]
    why: str = ""


def breaker(tally: Tally, limits: Limits = Limits()) -> Verdict:
    """Decide whether a campaign or a bundle goes on.

    Source:
        Gmail's and Yahoo's sender rules: below 0.1% complaints, never 0.3%.
    """
    if min(tally.sent, tally.complaints, tally.hard) < 0:
        raise PaceRefused("a tally counts what happened")
    sent = max(1, tally.sent)
    complaints, hard = tally.complaints / sent, tally.hard / sent
    if tally.complaints >= limits.least_complaints and complaints >= limits.stop_complaints:
        return Verdict("stop", "Too many readers called it spam.")
    if tally.hard >= limits.least_hard and hard > limits.stop_hard:
        return Verdict("stop", "Too many addresses do not exist.")
    if tally.complaints >= limits.least_complaints and complaints > limits.warn_complaints:
        return Verdict("warn", "More readers than usual called it spam.")
    return Verdict("go")


# One receiving domain at a time

BASE_REST = timedelta(seconds=60)
LONGEST_REST = timedelta(hours=1)
FORGIVES = timedelta(minutes=10)
"""How long a domain must have taken letters before it is trusted one step more."""
MOST_STEPS = 6


def slows(code: int, enhanced: str) -> bool:
    """Whether a deferral asks for fewer letters to this domain: 421, or 4.7.x, policy (RFC 3463).

    4.2.x is one mailbox, and 4.3.x and 4.4.x are about machines: they are no word about us.
    """
    return code // 100 == 4 and (code == 421 or enhanced.startswith("4.7."))


@dataclass(slots=True)
class Lane:
    """How fast letters may go to one domain now.

    ``steps``: how often it asked us to slow down, less what it forgave; each halves the pace.
    """

    next: datetime
    steps: int = 0
    changed: datetime | None = None


@dataclass(slots=True)
class Lanes:
    """The pace to every receiving domain, in the mailer's memory alone: in no row and no log.

    Args:
        per_second: letters a second to one domain while it takes them gladly.
    """

    per_second: float
    _lanes: dict[str, Lane] = field(default_factory=dict, repr=False)

    def due(self, address: str, now: datetime) -> datetime:
        """When a letter to this address may leave: now, or later."""
        lane = self._lanes.get(domain_of(address))
        return now if lane is None else max(now, lane.next)

    def left(self, address: str, now: datetime) -> None:
        """A letter to this address left, whatever became of it."""
        lane = self._lanes.setdefault(domain_of(address), Lane(now))
        lane.next = max(lane.next, now + self._gap(lane))

    def taken(self, address: str, now: datetime) -> None:
        """This domain took a letter; after a good while it is trusted one step more."""
        lane = self._lanes.get(domain_of(address))
        if lane and lane.steps and lane.changed and now - lane.changed >= FORGIVES:
            lane.steps, lane.changed = lane.steps - 1, now

    def slow(self, address: str, now: datetime) -> None:
        """This domain asked for fewer letters: it rests, and then gets half as many a second.

        Several answers to letters that were under way together are one word.
        """
        lane = self._lanes.setdefault(domain_of(address), Lane(now))
        if lane.next > now + self._gap(lane):
            return
        lane.steps, lane.changed = min(lane.steps + 1, MOST_STEPS), now
        lane.next = now + min(BASE_REST * 2 ** (lane.steps - 1), LONGEST_REST)

    def resting(self, now: datetime) -> bool:
        """Whether any domain asked to be left alone for now."""
        return any(lane.steps and lane.next > now for lane in self._lanes.values())

    def _gap(self, lane: Lane) -> timedelta:
        return timedelta(seconds=2**lane.steps / self.per_second)


def domain_of(address: str) -> str:
    """The receiving domain of an address, folded; several providers' own names are one."""
    domain = address.rpartition("@")[2].casefold().rstrip(".")
    return _SAME.get(domain, domain)


_SAME = {
    "googlemail.com": "gmail.com",
    **dict.fromkeys(("hotmail.com", "live.com", "msn.com"), "outlook.com"),
    **dict.fromkeys(("ymail.com", "rocketmail.com", "aol.com"), "yahoo.com"),
    **dict.fromkeys(("me.com", "mac.com"), "icloud.com"),
}
"""Domains behind which stands one receiver, whose patience is one."""


# A new sending domain

WARM = 200_000
"""Letters a day beyond which nobody is new to a receiver any more."""
COLD_AFTER = 30
"""Days without letters after which receivers have forgotten a domain."""


def allowance(history: Mapping[date, int], today: date, first: int) -> int | None:
    """How many letters a sending domain may send today; None: as many as it likes.

    It begins with so many, and doubles after each day on which at least half of what was allowed
    went; one that was silent for a month begins anew.

    Args:
        history: letters sent by day, before today.
        first: of the first day; 0: the domain is known to receivers already.

    Source:
        Receivers ask for small, steady growth of whoever is new to them (Gmail's and Yahoo's
        sender guidelines: increase slowly, no bursts).
    """
    if not first:
        return None
    allowed, last = first, None
    for day in sorted(day for day in history if day < today):
        if last is not None and (day - last).days > COLD_AFTER:
            allowed = first
        if history[day] * 2 >= allowed:
            allowed *= 2
        last = day
    if last is not None and (today - last).days > COLD_AFTER:
        allowed = first
    return allowed if allowed < WARM else None
