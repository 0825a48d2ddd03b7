"""Which statements of the custodians' keys stand in the log, and who says that a share is gone."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from consortium.store import actors, log, texts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from matching.crypto_errors import StatementRefused
from matching.endings import ending
from matching.lineage import Signed, lines
from matching.statement import PURPOSES

Found = tuple[str, Signed]
"""A statement and the leaf under which it is in the log."""


def lines_of(unit: Unit, epoch: str) -> dict[str, list[Found]]:
    """Per purpose the statements of an epoch's key, from its first version to its newest."""
    publics = {one.id: bytes.fromhex(one.public) for one in actors.everyone(unit, "custodian")}
    found: dict[str, list[Found]] = {purpose: [] for purpose in PURPOSES}
    for one, facts in _published(unit, "statement"):
        with suppress(StatementRefused):
            signed = Signed.from_facts(facts)
            if signed.statement.epoch == epoch and signed.statement.purpose in found:
                found[signed.statement.purpose].append((one.leaf, signed))
    return {purpose: _line(unit, each, publics) for purpose, each in found.items()}


def destructions_of(unit: Unit, epoch: str) -> list[str]:
    """Leaves of what custodians logged of destroying their shares of an epoch."""
    found = _published(unit, "destroyed")
    return [one.leaf for one, facts in found if facts.get("epoch") == epoch]


def endings(unit: Unit) -> list[str]:
    """Of every key in the log: who holds it, or who says that its share is destroyed."""
    publics = {one.id: bytes.fromhex(one.public) for one in actors.everyone(unit, "custodian")}
    gone = _published(unit, "destroyed")
    said = [(publics[one.actor], facts) for one, facts in gone if one.actor in publics]
    stated = [facts.get("statement") or {} for _, facts in _published(unit, "statement")]
    epochs = dict.fromkeys(str(one.get("epoch")) for one in stated)
    lines = [line for epoch in epochs for line in lines_of(unit, epoch).values() if line]
    return [ending(line[-1][1].statement, said, publics).words for line in lines]


def _published(unit: Unit, kind: str) -> Iterator[tuple[log.Promised, dict[str, Any]]]:
    for one in log.of_kind(unit, "key"):
        facts = {name: part["value"] for name, part in (one.openings or {}).items()}
        if one.index is not None and facts.get("kind") == kind:
            yield one, facts


def _line(unit: Unit, found: list[Found], publics: dict[str, bytes]) -> list[Found]:
    """The line whose holders the invite names: any one custodian can log a key of its own."""
    with suppress(Missing):
        invite = json.loads(texts.get(unit, "invite"))
        wanted = sorted(one["id"] for one in invite["custodians"]), invite["threshold"]
        made = lines([signed for _, signed in found], publics)
        ends = [(line, line[-1].statement) for line in made]
        agreed = [line for line, end in ends if (sorted(end.ids), end.threshold) == wanted]
        # While a resharing is under way the invite is ahead of the log: the widest line stands.
        line = max(agreed or made, key=lambda line: line[-1].statement.threshold, default=[])
        leaves = {id(signed): leaf for leaf, signed in found}
        return [(leaves[id(one)], one) for one in line]
    return []
