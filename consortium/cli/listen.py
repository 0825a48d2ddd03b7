"""Take bounces, complaints and replies by SMTP or LMTP, and keep each as a file for the mailer."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

import click
from aiosmtpd.smtp import SMTP, Envelope, Session

from consortium.cli.sink import address_of, serve, sync_folder, write_durably

# The form only: return paths, stops, reply@ for people and fbl@ for providers' complaints. Whether
# it is one of ours is for the mailer, which has the key; so this process holds none, and answers a
# forged return path as it answers a true one.
_OURS = re.compile(
    r"(?:r-[a-z2-7]{26}-[a-z2-7]{16}|stop-[\w-]{22}|reply|fbl)@[a-z0-9.-]{3,253}", re.I | re.ASCII
)


class Spool:
    """Writes what comes to a return path into a folder, 0600, before saying 250."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "new").mkdir(exist_ok=True, mode=0o700)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take return paths, stop and reply addresses only: this is no relay."""
        if not _OURS.fullmatch(address):
            return "550 5.1.1 no such mailbox"
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep it durably; the mailer reads our two lines and the rest, and deletes it."""
        content = envelope.content
        assert isinstance(content, bytes)
        [address] = envelope.rcpt_tos
        name = f"{datetime.now(UTC).timestamp():.6f}.{secrets.token_hex(6)}.eml"
        # What the envelope said stands first, so that nothing in the message speaks for it.
        top = f"Return-Path: <{_plain(envelope.mail_from)}>\r\nDelivered-To: {address}\r\n"
        try:
            write_durably(self._folder / "tmp" / name, top.encode("ascii", "replace") + content)
            (self._folder / "tmp" / name).rename(self._folder / "new" / name)
            sync_folder(self._folder / "new")
        except OSError:
            return "452 4.3.1 the disk does not take it"
        return "250 2.0.0 kept"


def _plain(sender: str | None) -> str:
    return "".join(one for one in sender or "" if one.isprintable() and one not in "<>")[:320]


@click.command()
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where to take returns.")
@click.option(
    "--spool",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The mailer's folder; each return becomes a file in its folder new.",
)
@click.option("--lmtp", is_flag=True, help="Speak LMTP, to a Postfix before this (deploy/postfix).")
@click.option("--hooks", metavar="HOST:PORT", help="Take Amazon SES's notifications there, too.")
@click.option(
    "--sns-certificate",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM file that their signatures are checked against; none is ever fetched.",
)
@click.option("--sns-topic", "topics", multiple=True, metavar="ARN", help="A topic that is ours.")
def command(
    listen: str,
    spool: Path,
    lmtp: bool,
    hooks: str | None,
    sns_certificate: Path | None,
    topics: tuple[str, ...],
) -> None:
    """Take bounces, complaints, stops and replies, and nothing else."""
    where = address_of(listen)
    box = Spool(spool)
    if hooks is not None:
        _hook(spool, address_of(hooks), sns_certificate, topics)
    said = "returns are taken at {}:{}"
    serve(box, where, lambda port: click.echo(said.format(where[0], port)), lmtp=lmtp)


def _hook(
    spool: Path, where: tuple[str, int], certificate: Path | None, topics: tuple[str, ...]
) -> None:
    from consortium.cli.hooks import Hook, serve_beside

    if certificate is None or not topics:
        raise click.UsageError("--hooks needs --sns-certificate and at least one --sns-topic")
    hook = Hook(spool, certificate, topics, lambda: datetime.now(UTC), click.echo)
    serve_beside(hook, where)
    click.echo(f"notifications are taken at {where[0]}:{where[1]}/hooks/sns")
