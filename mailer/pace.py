"""How fast letters leave, and when they stop leaving; decisions only, the caller keeps the time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mailer.errors import PaceRefused


@dataclass(frozen=True, slots=True)
class Lane:
    """One destination domain's share of our speed: a bucket that fills at ``rate``.

    Args:
        rate: letters a second.
        burst: letters that may leave at once.
        tokens: how many may leave now.
        at: when ``tokens`` was so.
    """

    rate: float
    burst: float
    tokens: float
    at: datetime

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.burst < 1:
            raise PaceRefused("a lane's rate is above 0, its burst at least 1")


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


def lane(rate: float, burst: float, now: datetime) -> Lane:
    """Open a lane for a destination domain; raises PaceRefused."""
    return Lane(rate, burst, burst, now)


def take(one: Lane, now: datetime) -> tuple[Lane, float]:
    """Take one letter's turn.

    Returns:
        The lane afterwards, and seconds to wait: 0 means that the letter may leave now. With a
        wait nothing was taken.
    """
    passed = max(0.0, (now - one.at).total_seconds())
    tokens = min(one.burst, one.tokens + passed * one.rate)
    if tokens < 1:
        return replace(one, tokens=tokens, at=max(now, one.at)), (1 - tokens) / one.rate
    return replace(one, tokens=tokens - 1, at=max(now, one.at)), 0.0


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
