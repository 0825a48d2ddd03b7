"""A mail server that fails at each point of the exchange, and a mailer that is killed meanwhile.

Whatever happens, each letter is taken once: nobody gets two, and nobody is forgotten.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from tests.databases import clock, sqlite_template, sqlite_units
from tests.fakes import mortal_post
from tests.fakes.mortal_post import Place
from tests.fakes.post import Post, post
from tests.fakes.server import server

__all__ = ["clock", "post", "server", "sqlite_template", "sqlite_units"]

LETTERS = 15
POINTS = (
    "greeting",
    "hello",
    "mail",
    "rcpt",
    "data",
    "half",
    "dot, not taken",
    "dot, taken",
    "reset after 250",
    pytest.param("421 at the dot", marks=pytest.mark.soak),
    pytest.param("slow after the dot", marks=pytest.mark.soak),
)
PATIENCE = 1.0
"""Seconds for which the mailer waits for an answer here."""


class Cut(Exception):
    """The server hangs up."""


class FaultyServer:
    """Takes letters, and fails with every third at one point; writes down what it took."""

    def __init__(self, point: str, log: Path) -> None:
        self.point, self.log = point, log
        self.letters, self.serial, self.guard = count(1), count(1), threading.Lock()
        self.taken: list[tuple[str, str]] = []
        self.failed = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        log.write_text("")

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
        if point != self.point or letter % 3:
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
                self.answer(peer, "mail", letter, b"250 ok\r\n")
            elif word == b"RCPT":
                recipient = line.decode().split("<")[1].split(">")[0]
                self.answer(peer, "rcpt", letter, b"250 ok\r\n")
            elif word == b"DATA":
                self.answer(peer, "data", letter, b"354 go\r\n")
                self.body(lines, letter)
                self.dot(peer, letter, sender, recipient)
            elif word == b"QUIT":
                peer.sendall(b"221 bye\r\n")
                return
            else:
                peer.sendall(b"250 ok\r\n")

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
def faulty(point: str, folder: Path) -> Iterator[FaultyServer]:
    made = FaultyServer(point, folder / "mta.sessions")
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.listener.shutdown(socket.SHUT_RDWR)
        made.listener.close()
        thread.join(60)


def until(ready: object, what: str) -> None:
    end = time.monotonic() + 300
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.mark.parametrize("point", POINTS)
def test_a_server_that_fails_at_one_point_and_a_mailer_killed_at_another_cost_no_letter(
    post: Post, tmp_path: Path, point: str
) -> None:
    members = [(n, f"m{n}@example.net") for n in range(LETTERS)]
    id = post.campaign("c1", post.bundle("union", 1, members))
    url = post.units.engine.url.render_as_string(hide_password=False)
    dice = random.Random(point)
    with faulty(point, tmp_path) as mta:
        place = Place(url, post.folder, mta.port, datetime.now(UTC), mta.log, PATIENCE)
        child = mortal_post.start(place, "first")
        try:
            more = dice.randint(1, LETTERS - 3)
            until(lambda: len(mta.taken) >= more, "the first letters")
            mortal_post.kill(child)
            child = mortal_post.start(place, "second")
            until(lambda: post.states(id) == {"sent": LETTERS}, f"the rest; {point}")
        finally:
            mortal_post.kill(child)
        assert mta.failed, "it did fail"
        assert Counter(to for _, to in mta.taken) == Counter(to for _, to in members)
        assert len({verp for verp, _ in mta.taken}) == LETTERS
