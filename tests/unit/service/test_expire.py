"""After the polls the links of letters end; whom we wrote to is forgotten, stops are not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from consortium.service import expire, hear_back
from consortium.store import deliveries, suppressions
from consortium.store.errors import Missing
from mailer import stops
from tests.fakes.post import Post
from tests.fakes.server import RACE


def test_links_end_and_keys_go_and_stops_stay(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "FORGET_AT_ONCE", 2)
    members = [(n, f"m{n}@example.net") for n in range(1, 6)]
    id = post.campaign("c1", post.bundle("union", 1, members))
    post.go(id)
    letter = post.sent_to("m1@example.net")
    token = stops.capability(post.office.keys.delivery, bytes.fromhex(letter.id)).token
    post.units.run("stop", lambda unit: hear_back.stop(unit, token, "race", post.clock()))

    end = post.units.read("end", lambda unit: expire.links_end(unit, RACE))
    assert end - post.clock() > expire.LEAST
    post.clock.now = end - timedelta(days=1)
    assert expire.forget(post.units, post.clock()) == 0
    assert all(one.stop_key for one in post.letters(id))

    post.clock.now = end
    assert expire.forget(post.units, post.clock()) == 5
    assert expire.forget(post.units, post.clock()) == 0
    assert not any(one.stop_key for one in post.letters(id))
    with pytest.raises(Missing):
        post.units.read("why", lambda unit: deliveries.by_capability(unit, token))
    key = stops.stop_key(post.office.keys.stop, "m1@example.net").hex()
    assert post.units.read("s", lambda unit: suppressions.suppressed(
        unit, race=RACE, partner="parks", epoch="another", stop_key=key, address_token=None,
        person=None,
    ))  # fmt: skip
    # A bounce that comes this late still finds its letter by its return path.
    assert (
        post.units.run(
            "bounce", lambda unit: hear_back.returned(unit, letter.id, "hard", post.clock())
        )
        == "suppressed"
    )
