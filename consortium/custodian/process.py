"""Builds one custodian's process from its home, and runs it: serve, or take part in a ceremony."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from consortium.clock import Clock, utc
from consortium.custodian.app import Custodian, create_app
from consortium.custodian.ceremony import Ceremony, HttpPeers
from consortium.custodian.errors import CustodianError, LogUnreachable
from consortium.custodian.ledger import Ledger
from consortium.custodian.log import ApiLog
from consortium.custodian.settings import Registry, Settings, read_settings
from consortium.custodian.trees import Trees
from consortium.custodian.wrapping import Asking, Opened, from_environment, opened
from consortium.hardening import no_core_dumps, no_swap
from matching import group
from matching.crypto_errors import CryptoRefused
from matching.statement import Statement

ROSTER_SECONDS = 30.0
SWAPPED = (
    "this process's memory may be swapped to disk: encrypt the swap, or start it by the unit in "
    "deploy/systemd, which forbids it"
)
Prompt = Callable[[str, bool], str]


@dataclass(frozen=True, slots=True)
class Parts:
    """What one custodian's process is made of."""

    settings: Settings
    registry: Registry
    wrapping: Opened
    ledger: Ledger
    log: ApiLog

    def close(self) -> None:
        """Close database, wrapping and connections."""
        self.ledger.close()
        self.wrapping.close()
        self.log.close()


def asking(settings: Settings, prompt: Prompt | None = None) -> Asking:
    """How this home's passphrase, PIN or token is asked for."""
    return Asking(settings.secrets, from_environment(), prompt)


def build(home: Path, now: Clock = utc, prompt: Prompt | None = None) -> Parts:
    """Read a home, open its wrapping and its database.

    Args:
        prompt: asks a person for a secret, without echo; None when nobody is there.

    Raises:
        HomeUnready: not initialised, or not joined.
        WrappingRefused, WrappingAway: the shares cannot be opened.
        SodiumMissing: naming the package to install.
    """
    group.available()
    no_core_dumps()  # before a passphrase is in memory
    settings, registry = read_settings(home), Registry(home / "invite.json")
    log = ApiLog(registry.invite, public=settings.public, sign=settings.key.sign, now=now)
    wrapping = opened(home, settings.database, settings.id, asking(settings, prompt))
    return Parts(settings, registry, wrapping, Ledger(settings.database, wrapping), log)


def serve(home: Path, now: Clock = utc, prompt: Prompt | None = None) -> None:
    """Serve until stopped; new roster chunks are fetched and checked in the background."""
    import uvicorn

    parts = build(home, now, prompt)
    if not no_swap():
        print(SWAPPED, file=sys.stderr)  # noqa: T201
    custodian = Custodian(
        parts.settings, parts.ledger, parts.registry, parts.log, now, rosters=parts.log
    )
    host, _, port = parts.settings.listen.rpartition(":")
    for one in parts.ledger.status()["keys"]:
        # A token or a vault that goes away later is not needed again; a share that does not
        # open is known now and not at the first upload.
        parts.ledger.key_of(one["sid"])
    with closing(parts), _pulling(custodian, parts):
        uvicorn.run(create_app(custodian), host=host, port=int(port), log_level="warning")


@contextmanager
def _pulling(custodian: Custodian, parts: Parts) -> Iterator[None]:
    """Keep the roster current, so that a release does not wait for a hundred thousand proofs."""
    over = threading.Event()

    def pull() -> None:
        while not over.wait(ROSTER_SECONDS):
            try:
                parts.wrapping.keep_only(parts.ledger.secrets())
                custodian.pull_rosters()
            except (CustodianError, CryptoRefused, KeyError, TypeError, ValueError) as error:
                # A chunk that does not hold stays out; releases that need it will say so by name.
                print(f"roster not taken in: {type(error).__name__}", file=sys.stderr)  # noqa: T201

    thread = threading.Thread(target=pull, name="rosters", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def take_part(
    home: Path,
    purpose: str,
    *,
    attempt: int = 1,
    patience: float = 3600,
    step: float = 0.5,
    say: Callable[[str], None] = lambda words: None,
    now: Clock = utc,
    prompt: Prompt | None = None,
) -> Statement | None:
    """Take part in a ceremony until it is finished; an interruption loses nothing.

    Args:
        patience: seconds to wait for the others; nothing is lost when they run out.
        say: told whom we wait for, whenever that changes.

    Returns:
        The statement, or nothing when the patience ran out.

    Raises:
        CeremonyAborted: naming the culprit.
    """
    parts = build(home, now, prompt)
    peers = HttpPeers(parts.registry.urls())
    ceremony = Ceremony(
        parts.registry.session(purpose, attempt),
        parts.settings.id,
        ledger=parts.ledger,
        log=Trees(parts.log, parts.ledger),
        peers=peers,
        sign=parts.settings.key.sign,
    )
    with closing(parts), closing(peers):
        return _until_done(ceremony, time.monotonic() + patience, step, say)


def _until_done(
    ceremony: Ceremony, until: float, step: float, say: Callable[[str], None]
) -> Statement | None:
    said = ""
    while time.monotonic() < until:
        try:
            done, waiting = ceremony.advance(), ceremony.waiting
        except LogUnreachable as error:
            done, waiting = None, str(error)
        if done is not None:
            return done
        if waiting != said:
            say(f"waiting for {waiting}")
            said = waiting
        time.sleep(step)
    return None
