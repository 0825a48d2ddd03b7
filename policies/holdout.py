"""Who is left out so that an effect can be measured."""

import hashlib
import hmac

MIN_MAILABLE = 20_000
"""Below this noisy count a holdout would cost letters and measure nothing."""


def held_out(household: int, *, race: str, key: bytes, share: float, noisy_mailable: int) -> bool:
    """Say whether a household is held out, the same in every campaign of the race.

    Whole households, because people talk at the kitchen table.

    Args:
        household: the steward's random id.
        race: the race's id; another race draws anew.
        key: at least 16 random bytes, the mailer's alone: nobody else can tell who is out.
        share: 0 to 0.5, from the agreement.
        noisy_mailable: the memoised noisy count of the race; below ``MIN_MAILABLE`` nobody is.
    """
    if len(key) < 16:
        raise ValueError("a holdout key has at least 16 bytes")
    if not 0 <= share <= 0.5:
        raise ValueError("a holdout share is from 0 to 0.5")
    if noisy_mailable < MIN_MAILABLE:
        return False
    text = b"trellis/holdout/v1\n" + race.encode() + b"\n" + str(household).encode()
    draw = int.from_bytes(hmac.digest(key, text, hashlib.sha256)[:8], "big")
    return draw < int(share * 2**64)
