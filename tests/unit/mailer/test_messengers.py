"""A letter goes in the name of the nearest messenger who has room, and keeps it."""

from collections import Counter

from mailer.messengers import Messenger, Reader, assign, choose

KEY = b"k" * 32
NEAR = Messenger("maria", "Maria", "12", "81004", 100)
SAME_ZIP = Messenger("joe", "Joe", "13", "81004", 100)
FAR = Messenger("li", "Li", "40", "81001", 100)


def reader(number: int, precinct: str = "12", zip_: str = "81004") -> Reader:
    return Reader(number.to_bytes(8, "big"), precinct, zip_)


def test_the_nearest_comes_first() -> None:
    everyone = [FAR, SAME_ZIP, NEAR]
    assert choose(KEY, reader(1), everyone, {}) == NEAR
    assert choose(KEY, reader(1), [FAR, SAME_ZIP], {}) == SAME_ZIP
    assert choose(KEY, reader(1, "40", ""), everyone, {}) == FAR
    assert choose(KEY, reader(1), [], {}) is None


def test_who_has_no_room_is_passed_over() -> None:
    assert choose(KEY, reader(1), [NEAR, FAR], {"maria": 100}) == FAR
    assert choose(KEY, reader(1), [NEAR], {"maria": 100}) is None


def test_unknown_places_are_near_to_nobody() -> None:
    blank = Messenger("x", "X", "", "", 1)
    assert choose(KEY, reader(1, "", ""), [blank, FAR], {}) in (blank, FAR)
    assert choose(KEY, reader(1, "", "81001"), [blank, FAR], {}) == FAR


def test_equally_near_messengers_share_and_each_reader_keeps_theirs() -> None:
    four = [Messenger(f"m{n}", f"M{n}", "12", "81004", 1000) for n in range(4)]
    first = {n: choose(KEY, reader(n), four, {}) for n in range(400)}
    assert min(Counter(one.id for one in first.values() if one).values()) > 60
    without = [one for one in four if one.id != "m2"]
    for number, one in first.items():
        if one is not None and one.id != "m2":
            assert choose(KEY, reader(number), without, {}) == one


def test_rooms_are_kept_and_neighbors_come_before_strangers() -> None:
    small = Messenger("maria", "Maria", "12", "81004", 3)
    readers = [reader(n, "40", "81001") for n in range(20)] + [reader(n) for n in (100, 101, 102)]
    chosen = assign(KEY, readers, [small])
    assert [one for one in chosen if one is not None] == [small] * 3
    assert chosen[20:] == [small] * 3


def test_the_order_of_the_list_decides_nothing() -> None:
    small = [Messenger(f"m{n}", f"M{n}", "12", "81004", 5) for n in range(3)]
    readers = [reader(n) for n in range(30)]
    there = dict(zip((r.id for r in readers), assign(KEY, readers, small), strict=True))
    back = readers[::-1]
    assert there == dict(zip((r.id for r in back), assign(KEY, back, small[::-1]), strict=True))
