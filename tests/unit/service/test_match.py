"""What a match run leaves behind, and what it must not."""

from pathlib import Path

import pytest

from consortium.service import match
from consortium.store import actors, contributions
from consortium.store.artefacts import artefacts
from consortium.store.unit import Unit, Units
from tests.databases import NOON


@pytest.mark.parametrize("gone", [False, True])
def test_sealed_outputs_are_named_until_they_are_gone(
    sqlite_units: Units, tmp_path: Path, gone: bool
) -> None:
    kept = artefacts(str(tmp_path / "artefacts"))
    sealed, tokens = kept.put(b"sealed outputs"), kept.put(b"tokens")
    roll = contributions.Roll(
        id="00000000-0000-4000-8000-000000000001",
        steward="stella",
        epoch="2026-season",
        state="ready",
        header={},
        attributes_digest="a" * 64,
        outputs_digest=sealed,
        tokens_digest=tokens,
        leaf="b" * 64,
        at=NOON,
    )

    def begin(unit: Unit) -> None:
        actors.add(unit, actors.Actor("stella", "steward", "Stella", "c" * 64))
        unit.session.flush()
        contributions.add_roll(unit, roll)

    sqlite_units.run("begin", begin)
    if gone:
        kept.delete(sealed)  # a crash came between the deletion and the note of it
    bench = match.Bench(sqlite_units, kept, None, None, lambda: NOON)  # type: ignore[arg-type]
    match._shred_outputs(bench)
    assert not kept.exists(sealed)
    assert kept.exists(tokens)
    found = sqlite_units.run("look", lambda unit: contributions.find_roll(unit, roll.id))
    assert found is not None
    assert found.outputs_digest is None
    match._shred_outputs(bench)  # again, and nothing is due
