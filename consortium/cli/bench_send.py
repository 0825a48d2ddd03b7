"""The speed of sending beside its floors: one RSA signature, and a bare exchange of bytes."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from mailer import stops
from mailer.compose import Template, compile_template
from mailer.dkim import Signer, generate_key
from mailer.fields import FIELDS
from mailer.letter import Recipient, Sender, Slice, prepare
from mailer.smtp import Server, SmtpTransport
from mailer.transports import Sent

LETTERS = 400
ROUNDS = 5
STARTER = Path(stops.__file__).parent / "starters/event.mjml"
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


def rows() -> list[dict[str, str | float]]:
    """Sending N letters unsigned and signed, each beside its floor, in this run."""
    key = generate_key()
    unsigned, signed = _slice(None), _slice(Signer(DOMAIN, "b1", key))
    letter = unsigned.write(_recipient(0))
    ours: dict[str, list[float]] = {"unsigned": [], "signed": []}
    bare: list[float] = []
    source: list[float] = []
    rsa: list[float] = []
    with _server() as port:
        # In turn, so that a busy machine is busy for all of them.
        for _ in range(ROUNDS):
            rsa.append(_signature(key))
            bare.append(_bare(port, letter))
            source += _smtp_source(port, len(letter))
            ours["unsigned"].append(_send(port, unsigned))
            ours["signed"].append(_send(port, signed))
    floor = median(source or bare)
    name = "smtp-source" if source else "a raw socket"
    return [
        _row(f"letter, unsigned / {name}", median(ours["unsigned"]), floor, 1.5),
        _row(
            f"letter, signed / one RSA signature + {name}",
            median(ours["signed"]),
            floor + median(rsa),
            1.35,
        ),
        _row("letter, unsigned / a raw socket", median(ours["unsigned"]), median(bare), 2.0),
    ]


def _row(name: str, ours: float, floor: float, goal: float) -> dict[str, str | float]:
    return {
        "name": name,
        "ours": ours * 1e6,
        "floor": floor * 1e6,
        "ratio": ours / floor,
        "goal": goal,
        "unit": "us",
    }


def _slice(signer: Signer | None) -> Slice:
    made = compile_template(
        Template("A letter", STARTER.read_text()),
        allowed_fields=FIELDS,
        allowed_hosts={"example.org"},
    )
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


def _send(port: int, slice_: Slice) -> float:
    """Return the seconds a letter took, from its facts to the server's 250."""
    transport = SmtpTransport(Server("127.0.0.1", port))
    began = perf_counter()
    for number in range(LETTERS):
        reader = _recipient(number)
        path = stops.verp_address(b"bench", number.to_bytes(16, "big"), DOMAIN)
        outcome = transport.send(path, reader.address, slice_.write(reader))
        if not isinstance(outcome, Sent):
            raise RuntimeError(f"the bench's own server did not take a letter: {outcome}")
    took = perf_counter() - began
    transport.close()
    return took / LETTERS


def _bare(port: int, letter: bytes) -> float:
    """Return the seconds of the same exchange with one ready letter: nothing made, nothing read."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.recv(4096)
        peer.sendall(b"EHLO x\r\n")
        peer.recv(4096)
        began = perf_counter()
        for _ in range(LETTERS):
            peer.sendall(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
            answer = b""
            while b"354" not in answer:
                answer += peer.recv(4096)
            peer.sendall(letter + b".\r\n")
            peer.recv(4096)
        return (perf_counter() - began) / LETTERS


def _smtp_source(port: int, size: int) -> list[float]:
    """Return Postfix's own generator's time, or nothing where it is not installed."""
    tool = shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")
    if tool is None:
        return []
    began = perf_counter()
    words = ["-d", "-s", "1", "-m", str(LETTERS), "-l", str(size), "-f", "a@b.c", "-t", "d@e.f"]
    run = subprocess.run(
        [tool, *words, f"inet:127.0.0.1:{port}"], check=False, capture_output=True, timeout=60
    )
    return [(perf_counter() - began) / LETTERS] if run.returncode == 0 else []


def _signature(key: RSAPrivateKey) -> float:
    """Return the seconds of one RSA signature, as a mean over as many as there are letters."""
    began = perf_counter()
    for _ in range(LETTERS):
        key.sign(b"x", padding.PKCS1v15(), SHA256())
    return (perf_counter() - began) / LETTERS


@contextmanager
def _server() -> Iterator[int]:
    run = subprocess.Popen([sys.executable, "-c", _YES], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout is not None
        yield int(run.stdout.readline())
    finally:
        run.terminate()
        run.wait(5)
        if run.stdout is not None:
            run.stdout.close()
