"""Ask a mail server whether it speaks TLS under its own name, and until when."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

SECONDS = 10.0
MAX_LINE = 1_000
MAX_LINES = 100


@dataclass(frozen=True, slots=True)
class Tls:
    """What a mail server showed; ``ends`` is its certificate's, nothing when it has no good one."""

    ends: datetime | None
    why: str = ""


class Probe(Protocol):
    """Asks one mail server."""

    def __call__(self, name: str, address: str) -> Tls:
        """Args: the name that its certificate must be for, and where it is."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """``Probe`` over SMTP's STARTTLS (RFC 3207), by the public authorities of this machine.

    Args:
        port: 25, but in tests.
        authorities: a file of certificates to trust instead.
    """

    port: int = 25
    authorities: str | None = None
    seconds: float = SECONDS

    def __call__(self, name: str, address: str) -> Tls:
        try:
            with socket.create_connection((address, self.port), self.seconds) as line:
                return self._ask(line, name)
        except ssl.SSLCertVerificationError as error:
            return Tls(None, f"its certificate does not hold ({error.verify_message})")
        except ssl.SSLError:
            return Tls(None, "it offers STARTTLS, and TLS does not come about")
        except (OSError, EOFError) as error:
            return Tls(None, f"it cannot be reached on port {self.port} ({type(error).__name__})")

    def _ask(self, line: socket.socket, name: str) -> Tls:
        code, _ = _answer(line)
        if code != 220:
            return Tls(None, f"it greets with {code}")
        line.sendall(b"EHLO trellis.invalid\r\n")
        code, words = _answer(line)
        if code != 250 or not any(word.upper() == "STARTTLS" for word in words):
            return Tls(None, "it does not offer STARTTLS")
        line.sendall(b"STARTTLS\r\n")
        code, _ = _answer(line)
        if code != 220:
            return Tls(None, f"it offers STARTTLS and then answers {code}")
        context = ssl.create_default_context(cafile=self.authorities)
        with context.wrap_socket(line, server_hostname=name) as sealed:
            found = sealed.getpeercert() or {}
            sealed.sendall(b"QUIT\r\n")
        ends = ssl.cert_time_to_seconds(str(found["notAfter"]))
        return Tls(datetime.fromtimestamp(ends, UTC))


def _answer(line: socket.socket) -> tuple[int, list[str]]:
    """One reply of SMTP, read byte by byte: what follows it belongs to TLS."""
    words = []
    for _ in range(MAX_LINES):
        read = b""
        while not read.endswith(b"\n"):
            one = line.recv(1)
            if not one or len(read) > MAX_LINE:
                raise EOFError
            read += one
        text = read.decode("latin-1").rstrip()
        words.append(text[4:])
        if text[3:4] != "-":
            return int(text[:3]) if text[:3].isdigit() else 0, words
    raise EOFError
