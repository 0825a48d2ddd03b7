"""The locks pin everything by hash, agree with each other, and hold the build backend."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = (
    "requirements.lock", "requirements-dev.lock", "requirements-custodian.lock",
    "requirements-bench.lock",
)  # fmt: skip


def pins(lock: str) -> dict[str, str]:
    """Package -> version, as one lock has it."""
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_build_backend_is_pinned(lock: str) -> None:
    assert "setuptools" in pins(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_an_index(lock: str) -> None:
    assert not re.search(r"^(--|.*https?://)", (ROOT / lock).read_text(), re.MULTILINE)


def test_what_is_tested_is_what_is_shipped() -> None:
    product, dev, custodian = (pins(lock) for lock in LOCKS[:3])
    assert {name: dev.get(name) for name in product} == product
    assert {name: product.get(name) for name in custodian} == custodian


NOT_SHIPPED = {"dev", "spark"}
"""Extras that the product's lock leaves out: Spark alone is half a gigabyte, for whoever asks."""


def test_every_declared_dependency_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shipped, others = [*project["dependencies"]], []
    for extra, names in project["optional-dependencies"].items():
        (others if extra in NOT_SHIPPED else shipped).extend(names)
    assert _names(shipped) - set(pins("requirements.lock")) == set()
    assert _names(others) - set(pins("requirements-dev.lock")) == set()
    assert "pyspark" not in pins("requirements.lock")


def _names(wanted: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ]", line)[0].lower().replace("_", "-") for line in wanted}
