"""What became of a letter, by name, and the port through which letters leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Stage: TypeAlias = Literal["connect", "mail", "rcpt", "data", "body", "dot"]


@dataclass(frozen=True, slots=True)
class Sent:
    """Taken: the server said 250 to the final dot. It may deliver later, or never."""

    text: str
    queue_id: str | None


@dataclass(frozen=True, slots=True)
class Deferred:
    """Provably not taken; may be tried again later. ``code`` 0: the connection failed."""

    code: int
    text: str
    stage: Stage
    enhanced: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Provably not taken, and not to be tried again as it is."""

    code: int
    text: str
    stage: Stage
    enhanced: str = ""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The final dot left and no answer came: only the server's own log can tell."""

    text: str


Outcome: TypeAlias = Sent | Deferred | Failed | InDoubt


def unasked() -> bool:
    """A letter that nobody can take back once it was begun."""
    return True


class Transport(Protocol):
    """Takes one letter to one recipient at a time; never raises for what a server does."""

    def send(
        self,
        sender: str,
        recipient: str,
        message: bytes,
        *,
        still: Callable[[], bool] = unasked,
        looked: float | None = None,
    ) -> Outcome:
        """Hand over one letter.

        Args:
            sender: the letter's own return path.
            recipient: one address.
            message: whole, signed, CRLF line ends, not dot-stuffed.
            still: asked before the final dot where that took a while, since somebody may have
                stopped meanwhile; the letter then never leaves.
            looked: when that was last asked, on the monotonic clock; now, if not said.

        Raises:
            AddressRefused: either address cannot stand in an envelope.
        """

    def close(self) -> None:
        """End the session; sending again opens another."""
