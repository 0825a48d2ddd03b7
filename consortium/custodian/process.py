"""Builds one custodian's process from its home, and runs it: serve, or take part in a ceremony."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from consortium.clock import Clock, utc
from consortium.custodian import destruction
from consortium.custodian.answers import Custodian
from consortium.custodian.app import create_app
from consortium.custodian.ceremony import Ceremony, HttpPeers
from consortium.custodian.consents import HttpNeighbours
from consortium.custodian.errors import HomeUnready, LogUnreachable
from consortium.custodian.follow import Follower
from consortium.custodian.ledger import Ledger
from consortium.custodian.log import ApiLog, Salts
from consortium.custodian.resharing import Reshare
from consortium.custodian.settings import Registry, Settings, read_settings
from consortium.custodian.table import Table
from consortium.custodian.trees import Trees
from consortium.custodian.wrapping import Asking, Opened, from_environment, opened
from consortium.hardening import no_core_dumps, no_swap
from matching import group
from matching.lineage import Signed, check_line
from matching.statement import Statement
from provenance.quorum import Policy

ROSTER_SECONDS = 30.0
AHEAD_SECONDS = 5.0
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
    follower: Follower

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
    log = ApiLog(
        registry.invite,
        public=settings.public,
        sign=settings.key.sign,
        now=now,
        salts=Salts(settings.secret("own-entries")),
    )
    wrapping = opened(home, settings.database, settings.id, asking(settings, prompt))
    ledger = Ledger(settings.database, wrapping)
    policy = Policy.from_invite(registry.invite)
    follower = Follower(ledger, file=log.file, policy=policy, custodians=registry.custodians)
    return Parts(settings, registry, wrapping, ledger, log, follower)


def serve(home: Path, now: Clock = utc, prompt: Prompt | None = None) -> None:
    """Serve until stopped; new roster chunks are fetched and checked in the background."""
    import uvicorn

    parts = build(home, now, prompt)
    if not no_swap():
        print(SWAPPED, file=sys.stderr)  # noqa: T201
    neighbours = HttpNeighbours(parts.registry.urls)
    custodian = Custodian(
        parts.settings,
        parts.ledger,
        parts.registry,
        parts.log,
        now,
        follow=parts.follower,
        neighbours=neighbours,
        rosters=parts.log,
    )
    host, _, port = parts.settings.listen.rpartition(":")
    for one in parts.ledger.status()["keys"]:
        # A token or a vault that goes away later is not needed again; a share that does not
        # open is known now and not at the first upload.
        parts.ledger.key_of(one["sid"])
    with closing(parts), closing(neighbours), _pulling(custodian, parts):
        uvicorn.run(create_app(custodian), host=host, port=int(port), log_level="warning")


@contextmanager
def _pulling(custodian: Custodian, parts: Parts) -> Iterator[None]:
    """Keep roster and reservations current, so that nobody waits for proofs or for the log."""
    over = threading.Event()

    def turn(what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            # A chunk that does not hold stays out, a block that is not logged is not served from;
            # calls that need it say so by name. Whatever others answer us, the next turn comes.
            print(f"{what}: {type(error).__name__}", file=sys.stderr)  # noqa: T201

    def pull() -> None:
        every = 0
        while not over.wait(AHEAD_SECONDS):
            turn("the log not followed", custodian.anchors.step)
            turn("the others not heard", custodian.telling.ask)
            every += 1
            if every * AHEAD_SECONDS % ROSTER_SECONDS == 0:
                turn("secrets not let go", lambda: parts.wrapping.keep_only(parts.ledger.secrets()))
                turn("roster not taken in", custodian.pull_rosters)
                turn("keys not heard of", custodian.hear_endings)

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
    epoch: str | None = None,
    patience: float = 3600,
    step: float = 0.5,
    say: Callable[[str], None] = lambda words: None,
    now: Clock = utc,
    prompt: Prompt | None = None,
) -> Statement | None:
    """Take part in a ceremony until it is finished; an interruption loses nothing.

    Args:
        epoch: one that the invite names; by default the present one.
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
        parts.registry.session(purpose, attempt, epoch),
        parts.settings.id,
        ledger=parts.ledger,
        log=Trees(parts.log, parts.ledger),
        peers=peers,
        sign=parts.settings.key.sign,
    )
    with closing(parts), closing(peers):
        return _until_done(ceremony, time.monotonic() + patience, step, say)


def reshare(
    home: Path,
    purpose: str,
    to: int,
    *,
    dealers: Sequence[str] = (),
    attempt: int = 1,
    epoch: str | None = None,
    patience: float = 3600,
    step: float = 0.5,
    say: Callable[[str], None] = lambda words: None,
    now: Clock = utc,
    prompt: Prompt | None = None,
) -> Statement | None:
    """Take part in a resharing until it is finished; an interruption loses nothing.

    Args:
        to: the version that the new shares will have; one more than the newest in the log.
        dealers: who deals; the same for everybody. By default the first who stay.
        epoch, patience, say: as in `take_part`.

    Returns:
        The statement of version ``to`` or later, or nothing when the patience ran out.

    Raises:
        CeremonyAborted: naming the culprit.
        StatementRefused: the change is against a rule, or the log's statements do not hold.
        HomeUnready: the version before ``to`` is neither held here nor in the log, too many have
            said in the log that they destroyed their shares of it, or the invite names no such
            epoch.
    """
    parts = build(home, now, prompt)
    peers = HttpPeers(parts.registry.urls())
    with closing(parts), closing(peers):
        epoch = parts.registry.named(epoch)
        held = parts.ledger.statement(purpose, epoch)
        if held is not None and held.version >= to:
            return held
        log = Trees(parts.log, parts.ledger)
        line = _line(parts, log, purpose, epoch)
        old = _version(parts, held, line, purpose, to - 1)
        done = line[to - 1] if len(line) >= to else None
        tables = [
            Reshare(
                parts.registry.resharing(old, done.dealers if done else dealers, number),
                parts.settings.id,
                ledger=parts.ledger,
                log=log,
                peers=peers,
                sign=parts.settings.key.sign,
            )
            for number in range(1, attempt + 1)
        ]
        # An attempt that stands in the log after all is finished, whichever one was asked for.
        if done is None:
            check_enough_left(parts.ledger, parts.registry, old)
        table = next((one for one in tables if done and one.signed), tables[-1])
        session = table.session
        say(f"dealing: {', '.join(session.dealers)}; then holding: {', '.join(session.ids)}")
        return _until_done(table, time.monotonic() + patience, step, say)


def check_enough_left(ledger: Ledger, registry: Registry, old: Statement) -> None:
    """Check that a key can still be dealt again, as far as following the log has shown.

    Raises:
        HomeUnready: so many destroyed their shares that too few are left.
    """
    ending = ledger.ending(old, registry.custodians())
    if not ending.missing:
        raise HomeUnready(f"{ending.words}; so it cannot be dealt again")


def destroy(
    home: Path,
    epoch: str,
    *,
    even_current: bool = False,
    now: Clock = utc,
    prompt: Prompt | None = None,
) -> list[Statement]:
    """Delete both shares of an epoch for good, and say so in the log.

    Raises:
        HomeUnready: it is the invite's own epoch and that was not confirmed, or nothing is held.
        LogUnreachable: deleted, not yet said; run it again.
    """
    parts = build(home, now, prompt)
    with closing(parts):
        if epoch == parts.registry.invite["epoch"] and not even_current:
            raise HomeUnready(
                f"{epoch} is the current epoch: without enough shares no list of it can be "
                "opened or extended again; --even-current does it all the same"
            )
        return destruction.destroy(parts.ledger, parts.log, parts.settings.id, epoch)


def _line(parts: Parts, log: Trees, purpose: str, epoch: str) -> list[Statement]:
    """Return every version's statement that the log shows, checked from the first one on."""
    shown = parts.log.keys(epoch).get("lines", {}).get(purpose, [])
    line = [Signed.from_facts(log.believe(one).facts) for one in shown]
    if line:
        check_line(line, parts.registry.custodians())
    return [one.statement for one in line]


def _version(
    parts: Parts, held: Statement | None, line: Sequence[Statement], purpose: str, version: int
) -> Statement:
    """Return one version's statement: our own, or the log's."""
    if held is not None and held.version == version:
        return held
    if len(line) < version:
        raise HomeUnready(f"the log holds no version {version} of the {purpose} key yet")
    found = line[version - 1]
    if held is not None and (held.sid, held.public) != (found.sid, found.public):
        raise HomeUnready(f"the log's {purpose} key is another than the one held here")
    if held is not None and parts.settings.id in found.ids:
        detail = f"version {held.version} is held here: finish `reshare --to {held.version + 1}`"
        raise HomeUnready(detail)
    return found


def _until_done(
    ceremony: Table, until: float, step: float, say: Callable[[str], None]
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
