"""What the store refuses.

StoreRefused
├── Missing         nothing has that id
├── Conflict        that id names something else already
├── Unstorable      a value that no column can hold
├── Busy            the transaction lost against others too often
├── LeaseLost       somebody with a newer fence works on it now
└── ArtefactRefused an artefact could not be kept, or is not what its name says
"""


class StoreRefused(Exception):
    """The store refused; the message names no person."""


class Missing(StoreRefused):
    """Nothing has that id."""


class Conflict(StoreRefused):
    """That id names something else already."""


class Unstorable(StoreRefused):
    """A value that no column can hold: a NUL in a text, a number beyond 64 bits."""


class Busy(StoreRefused):
    """The transaction lost against others too often; try again."""


class LeaseLost(StoreRefused):
    """Somebody with a newer fence works on it now."""


class ArtefactRefused(StoreRefused):
    """An artefact could not be kept, or is not what its name says."""
