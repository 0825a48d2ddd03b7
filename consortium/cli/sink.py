"""A local SMTP server that delivers to nobody: a Maildir, and a log that settles doubts."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid
from pathlib import Path

import click
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from mailer.doubts import queued, stamp

MAX_BYTES = 1024 * 1024


class Sink:
    """Keeps each letter durably, and logs its return path before its 250.

    Args:
        maildir: made if absent; letters appear in ``new``.
        log: appended to; holds no recipient's address.
        bounced: local parts that are refused later, by a bounce sent to ``return_to``.
        return_to: where bounces are sent.
    """

    def __init__(
        self,
        maildir: Path,
        log: Path,
        *,
        bounced: frozenset[str] = frozenset(),
        return_to: tuple[str, int] | None = None,
    ) -> None:
        self._maildir = maildir
        self._bounced = bounced
        self._return_to = return_to
        for folder in ("tmp", "new", "cur"):
            (maildir / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = os.open(log, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
        # A line that a crash tore is ended here, so that the next one stands alone.
        end = os.lseek(self._log, 0, os.SEEK_END)
        if end and os.pread(self._log, 1, end - 1) != b"\n":
            os.write(self._log, b"\n")
        self._finish(log)
        self._say({"event": "began"})
        self._returns: set[asyncio.Task[None]] = set()

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take one recipient a letter: a log line must mean one letter."""
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the letter, log it, show it, say so.

        The log line is the instant at which it is taken: a crash before it has taken nothing, and
        one after it is made good at the next start.
        """
        content = envelope.content
        assert isinstance(content, bytes)
        sender, [recipient] = envelope.mail_from or "", envelope.rcpt_tos
        queue_id = secrets.token_hex(6).upper()
        try:
            name = self._keep(queue_id, sender, recipient, content)
            self._say({"event": "queued", "id": queue_id, "from": sender, "bytes": len(content)})
            self._show(name)
        except OSError:
            return "452 4.3.1 the disk does not take it"
        if recipient.partition("@")[0].lower() in self._bounced and self._return_to and sender:
            task = asyncio.create_task(self._bounce(sender, recipient, content))
            self._returns.add(task)
            task.add_done_callback(self._returns.discard)
        return f"250 2.0.0 queued as {queue_id}"

    def close(self) -> None:
        """Close the log."""
        os.close(self._log)

    def _keep(self, queue_id: str, sender: str, recipient: str, content: bytes) -> str:
        name = f"{datetime.now(UTC).timestamp():.6f}.{queue_id}.{socket.gethostname()}"
        unready = self._maildir / "tmp" / name
        top = f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode()
        write_durably(unready, top + content)
        sync_folder(self._maildir / "tmp")
        return name

    def _show(self, name: str) -> None:
        (self._maildir / "tmp" / name).rename(self._maildir / "new" / name)
        sync_folder(self._maildir / "new")

    def _finish(self, log: Path) -> None:
        """Show what was logged and not shown when an earlier sink ended; the rest was not taken."""
        unready = sorted((self._maildir / "tmp").iterdir())
        if not unready:
            return
        taken = queued(log)
        for path in unready:
            if path.name.split(".")[2] in taken:
                self._show(path.name)
            else:
                path.unlink()

    def _say(self, entry: dict[str, object]) -> None:
        line = json.dumps({"at": stamp(datetime.now(UTC)), **entry}).encode() + b"\n"
        os.write(self._log, line)
        os.fsync(self._log)

    async def _bounce(self, sender: str, recipient: str, content: bytes) -> None:
        assert self._return_to is not None
        try:
            reader, writer = await asyncio.open_connection(*self._return_to)
            try:
                await say(reader, writer, None)
                await say(reader, writer, b"EHLO sink.localhost\r\n")
                await say(reader, writer, b"MAIL FROM:<>\r\n")
                await say(reader, writer, f"RCPT TO:<{sender}>\r\n".encode())
                await say(reader, writer, b"DATA\r\n")
                await say(reader, writer, bounce(sender, recipient, content) + b".\r\n")
                await say(reader, writer, b"QUIT\r\n")
            finally:
                writer.close()
        except (OSError, ConnectionError):
            self._say({"event": "bounce not taken"})


def bounce(sender: str, recipient: str, content: bytes) -> bytes:
    """Write a delivery status notification as a provider would (RFC 3464); made-up people only."""
    now = datetime.now(UTC)
    head = content.partition(b"\r\n\r\n")[0].decode("ascii", "replace")
    return (
        "From: MAILER-DAEMON@sink.localhost\r\n"
        f"To: {sender}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        f"Date: {format_datetime(now)}\r\n"
        f"Message-ID: {make_msgid(domain='sink.localhost')}\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nThe mailbox does not exist.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; sink.localhost\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n--b--\r\n"
    ).encode("ascii", "replace")


async def say(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: bytes | None
) -> None:
    """Send one command and read its answer; raises ConnectionError on a refusal."""
    if command is not None:
        writer.write(command)
        await writer.drain()
    while (line := await reader.readline())[3:4] == b"-":
        pass
    if line[:1] not in (b"2", b"3"):
        raise ConnectionError("refused")


def write_durably(path: Path, octets: bytes) -> None:
    """Write a new file, 0600, and return when it is on disk."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(octets)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when the folder's names are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def address_of(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT``."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter("write HOST:PORT, such as 127.0.0.1:2525")
    return host.strip("[]"), int(port)


def serve(
    handler: object, listen: tuple[str, int], ready: Callable[[int], None], *, lmtp: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT, SMTP or LMTP; ``ready`` is told the port."""
    asyncio.run(_serve(handler, listen, ready, LMTP if lmtp else SMTP))


async def _serve(
    handler: object,
    listen: tuple[str, int],
    ready: Callable[[int], None],
    speaks: type[SMTP],
) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def session() -> SMTP:
        return speaks(
            handler,
            hostname="sink.localhost",
            ident="Trellis",
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=False,
            decode_data=False,
            loop=loop,
        )

    server = await loop.create_server(session, *listen)
    ready(int(server.sockets[0].getsockname()[1]))
    await stopped.wait()
    server.close()


@click.command()
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where to take letters.")
@click.option(
    "--maildir",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where letters are kept.",
)
@click.option(
    "--log",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where return paths are logged.",
)
@click.option("--return-to", metavar="HOST:PORT", help="Where bounces are sent.")
@click.option(
    "--bounce", "bounced", multiple=True, metavar="LOCALPART", help="Bounce letters to this name."
)
def command(
    listen: str, maildir: Path, log: Path, return_to: str | None, bounced: tuple[str, ...]
) -> None:
    """Take every letter and deliver none: for trying things out on made-up people."""
    sink = Sink(
        maildir,
        log,
        bounced=frozenset(name.lower() for name in bounced),
        return_to=address_of(return_to) if return_to else None,
    )
    where = address_of(listen)
    try:
        serve(sink, where, lambda port: click.echo(f"sink listens at {where[0]}:{port}"))
    finally:
        sink.close()
