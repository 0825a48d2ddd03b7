"""Dummy entries, so that what the log shows does not tell how much happened in an interval."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom

from consortium.service.enter import Pen
from consortium.store.log import NOBODY, Promised
from provenance.canonical import openings_to_json
from provenance.entry import DUMMY, draft, parse
from provenance.merkle import leaf_hash

HOUR = timedelta(hours=1)
MOST_HOURS = 24
LATE = 1
OPEN_KINDS = ("key", "witness")
"""Opened to everybody, so a dummy of theirs would hide nothing."""


@dataclass(frozen=True, slots=True)
class Form:
    """All that the public sees of an entry besides its hour: type, and names of its fields."""

    kind: str
    names: frozenset[str]


def _form(kind: str, names: str) -> Form:
    return Form(kind, frozenset(("kind", *names.split())))


FORMS = (
    _form("agreement", "digest race"),
    _form(
        "roll",
        "attributes_digest epoch k outputs_digest roll rows_root size_class source_digest"
        " use_terms",
    ),
    _form("contribution", "bundle epoch outputs_digest partner root rows_digest size_class"),
    _form(
        "match",
        "bundle links_digest parameters parameters_digest roll roll_tokens_digest tokens_digest",
    ),
    _form("contribution", "chunk digest epoch root size"),
    _form("contribution", "by partner race stops why"),
    _form("ledger", "epoch rows whose"),
    _form("ledger", "ends sid whose"),
    _form("ledger", "head race spent"),
    _form("approval", "campaign digest"),
    _form("approval", "campaign digest root"),
    _form(
        "intent",
        "agreement campaign closes digest nonce opens places race root size_class sources subject",
    ),
    _form("ledger", "campaign digest root"),
    _form("sent", "campaign released"),
    _form("sent", "campaign letters"),
    _form("sent", "by campaign digest letters looked was"),
    _form("withdrawal", "bundle"),
    _form("withdrawal", "bundle rows"),
    _form("withdrawal", "bundle links_digest rows_digest tokens_digest"),
)
"""Every form whose contents are opened to few, each after those that it can rest on: within one
publication entries stand in this order, so that the order, too, tells nothing."""


@dataclass(frozen=True, slots=True)
class Cover:
    """How publications are covered.

    Attributes:
        seconds: between two publications, counted from 1970, so that a restart shifts none.
        least: entries of each form in each hour that a publication shows at least.
        pen: the operator's, who signs dummies: among its own entries even who knows its key finds
            none of them.
        random: mixes dummies among the others.
    """

    seconds: float
    least: int
    pen: Pen
    random: Random = field(default_factory=SystemRandom, repr=False)

    def until(self, now: datetime) -> datetime:
        """The end of the newest interval that is over."""
        return datetime.fromtimestamp(now.timestamp() // self.seconds * self.seconds, UTC)


def shown(said: int, least: int) -> int:
    """How many entries are shown for so many that were said: ``least``, or doublings of it."""
    if least == 0:
        return said
    while least < said:
        least *= 2
    return least


def hours(since: datetime | None, until: datetime, least: int) -> dict[datetime, int]:
    """The hours that entries of an interval have, and how many of each form each of them shows.

    The hour before is that of an entry which was signed before the interval and came in it.
    """
    last = _hour(until - timedelta(microseconds=1))
    first = max(_hour(since) if since else last, last - MOST_HOURS * HOUR)
    whole = range((last - first) // HOUR + 1)
    return {first - HOUR: min(LATE, least), **{first + n * HOUR: least for n in whole}}


def covered(said: Sequence[Promised], due: Mapping[datetime, int], cover: Cover) -> list[Promised]:
    """One publication: what was said, in its order within each form, and dummies among it.

    How many entries of which form and hour stand where depends on what was said only in forms
    that everybody may open, and where more was said than is covered.
    """
    groups: dict[tuple[int, datetime], list[Promised]] = {
        (place, hour): [] for place in range(len(FORMS)) for hour in due
    }
    first: list[Promised] = []
    last: list[Promised] = []
    for one in said:
        place, at = _place(one)
        if place is None:
            (first if one.kind in OPEN_KINDS else last).append(one)
        else:
            groups.setdefault((place, at), []).append(one)
    mixed: list[Promised] = []
    for (place, at), real in sorted(groups.items(), key=lambda each: each[0]):
        spare = shown(len(real), due.get(at, min(LATE, cover.least))) - len(real)
        mixed += _mixed(real, (dummy(FORMS[place], at, cover.pen) for _ in range(spare)), cover)
    return [*first, *mixed, *last]


def dummy(form: Form, at: datetime, pen: Pen) -> Promised:
    """An entry that says nothing."""
    made = draft(
        form.kind,
        at=at,
        actor=pen.public,
        facts={**dict.fromkeys(form.names), "kind": DUMMY},
        salt=pen.salt,
        sign=pen.sign,
    )
    openings = openings_to_json(made.openings)
    leaf = leaf_hash(made.entry).hex()
    return Promised(leaf, form.kind, NOBODY, made.entry, openings, None, at)


def _place(one: Promised) -> tuple[int | None, datetime]:
    read = parse(one.entry)
    form = Form(read.kind, frozenset(read.commitments))
    return (FORMS.index(form) if form in FORMS else None), read.at


def _mixed(real: Sequence[Promised], more: Iterable[Promised], cover: Cover) -> list[Promised]:
    dummies = list(more)
    total = len(real) + len(dummies)
    places = set(cover.random.sample(range(total), len(real)))
    ours, theirs = iter(real), iter(dummies)
    return [next(ours) if place in places else next(theirs) for place in range(total)]


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
