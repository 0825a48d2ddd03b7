"""What comes back: each kind, once, about the right letter, and about nobody else."""

from __future__ import annotations

import pytest

from consortium.service import hear_back, plan
from consortium.store import suppressions
from consortium.store.deliveries import Delivery
from consortium.store.errors import Missing
from mailer import stops
from mailer.transports import Deferred, InDoubt
from tests.fakes.post import Post


def returned(post: Post, letter: str, kind: str, code: str | None = "4.2.2") -> str:
    return post.units.run(
        "returned", lambda unit: hear_back.returned(unit, letter, kind, post.clock(), code=code)
    )


def silenced(post: Post, letter: Delivery, *, person: bool) -> bool:
    """Whether the letter's address, or its person elsewhere, would be left out now."""
    return post.units.run(
        "look",
        lambda unit: suppressions.suppressed(
            unit,
            race="oh-house-44",
            partner="parks",
            epoch="2026-season",
            stop_key=None if person else letter.stop_key,
            address_token=None,
            person=letter.person if person else None,
        ),
    )


@pytest.fixture
def sent(post: Post) -> Delivery:
    """One letter that was taken, of three."""
    members = [(n, f"m{n}@example.net") for n in (1, 2, 3)]
    post.go(post.campaign("c1", post.bundle("union", 1, members)))
    return post.sent_to("m1@example.net")


@pytest.mark.parametrize(
    ("kind", "done", "address", "person"),
    [
        ("hard", "suppressed", True, False),
        ("complaint", "suppressed", True, True),
        ("soft", "noted", False, False),
        ("auto_reply", "ignored", False, False),
        ("unknown", "ignored", False, False),
    ],
)
def test_each_kind_of_return_does_what_it_may_and_no_more(
    post: Post, sent: Delivery, kind: str, done: str, address: bool, person: bool
) -> None:
    assert returned(post, sent.id, kind) == done
    assert {returned(post, sent.id, kind) for _ in range(2)} == {
        "known" if kind == "hard" else done
    }
    assert silenced(post, sent, person=False) is address
    assert silenced(post, sent, person=True) is person
    for name in ("hard", "complaint", "soft"):
        counted = post.units.run(
            "count",
            lambda unit, n=name: suppressions.suppressions(unit, "c1", n),  # type: ignore[misc]
        )
        assert counted == (name == kind)
    others = [one for one in post.letters("c1") if one.id != sent.id]
    assert not any(silenced(post, one, person=True) for one in others)


def test_a_return_about_no_letter_of_ours_is_missing(post: Post, sent: Delivery) -> None:
    with pytest.raises(Missing):
        returned(post, "ab" * 16, "hard")
    with pytest.raises(Missing):
        post.units.run("stop", lambda unit: hear_back.stop(unit, "A" * 22, "race", post.clock()))


def test_a_link_that_was_cut_or_made_up_stops_nobody_and_a_true_one_as_often_as_it_comes(
    post: Post, sent: Delivery
) -> None:
    true = stops.capability(post.office.keys.delivery, bytes.fromhex(sent.id)).token
    other = stops.capability(b"j" * 32, bytes.fromhex(sent.id)).token
    for wrong in (true[:-1], true + "A", true.swapcase(), other, sent.id, "", " " + true):
        with pytest.raises(Missing):
            hear_back.stop_and_wait(post.units, wrong, "race", post.clock())
    with pytest.raises(Missing, match="no such kind"):
        hear_back.stop_and_wait(post.units, true, "everything", post.clock())
    assert not silenced(post, sent, person=True)
    for _ in range(3):
        hear_back.stop_and_wait(post.units, true, "race", post.clock(), sleep=_never)
    assert silenced(post, sent, person=True)
    assert post.units.read("n", lambda unit: suppressions.suppressions(unit, "c1", "stop")) == 1


def _never(seconds: float) -> None:
    raise AssertionError("no letter to them is on its way: nothing to wait for")


@pytest.mark.parametrize("kind", ["soft", "auto_reply"])
def test_a_bounce_of_a_letter_that_was_thought_unsent_keeps_it_from_leaving_twice(
    post: Post, kind: str
) -> None:
    post.mta.answers["m1@example.net"] = [Deferred(451, "local error", "dot", "4.3.0")]
    id = post.campaign("c1", post.bundle("union", 1, [(1, "m1@example.net")]))
    post.go(id)
    [letter] = post.letters(id)
    assert letter.state == "deferred"
    returned(post, letter.id, kind)  # the server had taken it all the same
    post.later(hours=1)
    post.go(id)
    assert post.mta.to == ([] if kind == "soft" else ["m1@example.net"])


def test_a_bounce_proves_that_a_letter_in_doubt_was_taken(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, [(1, "m1@example.net")]))
    post.mta.answers["m1@example.net"] = [InDoubt("the connection ended")]
    post.go(id)
    [letter] = post.letters(id)
    assert letter.state == "in_doubt"
    returned(post, letter.id, "unknown")
    assert post.states(id) == {"in_doubt": 1}
    returned(post, letter.id, "soft")
    assert post.states(id) == {"sent": 1}


def test_a_complaint_ends_all_letters_to_that_address_and_to_the_person_in_this_race(
    post: Post, sent: Delivery
) -> None:
    returned(post, sent.id, "complaint")

    def elsewhere(stop_key: str | None, person: int | None) -> bool:
        return post.units.read(
            "look",
            lambda unit: suppressions.suppressed(
                unit,
                race="another-race",
                partner="third",
                epoch="2026-season",
                stop_key=stop_key,
                address_token=None,
                person=person,
            ),
        )

    assert elsewhere(sent.stop_key, None)
    assert not elsewhere(None, sent.person)
    assert silenced(post, sent, person=True)


def on_two_lists(post: Post) -> tuple[str, Delivery]:
    """A campaign to three people whom two lists have at two addresses; one of its letters."""
    lists = [[(n, f"{name}{n}@example.net") for n in (1, 2, 3)] for name in ("u", "p")]
    id = post.campaign("c1", post.bundle("union", 1, lists[0]), post.bundle("parks", 2, lists[1]))
    post.go(id)
    [letter] = [one for one in post.letters(id) if one.person == 1]
    return id, letter


def test_a_bounce_by_mail_lets_the_next_copy_go_once(post: Post) -> None:
    id, letter = on_two_lists(post)
    assert plan.bounced(post.office, letter.id, post.clock()) == "suppressed"
    assert plan.bounced(post.office, letter.id, post.clock()) == "known"
    post.go(id)
    post.go(id)
    mine = [one for one in post.letters(id) if one.person == 1]
    assert sorted(one.state for one in mine) == ["sent", "sent"]
    assert {one.partner for one in mine} == {"union", "parks"}
    assert len(post.mta.to) == len(set(post.mta.to)) == 4
    assert plan.bounced(post.office, mine[0].id, post.clock()) in ("suppressed", "known")
    post.go(id)
    assert len(post.mta.to) == 4, "nobody has a third address"


@pytest.mark.parametrize("over", ["closed", "stopped"])
def test_a_bounce_after_the_campaign_lets_nothing_go(post: Post, over: str) -> None:
    id, letter = on_two_lists(post)
    post.change(id, state=over)
    assert plan.bounced(post.office, letter.id, post.clock()) == "suppressed"
    assert post.states(id) == {"sent": 3}


def test_a_soft_bounce_and_a_complaint_let_no_copy_go(post: Post) -> None:
    id, letter = on_two_lists(post)
    for kind in ("soft", "complaint", "unknown"):
        returned(post, letter.id, kind)
    post.go(id)
    assert post.states(id) == {"sent": 3}
