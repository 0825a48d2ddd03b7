"""What a mail server's STARTTLS shows, by servers on loopback that do it well and badly."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consortium.cli.certificate import self_signed
from mailer.probing import StartTls

AT = datetime.now(UTC)  # TLS libraries judge by the machine's own clock
NAME = "localhost"


@contextmanager
def mail_server(folder: Path, *, hello: str, ready: str, tls: bool) -> Iterator[int]:
    """One that takes one caller, says ``hello`` and ``ready``, and perhaps does TLS."""
    paths = self_signed(folder, NAME, AT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths[:2])
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError), listening.accept()[0] as line:
                line.sendall(b"220 mx.example ESMTP\r\n")
                line.recv(1000)
                line.sendall(hello.encode())
                if line.recv(1000):
                    line.sendall(ready.encode())
                if tls:
                    with context.wrap_socket(line, server_side=True) as sealed:
                        sealed.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


OFFERS, NOT = "250-mx.example\r\n250 STARTTLS\r\n", "250 mx.example\r\n"
"""What it says to EHLO."""


def test_a_certificate_for_the_name_is_read_to_its_end(tmp_path: Path) -> None:
    with mail_server(tmp_path, hello=OFFERS, ready="220 go\r\n", tls=True) as port:
        said = StartTls(port, str(self_signed(tmp_path, NAME, AT)[0]))(NAME, "127.0.0.1")
    assert said.why == ""
    assert said.ends is not None
    assert said.ends > AT + timedelta(days=1)


@pytest.mark.parametrize(
    ("hello", "ready", "tls", "name", "trusted", "words"),
    [
        (NOT, "", False, NAME, True, "does not offer"),
        (OFFERS, "454 later\r\n", False, NAME, True, "answers 454"),
        (OFFERS, "220 go\r\n", False, NAME, True, ""),
        (OFFERS, "220 go\r\n", True, "mx.other.example", True, "does not hold"),
        (OFFERS, "220 go\r\n", True, NAME, False, "does not hold"),
        ("250-" + "x" * 5000, "", False, NAME, True, "EOFError"),
    ],
)
def test_what_is_no_good_tls_has_no_end_and_says_why(
    tmp_path: Path, hello: str, ready: str, tls: bool, name: str, trusted: bool, words: str
) -> None:
    with mail_server(tmp_path, hello=hello, ready=ready, tls=tls) as port:
        own = str(self_signed(tmp_path, NAME, AT)[0]) if trusted else None
        said = StartTls(port, own)(name, "127.0.0.1")
    assert said.ends is None
    assert said.why
    assert words in said.why


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "cannot be reached" in StartTls(port)(NAME, "127.0.0.1").why
