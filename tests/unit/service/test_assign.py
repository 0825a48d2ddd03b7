"""Each letter is signed by the nearest with room, and by whom tells nothing of any list."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from email import message_from_bytes
from email.policy import default as email_policy
from typing import Any

import pytest

from consortium.service import agree, assign, lend, room
from consortium.service.errors import EntryMisfits, NotReady, WrongState
from consortium.store import messengers, neighbours
from consortium.store.messengers import Messenger
from matching.nearest import Chart
from policies.approvals import manifest_digest
from tests.fakes.post import MORNING, Post
from tests.fakes.server import RACE

TODAY = date(2026, 11, 21)
ROLL = range(1, 601)
"""Every voter of the roll; of the ZIP that ends in their number's last digit, 0 to 3."""


def zip_of(person: int) -> str:
    return f"4360{person % 4}"


def enrol(post: Post, people: Iterable[int] = ROLL) -> None:
    post.server.enrol(
        [(n, "44-1", "State House 44", zip_of(n), "18-34", "0") for n in people], "stella"
    )


def volunteer(post: Post, name: str, zip: str, daily: int = 0, *, yes: bool = True) -> str:
    """Somebody who was asked and confirmed; the token of their link."""
    one = Messenger(f"id-{name}", RACE, name, "Toledo", post.clock() if yes else None, None,
                    lend._hash(name), zip, "", daily)  # fmt: skip
    post.units.run("lend", lambda unit: messengers.add(unit, one))
    return name


def campaign(post: Post, id: str, *parts: Any, **other: Any) -> str:
    """A logged campaign whose letters are each signed by the nearest who confirmed by now."""
    post.campaign(id, *parts, **other)
    one = post.state(id)
    assert one.manifest is not None
    names = post.units.run("names", lambda unit: lend.everybody(unit, RACE))
    template = {**one.template, "messenger": names[0], "nearest": True}
    manifest = {
        **one.manifest,
        "messenger": names[0],
        "messengers": names,
        "sender": {
            source: {"from": f"{{messenger}} for {source.title()}", "domain": f"{source}.example"}
            for source in one.manifest["sources"]
        },
    }
    post.change(
        id, template=template, manifest=manifest, digest=manifest_digest(manifest), estimate=400
    )
    return id


def bundle(post: Post, number: int, people: Sequence[int], partner: str = "union") -> Any:
    """A list, whose people's places in the audience are the roll's."""
    return post.bundle(partner, number, [(n, f"{partner}{n}@example.net") for n in people])


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audience's file says of each person what the roll says."""
    import tests.fakes.post as fake

    real = fake.write_attributes
    monkeypatch.setattr(
        fake,
        "write_attributes",
        lambda path, rows: real(path, [(n, p, h, zip_of(n), a, v) for n, p, h, _, a, v in rows]),
    )


def signed(post: Post, id: str) -> dict[int, str]:
    return {one.person: one.messenger for one in post.letters(id)}


def froms(post: Post) -> dict[str, str]:
    """By recipient: the name in the From line, as it arrived."""
    found = {}
    for _, to, raw in post.mta.taken:
        line = str(message_from_bytes(raw, policy=email_policy)["From"])
        found[to] = line.split(" <")[0].strip('"')
    return found


def test_each_letter_carries_the_name_of_the_nearest_at_its_partners_domain(post: Post) -> None:
    enrol(post)
    for n in range(4):
        volunteer(post, f"M{n}", f"4360{n}")
    id = campaign(
        post, "c1", bundle(post, 1, range(1, 13)), bundle(post, 2, range(20, 28), "parks")
    )
    post.go(id)
    assert signed(post, id) == {n: f"id-M{n % 4}" for n in (*range(1, 13), *range(20, 28))}
    assert froms(post)["union5@example.net"] == "M1 for Union"
    assert froms(post)["parks22@example.net"] == "M2 for Parks"
    raw = next(raw for _, to, raw in post.mta.taken if to == "union5@example.net")
    assert b"news@union.example" in raw
    assert len(post.mta.to) == 20


def test_letters_are_serialised_once_for_each_partner_and_messenger(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailer import letter

    made: list[Any] = []
    prepare = letter.prepare
    monkeypatch.setattr(
        letter, "prepare", lambda *a, **k: (made.append(k["sender"]), prepare(*a, **k))[1]
    )
    enrol(post)
    for n in range(2):
        volunteer(post, f"M{n}", f"4360{n}")
    post.go(
        campaign(
            post, "c1", bundle(post, 1, range(1, 61)), bundle(post, 2, range(100, 160), "parks")
        )
    )
    assert len(post.mta.to) == 120
    assert len(made) == 4
    assert {(one.partner_id, one.messenger) for one in made} == {
        (partner, name) for partner in ("union", "parks") for name in ("M0", "M1")
    }


def test_who_has_no_room_leaves_readers_to_the_next_nearest_and_who_is_chosen_is_of_the_roll(
    post: Post,
) -> None:
    """400 letters are expected, 100 a ZIP; the near one may sign 7 x 0.7 x 10 = 49 of them."""
    enrol(post)
    volunteer(post, "Near", "43601", 10)
    volunteer(post, "Far", "43602")
    id = campaign(post, "c1", bundle(post, 1, [n for n in ROLL if zip_of(n) == "43601"]))
    post.office.chart = lambda: Chart({f"4360{n}": (41.0 + n / 10, -83.0) for n in range(4)})
    post.go(id)
    share = Counter(signed(post, id).values())
    assert 50 < share["id-Near"] < 100  # of 150 readers; expected 49 of 100
    assert share["id-Near"] + share["id-Far"] == 150


def test_nobody_signs_more_in_a_day_than_they_said_over_all_campaigns(post: Post) -> None:
    enrol(post)
    volunteer(post, "Ann", "43600", 6)
    everybody = range(1, 41)
    first = campaign(post, "c1", bundle(post, 1, everybody[:20]))
    second = campaign(post, "c2", bundle(post, 2, everybody[20:], "parks"))
    sent: list[int] = []
    for _ in range(6):
        before = len(post.mta.to)
        for _ in range(3):
            post.go(first)
            post.go(second)
            post.later(hours=1)
        sent.append(len(post.mta.to) - before)
        post.later(hours=21)
    assert max(sent) == 6
    assert sum(sent) > 18
    assert all(name.startswith("Ann for") for name in froms(post).values())


def test_the_same_person_keeps_their_messenger_all_race_long(post: Post) -> None:
    enrol(post)
    volunteer(post, "Far", "43602")
    window = {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-03T00:00:00Z"}
    people = range(1, 21)
    first = campaign(post, "c1", bundle(post, 1, people), template={"window": window})
    post.go(first)
    volunteer(post, "Near", "43601")  # and would be nearer to a quarter of them
    post.later(days=8)
    later = [*people, *range(21, 31)]
    second = campaign(post, "c2", bundle(post, 2, later), template={"window": window})
    post.change(second, estimate=900)
    post.go(second)
    assert set(signed(post, second).values()) == {"id-Far"}
    # Also who had no letter the first time: else the name would tell who had one.
    assert len(signed(post, second)) == 30


def test_who_takes_a_name_back_holds_their_own_letters_alone_and_those_go_to_the_next(
    post: Post,
) -> None:
    enrol(post)
    for n in range(4):
        volunteer(post, f"M{n}", f"4360{n}")
    id = campaign(post, "c1", bundle(post, 1, range(1, 41)))
    before: dict[str, str] = {}

    def take_back(_: str) -> None:
        if len(post.mta.taken) == 9:
            before.update({str(one.person): one.messenger for one in post.letters(id)})
            post.units.run("no", lambda unit: lend.refuse(unit, "M1", post.clock()))

    post.mta.before.append(take_back)
    post.go(id)
    early = {to for _, to, _ in post.mta.taken[:10]}
    assert len(set(post.mta.to)) == len(post.mta.to) == 40
    said = froms(post)
    assert all(said[to] != "M1 for Union" for _, to, _ in post.mta.taken[10:])
    theirs = [n for n in range(1, 41) if n % 4 == 1 and f"union{n}@example.net" not in early]
    assert theirs
    assert {said[f"union{n}@example.net"] for n in theirs} <= {
        "M0 for Union",
        "M2 for Union",
        "M3 for Union",
    }
    kept = {n: id_ for n, id_ in signed(post, id).items() if before[str(n)] != "id-M1"}
    assert kept == {n: before[str(n)] for n in kept}  # nobody else's messenger changed
    assert post.state(id).state != "paused"


def test_a_name_that_is_taken_back_at_the_last_moment_signs_nothing(post: Post) -> None:
    enrol(post)
    volunteer(post, "Ann", "43600")
    id = campaign(post, "c1", bundle(post, 1, range(1, 21)))
    post.mta.before.append(
        lambda _: (
            len(post.mta.taken) == 3
            and post.units.run("no", lambda unit: lend.refuse(unit, "Ann", post.clock()))
        )
    )
    post.go(id)
    assert len(post.mta.to) == 4
    held = post.state(id)
    assert (held.state, held.waiting_for) == ("paused", lend.TAKEN_BACK)
    post.change(id, state="sending", before_pause=None)  # whatever put it so
    with pytest.raises(NotReady, match="took their name back"):
        post.go(id)
    assert len(post.mta.to) == 4
    assert post.states(id) == {"sent": 4, "pending": 16}


@pytest.mark.parametrize("waits", [True, False])
def test_once_a_volunteer_is_told_that_their_name_is_back_no_letter_leaves_in_it(
    post: Post, waits: bool
) -> None:
    """One letter was looked at and is before its final dot; without the wait it would be late."""
    enrol(post)
    volunteer(post, "Ann", "43600")
    id = campaign(post, "c1", bundle(post, 1, range(1, 21)))
    told: list[int] = []

    def take_back() -> None:
        if waits:
            lend.refuse_and_wait(post.units, "Ann", post.clock())
        else:
            post.units.run("no", lambda unit: lend.refuse(unit, "Ann", post.clock()))
        told.append(len(post.mta.taken))

    asking = threading.Thread(target=take_back)

    def at_the_dot(_: str) -> None:
        if len(post.mta.taken) == 3:
            asking.start()
            while post.state(id).state != "paused":
                time.sleep(0.01)
            asking.join(0.0 if waits else None)

    post.mta.before.append(at_the_dot)
    post.go(id)
    asking.join()
    assert len(post.mta.taken) == 4
    assert told == [4 if waits else 3]


def test_with_nobody_left_to_sign_nothing_is_planned(post: Post) -> None:
    enrol(post)
    volunteer(post, "Ann", "43600")
    id = campaign(post, "c1", bundle(post, 1, range(1, 5)))
    post.units.run("no", lambda unit: lend.refuse(unit, "Ann", post.clock()))
    post.change(id, state="logged", before_pause=None)
    with pytest.raises(NotReady):
        post.go(id)
    assert post.letters(id) == []


def test_who_was_not_approved_signs_nothing_even_if_the_outbox_says_so(post: Post) -> None:
    enrol(post)
    volunteer(post, "Ann", "43600")
    id = campaign(post, "c1", bundle(post, 1, range(1, 5)))
    volunteer(post, "Eve", "43601")
    with pytest.raises(EntryMisfits):
        post.units.run("signs", lambda unit: assign.signs(unit, post.state(id), "id-Eve"))
    post.go(id)
    assert set(signed(post, id).values()) == {"id-Ann"}


@pytest.mark.parametrize("theirs", [range(0), range(1, 13), range(7, 207)])
def test_whatever_another_list_holds_my_letters_have_the_same_messenger_and_day(
    post: Post, theirs: range
) -> None:
    """Two worlds: nobody, my people, or many strangers are on the other list."""
    enrol(post)
    for n in range(4):
        volunteer(post, f"M{n}", f"4360{n}", 3)
    mine = range(1, 13)
    parts = [bundle(post, 1, mine)]
    parts += [bundle(post, 2, theirs, "parks")] if theirs else []
    post.custodians.broken = RuntimeError("nothing is opened here")
    id = campaign(post, "c1", *parts)
    with suppress(RuntimeError):  # on a day on which somebody's letter may leave
        post.go(id)
    seen = {one.person: (one.messenger, one.day) for one in post.letters(id)}
    assert {n: seen[n] for n in mine} == WORLD
    assert len(seen) == len({*mine, *theirs})


DAYS = (5, 1, 4, 2, 6, 1, 4, 5, 4, 3, 3, 4)
"""After today, of my people in order: drawn by the mailer's key of these tests."""
WORLD = {
    n: (f"id-M{n % 4}", TODAY + timedelta(days=after))
    for n, after in zip(range(1, 13), DAYS, strict=True)
}


def test_a_room_that_counted_real_letters_would_tell(post: Post) -> None:
    """The control: the second in line depends on how many are before, if those are counted."""

    def naive(letters: Sequence[int], limit: int) -> dict[int, str]:
        room: Counter[str] = Counter()
        found = {}
        for n in sorted(letters, key=lambda n: n * 7919 % 1009):
            id = next(f"id-M{k % 4}" for k in range(n, n + 4) if room[f"id-M{k % 4}"] < limit)
            room[id] += 1
            found[n] = id
        return found

    mine = range(1, 13)
    alone, among = naive(mine, 100), naive(range(1, 401), 100)
    assert {n: alone[n] for n in mine} == {n: among[n] for n in mine}
    crowded = naive([*range(1, 13), *range(13, 401, 4)], 50)
    assert {n: alone[n] for n in mine} != {n: crowded[n] for n in mine}


def test_the_campaign_with_one_named_messenger_keeps_to_their_day_and_limit(post: Post) -> None:
    volunteer(post, "Maria Trujillo", "43600", 4)
    id = post.campaign("c1", post.bundle("union", 1, [(n, f"m{n}@example.net") for n in range(9)]))
    post.go(id)
    assert len(post.mta.to) == 4
    post.later(days=1)
    post.go(id)
    assert len(post.mta.to) == 8
    assert set(signed(post, id).values()) == {"id-Maria Trujillo"}


def test_a_limit_is_a_number_of_letters_and_the_volunteer_sets_it(post: Post) -> None:
    volunteer(post, "Ann", "43600", 5, yes=False)
    post.units.run("yes", lambda unit: lend.confirm(unit, "Ann", post.clock(), 12))
    assert post.units.run("see", lambda unit: lend.show(unit, "Ann")).daily == 12
    for wrong in (-1, 10**6):
        with pytest.raises(WrongState, match="daily limit"):
            post.units.run("yes", lambda u, n=wrong: lend.confirm(u, "Ann", post.clock(), n))  # type: ignore[misc]


def test_limits_that_leave_no_room_are_said_with_the_noised_size_and_of_no_list(post: Post) -> None:
    enrol(post)
    volunteer(post, "Ann", "43600", 10)
    id = campaign(post, "c1", bundle(post, 1, range(1, 5)))
    terms = post.units.run("terms", lambda unit: agree.terms(unit, RACE))

    def said() -> list[tuple[str, bool]]:
        found = post.units.run("room", lambda unit: room.finding(unit, post.state(id), terms))
        return [(one.level, "about 49 letters in 7 days" in one.what) for one in found]

    post.change(id, estimate=50)
    assert said() == [("yellow", True)]
    post.change(id, estimate=49)
    assert said() == [("green", False)]
    post.change(id, estimate=None)  # a draft's size was not paid for
    assert said() == []
    post.change(id, estimate=50)
    post.units.run("more", lambda unit: lend.confirm(unit, "Ann", post.clock(), 0))
    assert said() == []


def test_what_was_settled_of_places_is_of_the_roll_and_names_no_person(post: Post) -> None:
    enrol(post)
    for n in range(4):
        volunteer(post, f"M{n}", f"4360{n}")
    post.go(campaign(post, "c1", bundle(post, 1, [1, 2])))
    found = post.units.run("all", lambda unit: neighbours.listed(unit, RACE))
    assert found == {(f"4360{n}", "44-1"): [(0, f"id-M{n}")] for n in range(4)}
    assert re.fullmatch(r"\d{5}", next(iter(found))[0])
    assert MORNING.date() == TODAY
