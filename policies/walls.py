"""What the legal side of a race lets a partner's rows be written about."""

from policies.agreement import NONPARTISAN, Agreement
from policies.errors import WallCrossed


def may_carry(agreement: Agreement, partner: str, message_class: str) -> None:
    """Check that this partner's rows may be in a message of this class.

    Raises:
        WallCrossed: the class is outside the agreement, or a 501(c)(3)'s rows would enter
            anything but nonpartisan GOTV, registration or event mail.

    Source:
        11 CFR 109.21 (coordination): messages, plans and results do not cross. Ask counsel.
    """
    c3 = agreement.party(partner).tax_status == "501c3"
    if message_class not in agreement.message_classes:
        raise WallCrossed(agreement.wall)
    if c3 and (agreement.wall != "nonpartisan" or message_class not in NONPARTISAN):
        raise WallCrossed("nonpartisan")
