"""Each rule of a replay: the story that keeps it is believed, the one that breaks it is refused."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provenance.entry import BROWSER_KEY, Drafted
from provenance.errors import StoryRefused
from provenance.evidence import Checked, check
from provenance.openings import Closed, Walked
from provenance.people import People, Terms, browsers
from provenance.story import Story, gather, in_order, tell
from provenance.withdrawn import State, mix
from tests.fakes.actors import NOON, POLICY, made, private, public
from tests.fakes.stories import ACTORS, BOTH, A, D, R, approve, attest, intent, logged, sign

CUSTODIANS = ("c1", "c2", "c3")
PEOPLE = People(
    partners=ACTORS,
    custodians={one: public(one) for one in CUSTODIANS},
    operators=frozenset({public("operator")}),
    mailers=frozenset({public("mailer")}),
    threshold=2,
)
DAY = timedelta(days=1)
TERMS = Terms(A, "council", NOON - 30 * DAY, NOON + 30 * DAY, ACTORS, None, 64)
WINDOW = {"opens": "2026-11-21T12:30:00Z", "closes": "2026-11-24T12:00:00Z", "size_class": 64}
BEFORE = [*map(sign, BOTH), *map(approve, BOTH), *map(attest, BOTH)]


def opening(who: str = "c1", **other: Any) -> Drafted:
    facts = {"kind": "opening", "campaign": "c1", "digest": D, "root": R, **other}
    return made(who, "ledger", facts.pop("at", NOON), **facts)


def released(who: str = "c1", total: int = 40) -> Drafted:
    return made(who, "sent", kind="released", campaign="c1", released=total)


def closed(letters: int = 37, who: str = "mailer") -> Drafted:
    return made(who, "sent", kind="closed", campaign="c1", letters=letters)


def decided(was: str = "sent", who: str = "operator", **other: Any) -> Drafted:
    facts = {"campaign": "c1", "letters": 2, "digest": "e" * 64, "by": "Cora", "looked": "mailbox"}
    return made(who, "sent", kind="decided", was=was, **{**facts, **other})


def head(spent: int, digest: str, who: str = "operator") -> Drafted:
    return made(who, "ledger", kind="head", race="council", head=digest * 64, spent=spent)


OPENED = [*BEFORE, intent(**WINDOW), opening("c1"), opening("c2")]
ENDED = [*OPENED, released("c1"), released("c2", 41), closed()]


def told(
    drafts: Sequence[Drafted],
    people: People = PEOPLE,
    terms: Terms | None = TERMS,
    hidden: Closed | None = None,
) -> Story:
    entries = in_order(logged(drafts), POLICY)
    return tell(entries, people, terms=[terms] if terms else [], closed=hidden)


def test_a_campaign_from_its_agreement_to_its_end_is_believed_and_nothing_is_left_open() -> None:
    story = told([*ENDED, head(5, "1"), head(9, "2"), head(9, "2")])
    assert story.unshown == ()
    assert dict(story.held) == {
        "intent: signed agreement, enough approvals, every source's attestation": 1,
        "intent: within the agreement's dates, parties and size": 1,
        "ledger: what was spent of the privacy budget never falls": 3,
        "opening: of what the intent names, inside its window": 2,
        "sent: an intent before it": 3,
        "sent: custodians' totals cover the letters": 1,
    }


def test_what_was_decided_about_doubts_is_counted_among_what_held() -> None:
    story = told([*ENDED, decided(), decided("not-sent", letters=1)])
    assert dict(story.held)["sent: doubts were decided by the operator, and how is said"] == 2
    assert story.unshown == ()


@pytest.mark.parametrize(
    ("drafts", "why"),
    [
        pytest.param([*BEFORE, closed()], "without an intent", id="sent without intent"),
        pytest.param([*BEFORE, opening()], "without an intent", id="opened without intent"),
        pytest.param(
            [*BEFORE[:3], *BEFORE[4:], intent(**WINDOW)], "1 approvals, 2", id="an approval short"
        ),
        pytest.param([*BEFORE[:5], intent(**WINDOW)], "birch did not attest", id="no attestation"),
        pytest.param([*BEFORE[1:], intent(**WINDOW)], "did not sign", id="a party did not sign"),
        pytest.param(
            [*BEFORE, intent(**{**WINDOW, "closes": "2026-12-22T00:00:00Z"})],
            "outside the agreement's dates",
            id="closes after the agreement",
        ),
        pytest.param(
            [*BEFORE, intent(**{**WINDOW, "opens": "2026-10-01T00:00:00Z"})],
            "outside the agreement's dates",
            id="opens before the agreement",
        ),
        pytest.param([*BEFORE, intent()], "does not say its opens", id="no window"),
        pytest.param(
            [*BEFORE, intent(**{**WINDOW, "opens": "soon"})], "without times", id="no times"
        ),
        pytest.param(
            [*BEFORE, intent(**{**WINDOW, "size_class": 128})], "size class", id="too large"
        ),
        pytest.param(
            [*BEFORE, made("alder", "intent", kind="send", campaign="c1", sources=["alder"])],
            "not signed by the operator",
            id="a partner's intent",
        ),
        pytest.param([*OPENED, opening("cedar")], "by a custodian", id="a stranger opens"),
        pytest.param(
            [*OPENED, opening("c3", root="f" * 64)], "other rows", id="opens another audience"
        ),
        pytest.param(
            [*OPENED, opening("c3", at=NOON - 2 * DAY)], "outside its window", id="opens early"
        ),
        pytest.param(
            [*OPENED, opening("c3", at=NOON + 4 * DAY)], "outside its window", id="opens late"
        ),
        pytest.param([*OPENED, released("c3")], "its own opening", id="a total without opening"),
        pytest.param([*OPENED, released("mailer")], "by a custodian", id="a total by another"),
        pytest.param([*OPENED, released("c1", 65)], "its size class", id="more than the class"),
        pytest.param(
            [*OPENED, released("c1", 40), released("c1", 41)], "two totals", id="two totals"
        ),
        pytest.param([*OPENED, closed(who="alder")], "by the mail machine", id="a partner's end"),
        pytest.param([*ENDED, closed(38)], "two numbers", id="two ends"),
        pytest.param(
            [*OPENED, released("c1"), released("c2"), closed(41)],
            "more letters",
            id="more letters than rows opened",
        ),
        pytest.param([*BEFORE, decided()], "without an intent", id="doubts without intent"),
        pytest.param(
            [*ENDED, decided(who="mailer")], "not signed by the operator", id="a machine decides"
        ),
        pytest.param([*ENDED, decided("perhaps")], "decides nothing", id="neither sent nor not"),
        pytest.param([*ENDED, decided(letters=0)], "decides nothing", id="about no letter"),
        pytest.param([*ENDED, decided(letters=True)], "does not say its letters", id="no number"),
        pytest.param([head(9, "1"), head(5, "2")], "went back", id="less is spent"),
        pytest.param([head(5, "1"), head(5, "2")], "went back", id="another past"),
        pytest.param([head(5, "1"), head(6, "1")], "went back", id="a head for two sums"),
        pytest.param([head(5, "1", "alder")], "not signed by the operator", id="a strange head"),
    ],
)
def test_a_story_that_breaks_a_rule_is_refused_and_the_rule_is_named(
    drafts: list[Drafted], why: str
) -> None:
    with pytest.raises(StoryRefused, match=why):
        told(drafts)


def test_what_only_roles_and_the_document_show_passes_where_nobody_knows_them() -> None:
    """The control of half of the table above: the same stories, believed when less is known."""
    nobody = People(partners=ACTORS)
    late = [*BEFORE, intent(**{**WINDOW, "closes": "2027-12-22T00:00:00Z"})]
    story = told(late, nobody, None)
    assert any("the document" in line for line in story.unshown)
    told([*OPENED, opening("cedar")], nobody, None)
    told([head(5, "1", "alder")], nobody, None)
    told([*ENDED, decided(who="mailer")], nobody, None)


def test_the_agreement_says_how_many_must_approve_and_whose_keys_count() -> None:
    one_short = [*BEFORE[:3], *BEFORE[4:], intent(**WINDOW)]
    told(one_short, terms=replace(TERMS, approvals=1))
    strange = {**ACTORS, "alder": public("cedar")}
    with pytest.raises(StoryRefused, match="other keys than you know"):
        told([*BEFORE, intent(**WINDOW)], terms=replace(TERMS, parties=strange))
    third = replace(TERMS, parties={**ACTORS, "cedar": public("cedar")})
    with pytest.raises(StoryRefused, match=r"1 of 3 parties did not sign"):
        told([*BEFORE, intent(**WINDOW)], replace(PEOPLE, partners=third.parties), third)
    told([sign("cedar"), *BEFORE, intent(**WINDOW)], replace(PEOPLE, partners=third.parties), third)


def test_a_key_in_a_browser_speaks_for_the_partner_that_vouches_for_it_alone() -> None:
    by_browser = [*BEFORE[:3], approve("browser"), *BEFORE[4:], intent(**WINDOW)]

    def vouch(who: str, by: str) -> dict[str, Any]:
        signature = private(by).sign(BROWSER_KEY + public("browser"))
        named = {"partner": who, "public": public("browser").hex()}
        return {**named, "signature": signature.hex()}

    told(by_browser, replace(PEOPLE, browsers=browsers([vouch("birch", "birch")], ACTORS)))
    for stated in ([], [vouch("birch", "operator")], [vouch("alder", "alder")], [5, {}]):
        with pytest.raises(StoryRefused, match="1 approvals"):
            told(by_browser, replace(PEOPLE, browsers=browsers(stated, ACTORS)))


def test_what_a_closed_entry_could_be_is_told_as_not_shown_and_what_none_could_be_is_refused() -> (
    None
):
    short = [*BEFORE[:3], *BEFORE[4:], intent(**WINDOW)]
    story = told(short, hidden=Closed({"approval": [2]}))
    assert any(
        "1 approvals, 2 are needed" in line and "stay closed" in line for line in story.unshown
    )
    for hidden in ({"approval": [6]}, {"agreement": [2]}, {}):
        with pytest.raises(StoryRefused, match="1 approvals"):
            told(short, hidden=Closed(hidden))
    without = told([sign("alder"), closed()], hidden=Closed({"intent": [0]}))
    assert any("without an intent" in line for line in without.unshown)


def test_totals_that_nothing_can_be_compared_with_are_said_to_be_unchecked() -> None:
    story = told([*OPENED, released("c1"), released("c2")])
    assert any("2 custodians' totals" in line for line in story.unshown)
    story = told([*OPENED, released("c1"), closed()])
    assert any("1 custodians state what they opened, of 2" in line for line in story.unshown)


def test_openings_belong_to_the_log_that_was_walked_or_are_refused() -> None:
    entries = in_order(logged(OPENED)[:4], POLICY)
    trees = {entries[0].size: entries[0].root}

    def walked(drafts: Sequence[Drafted]) -> Walked:
        made = Walked(trees)
        for one in drafts:
            made.add(one.entry, "ledger" if one in OPENED[7:] else "approval")
        return made

    closed_now = walked(OPENED).closed(entries, trees)
    assert closed_now.counts() == {"approval": 3, "ledger": 2}
    assert closed_now.before(("approval", "ledger"), 8) == 4
    assert walked([*OPENED, closed()]).closed(entries, trees).counts()["approval"] == 4
    with pytest.raises(StoryRefused, match="went back"):
        walked(OPENED[:-1]).closed(entries, trees)
    with pytest.raises(StoryRefused, match="forked"):
        walked([*OPENED[:-1], opening("c3")]).closed(entries, trees)


def opened_in_part(
    drafts: Sequence[Drafted], place: int, *names: str
) -> list[tuple[bytes, Checked]]:
    """All opened, but of one entry only these facts."""
    found = logged(drafts)
    one = found[place]
    kept = {name: one.openings[name] for name in ("actor", "kind", *names)}
    found[place] = replace(one, openings=kept)
    return [(each.entry, check(each, POLICY, partial=True)) for each in found]


def test_a_fact_that_stays_closed_leaves_its_rule_open_and_the_others_are_held() -> None:
    shown = ("campaign", "digest", "root", "agreement", "sources")
    pieces = opened_in_part(OPENED, 6, *shown)
    entries = gather(pieces).entries
    assert entries[6].closed == ("closes", "opens", "race", "size_class")
    story = tell(entries, PEOPLE, terms=[TERMS])
    assert len([line for line in story.unshown if "was not opened" in line]) == 3
    assert "intent: within the agreement's dates, parties and size" not in dict(story.held)
    late = [*BEFORE, intent(**{**WINDOW, "closes": "2027-12-22T00:00:00Z"})]
    tell(gather(opened_in_part(late, 6, *shown)).entries, PEOPLE, terms=[TERMS])
    short = [*BEFORE[:3], *BEFORE[4:], intent(**WINDOW)]
    with pytest.raises(StoryRefused, match="1 approvals"):
        tell(gather(opened_in_part(short, 5, *shown)).entries, PEOPLE, terms=[TERMS])


def test_what_several_receipts_open_of_one_entry_is_put_together() -> None:
    first = opened_in_part(OPENED, 6, "campaign", "digest", "root", "agreement", "sources")
    second = opened_in_part(OPENED, 6, "opens", "closes", "size_class", "race")
    entries = gather([*first, *second]).entries
    assert entries[6].closed == ()
    assert tell(entries, PEOPLE, terms=[TERMS]).unshown == ()


def test_every_tree_that_anything_was_proved_in_is_compared_with_the_log() -> None:
    one, later = logged(OPENED[:8]), logged(OPENED)
    both = [(each.entry, check(each, POLICY)) for each in (later[0], one[0])]
    gathered = gather(both)
    assert (len(gathered.entries), sorted(gathered.trees)) == (1, [8, 9])
    walked = Walked(gathered.trees)
    for each in [*OPENED[:7], made("c1", "ledger", kind="x"), OPENED[8]]:
        walked.add(each.entry, "x")
    with pytest.raises(StoryRefused, match="another tree of 8"):
        walked.closed(gathered.entries, gathered.trees)


# -- withdrawals


def batches(count: int) -> list[dict[str, Any]]:
    """What the entries of so many batches say."""
    state, said = State(), []
    fresh = (hashlib.sha256(b"%d" % n).digest() for n in itertools.count())
    for _ in range(count):
        batch, _waits = mix([next(fresh)], state, lambda: next(fresh))
        state = state.after(batch)
        said.append(state.facts(batch))
    return said


def stated(said: Sequence[dict[str, Any]], who: str = "operator") -> list[Drafted]:
    return [made(who, "withdrawal", NOON, **facts) for facts in said]


def test_batches_of_withdrawals_that_follow_from_one_another_are_believed() -> None:
    story = told(stated(batches(3)))
    assert dict(story.held) == {"withdrawals: each batch follows from the one before": 3}
    assert story.unshown == ()


SAID = batches(3)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(SAID[1:], id="the first is missing"),
        pytest.param([SAID[0], SAID[2]], id="one between is missing"),
        pytest.param([SAID[0], SAID[0]], id="twice"),
        pytest.param([SAID[0], {**SAID[1], "root": "0" * 64}], id="another root"),
        pytest.param([{**SAID[0], "number": "1"}], id="no number"),
    ],
)
def test_a_batch_out_of_turn_or_with_another_root_is_refused(said: list[dict[str, Any]]) -> None:
    with pytest.raises(StoryRefused):
        told(stated(said))


def test_nobody_but_the_operator_states_withdrawals() -> None:
    with pytest.raises(StoryRefused, match="not signed by the operator"):
        told(stated(SAID[:1], "c1"))


def test_a_batch_that_may_stay_closed_is_told_as_not_shown() -> None:
    hidden = Closed({"withdrawal": [-1]})
    story = told(stated(SAID[1:]), hidden=hidden)
    assert any("1 batches before batch 2" in one for one in story.unshown)
    assert "withdrawals: each batch follows from the one before" not in dict(story.held)
