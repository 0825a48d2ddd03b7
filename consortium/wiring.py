"""Builds one process from its settings: engine, keys, clock, transports; nothing else does."""

import json
import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consortium import clock as clocks
from consortium import places, witness_client
from consortium.service import publish
from consortium.service.cover import Cover
from consortium.service.enter import Pen
from consortium.service.match import Bench, MatchKeys
from consortium.service.sunset import Reach
from consortium.service.workbench import Link
from consortium.settings import Settings
from consortium.store import epochs, texts
from consortium.store.artefacts import Artefacts, artefacts
from consortium.store.errors import Missing
from consortium.store.log import SqlLock
from consortium.store.log_files import S3Backend
from consortium.store.log_lock import SqliteLock
from consortium.store.schema import migrate
from consortium.store.unit import Units, engine
from matching import engine as matcher
from provenance.backend import Backend, FolderBackend
from provenance.note import Signer
from provenance.quorum import Policy
from provenance.sequencer import Sequencer

WITNESS_SECONDS = 5.0
EPOCH_KEYS = ("pepper", "outputs", "tokens")


def settings_of(home: Path) -> Settings:
    """The settings of a home: its ``trellis.env``, overruled by the environment."""
    return Settings(_env_file=home / "trellis.env", home=home)  # type: ignore[call-arg]


def read_key(path: Path) -> bytes:
    """A 32-byte secret kept as hex in a file of mode 0600."""
    return bytes.fromhex(path.read_text().strip())


def make_key(path: Path, secret: bytes | None = None) -> bytes:
    """Read a secret, or make it once: 32 random bytes, mode 0600 from its first instant."""
    if path.exists():
        return read_key(path)
    secret = secret or secrets.token_bytes(32)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return secret


def make_epoch_keys(home: Path, epoch: str) -> bytes:
    """Make an epoch's keys once: pepper, outputs (X25519), tokens.

    Returns:
        The public key to which outputs of this epoch are sealed.
    """
    folder = home / "epochs" / epoch
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_key(folder / "pepper.key")
    make_key(folder / "tokens.key")
    private = X25519PrivateKey.generate().private_bytes_raw()
    made = X25519PrivateKey.from_private_bytes(make_key(folder / "outputs.key", private))
    return made.public_key().public_bytes_raw()


def epoch_keys(home: Path, epoch: str) -> MatchKeys:
    """Read an epoch's keys; raises ``Missing`` when they are gone, or were never made."""
    try:
        found = [read_key(home / "epochs" / epoch / f"{name}.key") for name in EPOCH_KEYS]
    except FileNotFoundError as error:
        raise Missing(f"the keys of epoch {epoch} are not on this machine") from error
    return MatchKeys(*found)


def forget_epoch_keys(home: Path, epoch: str) -> None:
    """Delete an epoch's keys; what is not there is already gone.

    A file system may keep old blocks: encrypt the disk, and keep these files out of backups.
    """
    folder = home / "epochs" / epoch
    for name in EPOCH_KEYS:
        (folder / f"{name}.key").unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()


def adopt_keys(home: Path, epoch: str) -> None:
    """Move the keys of an installation that knew one epoch to where each epoch has its own."""
    if not (home / "pepper.key").exists():
        return
    folder = home / "epochs" / epoch
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in reversed(EPOCH_KEYS):  # the pepper last: while it is there, this goes on
        if (home / f"{name}.key").exists():
            (home / f"{name}.key").rename(folder / f"{name}.key")


def pen(actor: str, seed: bytes) -> Pen:
    """What an actor signs entries with."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Pen(
        actor, key.public_key().public_bytes_raw(), key.sign, lambda: secrets.token_bytes(32)
    )


@dataclass
class Process:
    """One server process. Each part is built when first asked for, so a process that never asks
    for a key never reads it."""

    settings: Settings
    clock: Callable[[], datetime] = field(default=clocks.utc)

    @cached_property
    def units(self) -> Units:
        """The database."""
        return Units(engine(self.settings.database_url()), self.clock)

    @cached_property
    def artefacts(self) -> Artefacts:
        """The artefact store."""
        return artefacts(self.settings.artefacts_url())

    @cached_property
    def log_files(self) -> Backend:
        """The public log's files; staging lies in the operator's home, beside nothing public."""
        if self.settings.log_store:
            return S3Backend(self.settings.log_store)
        return FolderBackend(self.settings.log_dir, self.settings.home / "staging")

    def log_lock(self) -> SqlLock | SqliteLock:
        """The lock on which the log turns, and this process's lease of it."""
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        dead = places.succeed(self.settings.home / "worker.lock", name)
        if self.settings.log_lock is None:
            return SqlLock(self.units, name, dead=dead)
        return SqliteLock(self.settings.log_lock, name, self.clock, dead=dead)

    def invite(self) -> dict[str, object]:
        """The public facts of the installation."""
        found = json.loads(self.units.run("invite", lambda unit: texts.get(unit, "invite")))
        assert isinstance(found, dict)
        return found

    @cached_property
    def operator_pen(self) -> Pen:
        """Signs the operator's own entries; only the worker asks for it."""
        return pen("operator", read_key(self.settings.home / "signing.key"))

    @cached_property
    def asker(self) -> witness_client.Asker:
        """Asks the witnesses, and knows who was missing."""
        return witness_client.asker(Policy.from_invite(self.invite()), WITNESS_SECONDS)

    @cached_property
    def sequencer(self) -> Sequencer:
        """The one writer of the log; only the worker asks for it."""
        invite = self.invite()
        signer = Signer.from_seed(str(invite["origin"]), read_key(self.settings.home / "log.key"))
        lock = self.log_lock()
        made = Sequencer(
            self.log_files,
            lock,
            signer,
            self.asker.policy,
            self.asker,
            lock,
            lambda: witness_client.shown(self.asker.policy, WITNESS_SECONDS),
        )
        made.recover()
        publish.known(self.units, made)
        return made

    @cached_property
    def cover(self) -> Cover | None:
        """Among how many dummies the log is published; None: among none, at once."""
        knobs = self.settings
        if knobs.publish_cover == 0:
            return None
        return Cover(knobs.publish_seconds, knobs.publish_cover, self.operator_pen)

    @cached_property
    def bench(self) -> Bench:
        """Where matching works; only the worker asks for it."""
        home = self.settings.home
        return Bench(
            self.units,
            self.artefacts,
            lambda epoch: epoch_keys(home, epoch),
            self.operator_pen,
            self.clock,
            *self._linking(),
            memory=self.settings.match_memory or None,
        )

    def _linking(self) -> tuple[Callable[[], AbstractContextManager[Link]], str]:
        """What links, and its name in the log."""
        memory = self.settings.match_memory or None
        if self.settings.match_engine == "duckdb":
            return partial(matcher.linking, memory), f"duckdb {version('duckdb')}"
        from matching import spark  # half a gigabyte that only its extra installs

        return partial(spark.linking, memory), f"spark {version('pyspark')}"

    @cached_property
    def expiry(self) -> Reach:
        """What the end of an epoch reaches; only the operator's own command asks for it."""
        home = self.settings.home
        return Reach(
            self.units,
            self.artefacts,
            self.operator_pen,
            self.clock,
            lambda epoch: forget_epoch_keys(home, epoch),
        )

    def migrate(self) -> None:
        """Bring database and key files up to date."""
        migrate(self.units.engine)
        first = self.units.run("epochs", epochs.listed)
        if first:
            adopt_keys(self.settings.home, first[0].id)
