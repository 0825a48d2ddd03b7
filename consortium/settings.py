"""Every knob of every process, each with its unit and its default."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment (``TRELLIS_...``) and from ``<home>/trellis.env``."""

    model_config = SettingsConfigDict(
        env_prefix="TRELLIS_", extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(Path("server"), description="Folder of the operator's own files.")
    database: str = Field(
        "", description="SQLAlchemy URL; empty: SQLite in the home folder. postgresql://... works."
    )
    broker: str = Field(
        "", description="Celery broker URL; empty: folders in the home; redis://... works."
    )
    artefacts: str = Field(
        "", description="Where immutable files live; empty: a folder in the home; s3://... works."
    )
    log_dir: Path = Field(Path("log"), description="Folder of the public log, servable as it is.")
    log_store: str = Field(
        "",
        description="Where the log's files live; empty: its folder; s3://bucket/prefix, with the"
        " staging files beside it under prefix.staging.",
    )
    log_lock: Path | None = Field(
        None,
        description="File of a lock of the log's own, which no backup of the database takes back;"
        " none: the database. Chosen once: a log starts with no other lock than its last.",
    )
    public_url: str = Field(
        "https://127.0.0.1:8443", description="Prefix of links in letters; https (RFC 8058)."
    )
    listen: str = Field("127.0.0.1:8080", description="host:port of the API and the web app.")
    tls_listen: str = Field("", description="host:port of the same app over TLS; empty: none.")
    publish_seconds: float = Field(
        3600.0, gt=0, description="Seconds between two publications of the log."
    )
    publish_cover: int = Field(
        4,
        ge=0,
        le=256,
        description="Entries of each form that a publication shows at least, dummies included;"
        " more are shown in doublings of it. 0: none, and no waiting for an interval's end.",
    )
    match_seconds: float = Field(
        86400.0, gt=0, description="Seconds between two match runs; the demo uses seconds."
    )
    match_engine: Literal["duckdb", "spark"] = Field(
        "duckdb",
        description="What links: duckdb, or spark, on this machine too; same links, needs Java and"
        " the extra spark.",
    )
    match_memory: str = Field(
        "",
        pattern=r"^([1-9][0-9]{0,5}[MG]B)?$",
        description="What a step of matching may hold before it works on the disk, such as 4GB;"
        " empty: four fifths of the machine's or container's memory, 4 GB for Spark.",
    )
    smtp: str = Field("127.0.0.1:2525", description="host:port that takes the letters.")
    smtp_tls: Literal["required", "offered", "wrapped", "off"] = Field(
        "required",
        description="TLS to the mail server: required (STARTTLS), wrapped (from the first byte);"
        " offered and off are for a server on this machine's loopback alone.",
    )
    smtp_login: Path | None = Field(
        None,
        description="File of mode 0600 with a name and a password, one a line; none: no AUTH.",
    )
    smtp_log: Path | None = Field(
        None, description="The MTA's log, from which doubts are settled; none: a person decides."
    )
    mail_host: str = Field(
        "",
        description="Name that the mail server says in EHLO, to which its addresses point back"
        " and at which it takes returns; with it sending domains are checked.",
    )
    mail_addresses: str = Field(
        "", description="Addresses from which letters leave, separated by commas; checked by SPF."
    )
    mail_spf: str = Field(
        "", description="SPF name of a provider through whom letters leave, amazonses.com; or none."
    )
    resolver: str = Field(
        "",
        pattern=r"^(?:.+:\d{1,5})?$",
        description="host:port of the DNS resolver that sending domains are checked with; empty:"
        " this machine's.",
    )
    mailer_home: Path = Field(
        Path("mailer"), description="The mailer's keys; only the mailer's process reads it."
    )
    mailer_key_days: float = Field(
        30.0,
        gt=0,
        le=31,
        description="Days that a key of the mailer stands; in their last tenth its successor is"
        " made, countersigned by custodians, and every bundle is wrapped to it.",
    )
    hold_seconds: float = Field(
        60.0, ge=0, description="Seconds between 'schedule' and the first letter, to think again."
    )
    letters_per_second: float = Field(
        50.0, gt=0, description="Pace of sending; duration then tells only the noised size."
    )
    sunset_letters: int = Field(
        8,
        ge=0,
        description="Letters to one address, of all races, without a reply or an opened link, after"
        " which none leaves to it; 0: no such end.",
    )
    letters_per_second_to_one: float = Field(
        20.0,
        gt=0,
        description="Pace to one receiving domain; one that asks for less gets half, others not.",
    )
    first_day_letters: int = Field(
        500,
        ge=0,
        description="Letters that leave on the first day from a sending domain that receivers do"
        " not know; doubles with each day that used half of it. 0: they know every domain.",
    )
    settled_seconds: float = Field(
        600.0,
        ge=0,
        description="Seconds after a mailer's death until the MTA's log surely has its letters;"
        " Postfix lets a silent session stand for 300 and then still writes; our sink needs 60.",
    )
    backup_days: int = Field(
        30,
        ge=0,
        description="Days after which no backup of yours holds what was withdrawn; said to whoever"
        " withdraws, so it must be true of every copy: database, artefacts, mailer's home, disks.",
    )
    zip_points: Path | None = Field(
        None,
        description="CSV of zip, lat, lon, or a Census gazetteer: by it the nearest messenger is"
        " found; none: by the same ZIP or precinct alone.",
    )
    precinct_shapes: Path | None = Field(
        None, description="Precinct shapes that 'coordinator shapes' wrote, for the same; none."
    )
    demo: bool = Field(False, description="Marks every page: custodians here are on one machine.")

    @field_validator(
        "smtp_log", "smtp_login", "log_lock", "zip_points", "precinct_shapes", mode="before"
    )
    @classmethod
    def _no_file(cls, given: object) -> object:
        return given or None

    @model_validator(mode="after")
    def _our_sink_settles_sooner(self) -> "Settings":
        ours = self.smtp_log is not None and self.smtp_log.suffix == ".jsonl"
        if ours and "settled_seconds" not in self.model_fields_set:
            self.settled_seconds = 60.0
        return self

    @model_validator(mode="after")
    def _letters_travel_sealed(self) -> "Settings":
        if self.smtp_tls in ("off", "offered") and not on_loopback(self.smtp):
            raise ValueError(
                f"smtp_tls={self.smtp_tls} is for a mail server on loopback; letters to"
                f" {self.smtp} would travel in the clear: set TRELLIS_SMTP_TLS=required or wrapped"
            )
        return self

    @model_validator(mode="after")
    def _a_demo_sends_nowhere(self) -> "Settings":
        if self.demo and not on_loopback(self.smtp):
            raise ValueError(
                f"a demo checks no sending domain, so it hands letters to a server on loopback"
                f" alone, not to {self.smtp}: unset TRELLIS_DEMO"
            )
        return self

    def database_url(self) -> str:
        """The database's URL, SQLite in the home folder when nothing is set."""
        return self.database or f"sqlite:///{self.home.absolute()}/trellis.sqlite"

    def artefacts_url(self) -> str:
        """Where artefacts live, a folder in the home when nothing is set."""
        return self.artefacts or str(self.home.absolute() / "artefacts")


def on_loopback(address: str) -> bool:
    """Whether a host:port surely never leaves this machine."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name may come to mean any machine
