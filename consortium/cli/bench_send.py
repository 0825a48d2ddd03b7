"""The speed of sending beside its floors, of opening a seal, and of the outbox."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import perf_counter, sleep
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from consortium.cli import bench_tokens
from mailer import starting, stops
from mailer.dkim import Signer, generate_key
from mailer.fields import FIELDS
from mailer.letter import Recipient, Sender, Slice, prepare
from mailer.smtp import Server, SmtpTransport
from mailer.transports import Sent
from mailer.versions import compile_versions

LETTERS = 100
ROUNDS = 40
PARAGRAPHS = 5
"""Added to the starter, so that a letter has 20 KB; Postfix's generator sends as many bytes."""
DOMAIN = "mail.bench.example"

# A server that says yes to everything, in a process of its own; it pipelines, and keeps nothing.
_YES = """
import socket, sys
def serve(peer):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.sendall(b"220 yes\\r\\n")
    octets, body = b"", False
    while more := peer.recv(1 << 18):
        octets += more
        while True:
            end = octets.find(b"\\r\\n.\\r\\n" if body else b"\\r\\n")
            if end < 0:
                break
            line, octets = octets[:end], octets[end + (5 if body else 2):]
            if body:
                body = False
                peer.sendall(b"250 2.0.0 queued as BENCH\\r\\n")
            elif line == b"DATA":
                body = True
                peer.sendall(b"354 go\\r\\n")
            elif line[:4] == b"EHLO":
                peer.sendall(b"250-yes\\r\\n250 PIPELINING\\r\\n")
            else:
                peer.sendall(b"250 ok\\r\\n")
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    peer, _ = listener.accept()
    with peer:
        try:
            serve(peer)
        except OSError:
            pass
"""


def rows(letters: int = LETTERS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Sending letters unsigned and signed, opening one, and its outbox; each beside its floor."""
    opened = bench_tokens.opening(rounds=min(rounds, 20))
    return [*_letters(letters, rounds), *([opened] if opened else []), *_outbox(rounds)]


def _outbox(rounds: int) -> list[dict[str, Any]]:
    """The outbox beside what is agreed, and beside bare SQLite; none without the server's part."""
    try:
        from consortium.cli import bench_outbox
    except ModuleNotFoundError:
        return []
    found = bench_outbox.measure(rounds)
    allowed = bench_outbox.ALLOWED_US
    return [
        _row("outbox, claimed and sent / 100 us allowed", found["ours"] / 1e6, allowed / 1e6, 1.0),
        _row(
            "outbox, claimed and sent / bare SQLite writing the same rows",
            found["ours"] / 1e6,
            found["floor"] / 1e6,
            3.0,
        ),
    ]


def _letters(letters: int, rounds: int) -> list[dict[str, Any]]:
    """Sending letters unsigned and signed, each beside its floor, in this run.

    Short rounds of every side in turn, and the best of each: a neighbour on the machine can only
    add to a round, so that the best is what the work itself takes.
    """
    key = generate_key()
    slices = {"unsigned": _slice(None), "signed": _slice(Signer(DOMAIN, "b1", key))}
    letter = slices["unsigned"].write(_recipient(0))
    times: dict[str, list[float]] = {}

    def took(side: str, seconds: float | None) -> None:
        if seconds is not None:
            times.setdefault(side, []).append(seconds)

    with _one_core(), _server() as port:
        for _ in range(rounds):
            took("rsa", _signature(key, letters))
            took("bare", _bare(port, letter, letters))
            took("start", _smtp_source(port, len(letter), 1))
            took("source", _smtp_source(port, len(letter), letters + 1))
            for name, slice_ in slices.items():
                took(name, _send(port, slice_, letters))
    best = {side: min(seconds) for side, seconds in times.items()}
    floor, name = best["bare"], "a raw socket"
    if "source" in best and "start" in best:
        # What starting the tool costs is in both, and no letter's; of very few it is nearly all.
        lasted = best["source"] - best["start"]
        floor, name = (lasted if lasted > 0 else best["source"]) / letters, "smtp-source"
    return [
        _row(f"letter, unsigned / {name}", best["unsigned"], floor, 1.5),
        _row(
            f"letter, signed / one RSA signature + {name}",
            best["signed"],
            floor + best["rsa"],
            1.35,
        ),
        _row("letter, unsigned / a raw socket", best["unsigned"], best["bare"], 2.0),
    ]


@contextmanager
def _one_core() -> Iterator[None]:
    """Let both ends of every exchange share one core, as far as the system can be told to.

    On two, each waits for the other's answer asleep, and a virtual machine takes longer to wake a
    core than either side takes for its part of a letter.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _row(name: str, ours: float, floor: float, goal: float) -> dict[str, Any]:
    return {
        "name": name,
        "ours": ours * 1e6,
        "floor": floor * 1e6,
        "ratio": ours / floor,
        "goal": goal,
        "unit": "us",
    }


def _slice(signer: Signer | None) -> Slice:
    made = compile_versions(
        _long_enough(starting.starter("event")),
        languages=("en",),
        allowed_fields=FIELDS,
        allowed_hosts={"example.org"},
    )["en"]
    common = {name: "made up" for name in made.fields if not name.endswith("_url")}
    del common["first_name"]
    return prepare(
        made,
        sender=Sender(
            "Maria", "Bench", "bench", "maria", DOMAIN, f"reply@{DOMAIN}", f"race.{DOMAIN}"
        ),
        common=common,
        campaign="bench",
        at=datetime.now(UTC) - timedelta(minutes=1),
        signer=signer,
    )


def _long_enough(letter: dict[str, Any]) -> dict[str, Any]:
    """The starter with further paragraphs."""
    told = "There will be bread, coffee and a table for whoever has a question. " * 6
    more = {"kind": "text", "text": "\n\n".join([told.strip()] * PARAGRAPHS)}
    return {**letter, "blocks": [*letter["blocks"][:-1], more, letter["blocks"][-1]]}


def _recipient(number: int) -> Recipient:
    delivery = number.to_bytes(16, "big")
    token = stops.capability(b"bench", delivery).token
    return Recipient(
        f"reader{number}@example.net",
        stops.message_id(b"bench", delivery, DOMAIN),
        f"https://letters.example/stop/{token}",
        f"stop-{token}@{DOMAIN}",
        {"first_name": f"Reader{number}", "why_url": f"https://letters.example/why/{token}"},
    )


def _send(port: int, slice_: Slice, letters: int) -> float:
    """Return the seconds a letter took, from its facts to the server's 250."""
    transport = SmtpTransport(Server("127.0.0.1", port))
    began = 0.0
    for number in range(letters + 1):
        if number == 1:
            # The first letter opened the session, which the floors keep open too.
            began = perf_counter()
        reader = _recipient(number)
        path = stops.verp_address(b"bench", number.to_bytes(16, "big"), DOMAIN)
        outcome = transport.send(path, reader.address, slice_.write(reader))
        if not isinstance(outcome, Sent):
            raise RuntimeError(f"the bench's own server did not take a letter: {outcome}")
    took = perf_counter() - began
    transport.close()
    return took / letters


def _bare(port: int, letter: bytes, letters: int) -> float:
    """Return the seconds of the same exchange with one ready letter: nothing made, nothing read."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.recv(4096)
        peer.sendall(b"EHLO x\r\n")
        peer.recv(4096)
        began = perf_counter()
        for _ in range(letters):
            peer.sendall(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
            answer = b""
            while b"354" not in answer:
                answer += peer.recv(4096)
            peer.sendall(letter + b".\r\n")
            peer.recv(4096)
        return (perf_counter() - began) / letters


def _smtp_source(port: int, size: int, letters: int) -> float | None:
    """Return the seconds of a whole run of Postfix's own generator; None where it is missing."""
    tool = _postfix("smtp-source")
    if tool is None:
        return None
    # One session kept open (-d), one at a time, letters as long as ours.
    words = ["-d", "-s", "1", "-m", str(letters), "-l", str(size), "-f", "a@b.c", "-t", "d@e.f"]
    began = perf_counter()
    run = subprocess.run(
        [tool, *words, f"inet:127.0.0.1:{port}"], check=False, capture_output=True, timeout=60
    )
    return perf_counter() - began if run.returncode == 0 else None


def _signature(key: RSAPrivateKey, letters: int) -> float:
    """Return the seconds of one RSA signature, as a mean over as many as there are letters."""
    began = perf_counter()
    for _ in range(letters):
        key.sign(b"x", padding.PKCS1v15(), SHA256())
    return (perf_counter() - began) / letters


@contextmanager
def _server() -> Iterator[int]:
    """Postfix's own sink, or where it is missing one of ours; every side sends to the same."""
    tool = _postfix("smtp-sink")
    if tool is None:
        words = [sys.executable, "-c", _YES]
        run = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        port = int(run.stdout.readline())
    else:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        # As root it asks for somebody else to be.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        run = subprocess.Popen([tool, *user, f"127.0.0.1:{port}", "64"], text=True)
    try:
        _await(port, run)
        yield port
    finally:
        run.terminate()
        run.wait(5)
        if run.stdout is not None:
            run.stdout.close()


def _await(port: int, run: subprocess.Popen[str]) -> None:
    end = perf_counter() + 10
    while perf_counter() < end and run.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        sleep(0.02)
    raise RuntimeError("the bench's own mail server does not answer")


def _postfix(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin")
