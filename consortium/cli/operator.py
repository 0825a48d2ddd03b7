"""Migrate, invite a partner, serve, settle mail in doubt, back up, restore."""

import json
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import click

from consortium.cli import domains, epochs, founding, returned
from consortium.world import WorldRefused, load

_home = click.option(
    "--home", required=True, type=click.Path(path_type=Path), help="The operator's folder."
)


@click.group()
def command() -> None:
    """Run the servers; alone, you can open no list."""


command.add_command(epochs.command)
command.add_command(domains.command)
command.add_command(returned.command)


@command.command()
@_home
@click.option("--mailer-home", required=True, type=click.Path(path_type=Path))
@click.option("--log-dir", required=True, type=click.Path(path_type=Path))
@click.option("--world", "world_dir", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--identity", "identities", multiple=True, type=click.Path(path_type=Path),
              help="A folder with somebody's identity.json; repeat.")  # fmt: skip
@click.option("--listen", required=True, metavar="HOST:PORT")
@click.option("--tls-listen", default="", metavar="HOST:PORT")
@click.option("--origin", default="trellis.example/log", show_default=True)
@click.option("--quorum", type=int, default=2, show_default=True)
@click.option("--smtp", default="127.0.0.1:25", show_default=True)
@click.option("--smtp-log", default="", help="The mail server's log, to settle doubts from.")
@click.option("--database", default="")
@click.option("--broker", default="")
@click.option("--artefacts", default="")
@click.option("--log-store", default="", help="s3://bucket/prefix for the log's files.")
@click.option("--log-lock", type=click.Path(path_type=Path), default=None,
              help="A file for the log's lock, apart from the database. Chosen once.")  # fmt: skip
@click.option("--publish-seconds", type=float, default=None)
@click.option("--publish-cover", type=click.IntRange(0, 256), default=None,
              help="Entries of each form a publication shows at least, dummies included; "
              "4, or 0 where the log publishes more than once a minute.")  # fmt: skip
@click.option("--match-seconds", type=float, default=None)
@click.option("--hold-seconds", type=float, default=60.0)
@click.option("--letters-per-second", type=float, default=50.0)
@click.option("--letters-per-week", type=click.IntRange(1, 7), default=1, show_default=True,
              help="Cap for one person, over all partners; part of the agreement.")  # fmt: skip
@click.option("--quiet-hours", default="20:00-08:00", show_default=True)
@click.option("--demo", is_flag=True, help="Marks every page: all custodians on one machine.")
def init(
    home: Path,
    mailer_home: Path,
    log_dir: Path,
    world_dir: Path,
    identities: tuple[Path, ...],
    listen: str,
    tls_listen: str,
    origin: str,
    quorum: int,
    smtp: str,
    smtp_log: str,
    database: str,
    broker: str,
    artefacts: str,
    log_store: str,
    log_lock: Path | None,
    publish_seconds: float | None,
    publish_cover: int | None,
    match_seconds: float | None,
    hold_seconds: float,
    letters_per_second: float,
    letters_per_week: int,
    quiet_hours: str,
    demo: bool,
) -> None:
    """Make keys, database, agreement, invite and the log's public files. Safe to repeat."""
    from consortium.settings import on_loopback
    from consortium.wiring import Process, settings_of

    try:
        world = load(world_dir)
    except WorldRefused as refused:
        raise click.ClickException(str(refused)) from refused
    founding.found_operator(home)
    records = founding.found_mailer(mailer_home, {p.slug: p.domain for p in world.partners})
    (mailer_home / "dns.json").write_text(json.dumps(records, indent=1) + "\n")
    people = [founding.identity(path) for path in identities]
    people += [founding.identity(home), founding.identity(mailer_home)]
    kept_by = founding.quorum_words(people, quorum)
    seconds = publish_seconds or world.intervals.publish_seconds
    founding.write_settings(
        {
            "database": database,
            "broker": broker,
            "artefacts": artefacts,
            "log_dir": log_dir.absolute(),
            "log_store": log_store,
            "log_lock": "" if log_lock is None else log_lock.absolute(),
            "mailer_home": mailer_home.absolute(),
            "public_url": f"https://{tls_listen or listen}",
            "listen": listen,
            "tls_listen": tls_listen,
            "publish_seconds": seconds,
            "publish_cover": founding.cover_of(seconds) if publish_cover is None else publish_cover,
            "match_seconds": match_seconds or world.intervals.match_seconds,
            "smtp": smtp,
            # A server on this machine (the sink, or a Postfix beside us) is reached over loopback.
            "smtp_tls": "off" if on_loopback(smtp) else "required",
            "smtp_log": smtp_log,
            "hold_seconds": hold_seconds,
            "letters_per_second": letters_per_second,
            # The demo's mail server knows every domain, and delivers to nobody.
            **({"letters_per_second_to_one": 1e6, "first_day_letters": 0} if demo else {}),
            "settled_seconds": 3 if demo else 60 if smtp_log.endswith(".jsonl") else 600,
            "demo": demo,
        },
        home,
    )
    place = founding.Place(home, log_dir, mailer_home, f"http://{listen}", origin)
    invite = founding.invite_of(place, world, people, quorum=quorum, demo=demo)
    agreed = home / "agreement.json"
    if not agreed.exists():
        first, _, last = quiet_hours.partition("-")
        agreed.write_bytes(
            founding.agreement_of(
                world,
                people,
                datetime.now(UTC),
                quiet_hours=(first, last),
                letters_per_week=letters_per_week,
            )
        )
    founding.found(Process(settings_of(home)), world, invite, agreed.read_bytes())
    click.echo(f"{len(people)} actors, quorum {quorum}; invite: {home / 'invite.json'}")
    click.echo(kept_by)


@command.command()
@_home
def migrate(home: Path) -> None:
    """Bring the database to this version's schema."""
    from consortium.wiring import Process, settings_of

    Process(settings_of(home)).migrate()
    click.echo("the database is up to date")


@command.command()
@_home
def serve(home: Path) -> None:
    """Serve the API, the web app and the log; over TLS too when a second address is set."""
    import uvicorn

    from consortium.cli.certificate import self_signed
    from consortium.web.app import create_app
    from consortium.wiring import Process, settings_of

    process = Process(settings_of(home))
    app = create_app(process)
    host, _, port = process.settings.listen.rpartition(":")
    options = {"log_level": "warning", "access_log": False, "server_header": False}
    if process.settings.tls_listen:
        name, _, secure = process.settings.tls_listen.rpartition(":")
        paths = self_signed(home, name, process.clock())
        tls = uvicorn.Server(
            uvicorn.Config(
                app,
                host=name,
                port=int(secure),
                ssl_certfile=str(paths[0]),
                ssl_keyfile=str(paths[1]),
                **options,  # type: ignore[arg-type]
            )
        )
        tls.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        threading.Thread(target=tls.run, name="tls", daemon=True).start()
    uvicorn.Server(uvicorn.Config(app, host=host, port=int(port), **options)).run()  # type: ignore[arg-type]


def _work(home: Path, queues: str, every: dict[str, float], *, relays: bool) -> None:
    os.environ["TRELLIS_HOME"] = str(home.absolute())
    from consortium import leavings
    from consortium.jobs.working import work

    leavings.contain()
    sys.exit(work(queues, every, relays=relays))


@command.command()
@_home
def worker(home: Path) -> None:
    """Publish the log, match, freeze audiences. Holds the log's key and the pepper."""
    os.environ["TRELLIS_HOME"] = str(home.absolute())
    from consortium.jobs import matching, publishing
    from consortium.jobs.celery import process

    knobs = process().settings
    every = {
        publishing.run.name: publishing.every(knobs.publish_seconds, knobs.publish_cover),
        publishing.refresh.name: publishing.REFRESH_SECONDS,
        matching.run.name: knobs.match_seconds,
        matching.tidy.name: matching.TIDY_SECONDS,
    }
    _work(home, "publishing,matching", every, relays=True)


@command.command()
@_home
def mailer(home: Path) -> None:
    """Open what was approved, and send it. The only process with the mailer's keys."""
    os.environ["TRELLIS_HOME"] = str(home.absolute())
    from consortium.hardening import no_core_dumps
    from consortium.wiring import settings_of

    try:
        settings_of(home)
    except ValueError as refused:
        raise click.ClickException(str(refused)) from refused
    from consortium.jobs import mailing, returns, rotating, vetting

    no_core_dumps()
    rotating.rotation().advance()
    every = {
        mailing.run.name: 1.0,
        returns.run.name: 2.0,
        rotating.run.name: rotating.SECONDS,
        vetting.run.name: vetting.SECONDS,
    }
    _work(home, "mailing", every, relays=False)


@command.command()
@_home
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="From entry.")
@click.option("--end", type=click.IntRange(0), default=None, help="Up to, without, entry.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def dummies(home: Path, first: int, end: int | None, file: Path) -> None:
    """Write what opens the log's dummies, for an auditor: trellis audit receipt FILE."""
    from consortium.service import show
    from consortium.wiring import Process, settings_of

    process = Process(settings_of(home))
    last = end if end is not None else 1 << 62
    found = process.units.read(
        "dummies", lambda unit: show.dummies(unit, process.log_files, first, last)
    )
    if not found["evidence"]:
        raise click.ClickException("there is no dummy among these entries; nothing was written")
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    click.echo(f"{len(found['evidence']):,} dummies opened in {file}")


@command.command()
@_home
@click.argument("actor")
def link(home: Path, actor: str) -> None:
    """Print a one-time sign-in link for somebody."""
    from consortium.service import sign_in
    from consortium.wiring import Process, settings_of

    process = Process(settings_of(home))
    token = process.units.run("link", lambda unit: sign_in.make_link(unit, actor, process.clock()))
    click.echo(f"http://{process.settings.listen}/sign-in/{token}")


@command.command()
@_home
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def places(home: Path, file: Path) -> None:
    """Load where and when people vote, by precinct, for letters to say; checked cell by cell."""
    from consortium.service import locate
    from consortium.service.errors import NotReady
    from consortium.store import races
    from consortium.store.unit import Unit
    from consortium.wiring import Process, settings_of
    from mailer.errors import PlacesRefused

    process, raw = Process(settings_of(home)), file.read_bytes()

    def load_table(unit: Unit) -> locate.Loaded:
        race, artefacts = races.first(unit).id, process.artefacts
        return locate.load(unit, race, raw, file=file.name, artefacts=artefacts)

    try:
        done = process.units.run("places", load_table)
    except (PlacesRefused, NotReady) as refused:
        raise click.ClickException(f"{refused}; nothing was loaded") from refused
    click.echo(f"{done.rows:,} rows with {', '.join(done.columns)}; the table is {done.digest}")
    if done.missing:
        rest = "have what * says" if done.everywhere else "have no facts"
        click.echo(f"{len(done.missing):,} precincts without a row {rest}: "
                   f"{', '.join(done.missing[:10])}")  # fmt: skip
    click.echo("Letters drafted before that say anything else now wait: draft those again.")


@command.command()
@_home
@click.option("--campaign", help="List this campaign's letters in doubt.")
@click.option("--letter", "letters", multiple=True, help="Decide about this one; repeat.")
@click.option("--was", type=click.Choice(["sent", "not-sent"]))
@click.option("--by", default="", help="Who decides: a person's name.")
@click.option("--looked", type=click.Choice(["mail-log", "provider", "mailbox", "nowhere"]),
              default="nowhere", help="Where that person looked.")  # fmt: skip
def doubt(
    home: Path,
    campaign: str | None,
    letters: tuple[str, ...],
    was: str | None,
    by: str,
    looked: str,
) -> None:
    """List letters in doubt, and decide what no machine can: were they taken or not?

    A decision is an entry in the log: how many letters, by whom, and where they looked.
    """
    from consortium.service import decide
    from consortium.service.errors import WrongState
    from consortium.store.errors import Missing
    from consortium.store.unit import Unit
    from consortium.wiring import Process, settings_of

    process = Process(settings_of(home))
    if not letters and was is None:
        for one in process.units.run("doubts", lambda unit: decide.doubts(unit, campaign)):
            since = f"{one.claimed_at:%Y-%m-%d %H:%M:%S} UTC" if one.claimed_at else "unknown"
            click.echo(f"{one.id}  campaign {one.campaign}  claimed {since}  {one.outcome}")
        return
    if not letters or was is None or not by:
        raise click.UsageError("--letter, --was and --by go together")

    def settle(unit: Unit) -> str:
        pen = process.operator_pen
        return decide.decide(unit, pen, letters, sent=was == "sent", by=by, looked=looked)

    try:
        leaf = process.units.run("doubt", settle)
    except (WrongState, Missing) as refused:
        raise click.ClickException(f"{refused}; nothing was changed") from refused
    click.echo(f"decided; the entry is {leaf}")


@command.command()
@_home
@click.option("--partner", required=True, help="Whose list it is.")
@click.option("--by", required=True, help="Who decides: a person's name.")
@click.option("--why", required=True, help="What you found when you looked into it.")
def thaw(home: Path, partner: str, by: str, why: str) -> None:
    """Let a frozen list go on: its stops are real, and no planted mailboxes."""
    from consortium.service import thaw as service
    from consortium.service.errors import WrongState
    from consortium.store import races
    from consortium.store.unit import Unit
    from consortium.wiring import Process, settings_of

    process = Process(settings_of(home))

    def decide(unit: Unit) -> str:
        race, pen = races.first(unit).id, process.operator_pen
        return service.thaw(unit, pen, race, partner, by=by, why=why, now=process.clock())

    try:
        leaf = process.units.run("thaw", decide)
    except WrongState as refused:
        raise click.ClickException(f"{refused}; nothing was changed") from refused
    click.echo(f"decided; the entry is {leaf}")


@command.command()
@_home
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")
def status(home: Path, as_json: bool) -> None:
    """Say who answers, who is missing, and what waits for them."""
    from consortium.cli.standing import standing
    from consortium.wiring import Process, settings_of

    found = standing(Process(settings_of(home)))
    click.echo(json.dumps(found.to_json()) if as_json else "\n".join(found.lines()))
