"""A custodian that spoils the shares it releases keeps nobody's letter back, and is named.

Threat: docs/threat-model.md, one custodian. Released shares carry no proof, so that a release is
cheap; the row's own seal is the check. Real custodians answer over HTTP, one of them with a lie.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consortium.custodians import CustodianDown, CustodianLied, CustodianProblem, TooFewCustodians
from consortium.release_client import ReleaseClient
from matching import locks, released
from matching.crypto_errors import MessageRefused
from matching.locks import make_entry
from matching.statement import Statement
from tests.fakes.campaign import make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World, public, serving
from tests.fakes.liars import ABOUT_RELEASES, SHUTTING, SILENT_RELEASES, Court, corrupted


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One consortium for all lies: starting servers is most of what they cost."""
    with serving(World(tmp_path_factory.mktemp("hosts"))) as made:
        made.statement = made.deal("seal")  # type: ignore[attr-defined]
        made.court = Court(made, made.statement)  # type: ignore[attr-defined]
        yield made


class Mailer:
    """The mail machine, as far as releases go: it tries again without who was caught."""

    def __init__(self, world: World, folder: Path) -> None:
        self.statement: Statement = world.statement  # type: ignore[attr-defined]
        self.rows = make_rows(4)
        entries = [make_entry(EPOCH, *row) for row in self.rows]
        put_roster(world, entries, len(world.rosters.chunks))
        name = f"c{len(world.rosters.chunks)}"
        self.campaign = make_campaign(world, entries, name=name)
        self.wanted = [locks.shared_point(r, self.statement.public) for _, r in self.rows]
        self.named: dict[str, CustodianProblem] = {}
        self.client = ReleaseClient(
            self.statement,
            world.addresses,
            mailer="mailer",
            sign=world.keys["mailer"].sign,
            client=world.client,
            evidence=folder,
            key=world.court.key,  # type: ignore[attr-defined]
        )

    def open(self) -> list[bytes | None]:
        """Points under which every row opens; nothing when it goes on being spoiled."""
        for _ in range(3):
            opened, points = self.client.points(replace(self.campaign.shown, without=self.named))
            self.named |= opened.problems
            if points == self.wanted:
                return points
            try:  # a row does not open
                self.client.find_liar(opened, 0)
            except CustodianProblem as problem:
                self.named[problem.custodian] = problem
        return []


@pytest.fixture
def mailer(hosts: World, tmp_path: Path) -> Mailer:
    return Mailer(hosts, tmp_path)


@pytest.mark.parametrize("lie", ABOUT_RELEASES)
def test_a_spoiled_share_is_found_its_custodian_named_and_the_rows_still_open(
    hosts: World, mailer: Mailer, lie: str
) -> None:
    releasing, convicted = ABOUT_RELEASES[lie]
    with corrupted(hosts, "bea", releasing=releasing):
        assert mailer.open() == mailer.wanted
    assert set(mailer.named) == {"bea"}
    problem = mailer.named["bea"]
    assert isinstance(problem, CustodianLied if convicted else CustodianDown)
    if isinstance(problem, CustodianLied):
        assert problem.evidence is not None
        assert hosts.court.finds(problem.evidence) == ("guilty", "bea")  # type: ignore[attr-defined]
        nobody_is_framed(json.loads(problem.evidence.read_text()), hosts)


def nobody_is_framed(shown: dict[str, Any], world: World) -> None:
    """What the mailer adds convicts nobody: another's name, or answers that were never signed."""
    with pytest.raises(MessageRefused):
        released.judge({**shown, "custodian": "ann"}, public=public(world.keys["ann"]))
    shown["answered"][0]["answers"] = "ab" * (len(shown["locks"]) // 2)
    with pytest.raises(MessageRefused):
        released.judge(shown, public=public(world.keys["bea"]))


@pytest.mark.parametrize("lie", SILENT_RELEASES)
def test_a_custodian_that_falls_silent_after_opening_is_named_and_another_asked(
    hosts: World, mailer: Mailer, lie: str
) -> None:
    before = hosts.hosts["cyd"].ledger.status()["opens"]
    with corrupted(hosts, "bea", releasing=SILENT_RELEASES[lie]):
        assert mailer.open() == mailer.wanted
    assert set(mailer.named) == {"bea"}
    assert hosts.hosts["cyd"].ledger.status()["opens"] == before + len(mailer.rows)


def test_honest_custodians_are_named_for_nothing(hosts: World, mailer: Mailer) -> None:
    assert mailer.open() == mailer.wanted
    assert mailer.named == {}


def test_rows_that_one_custodian_alone_calls_retired_stay_shut_and_it_is_named(
    hosts: World, mailer: Mailer
) -> None:
    secrets = {"secrets": [mailer.rows[1][0].hex()]}
    for one in ("ann", "bea"):
        hosts.hosts[one].custodian.retire(hosts.signed("retire", "union", one, secrets))
    with corrupted(hosts, "bea", releasing=SHUTTING):
        opened, points = mailer.client.points(mailer.campaign.shown)
    assert points == [None, None, *mailer.wanted[2:]]
    assert mailer.client.shut(opened, 0) == {"bea": 1}  # row 1 was retired with both


def test_two_that_spoil_their_shares_are_both_named_and_nothing_opens(
    hosts: World, mailer: Mailer
) -> None:
    lie = ABOUT_RELEASES["one released share altered"][0]
    with (
        corrupted(hosts, "bea", releasing=lie),
        corrupted(hosts, "cyd", releasing=lie),
        pytest.raises(TooFewCustodians),
    ):
        mailer.open()
    assert set(mailer.named) == {"bea", "cyd"}


def test_an_honest_custodian_is_not_convicted_by_what_was_retired_meanwhile(
    hosts: World, mailer: Mailer, tmp_path: Path
) -> None:
    opened, points = mailer.client.points(mailer.campaign.shown)
    assert points == mailer.wanted
    secrets = {"secrets": [mailer.rows[2][0].hex()]}
    hosts.hosts["bea"].custodian.retire(hosts.signed("retire", "union", "bea", secrets))
    mailer.client.find_liar(opened, 0)
    assert list(tmp_path.glob("evidence*")) == []


def test_without_keeping_the_first_answer_the_right_proof_would_hide_the_wrong_share(
    hosts: World, mailer: Mailer
) -> None:
    """The lie works against a mailer that looks at proofs alone: the row would be given up."""
    lie = ABOUT_RELEASES["one share altered, and the right one proved when asked"][0]
    with corrupted(hosts, "bea", releasing=lie):
        opened, points = mailer.client.points(mailer.campaign.shown)
        assert points[0] != mailer.wanted[0]
        mailer.client.forget(opened.campaign)
        mailer.client.find_liar(opened, 0)  # everything that is proved is right
