"""Which legal side of a race somebody stands on: one side each, and nothing crosses."""

from collections.abc import Collection

from policies.agreement import NONPARTISAN, WALLS, Agreement
from policies.errors import WallCrossed


def stand(wall: str, already: Collection[str]) -> None:
    """Check that a partner or person may join this side.

    Args:
        wall: "candidate", "independent" or "nonpartisan".
        already: the sides of the same contest on which they stand now.

    Raises:
        WallCrossed: names the side on which they already stand.

    Source:
        11 CFR 109.21 (coordination): messages, plans and results do not cross. Ask counsel.
    """
    if wall not in WALLS:
        raise WallCrossed("an unknown")
    for side in sorted(already):
        if side != wall:
            raise WallCrossed(side)


def may_carry(agreement: Agreement, partner: str, message_class: str) -> None:
    """Check that this partner's rows may be in a message of this class.

    Raises:
        WallCrossed: the class is outside the agreement, or a 501(c)(3)'s rows would enter
            anything but nonpartisan GOTV, registration or event mail.
    """
    c3 = agreement.party(partner).tax_status == "501c3"
    if message_class not in agreement.message_classes:
        raise WallCrossed(agreement.wall)
    if c3 and (agreement.wall != "nonpartisan" or message_class not in NONPARTISAN):
        raise WallCrossed("nonpartisan")
