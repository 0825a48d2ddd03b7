"""Which words somebody gets of a letter that is written in several ways, to compare them."""

import hashlib
import hmac
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

MOST = 4
"""Arms of one campaign. Each needs an audience of its own size, so more would rarely pass."""
WHOLE = 100
"""The largest share of one arm, in whole parts."""

Who = Literal["person", "household"]


def drawn(id: int, who: Who = "person", *, campaign: str, key: bytes, shares: Sequence[int]) -> int:
    """Say which arm a person or a household has: one number, always the same for a campaign.

    The draw hangs on nothing else: not on a list, an address, a letter, another person or the
    order in which anybody is asked about. Another campaign draws anew.

    Args:
        id: of the person or of the household, as the roll has it.
        who: a household is drawn as one where the agreement gives it one letter.
        key: at least 16 random bytes, the mailer's alone: nobody else can tell an arm.
        shares: of each arm, in whole parts of their sum.

    Returns:
        The arm's number, from 0.

    Raises:
        ValueError: the key is too short, or the shares are not 1 to 4 whole numbers from 1 to 100.
    """
    if len(key) < 16:
        raise ValueError("a key of arms has at least 16 bytes")
    if not 1 <= len(shares) <= MOST or not all(1 <= share <= WHOLE for share in shares):
        raise ValueError(f"arms have 1 to {MOST} shares, each from 1 to {WHOLE}")
    text = b"trellis/arm/v1\n" + campaign.encode() + b"\n" + who.encode() + b"\n"
    made = hmac.digest(key, text + str(id).encode(), hashlib.sha256)
    place = int.from_bytes(made[:8], "big") * sum(shares) >> 64
    return next(arm for arm, end in enumerate(accumulate(shares)) if place < end)
