"""Every bench yields whole rows at a tiny size; their figures are for `trellis bench` alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import pytest

from consortium.cli import bench_log, bench_match, bench_send, bench_tokens
from consortium.cli.bench import FIELDS, written

# Deselected: a bench on a busy machine is slow even when it is small.
pytestmark = pytest.mark.soak

SMALL: Mapping[str, Callable[[], Sequence[Mapping[str, Any]]]] = {
    "tokens": lambda: bench_tokens.rows(
        count=4, rounds=1, lists=((300, "hash"), (60, "custodians"))
    ),
    "match": lambda: bench_match.rows(4000, 800, repeats=1),
    "log": lambda: bench_log.rows(batches=((1, 2), (20, 2)), tree=600, checks=20),
    "send": lambda: bench_send.rows(letters=20, rounds=3),
}
ROWS = {"tokens": 10, "match": 8, "log": 7, "send": 6}


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


def test_a_page_gets_the_new_figures_between_its_marks_and_keeps_the_rest() -> None:
    page = "# Numbers\n<!-- bench log -->\nold\n<!-- end log -->\nAfter\n"
    row = {"name": "one", "ours": 3.0, "floor": 2.0, "ratio": 1.5, "goal": 2, "unit": "us"}
    now = datetime(2026, 11, 21, tzinfo=UTC)
    new = written(page, "log", [row], now)
    assert new.startswith("# Numbers\n<!-- bench log -->\n`trellis bench log --json`, 2026-11-21")
    assert "| one | 3 | 2 | us | **1.50** | 2 |" in new
    assert "old" not in new
    assert new.endswith("<!-- end log -->\nAfter\n")
    assert written(new, "log", [row], now) == new
    with pytest.raises(click.ClickException, match="lacks"):
        written("# Numbers\n", "log", [row], now)
