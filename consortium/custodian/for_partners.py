"""How a custodian stands, as far as one partner may know it.

A partner hears of itself what it used and what looks odd about it; of letters which were opened and
how they ended, which it knows already; of keys and the log what is no secret. How much others used,
how many rows were opened and how many withdrawn is said to nobody: it would tell of other lists.
"""

from datetime import datetime
from typing import Any

from consortium.custodian.standing import Account, Standing
from matching.evaluation import stamp

KIND = "standing-told"
_NONCE = 64


def for_partner(standing: Standing, partner: str, nonce: object, now: datetime) -> dict[str, Any]:
    """Return the body that a custodian signs for one partner.

    Args:
        nonce: the partner's, of at most 64 characters: no older answer passes for this one.
    """
    return {
        "custodian": standing.id,
        "partner": partner,
        "nonce": str(nonce)[:_NONCE],
        "at": stamp(now),
        "hours": standing.hours,
        "opens": stamp(standing.opens) if standing.opens else "",
        "shares": [
            {
                "purpose": one.purpose,
                "epoch": one.epoch,
                "version": one.version,
                "threshold": one.threshold,
                "holders": one.holders,
            }
            for one in standing.shares
        ],
        "over": [list(one) for one in standing.over],
        "accounts": [_account(one) for one in standing.accounts if one.actor == partner],
        "campaigns": [{"campaign": one.campaign, "state": one.state} for one in standing.campaigns],
        "log": {"entries": standing.entries, "seen": stamp(standing.seen) if standing.seen else ""},
        # What every partner should hear of: the log showed two faces, or these books were put back.
        "rewritten": bool(standing.splits or standing.forks),
        "put_back": standing.restored or standing.untold or bool(standing.doubts),
    }


def _account(one: Account) -> dict[str, Any]:
    return {
        "epoch": one.epoch,
        "used": one.used,
        "allowed": one.allowed,
        "uploads": one.uploads,
        "odd": list(one.odd),
    }
