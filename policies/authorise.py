"""Asks Cedar; the answer names the policy that gave it. Any error is a deny."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import cedarpy

from policies.errors import Denied
from policies.facts import ACTIONS, Caller, Term, context

__all__ = ["Caller", "Decision", "RuleBook", "Term", "decide", "require", "rule_book"]


@dataclass(frozen=True, slots=True)
class Decision:
    """An allow, and the @id of the rule that gave it."""

    policy_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Cedar text and its schema; ``notes`` maps Cedar's own names to each rule's annotations."""

    rules: str
    schema: str
    notes: Mapping[str, Mapping[str, str]]


def require(caller: Caller, action: str, **facts: Any) -> Decision:
    """Let an action through only if a rule permits it and none forbids it.

    Args:
        caller: who asks.
        action: one of ``facts.ACTIONS``.
        facts: what the schema lists for that action: ``partner``, ``sources``, ``term``, ...

    Raises:
        Denied: not permitted, forbidden, a required fact left out, or any error at all.
    """
    return decide(rule_book(), caller, action, facts)


def decide(book: RuleBook, caller: Caller, action: str, facts: Mapping[str, Any]) -> Decision:
    """Answer as ``require`` does, from this rule book."""
    if action not in ACTIONS:
        raise Denied(action, "there is no such action")
    answer = _ask(book, caller, action, context(action, facts))
    notes = [book.notes.get(name, {}) for name in answer.diagnostics.reasons]
    # Before the decision: Cedar skips a forbid whose condition fails, and then says Allow.
    if answer.diagnostics.errors:
        raise Denied(action, "a stated fact is missing, unknown or ill-typed")
    if answer.decision is cedarpy.Decision.Deny and notes:
        raise Denied(action, notes[0].get("reason", "a rule forbids it"))
    if answer.decision is not cedarpy.Decision.Allow:
        raise Denied(action, "no rule allows it")
    if not notes or "id" not in notes[0]:
        raise Denied(action, "the rule that allows it has no name")
    return Decision(notes[0]["id"], notes[0].get("reason", ""))


@cache
def rule_book() -> RuleBook:
    """Read the rules beside this file, once; refuse them unless they fit their schema."""
    folder = resources.files("policies") / "rules"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    rules = "\n".join(f.read_text("utf-8") for f in files if f.name.endswith(".cedar"))
    return bound(rules, (folder / "schema.cedarschema").read_text("utf-8"))


def bound(rules: str, schema: str) -> RuleBook:
    """Bind rules and schema to a book.

    Raises:
        ValueError: a rule does not fit the schema, or has no @id or @reason of its own.
    """
    checked = cedarpy.validate_policies(rules, schema)
    if not checked.validation_passed:
        raise ValueError(f"the rules do not fit their schema: {checked.errors}")
    parsed = json.loads(cedarpy.policies_to_json_str(rules))["staticPolicies"]
    # Cedar answers "policy0"; only the annotations say which rule that is.
    notes = {name: rule.get("annotations", {}) for name, rule in parsed.items()}
    if not all(note.get("id") and note.get("reason") for note in notes.values()):
        raise ValueError("every rule has an @id and a @reason")
    if len({note["id"] for note in notes.values()}) != len(notes):
        raise ValueError("two rules have one @id")
    return RuleBook(rules, schema, notes)


def _ask(
    book: RuleBook, caller: Caller, action: str, stated: dict[str, Any]
) -> cedarpy.AuthzResult:
    # As structures, never as text: an id with a quote in it is only a strange id.
    actor = {"type": "Actor", "id": caller.id}
    request = {
        "principal": _uid("Actor", caller.id),
        "action": _uid("Action", action),
        "resource": _uid("Consortium", "trellis"),
        "context": stated,
    }
    attributes = {"role": caller.role, "partner": caller.partner or ""}
    entities = [
        {"uid": actor, "attrs": attributes, "parents": []},
        {"uid": {"type": "Consortium", "id": "trellis"}, "attrs": {}, "parents": []},
    ]
    try:
        return cedarpy.is_authorized(request, book.rules, entities, book.schema)
    except Exception as failed:
        raise Denied(action, "the rules could not be asked") from failed


def _uid(kind: str, id: str) -> str:
    return f"{kind}::{json.dumps(id)}"
