"""What every test shares: real servers, kept letters, and the minutes each area took."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.planted import planted
from tests.servers import (
    chromium_path,
    postfix,
    postfix_server,
    postgres_server,
    postgres_url,
    redis_server,
    redis_url,
    s3,
)

__all__ = [
    "chromium_path",
    "planted",
    "postfix",
    "postfix_server",
    "postgres_server",
    "postgres_url",
    "redis_server",
    "redis_url",
    "s3",
]

# No deadline: on a machine of two busy cores a slow example is a slow machine, not a fault. So is
# a strategy that draws slowly; and how much of its draws a filter drops is chance.
BUSY = (HealthCheck.too_slow, HealthCheck.filter_too_much)
settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=BUSY)
settings.register_profile(
    "house-ci", deadline=None, print_blob=True, database=None, suppress_health_check=BUSY
)
settings.load_profile("house-ci" if os.environ.get("CI") else "house")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--golden` writes what is kept instead of comparing with it."""
    parser.addoption("--golden", action="store_true", help="rewrite tests/golden; read the diff")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """Compare bytes with the kept file of this name, or keep them under ``make golden``."""

    def check(name: str, made: bytes) -> None:
        kept = GOLDEN / name
        if request.config.getoption("--golden"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(made)
            return
        assert kept.exists(), f"nothing is kept under {name}: make golden, and read the diff"
        assert made == kept.read_bytes(), f"{name} changed: make golden, and read the diff"

    return check


class Minutes:
    """Sums what setup, call and teardown took, by the folder under tests/."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.tests: dict[str, set[str]] = defaultdict(set)
        self.began = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of one test to its area."""
        parts = report.nodeid.split("::")[0].split("/")
        area = parts[1] if len(parts) > 2 else parts[-1]
        self.seconds[area] += report.duration
        self.tests[area].add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the areas, the slowest first."""
        if not self.seconds:
            return
        terminalreporter.section("minutes per area")
        for area, took in sorted(self.seconds.items(), key=lambda row: -row[1]):
            terminalreporter.write_line(
                f"{area:<14} {took / 60:6.2f} min  {len(self.tests[area]):5d} tests"
            )
        whole = sum(self.seconds.values())
        clock = (time.monotonic() - self.began) / 60
        terminalreporter.write_line(
            f"{'all':<14} {whole / 60:6.2f} min, in {clock:.2f} by the clock"
        )


def pytest_configure(config: pytest.Config) -> None:
    """Count the minutes of this run."""
    config.pluginmanager.register(Minutes(), "minutes")


TOGETHER = {
    "tests/browser/test_real_campaign.py": "one running demonstration",
    "tests/browser/test_real_letter.py": "one running demonstration",
    "tests/attack/test_canaries.py": "one whole path",
    "tests/integration/test_whole_path.py": "one whole path",
    "tests/crash/test_sending.py": "one rehearsal",
    "tests/integration/test_sending.py": "one rehearsal",
    "tests/integration/test_absent.py": "one installation",
    "tests/integration/test_bad_input.py": "one installation",
    "tests/integration/test_web_keys.py": "one installation",
}
"""Files whose tests share something that takes a minute to make; they stay in one process."""

LONGEST = (
    *TOGETHER,
    "tests/integration/test_whole_path_engines.py",
    "tests/attack/test_19_an_ended_epoch_opens_nothing.py",
    "tests/crash/test_postfix_kills.py",
    "tests/crash/test_three_custodians.py",
    "tests/contracts/test_tools.py",
)
"""Begun first, so that of three processes none is left with a long one at the end."""


LAST = "::test_last_of_all_"
"""Takes something away that the other tests of the same installation read."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the order as it was drawn, but begin with what takes longest; see LAST, too."""
    items.sort(key=lambda item: (item.nodeid.split("::")[0] not in LONGEST, LAST in item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where processes share a run, a file stays whole; so do files of one costly thing."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return TOGETHER.get(file, file)

    return Files(config, log)
