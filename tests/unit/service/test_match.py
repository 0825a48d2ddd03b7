"""What a match run leaves behind, and what it must not."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consortium.service import freeze, ghosts, match, shred
from consortium.store import actors, campaigns, contributions, roster
from consortium.store.artefacts import artefacts
from consortium.store.unit import Unit, Units
from consortium.wiring import pen
from matching import bundle, engine
from matching.locks import RosterEntry, check_entry, retire_tag
from policies import disclosure
from tests.databases import NOON
from tests.fakes import seeds
from tests.fakes.actors import made
from tests.fakes.server import EPOCH, RACE, Server, body, some_rows


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


def bench_of(server: Server) -> match.Bench:
    return match.Bench(server.units, server.artefacts, None, None, server.clock)  # type: ignore[arg-type]


def voters(rows: Iterable[int], *, house: str = "State House 44") -> list[tuple[object, ...]]:
    """Voters of three precincts, told by the row's last digit."""
    return [(row, f"44-{row % 3}", house, "43600", "18-34", "0") for row in rows]


def standing(server: Server) -> dict[int, int]:
    """On which roll row each ghost stands now."""
    drawn = server.units.run("ghosts", lambda unit: roster.ghosts(unit, RACE, EPOCH))
    assert drawn is not None
    with server.artefacts.open(drawn.links_digest) as path:
        return {row: roll_row for row, roll_row, _ in bundle.read_links(path)}


def arrive(server: Server, rows: Iterable[int]) -> contributions.Roll:
    """A newer roll that is not ready yet."""
    id = server.enrol(voters(rows))

    def receive(unit: Unit) -> contributions.Roll:
        contributions.change_roll(unit, id, state="received")
        found = contributions.find_roll(unit, id)
        assert found is not None
        return found

    return server.units.run("receive", receive)


def test_ghosts_stand_on_the_newest_roll_and_no_newer_roll_loses_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosure, "ghosts", lambda *_, **__: 4)
    server.enrol(voters(range(1000, 1060)))
    server.enrol(voters(range(60)))
    bench = bench_of(server)
    match._draw_ghosts(bench, EPOCH)
    first = standing(server)
    assert len(first) == 4 * 3 * 2  # in three precincts, for each of two lists
    assert set(first.values()) <= set(range(60))
    drawn = server.units.run("ghosts", lambda unit: roster.ghosts(unit, RACE, EPOCH))
    assert drawn is not None

    gone = set(first.values()) - {first[0]}
    newer = arrive(server, (set(range(120)) - gone) | {first[0]})
    match._make_ready(bench, newer, "b" * 64)
    second = standing(server)
    assert set(second) == set(first)
    assert [second[row] % 3 for row in second] == [first[row] % 3 for row in first]
    assert not set(second.values()) & gone
    assert second[0] == first[0]
    moved = server.units.run("ghosts", lambda unit: roster.ghosts(unit, RACE, EPOCH))
    assert moved is not None
    assert moved.rows_digest == drawn.rows_digest  # the same key, and so the same locks
    assert not server.artefacts.exists(drawn.links_digest)
    with server.artefacts.open(newer.attributes_digest) as path:
        assert set(engine.precincts_of(path, [*second.values()])) == set(second.values())

    without = arrive(server, [row for row in range(120) if row % 3])  # a precinct is gone
    match._make_ready(bench, without, "b" * 64)
    third = standing(server)
    assert set(third) == set(first)
    assert all(row % 3 for row in third.values())

    late = replace(without, id="d0000000-0000-4000-8000-00000000000f", at=NOON, state="received")
    server.units.run("late", lambda unit: contributions.add_roll(unit, late))
    match._make_ready(bench, late, "b" * 64)  # an older one moves nothing
    assert standing(server) == third


def test_an_audience_is_not_fixed_before_there_are_ghosts(server: Server) -> None:
    server.enrol(voters(range(60)))
    waiting = seeds.campaign(race=RACE, state="approved")
    server.units.run("plant", lambda unit: campaigns.add(unit, waiting))
    freeze.freeze(bench_of(server), waiting.id)
    found = server.units.run("look", lambda unit: campaigns.get(unit, waiting.id))
    assert (found.state, found.waiting_for) == ("approved", freeze.NO_GHOSTS)


@pytest.mark.parametrize("rows", [100, 128])
def test_a_roster_chunk_is_as_long_as_size_classes_and_precincts_make_it(
    server: Server, rows: int
) -> None:
    bench = bench_of(server)
    upload = server.upload("union", rows=rows)
    new = seeds.contribution(
        "union",
        epoch=EPOCH,
        state="logged",
        rostered=False,
        header={"size_class": 128},
        rows_digest=server.artefacts.put(upload.rows),
    )
    server.units.run("logged", lambda unit: contributions.add(unit, new))
    said = roster_facts(server, bench)
    assert said == []  # without a voter file it waits: its ghosts come with it
    server.enrol(voters(range(1200)))
    match._draw_ghosts(bench, EPOCH)
    (said,) = roster_facts(server, bench)
    most = ghosts.at_most(3, 2)
    assert said["size"] == -(-(128 + most) // 1024) * 1024
    (chunk,) = server.units.run("chunks", lambda unit: roster.chunks(unit, EPOCH))
    entries = [RosterEntry.from_bytes(raw) for raw in pieces(server.artefacts.read(chunk.digest))]
    drawn = server.units.run("ghosts", lambda unit: roster.ghosts(unit, RACE, EPOCH))
    assert drawn is not None
    key = server.artefacts.read(drawn.rows_digest)
    tags = {one.tag for one in entries}
    assert len(tags) == len(entries)
    expected = {retire_tag(ghosts.secret(key, new.id, n)) for n in range(most + 128 - rows)}
    assert expected <= tags
    for one in [one for one in entries if one.tag in expected][:3]:
        check_entry(EPOCH, one)


def pieces(raw: bytes) -> list[bytes]:
    return [raw[n : n + 128] for n in range(0, len(raw), 128)]


def roster_facts(server: Server, bench: match.Bench) -> list[dict[str, object]]:
    """What one extension of the roster says in the log."""
    with pytest.MonkeyPatch.context() as patch:
        said: list[dict[str, object]] = []

        def write(unit: Unit, pen: object, kind: str, facts: dict[str, object], **_: object) -> str:
            said.append(facts)
            return "a" * 64

        patch.setattr(match.enter, "write", write)
        match._extend_roster(bench, EPOCH)
        return said


def test_sealed_outputs_live_until_they_are_peppered_and_a_row_that_left_meanwhile_has_no_token(
    server: Server, tmp_path: Path
) -> None:
    """From the upload to the run after it, with a withdrawal of one row in between."""
    server.sign_agreement()
    outputs = X25519PrivateKey.generate()
    keys = match.MatchKeys(b"p" * 32, outputs.private_bytes_raw(), b"t" * 32)
    ours = pen("operator", b"\x05" * 32)
    bench = match.Bench(server.units, server.artefacts, lambda _: keys, ours, server.clock)
    upload = server.upload("union")
    plain, sealed = tmp_path / "plain.parquet", tmp_path / "sealed"
    drawn = [(row, 255, secrets.token_bytes(64)) for row in range(100)]
    bundle.write_outputs(plain, drawn)
    bundle.seal_file(plain, sealed, outputs.public_key().public_bytes_raw(), upload.id.encode())
    upload.outputs = sealed.read_bytes()
    server.put_parts(upload)
    sent = server.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
    assert sent.status_code == 202
    digest = upload.header["outputs_digest"]

    tag = next(iter(some_rows(1, 1))).tag
    said = hashlib.sha256(bytes(32) + tag).hexdigest()
    gone = made("union", "withdrawal", kind="rows", bundle=upload.id, rows=said)
    left = server.call(
        "union",
        "POST",
        f"/contributions/{upload.id}/withdraw-rows",
        json=body(gone, salt=bytes(32).hex(), tags=[tag.hex()], leaves=["5" * 64]),
    )
    assert left.status_code == 202
    shred.run(bench)  # too early: its tokens cannot be taken apart while they are sealed
    assert server.artefacts.exists(digest)
    assert server.units.run("due", contributions.shredding) == [upload.id]

    server.publish()
    match._pepper_bundles(bench, EPOCH)
    match._shred_outputs(bench)
    assert not server.artefacts.exists(digest)
    shred.run(bench)
    one = server.units.run("look", lambda unit: contributions.get(unit, upload.id))
    assert (one.state, one.outputs_digest) == ("logged", None)
    assert one.tokens_digest is not None
    with server.artefacts.open(one.tokens_digest) as path:
        assert set(engine.address_tokens(path, keys.tokens)) == set(range(1, 100))
    assert server.units.run("due", contributions.shredding) == []
    kept = b"".join(p.read_bytes() for p in server.folder.rglob("*") if p.is_file() and p != plain)
    assert drawn[5][2] not in kept  # no output of the function itself stays, peppered or not
