"""What `trellis custodian serve` does by itself while it answers."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from consortium.custodian import process

STEPS = ("follow", "ask", "rosters", "endings")


@pytest.mark.parametrize("failing", ["", *STEPS])
def test_each_turn_comes_whatever_became_of_the_others(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr(process, "AHEAD_SECONDS", 1 / 64)
    monkeypatch.setattr(process, "ROSTER_SECONDS", 1 / 32)
    done = {one: threading.Event() for one in (*STEPS, "secrets")}

    def step(name: str) -> Any:
        def work(*_: object) -> None:
            done[name].set()
            if name == failing:
                raise ValueError("of another custodian's making")

        return work

    custodian: Any = SimpleNamespace(
        anchors=SimpleNamespace(step=step("follow")),
        telling=SimpleNamespace(ask=step("ask")),
        pull_rosters=step("rosters"),
        hear_endings=step("endings"),
    )
    parts: Any = SimpleNamespace(
        wrapping=SimpleNamespace(keep_only=step("secrets")),
        ledger=SimpleNamespace(secrets=set),
    )
    with process._pulling(custodian, parts):
        assert all(one.wait(240) for one in done.values())
        for one in done.values():
            one.clear()
        assert all(one.wait(240) for one in done.values())  # and again
