"""Artefacts that nothing ever came to name: found, watched for days, then doomed like others.

An artefact is stored before the transaction that names it. A crash in between leaves bytes that no
withdrawal and no epoch's end finds, because both go by names. Whoever is about to name an artefact
has just put it, or put it again; so one goes only when it was seen without a name ``STRAY`` ago, is
without one now, and was not put since.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from consortium.store import texts
from consortium.store.artefacts import Artefacts
from consortium.store.doomed import doom, named
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units

STRAY = timedelta(days=3)
"""How long an artefact is watched: longer than a laptop's upload or any matching stays away."""
FRESH = timedelta(days=2)
"""How long after it was put an uploaded part may be named: well before it could be swept."""
SEEN = "strays"


def condemn(units: Units, artefacts: Artefacts) -> int:
    """Doom what has been without a name for long; ``doomed.sweep`` deletes it. Repeatable.

    When it was first seen without a name is kept in the database: one that was put back to a
    backup begins to watch anew, and what only the newer one named is safe for so long.

    Returns:
        How many artefacts were doomed.
    """
    artefacts.tidy(STRAY)
    there = sorted(artefacts.names())
    due = units.run("strays", lambda unit: _watch(unit, there))
    old = [digest for digest in due if not fresh(artefacts, digest, STRAY)]

    def record(unit: Unit) -> int:
        # Asked again in the transaction: what was named meanwhile stays.
        gone = {*old} - named(unit)
        doom(unit, gone)
        return len(gone)

    return units.run("strays-doomed", record) if old else 0


def fresh(artefacts: Artefacts, digest: str, within: timedelta = FRESH) -> bool:
    """Whether an artefact is there and was put so lately that no sweep can be after it."""
    age = artefacts.age(digest)
    return age is not None and age < within


def _watch(unit: Unit, there: Iterable[str]) -> list[str]:
    """Note what has no name and since when; those that have had none for ``STRAY``."""
    before = _seen(unit)
    strays = {*there} - named(unit)
    since = {digest: before.get(digest, unit.now) for digest in sorted(strays)}
    if since != before:
        told = {digest: at.isoformat() for digest, at in since.items()}
        texts.put(unit, SEEN, json.dumps(told))
    return [digest for digest, at in since.items() if unit.now - at >= STRAY]


def _seen(unit: Unit) -> dict[str, datetime]:
    try:
        kept = json.loads(texts.get(unit, SEEN))
    except Missing:
        return {}
    return {digest: datetime.fromisoformat(at) for digest, at in kept.items()}
