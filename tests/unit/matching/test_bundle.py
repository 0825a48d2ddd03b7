"""A bundle's parts come back as they went in, and a stranger's part is checked to the byte."""

import os
from pathlib import Path

import duckdb
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from matching import bundle
from matching.atrest import lock_file, unlocked
from matching.bundle import BundleRow
from matching.errors import ArtefactRefused, BundleRefused

KEY = X25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
PRIVATE = KEY.private_bytes_raw()


def _rows(n: int) -> list[BundleRow]:
    return [
        BundleRow(i, os.urandom(32), os.urandom(32), os.urandom(64), bytes(100)) for i in range(n)
    ]


def test_rows_come_back_sorted(tmp_path: Path) -> None:
    rows, path = _rows(20), tmp_path / "rows"
    bundle.write_rows(path, reversed(rows))
    assert bundle.check_rows(path, rows=20, sealed_bytes=100) == 20
    assert list(bundle.read_rows(path)) == rows


@pytest.mark.parametrize(
    "change",
    [
        lambda r: [*r[:1], r[1]._replace(row=5), *r[2:]],
        lambda r: [*r[:1], r[1]._replace(row=0), *r[2:]],
        lambda r: [*r[:1], r[1]._replace(tag=r[0].tag), *r[2:]],
        lambda r: [*r[:1], r[1]._replace(lock=r[0].lock), *r[2:]],
        lambda r: [*r[:1], r[1]._replace(lock=b"short"), *r[2:]],
        lambda r: [*r[:1], r[1]._replace(proof=bytes(63)), *r[2:]],
        lambda r: [*r[:1], r[1]._replace(sealed=bytes(101)), *r[2:]],
        lambda r: r[:-1],
        lambda r: [],
    ],
)
def test_a_rows_part_that_breaks_a_rule_is_refused(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    bundle.write_rows(tmp_path / "rows", change(_rows(4)))
    with pytest.raises(BundleRefused):
        bundle.check_rows(tmp_path / "rows", rows=4, sealed_bytes=100)


def test_another_column_or_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not parquet")
    duckdb.sql("SELECT 1::BIGINT AS row, 'canary' AS email").write_parquet(str(tmp_path / "more"))
    for name in ("text", "more"):
        with pytest.raises(BundleRefused):
            bundle.check_rows(tmp_path / name)


def test_outputs_are_checked(tmp_path: Path) -> None:
    def check(
        triples: list[tuple[int, int, bytes]],
        address: bool = True,
        unique: bool = False,
        rows: int | None = None,
    ) -> int:
        path = tmp_path / "outputs"
        bundle.write_outputs(path, triples)
        return bundle.check_outputs(path, recipes=12, address=address, unique=unique, rows=rows)

    a, b = b"a" * 64, b"b" * 64
    assert check([(0, 0, a), (0, 255, b), (1, 255, a)]) == 2
    assert check([(0, 0, a), (1, 0, b)], address=False, unique=True) == 2
    for wrong in (
        [(0, 0, a)], [(0, 12, a), (0, 255, a)], [(0, 255, b"x")], [(0, 255, a), (0, 255, b)],
        [(0, 255, a), (0, 255, b), (1, 0, a)], [(0, 3, a), (0, 3, b), (0, 255, a)],
    ):  # fmt: skip
        with pytest.raises(BundleRefused):
            check(wrong)
    with pytest.raises(BundleRefused, match="decoys"):
        check([(0, 0, a), (1, 0, a)], address=False, unique=True)
    assert check([(0, 255, a), (1, 255, b)], rows=2) == 2
    for other in ([(0, 255, a)], [(0, 255, a), (2, 255, b)], [(-1, 255, a), (1, 255, b)], []):
        with pytest.raises(BundleRefused, match="rows part"):
            check(other, rows=2)


@pytest.mark.parametrize("size", [0, 1, 1000, 2000, 2001])
def test_a_sealed_file_opens_and_so_does_one_at_rest(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matching.bundle.FRAME", 1000)
    monkeypatch.setattr("matching.atrest.FRAME", 1000)
    plain, sealed, out = (tmp_path / name for name in ("plain", "sealed", "out"))
    plain.write_bytes(os.urandom(size))
    bundle.seal_file(plain, sealed, PUBLIC, b"info")
    bundle.open_file(sealed, out, PRIVATE, b"info")
    assert out.read_bytes() == plain.read_bytes()
    lock_file(plain, sealed, key=b"k" * 32)
    with unlocked(sealed, key=b"k" * 32) as opened:
        assert opened.read_bytes() == plain.read_bytes()
    assert not opened.exists()


def test_a_frame_changed_moved_or_cut_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matching.bundle.FRAME", 1000)
    monkeypatch.setattr("matching.atrest.FRAME", 1000)
    plain, sealed, out = (tmp_path / name for name in ("plain", "sealed", "out"))
    plain.write_bytes(os.urandom(3000))
    bundle.seal_file(plain, sealed, PUBLIC, b"info")
    good = sealed.read_bytes()
    frame = len(good) // 3
    one, two, three = good[:frame], good[frame : 2 * frame], good[2 * frame :]
    flipped = good[:50] + bytes([good[50] ^ 1]) + good[51:]
    wrong = [one + two, two + three, two + one + three, good[:-1], flipped, b"", good + one]
    for each in wrong:
        sealed.write_bytes(each)
        with pytest.raises(ArtefactRefused):
            bundle.open_file(sealed, out, PRIVATE, b"info")
        assert not out.exists()
    sealed.write_bytes(good)
    with pytest.raises(ArtefactRefused):
        bundle.open_file(sealed, out, PRIVATE, b"other")
    lock_file(plain, sealed, key=b"k" * 32)
    good = sealed.read_bytes()
    for each in (good[:-1016], good[:-1], good[:60] + bytes([good[60] ^ 1]) + good[61:], b"x"):
        sealed.write_bytes(each)
        with pytest.raises(ArtefactRefused), unlocked(sealed, key=b"k" * 32):
            pass


def test_size_classes() -> None:
    assert [bundle.size_class(n) for n in (1, 2, 3, 600, 1024, 1025)] == [1, 2, 4, 1024, 1024, 2048]
