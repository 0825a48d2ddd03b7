"""A pipelined SMTP client in which every outcome has a name (RFC 5321, RFC 2920)."""

from __future__ import annotations

import base64
import os
import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from mailer.addresses import envelope, mailbox
from mailer.errors import LetterRefused
from mailer.letter import Letter, lines_end_in_crlf, stuff
from mailer.scrub import Scrub, split
from mailer.transports import Deferred, Failed, InDoubt, Outcome, Sent, Stage, unasked

MAX_REPLY_LINE = 2048
SOON = 0.5
"""Seconds for which what was asked before a letter still holds at its final dot."""
MAX_REPLY_LINES = 100
_QUEUED = re.compile(r"(?:queued as|id=|Message accepted for delivery:?)\s*<?([\w.@-]{1,80})", re.I)
# Lets the body and the final dot leave in one packet where they are two calls.
_MORE = getattr(socket, "MSG_MORE", 0)
_CRLF, _DOT = b"\r\n", b".\r\n"


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password for AUTH; ``repr`` shows neither."""

    name: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """Where letters go.

    Args:
        host, port: of the MTA or provider.
        hello: our own host name, as EHLO says it.
        tls: ``off``; ``offered`` takes STARTTLS where it is offered; ``required`` sends nothing
            without it; ``wrapped`` is TLS from the first byte.
        login: needs TLS, or a server on loopback.
        timeout: seconds for each answer. RFC 5321 asks for 600 after the final dot.
        patience: seconds after which a letter's final dot no longer leaves. A worker that was held
            up so long (or stopped, or its host asleep) may have been replaced meanwhile.
    """

    host: str
    port: int
    hello: str = "localhost"
    tls: Literal["off", "offered", "required", "wrapped"] = "offered"
    login: Login | None = None
    timeout: float = 60.0
    patience: float = 60.0
    context: ssl.SSLContext | None = None


class _Broken(Exception):
    """The session ended; says at which step, never with what in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class _Answered(Exception):
    """The server refused a step before any letter."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class SmtpTransport:
    """One keep-alive session with one server; opened at the first letter, reopened as needed."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: socket.socket | None = None
        self._unread = b""
        self._offers: dict[str, str] = {}
        self._until = (0.0, 0.0)
        self._asks = 0.0
        self._still: Callable[[], bool] = unasked

    def __repr__(self) -> str:
        return f"SmtpTransport({self._server.host}:{self._server.port})"

    def send(
        self,
        sender: str,
        recipient: str,
        message: bytes,
        *,
        still: Callable[[], bool] = unasked,
        looked: float | None = None,
    ) -> Outcome:
        """Hand over one letter; see ``Transport.send``."""
        # A letter of our own making is proven already.
        if not isinstance(message, Letter) and not lines_end_in_crlf(message):
            # A lax server ends a letter at LF dot LF, and takes what follows for commands.
            raise LetterRefused("message", "has a line end that is not CRLF")
        sender, recipient = envelope(sender), mailbox(recipient)
        scrub = Scrub(sender, recipient)
        # Two clocks: one stands still while a host sleeps, the other may be set back.
        self._until = (
            time.monotonic() + self._server.patience,
            time.time() + self._server.patience,
        )
        self._still, self._asks = still, (time.monotonic() if looked is None else looked) + SOON
        try:
            return self._try(sender, recipient, message, scrub)
        except _Broken:
            # A kept session was closed between letters. Nothing of this letter had been taken,
            # and a new session never raises here.
            return self._try(sender, recipient, message, scrub)

    def knock(self) -> bool:
        """Open a session and end it, without a letter. Returns whether the server answered."""
        try:
            self._open()
        except (_Broken, _Answered):
            self._hang_up()
            return False
        self.close()
        return True

    def close(self) -> None:
        """Say QUIT and hang up."""
        if self._socket is not None:
            try:
                self._socket.settimeout(min(self._server.timeout, 2.0))
                self._write(b"QUIT\r\n")
                self._reply()
            except _Broken:
                pass
            self._hang_up()

    # One letter

    def _try(self, sender: str, recipient: str, message: bytes, scrub: Scrub) -> Outcome:
        kept = self._socket is not None
        try:
            self._open()
        except _Broken as broken:
            self._hang_up()
            return Deferred(0, broken.text, "connect")
        except _Answered as answer:
            self._hang_up()
            # A refused greeting or login says nothing about this recipient: never Failed.
            status, text = split(answer.text)
            return Deferred(answer.code, scrub(text), "connect", status)

        limit = self._offers.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(message):
            return Failed(552, f"longer than the server takes, {limit} bytes", "mail", "5.3.4")

        if not recipient.isascii() and not {"SMTPUTF8", "8BITMIME"} <= self._offers.keys():
            todo = "the server takes no address with letters beyond ASCII (SMTPUTF8)"
            return Failed(553, todo, "rcpt", "5.6.7")

        begun: list[Stage] = []
        try:
            refused = self._envelope(sender, recipient, message, scrub, begun, kept)
        except _Broken as broken:
            self._hang_up()
            if kept and len(begun) <= 1:
                raise
            return Deferred(0, broken.text, begun[-1] if begun else "mail")
        if refused is not None:
            return refused
        return self._content(message, scrub)

    def _envelope(
        self,
        sender: str,
        recipient: str,
        message: bytes,
        scrub: Scrub,
        begun: list[Stage],
        kept: bool,
    ) -> Outcome | None:
        size = f" SIZE={len(message)}" if "SIZE" in self._offers else ""
        body = " BODY=8BITMIME" if "8BITMIME" in self._offers and not message.isascii() else ""
        words = "" if recipient.isascii() else " SMTPUTF8"
        commands: tuple[tuple[Stage, bytes, int], ...] = (
            ("mail", f"MAIL FROM:<{sender}>{size}{body}{words}\r\n".encode(), 2),
            ("rcpt", f"RCPT TO:<{recipient}>\r\n".encode(), 2),
            ("data", b"DATA\r\n", 3),
        )
        pipelined = "PIPELINING" in self._offers
        if pipelined:
            self._write(b"".join(command for _, command, _ in commands))
        refused: Outcome | None = None
        for stage, command, wanted in commands:
            if not pipelined:
                self._write(command)
            begun.append(stage)
            code, text = self._reply()
            if code == 421 and stage == "mail" and kept:
                raise _Broken("the server ended the session between two letters")
            if code == 421:
                self._hang_up()
                return refused or scrub.refusal(code, text, stage)
            if code // 100 != wanted:
                refused = refused or scrub.refusal(code, text, stage)
                if not pipelined:
                    break
            elif stage == "data" and refused is not None:
                # RFC 2920, 3.1: DATA was taken although the recipient was not. An empty letter
                # to nobody would follow; hanging up is the one way that surely sends nothing.
                self._hang_up()
        if refused is not None and self._socket is not None:
            self._reset()
        return refused

    def _content(self, message: bytes, scrub: Scrub) -> Outcome:
        wire = message.wire if isinstance(message, Letter) else stuff(message)
        if not wire.endswith(_CRLF):
            wire += _CRLF
        why = self._recalled()
        if why is None:
            try:
                dot = self._body(wire)
            except _Broken as broken:
                # The dot had not left, so the server cannot have taken the letter.
                self._hang_up()
                return Deferred(0, broken.text, "body")
        try:
            why = why or self._dot(dot)
            if why is not None:
                self._hang_up()
                return Deferred(0, why, "body")
            code, text = self._reply()
        except _Broken as broken:
            self._hang_up()
            return InDoubt(broken.text)
        if code == 421:
            self._hang_up()
        if code // 100 == 2:
            queued = _QUEUED.search(text)
            return Sent(scrub(text), queued[1] if queued else None)
        if code // 100 in (4, 5):
            return scrub.refusal(code, text, "dot")
        self._hang_up()
        return InDoubt(f"the server answered {code} to the final dot")

    def _recalled(self) -> str | None:
        """Why the final dot must not leave any more; asked right before the call it leaves in."""
        while True:
            now = time.monotonic()
            if now > self._until[0] or time.time() > self._until[1]:
                return "it took too long to hand over"
            if now <= self._asks:
                return None
            if not self._still():
                return "it was taken back before its last dot"
            # From before the question on; a process that stood still since then asks again.
            self._asks = now + SOON

    def _dot(self, dot: bytes) -> str | None:
        """Write what is left of a dot, asking right before each call; none of them waits.

        Returns:
            Why it did not leave, or nothing.
        """
        while dot:
            if (why := self._recalled()) is not None:
                return why
            dot = dot[self._at_once(dot) :]
            if dot:
                self._until_writable()
        return None

    def _at_once(self, octets: bytes) -> int:
        """Write what the system takes without any waiting. Returns how many octets that was."""
        assert self._socket is not None
        try:
            if not isinstance(self._socket, ssl.SSLSocket):
                return os.write(self._socket.fileno(), octets)
            self._socket.settimeout(0.0)
            try:
                return self._socket.send(octets)
            finally:
                self._socket.settimeout(self._server.timeout)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            _broken("the connection ended while writing", error)

    def _until_writable(self) -> None:
        assert self._socket is not None
        waits = select.poll()
        waits.register(self._socket, select.POLLOUT)
        if not waits.poll(self._server.timeout * 1000):
            raise _Broken("the server took nothing more in time")

    def _body(self, wire: bytes) -> bytes:
        """Write a body; its final dot too, if the system takes all of both without any waiting.

        A call that raises has handed over nothing of what it was given, so not the dot.

        Returns:
            What of the dot is still to be written; as long as that is so, nothing was taken.
        """
        assert self._socket is not None
        taken = 0
        if not isinstance(self._socket, ssl.SSLSocket):
            try:
                # The descriptor of a socket with a timeout never waits; its own methods would,
                # and the dot would leave after the wait and not after the look before it.
                taken = os.writev(self._socket.fileno(), (wire, _DOT))
            except BlockingIOError:
                pass
            except OSError as error:
                _broken("the connection ended while writing", error)
        if taken >= len(wire):
            return _DOT[taken - len(wire) :]
        self._write(memoryview(wire)[taken:], _MORE)
        return _DOT

    def _reset(self) -> None:
        try:
            self._write(b"RSET\r\n")
            if self._reply()[0] != 250:
                self._hang_up()
        except _Broken:
            self._hang_up()

    # The session

    def _open(self) -> None:
        if self._socket is not None:
            return
        server = self._server
        try:
            self._socket = socket.create_connection((server.host, server.port), server.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            _broken("no connection to the server", error)
        self._unread = b""
        if server.tls == "wrapped":
            self._wrap()
        self._expect(None, 220)
        self._hello()
        if server.tls in ("offered", "required"):
            if "STARTTLS" in self._offers:
                self._expect(b"STARTTLS\r\n", 220)
                # What came before the handshake is not to be believed (CVE-2011-0411).
                self._unread = b""
                self._wrap()
                self._hello()
            elif server.tls == "required":
                raise _Broken("the server offers no TLS, and the setting requires it")
        if server.login is not None:
            self._login(server.login)

    def _hello(self) -> None:
        name = self._server.hello.encode("ascii", "replace")
        self._write(b"EHLO " + name + b"\r\n")
        code, text = self._reply()
        self._offers = {}
        if code != 250:
            self._expect(b"HELO " + name + b"\r\n", 250)
            return
        for line in text.splitlines()[1:]:
            word, _, rest = line.partition(" ")
            self._offers[word.upper()] = rest.strip()

    def _login(self, login: Login) -> None:
        if not isinstance(self._socket, ssl.SSLSocket) and not self._on_loopback():
            raise _Broken("a password is not sent without TLS")
        offered = self._offers.get("AUTH", "").upper().split()
        name, password = login.name.encode(), login.password.encode()
        if "PLAIN" in offered:
            secret = base64.b64encode(b"\0" + name + b"\0" + password)
            self._expect(b"AUTH PLAIN " + secret + b"\r\n", 235)
        elif "LOGIN" in offered:
            self._expect(b"AUTH LOGIN\r\n", 334)
            self._expect(base64.b64encode(name) + b"\r\n", 334)
            self._expect(base64.b64encode(password) + b"\r\n", 235)
        else:
            raise _Broken("the server offers neither AUTH PLAIN nor AUTH LOGIN")

    def _on_loopback(self) -> bool:
        assert self._socket is not None
        return str(self._socket.getpeername()[0]) in ("127.0.0.1", "::1")

    def _wrap(self) -> None:
        assert self._socket is not None
        context = self._server.context or ssl.create_default_context()
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=self._server.host)
        except (OSError, ssl.SSLError) as error:
            _broken("TLS was not agreed on", error)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # Lines

    def _expect(self, command: bytes | None, wanted: int) -> None:
        if command is not None:
            self._write(command)
        code, text = self._reply()
        if code != wanted:
            raise _Answered(code, text)

    def _write(self, octets: bytes | memoryview, flags: int = 0) -> None:
        assert self._socket is not None
        try:
            # TLS sockets take no flags.
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.sendall(octets)
            else:
                self._socket.sendall(octets, flags)
        except OSError as error:
            _broken("the connection ended while writing", error)

    def _reply(self) -> tuple[int, str]:
        lines: list[str] = []
        while len(lines) < MAX_REPLY_LINES:
            line = self._line()
            if not line[:3].isdigit() or line[3:4] not in ("", " ", "-"):
                raise _Broken("the server answered what is not SMTP")
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)
        raise _Broken("the server's answer has no end")

    def _line(self) -> str:
        assert self._socket is not None
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > MAX_REPLY_LINE:
                raise _Broken("the server's answer has no end")
            try:
                more = self._socket.recv(4096)
            except OSError as error:
                _broken("the connection ended while reading", error)
            if not more:
                raise _Broken("the server closed the connection")
            self._unread += more
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        return line.rstrip(b"\r").decode("utf-8", "replace")


def _broken(text: str, error: OSError) -> NoReturn:
    # The error's class says enough; its text may quote what a server said.
    raise _Broken(f"{text} ({type(error).__name__})") from None
