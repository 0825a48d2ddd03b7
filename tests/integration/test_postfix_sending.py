"""A campaign through a real Postfix; what is in doubt is settled from Postfix's own log."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from consortium.clock import utc
from consortium.service.hand_over import SERVER_RESTS
from consortium.service.settle import LOOK_AGAIN, MOST_TRIES
from consortium.store import suppressions
from mailer.postfix import PostfixLog
from mailer.smtp import Server as Mta
from mailer.smtp import SmtpTransport
from mailer.transports import Outcome
from tests.fakes.post import Post, post
from tests.servers import Postfix, running_postfix, wait_until

__all__ = ["post"]


class Killed(BaseException):
    """As SIGKILL."""


class Dies(SmtpTransport):
    """Dies around its n-th letter, before or after Postfix took it."""

    def __init__(self, server: Mta, letter: int, *, taken: bool) -> None:
        super().__init__(server)
        self._left, self._taken = letter, taken

    def send(self, sender: str, recipient: str, message: bytes, **asked: Any) -> Outcome:
        self._left -= 1
        if self._left == 0 and not self._taken:
            raise Killed
        outcome = super().send(sender, recipient, message, **asked)
        if self._left == 0:
            raise Killed
        return outcome


def through(post: Post, postfix: Postfix, name: str, **other: Any) -> Any:
    server = Mta("127.0.0.1", postfix.port, tls="off", timeout=120)
    whole = {"transport": lambda: SmtpTransport(server), "doubts": PostfixLog(postfix.log)}
    return post.new_office(name, **{**whole, **other})


def addresses(letters: list[bytes]) -> Counter[str]:
    return Counter(
        line.partition(b": ")[2].strip().decode()
        for letter in letters
        for line in letter.split(b"\n")
        if line.startswith(b"Delivered-To: ")
    )


@pytest.mark.parametrize("taken", [False, True])
def test_after_a_death_postfix_own_log_says_what_it_took(
    post: Post, postfix: Postfix, taken: bool
) -> None:
    members = [(n, f"m{n}@example.net") for n in range(1, 21)] + [(99, "gone@example.net")]
    id = post.campaign("c1" if taken else "c2", post.bundle("union", 1, members))
    server = Mta("127.0.0.1", postfix.port, tls="off", timeout=120)
    first = through(post, postfix, "first", transport=lambda: Dies(server, 8, taken=taken))
    with pytest.raises(Killed):
        post.go(id, first)
    heir = through(post, postfix, "heir", dead=frozenset({"first"}))
    post.go(id, heir)
    post.later(seconds=31)
    known = 8 if taken else 7

    def settled() -> bool:
        # Postfix answers before its log has the line: what is in doubt is looked up again.
        post.go(id, heir)
        post.later(seconds=LOOK_AGAIN.total_seconds() + 1)
        states = post.states(id)
        return states["sent"] + states.get("failed", 0) >= known

    wait_until(settled, "the last letter's line", postfix.log)
    states = post.states(id)
    # By this office's own clock the log is of another day: it proves what was taken, and no more.
    assert states["sent"] + states.get("failed", 0) == known
    assert states["in_doubt"] == 21 - known
    arrived = addresses(postfix.wait_for(states["sent"]))
    assert sum(arrived.values()) == states["sent"]
    assert max(arrived.values()) == 1
    sent = {one.queue_id for one in post.letters(id) if one.state == "sent"}
    assert None not in sent
    assert len(sent) == states["sent"]


def test_a_campaign_through_postfix_reaches_everybody_but_the_dead_address(
    post: Post, postfix: Postfix
) -> None:
    members = [(n, f"p{n}@example.net") for n in range(1, 31)] + [(99, "gone.one@example.net")]
    began = utc()
    id = post.campaign("c3", post.bundle("union", 1, members))
    office = through(post, postfix, "whole")
    post.go(id, office)
    assert post.states(id) == {"sent": 30, "failed": 1}
    arrived = addresses(postfix.wait_for(30))
    assert arrived == Counter({f"p{n}@example.net": 1 for n in range(1, 31)})
    assert post.units.run("hard", lambda unit: suppressions.suppressions(unit, id, "hard")) == 1
    for one in post.letters(id):
        if one.state == "sent":
            assert one.queue_id
    assert not PostfixLog(postfix.log).complete_since(began + timedelta(days=1))


MORE_THAN_ANY_DISK = 10**18


def test_a_postfix_whose_disk_is_full_costs_no_letter_and_no_try(post: Post) -> None:
    members = [(n, f"f{n}@example.net") for n in range(20)]
    id = post.campaign("c4", post.bundle("union", 1, members))
    # It would make each answer wait a second, and write of its troubles to its postmaster.
    quietly = {"smtpd_error_sleep_time": "0", "notify_classes": ""}
    with running_postfix(queue_minfree=str(MORE_THAN_ANY_DISK), **quietly) as full:
        office = through(post, full, "full")

        def turn() -> dict[str, int]:
            post.go(id, office)
            post.later(seconds=SERVER_RESTS.total_seconds() + 1)
            return post.states(id)

        assert [turn() for _ in range(MOST_TRIES + 1)] == [{"pending": 20}] * (MOST_TRIES + 1)
        assert {one.attempt for one in post.letters(id)} == {0}
        assert "takes nothing from us (452)" in post.state(id).waiting_for
        assert "452 4.3.1" in full.log.read_text(), "it was its disk"
        assert full.letters() == []
        full.set(queue_minfree="0")
        wait_until(lambda: turn() == {"sent": 20}, "the letters to leave", full.log)
        arrived = addresses(full.wait_for(20))
        assert arrived == Counter(dict.fromkeys((address for _, address in members), 1))
    assert post.state(id).waiting_for == ""
    assert {one.attempt for one in post.letters(id)} == {1}
