"""What was staged reads back as it was, or the batch fails; nothing else ends the writer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.checkpoint import Checkpoint
from provenance.errors import RecoveryRefused
from provenance.merkle import CompactRange, tree_root
from provenance.staging import grown, pack, reread, unpack
from provenance.tiles import TileReader

ENTRIES = [b"entry %d" % n for n in range(300)]
FILES = grown(TileReader(lambda _: None, 0), CompactRange(0, []), 0, ENTRIES)
AFTER = Checkpoint("log.example/prov", len(ENTRIES), tree_root(ENTRIES))
RAW = pack(FILES)


def test_what_was_staged_comes_back() -> None:
    assert unpack(RAW) == FILES
    assert reread(RAW, lambda _: None, 0, AFTER) == FILES


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_whatever_byte_the_disk_changed_is_an_error_of_the_disk(at: int, bits: int) -> None:
    other = bytearray(RAW)
    other[at] ^= bits
    with pytest.raises(OSError, match="staged"):
        reread(bytes(other), lambda _: None, 0, AFTER)


DAMAGED = (bytes(600), b"x", b"a 5\nab", b"tile/0/000 -1\n", b"a 1e3\n", RAW[:-1])


@pytest.mark.parametrize("raw", DAMAGED)
def test_a_damaged_staging_file_is_refused_in_words(raw: bytes) -> None:
    with pytest.raises(RecoveryRefused, match="staging file"):
        unpack(raw)
    with pytest.raises(OSError, match="staged"):
        reread(raw, lambda _: None, 0, AFTER)
