"""A custodian's home as a person sets it up: asked step by step, every answer also an option."""

import re
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import tomli_w

from consortium.cli.desk import say
from consortium.cli.home import SLUG, Home
from consortium.cli.vault import private_folder, write_whole
from consortium.custodian.settings import read_settings
from consortium.custodian.wrapping import (
    KINDS,
    Asking,
    Wish,
    from_environment,
    opened,
    protect,
    protected,
    rewrap,
)
from consortium.hours import HoursRefused, read_hours

LISTEN = "0.0.0.0:7001"
HOURS = "weekdays 18:00-22:00"
_FILES = {"passphrase": "passphrase_file", "pin": "pin_file", "vault-token": "vault_token_file"}
_ASKED = {
    "passphrase": "Passphrase",
    "pin": "PIN of the token",
    "vault-token": "Token of the vault",
}
Said = Mapping[str, Any]


def _options(*options: Callable[..., Any]) -> Callable[..., Any]:
    def add(command: Any) -> Any:
        for one in reversed(options):
            command = one(command)
        return command

    return add


_file = click.Path(exists=True, dir_okay=False, path_type=Path)

founding_options = _options(
    click.option("--name", help="Who you are, in words."),
    click.option("--id", "id_", help="A short id: a-z, 0-9 and -."),
    click.option("--listen", metavar="HOST:PORT", help=f"Where this computer answers: {LISTEN}."),
    click.option("--url", help="Where others reach you, if not http://HOST:PORT."),
    click.option("--hours", help=f"When uploads are answered: always, or {HOURS}."),
    click.option("--time-zone", help="Of the hours: America/Detroit."),
)

protection_options = _options(
    click.option("--protect", type=click.Choice(list(KINDS)), help="What protects the shares."),
    click.option("--passphrase-file", type=_file, help="Mode 0600; asked for without."),
    click.option("--pin-file", type=_file, help="pkcs11: mode 0600; asked for without."),
    click.option("--pkcs11-module", help="pkcs11: the token's library, a .so file."),
    click.option("--pkcs11-token", help="pkcs11: the token's label."),
    click.option("--pkcs11-key", help="pkcs11: the key's label; without, one is made."),
    click.option("--vault-token-file", type=_file, help="vault: mode 0600; asked for without."),
    click.option("--vault-url", help="vault: https://HOST:PORT."),
    click.option("--vault-key", help="vault: the transit key; without, one is made."),
    click.option("--vault-mount", default="transit", show_default=True, help="vault: the engine."),
    click.option("--vault-namespace", help="vault: a namespace, where there are some."),
    click.option("--vault-ca", type=_file, help="vault: certificates to trust, if your own."),
)


def somebody() -> bool:
    """Whether a person is there to answer; click's test runner counts as one."""
    return sys.stdin.isatty() or type(sys.stdin).__name__ == "_NamedTextIOWrapper"


def person() -> Callable[[str, bool], str] | None:
    """How to ask for a secret without echo; None when nobody is there."""
    return _ask if somebody() else None


def _ask(name: str, new: bool) -> str:
    if not new:
        return str(click.prompt(_ASKED[name], hide_input=True, err=True))
    words = "New passphrase, 12 letters or more (Enter: one is made for you)"
    said = str(click.prompt(words, hide_input=True, default="", show_default=False, err=True))
    if said:
        again = click.prompt("The same again", hide_input=True, err=True)
        if again != said:
            raise click.UsageError("these were two different passphrases; nothing was set up")
        return said
    from consortium.custodian.wrapping.passphrase import suggestion

    made = suggestion()
    click.echo(f"\n    {made}\n", err=True)
    click.echo("Write it on paper, kept apart from this computer; it is not shown again.", err=True)
    # It stands on the screen anyway; typing it unseen would only be harder.
    if click.prompt("Type it from the paper", err=True).strip().lower() != made:
        raise click.UsageError("that is not it; nothing was set up")
    return made


# -- init -----------------------------------------------------------------------------------------


def found(home: Path, said: Said) -> None:
    """Make the home: protection first, identity last, so that an identity is a finished home."""
    if (home / "identity.json").exists():
        made = Home(home)
        Home.create(home, id=said["id_"] or made.id, role="custodian", name="")  # is it ours?
        if protected(home / "custodian.sqlite"):
            say(f"custodian {made.id} is set up already; nothing was changed")
            return
    answers = _answers(home, said)
    asking, files = _asking(said)
    private_folder(home)
    if protected(home / "custodian.sqlite"):  # an init was interrupted: is that what it made?
        opened(home, home / "custodian.sqlite", answers["id"], asking).close()
    else:
        wish = _wish(answers["protect"], said)
        protect(home, home / "custodian.sqlite", answers["id"], wish, asking)
    if not (home / "settings.toml").exists():
        write_whole(home / "settings.toml", _settings(answers, files).encode())
    facts = {one: answers[one] for one in ("name", "url", "listen", "hours", "time_zone")}
    made = Home.create(home, id=answers["id"], role="custodian", **facts)
    say(*_next(made, answers))


def _answers(home: Path, said: Said) -> dict[str, str]:
    """Every answer, from an option or a person; checked at once."""
    if not somebody():
        named = {"id_": "--id", "listen": "--listen", "protect": "--protect"}
        missing = [option for name, option in named.items() if not said[name]]
        if missing:
            raise click.UsageError(f"nobody is here to answer: add {', '.join(missing)}")
    if somebody() and not (said["id_"] and said["listen"] and said["protect"]):
        click.echo(_WELCOME.format(home=home))
    name = said["name"] or (said["id_"] or _asked("Your organisation's name", None, _name))
    id = _id(said["id_"] or _asked("A short id for it (a-z, 0-9, -)", _slug(name), _id))
    listen = _listen(said["listen"] or _asked("Host and port to answer on", LISTEN, _listen))
    url = _url(said["url"] or _reached(said, listen))
    protect = said["protect"] or _kind()
    hours, zone = _hours(said)
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
    place = urlsplit(value)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise click.BadParameter("an address begins with http:// or https://")
    return value.rstrip("/")


def _reached(said: Said, listen: str) -> str:
    """The address for the others: asked only of who is being asked anyway."""
    host, _, port = listen.rpartition(":")
    if said["listen"] or not somebody():
        return f"http://{listen}"
    everywhere = host in ("0.0.0.0", "::", "[::]")  # noqa: S104
    shown = socket.gethostname() if everywhere else host
    words = "Its address for everybody else; from outside your network too"
    return _asked(words, f"http://{shown}:{port}", _url)


def _kind() -> str:
    click.echo("What protects your share while this computer is off, or its disk copied?")
    for number, (kind, words) in enumerate(KINDS.items(), 1):
        click.echo(f"  {number}  {kind:<11}{words}")

    def check(value: str) -> str:
        kinds = list(KINDS)
        if value.isdigit() and 0 < int(value) <= len(kinds):
            return kinds[int(value) - 1]
        if value not in kinds:
            raise click.BadParameter(f"a number from 1 to {len(kinds)}, or the word")
        return value

    return _asked("Your choice", "1", check)


def _hours(said: Said) -> tuple[str, str]:
    zone = said["time_zone"] or "UTC"
    text = said["hours"]
    if text is None and not said["listen"] and somebody():
        if click.confirm("Is this computer always on?", default=True):
            return "always", zone
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


def _asking(said: Said) -> tuple[Asking, dict[str, Path]]:
    files = {name: said[option].resolve() for name, option in _FILES.items() if said[option]}
    return Asking(files, from_environment(), person()), files


def _wish(kind: str, said: Said) -> Wish:
    """What a kind must be told, from options or a person."""
    more: dict[str, Any] = {}
    if kind == "pkcs11":
        asked = {"module": "The token's library (a .so file)", "token": "The token's label"}
        more = {
            name: said[f"pkcs11_{name}"] or _needed(words, name) for name, words in asked.items()
        }
        more["key"] = said["pkcs11_key"]
    if kind == "vault":
        more = {name: said[f"vault_{name}"] for name in ("key", "mount", "namespace")}
        more["url"] = said["vault_url"] or _needed("The vault's address, https://...", "url")
        more["ca"] = str(said["vault_ca"].resolve()) if said["vault_ca"] else None
    return Wish(kind, more)


def _needed(words: str, name: str) -> str:
    if not somebody():
        raise click.UsageError(f"nobody is here to answer: the {name} is missing")
    return _asked(words, None, _name)


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


# -- rewrap ---------------------------------------------------------------------------------------


def protect_anew(home: Path, said: Said) -> tuple[str, str]:
    """Change what protects the shares; return the kind before and now."""
    settings = read_settings(home)
    if not said["protect"] and not somebody():
        raise click.UsageError("nobody is here to answer: add --protect")
    kind = said["protect"] or _kind()
    asking, files = _asking(said)
    old = Asking(settings.secrets, from_environment(), person())
    was = rewrap(home, settings.database, settings.id, _wish(kind, said), old, asking)
    for name, path in files.items():
        if settings.secrets.get(name) != path:
            say(f'now write {name} = "{path}" under [secrets] in {home / "settings.toml"}')
    return was, kind
