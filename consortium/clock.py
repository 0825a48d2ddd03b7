"""What time it is, in UTC; a fake one for tests."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc() -> datetime:
    """The machine's time, in UTC with its zone, to the microsecond."""
    return datetime.now(UTC)


class Standing:
    """A clock that moves only when told; for tests."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now
