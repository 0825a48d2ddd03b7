"""A custodian's knobs and its own copy of who is who: identity, invite, quotas, times."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.custodian.errors import HomeUnready, Refused
from matching.ceremony import Seat, Session

#: Points per epoch and actor; a list of 2**17 with 12 recipes and one refresh needs 2**22.
QUOTA = {"partner": 4_194_304, "steward": 67_108_864}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a custodian's process is told.

    Attributes:
        quota: points per role and epoch; ``quota_of`` overrides it for one actor.
        fresh: how old the checkpoint of an intent may be, by this custodian's clock.
        horizon: how far ahead a signed call may expire.
        consents: actors whose bulk run this custodian agreed to.
    """

    home: Path
    id: str
    url: str
    listen: str
    key: Ed25519PrivateKey = field(repr=False)
    quota: Mapping[str, int] = field(default_factory=lambda: dict(QUOTA))
    quota_of: Mapping[str, int] = field(default_factory=dict)
    fresh: timedelta = timedelta(hours=1)
    horizon: timedelta = timedelta(days=1)

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
    quota = {**QUOTA, **{k: v for k, v in knobs.get("quota", {}).items() if isinstance(v, int)}}
    return Settings(
        home=home,
        id=identity["id"],
        url=identity["url"],
        listen=identity["listen"],
        key=key,
        quota=quota,
        quota_of=dict(knobs.get("quota_of", {})),
        fresh=timedelta(seconds=knobs.get("fresh_seconds", 3600)),
        horizon=timedelta(seconds=knobs.get("horizon_seconds", 86400)),
    )


def _knobs(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text()) if path.exists() else {}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody this custodian knows by key."""

    id: str
    role: str
    public: bytes


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

    def actor(self, id: str, *roles: str) -> Actor:
        """Return an actor that has one of ``roles``.

        Raises:
            Refused: unknown, or of another role.
        """
        for one in self.invite["actors"]:
            if one["id"] == id:
                if one["role"] not in roles:
                    raise Refused("not-allowed", f"a {one['role']} may not ask this")
                return Actor(id, one["role"], bytes.fromhex(one["public"]))
        raise Refused("unknown-actor", "this custodian's registry does not name that actor")

    def session(self, purpose: str, attempt: int) -> Session:
        """Return the ceremony this invite describes; seats in the order of their ids."""
        seats = sorted((one["id"], one["public"]) for one in self.invite["custodians"])
        return Session(
            epoch=self.invite["epoch"],
            purpose=purpose,
            threshold=self.invite["threshold"],
            seats=tuple(Seat(one, bytes.fromhex(public)) for one, public in seats),
            attempt=attempt,
        )

    def urls(self) -> dict[str, str]:
        """Return each custodian's address by id."""
        return {one["id"]: one["url"].rstrip("/") for one in self.invite["custodians"]}
