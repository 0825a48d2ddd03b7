"""What each list system calls its columns and its statuses: data for ``columns``, no behaviour.

Headers here are folded as ``headers.fold_header`` does it: lower case, "_" and "-" as blanks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["FIELDS", "FLAGS", "LANGUAGES", "NOES", "STATUSES", "SYNONYMS", "SYSTEMS", "System"]

FIELDS = (
    "first", "middle", "last", "suffix", "full", "email", "phone", "birth", "address", "unit",
    "city", "state", "zip", "status", "language",
)  # fmt: skip
"""Everything that is ever taken from a partner's file; every other column stays where it is."""


@dataclass(frozen=True, slots=True)
class System:
    """One exporting system: how it is recognised, and what it calls things.

    ``signatures``: any of these headers is enough; one that ends in "*" is a beginning.
    ``columns``: field to headers, the first present wins; ``SYNONYMS`` fill what is not named.
    """

    slug: str
    name: str
    signatures: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SYSTEMS: tuple[System, ...] = (
    System(
        "action-network",
        "Action Network",
        ("can2 *",),
        {
            "phone": ("can2 phone", "phone", "phone number"),
            "address": ("can2 user address",),
            "city": ("can2 user city",),
            "state": ("can2 state abbreviated", "can2 user state"),
            "zip": ("zip code",),
            "status": ("can2 subscription status",),
            "language": ("can2 language", "language"),
        },
    ),
    System(
        "nationbuilder",
        "NationBuilder",
        ("nationbuilder id",),
        {
            "email": ("email", "email1"),
            "phone": ("phone number", "mobile number"),
            "address": ("primary address1", "registered address1", "address address1"),
            "unit": ("primary address2",),
            "city": ("primary city", "registered city"),
            "state": ("primary state", "registered state"),
            "zip": ("primary zip", "registered zip"),
            "birth": ("born at", "birthdate", "date of birth"),
            # email_opt_in, emailN_is_bad and do_not_contact are read beside it.
            "status": ("email opt in",),
        },
    ),
    System(
        "everyaction",
        "EveryAction / VAN",
        ("voter file vanid", "vanid", "myvoterfile vanid"),
        {
            "first": ("firstname", "first name"),
            "middle": ("middlename", "middle name"),
            "last": ("lastname", "last name"),
            "email": (
                "email",
                "preferredemail",
                "preferred email",
                "pref email",
                "personalemail",
                "personal email",
            ),
            "phone": ("pref phone", "preferred phone", "cell phone", "home phone"),
            "birth": ("dob", "date of birth"),
            "address": ("address", "vaddress", "address line 1", "maddress"),
            "unit": ("address line 2",),
            "zip": ("zip5", "mzip5", "zip"),
            "status": (
                "emailsubscriptionstatus",
                "email subscription status",
                "email opt in",
                "email status",
            ),
        },
    ),
    System(
        "mailchimp",
        "Mailchimp",
        ("leid", "euid"),
        {"email": ("email address",), "language": ("language",)},
    ),
    System(
        "salesforce",
        "Salesforce",
        ("npe01 *", "hasoptedoutofemail", "npsp *", "email opt out", "mailingpostalcode"),
        {
            # NPSP keeps the preferred one of a contact's addresses in Email.
            "email": ("email", "npe01 homeemail c", "npe01 workemail c", "npe01 alternateemail c"),
            "phone": ("mobilephone", "homephone", "phone"),
            "address": ("mailingstreet", "mailing street"),
            "city": ("mailingcity", "mailing city"),
            "state": ("mailingstate", "mailing state/province"),
            "zip": ("mailingpostalcode", "mailing zip/postal code"),
            "birth": ("birthdate",),
            "status": ("email status",),
        },
    ),
    System(
        "actionkit",
        "ActionKit",
        ("akid", "subscription status"),
        {
            "zip": ("zip", "postal"),
            "address": ("address1",),
            "unit": ("address2",),
            "status": ("subscription status",),
        },
    ),
    System("csv", "a CSV file", ()),
)

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "first": ("first name", "firstname", "first", "given name", "fname", "forename"),
    "middle": ("middle name", "middlename", "middle", "middle initial", "mname"),
    "last": ("last name", "lastname", "last", "surname", "family name", "lname"),
    "suffix": ("suffix", "name suffix", "generation"),
    "full": ("full name", "name", "contact name", "member name"),
    "email": ("email", "email address", "e mail", "e mail address", "mail", "emailaddress"),
    "phone": ("phone", "phone number", "mobile", "mobile phone", "cell", "cell phone",
              "telephone", "home phone"),
    "birth": ("date of birth", "dob", "birth date", "birthdate", "birthday", "birth year",
              "year of birth", "yob"),
    "address": ("address", "street address", "street", "address 1", "address1", "address line 1",
                "mailing address", "home address"),
    "unit": ("address 2", "address2", "address line 2", "apt", "unit", "apartment"),
    "city": ("city", "town"),
    "state": ("state", "region", "state abbreviated"),
    "zip": ("zip code", "zip", "zip5", "zipcode", "postal code", "postcode"),
    "status": ("email status", "subscription status", "status", "email opt in", "opt in",
               "subscribed", "email subscription status"),
    "language": ("language", "preferred language", "lang", "locale"),
}  # fmt: skip

FLAGS: Mapping[str, tuple[str, ...]] = {
    # columns that say no in any system, by anything in them but a word for "no"
    "blocked": ("do not email", "donotemail", "do not contact", "donotcontact", "is deceased",
                "isdeceased", "deceased", "npsp do not contact c", "npsp deceased c"),
    "unsubscribed": ("hasoptedoutofemail", "has opted out of email", "email opt out",
                     "emailoptout", "email optout", "email opted out", "opt out", "optout",
                     "opted out", "unsubscribed", "unsubscribe", "is unsubscribed",
                     "email unsubscribed", "unsubscribed at", "unsubscribed on", "unsubscribe date",
                     "unsubscribed date", "date unsubscribed", "opt out date", "no email",
                     "noemail"),
    "bounced": ("bounced", "email bounced", "hard bounced", "hard bounce", "is bounced",
                "bounced at", "invalid email", "bad email",
                "emailbouncedreason", "emailbounceddate", "email bounced reason",
                "email bounced date"),
}  # fmt: skip

STATUSES: Mapping[str, str] = {
    # what lists write (folded) -> the eight words used here
    "subscribed": "subscribed", "yes": "subscribed", "true": "subscribed", "1": "subscribed",
    "y": "subscribed", "t": "subscribed", "opted in": "subscribed",
    "opt in": "subscribed", "email opt in": "subscribed",
    "unsubscribed": "unsubscribed", "no": "unsubscribed", "false": "unsubscribed",
    "0": "unsubscribed", "n": "unsubscribed", "f": "unsubscribed", "opted out": "unsubscribed",
    "opt out": "unsubscribed", "unsub": "unsubscribed", "u": "unsubscribed",
    "bounced": "bounced", "bouncing": "bounced", "hard bounce": "bounced", "bad": "bounced",
    "previous bounce": "bounced",
    "invalid": "bounced",
    "cleaned": "cleaned",
    "blocked": "blocked", "suppressed": "blocked", "do not email": "blocked",
    "do not contact": "blocked",
    "never": "never", "never subscribed": "never", "not subscribed": "never",
    "non subscribed": "never", "nonsubscribed": "never",
    "spam complaint": "spam complaint", "spam": "spam complaint", "complaint": "spam complaint",
    "previous spam complaint": "spam complaint",
    "complained": "spam complaint", "abuse": "spam complaint",
}  # fmt: skip

NOES: Sequence[tuple[re.Pattern[str], str]] = tuple(
    # what a word that is not among them says no by, the strictest first
    (re.compile(rf"(?<![a-z])(?:{stems})"), word)
    for stems, word in (
        ("spam|complain|abuse", "spam complaint"),
        ("block|suppress|black ?list|bann?ed|do not|don t|dnc|dne|dead|deceas|died", "blocked"),
        ("bounc|invalid|undeliver", "bounced"),
        ("clean", "cleaned"),
        ("unsub|optout|out(?![a-z])|no(?![a-z])|not(?![a-z])|remov|delet|eras|"
         "declin|refus|reject|revok|withdr|archiv|stop|forget|forgotten", "unsubscribed"),
        ("never|non(?![a-z])|pending|unconfirm|transactional", "never"),
    )
)  # fmt: skip

LANGUAGES: Mapping[str, str] = {
    "english": "en", "spanish": "es", "espanol": "es", "espa ol": "es", "french": "fr",
    "chinese": "zh", "vietnamese": "vi", "korean": "ko", "russian": "ru", "arabic": "ar",
}  # fmt: skip
