"""`trellis PERSON VERB`: one word per kind of person, each loaded only when it is called.

Lazily, because a partner's machine has no server installed, and because what a command imports is
what it can reach: the auditor's tool must not carry a mail key's module by accident.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

import click

#: Which module holds the command of which person, and its one line in ``trellis --help``.
PEOPLE: Mapping[str, tuple[str, str]] = {
    "audit": ("consortium.cli.auditor", "Anyone: check a receipt or the whole log, offline."),
    "bench": ("consortium.cli.bench", "Measure each speed beside its floor, as ratios."),
    "coordinator": (
        "consortium.cli.coordinator",
        "Choose places, draft a letter, schedule, watch.",
    ),
    "custodian": ("consortium.cli.custodian", "Hold a share of two keys: ceremony, serve, status."),
    "demo": ("consortium.cli.demo", "The whole consortium on this machine, from a world."),
    "match": ("consortium.cli.match", "How good is linking: evaluate, train; normalise a roll."),
    "operator": (
        "consortium.cli.operator",
        "Run the servers: migrate, invite, serve, settle doubts.",
    ),
    "partner": (
        "consortium.cli.partner",
        "Upload a list, approve, attest, withdraw, keep receipts.",
    ),
    "returns": ("consortium.cli.listen", "Take in bounces and complaints that come back by mail."),
    "sink": ("consortium.cli.sink", "A local SMTP server that keeps letters in a Maildir."),
    "steward": ("consortium.cli.steward", "Enrol a state's voter file, coarsened and tokenised."),
    "witness": ("consortium.cli.witness", "Cosign the log's checkpoints: init, trust, serve."),
    "world": ("consortium.cli.world", "Make a world: generated people in true file layouts."),
}

#: Which extra brings which package, so that a missing one is named and not a traceback.
EXTRAS: Mapping[str, str] = {
    "aiosmtpd": "mailer",
    "alembic": "server",
    "cedarpy": "server",
    "celery": "server",
    "dns": "mailer",
    "fastapi": "server",
    "fsspec": "server",
    "hvac": "vault",
    "jinja2": "mailer",
    "kombu": "server",
    "mjml": "mailer",
    "multipart": "server",
    "names": "world",
    "numpy": "server",
    "opendp": "server",
    "pkcs11": "hsm",
    "psycopg": "postgres",
    "pydantic_settings": "server",
    "pyspark": "spark",
    "python_multipart": "server",
    "redis": "redis",
    "s3fs": "s3",
    "sqlalchemy": "server",
    "sqlglot": "spark",
    "starlette": "custodian",
    "uvicorn": "custodian",
}


class ExtraMissing(click.ClickException):
    """A command needs a package that this installation does not have."""

    exit_code = 3


def missing(error: ModuleNotFoundError) -> ExtraMissing | None:
    """Say which extra is missing, or nothing when the error is a fault of ours."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return None
    return ExtraMissing(
        f"this needs {package}, which is in the extra '{extra}': "
        f"pip install 'trellis-consortium[{extra}]'"
    )


class People(click.Group):
    """A group that knows its commands by name and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every person, alphabetically."""
        return sorted(PEOPLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command asked for."""
        if cmd_name not in PEOPLE:
            return None
        path, _ = PEOPLE[cmd_name]
        try:
            command = importlib.import_module(path).command
        except ModuleNotFoundError as error:
            if error.name == path:
                raise click.ClickException(f"this build has no 'trellis {cmd_name}'") from None
            raise
        if not isinstance(command, click.Command):
            raise TypeError(f"{path}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the people with their lines, importing none of them."""
        with formatter.section("People"):
            formatter.write_dl([(person, PEOPLE[person][1]) for person in sorted(PEOPLE)])


@click.group(cls=People, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trellis-consortium", prog_name="trellis")
def command() -> None:
    """One CRM, owned by a consortium, whose lists no partner, and not the operator alone, can read.

    Every kind of person has a word; `trellis PERSON --help` lists its verbs.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run ``trellis``; a package that is not installed is one line, never a traceback."""
    try:
        command.main(args=None if args is None else list(args), prog_name="trellis")
    except ModuleNotFoundError as error:
        refusal = missing(error)
        if refusal is None:
            raise
        refusal.show()
        sys.exit(refusal.exit_code)


if __name__ == "__main__":
    main()
