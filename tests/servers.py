"""Real servers for tests: PostgreSQL, Redis, Postfix; each in its own folder, on a free port.

None of them touches a service of this machine, and all of them are stopped at the end. A server
that is not installed fails the test with one line; it never skips it, because a skipped engine is
an engine nobody tested.
"""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import redis

from consortium.cli.cast import free_ports

ROOT_USER = 0


def free_port() -> int:
    """A loopback port that is nobody else's."""
    return free_ports(1)[0]


def own_folder(name: str) -> Path:
    """A folder other users may enter: pytest's own is 0700, and PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix=f"trellis-{name}-"))
    folder.chmod(0o755)
    return folder


def lacking(what: str, package: str) -> str:
    """Fail now, with what to install."""
    pytest.fail(f"{what} is not installed here: apt-get install {package}", pytrace=False)


def wait_until(ready: Callable[[], bool], what: str, log: Path, seconds: float = 240.0) -> None:
    """Wait for a server that is coming up, and show its last words when it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if ready():
            return
        time.sleep(0.02)
    said = log.read_text(errors="replace")[-2000:] if log.exists() else "nothing"
    pytest.fail(f"{what} did not come up in {seconds:.0f} s; it said: {said}", pytrace=False)


def answers(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(slots=True)
class Postgres:
    """A running cluster; every test gets databases of its own in it."""

    port: int
    folder: Path
    serial: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        """The URL that psycopg and SQLAlchemy both take."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template1") -> str:
        """A new database, copied from ``template``; its name."""
        name = f"test_{next(self.serial)}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix.

    It takes mail for every domain into one Maildir, and refuses at RCPT, with 550 5.1.1, whoever's
    address begins with ``gone``.
    """

    port: int
    folder: Path
    binary: str = "postfix"

    def start(self) -> None:
        """Start it, again if it was killed."""
        with (self.folder / "start").open("ab") as said:
            subprocess.run(
                [self.binary, "-c", self.folder / "conf", "start"],
                check=True,
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
            )
        wait_until(lambda: answers(self.port), "Postfix", self.log)

    def set(self, **settings: str) -> None:
        """Change lines of its main.cf while it runs; processes that serve somebody end first."""
        with (self.folder / "conf" / "main.cf").open("a") as main:
            main.writelines(f"{key} = {value}\n" for key, value in settings.items())
        with (self.folder / "start").open("ab") as said:
            subprocess.run(
                [self.binary, "-c", self.folder / "conf", "reload"],
                check=True,
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
            )

    @property
    def family(self) -> list[int]:
        """Its master and every process that it has now."""
        master = int((self.folder / "queue" / "pid" / "master.pid").read_text())
        return [master, *_children(master)]

    def kill(self) -> None:
        """SIGKILL all of it at once, as a power cut would."""
        family = self.family
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.gone(family)

    def end(self) -> None:
        """End it in its own way, and take its folder away."""
        family = self.family
        with suppress(ProcessLookupError):
            os.kill(family[0], signal.SIGTERM)
        self.gone(family)  # its children write into the folder until they are gone
        shutil.rmtree(self.folder, ignore_errors=True)

    def gone(self, family: list[int]) -> None:
        """Wait until these processes are no more."""
        wait_until(lambda: not any(_lives(pid) for pid in family), "Postfix's end", self.log)

    @property
    def address(self) -> str:
        """host:port, as ``TRELLIS_SMTP`` takes it."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The log in which doubts are settled."""
        return self.folder / "log" / "mail.log"

    @property
    def maildir(self) -> Path:
        """Where everything it took ends up."""
        return self.folder / "mail" / "inbox"

    def letters(self) -> list[bytes]:
        """What has arrived by now, oldest first."""
        arrived = sorted((self.maildir / "new").glob("*"), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes() for path in arrived]

    def wait_for(self, letters: int, seconds: float = 240.0) -> list[bytes]:
        """Wait until so many letters are in the Maildir."""
        wait_until(lambda: len(self.letters()) >= letters, f"letter {letters}", self.log, seconds)
        return self.letters()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL of this run's own, without durability: it lives for one test run."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        lacking("PostgreSQL", "postgresql")
    binaries = Path(str(initdb)).parent
    folder = own_folder("postgres")
    user: str | None = None
    if os.geteuid() == ROOT_USER:  # PostgreSQL refuses to run as root
        user = "postgres"
        shutil.chown(folder, user)
    data, log, port = folder / "data", folder / "log", free_port()
    flags = ["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale", "C.UTF-8"]
    subprocess.run(
        [binaries / "initdb", "-D", data, *flags],
        check=True,
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
    }
    flags = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    with log.open("wb") as said:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *flags],
            user=user,
            cwd=folder,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
        )
    cluster = Postgres(port, folder)

    def ready() -> bool:
        try:
            psycopg.connect(cluster.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_until(ready, "PostgreSQL", log)
        yield cluster
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown: sessions are closed, not waited for
        server.wait(240)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """An empty database of this test's own."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A Redis of this run's own that writes nothing; its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        lacking("Redis", "redis-server")
    folder, port = own_folder("redis"), free_port()
    log = folder / "log"
    flags = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with log.open("wb") as said:
        server = subprocess.Popen(
            [str(binary), "--port", str(port), *flags],
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
        )
    try:
        wait_until(lambda: answers(port), "Redis", log)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(240)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """The run's Redis, emptied before and after this test."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        yield redis_server
        client.flushall()


#: Every service Postfix needs to take mail in and put it into a Maildir; none in a chroot.
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
lmtp      unix  - - n - - lmtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def _write_postfix(folder: Path, port: int, extra: Mapping[str, str]) -> Path:
    """Lay out a Postfix of its own under ``folder``; the folder of its configuration."""
    owner = pwd.getpwnam("postfix").pw_uid
    nobody, nogroup = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
    for name in ("conf", "queue", "data", "log", "mail"):
        (folder / name).mkdir()
    os.chown(folder / "data", owner, -1)
    os.chown(folder / "mail", nobody, nogroup)
    main = {
        "compatibility_level": "3.6",
        "queue_directory": str(folder / "queue"),
        "data_directory": str(folder / "data"),
        "maillog_file": str(folder / "log" / "mail.log"),
        "maillog_file_prefixes": str(folder),
        "myhostname": "mx.test",
        "mydestination": "",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.0/8",
        "alias_maps": "",
        "alias_database": "",
        "local_recipient_maps": "",
        "virtual_mailbox_domains": "static:all",
        "virtual_mailbox_base": str(folder / "mail"),
        "virtual_mailbox_maps": f"regexp:{folder}/conf/mailboxes",
        "virtual_uid_maps": f"static:{nobody}",
        "virtual_gid_maps": f"static:{nogroup}",
        "smtpd_tls_security_level": "none",
        "smtpd_client_connection_rate_limit": "0",
        **extra,
    }
    conf = folder / "conf"
    (conf / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in main.items()))
    (conf / "master.cf").write_text(MASTER.format(port=port))
    (conf / "mailboxes").write_text("!/^gone/ inbox/\n")
    return conf


def _children(pid: int) -> list[int]:
    try:
        said = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in said.split()]


def _lives(pid: int) -> bool:
    """Whether a process still runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def running_postfix(**extra: str) -> Iterator[Postfix]:
    """A Postfix of one's own; ``extra`` are further lines of its main.cf."""
    binary = shutil.which("postfix") or shutil.which("/usr/sbin/postfix")
    if binary is None:
        lacking("Postfix", "postfix")
    if os.geteuid() != ROOT_USER:
        pytest.fail("Postfix starts only as root: run the tests as root", pytrace=False)
    folder, port = own_folder("postfix"), free_port()
    _write_postfix(folder, port, extra)
    server = Postfix(port, folder, str(binary))
    server.start()
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def postfix_server() -> Iterator[Postfix]:
    """A Postfix of this run's own."""
    with running_postfix() as server:
        yield server


@pytest.fixture
def postfix(postfix_server: Postfix) -> Postfix:
    """The run's Postfix with an empty Maildir."""
    for letter in (postfix_server.maildir / "new").glob("*"):
        letter.unlink()
    return postfix_server


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium that Playwright drives; its own download is never used."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    return lacking("Chromium", "chromium")


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, object]]:
    """A real S3 protocol server of its own process; the options that s3fs reaches it with."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def up() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=2).close()
        except OSError:
            return False
        return True

    try:
        wait_until(up, "moto", Path(os.devnull))
        yield {
            "key": "trellis",
            "secret": "trellis-secret",
            "endpoint_url": f"http://127.0.0.1:{port}",
        }
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=240)
