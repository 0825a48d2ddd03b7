"""What protects a custodian's shares as a person says it: a kind, where it is, and its secret."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from consortium.cli.desk import say
from consortium.custodian.settings import read_settings
from consortium.custodian.wrapping import KINDS, Asking, Wish, from_environment, rewrap

_FILES = {"passphrase": "passphrase_file", "pin": "pin_file", "vault-token": "vault_token_file"}
_ASKED = {
    "passphrase": "Passphrase",
    "pin": "PIN of the token",
    "vault-token": "Token of the vault",
}
_LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so",
    "/usr/lib64/opensc-pkcs11.so",
    "/usr/lib/softhsm/libsofthsm2.so",
)
Said = Mapping[str, Any]


def options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decorator that adds these options in this order."""

    def add(command: Any) -> Any:
        for one in reversed(options):
            command = one(command)
        return command

    return add


_file = click.Path(exists=True, dir_okay=False, path_type=Path)

protection_options = options(
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
    from consortium.custodian.wrapping.passphrase import SHORTEST, suggestion

    click.echo(
        f"A new passphrase, {SHORTEST} letters or more; nothing shows while you type.", err=True
    )
    while True:
        said = _hidden("Passphrase (Enter: one is made for you)", default="")
        if not said:
            return _written_down(suggestion())
        if len(said) < SHORTEST:
            click.echo(f"Error: that has {len(said)} letters", err=True)
        elif _hidden("The same again") == said:
            return said
        else:
            click.echo("Error: these were two different ones", err=True)


def _hidden(words: str, default: str | None = None) -> str:
    said = click.prompt(words, hide_input=True, default=default, show_default=False, err=True)
    return str(said)


def _written_down(made: str) -> str:
    """Show a passphrase until it was typed once from wherever it was written to."""
    click.echo(f"\n    {made}\n", err=True)
    click.echo("Write it on paper, kept apart from this computer; it is not shown again.", err=True)
    # It stands on the screen anyway; typing it unseen would only be harder.
    while click.prompt("Type it from the paper", err=True).strip().lower() != made:
        click.echo("Error: that is not it", err=True)
    return made


def ask_kind() -> str:
    """Ask which kind it shall be."""
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

    return str(click.prompt("Your choice", default="1", value_proc=check))


def asking(said: Said, credentials: Path | None) -> tuple[Asking, dict[str, Path]]:
    """Return how a new secret is asked for, and the files that options named."""
    files = {name: said[option].resolve() for name, option in _FILES.items() if said[option]}
    return Asking(files, credentials, person()), files


def wish_of(kind: str, said: Said) -> Wish:
    """What a kind must be told, from options or a person."""
    more: dict[str, Any] = {}
    if kind == "pkcs11":
        here = next((one for one in _LIBRARIES if Path(one).exists()), None)
        library = said["pkcs11_module"] or _needed("The token's library, a .so file", here)
        token = said["pkcs11_token"] or _needed("The token's label")
        more = {"module": library, "token": token, "key": said["pkcs11_key"]}
    if kind == "vault":
        more = {name: said[f"vault_{name}"] for name in ("key", "mount", "namespace")}
        more["url"] = said["vault_url"] or _needed("The vault's address, https://...")
        more["ca"] = str(said["vault_ca"].resolve()) if said["vault_ca"] else None
    return Wish(kind, more)


def _needed(words: str, default: str | None = None) -> str:
    if not somebody():
        raise click.UsageError(f"nobody is here to answer, and no option says: {words}")
    return str(click.prompt(words, default=default))


def protect_anew(home: Path, said: Said) -> tuple[str, str]:
    """Change what protects the shares; return the kind before and now."""
    settings = read_settings(home)
    if not said["protect"] and not somebody():
        raise click.UsageError("nobody is here to answer: add --protect")
    kind = said["protect"] or ask_kind()
    # Not from the unit's credential: that is still the old one.
    new, files = asking(said, None)
    old = Asking(settings.secrets, from_environment(), person())
    was = rewrap(home, settings.database, settings.id, wish_of(kind, said), old, new)
    for name, path in files.items():
        if settings.secrets.get(name) != path:
            say(f'now write {name} = "{path}" under [secrets] in {home / "settings.toml"}')
    return was, kind
