"""Ghosts: rows of nobody that blur, for each list by itself, how many people it has where.

Each list has its own number in every precinct, on voters drawn once for the race, and they come
and go with it: new locks when the list is sent anew, retired with its rows when it is withdrawn.
So a lock that leaves or stays never tells a ghost from a row, and what a custodian sees of a list
is its rows and its noise. Besides, each list's entries in the roster are filled up to its size
class and to the most ghosts there could be: a chunk's length says nothing more.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from consortium.service import agree
from consortium.service.errors import NotReady
from consortium.store import contributions, frames, races, roster
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from matching import group, locks
from matching.bundle import BundleRow
from matching.locks import RosterEntry
from policies import disclosure
from policies.authorise import Caller, require
from policies.disclosure import Below

LIST = 1 << 32
"""A ghost's number in a race: its list's place among the parties, times this, plus its own."""


def place(precincts: Mapping[str, Sequence[int]], lists: int, below: Below) -> dict[int, int]:
    """Draw every list's ghosts: number to roll row.

    Args:
        precincts: roll rows by precinct.
        lists: how many parties the race has.
        below: ``below(n)`` draws from 0 to n-1; in production from the operating system.
    """
    on: dict[int, int] = {}
    for at in range(lists):
        own = [
            rows[below(len(rows))]
            for _, rows in sorted(precincts.items())
            for _ in range(number(lists, below))
        ]
        on |= {at * LIST + n: row for n, row in enumerate(own)}
    return on


def number(lists: int, below: Below) -> int:
    """How many ghosts one of so many lists gets in one precinct."""
    return disclosure.ghosts(disclosure.GHOST_EPSILON, disclosure.GHOST_DELTA, below, lists=lists)


def at_most(precincts: int, lists: int) -> int:
    """The most ghosts that one of so many lists can have."""
    mean = disclosure.ghost_shift(disclosure.GHOST_EPSILON, disclosure.GHOST_DELTA, lists=lists)
    return precincts * 2 * mean


def of_list(on: Mapping[int, int], at: int) -> dict[int, int]:
    """One list's ghosts: their own numbers to roll rows."""
    return {n % LIST: row for n, row in on.items() if n // LIST == at}


def secret(key: bytes, bundle: str, n: int) -> bytes:
    """The row secret of a bundle's ghost or spare entry: revealing it retires that."""
    return hmac.digest(key, f"trellis/ghost-secret/v1|{bundle}|{n}".encode(), hashlib.sha256)


def entry(key: bytes, epoch: str, bundle: str, n: int) -> RosterEntry:
    """A bundle's ghost or spare as it stands in the roster; it opens what nobody ever sealed."""
    return locks.make_entry(epoch, secret(key, bundle, n), _scalar(key, bundle, n))


def row(key: bytes, bundle: str, n: int) -> BundleRow:
    """A bundle's ghost as an audience holds it: tag and lock."""
    tag = locks.retire_tag(secret(key, bundle, n))
    return BundleRow(n, tag, group.base(_scalar(key, bundle, n)), bytes(64), b"")


def _scalar(key: bytes, bundle: str, n: int) -> bytes:
    said = f"trellis/ghost-scalar/v1|{bundle}|{n}".encode()
    return group.reduce(hmac.digest(key, said, hashlib.sha512))


def secrets_of(units: Units, caller: Caller, id: str, artefacts: Artefacts) -> list[bytes]:
    """Secrets of a bundle's ghosts and spares, for its partner to retire them among its own rows.

    A partner that knows its own list's ghosts learns nothing of another's; custodians that see
    only its rows retired would know its ghosts for ever.

    Returns:
        One for each ghost that there could be, then as many as the size class: less its own rows,
        which only the partner knows so exactly, those are what stands in the roster for it.

    Raises:
        Missing: it is no bundle of the caller's.
        NotReady: there are none yet.
    """
    require(caller, "withdraw")

    def look(unit: Unit) -> tuple[roster.Ghosts, str, contributions.Contribution, int]:
        one = contributions.get(unit, id)
        if one.partner != caller.id:
            raise Missing(f"no contribution {id}")
        race = races.first(unit)
        drawn = roster.ghosts(unit, race.id, one.epoch)
        ready = contributions.rolls(unit, state="ready", epoch=one.epoch)
        if drawn is None or not ready:
            raise NotReady("this list has no ghosts yet")
        lists = len(agree.parties(unit, race.id))
        return drawn, ready[0].attributes_digest, one, lists

    drawn, attributes, one, lists = units.run("ghost-secrets", look)
    with artefacts.open(attributes) as path:
        slots = at_most(len(frames.precinct_rows(path)), lists)
    key = artefacts.read(drawn.rows_digest)
    return [secret(key, id, n) for n in range(slots + int(one.header["size_class"]))]
