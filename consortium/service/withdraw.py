"""A person or a partner leaves; rows go, the log keeps only that it happened."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from consortium.service import enter
from consortium.service.errors import EntryMisfits, WrongState
from consortium.store import contributions, deliveries, doomed, leaving, log
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Conflict, Missing
from consortium.store.unit import Unit, Units
from matching.bundle import rows_of_tags
from policies.authorise import Caller, require
from provenance.rows import label_of
from provenance.withdrawn import list_label

MOST_ROWS = 10_000
"""Rows in one withdrawal; who takes back more takes back the list."""


def bundle(
    units: Units,
    caller: Caller,
    id: str,
    *,
    entry: bytes,
    openings: Mapping[str, Any],
    artefacts: Artefacts,
    now: datetime,
) -> str:
    """Take a bundle out: its wrapped key first, then its files; unsent letters are dropped.

    The wrapped key goes with the transaction, so from its commit on no row can be opened; a crash
    before the files are deleted leaves ciphertext without a key, and the next call or match run
    deletes them. What frozen audiences say of its rows goes with the next match run.

    Returns:
        The leaf hash, in hex, of the withdrawal's entry.
    """
    require(caller, "withdraw")
    leaf = units.run("withdraw", lambda unit: _gone(unit, caller, id, entry, openings, now))
    _tidy(units, artefacts)
    return leaf


def upload(
    units: Units,
    caller: Caller,
    signed: Mapping[str, tuple[bytes, Mapping[str, Any]]],
    *,
    artefacts: Artefacts,
    now: datetime,
) -> dict[str, str]:
    """Take out all bundles of one upload, in whichever epochs, in one transaction.

    Args:
        signed: by bundle, its withdrawal's entry and what opens that.

    Returns:
        The leaf hash of each bundle's entry, in hex.

    Raises:
        WrongState: one of its bundles, in another epoch, is not among them.
    """
    require(caller, "withdraw")

    def record(unit: Unit) -> dict[str, str]:
        found = contributions.listed(unit, partner=caller.id)
        for id in signed:
            left = contributions.twins(_own(unit, caller, id), found)
            if not {one.id for one in left} <= signed.keys():
                raise WrongState(
                    "this list is there for another epoch too: load the page again, and take "
                    "both back"
                )
        return {id: _gone(unit, caller, id, *signed[id], now) for id in signed}

    leaves = units.run("withdraw-upload", record)
    _tidy(units, artefacts)
    return leaves


def _gone(
    unit: Unit,
    caller: Caller,
    id: str,
    entry: bytes,
    openings: Mapping[str, Any],
    now: datetime,
) -> str:
    one = _own(unit, caller, id)
    said = enter.read(unit, entry, openings, now=now)
    enter.expect(said, "withdrawal", kind="bundle", bundle=id)
    enter.by(said, caller)
    leaf = enter.promise(unit, said, entry, openings, now=now)
    if one.state != "withdrawn":
        contributions.take_back(unit, id, [contributions.WHOLE])
        leaving.wait(unit, caller.id, _label(unit, one))
    gone = {"outputs_digest": None, "tokens_digest": None, "links_digest": None}
    contributions.change(unit, id, state="withdrawn", wrapped=None, wrapped_to=None, **gone)
    # After that nothing counts as naming them: also the rows part, whose name stays.
    doomed.doom(unit, (one.rows_digest, one.outputs_digest, one.tokens_digest, one.links_digest))
    deliveries.withdraw(unit, id)
    unit.after("shred")
    return leaf


def _label(unit: Unit, one: contributions.Contribution) -> list[bytes]:
    """Under which name the log says that the whole list left; none once its entry was shredded."""
    openings = log.find(unit, one.leaf).openings if log.promised(unit, one.leaf) else None
    root = (openings or {}).get("root")
    return [list_label(bytes.fromhex(root["value"]))] if root else []


def _tidy(units: Units, artefacts: Artefacts) -> None:
    doomed.sweep(units, artefacts)
    units.forget()


def rows(
    units: Units,
    caller: Caller,
    id: str,
    *,
    tags: Sequence[bytes],
    leaves: Sequence[bytes],
    salt: bytes,
    entry: bytes,
    openings: Mapping[str, Any],
    artefacts: Artefacts,
    now: datetime,
) -> str:
    """Take some rows out of a bundle: none of them is written to from this commit on.

    Everything that holds them gets a successor without them in the worker's process, which alone
    has the key of the tokens; the old files go then.

    Args:
        tags: of the rows, 32 bytes each.
        leaves: as many, 32 bytes each: what the labels come from under which the log will say
            that rows left; nobody has them who was only shown the rows. Which is which row's is
            not told.
        salt: 32 bytes; the entry holds ``rows_digest(salt, tags)``, so that whoever sees the
            entry opened cannot try tags against it. Kept by the partner alone.

    Returns:
        The leaf hash, in hex, of the withdrawal's entry.

    Raises:
        Missing: no such bundle of this partner's, or a tag that no row of it ever had.
        Conflict: the bundle was withdrawn whole.
        EntryMisfits: the entry says something else, or too many rows.
    """
    require(caller, "withdraw")
    if not 0 < len(set(tags)) == len(tags) <= MOST_ROWS:
        raise EntryMisfits(f"a withdrawal names 1 to {MOST_ROWS} rows, each once")
    if len(set(leaves)) != len(tags):
        raise EntryMisfits("a withdrawal has as many secrets of labels as rows, each once")
    one = units.read("withdraw-look", lambda unit: _own(unit, caller, id))
    if one.state == "withdrawn":
        raise Conflict(f"contribution {id} was withdrawn whole")
    with artefacts.open(one.rows_digest) as path:
        known = rows_of_tags(path, tags)

    def record(unit: Unit) -> str:
        said = enter.read(unit, entry, openings, now=now)
        enter.expect(said, "withdrawal", kind="rows", bundle=id, rows=rows_digest(salt, tags))
        enter.by(said, caller)
        if log.promised(unit, said.leaf):
            return said.leaf  # the same call again: its rows may be gone by now
        if len(known) != len(tags):
            raise Missing("the list has no row behind one of the tags")
        if _own(unit, caller, id).state == "withdrawn":
            raise Conflict(f"contribution {id} was withdrawn whole")
        if not contributions.taken_back(unit, id).isdisjoint(known.values()):
            raise Conflict("some of these rows are on their way out already")
        leaf = enter.promise(unit, said, entry, openings, now=now)
        contributions.take_back(unit, id, known.values())
        leaving.wait(unit, caller.id, sorted(map(label_of, leaves)))
        deliveries.withdraw(unit, id, set(known.values()))
        unit.after("shred")
        return leaf

    leaf = units.run("withdraw-rows", record)
    units.forget()
    return leaf


def rows_digest(salt: bytes, tags: Sequence[bytes]) -> str:
    """What an entry says of withdrawn rows: SHA-256, in hex, of the salt and the sorted tags."""
    return hashlib.sha256(salt + b"".join(sorted(tags))).hexdigest()


def _own(unit: Unit, caller: Caller, id: str) -> contributions.Contribution:
    one = contributions.get(unit, id)
    if one.partner != caller.id:
        raise Missing(f"no contribution {id}")
    return one
