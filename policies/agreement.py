"""The document partners sign, parsed and checked."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import rfc8785

from policies.errors import AgreementRefused
from policies.strict import Strict, day, no_twins, pattern, text

VERSION = 1
PURPOSES = frozenset({"gotv", "registration", "event", "volunteer", "persuasion", "fundraising"})
FIELDS = frozenset({"email", "first_name", "language"})
TAX_STATUSES = frozenset({"501c3", "501c4", "pac", "party", "candidate", "union", "other"})
NONPARTISAN = frozenset({"gotv", "registration", "event"})
"""What the rows of a 501(c)(3) may be used for, and only behind the nonpartisan wall."""
WALLS = frozenset({"candidate", "independent", "nonpartisan"})

OPTIONAL: Mapping[str, Any] = {"candidates": (), "silence": None}
"""Keys that a document may leave out, and what it says then; it is written without them."""

_ID = re.compile(r"[a-z0-9-]{1,40}\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_HOST = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}(:\d{1,5})?\Z"
)
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z")
_LANGUAGE = re.compile(r"[a-z]{2,3}\Z")
_RULE = re.compile(r"(all|k of n)\Z")


@dataclass(frozen=True, slots=True)
class Race:
    """One contest; ``polls_close`` is UTC, ``time_zone`` an IANA name."""

    id: str
    name: str
    office: str
    state: str
    jurisdiction: str
    election_date: date
    polls_close: datetime
    time_zone: str


@dataclass(frozen=True, slots=True)
class Caps:
    """How often one person may be written to, and how often a custodian opens one row."""

    letters_per_week: int
    letters_per_race: int
    opens_per_week: int


@dataclass(frozen=True, slots=True)
class Approval:
    """``rule`` is "all" or "k of n"; ``k`` is the number needed under "k of n"."""

    rule: str
    k: int


@dataclass(frozen=True, slots=True)
class Silence:
    """Hours after which a partner's own tool may say yes to a letter of an approved programme."""

    hours: int
    rapid_hours: int


@dataclass(frozen=True, slots=True)
class Party:
    """A partner that signs; ``relation`` is what its people are to it, in its own words."""

    id: str
    name: str
    domain: str
    relation: str
    tax_status: str
    public: str


@dataclass(frozen=True, slots=True)
class Custodian:
    """Who holds a share; ``public`` is its Ed25519 key in hex."""

    id: str
    public: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the partners signed. Every key is described in docs/agreement.md."""

    version: int
    race: Race
    wall: str
    purposes: tuple[str, ...]
    message_classes: tuple[str, ...]
    fields: tuple[str, ...]
    opens: datetime
    closes: datetime
    blackout: tuple[date, ...]
    caps: Caps
    approval: Approval
    parties: tuple[Party, ...]
    custodians: tuple[Custodian, ...]
    threshold: int
    trust: str
    once: str
    size_class_max: int
    minimum_upload: int
    min_audience: int
    holdout_share: float
    from_name: str
    postal_address: str
    paid_for_by: str
    link_hosts: tuple[str, ...]
    retention_days: int
    quiet_hours: tuple[time, time]
    languages: tuple[str, ...]
    use_terms: Mapping[str, Any]
    log_opens: str
    candidates: tuple[str, ...] = ()
    silence: Silence | None = None

    @property
    def by_person(self) -> bool:
        """Whether letters, caps and stops are counted by person, over all lists and addresses."""
        return self.once != "address"

    @property
    def households(self) -> bool:
        """Whether the roll has to tell which of its rows are one household."""
        return self.holdout_share > 0 or self.once == "household"

    def party(self, id: str) -> Party:
        """Return one party; raises ``AgreementRefused`` when it did not sign."""
        for party in self.parties:
            if party.id == id:
                return party
        raise AgreementRefused("parties", "this partner is not a party")


def digest(document: bytes) -> str:
    """Return the SHA-256, in hex, of the exact bytes that partners sign."""
    return hashlib.sha256(document).hexdigest()


def parse(document: bytes) -> Agreement:
    """Read an agreement, refusing whatever the code could not obey.

    Args:
        document: UTF-8 JSON, one object, every key present and none besides.

    Raises:
        AgreementRefused: names the key, dotted, e.g. ``race.time_zone`` or ``parties.1.public``.
    """
    try:
        raw = json.loads(document.decode(), object_pairs_hook=no_twins)
    except (UnicodeDecodeError, ValueError, RecursionError) as refused:
        raise AgreementRefused("document", "is not one JSON object") from refused
    needed = [name for name in Agreement.__dataclass_fields__ if name not in OPTIONAL]
    at = Strict("", raw, needed, tuple(OPTIONAL))
    parties = _parties(at)
    agreement = Agreement(
        version=at.number("version", VERSION, VERSION),
        race=_race(at),
        wall=at.one_of("wall", WALLS),
        purposes=at.some_of("purposes", PURPOSES),
        message_classes=at.some_of("message_classes", PURPOSES),
        fields=at.some_of("fields", FIELDS),
        opens=at.moment("opens"),
        closes=at.moment("closes"),
        blackout=at.each("blackout", day),
        caps=_caps(at),
        approval=_approval(at, len(parties)),
        parties=parties,
        custodians=_custodians(at),
        threshold=at.number("threshold", 1, 100),
        trust=at.one_of("trust", frozenset({"threshold", "operator"})),
        once=at.one_of("once", frozenset({"person", "address", "household"})),
        size_class_max=at.number("size_class_max", 1, 2**24),
        minimum_upload=at.number("minimum_upload", 1, 1_000_000),
        min_audience=at.number("min_audience", 1, 1_000_000),
        holdout_share=at.share("holdout_share"),
        from_name=at.text("from_name", 120),
        postal_address=at.text("postal_address", 300),
        paid_for_by=at.text("paid_for_by", 300, empty=True),
        link_hosts=at.each("link_hosts", pattern(_HOST, "is not a lower-case host name")),
        retention_days=at.number("retention_days", 0, 3650),
        quiet_hours=_quiet(at),
        languages=at.each("languages", pattern(_LANGUAGE, "is not a language code such as en")),
        use_terms=_use_terms(at),
        log_opens=at.one_of("log_opens", frozenset({"after_polls", "never"})),
        candidates=_candidates(at),
        silence=_silence(at),
    )
    _check_whole(agreement)
    return agreement


def to_bytes(agreement: Agreement) -> bytes:
    """Return the canonical bytes (RFC 8785); ``parse`` gives the same agreement back."""
    document = asdict(agreement)
    for name, missing in OPTIONAL.items():
        if document[name] == missing:
            del document[name]
    return rfc8785.dumps(_plain(document))


def default(
    *,
    race: Mapping[str, str],
    parties: Sequence[Mapping[str, str]],
    custodians: Sequence[Mapping[str, str]],
    opens: datetime,
    closes: datetime,
    postal_address: str,
    paid_for_by: str = "",
    wall: str = "nonpartisan",
    threshold: int = 2,
    **others: Any,
) -> Agreement:
    """Build the default agreement: GOTV and events, one letter a week, five a race, all approve.

    Args:
        race: the keys of ``race``; dates as text, ``polls_close`` in UTC.
        parties: the keys of each party; ``tax_status`` may be left out ("other").
        custodians: ``id`` and ``public`` of each.
        opens: first moment at which a letter may leave, UTC.
        closes: last moment, UTC; must not be after the polls close.
        others: any other key of the document, to replace its default.

    Raises:
        AgreementRefused: as ``parse`` would.
    """
    document: dict[str, Any] = {
        "version": VERSION,
        "race": dict(race),
        "wall": wall,
        "purposes": ["gotv", "event"],
        "message_classes": ["gotv", "event"],
        "fields": ["email", "first_name", "language"],
        "opens": _moment_text(opens),
        "closes": _moment_text(closes),
        "blackout": [],
        "caps": {"letters_per_week": 1, "letters_per_race": 5, "opens_per_week": 2},
        "approval": {"rule": "all", "k": len(parties)},
        "parties": [{"tax_status": "other", **_only(p, Party)} for p in parties],
        "custodians": [_only(c, Custodian) for c in custodians],
        "threshold": threshold,
        "trust": "threshold",
        "once": "person",
        "size_class_max": 2**20,
        "minimum_upload": 100,
        "min_audience": 100,
        "holdout_share": 0.0,
        "from_name": "{messenger} for {partner}",
        "postal_address": postal_address,
        "paid_for_by": paid_for_by,
        "link_hosts": [],
        "retention_days": 30,
        "quiet_hours": ["20:00", "08:00"],
        "languages": ["en"],
        "use_terms": {"purposes": ["gotv", "event"], "fundraising": False, "resale": False},
        "log_opens": "after_polls",
    }
    return parse(rfc8785.dumps(_plain({**document, **others})))


def _race(at: Strict) -> Race:
    race = at.inner("race", tuple(Race.__dataclass_fields__))
    zone = race.text("time_zone", 60)
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        reason = "is not a time zone such as America/New_York"
        raise AgreementRefused("race.time_zone", reason) from None
    return Race(
        id=race.match("id", _ID, "is not 1-40 of a-z, 0-9, -"),
        name=race.text("name", 120),
        office=race.text("office", 120),
        state=race.text("state", 40),
        jurisdiction=race.text("jurisdiction", 120),
        election_date=day("race.election_date", race.raw["election_date"]),
        polls_close=race.moment("polls_close"),
        time_zone=zone,
    )


def _caps(at: Strict) -> Caps:
    caps = at.inner("caps", tuple(Caps.__dataclass_fields__))
    return Caps(**{name: caps.number(name, 1, 100) for name in Caps.__dataclass_fields__})


def _approval(at: Strict, count: int) -> Approval:
    approval = at.inner("approval", ("rule",), ("k",))
    rule = approval.match("rule", _RULE, 'is not "all" or "k of n"')
    if rule == "k of n" and "k" not in approval.raw:
        raise AgreementRefused("approval.k", "is missing")
    return Approval(rule, approval.number("k", 1, count) if "k" in approval.raw else count)


def _parties(at: Strict) -> tuple[Party, ...]:
    def read(where: str, value: Any) -> Party:
        party = Strict(where, value, tuple(Party.__dataclass_fields__))
        return Party(
            id=party.match("id", _ID, "is not 1-40 of a-z, 0-9, -"),
            name=party.text("name", 120),
            domain=party.match("domain", _HOST, "is not a lower-case domain"),
            relation=party.text("relation", 120),
            tax_status=party.one_of("tax_status", TAX_STATUSES),
            public=party.match("public", _HEX64, "is not a public key of 64 hex characters"),
        )

    parties = at.each("parties", read)
    _distinct("parties", parties)
    return parties


def _custodians(at: Strict) -> tuple[Custodian, ...]:
    def read(where: str, value: Any) -> Custodian:
        custodian = Strict(where, value, tuple(Custodian.__dataclass_fields__))
        return Custodian(
            id=custodian.match("id", _ID, "is not 1-40 of a-z, 0-9, -"),
            public=custodian.match("public", _HEX64, "is not a public key of 64 hex characters"),
        )

    custodians = at.each("custodians", read)
    _distinct("custodians", custodians)
    return custodians


def _candidates(at: Strict) -> tuple[str, ...]:
    if "candidates" not in at.raw:
        return ()
    names = at.each("candidates", lambda where, value: text(where, value, 120))
    if not names:
        raise AgreementRefused("candidates", "is empty: leave it out")
    return names


def _silence(at: Strict) -> Silence | None:
    if "silence" not in at.raw:
        return None
    read = at.inner("silence", ("hours", "rapid_hours"))
    hours = read.number("hours", 24, 336)
    return Silence(hours, read.number("rapid_hours", 6, hours))


def _distinct(name: str, found: Sequence[Party] | Sequence[Custodian]) -> None:
    if not found:
        raise AgreementRefused(name, "is empty")
    for part in ("id", "public"):
        if len({getattr(one, part) for one in found}) != len(found):
            raise AgreementRefused(name, f"two of them have one {part}")


def _quiet(at: Strict) -> tuple[time, time]:
    values = at.raw["quiet_hours"]
    if not isinstance(values, list) or len(values) != 2:
        raise AgreementRefused("quiet_hours", 'is not two times such as ["20:00", "08:00"]')
    read = pattern(_CLOCK, "is not a time such as 20:00")
    start, end = (time.fromisoformat(read("quiet_hours", value)) for value in values)
    return start, end


def _use_terms(at: Strict) -> Mapping[str, Any]:
    terms = at.inner(
        "use_terms",
        ("purposes", "fundraising", "resale"),
        ("expires", "custodian", "request_number"),
    )
    found: dict[str, Any] = {"purposes": list(terms.some_of("purposes", PURPOSES))}
    for name in ("fundraising", "resale"):
        if not isinstance(terms.raw[name], bool):
            raise AgreementRefused(terms.of(name), "is not true or false")
        found[name] = terms.raw[name]
    if found["resale"]:
        raise AgreementRefused("use_terms.resale", "a roll is never sold on")
    if "expires" in terms.raw:
        found["expires"] = day("use_terms.expires", terms.raw["expires"]).isoformat()
    for name in ("custodian", "request_number"):
        if name in terms.raw:
            found[name] = terms.text(name, 120)
    return found


def _check_whole(agreement: Agreement) -> None:
    """Refuse what is well written key by key and wrong as a whole."""
    a = agreement
    if not a.opens < a.closes:
        raise AgreementRefused("closes", "is not after opens")
    if a.closes > a.race.polls_close:
        raise AgreementRefused("closes", "is after the polls close")
    if a.threshold > len(a.custodians):
        raise AgreementRefused("threshold", "is more than there are custodians")
    if (a.threshold == 1) != (a.trust == "operator"):
        # One custodian, or one out of many, opens alone: partners must have signed those words.
        raise AgreementRefused("trust", 'is "operator" exactly when one custodian is enough')
    if "email" not in a.fields:
        raise AgreementRefused("fields", "has no email, so nothing could be sent")
    if "{partner}" not in a.from_name:
        raise AgreementRefused("from_name", "does not name {partner}")
    if set(re.findall(r"\{(\w*)\}", a.from_name)) - {"messenger", "partner"}:
        raise AgreementRefused("from_name", "may hold {messenger} and {partner} only")
    if not set(a.message_classes) <= set(a.purposes):
        raise AgreementRefused("message_classes", "go beyond the purposes")
    if not set(a.purposes) <= set(a.use_terms["purposes"]):
        raise AgreementRefused("use_terms.purposes", "the roll's terms do not allow every purpose")
    if "fundraising" in a.purposes and not a.use_terms["fundraising"]:
        raise AgreementRefused("use_terms.fundraising", "the roll may not be used for fundraising")
    if any(p.tax_status == "501c3" for p in a.parties) and (
        a.wall != "nonpartisan" or not set(a.purposes) <= NONPARTISAN
    ):
        raise AgreementRefused(
            "parties", "a 501(c)(3) joins nonpartisan GOTV and registration only"
        )
    if any(p.tax_status == "candidate" for p in a.parties) and a.wall != "candidate":
        raise AgreementRefused("wall", "a candidate's committee stands on the candidate side")


def _only(raw: Mapping[str, str], kind: type[Party] | type[Custodian]) -> dict[str, str]:
    return {name: raw[name] for name in kind.__dataclass_fields__ if name in raw}


def _moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return _moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.strftime("%H:%M")
    return value
