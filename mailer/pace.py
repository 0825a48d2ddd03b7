"""When letters stop leaving: what readers and dead addresses say against going on."""

from __future__ import annotations

from dataclasses import dataclass
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
