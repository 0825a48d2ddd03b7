"""What a custodian forgets is in none of its files: not the database, not -wal, not -shm."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.custodian.ledger import Key, Ledger
from matching import group
from tests.fakes.dealer import split

EACH = [os.urandom(32).hex() for _ in range(41)]  # long enough for pages of its own
SECRET = {"coefficients": EACH[1:], "hpke": EACH[0]}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "custodian.sqlite")
    yield made
    made.close()


def found(folder: Path) -> set[str]:
    """Which parts of the secret stand in any file, as text or as bytes."""
    blobs = [path.read_bytes() for path in folder.glob("custodian.sqlite*")]
    assert blobs
    return {
        one for one in EACH for blob in blobs if one.encode() in blob or bytes.fromhex(one) in blob
    }


def test_while_a_ceremony_runs_its_secret_is_on_the_disk(ledger: Ledger, tmp_path: Path) -> None:
    ledger.begin_ceremony("s", SECRET)
    assert found(tmp_path) == set(EACH)  # so that the tests below look in the right place


def test_a_finished_ceremony_leaves_no_byte_of_its_polynomial(
    ledger: Ledger, tmp_path: Path
) -> None:
    statement, shares = split(group.reduce(os.urandom(64)), threshold=2, ids=("ann", "bea"))
    other = Ledger(tmp_path / "custodian.sqlite")  # `serve`, beside `ceremony`
    try:
        ledger.begin_ceremony(statement.sid, SECRET)
        assert other.ceremony_secret(statement.sid) == SECRET
        ledger.add_key(Key(statement, {}, shares["ann"]))
        assert found(tmp_path) == set()
        assert other.ceremony_secret(statement.sid) is None
    finally:
        other.close()
    assert found(tmp_path) == set()


def test_an_aborted_ceremony_leaves_no_byte_of_its_polynomial(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.begin_ceremony("s", SECRET)
    ledger.abort_ceremony("s", "bea", "dealt falsely")
    assert found(tmp_path) == set()
    assert ledger.aborted("s") == ("bea", "dealt falsely")


def test_a_share_that_is_replaced_is_gone(ledger: Ledger, tmp_path: Path) -> None:
    old, kept = (
        Key(statement, {}, shares["ann"])
        for statement, shares in (
            split(group.reduce(os.urandom(64)), threshold=2, ids=("ann", "bea")) for _ in range(2)
        )
    )
    ledger.add_key(old)
    ledger.add_key(kept)
    blobs = b"".join(path.read_bytes() for path in tmp_path.glob("custodian.sqlite*"))
    assert old.share not in blobs
    assert kept.share in blobs


def test_what_a_crash_left_in_the_wal_is_gone_after_the_next_start(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.begin_ceremony("s", SECRET)
    monkeypatch.setattr(Ledger, "empty_wal", lambda _: None)  # power goes right after the commit
    ledger.abort_ceremony("s", "bea", "dealt falsely")
    assert found(tmp_path)
    monkeypatch.undo()
    Ledger(tmp_path / "custodian.sqlite").close()
    assert found(tmp_path) == set()


class Turned:
    """A wrapping that only has to be told from none: the label first, then every bit flipped."""

    def wrap(self, secret: bytes, label: bytes) -> bytes:
        return label + b"|" + bytes(byte ^ 0xFF for byte in secret)

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        assert wrapped.startswith(label + b"|")
        return bytes(byte ^ 0xFF for byte in wrapped[len(label) + 1 :])


def test_share_and_polynomial_stand_in_the_file_only_as_they_were_wrapped(tmp_path: Path) -> None:
    statement, shares = split(group.reduce(os.urandom(64)), threshold=2, ids=("ann", "bea"))
    ledger = Ledger(tmp_path / "custodian.sqlite", Turned())
    try:
        ledger.begin_ceremony("s", SECRET)
        ledger.add_key(Key(statement, {}, shares["ann"]))
        blobs = b"".join(path.read_bytes() for path in tmp_path.glob("custodian.sqlite*"))
        assert found(tmp_path) == set()
        assert shares["ann"] not in blobs
        assert ledger.ceremony_secret("s") == SECRET
        held = ledger.key_of(statement.sid)
        assert held is not None
        assert held.share == shares["ann"]
    finally:
        ledger.close()
