"""Who is held out gets no letter, whoever wrote a row into the outbox."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from consortium.service import send
from consortium.store import deliveries, frames
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit
from mailer import stops
from policies import agreement, holdout
from tests.fakes.post import Post

SHARE = 0.5
PEOPLE = [(n, f"m{n}@example.net") for n in range(1, 41)]


@pytest.fixture
def held(post: Post, monkeypatch: pytest.MonkeyPatch) -> Post:
    """A post office under an agreement that holds out every second household."""
    terms = replace(agreement.parse(post.server.agreement), holdout_share=SHARE)
    monkeypatch.setattr(send.agree, "signed_terms", lambda *_: terms)
    return post


def out(post: Post, person: int) -> bool:
    """In these worlds everybody is a household of their own, with the number of the person."""
    return holdout.held_out(
        person,
        race="oh-house-44",
        key=post.office.keys.choice,
        share=SHARE,
        noisy_mailable=30_000,
    )


def forge(post: Post, part: frames.Part, person: int, /, **said: object) -> Delivery:
    """An outbox row as whoever can write the database would make it, right in everything else."""
    [row] = [row for row, who in part.chosen.items() if who == person]
    with post.server.artefacts.open(post.state("c1").audience_digest or "") as path:
        [whole] = frames.read_audience(path, person=person)
    raw = stops.delivery_id(post.office.keys.delivery, "c1", whole.lock)
    link = stops.capability(post.office.keys.delivery, raw)
    verp = stops.verp_address(post.office.keys.delivery, raw, f"{part.partner}.example")
    new = Delivery(
        id=raw.hex(), campaign="c1", lock=whole.lock.hex(), bundle=part.bundle, row=row,
        partner=part.partner, person=person, address_token="", place={"precinct": "44-1"},
        state="pending", attempt=0, fence=0, claimed_at=None, settled_at=None, stop_key=None,
        verp=hashlib.sha256(verp.encode()).hexdigest(), capability_hash=link.stored.hex(),
        queue_id=None, outcome=None,
    )  # fmt: skip
    return replace(new, **said)  # type: ignore[arg-type]


def planted(post: Post, one: Delivery) -> str:
    """Put a row into the outbox of a campaign that is sending; why it did not go, or nothing."""

    def write(unit: Unit) -> None:
        deliveries.plan(unit, [one])

    post.units.run("forge", write)
    post.go("c1")
    found = post.units.run("look", lambda unit: deliveries.get(unit, one.id))
    return "" if found.state == "sent" else str(found.outcome)


def test_the_held_out_are_written_to_by_no_campaign(held: Post) -> None:
    held.go(held.campaign("c1", held.bundle("union", 1, PEOPLE), estimate=30_000))
    left = {address for person, address in PEOPLE if not out(held, person)}
    assert set(held.mta.to) == left
    assert 5 < len(left) < 35


@pytest.mark.parametrize("lie", [{}, {"person": 7_000}, {"partner": "parks"}])
def test_a_forged_outbox_row_of_somebody_held_out_is_never_claimed(
    held: Post, lie: dict[str, object]
) -> None:
    union = held.bundle("union", 1, PEOPLE)
    parks = held.bundle("parks", 2, [(900, "p@example.net")])
    held.campaign("c1", union, parks, estimate=30_000)
    held.go("c1")
    before = list(held.mta.to)
    person = next(n for n, _ in PEOPLE if out(held, n))
    assert planted(held, forge(held, union, person, **lie)) == "not of this mailing"
    assert held.mta.to == before


def test_what_makes_it_stay_is_the_draw_and_nothing_else(held: Post) -> None:
    """Control: the same forged row of somebody who is not held out goes, for it is as planned."""
    union = held.bundle("union", 1, PEOPLE)
    held.campaign("c1", union, estimate=30_000)
    person = next(n for n, _ in PEOPLE if not out(held, n))
    assert planted(held, forge(held, union, person)) == ""
    assert f"m{person}@example.net" in held.mta.to


def test_a_row_that_is_not_in_the_frozen_audience_is_never_claimed(post: Post) -> None:
    union, other = post.bundle("union", 1, PEOPLE), post.bundle("parks", 2, [(77, "x@example.net")])
    post.campaign("c1", union, other)
    mine = forge(post, other, 77)
    post.change("c1", state="draft")
    post.campaign("c2", union)
    later = replace(mine, id=mine.id[::-1], campaign="c2", verp="v", capability_hash="h")
    post.units.run("forge", lambda unit: deliveries.plan(unit, [later]))
    post.go("c2")
    assert "x@example.net" not in post.mta.to
    assert len(post.mta.to) == len(PEOPLE)
