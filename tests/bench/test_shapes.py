"""Every bench yields whole rows at a tiny size; their figures are for `trellis bench` alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from consortium.cli import bench_log, bench_match, bench_send, bench_tokens
from consortium.cli.bench import FIELDS

# Deselected: a bench on a busy machine is slow even when it is small.
pytestmark = pytest.mark.soak

SMALL: Mapping[str, Callable[[], Sequence[Mapping[str, Any]]]] = {
    "tokens": lambda: bench_tokens.rows(count=4, rounds=1),
    "match": lambda: bench_match.rows(2000, 500, repeats=1),
    "log": lambda: bench_log.rows(batch=20, tree=512),
    "send": lambda: bench_send.rows(letters=3, rounds=2),
}
ROWS = {"tokens": 6, "match": 1, "log": 4, "send": 3}


@pytest.mark.parametrize("bench", sorted(SMALL))
def test_a_bench_measures_both_sides_of_every_row(bench: str) -> None:
    rows = SMALL[bench]()
    assert len(rows) == ROWS[bench]
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == set(FIELDS)
        assert row["ours"] > 0
        assert row["floor"] > 0
        assert row["goal"] >= 1
        assert row["unit"]
        assert math.isclose(row["ratio"], row["ours"] / row["floor"], rel_tol=0.3)
