"""Kill -9 the mailer, or the mail server, in the middle of a real campaign, and start it again.

Nobody gets two letters, and nobody is lost: each chosen letter was taken once, or is listed as in
doubt for a person.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from tests.fakes.rehearsal import Rehearsal, rehearsal

__all__ = ["rehearsal"]

SOAK = 20


def kill_until_closed(
    here: Rehearsal, victim: str, start: Callable[[], None], kills: int, dice: random.Random
) -> None:
    """Kill the victim at random instants while letters leave; then let the campaign end."""
    for _ in range(kills):
        already = len(here.letters())
        more = already + dice.randint(1, 40)
        here.until(
            lambda more=more: len(here.letters()) >= more or here.state() == "closed",  # type: ignore[misc]
            "more letters",
        )
        here.kill(victim)
        start()
    here.until(lambda: here.state() == "closed", "the campaign to close")


def nobody_twice_and_nobody_lost(here: Rehearsal) -> None:
    taken, outbox = here.verps(), here.outbox()
    assert len(taken) == len(set(taken)), "a letter was taken twice"
    to = [one.to for one in here.letters()]
    assert len(to) == len(set(to)), "an address got two letters"
    assert set(taken) <= set(outbox)
    by_state: dict[str, set[str]] = {}
    for verp, (state, text) in outbox.items():
        assert state in ("sent", "in_doubt") or (state, text) == ("dropped", "second copy")
        by_state.setdefault(state, set()).add(verp)
    doubtful = by_state.get("in_doubt", set())
    assert by_state["sent"] <= set(taken)
    assert set(taken) - by_state["sent"] <= doubtful
    said = here.demo.cast.do(
        "operator", "doubt", "--home", here.demo.server, log=here.out / "doubt.log"
    )
    assert len(re.findall(r"^[0-9a-f]{32}  campaign", said, re.MULTILINE)) == len(doubtful)


def words(here: Rehearsal) -> str:
    """Everything that the mailer's and the server's processes printed."""
    logs = [*here.demo.mailer.glob("*.log"), *here.demo.server.glob("*.log")]
    return "".join(path.read_text(errors="replace") for path in logs)


def run(here: Rehearsal, victim: str, kills: int, seed: int) -> None:
    here.again(letters_per_second=60)
    here.start()
    here.start_mailer()
    start = {"mailer": here.start_mailer, "sink": here.start_sink}[victim]
    kill_until_closed(here, victim, start, kills, random.Random(seed))
    nobody_twice_and_nobody_lost(here)
    said = words(here)
    assert not [one.to for one in here.letters() if one.to in said]


def test_a_mailer_killed_in_mid_campaign_mails_nobody_twice_and_forgets_nobody(
    rehearsal: Rehearsal,
) -> None:
    run(rehearsal, "mailer", kills=3, seed=1)


def test_a_mail_server_killed_in_mid_campaign_gets_nothing_twice(rehearsal: Rehearsal) -> None:
    run(rehearsal, "sink", kills=3, seed=2)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SOAK))
@pytest.mark.parametrize("victim", ["mailer", "sink"])
def test_kills_at_many_instants(rehearsal: Rehearsal, victim: str, seed: int) -> None:
    run(rehearsal, victim, kills=2, seed=100 + seed)
