"""Colorado's layouts by name, for who writes them: EX-003 (voters) and EX-002 (voting history)."""

from __future__ import annotations

from matching.roll.layout import Layout, state

__all__ = ["EX_002", "HISTORY", "LAYOUTS", "MASTER"]


def _of(what: str) -> tuple[Layout, ...]:
    return tuple(layout for layout in state("CO").layouts if layout.what == what)


LAYOUTS = _of("voters")
MASTER = next(layout for layout in LAYOUTS if layout.name == "EX-003")
"""The 51 columns in use."""
HISTORY = _of("history")
EX_002 = HISTORY[0]
