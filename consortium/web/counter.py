"""What every desk of the pages stands on: the process's state, and its units of work."""

from typing import Any

from consortium.store.unit import Units


class Counter:
    """Over the process whose state it is given. Nothing is decided here."""

    def __init__(self, state: Any) -> None:
        self._state = state

    @property
    def _units(self) -> Units:
        units: Units = self._state.units
        return units
