"""Each of three custodians is killed, as by kill -9, at every step of the protocol in turn.

No share is lost, no quota or open is gained by it, no letter is lost, and nothing in the log is
said twice. A sample here; `make soak` goes through every step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from consortium.cli.tokenise import evaluate_inputs
from consortium.release_client import ReleaseClient
from matching import group, locks, oprf
from matching.evaluation import BATCH
from matching.statement import Statement
from tests.fakes.campaign import make_agreement, make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH
from tests.fakes.three import IDS, KILLED, Seat, Three, three

ROWS = 5
PATIENCE = 400.0


# A ceremony, the shares dealt again, the end of an epoch

CEREMONY = ("ceremony", "--purpose", "match")
RESHARE = ("reshare", "--purpose", "match", "--to", "2")
DESTROY = ("destroy", "--epoch", EPOCH, "--even-current")


def together(world: Three, words: Sequence[str], die: Mapping[str, int]) -> set[str]:
    """Let all run a command; each ends at the step that ``die`` names for it, and begins again.

    Returns:
        Who was killed. How many steps one takes varies a little with who is there first.
    """
    runs = {one: seat.trellis(*words, die=die.get(one, 0)) for one, seat in world.seats.items()}
    until, killed = time.monotonic() + PATIENCE, set()
    while runs:
        assert time.monotonic() < until, runs
        for one, run in list(runs.items()):
            code = run.poll()
            if code == KILLED and one not in killed:
                run.communicate()
                killed.add(one)
                runs[one] = world.seats[one].trellis(*words)
            elif code is not None:
                _, said = run.communicate()
                assert code == 0, said
                del runs[one]
        time.sleep(0.01)
    return killed


def check_key(world: Three, version: int, *kinds: str) -> Statement:
    """One statement, everybody's own share of it, no polynomial left, nothing logged twice.

    Args:
        kinds: what the log holds of it, each kind once or once a custodian.

    Returns:
        The statement.
    """
    statements = []
    for one, seat in world.seats.items():
        with seat.ledger() as ledger:
            key = ledger.key("match", EPOCH)
            assert key is not None
            assert group.base(key.share) == key.statement.share(one)
            assert key.statement.version == version
            assert len(ledger.secrets()) == 1, "no polynomial and no older share is left"
            statements.append(key.statement)
    assert len({str(one.to_json()) for one in statements}) == 1
    said = [one["kind"]["value"] for one in world.log.openings.values()]
    # But for the blocks that each reserves as soon as it holds a share.
    blocks = ["block"] * said.count("block")
    assert sorted(said) == sorted([*(one for one in kinds if one != "block"), *blocks])
    return statements[0]


def live_and_die(
    world: Three,
    ceremony: Mapping[str, int],
    reshare: Mapping[str, int],
    destroy: Mapping[str, int],
    *,
    meanwhile: Callable[[Statement], None] = lambda _: None,
) -> dict[str, int]:
    """A key's whole life in three hands, each killed where it is said; the steps of each stage.

    Args:
        meanwhile: told the key's statement when its shares have been dealt twice.
    """
    together(world, CEREMONY, ceremony)
    made = check_key(world, 1, *["ceremony-commit"] * len(IDS), "statement")
    together(world, RESHARE, reshare)
    dealt = [one["kind"]["value"] for one in world.log.openings.values()]
    again = check_key(world, 2, *dealt)
    assert again.public == made.public, "nothing that was sealed is lost"
    assert dealt.count("statement") == 2
    meanwhile(again)
    together(world, DESTROY, destroy)
    for seat in world.seats.values():
        with seat.ledger() as ledger:
            assert ledger.key("match", EPOCH) is None
    said = [one["kind"]["value"] for one in world.log.openings.values()]
    assert said.count("destroyed") == len(IDS)
    return {
        stage: max(len(seat.steps(stage)) for seat in world.seats.values())
        for stage in ("ceremony", "reshare", "destroy")
    }


def run(seat: Seat, *words: str) -> tuple[int, str]:
    """Run a command to its end: its code, and all that it said."""
    process = seat.trellis(*words)
    out, said = process.communicate(timeout=PATIENCE)
    return process.returncode, (said + out).decode()


def test_a_key_lives_its_life_though_its_holders_are_killed(tmp_path: Path) -> None:
    def use(statement: Statement) -> None:
        ada, bob, again = world.until(lambda: evaluate(world, statement, [b"ada", b"bob", b"ada"]))
        assert ada == again != bob
        for seat in world.seats.values():
            code, said = run(seat, "status", "--json")
            spent = json.loads(said.splitlines()[-1])["spent"]
            assert (code, spent) in ((0, {}), (0, {"union": BATCH}))
            assert ("has used 1 of its" in said) is bool(spent)

    deaths = [
        {"ann": 4, "bea": 17, "cyd": 30},
        {"ann": 21, "bea": 9, "cyd": 33},
        {"ann": 1, "bea": 2, "cyd": 4},
    ]
    with three(tmp_path) as world:
        world.serve()
        code, said = run(world.seats["ann"], *CEREMONY, "--patience", "1")
        assert code == 3, "nobody else is there yet, and nothing is lost"
        assert "waiting for bea" in said
        live_and_die(world, *deaths, meanwhile=use)
        for seat in world.seats.values():
            assert (seat.home / "custodian.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.soak
def test_a_key_lives_its_life_wherever_its_holders_are_killed(tmp_path: Path) -> None:
    def through(step: int, stages: Mapping[str, int]) -> dict[str, int]:
        with three(tmp_path / str(step)) as world:
            world.serve()
            dying = [dict.fromkeys(IDS, step) if step <= last else {} for last in stages.values()]
            return live_and_die(world, *dying)

    whole = through(0, dict.fromkeys(("ceremony", "reshare", "destroy"), -1))
    for step in range(1, max(whole.values()) + 1):
        through(step, whole)


# Tokens, a release, a retirement, a stop


def answer_everything(world: Three, die: Mapping[str, int]) -> None:
    """Everything that custodians answer, asked as partner and mailer ask, until it is done."""
    match, seal = world.deal("match"), world.deal("seal")
    rows = make_rows(ROWS)
    entries = [locks.make_entry(EPOCH, secret, r) for secret, r in rows]
    put_roster(world, entries)  # type: ignore[arg-type]
    terms = make_agreement(  # type: ignore[call-overload]
        world,  # type: ignore[arg-type]
        caps={"letters_per_week": 1, "letters_per_race": 4, "opens_per_week": 1},
    )
    world.serve(die)
    tokens(world, match)
    with ReleaseClient(
        seal, world.addresses, mailer="mailer", sign=world.keys["mailer"].sign
    ) as mailer:
        points = [locks.shared_point(r, seal.commitments[0]) for _, r in rows]
        assert world.until(lambda: answers(world, mailer, "c1", entries, terms)) == points
        retire(world, rows[0][0])
        first = world.until(lambda: answers(world, mailer, "c1", entries, terms))
        assert first == [None, *points[1:]], "a retired row opens never again"
        again = world.refused(lambda: answers(world, mailer, "c2", entries[1:], terms))
        assert set(again) == {"opened-too-often"}
        stop(world, "c1")
        ended = world.refused(lambda: answers(world, mailer, "c1", entries, terms))
        assert set(ended) == {"stopped"}
    check_books(world)


def tokens(world: Three, statement: Statement) -> None:
    """The tokens that the whole key would have made, each paid for once."""
    inputs = [b"ada", b"bob"]
    made = world.until(lambda: evaluate(world, statement, inputs))
    assert made == oprf.finalise(
        inputs, oprf.evaluate(world.dealt["match"], oprf.hash_inputs(inputs))
    )


def evaluate(world: Three, statement: Statement, inputs: list[bytes]) -> list[bytes]:
    return evaluate_inputs(
        inputs,
        statement=statement,
        custodians=world.addresses,
        actor="union",
        sign=world.keys["union"].sign,
        batch="b1",
        state=world.folder / "state",
        state_key=b"k" * 32,
        workers=1,
    )


_made: dict[tuple[int, str], Any] = {}


def answers(
    world: Three, mailer: ReleaseClient, name: str, entries: Any, terms: bytes
) -> list[bytes | None]:
    """Open a campaign, or open it again, and ask for its points."""
    campaign = _made.get((id(world), name))
    if campaign is None:
        campaign = _made[id(world), name] = make_campaign(
            world, entries, name=name, agreement=terms
        )
    again = world.log.again
    evidence = {
        name: again(given) if isinstance(given, dict) else [again(one) for one in given]
        for name, given in campaign.evidence.items()
    }
    opened = mailer.open_release(replace(campaign.shown, evidence=evidence))
    return mailer.answers(opened, 0)


def told(world: Three, kind: str, body: Mapping[str, Any]) -> None:
    """Tell every custodian something, as a partner's tool does, until each has heard."""
    for one, seat in world.seats.items():

        def tell(one: str = one, url: str = seat.url) -> None:
            message = world.signed(kind, "union", one, body)
            httpx.post(f"{url}/{kind}", json=message, timeout=60).raise_for_status()

        world.until(tell)


def retire(world: Three, secret: bytes) -> None:
    told(world, "retire", {"secrets": [secret.hex()]})


def stop(world: Three, campaign: str) -> None:
    told(world, "stop", {"campaign": campaign})


def check_books(world: Three) -> None:
    """Nobody gained an evaluation or an open by a death, and nothing was forgotten."""
    spent, opens = [], []
    for seat in world.seats.values():
        with seat.ledger() as ledger:
            books = ledger.status()
        spent.append(books["spent"].get("union", 0))
        opens.append(books["opens"])
        assert books["retired"] == 1
        assert books["stopped"] == 1
    # One batch, paid for once with each custodian that was asked, and with two at least.
    assert set(spent) <= {0, BATCH}
    assert spent.count(BATCH) >= 2
    # Each row counted once with whoever opened the campaign, however often it was asked again.
    assert set(opens) <= {0, ROWS - 1, ROWS}
    assert opens.count(ROWS) >= 2


def answering_steps(folder: Path) -> dict[str, list[str]]:
    """The steps of each custodian while everything is asked and nobody is killed."""
    with three(folder) as world:
        answer_everything(world, {})
        return {one: seat.steps("serve") for one, seat in world.seats.items()}


def test_what_custodians_answer_stays_right_when_they_are_killed(tmp_path: Path) -> None:
    with three(tmp_path) as world:
        answer_everything(world, {"ann": 2, "bea": 3, "cyd": 1})
        assert [seat.deaths for seat in world.seats.values()] == [1, 1, 1]


@pytest.mark.soak
def test_what_custodians_answer_stays_right_wherever_they_are_killed(tmp_path: Path) -> None:
    whole = answering_steps(tmp_path / "whole")
    for step in range(1, max(map(len, whole.values())) + 1):
        die = {one: step for one, steps in whole.items() if step <= len(steps)}
        with three(tmp_path / str(step)) as world:
            answer_everything(world, die)
