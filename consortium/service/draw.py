"""Whom a campaign's letters are for: the mailer's keyed draw over the frozen audience.

It is asked when letters are chosen, and again when each is claimed: by then an outbox row may be
one that nobody planned. The draw is made anew each time, from the audience's own file and a key
that no other process has, and kept nowhere: no table tells who is held out, or who has which words.
"""

import hashlib

from consortium.service.post_office import PostOffice, Run
from consortium.store import campaigns, frames
from consortium.store.deliveries import Delivery
from mailer.arms import shares as arms_of
from policies import arms, holdout
from policies.agreement import Agreement

NOT_IN_IT = "not of this mailing"
"""Of a letter that the audience and the draw do not have; it does not say which of the two."""


def held_out(office: PostOffice, one: campaigns.Campaign, terms: Agreement, household: int) -> bool:
    """Whether a household is left out of every campaign of the race, to measure an effect."""
    return holdout.held_out(
        household,
        race=one.race,
        key=office.keys.choice,
        share=terms.holdout_share,
        noisy_mailable=one.estimate or 0,
    )


def has(run: Run, item: Delivery) -> bool:
    """Whether a letter is made of a row of the frozen audience, its person's, not held out."""
    home = _home(run.office, run.one, item)
    return home is not None and not held_out(run.office, run.one, run.terms, home)


def arm(office: PostOffice, one: campaigns.Campaign, terms: Agreement, item: Delivery) -> int:
    """Which arm of a campaign's letter somebody gets, from 0.

    A household has one where the agreement gives it one letter. Nothing keeps it: it is drawn anew
    for each try, and comes out the same.
    """
    shares = arms_of(one.template)
    if len(shares) == 1:
        return 0
    home = _home(office, one, item) if terms.once == "household" else None
    whole = home is not None and home >= 0  # who was taken out of the roll stands alone
    return arms.drawn(
        home if home is not None and whole else item.person,
        "household" if whole else "person",
        campaign=one.id,
        key=office.keys.choice,
        shares=shares,
    )


def _home(office: PostOffice, one: campaigns.Campaign, item: Delivery) -> int | None:
    """The household of the row that a letter says it is made of; None: there is no such row."""
    known = office.drawn.get(one.id)
    if known is None or known[0] != one.audience_digest:
        known = office.drawn[one.id] = (one.audience_digest or "", _homes(office, one))
    lock = bytes.fromhex(item.lock)
    return known[1].get(_about(lock, item.bundle, item.partner, item.row, item.person))


def _homes(office: PostOffice, one: campaigns.Campaign) -> dict[bytes, int]:
    """By a short digest of all that an outbox row could say wrongly; a hundred bytes a row."""
    assert one.audience_digest is not None
    with office.artefacts.open(one.audience_digest) as path:
        return {_about(*row[:5]): row[5] for row in frames.read_homes(path)}


def _about(lock: bytes, bundle: str, partner: str, row: int, person: int) -> bytes:
    said = lock + f"|{bundle}|{partner}|{row}|{person}".encode()
    return hashlib.blake2b(said, digest_size=16).digest()
