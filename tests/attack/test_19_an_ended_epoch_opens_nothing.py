"""Whoever gets hold of an ended epoch learns nobody's tokens in the next, and opens no row of it.

Tokens cannot be turned into another epoch's, so during the overlap every list is there twice. That
must mean nobody twice: not in an audience, not past a stop, not past a cap.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.service import hear_back, match
from consortium.service.errors import WrongState
from consortium.store import contributions, deliveries, epochs, roster
from consortium.store.errors import ArtefactRefused, Missing
from consortium.store.tables import SuppressionRow
from consortium.store.unit import Unit
from matching import engine
from policies.holdout import held_out
from provenance.evidence import Evidence, check
from tests.fakes.actors import POLICY
from tests.fakes.season import (
    DATABASE,
    EPOCH,
    LISTS,
    NEXT,
    VOTERS,
    Season,
    address,
    kept_season,
    overlap,
    row_id,
    season,
)
from tests.fakes.server import PARTNERS, RACE

__all__ = ["kept_season", "overlap", "season"]

PERSONS = {row_id(number) for number in range(VOTERS)}


def bundles(season: Season, epoch: str) -> list[contributions.Contribution]:
    return [one for one in season.bundles() if one.epoch == epoch]


def test_a_persons_tokens_of_two_epochs_have_nothing_in_common(overlap: Season) -> None:
    inputs = [one for n in range(20) for one in overlap.inputs(n)]
    outputs = {epoch: overlap.outputs(epoch, inputs) for epoch in (EPOCH, NEXT)}
    assert not set(outputs[EPOCH]) & set(outputs[NEXT])
    peppers = {epoch: overlap.bench.keys(epoch).pepper for epoch in (EPOCH, NEXT)}
    assert peppers[EPOCH] != peppers[NEXT]
    one = outputs[EPOCH][0]  # even the very same output is another token in the next epoch
    assert len({engine.store_token(peppers[p], e, 1, one) for p in peppers for e in peppers}) == 4
    stored = []
    for epoch in (EPOCH, NEXT):
        found: set[bytes] = set()
        for each in bundles(overlap, epoch):
            assert each.tokens_digest is not None
            with overlap.artefacts.open(each.tokens_digest) as path:
                found |= {*engine.address_tokens(path, overlap.bench.keys(epoch).tokens).values()}
        stored.append(found)
    assert [len(one) for one in stored] == [160, 160]  # ten of fifty use another on each list
    assert not stored[0] & stored[1]


def test_an_artefact_of_one_epoch_does_not_open_under_the_others_key(overlap: Season) -> None:
    [one, *_] = bundles(overlap, EPOCH)
    assert one.tokens_digest is not None
    with overlap.artefacts.open(one.tokens_digest) as path:
        assert engine.address_tokens(path, overlap.bench.keys(EPOCH).tokens)
        with pytest.raises(Exception, match=r"(?i)decrypt|key|encrypt|invalid|tag"):
            engine.address_tokens(path, overlap.bench.keys(NEXT).tokens)


@pytest.mark.parametrize("moved", [False, True])
def test_during_the_overlap_everybody_is_in_an_audience_once_a_list(
    overlap: Season, moved: bool
) -> None:
    if moved:
        overlap.move()
    rows = overlap.audience(overlap.campaign())
    here = {one.id for one in bundles(overlap, NEXT if moved else EPOCH)}
    assert {row.bundle for row in rows} == here
    assert max(Counter((row.partner, row.roll_row) for row in rows).values()) == 1
    assert {row.roll_row for row in rows} == PERSONS
    assert len(rows) == sum(map(len, LISTS.values()))


def test_whoever_got_a_letter_in_one_epoch_gets_one_in_the_next_and_no_second(
    overlap: Season,
) -> None:
    first = overlap.mail(overlap.campaign())
    assert len(first) == len(set(first)) == VOTERS
    overlap.move()
    # The cap of one letter a week is not forgotten with the move.
    soon = overlap.campaign()
    assert overlap.mail(soon) == []
    overlap.clock.now += timedelta(days=8)
    later = overlap.campaign()
    second = overlap.mail(later)
    assert len(second) == len(set(second)) == VOTERS
    assert max(Counter(one.person for one in overlap.letters(later)).values()) == 1
    # Which list's copy is the same all race long.
    by = {letter.person: letter.partner for letter in overlap.letters(later)}
    before = {
        letter.person: letter.partner
        for campaign in overlap.campaigns()
        if campaign not in (soon, later)
        for letter in overlap.letters(campaign)
    }
    assert by == before


def test_a_cap_forgotten_at_the_move_would_be_seen(overlap: Season) -> None:
    """The control of the test above: with other row ids the same people are strangers."""
    overlap.mail(overlap.campaign())
    overlap.move()

    def strangers(unit: Unit) -> None:
        for letter in overlap.letters(overlap.campaigns()[0]):
            row = unit.get(deliveries.DeliveryRow, letter.id)
            assert row is not None
            row.person, row.stop_key = -row.person, letter.id

    overlap.units.run("strangers", strangers)
    assert len(overlap.mail(overlap.campaign())) == VOTERS


def stop(season: Season, number: int, scope: str = "race") -> deliveries.Delivery:
    """A voter who got a letter stops; the letter."""
    [campaign] = season.campaigns()
    [letter] = [one for one in season.letters(campaign) if one.person == row_id(number)]
    season.units.run(
        "stop", lambda unit: hear_back.suppress(unit, letter, scope, "stop", season.clock())
    )
    return letter


@pytest.mark.parametrize("ended", [False, True])
def test_who_stopped_in_one_epoch_gets_nothing_in_the_next_from_any_list(
    overlap: Season, ended: bool
) -> None:
    overlap.mail(overlap.campaign())
    same, other = 61, 60  # on both lists, with one address, and with another on each
    stop(overlap, same)
    stop(overlap, other)
    overlap.move()
    if ended:
        overlap.end()
    overlap.clock.now += timedelta(days=8)
    new = overlap.campaign()
    got = overlap.mail(new)
    gone = {address(partner, n) for partner in PARTNERS for n in (same, other)}
    assert not gone & set(got)
    assert len(got) == VOTERS - 2
    # Known by person, so no row of theirs was opened; the released set has them like anybody.
    assert not {row_id(same), row_id(other)} & {one.person for one in overlap.letters(new)}
    assert {row_id(same), row_id(other)} <= {row.roll_row for row in overlap.audience(new)}


def test_a_stop_that_counts_for_an_address_alone_is_met_again_by_its_key(overlap: Season) -> None:
    """Its token is of the ended epoch; the address says it when its row is opened, once."""
    overlap.mail(overlap.campaign())
    stop(overlap, 61)

    def strange(unit: Unit) -> None:
        for row in unit.session.query(SuppressionRow):
            row.person = None

    overlap.units.run("strange", strange)
    overlap.move()
    overlap.end()
    overlap.clock.now += timedelta(days=8)
    first = overlap.campaign()
    assert address("union", 61) not in overlap.mail(first)
    assert [one.outcome for one in overlap.letters(first) if one.person == row_id(61)] == [
        "stopped"
    ]
    # From now on its token of this epoch says it before anything is opened.
    second = overlap.campaign()
    assert overlap.mail(second) == []  # everybody else has had this week's letter
    assert not [one for one in overlap.letters(second) if one.person == row_id(61)]


def test_the_same_households_are_held_out_in_both_epochs(
    overlap: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.holdout.MIN_MAILABLE", 1)
    monkeypatch.setattr(
        "consortium.service.draw.holdout.held_out",
        lambda household, **more: held_out(household, **{**more, "share": 0.3}),
    )
    first = set(overlap.mail(overlap.campaign()))
    assert 60 < len(first) < 145
    overlap.move()
    overlap.clock.now += timedelta(days=8)
    assert set(overlap.mail(overlap.campaign())) == first


# What is left of an epoch that has ended


def secrets_of(season: Season, epoch: str) -> dict[str, list[bytes]]:
    """Everything of an epoch that opens or recognises somebody, told by kind."""
    found: dict[str, list[bytes]] = {"lock": [], "tag": [], "wrapped": [], "token": [], "key": []}
    for one in bundles(season, epoch):
        found["wrapped"].append(season.deks[one.id][:64])
        found["lock"] += [row.lock for row in season.rows[one.id]]
        found["tag"] += [row.tag for row in season.rows[one.id]]
        assert one.tokens_digest is not None
        keys = season.bench.keys(epoch)
        with season.artefacts.open(one.tokens_digest) as path:
            found["token"] += engine.address_tokens(path, keys.tokens).values()
    keys = season.bench.keys(epoch)
    found["key"] = [keys.pepper, keys.outputs, keys.tokens]
    return found


def kinds_found(folder: Path, wanted: dict[str, list[bytes]]) -> set[str]:
    """Which kinds stand anywhere in the bytes of a folder, raw or in hex."""
    whole = b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        kind
        for kind, values in wanted.items()
        if any(value in whole or value.hex().encode() in whole for value in values)
    }


def test_no_byte_of_the_server_holds_an_ended_epochs_locks_tags_tokens_or_keys(
    overlap: Season,
) -> None:
    overlap.mail(overlap.campaign())
    stop(overlap, 61)
    wanted = secrets_of(overlap, EPOCH)
    files = {path.name for path in overlap.folder.rglob("*") if path.is_file()}
    # Before: artefacts are compressed, so not all of a bundle's locks stand there in one piece.
    assert kinds_found(overlap.folder, wanted) == {"lock", "tag", "wrapped", "token", "key"}
    overlap.move()
    assert kinds_found(overlap.folder, wanted) == {"lock", "tag", "wrapped", "token", "key"}
    named = {
        digest
        for one in bundles(overlap, EPOCH)
        for digest in (one.rows_digest, one.tokens_digest, one.links_digest)
    }
    assert overlap.end() >= len(named) + 3  # and a roster, an audience, ghosts' rows
    assert kinds_found(overlap.folder, wanted) == set()
    left = {path.name for path in overlap.folder.rglob("*") if path.is_file()}
    assert named <= files
    assert not named & left
    # The next epoch stands as it did.
    assert kinds_found(overlap.folder, secrets_of(overlap, NEXT)) == {
        "lock",
        "tag",
        "wrapped",
        "key",
    }
    assert overlap.audience(overlap.campaign())


def test_after_the_end_no_code_path_makes_a_token_or_serves_a_row_of_it(overlap: Season) -> None:
    server = overlap.server
    ids = {one.partner: one.id for one in bundles(overlap, EPOCH)}
    late = overlap.offer("union", EPOCH)[0]  # taken, and nobody has peppered it yet
    overlap.move()
    overlap.end()
    with pytest.raises(Missing):
        overlap.bench.keys(EPOCH)
    overlap.work()  # the worker goes on, and finds nothing to do there
    for one in bundles(overlap, EPOCH):
        assert (one.state, one.wrapped) == ("ended", None)
        assert one.tokens_digest is one.links_digest is one.outputs_digest is None
        with pytest.raises(ArtefactRefused):
            overlap.artefacts.read(one.rows_digest)
    assert late in {one.id for one in bundles(overlap, EPOCH)}
    overlap.home.joinpath("epochs", EPOCH).mkdir()  # even were its folder made anew
    again = _late(overlap)
    assert again.status_code == 422
    assert "takes no uploads" in again.json()["detail"]
    assert NEXT in again.json()["detail"]
    assert server.call("union", "GET", f"/roster?epoch={EPOCH}").json()["chunks"] == []
    # What was promised stays true: the receipt of the deleted list verifies.
    overlap.server.publish()
    shown = server.call("union", "GET", f"/contributions/{ids['union']}").json()
    assert (shown["state"], shown["evidence"] is not None) == ("ended", True)
    _check(overlap, shown["evidence"], ids["union"])


def _late(season: Season) -> Any:
    """An upload made with another pepper's key: what counts is that the epoch is over."""
    season.dealt[EPOCH] = season.dealt[NEXT]
    return season.offer("union", EPOCH)[1]


def _check(season: Season, evidence: Any, bundle: str) -> None:
    checked = check(Evidence.from_json(evidence), POLICY)
    assert checked.facts["bundle"] == bundle


def test_the_log_says_opened_moved_ended_and_gone(overlap: Season) -> None:
    overlap.move()
    overlap.end()
    assert overlap.steps() == [
        ("opened", NEXT), ("moved", NEXT), ("ended", EPOCH), ("gone", EPOCH),
    ]  # fmt: skip


def test_ending_an_epoch_again_and_again_ends_it_once(overlap: Season) -> None:
    overlap.move()
    assert overlap.end() > 0
    assert overlap.end() == 0
    assert Counter(overlap.steps())["gone", EPOCH] == 1


@pytest.mark.parametrize("at", ["keys", "first", "later", "gone"])
def test_an_end_that_is_interrupted_anywhere_is_finished_by_the_next(
    overlap: Season, at: str
) -> None:
    wanted = secrets_of(overlap, EPOCH)
    overlap.move()
    broken = _Breaking(overlap, at)
    with pytest.raises(KeyboardInterrupt):
        broken.end()
    [state] = [one.state for one in overlap.units.run("look", epochs.listed) if one.id == EPOCH]
    assert state == "ended"
    # From the first commit on nothing of it is served, whatever is still on the disk.
    assert overlap.offer("parks", NEXT)[1].status_code == 202
    assert {one.wrapped for one in bundles(overlap, EPOCH)} == {None}
    match.run(overlap.bench)
    overlap.end()
    assert kinds_found(overlap.folder, wanted) == set()
    assert Counter(overlap.steps())["ended", EPOCH] == 1


class _Breaking:
    """Ends an epoch, and is killed at some instant."""

    def __init__(self, season: Season, at: str) -> None:
        self.season, self.at, self.deleted = season, at, 0

    def end(self) -> None:
        artefacts, whole = self.season.artefacts, self.season.artefacts.delete

        def delete(digest: str) -> None:
            if self.at == ("first" if not self.deleted else "later"):
                raise KeyboardInterrupt
            self.deleted += 1
            whole(digest)

        def keys(epoch: str) -> None:
            if self.at == "keys":
                raise KeyboardInterrupt

        artefacts.delete = delete  # type: ignore[method-assign]
        forget = {"forget_keys": keys} if self.at == "keys" else {}
        run = self.season.units.run

        def kill(name: str, work: Any) -> Any:
            if name == "epoch-gone" and self.at == "gone":
                raise KeyboardInterrupt
            return run(name, work)

        self.season.units.run = kill  # type: ignore[method-assign]
        try:
            self.season.end(**forget)
        finally:
            del artefacts.delete, self.season.units.run


def test_an_epoch_in_which_a_race_stands_does_not_end(overlap: Season) -> None:
    with pytest.raises(WrongState, match=RACE):
        overlap.end()
    overlap.move()
    overlap.end()
    with pytest.raises(WrongState):
        overlap.end(NEXT)
    with pytest.raises(Missing):
        overlap.end("2031-season")


def test_a_worker_that_was_at_it_leaves_nothing_behind(
    overlap: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end comes while tokens, links and a roster chunk are being made."""
    late = overlap.upload("union", EPOCH)
    overlap.server.publish()
    overlap.move()
    made: list[str] = []
    put = overlap.artefacts.put

    def ending(content: Any) -> str:
        digest = put(content)
        if not made:
            made.append(digest)
            overlap.end()
        return digest

    monkeypatch.setattr(overlap.artefacts, "put", ending)
    match._pepper_bundles(overlap.bench, EPOCH)
    assert made
    assert not overlap.artefacts.exists(made[0])
    assert overlap.units.run("look", lambda u: contributions.get(u, late)).tokens_digest is None


def test_ghosts_are_as_many_on_the_same_voters_under_other_locks(overlap: Season) -> None:
    drawn = [
        overlap.units.run("ghosts", lambda unit, epoch=e: roster.ghosts(unit, RACE, epoch))
        for e in (EPOCH, NEXT)
    ]
    assert drawn[0] is not None
    assert drawn[1] is not None
    # Were they drawn anew, two noisy sizes of one set would average to the true one.
    assert drawn[0].links_digest == drawn[1].links_digest
    assert drawn[0].rows_digest != drawn[1].rows_digest
    overlap.move()
    overlap.end()
    assert overlap.artefacts.exists(drawn[1].links_digest)
    assert not overlap.artefacts.exists(drawn[0].rows_digest)
    assert hashlib.sha256(overlap.artefacts.read(drawn[1].rows_digest)).hexdigest()
    assert (overlap.folder / DATABASE).exists()
