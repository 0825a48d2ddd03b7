"""Who may do what; everything else is a deny."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.authorise import Caller, Term, decide, require, rule_book
from policies.errors import Denied
from policies.facts import ACTIONS, ROLES

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
TERM = Term(quorum=True, now=NOON, polls_close=NOON + timedelta(days=20))
NEEDED: dict[str, dict[str, Any]] = {
    "contribute": {"partner": "union"},
    "send": {"approved": True, "logged": True, "stopped": False},
    **{
        action: {"term": TERM}
        for action in ("see_places", "count", "draft", "submit", "schedule", "resume")
    },
}
ALLOWED = {
    "partner": "sign_agreement contribute withdraw approve attest see_campaign see_report "
    "pause stop resume read_log keep_day",
    "coordinator": "see_places count draft submit schedule resume see_campaign see_report "
    "pause stop read_log",
    "steward": "enrol_roll read_log",
    "operator": "match publish pause read_log",
    "mailer": "send read_log",
    "auditor": "read_log",
    "custodian": "read_log",
    "witness": "read_log",
}


def caller(role: str) -> Caller:
    return Caller(
        "union" if role == "partner" else "ana", role, "union" if role == "partner" else None
    )


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_role_may_do_what_the_table_says_and_no_more(role: str, action: str) -> None:
    facts = NEEDED.get(action, {})
    if action in ALLOWED[role].split():
        assert require(caller(role), action, **facts).policy_id
    else:
        with pytest.raises(Denied) as denied:
            require(caller(role), action, **facts)
        assert denied.value.action == action


def test_the_answer_names_the_rule_by_its_own_id() -> None:
    assert require(caller("partner"), "stop").policy_id == "partner-brake"
    with pytest.raises(Denied) as denied:
        require(caller("partner"), "contribute", partner="parks")
    assert denied.value.reason == "nobody adds a list in another partner's name"


def test_a_term_begins_with_quorum_and_ends_with_the_polls() -> None:
    ana = caller("coordinator")
    assert require(ana, "count", term=TERM).policy_id == "coordinator-plans"
    early = Term(quorum=False, now=NOON, polls_close=TERM.polls_close)
    late = Term(quorum=True, now=TERM.polls_close, polls_close=TERM.polls_close)
    for term in (early, late):
        for action in ("see_places", "count", "draft", "submit", "schedule", "resume"):
            with pytest.raises(Denied, match="term"):
                require(ana, action, term=term)
    assert require(ana, "stop").policy_id == "coordinator-brake"


def test_only_sources_approve_and_see() -> None:
    for action in ("approve", "attest", "see_campaign", "see_report"):
        require(caller("partner"), action, sources=["parks", "union"])
        with pytest.raises(Denied, match="whose lists"):
            require(caller("partner"), action, sources=["parks"])


def test_the_coordinator_waits_for_the_close_and_the_partner_does_not() -> None:
    with pytest.raises(Denied, match="ended"):
        require(caller("coordinator"), "see_report", closed=False)
    require(caller("coordinator"), "see_report", closed=True)
    require(caller("partner"), "see_report", closed=False)


@pytest.mark.parametrize(
    ("fact", "value"), [("approved", False), ("logged", False), ("stopped", True)]
)
def test_nothing_is_sent_on_half_a_yes(fact: str, value: bool) -> None:
    with pytest.raises(Denied):
        require(caller("mailer"), "send", **{**NEEDED["send"], fact: value})


@pytest.mark.parametrize(
    ("action", "facts"),
    [
        ("contribute", {}),
        ("resume", {}),
        ("contribute", {"partner": None}),
        ("contribute", {"partner": 7}),
        ("contribute", {"partner": "union", "extra": "x"}),
        ("approve", {"sources": "union"}),
        ("approve", {"sources": [1]}),
        ("pause", {"term": TERM}),
        ("no_such_action", {}),
        ("", {}),
        ('stop"', {}),
    ],
)
def test_a_fact_left_out_or_strange_is_a_deny(action: str, facts: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        require(caller("partner"), action, **facts)


def test_a_time_without_a_zone_is_a_deny() -> None:
    naive = Term(True, datetime(2026, 10, 5), NOON)  # noqa: DTZ001
    with pytest.raises(Denied):
        require(caller("coordinator"), "count", term=naive)


@pytest.mark.parametrize("id", ['a" == "a', "a\\", "\x00", "a\u2028"])
def test_a_strange_id_gains_nothing(id: str) -> None:
    with pytest.raises(Denied):
        require(Caller(id, "auditor"), "stop")


def test_a_partner_without_a_partner_is_nobody() -> None:
    with pytest.raises(Denied):
        require(Caller("union", "partner"), "stop")


def test_every_rule_is_named_and_every_action_is_in_the_schema() -> None:
    book = rule_book()
    assert len({note["id"] for note in book.notes.values()}) == len(book.notes)
    for action in ACTIONS:
        assert f'"{action}"' in book.schema
        with pytest.raises(Denied):
            decide(book, Caller("x", "stranger"), action, {"surprise": True})
