"""A custodian that is not always on: uploads wait for its hours and say which, letters do not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.cli.tokenise import TooFewCustodians
from consortium.custodians import CustodianAddress
from consortium.hours import ALWAYS, Hours, read_hours
from matching.locks import make_entry
from tests.fakes.campaign import make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World, serving


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving(World(tmp_path)) as made:
        yield made


def closed_now(world: World) -> Hours:
    """Hours that begin three hours from now, every day."""
    begins = world.now + timedelta(hours=3)
    return read_hours(f"daily {begins:%H}:00-{begins:%H}:59")


def keep(world: World, hours: Hours, *ids: str) -> None:
    for id in ids:
        host = world.hosts[id]
        host.settings = replace(host.settings, hours=hours)
        host.custodian._settings = host.settings


def asked(world: World, id: str) -> int:
    """Batches that were charged by a custodian."""
    return sum(points for _, _, points in world.hosts[id].ledger.spent())


def test_the_invite_tells_whom_not_to_ask_now(world: World, tmp_path: Path) -> None:
    statement, hours = world.deal(), closed_now(world)
    keep(world, hours, "ann")
    told = [replace(one, hours=hours if one.id == "ann" else ALWAYS) for one in world.addresses]
    calls = list[str]()
    send = world.client.send
    world.client.send = lambda request, **more: (  # type: ignore[method-assign]
        calls.append(str(request.url)) or send(request, **more)  # type: ignore[func-returns-value]
    )
    assert len(world.tokens(statement, tmp_path / "told", custodians=told)) == 3
    assert not [url for url in calls if url.startswith(world.hosts["ann"].settings.url)]
    # An invite that is older than the hours costs one question, and the third is asked then.
    assert len(world.tokens(statement, tmp_path / "untold")) == 3
    assert [url for url in calls if url.startswith(world.hosts["ann"].settings.url)]
    assert asked(world, "ann") == 0


def test_too_few_that_are_on_say_when_to_come_back_and_nothing_is_lost(
    world: World, tmp_path: Path
) -> None:
    statement, hours = world.deal(), closed_now(world)
    keep(world, hours, "ann", "bea")
    with pytest.raises(TooFewCustodians) as caught:
        world.tokens(statement, tmp_path / "state")
    opens = f"{hours.opens(world.now):%a %d %b %Y %H:%M}"
    assert f"ann cannot now: it answers uploads {hours.said()}, next from {opens}" in str(
        caught.value
    )
    assert (asked(world, "ann"), asked(world, "bea")) == (0, 0)
    world.now = hours.opens(world.now)
    assert len(world.tokens(statement, tmp_path / "state")) == 3


def test_everybody_may_see_the_hours(world: World) -> None:
    hours = closed_now(world)
    keep(world, hours, "ann")
    shown = world.client.get(f"{world.hosts['ann'].settings.url}/status").json()
    assert (shown["hours"], shown["time_zone"], shown["open"]) == (hours.text, "UTC", False)
    assert shown["opens"] == hours.opens(world.now).isoformat()
    keep(world, ALWAYS, "ann")
    shown = world.client.get(f"{world.hosts['ann'].settings.url}/status").json()
    assert (shown["hours"], shown["open"]) == ("always", True)


def test_a_letter_waits_for_nobodys_hours(world: World) -> None:
    world.deal("seal")
    entries = [make_entry(EPOCH, secret, r) for secret, r in make_rows(3)]
    put_roster(world, entries)
    campaign = make_campaign(world, entries)
    keep(world, closed_now(world), "ann")
    opened = world.hosts["ann"].custodian.open_release(campaign.body(world, "ann"))
    assert opened["chunks"] == 1


@pytest.mark.parametrize("stated", [{"hours": "whenever"}, {"hours": 7, "time_zone": "Moon"}, {}])
def test_hours_in_an_invite_that_cannot_be_read_stop_nobody(stated: dict[str, Any]) -> None:
    one = CustodianAddress.of({"id": "c", "url": "http://c", "public": "00" * 32, **stated})
    assert one.hours == ALWAYS
