"""How a custodian's secrets stand on its disk: four kinds of wrapping behind one port.

The port is `consortium.custodian.keys.Wrapping`. A kind is chosen at `trellis custodian init` and
changed by `trellis custodian rewrap`; which one it is, and what it needs besides a secret, stands
in the custodian's own database beside what it wraps, so that both change in one transaction.
"""

from consortium.custodian.wrapping.asking import SECRETS, Ask, Asking, from_environment
from consortium.custodian.wrapping.kinds import KINDS, Wish
from consortium.custodian.wrapping.opening import (
    Opened,
    Shut,
    in_use,
    opened,
    protect,
    protected,
    rewrap,
)

__all__ = [
    "KINDS",
    "SECRETS",
    "Ask",
    "Asking",
    "Opened",
    "Shut",
    "Wish",
    "from_environment",
    "in_use",
    "opened",
    "protect",
    "protected",
    "rewrap",
]
