"""The whole consortium on one machine, from a world."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from consortium.cli import outcome
from consortium.cli.cast import Cast, Fell, free_ports
from consortium.cli.stages import STAGES, Stage, usual
from consortium.world import World, WorldRefused, load

WAIT = "600"
LETTER = "event"
PORTS = ("web", "tls", "sink", "returns")


class Demo:
    """One demonstration in one folder."""

    def __init__(self, world: World, out: Path, database: str, broker: str) -> None:
        self.world, self.out = world, out
        self.database, self.broker = database, broker
        self.cast = Cast()
        out.mkdir(parents=True, exist_ok=True)
        self._facts = out / "demo.json"
        self.facts: dict[str, Any] = (
            json.loads(self._facts.read_text()) if self._facts.exists() else {}
        )
        if "ports" not in self.facts:
            total = world.custodians.total
            ports = free_ports(len(PORTS) + total + 3)
            self.facts["ports"] = {
                **dict(zip(PORTS, ports, strict=False)),
                "custodians": ports[len(PORTS) : len(PORTS) + total],
                "witnesses": ports[len(PORTS) + total :],
            }
            self.remember()

    def remember(self) -> None:
        """Keep the facts durably enough for the next start."""
        part = self._facts.with_suffix(".part")
        part.write_text(json.dumps(self.facts, indent=1))
        part.replace(self._facts)

    # Folders and addresses

    def home(self, *parts: str | int) -> Path:
        """An actor's folder."""
        return self.out.joinpath(*map(str, parts))

    @property
    def server(self) -> Path:
        """The operator's folder."""
        return self.home("server")

    @property
    def mailer(self) -> Path:
        """The mail machine's folder."""
        return self.home("mailer")

    @property
    def log_dir(self) -> Path:
        """The public log."""
        return self.home("log")

    @property
    def maildir(self) -> Path:
        """Everything that the local mail server took."""
        return self.home("mail")

    def at(self, name: str) -> str:
        """host:port of one of our own listeners."""
        return f"127.0.0.1:{self.facts['ports'][name]}"

    @property
    def numbers(self) -> range:
        """Custodians are numbered from 1."""
        return range(1, self.world.custodians.total + 1)

    def tools(self) -> list[tuple[str, Path]]:
        """The people with a tool, and their folders."""
        return [
            *(("partner", self.home("partners", p.slug)) for p in self.world.partners),
            ("steward", self.home("steward")),
            ("coordinator", self.home("coordinator")),
        ]

    # Stages

    def found(self) -> None:
        """Everybody makes a key; the operator invites."""
        do, ports = self.cast.do, self.facts["ports"]
        for n in (1, 2, 3):
            home = self.home("witnesses", n)
            address = f"127.0.0.1:{ports['witnesses'][n - 1]}"
            name = f"witness-{n}"
            self._once(home, "witness", "init", "--name", name, "--listen", address)
        for n in self.numbers:
            home = self.home("custodians", n)
            address = f"127.0.0.1:{ports['custodians'][n - 1]}"
            who = ("--id", f"custodian-{n}", "--name", f"Custodian {n}")
            kept = ("--listen", address, "--protect", "file")
            self._once(home, "custodian", "init", *who, *kept)
        for p in self.world.partners:
            with self.world.members(p.slug).open("rb") as lines:
                rows = max(1, sum(1 for _ in lines))
            what = ("--domain", p.domain, "--relation", p.relation, "--rows", str(rows))
            who = ("--id", p.slug, "--name", p.name)
            self._once(self.home("partners", p.slug), "partner", "init", *who, *what)
        for role, one in (("steward", self.world.steward), ("coordinator", self.world.coordinator)):
            self._once(self.home(role), role, "init", "--id", one.id, "--name", one.name)
        identities = [
            *(self.home("witnesses", n) for n in (1, 2, 3)),
            *(self.home("custodians", n) for n in self.numbers),
            *(home for _, home in self.tools()),
        ]
        do(
            "operator", "init", "--home", self.server, "--mailer-home", self.mailer,
            "--log-dir", self.log_dir, "--world", self.world.folder,
            *(part for path in identities for part in ("--identity", path)),
            "--listen", self.at("web"), "--tls-listen", self.at("tls"),
            "--smtp", self.at("sink"), "--smtp-log", (self.mailer / "sink.jsonl").absolute(),
            "--database", self.database, "--broker", self.broker,
            "--hold-seconds", "1", "--letters-per-second", "200",
            "--quiet-hours", "00:00-00:00", "--demo",
            log=self.server / "init.log",
        )  # fmt: skip
        shutil.copy(self.mailer / "dns.json", self.out / "dns.json")
        invite = self.server / "invite.json"
        for n in (1, 2, 3):
            home = self.home("witnesses", n)
            do("witness", "trust", "--home", home, "--invite", invite, log=home / "setup.log")
        for n in self.numbers:
            home = self.home("custodians", n)
            do("custodian", "join", "--home", home, "--invite", invite, "--consent-steward",
               log=home / "setup.log")  # fmt: skip
        for role, home in self.tools():
            do(role, "join", "--home", home, "--invite", invite, log=home / "setup.log")

    def _once(self, home: Path, *args: str | Path) -> None:
        if not (home / "identity.json").exists():
            self.cast.do(*args, "--home", home, log=home / "setup.log")

    def start(self) -> None:
        """Start every server; each has its own folder and its own keys."""
        ports, start = self.facts["ports"], self.cast.start
        start("sink", "sink", "--listen", self.at("sink"), "--maildir", self.maildir,
              "--log", self.mailer / "sink.jsonl", log=self.mailer / "sink.log",
              port=ports["sink"])  # fmt: skip
        start("returns", "returns", "--listen", self.at("returns"), "--spool",
              self.mailer / "returns", log=self.mailer / "returns.log",
              port=ports["returns"])  # fmt: skip
        for n in (1, 2, 3):
            home = self.home("witnesses", n)
            start(f"witness {n}", "witness", "serve", "--home", home, log=home / "serve.log")
        for n in self.numbers:
            home = self.home("custodians", n)
            start(f"custodian {n}", "custodian", "serve", "--home", home, log=home / "serve.log")
        for n in (1, 2, 3):
            self.cast.wait(f"witness {n}", ports["witnesses"][n - 1])
        start("server", "operator", "serve", "--home", self.server,
              log=self.server / "serve.log", port=ports["web"])  # fmt: skip
        start("worker", "operator", "worker", "--home", self.server,
              log=self.server / "worker.log")  # fmt: skip
        start("mailer", "operator", "mailer", "--home", self.server,
              log=self.mailer / "mailer.log")  # fmt: skip
        for n in self.numbers:
            self.cast.wait(f"custodian {n}", ports["custodians"][n - 1])

    def ceremony(self) -> None:
        """Custodians make the key of tokens and the key of locks, each with the others."""
        for purpose in ("match", "seal"):
            homes = [self.home("custodians", n) for n in self.numbers]
            self.cast.both(
                [
                    (("custodian", "ceremony", "--home", home, "--purpose", purpose,
                      "--patience", WAIT), home / "ceremony.log")
                    for home in homes
                ]
            )  # fmt: skip

    def _partners(self, verb: str, *more: str | Path) -> None:
        """Every partner does something side by side; what its tool says stays in its own home."""
        homes = [self.home("partners", p.slug) for p in self.world.partners]
        self.cast.both(
            [(("partner", verb, "--home", home, *more, "--wait", WAIT), home / f"{verb}.log")
             for home in homes]
        )  # fmt: skip

    def sign(self) -> None:
        """Every partner reads and signs the agreement."""
        self._partners("sign", "--yes")

    def enrol(self) -> None:
        """The steward's tokens, decoys and coarse attributes go in."""
        home = self.home("steward")
        self.cast.do("steward", "enrol", "--home", home, self.world.roll, "--yes",
                     "--wait", WAIT, log=home / "enrol.log")  # fmt: skip

    def upload(self) -> None:
        """Each partner's mailable rows go in, tokenised and sealed."""
        homes = {p.slug: self.home("partners", p.slug) for p in self.world.partners}
        due = [slug for slug, home in homes.items() if not (home / "uploaded").exists()]
        self.cast.both(
            [(("partner", "upload", "--home", homes[slug], self.world.members(slug), "--yes",
               "--workers", "1", "--wait", WAIT), homes[slug] / "upload.log") for slug in due],
            lambda number: (homes[due[number]] / "uploaded").touch(),
        )  # fmt: skip

    def match(self) -> None:
        """Wait until every list has met the voter file."""
        for p in self.world.partners:
            home = self.home("partners", p.slug)

            def matched(home: Path = home) -> bool:
                said = self.last(
                    self.cast.do(
                        "partner", "lists", "--home", home, "--json", log=home / "lists.log"
                    )
                )
                return bool(said["lists"]) and all(
                    one["server"] in ("matched", "withdrawn") for one in said["lists"]
                )

            self._until(matched, "the lists to be matched")

    def write(self) -> None:
        """Choose the audience, ask for its size, draft, submit."""
        home = self.home("coordinator")
        chosen = home / "audience.json"
        chosen.write_text(json.dumps(dict(self.world.audience)))
        base = ("--home", home, "--json")
        counted = self.last(
            self.cast.do("coordinator", "count", *base, "--definition", chosen, log=home / "log")
        )
        self.facts["estimate"] = counted["estimate"]
        now = datetime.now(UTC).replace(microsecond=0)
        if "campaign" not in self.facts:
            letter = home / "letter.json"
            self.cast.do("coordinator", "starter", LETTER, "--out", letter, log=home / "log")
            self._ask_volunteer(base)
            drafted = self.last(
                self.cast.do(
                    "coordinator", "draft", *base, "--definition", chosen, "--template", letter,
                    "--messenger", self.world.messenger.name,
                    "--messenger-place", self.world.messenger.place,
                    "--opens", f"{now - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}",
                    "--closes", f"{now + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}",
                    log=home / "log",
                )
            )  # fmt: skip
            self.facts["campaign"] = drafted["id"]
        self.remember()
        campaign = self.facts["campaign"]
        self.cast.do("coordinator", "submit", *base, campaign, log=home / "log")
        self.cast.do("coordinator", "schedule", *base, campaign, log=home / "log")

    def _ask_volunteer(self, base: tuple[str | Path, ...]) -> None:
        """The coordinator names who signs; the volunteer reads what that means, and confirms."""
        if "volunteer" not in self.facts:
            who = self.world.messenger
            log = self.home("coordinator") / "log"
            asked = self.cast.do(
                "coordinator", "messenger", *base, "--name", who.name, "--place", who.place, log=log
            )  # fmt: skip
            self.facts["volunteer"] = self.last(asked)["link"]
            self.remember()
        outcome.confirm(self.facts["volunteer"], self.server / "tls.pem", self.world.messenger.name)

    def approve(self) -> None:
        """Every partner signs exactly what will be sent."""
        self._partners("approve", self.facts["campaign"], "--yes")

    def attest(self) -> None:
        """Every partner checks its own rows under the frozen root."""
        self._watch("frozen")
        moved = ("--moved", "100000")  # a demo world's people move; the tool says how many
        self._partners("attest", self.facts["campaign"], *moved)

    def send(self) -> None:
        """Wait until the letters have gone."""
        self._watch("closed")

    def returns(self) -> None:
        """One person stops by one click; one mailbox does not exist."""
        self.facts["stopped"] = outcome.stop_one(self.maildir, self.server / "tls.pem")
        outcome.bounce_one(self.maildir, self.at("returns"))
        self._until(
            lambda: not any((self.mailer / "returns" / "new").glob("*")), "the bounce to be read"
        )
        self.remember()

    def audit(self) -> None:
        """Check the public log as any stranger would."""
        said = self.cast.do(
            "audit", "verify", f"http://{self.at('web')}/log",
            "--vkey", self.log_dir / "log.vkey",
            *(part for n in (1, 2, 3)
              for part in ("--witness", self.log_dir / f"witness-{n}.vkey")),
            "--quorum", "2", "--json", log=self.server / "audit.log",
        )  # fmt: skip
        self.facts["log_size"] = int(json.loads(said)["size"])
        self.facts["verified"] = True
        self.remember()

    # Waiting

    def _watch(self, state: str) -> None:
        home = self.home("coordinator")
        said = self.last(
            self.cast.do(
                "coordinator", "watch", "--home", home, self.facts["campaign"], "--until", state,
                "--every", "0.5", "--timeout", WAIT, "--json", log=home / "log",
            )
        )  # fmt: skip
        if said["state"] == "stopped":
            raise Fell(f"the campaign was stopped: {said.get('waiting_for', '')}")

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + float(WAIT)
        while not ready():
            self.cast.check()
            if time.monotonic() > end:
                raise Fell(f"waited {WAIT} s for {what}")
            time.sleep(0.5)

    @staticmethod
    def last(said: str) -> dict[str, Any]:
        """The last line that a command printed with --json."""
        found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return found


def _world(given: Path | None, out: Path, console: Console) -> World:
    folder = given or out / "world"
    if given is None and not (folder / "world.toml").exists():
        console.print("making a world of 2,500 generated voters; nobody in it exists")
        Cast().do("world", "make", "--voters", "2500", "--members", "500,400,300", "--seed", "7",
                  "--out", folder, log=out / "world.log")  # fmt: skip
    try:
        return load(folder)
    except WorldRefused as refused:
        raise click.ClickException(str(refused)) from refused


@click.command()
@click.option("--world", "given", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("demo"),
              show_default=True, help="Everything happens in here.")  # fmt: skip
@click.option("--once", is_flag=True, help="End when the letters are out and the log is checked.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on stdout.")
@click.option("--database", default="", help="SQLAlchemy URL; default: SQLite in D/server.")
@click.option("--broker", default="", help="Celery broker URL; default: folders in D/server.")
def command(
    given: Path | None, out: Path, once: bool, as_json: bool, database: str, broker: str
) -> None:
    """Run the whole path on a world, every actor as its own process; start again to go on."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    world = _world(given, out, console)
    demo = Demo(world, out.absolute(), database, broker)
    stage = Stage(demo.out, usual(world), console)
    signal.signal(signal.SIGTERM, stage.end)
    try:
        stage.run(STAGES[0], demo.found)
        demo.start()
        for name, work in zip(
            STAGES[1:],
            (demo.ceremony, demo.sign, demo.enrol, demo.upload, demo.match, demo.write,
             demo.approve, demo.attest, demo.send, demo.returns, demo.audit),
            strict=True,
        ):  # fmt: skip
            stage.run(name, work)
        summary = outcome.summary(
            world,
            demo.maildir,
            facts=demo.facts,
            approved_by=len(world.partners),
            seconds=round(time.monotonic() - began, 1),
        )
        _say(console, demo, summary)
        if not once:
            _stay(console, demo)
    except Fell as fell:
        raise click.ClickException(f"{fell}. Run the same command again to go on.") from fell
    except KeyboardInterrupt:
        console.print("\nending; run the same command again to go on")
    finally:
        demo.cast.end()
    if as_json:
        click.echo(json.dumps(summary))


def _say(console: Console, demo: Demo, summary: dict[str, Any]) -> None:
    console.print(
        f"{summary['sent']} letters in {demo.maildir}; the log has {summary['log_size']} entries "
        f"and was checked; DNS records that would be published: {demo.out / 'dns.json'}"
    )


def _stay(console: Console, demo: Demo) -> None:
    """Print where to click, and stay until somebody ends it."""
    console.print(f"\nThe web app: http://{demo.at('web')}/")
    people = [
        ("coordinator", demo.world.coordinator.id),
        *((f"partner {p.name}", p.slug) for p in demo.world.partners),
    ]
    for name, actor in people:
        link = demo.cast.do(
            "operator", "link", "--home", demo.server, actor, log=demo.out / "links.log"
        )
        console.print(f"  {name}: {link.strip()} (works once)")
    console.print(f"  auditor and everybody: http://{demo.at('web')}/audit")
    console.print("Ctrl-C ends it.")
    while True:
        demo.cast.check()
        time.sleep(1.0)
