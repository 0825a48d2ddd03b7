"""What is sent is what was approved, whatever happened to the database in between."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consortium.service.approve import template_digest, unchanged
from consortium.service.errors import EntryMisfits
from consortium.store.campaigns import Campaign
from policies.approvals import manifest_digest

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
TEMPLATE: dict[str, Any] = {
    "subject": "Coffee",
    "mjml": "<mjml></mjml>",
    "text": None,
    "messenger": {"name": "Ana Example", "place": "Alderton"},
    "window": {"opens": "2026-10-05T12:00:00Z", "closes": "2026-10-06T12:00:00Z"},
}
DEFINITION = {"places": {"district": ["State House 44"]}}
MANIFEST = {
    "template": template_digest(TEMPLATE),
    "messenger": TEMPLATE["messenger"],
    "window": TEMPLATE["window"],
    "definition": DEFINITION,
}
APPROVED = Campaign(
    id="c1",
    race="r1",
    author="cora",
    state="logged",
    before_pause=None,
    definition=DEFINITION,
    template=TEMPLATE,
    manifest=MANIFEST,
    digest=manifest_digest(MANIFEST),
    estimate=400,
    nonce=None,
    root=None,
    audience_digest=None,
    intent_leaf=None,
    scheduled=None,
    progress=0,
    waiting_for="",
    at=NOON,
    closed=None,
)


def test_what_was_approved_may_go() -> None:
    unchanged(APPROVED)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"template": {**TEMPLATE, "subject": "Coffee!"}}, "template"),
        ({"template": {**TEMPLATE, "mjml": "<mjml> </mjml>"}}, "template"),
        ({"template": {**TEMPLATE, "text": ""}}, "template"),
        ({"template": {**TEMPLATE, "messenger": {"name": "Bo", "place": "X"}}}, "messenger"),
        ({"template": {**TEMPLATE, "window": {}}}, "window"),
        ({"definition": {"places": {"zip": ["80901"]}}}, "definition"),
        ({"manifest": {**MANIFEST, "links": ["https://example.org/"]}}, "digest"),
        ({"manifest": None}, "digest"),
    ],
)
def test_one_changed_comma_stops_it(change: dict[str, Any], part: str) -> None:
    with pytest.raises(EntryMisfits, match=part):
        unchanged(replace(APPROVED, **change))
