"""A custodian's knobs and its own copy of who is who: identity, invite, quotas, times."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consortium.custodian.errors import HomeUnready, Refused
from consortium.hours import ALWAYS, Hours, HoursRefused, read_hours
from matching.crypto_errors import StatementRefused
from matching.evaluation import (
    DEFAULT_CLASS,
    MOST_CLASS,
    STEWARD_CLASS,
    allowance,
    class_of,
)
from matching.resharing import Resharing, resharing
from matching.seats import Seat, Session
from matching.statement import Statement

ROTATION = timedelta(days=20)
"""A key of the mail machine lives 30 days, and its successor is asked for in the last three."""

#: Rows; the largest class that an invite may give an actor here without a raise.
CLASS_MAX = {"partner": 2**22, "steward": MOST_CLASS}
_SILENT = {"partner": DEFAULT_CLASS, "steward": STEWARD_CLASS}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a custodian's process is told.

    Attributes:
        class_max: the largest size class (rows) by role that is honoured, whatever the invite says.
        quota_of: points an epoch for one actor, where this custodian allows less than its class.
        fresh: how old the checkpoint of an intent may be, by this custodian's clock.
        horizon: how far ahead a signed call may expire.
        rotation: how long after one key of the mail machine another is countersigned, at least.
        hours: when evaluations are answered; releases always are.
        secrets: files to read a passphrase, PIN or vault token from, by name.
    """

    home: Path
    id: str
    url: str
    listen: str
    key: Ed25519PrivateKey = field(repr=False)
    class_max: Mapping[str, int] = field(default_factory=lambda: dict(CLASS_MAX))
    quota_of: Mapping[str, int] = field(default_factory=dict)
    fresh: timedelta = timedelta(hours=1)
    horizon: timedelta = timedelta(days=1)
    rotation: timedelta = ROTATION
    hours: Hours = ALWAYS
    secrets: Mapping[str, Path] = field(default_factory=dict)

    def allowed(self, actor: "Actor", raised: int = 0) -> int:
        """Return the points an epoch that ``actor`` may have evaluated.

        Args:
            raised: the size class that t custodians raised it to in the log; 0 without a raise.
                Our own caps do not hold against it: we are one custodian, t agreed.
        """
        stated = min(actor.rows, self.class_max.get(actor.role, 0))
        ours = min(self.quota_of.get(actor.id, allowance(stated)), allowance(stated))
        return max(ours, allowance(raised) if raised else 0)

    def secret(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose, always the same for this signing key."""
        info = f"trellis/custodian/{purpose}".encode()
        return HKDF(SHA256(), 32, salt=None, info=info).derive(self.key.private_bytes_raw())

    @property
    def public(self) -> bytes:
        """This custodian's 32-byte Ed25519 key."""
        return self.key.public_key().public_bytes_raw()

    @property
    def database(self) -> Path:
        """Where quotas, opens, rosters and shares are kept."""
        return self.home / "custodian.sqlite"


def read_settings(home: Path) -> Settings:
    """Read a custodian's home: ``signing.key``, ``identity.json``, optional ``settings.toml``.

    Raises:
        HomeUnready: something is missing, or the key can be read by others.
    """
    try:
        identity = json.loads((home / "identity.json").read_text())
        key_file = home / "signing.key"
        if key_file.stat().st_mode & 0o077:
            raise HomeUnready("signing.key can be read by others: chmod 600 it")
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key_file.read_text().strip()))
    except FileNotFoundError as error:
        raise HomeUnready("no identity here: run `trellis custodian init` first") from error
    knobs = _knobs(home / "settings.toml")
    most = {k: v for k, v in knobs.get("class_max", {}).items() if isinstance(v, int)}
    return Settings(
        home=home,
        id=identity["id"],
        url=identity["url"],
        listen=identity["listen"],
        key=key,
        class_max={**CLASS_MAX, **most},
        quota_of=dict(knobs.get("quota_of", {})),
        fresh=timedelta(seconds=knobs.get("fresh_seconds", 3600)),
        horizon=timedelta(seconds=knobs.get("horizon_seconds", 86400)),
        rotation=timedelta(seconds=knobs.get("rotation_seconds", ROTATION.total_seconds())),
        hours=_hours(knobs),
        secrets={name: home / str(path) for name, path in knobs.get("secrets", {}).items()},
    )


def _knobs(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise HomeUnready(f"settings.toml cannot be read: {error}") from error


def _hours(knobs: Mapping[str, Any]) -> Hours:
    try:
        return read_hours(
            str(knobs.get("upload_hours", "always")), str(knobs.get("time_zone", "UTC"))
        )
    except HoursRefused as error:
        raise HomeUnready(f"settings.toml, upload_hours: {error}") from error


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody this custodian knows by key; ``rows`` is the size class of its list."""

    id: str
    role: str
    public: bytes
    rows: int = 0


class Registry:
    """This custodian's own copy of the invite; read again when `join` replaced the file."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_at, self._invite = path, -1.0, dict[str, Any]()

    @property
    def invite(self) -> dict[str, Any]:
        """The invite as last joined.

        Raises:
            HomeUnready: this custodian has not joined.
        """
        try:
            changed = self._path.stat().st_mtime_ns
        except FileNotFoundError as error:
            raise HomeUnready("not joined yet: run `trellis custodian join`") from error
        if changed != self._read_at:
            self._invite, self._read_at = json.loads(self._path.read_text()), changed
        return self._invite

    @property
    def epochs(self) -> tuple[str, ...]:
        """The epochs that the invite names: the present one, and during an overlap the next."""
        invite = self.invite
        return tuple(invite[name] for name in ("epoch", "next_epoch") if invite.get(name))

    def actor(self, id: str, *roles: str) -> Actor:
        """Return an actor that has one of ``roles``.

        Raises:
            Refused: unknown, or of another role.
        """
        for one in self.invite["actors"]:
            if one["id"] == id:
                if one["role"] not in roles:
                    raise Refused("not-allowed", f"a {one['role']} may not ask this")
                return _actor(one)
        raise Refused("unknown-actor", "this custodian's registry does not name that actor")

    def evaluated(self) -> list[Actor]:
        """Return everybody who may have points evaluated: partners and stewards."""
        return [_actor(one) for one in self.invite["actors"] if one["role"] in _SILENT]

    def session(self, purpose: str, attempt: int, epoch: str | None = None) -> Session:
        """Return the ceremony this invite describes; seats in the order of their ids.

        Args:
            epoch: one that the invite names; by default the present one.

        Raises:
            HomeUnready: the invite names no such epoch.
        """
        seats = sorted((one["id"], one["public"]) for one in self.invite["custodians"])
        return Session(
            epoch=self.named(epoch),
            purpose=purpose,
            threshold=self.invite["threshold"],
            seats=tuple(Seat(one, bytes.fromhex(public)) for one, public in seats),
            attempt=attempt,
        )

    def named(self, epoch: str | None) -> str:
        """Return an epoch that the invite names; by default the present one.

        Raises:
            HomeUnready: the invite names no such epoch.
        """
        epoch = epoch or self.epochs[0]
        if epoch not in self.epochs:
            named = ", ".join(self.epochs)
            raise HomeUnready(f"the invite joined here names no epoch {epoch}, only {named}")
        return epoch

    def urls(self) -> dict[str, str]:
        """Return each custodian's address by id, former ones included."""
        return {one["id"]: one["url"].rstrip("/") for one in self._all_custodians()}

    def custodians(self) -> dict[str, bytes]:
        """Return each custodian's 32-byte key by id, former ones included: they signed before."""
        return {one["id"]: bytes.fromhex(one["public"]) for one in self._all_custodians()}

    def others(self, id: str) -> dict[str, bytes]:
        """Return the 32-byte key of each present custodian but ``id``."""
        listed = self.invite["custodians"]
        return {one["id"]: bytes.fromhex(one["public"]) for one in listed if one["id"] != id}

    def _all_custodians(self) -> list[dict[str, Any]]:
        return [*self.invite.get("former", []), *self.invite["custodians"]]

    def resharing(self, old: Statement, dealers: Sequence[str] = (), attempt: int = 1) -> Resharing:
        """Return the session that hands the key of ``old`` to the custodians of this invite.

        Args:
            dealers: who deals; by default the first holders of ``old``, those who stay before
                those who leave.

        Raises:
            StatementRefused: the change is against a rule, or a dealer is unknown here.
        """
        told = self.session(old.purpose, attempt)
        chosen = dealers or sorted(old.ids, key=lambda one: one not in told.ids)[: old.threshold]
        publics = self.custodians()
        unknown = sorted(set(chosen) - publics.keys())
        if unknown:
            raise StatementRefused(f"this invite does not say who {', '.join(unknown)} is")
        return resharing(
            old,
            dealing=[Seat(one, publics[one]) for one in chosen],
            seats=told.seats,
            threshold=told.threshold,
            attempt=attempt,
        )


def _actor(stated: Mapping[str, Any]) -> Actor:
    role = str(stated["role"])
    rows = class_of(int(stated.get("rows", _SILENT[role]))) if role in _SILENT else 0
    return Actor(str(stated["id"]), role, bytes.fromhex(stated["public"]), rows)
