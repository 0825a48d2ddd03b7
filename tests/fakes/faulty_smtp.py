"""A mail server that fails at one point of the exchange, and writes down what it took and when."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

PATIENCE = 1.0
"""Seconds for which a mailer should wait for an answer of it."""


class Cut(Exception):
    """The server hangs up."""


class FaultyServer:
    """Takes letters, and fails with every third at one point; writes down what it took.

    Args:
        log: where it writes which sessions began and ended, and what it took.
        delay: seconds for which it keeps a letter's sender waiting before it lets the body come,
            by chance; none of its own.
    """

    def __init__(self, point: str, log: Path, delay: Callable[[], float] = float) -> None:
        self.point, self.log, self.delay = point, log, delay
        self.dots: dict[str, float] = {}
        self.hearing = ""
        self.letters, self.serial, self.guard = count(1), count(1), threading.Lock()
        self.taken: list[tuple[str, str]] = []
        self.failed = 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.port = int(self.listener.getsockname()[1])
        log.write_text("")

    def listen(self) -> None:
        """From here on take connections; until then they are refused."""
        self.listener.listen()
        self.thread.start()

    def end(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(60)

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            number = next(self.serial)
            self.write("began", str(number))
            threading.Thread(target=self.session, args=(peer, number), daemon=True).start()

    def write(self, *words: str) -> None:
        with self.guard, self.log.open("a") as file:
            file.write(" ".join(words) + "\n")

    def fails(self, point: str, letter: int) -> bool:
        if point != self.point or letter % 3 or (letter > 3 and point.startswith("slow")):
            return False
        self.failed += 1
        return True

    def session(self, peer: socket.socket, number: int) -> None:
        try:
            with peer, peer.makefile("rb") as lines:
                peer.settimeout(60)
                if self.point in ("greeting", "hello") and number % 2:
                    self.fail_early(peer, lines)  # type: ignore[arg-type]
                self.talk(peer, lines)  # type: ignore[arg-type]
        except (Cut, OSError):
            pass
        finally:
            self.write("ended", "-")

    def fail_early(self, peer: socket.socket, lines: Iterator[bytes]) -> None:
        """Every other session comes to nothing."""
        self.failed += 1
        if self.point == "hello":
            peer.sendall(b"220 faulty\r\n")
            next(lines)
        raise Cut

    def talk(self, peer: socket.socket, lines: Iterator[bytes]) -> None:
        peer.sendall(b"220 faulty\r\n")
        letter, sender, recipient = 0, "", ""
        for line in lines:
            word = line.split(b" ")[0].split(b":")[0].strip().upper()
            if word == b"EHLO":
                peer.sendall(b"250-faulty\r\n250 PIPELINING\r\n")
            elif word == b"MAIL":
                letter = next(self.letters)
                sender = line.decode().split("<")[1].split(">")[0]
                self.refuse(peer, letter)
                self.answer(peer, "mail", letter, b"250 ok\r\n")
            elif word == b"RCPT":
                recipient = line.decode().split("<")[1].split(">")[0]
                self.answer(peer, "rcpt", letter, b"250 ok\r\n")
            elif word == b"DATA":
                self.hearing = recipient
                if self.fails("slow", letter):
                    time.sleep(2 * PATIENCE)
                time.sleep(self.delay())
                self.answer(peer, "data", letter, b"354 go\r\n")
                self.body(lines, letter)
                self.dots[recipient] = time.monotonic()
                self.dot(peer, letter, sender, recipient)
            elif word == b"QUIT":
                peer.sendall(b"221 bye\r\n")
                return
            else:
                peer.sendall(b"250 ok\r\n")

    def refuse(self, peer: socket.socket, letter: int) -> None:
        """Say at the beginning of a letter that it goes down."""
        if self.fails("421", letter):
            peer.sendall(b"421 4.3.2 going down\r\n")
            raise Cut

    def answer(self, peer: socket.socket, point: str, letter: int, said: bytes) -> None:
        if self.fails(point, letter):
            raise Cut
        peer.sendall(said)

    def body(self, lines: Iterator[bytes], letter: int) -> None:
        for number, line in enumerate(lines):
            if number == 20 and self.fails("half", letter):
                raise Cut
            if line == b".\r\n":
                return
        raise Cut

    def dot(self, peer: socket.socket, letter: int, sender: str, recipient: str) -> None:
        if self.fails("dot, not taken", letter):
            raise Cut
        if self.fails("421 at the dot", letter):
            peer.sendall(b"421 4.3.2 going down\r\n")
            raise Cut
        if self.fails("452 at the dot", letter):
            peer.sendall(b"452 4.3.1 no room\r\n")
            return
        queue_id = f"Q{letter}"
        self.write("took", queue_id, sender)
        with self.guard:
            self.taken.append((sender, recipient))
        if self.fails("dot, taken", letter):
            raise Cut
        if self.fails("slow after the dot", letter):
            time.sleep(2 * PATIENCE)
        peer.sendall(f"250 2.0.0 queued as {queue_id}\r\n".encode())
        if self.fails("reset after 250", letter):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raise Cut


@contextmanager
def faulty(
    point: str, folder: Path, delay: Callable[[], float] = float, *, listening: bool = True
) -> Iterator[FaultyServer]:
    """Such a server in a thread; one that is not listening refuses connections until it does."""
    made = FaultyServer(point, folder / "mta.sessions", delay)
    if listening:
        made.listen()
    try:
        yield made
    finally:
        made.end()
