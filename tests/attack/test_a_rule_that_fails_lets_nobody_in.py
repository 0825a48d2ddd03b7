"""An attacker who makes a rule fail, rather than forbid, gets no yes out of it.

Threat: Cedar skips a ``forbid`` whose condition errors and then answers Allow.
"""

import cedarpy
import pytest

from policies.authorise import Caller, RuleBook, bound, decide, rule_book
from policies.errors import Denied

LOOSE = """
@id("all") @reason("everybody may")
permit (principal, action, resource);
@id("never") @reason("not when stopped")
forbid (principal, action, resource) when { context.stopped };
"""
EVE = Caller("eve", "mailer")


def book(rules: str) -> RuleBook:
    """Bind rules without asking whether they fit, as a careless release would."""
    notes = {"policy0": {"id": "all"}, "policy1": {"id": "never"}}
    return RuleBook(rules, None, notes)  # type: ignore[arg-type]


def test_cedar_alone_says_yes_when_the_forbid_fails() -> None:
    request = {
        "principal": 'Actor::"eve"',
        "action": 'Action::"send"',
        "resource": 'Consortium::"trellis"',
        "context": {},
    }
    answer = cedarpy.is_authorized(request, LOOSE, [])
    assert answer.decision is cedarpy.Decision.Allow
    assert answer.diagnostics.errors


def test_we_say_no_when_the_forbid_fails() -> None:
    with pytest.raises(Denied):
        decide(book(LOOSE), EVE, "send", {})
    assert decide(book(LOOSE), EVE, "send", {"stopped": False}).policy_id == "all"
    with pytest.raises(Denied):
        decide(book(LOOSE), EVE, "send", {"stopped": True})


@pytest.mark.parametrize("rules", ["", "permit (", "nonsense"])
def test_no_rules_and_broken_rules_are_no(rules: str) -> None:
    with pytest.raises(Denied):
        decide(book(rules), EVE, "send", {"stopped": False})


def test_an_allow_without_a_name_is_no() -> None:
    nameless = RuleBook("permit (principal, action, resource);", None, {})  # type: ignore[arg-type]
    with pytest.raises(Denied):
        decide(nameless, EVE, "send", {})


@pytest.mark.parametrize(
    "rules",
    [
        "permit (principal, action, resource);",
        '@id("a") permit (principal, action, resource);',
        '@id("a") @reason("x") permit (principal, action, resource);'
        '@id("a") @reason("y") permit (principal, action == Action::"stop", resource);',
        '@id("a") @reason("x") forbid (principal, action, resource) when { context.stopped };',
        '@id("a") @reason("x") permit (principal, action == Action::"fly", resource);',
    ],
)
def test_a_rule_without_name_or_outside_the_schema_is_never_loaded(rules: str) -> None:
    with pytest.raises(ValueError, match="rule"):
        bound(rules, rule_book().schema)


def test_a_required_fact_cannot_be_left_out() -> None:
    full = {"approved": True, "logged": True, "stopped": False}
    assert decide(rule_book(), EVE, "send", full).policy_id == "mailer-sends"
    for fact in full:
        with pytest.raises(Denied):
            decide(rule_book(), EVE, "send", {k: v for k, v in full.items() if k != fact})
