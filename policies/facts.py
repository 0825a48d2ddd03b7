"""What is stated to the rules: who asks, and the facts each action needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.errors import Denied

ROLES = frozenset(
    {
        "auditor",
        "coordinator",
        "custodian",
        "mailer",
        "operator",
        "partner",
        "steward",
        "witness",
    }
)
ACTIONS = frozenset(
    {
        "approve",
        "attest",
        "contribute",
        "count",
        "draft",
        "enrol_roll",
        "keep_day",
        "match",
        "pause",
        "publish",
        "read_log",
        "resume",
        "schedule",
        "see_campaign",
        "see_places",
        "see_report",
        "send",
        "sign_agreement",
        "stop",
        "submit",
        "withdraw",
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; ``partner`` is the partner for which they act, if any."""

    id: str
    role: str
    partner: str | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """A coordinator's term: begins with ``quorum`` (all signed), ends when the polls close."""

    quorum: bool
    now: datetime
    polls_close: datetime


def context(action: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Put facts in the types that the schema knows.

    Raises:
        Denied: a fact of a type that no rule could read, ``None`` above all.
    """
    return {name: _fact(action, value) for name, value in facts.items()}


def _fact(action: str, value: Any) -> Any:
    if isinstance(value, Term):
        now, end = _seconds(action, value.now), _seconds(action, value.polls_close)
        return {"quorum": value.quorum, "now": now, "polls_close": end}
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return _seconds(action, value)
    if isinstance(value, Sequence | frozenset | set) and all(isinstance(v, str) for v in value):
        return sorted(value)
    raise Denied(action, "a stated fact is missing or of a type the rules do not know")


def _seconds(action: str, moment: datetime) -> int:
    if moment.tzinfo is None:
        raise Denied(action, "a stated time has no time zone")
    return int(moment.timestamp())
