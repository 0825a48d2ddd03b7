"""What is sent is what was approved, whatever happened to the database in between."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consortium.service.approve import template_digest, unchanged
from consortium.service.errors import EntryMisfits
from consortium.store.campaigns import Campaign
from consortium.store.races import Race
from policies import agreement
from policies.approvals import manifest_digest

MJML = "<mjml><mj-body><mj-section><mj-column><mj-text><p>Hello.</p></mj-text></mj-column></mj-section></mj-body></mjml>"  # noqa: E501
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
TERMS = agreement.default(
    race={
        "id": "r1",
        "name": "House 44",
        "office": "State House",
        "state": "CO",
        "jurisdiction": "State House 44",
        "election_date": "2026-11-03",
        "polls_close": "2026-11-04T02:00:00Z",
        "time_zone": "America/Denver",
    },
    parties=[
        {
            "id": "union",
            "name": "Union",
            "domain": "mail.union.example",
            "relation": "a member",
            "public": "ab" * 32,
        }
    ],
    custodians=[{"id": f"c{n}", "public": f"{n}{n}" * 32} for n in (1, 2, 3)],
    opens=NOON,
    closes=NOON + timedelta(days=20),
    postal_address="PO Box 1, Sampletown",
)
RACE = Race("r1", "House 44", "2026", agreement.to_bytes(TERMS), "")
TEMPLATE: dict[str, Any] = {
    "subject": "Coffee",
    "mjml": MJML,
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
    "agreement": hashlib.sha256(RACE.agreement).hexdigest(),
    "sources": ["union"],
    "sender": {"union": {"from": "Ana Example for Union", "domain": "mail.union.example"}},
    "links": [],
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
    epoch=None,
    intent_leaf=None,
    scheduled=None,
    progress=0,
    waiting_for="",
    at=NOON,
    closed=None,
)


def test_what_was_approved_may_go() -> None:
    unchanged(APPROVED, TERMS, RACE)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"template": {**TEMPLATE, "subject": "Coffee!"}}, "template"),
        ({"template": {**TEMPLATE, "mjml": MJML + " "}}, "template"),
        ({"template": {**TEMPLATE, "text": ""}}, "template"),
        ({"template": {**TEMPLATE, "messenger": {"name": "Bo", "place": "X"}}}, "messenger"),
        ({"template": {**TEMPLATE, "window": {}}}, "window"),
        ({"definition": {"places": {"zip": ["80901"]}}}, "definition"),
        ({"manifest": {**MANIFEST, "links": ["https://example.org/"]}}, "digest"),
        ({"manifest": {}}, "digest"),
    ],
)
def test_one_changed_comma_stops_it(change: dict[str, Any], part: str) -> None:
    with pytest.raises(EntryMisfits, match=part):
        unchanged(replace(APPROVED, **change), TERMS, RACE)


def test_another_agreement_or_sender_stops_it() -> None:
    with pytest.raises(EntryMisfits, match="agreement"):
        unchanged(APPROVED, TERMS, replace(RACE, agreement=b"{}"))
    renamed = replace(TERMS, parties=(replace(TERMS.parties[0], name="Onion"),))
    with pytest.raises(EntryMisfits, match="sender"):
        unchanged(APPROVED, renamed, RACE)
