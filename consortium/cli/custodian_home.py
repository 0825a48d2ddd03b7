"""A custodian's home as a person sets it up: asked step by step, every answer also an option."""

import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import tomli_w

from consortium.cli.desk import say
from consortium.cli.home import SLUG, Home
from consortium.cli.protecting import Said, ask_kind, asking, options, somebody, wish_of
from consortium.cli.vault import private_folder, write_whole
from consortium.custodian.wrapping import from_environment, opened, protect, protected
from consortium.hours import HoursRefused, read_hours

LISTEN = "0.0.0.0:7001"
HOURS = "weekdays 18:00-22:00"


founding_options = options(
    click.option("--name", help="Who you are, in words."),
    click.option("--id", "id_", help="A short id: a-z, 0-9 and -."),
    click.option("--listen", metavar="HOST:PORT", help=f"Where this computer answers: {LISTEN}."),
    click.option("--url", help="Where others reach you, if not http://HOST:PORT."),
    click.option("--hours", help=f"When uploads are answered: always, or {HOURS}."),
    click.option("--time-zone", help="Of the hours: America/Detroit."),
)


def found(home: Path, said: Said) -> None:
    """Make the home: protection first, identity last, so that an identity is a finished home."""
    if (home / "identity.json").exists():
        made = Home(home)
        Home.create(home, id=said["id_"] or made.id, role="custodian", name="")  # is it ours?
        if protected(home / "custodian.sqlite"):
            say(f"custodian {made.id} is set up already; nothing was changed")
            return
    answers = _answers(home, said)
    ask, files = asking(said, from_environment())
    private_folder(home)
    if protected(home / "custodian.sqlite"):  # an init was interrupted: is that what it made?
        opened(home, home / "custodian.sqlite", answers["id"], ask).close()
    else:
        wish = wish_of(answers["protect"], said)
        protect(home, home / "custodian.sqlite", answers["id"], wish, ask)
    if not (home / "settings.toml").exists():
        write_whole(home / "settings.toml", _settings(answers, files).encode())
    facts = {one: answers[one] for one in ("name", "url", "listen", "hours", "time_zone")}
    made = Home.create(home, id=answers["id"], role="custodian", **facts)
    say(*_next(made, answers))


def _answers(home: Path, said: Said) -> dict[str, str]:
    """Every answer, from an option or a person; checked at once."""
    needed = {"id_": "--id", "listen": "--listen", "protect": "--protect"}
    missing = [option for name, option in needed.items() if not said[name]]
    walked = bool(missing)  # who says all that is needed is asked nothing
    if missing and not somebody():
        raise click.UsageError(f"nobody is here to answer: add {', '.join(missing)}")
    if walked:
        click.echo(_WELCOME.format(home=home))
    name = said["name"] or said["id_"] or _asked("Your organisation's name", None, _name)
    id = _id(said["id_"] or _asked("A short id for it (a-z, 0-9, -)", _slug(name), _id))
    listen = _listen(said["listen"] or _asked("Host and port to answer on", LISTEN, _listen))
    url = _url(said["url"] or (_reached(listen) if walked else f"http://{listen}"))
    protect = said["protect"] or ask_kind()
    hours, zone = _hours(said, walked)
    answers = {"name": name, "id": id, "listen": listen, "url": url, "protect": protect}
    return {**answers, "hours": hours, "time_zone": zone}


_WELCOME = """\
This makes a custodian in {home}: it will hold one share of two keys, and see no names.
Enter takes what stands in [brackets]; Ctrl-C leaves nothing half done.
"""


def _asked(words: str, default: str | None, check: Callable[[str], str]) -> str:
    return str(click.prompt(words, default=default, value_proc=check))


def _name(value: str) -> str:
    if not value.strip():
        raise click.BadParameter("a name has letters")
    return value.strip()


def _slug(name: str) -> str | None:
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return made or None


def _id(value: str) -> str:
    if not SLUG.fullmatch(value):
        raise click.BadParameter("an id has 1 to 40 of the letters a-z, the digits 0-9 and -")
    return value


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter("this is like 0.0.0.0:7001, a host and a port")
    return value


def _url(value: str) -> str:
    try:
        place = urlsplit(value)
    except ValueError:
        place = urlsplit("")
    if place.scheme not in ("http", "https") or not place.hostname:
        raise click.BadParameter("an address is like https://custodian.example.org:7001")
    return value.rstrip("/")


def _reached(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    everywhere = host in ("0.0.0.0", "::", "[::]")  # noqa: S104
    shown = socket.gethostname() if everywhere else host
    words = "Its address for everybody else; from outside your network too"
    return _asked(words, f"http://{shown}:{port}", _url)


def _hours(said: Said, walked: bool) -> tuple[str, str]:
    zone, text = said["time_zone"] or "UTC", said["hours"]
    if text is None and walked and not click.confirm("Is this computer always on?", default=True):
        zone = said["time_zone"] or _asked("Your time zone", _local_zone(), _zone)
        text = _asked("When it is on, for uploads", HOURS, lambda value: _times(value, zone))
    try:
        return read_hours(text or "always", zone).text, zone
    except HoursRefused as error:
        raise click.UsageError(str(error)) from error


def _zone(value: str) -> str:
    _times("always", value)
    return value


def _times(value: str, zone: str) -> str:
    try:
        return read_hours(value, zone).text
    except HoursRefused as error:
        raise click.BadParameter(str(error)) from error


def _local_zone() -> str:
    """This computer's zone, as its own settings name it."""
    try:
        return str(Path("/etc/localtime").resolve()).split("zoneinfo/")[1]
    except (IndexError, OSError):
        return "UTC"


def _settings(answers: Mapping[str, str], files: Mapping[str, Path]) -> str:
    knobs: dict[str, Any] = {one: answers[key] for one, key in _KNOBS.items()}
    if files:
        knobs["secrets"] = {name: str(path) for name, path in files.items()}
    return _SETTINGS + tomli_w.dumps(knobs)


_KNOBS = {"upload_hours": "hours", "time_zone": "time_zone"}
_SETTINGS = (
    "# Read at every start; docs/how-to/custodian.md names every word that may stand here.\n"
)


def _next(made: Home, answers: Mapping[str, str]) -> tuple[str, ...]:
    verb, home = "trellis custodian", made.path
    return (
        f"custodian {made.id} is ready: it answers at {answers['url']}, "
        f"uploads {read_hours(answers['hours'], answers['time_zone']).said()}.",
        f"Send {home / 'identity.json'} to the operator, and nothing else of this folder.",
        "When the operator's invite has come, these three, in this order:",
        f"  {verb} join --home {home} --invite invite.json",
        f"  {verb} serve --home {home}          and leave it running",
        f"  {verb} ceremony --home {home} --purpose match",
        "The last one in another window, then again with --purpose seal.",
    )
