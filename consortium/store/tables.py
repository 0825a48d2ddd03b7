"""ORM rows, names ending in Row. Private to the store."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Instant(TypeDecorator[datetime]):
    """A moment in UTC; SQLite drops zones, so they are put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


class Base(DeclarativeBase):
    """All tables of the service."""

    type_annotation_map = {  # noqa: RUF012
        datetime: Instant,
        bytes: LargeBinary,
        dict[str, Any]: JSON,
        list[str]: JSON,
    }


Serial = BigInteger().with_variant(Integer, "sqlite")


class ActorRow(Base):
    """Somebody whose signature counts."""

    __tablename__ = "actors"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    role: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(200))
    public: Mapped[str] = mapped_column(String(64), unique=True)


class BrowserKeyRow(Base):
    """A partner's signing key held by a browser, vouched for by the partner's own tool."""

    __tablename__ = "browser_keys"
    public: Mapped[str] = mapped_column(String(64), primary_key=True)
    actor: Mapped[str] = mapped_column(ForeignKey("actors.id"))
    code: Mapped[str] = mapped_column(String(40), unique=True)
    signature: Mapped[str | None] = mapped_column(String(128))
    at: Mapped[datetime]


class SignInRow(Base):
    """A one-time link; only its hash is kept."""

    __tablename__ = "sign_ins"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    actor: Mapped[str] = mapped_column(ForeignKey("actors.id"))
    expires: Mapped[datetime]
    used: Mapped[datetime | None]


class SessionRow(Base):
    """A signed-in browser; only the cookie's hash is kept."""

    __tablename__ = "sessions"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    actor: Mapped[str] = mapped_column(ForeignKey("actors.id"))
    csrf: Mapped[str] = mapped_column(String(64))
    expires: Mapped[datetime]


class SpentTokenRow(Base):
    """A JWT id seen already, until it expires."""

    __tablename__ = "spent_tokens"
    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires: Mapped[datetime] = mapped_column(index=True)


class EpochRow(Base):
    """The life of one set of keys: those for tokens, those for locks, the pepper."""

    __tablename__ = "epochs"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[str] = mapped_column(String(8))  # open | ended | gone
    opened: Mapped[datetime]
    ended: Mapped[datetime | None]


class RaceRow(Base):
    """One race and the exact bytes of the agreement under which it runs."""

    __tablename__ = "races"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    epoch: Mapped[str] = mapped_column(String(40))
    agreement: Mapped[bytes]
    digest: Mapped[str] = mapped_column(String(64))


class AgreementSignatureRow(Base):
    """A partner signed the agreement of a race; the log has the entry."""

    __tablename__ = "agreement_signatures"
    race: Mapped[str] = mapped_column(ForeignKey("races.id"), primary_key=True)
    partner: Mapped[str] = mapped_column(ForeignKey("actors.id"), primary_key=True)
    leaf: Mapped[str] = mapped_column(String(64))


class ContributionRow(Base):
    """One partner's bundle: digests and wrapped key; the rows are an artefact."""

    __tablename__ = "contributions"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    partner: Mapped[str] = mapped_column(ForeignKey("actors.id"), index=True)
    epoch: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(12))
    header: Mapped[dict[str, Any]]
    wrapped: Mapped[bytes | None]
    rows_digest: Mapped[str] = mapped_column(String(64))
    outputs_digest: Mapped[str | None] = mapped_column(String(64))
    tokens_digest: Mapped[str | None] = mapped_column(String(64))
    links_digest: Mapped[str | None] = mapped_column(String(64))
    linked_roll: Mapped[str | None] = mapped_column(String(36))
    rostered: Mapped[bool] = mapped_column(default=False)
    leaf: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    wrapped_to: Mapped[str | None] = mapped_column(String(64))  # SHA-256 of the mailer's key


class WithdrawnRow(Base):
    """A row that its partner took back, until every artefact that held it has a successor."""

    __tablename__ = "withdrawn_rows"
    bundle: Mapped[str] = mapped_column(ForeignKey("contributions.id"), primary_key=True)
    row: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class DoomedRow(Base):
    """An artefact that nothing names any more, until its bytes are gone."""

    __tablename__ = "doomed"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class RollRow(Base):
    """A roll slice: tokens and coarse attributes, no name, no voter id."""

    __tablename__ = "rolls"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    steward: Mapped[str] = mapped_column(ForeignKey("actors.id"))
    epoch: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(12))
    header: Mapped[dict[str, Any]]
    attributes_digest: Mapped[str] = mapped_column(String(64))
    outputs_digest: Mapped[str | None] = mapped_column(String(64))
    tokens_digest: Mapped[str | None] = mapped_column(String(64))
    leaf: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class RosterChunkRow(Base):
    """One append-only chunk of the custodians' roster."""

    __tablename__ = "roster_chunks"
    epoch: Mapped[str] = mapped_column(String(40), primary_key=True)
    chunk: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    leaf: Mapped[str] = mapped_column(String(64))


class GhostsRow(Base):
    """The ghosts of one race: locks that open nothing, drawn once, with new locks in each epoch."""

    __tablename__ = "ghosts"
    race: Mapped[str] = mapped_column(ForeignKey("races.id"), primary_key=True)
    epoch: Mapped[str] = mapped_column(String(40), primary_key=True)
    rows_digest: Mapped[str] = mapped_column(String(64))
    links_digest: Mapped[str] = mapped_column(String(64))
    rostered: Mapped[bool] = mapped_column(default=False)


class CampaignRow(Base):
    """One letter to one audience, from draft to closed."""

    __tablename__ = "campaigns"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    race: Mapped[str] = mapped_column(ForeignKey("races.id"), index=True)
    author: Mapped[str] = mapped_column(ForeignKey("actors.id"))
    state: Mapped[str] = mapped_column(String(12), index=True)
    before_pause: Mapped[str | None] = mapped_column(String(12))
    definition: Mapped[dict[str, Any]]
    template: Mapped[dict[str, Any]]
    manifest: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    digest: Mapped[str | None] = mapped_column(String(64))
    estimate: Mapped[int | None]
    nonce: Mapped[str | None] = mapped_column(String(64))
    root: Mapped[str | None] = mapped_column(String(64))
    audience_digest: Mapped[str | None] = mapped_column(String(64))
    intent_leaf: Mapped[str | None] = mapped_column(String(64))
    scheduled: Mapped[datetime | None]
    progress: Mapped[int] = mapped_column(default=0)
    waiting_for: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime]
    closed: Mapped[datetime | None]
    epoch: Mapped[str | None] = mapped_column(String(40))  # whose locks the audience is of


class ApprovalRow(Base):
    """A partner said yes (approve) or checked its rows (attest)."""

    __tablename__ = "approvals"
    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    partner: Mapped[str] = mapped_column(ForeignKey("actors.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    leaf: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class DeliveryRow(Base):
    """One letter's states; nothing in it names a person."""

    __tablename__ = "deliveries"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.id"))
    lock: Mapped[str] = mapped_column(String(64))
    bundle: Mapped[str] = mapped_column(ForeignKey("contributions.id"))
    row: Mapped[int] = mapped_column(BigInteger)
    partner: Mapped[str] = mapped_column(String(40))
    person: Mapped[int] = mapped_column(BigInteger, index=True)
    address_token: Mapped[str] = mapped_column(String(32), index=True)
    place: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10))
    attempt: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    claimed_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    stop_key: Mapped[str | None] = mapped_column(String(64))
    verp: Mapped[str] = mapped_column(String(64), unique=True)
    capability_hash: Mapped[str] = mapped_column(String(64), unique=True)
    queue_id: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str | None] = mapped_column(String(200))
    seen: Mapped[datetime | None]  # its reader answered, or opened one of its links
    messenger: Mapped[str] = mapped_column(String(40), default="", server_default="")
    day: Mapped[date | None]
    __table_args__ = (
        UniqueConstraint("campaign", "stop_key"),
        UniqueConstraint("campaign", "lock"),
        Index("deliveries_by_campaign", "campaign", "state"),
        Index("deliveries_by_stop_key", "stop_key"),
        Index("deliveries_by_messenger", "messenger", "claimed_at"),
    )


class LeaseRow(Base):
    """Who may work on a thing now; the fence number grows with every holder."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    fence: Mapped[int]
    until: Mapped[datetime]


class SuppressionRow(Base):
    """Somebody who must not be written to, by stop key, and by token and person in a race."""

    __tablename__ = "suppressions"
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    scope: Mapped[str] = mapped_column(String(10))  # race | partner | all
    race: Mapped[str | None] = mapped_column(String(40), index=True)
    partner: Mapped[str | None] = mapped_column(String(40))
    epoch: Mapped[str | None] = mapped_column(String(40))
    stop_key: Mapped[str | None] = mapped_column(String(64), index=True)
    address_token: Mapped[str | None] = mapped_column(String(32), index=True)
    person: Mapped[int | None] = mapped_column(BigInteger, index=True)
    bundle: Mapped[str | None] = mapped_column(String(36))
    reason: Mapped[str] = mapped_column(
        String(12)
    )  # stop | hard | complaint | soft | refused | full
    delivery: Mapped[str | None] = mapped_column(String(64), index=True)
    at: Mapped[datetime]


class TypedStopRow(Base):
    """An address that somebody typed to be left alone, sealed to the mailer until it reads it."""

    __tablename__ = "typed_stops"
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    sealed: Mapped[bytes]
    at: Mapped[datetime]


class MessengerRow(Base):
    """A local volunteer who agreed to sign."""

    __tablename__ = "messengers"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    race: Mapped[str] = mapped_column(ForeignKey("races.id"))
    name: Mapped[str] = mapped_column(String(120))
    place: Mapped[str] = mapped_column(String(120))
    confirmed: Mapped[datetime | None]
    refused: Mapped[datetime | None]
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    zip: Mapped[str] = mapped_column(String(5), default="", server_default="")
    precinct: Mapped[str] = mapped_column(String(120), default="", server_default="")
    daily: Mapped[int] = mapped_column(default=0, server_default="0")


class NeighbourRow(Base):
    """Whose name the letters to some voters of a place carry, all race long."""

    __tablename__ = "neighbours"
    race: Mapped[str] = mapped_column(ForeignKey("races.id"), primary_key=True)
    zip: Mapped[str] = mapped_column(String(20), primary_key=True)
    precinct: Mapped[str] = mapped_column(String(120), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    messenger: Mapped[str] = mapped_column(ForeignKey("messengers.id"))


class SentDayRow(Base):
    """How many letters left from a sending domain on a day: a new one has to begin with few."""

    __tablename__ = "sent_days"
    domain: Mapped[str] = mapped_column(String(253), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    letters: Mapped[int]


class KeptDayRow(Base):
    """A day on which a partner writes to its own members, and nobody else does."""

    __tablename__ = "kept_days"
    race: Mapped[str] = mapped_column(ForeignKey("races.id"), primary_key=True)
    partner: Mapped[str] = mapped_column(String(40), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class ProgrammeRow(Base):
    """A plan of several letters, as the exact bytes that partners say yes to."""

    __tablename__ = "programmes"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    race: Mapped[str] = mapped_column(ForeignKey("races.id"))
    author: Mapped[str] = mapped_column(String(40))
    digest: Mapped[str] = mapped_column(String(64))
    document: Mapped[bytes]
    at: Mapped[datetime]


class ProgrammeAnswerRow(Base):
    """What a partner said of a programme last."""

    __tablename__ = "programme_answers"
    programme: Mapped[str] = mapped_column(ForeignKey("programmes.id"), primary_key=True)
    partner: Mapped[str] = mapped_column(String(40), primary_key=True)
    yes: Mapped[bool]
    at: Mapped[datetime]


class ProgrammeLetterRow(Base):
    """The campaign that came of a programme's letter; one letter's turn is taken once."""

    __tablename__ = "programme_letters"
    __table_args__ = (UniqueConstraint("programme", "letter", "turn"),)
    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    programme: Mapped[str] = mapped_column(ForeignKey("programmes.id"))
    letter: Mapped[str] = mapped_column(String(40))
    turn: Mapped[int]
    words: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class ReplyBoxRow(Base):
    """Where a messenger's replies go: an address that only the mailer can read, and how proven."""

    __tablename__ = "reply_boxes"
    messenger: Mapped[str] = mapped_column(ForeignKey("messengers.id"), primary_key=True)
    sealed: Mapped[bytes]
    state: Mapped[str] = mapped_column(String(8))  # typed | asked | proven
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    tries: Mapped[int] = mapped_column(default=0)
    at: Mapped[datetime]


class HeldReplyRow(Base):
    """A reply that waits for its writer's yes, sealed so that only the mailer reads it."""

    __tablename__ = "held_replies"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    delivery: Mapped[str] = mapped_column(ForeignKey("deliveries.id"), index=True)
    sealed: Mapped[bytes | None]  # none: gone, and its row counts against a flood of them
    state: Mapped[str] = mapped_column(String(8))  # new | held | yes | going | gone
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    tries: Mapped[int] = mapped_column(default=0)
    at: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)


class OwnBoxRow(Base):
    """An address that an actor says is its own: only the mailer can read it, and how proven."""

    __tablename__ = "own_boxes"
    actor: Mapped[str] = mapped_column(ForeignKey("actors.id"), primary_key=True)
    sealed: Mapped[bytes]
    state: Mapped[str] = mapped_column(String(8))  # typed | asked | proven
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    at: Mapped[datetime]


class TrialRow(Base):
    """A letter to an actor's own address, about a made-up person; and each time one was asked."""

    __tablename__ = "trials"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    actor: Mapped[str] = mapped_column(ForeignKey("actors.id"), index=True)
    campaign: Mapped[str | None] = mapped_column(ForeignKey("campaigns.id"), index=True)
    kind: Mapped[str] = mapped_column(String(4))  # ask | test | seed
    state: Mapped[str] = mapped_column(String(8), index=True)
    outcome: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime]


class ChargeRow(Base):
    """One debit of the privacy ledger; append-only, chained by its head."""

    __tablename__ = "charges"
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    race: Mapped[str] = mapped_column(ForeignKey("races.id"), index=True)
    part: Mapped[str] = mapped_column(String(44))
    units: Mapped[int]
    question: Mapped[str] = mapped_column(String(64))
    person: Mapped[str] = mapped_column(String(40))
    head: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("race", "part", "question"),)


class MemoRow(Base):
    """The answer that a question got, and will always get."""

    __tablename__ = "memos"
    race: Mapped[str] = mapped_column(ForeignKey("races.id"), primary_key=True)
    part: Mapped[str] = mapped_column(String(44), primary_key=True)
    question: Mapped[str] = mapped_column(String(64), primary_key=True)
    answer: Mapped[int | None]
    sigma: Mapped[float] = mapped_column(Float)


class CellRow(Base):
    """One noised cell of a cube that was paid for and drawn whole."""

    __tablename__ = "cells"
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    race: Mapped[str] = mapped_column(ForeignKey("races.id"))
    question: Mapped[str] = mapped_column(String(64), index=True)
    key: Mapped[list[str]]
    answer: Mapped[int]


class EntryRow(Base):
    """An entry promised to the log, with the openings of whom it concerns."""

    __tablename__ = "entries"
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    leaf: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(40))
    entry: Mapped[bytes]
    openings: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    index: Mapped[int | None] = mapped_column("position", BigInteger, unique=True)
    at: Mapped[datetime]


class LeavingRow(Base):
    """The label of a row or a list that left, until a batch in the log has it."""

    __tablename__ = "leaving"
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    label: Mapped[bytes] = mapped_column(unique=True)
    partner: Mapped[str] = mapped_column(ForeignKey("actors.id"))


class LeftBatchRow(Base):
    """A batch of labels that an entry of the log holds; ``until`` is its interval's end."""

    __tablename__ = "left_batches"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    leaf: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime | None]


class LeftRow(Base):
    """One label of a batch, a row's or a list's or nobody's: which of these, no column says."""

    __tablename__ = "left_labels"
    label: Mapped[bytes] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(ForeignKey("left_batches.number"), index=True)


class LogLockRow(Base):
    """The checkpoint that the log has committed to: the point of no return of a publication."""

    __tablename__ = "log_lock"
    origin: Mapped[str] = mapped_column(String(200), primary_key=True)
    checkpoint: Mapped[bytes]


class RingRow(Base):
    """A doorbell to ring after the commit; ringing twice is harmless."""

    __tablename__ = "rings"
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    task: Mapped[str] = mapped_column(String(40))
    payload: Mapped[dict[str, Any]]
    rung: Mapped[datetime | None] = mapped_column(index=True)
    at: Mapped[datetime]


class TextRow(Base):
    """Small public facts of the installation: the invite, the log's key."""

    __tablename__ = "texts"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class InspectionRow(Base):
    """What a check of a sending domain or of a letter found, and when; the newest one only."""

    __tablename__ = "inspections"
    subject: Mapped[str] = mapped_column(String(120), primary_key=True)
    about: Mapped[str] = mapped_column(String(300))
    level: Mapped[str] = mapped_column(String(10))
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    at: Mapped[datetime]
