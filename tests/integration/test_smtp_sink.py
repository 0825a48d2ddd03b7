"""Real letters over real sockets to the sink and the returns listener, each its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dkim

from mailer import doubts
from mailer.dkim import Signer, dns_record, generate_key
from mailer.letter import prepare
from mailer.smtp import Server, SmtpTransport
from mailer.stops import delivery_id, verp_address
from mailer.transports import Deferred, Failed, InDoubt, Sent
from tests.fakes.letters import AT, COMMON, KEY, SENDER, compiled, recipient


def back(number: int) -> str:
    delivery = delivery_id(KEY, "spring", number.to_bytes(32, "big"))
    return verp_address(KEY, delivery, SENDER.domain)


@contextmanager
def process(module: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run one command on a port of the system's choice."""
    runs = f"from consortium.cli.{module} import command; command()"
    run = subprocess.Popen(
        [sys.executable, "-c", runs, "--listen", "127.0.0.1:0", *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    try:
        yield run, int(run.stdout.readline().rpartition(":")[2])
    finally:
        run.terminate()
        run.wait(60)
        run.stdout.close()


def wait_for(folder: Path, count: int) -> list[Path]:
    deadline = time.monotonic() + 240
    while len(found := sorted(folder.glob("*"))) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def test_a_signed_letter_arrives_verifies_and_is_logged_without_its_recipient(
    tmp_path: Path,
) -> None:
    key = generate_key()
    slice_ = prepare(
        compiled(),
        sender=SENDER,
        common=COMMON,
        campaign="spring",
        at=AT,
        signer=Signer(SENDER.domain, "t1", key),
    )
    before = datetime.now(UTC)
    log = tmp_path / "log"
    with process("sink", "--maildir", str(tmp_path / "m"), "--log", str(log)) as (_, port):
        transport = SmtpTransport(Server("127.0.0.1", port, timeout=60))
        claimed = datetime.now(UTC)
        outcome = transport.send(back(1), "reader1@example.net", slice_.write(recipient(1)))
        transport.close()
    assert isinstance(outcome, Sent)
    [path] = (tmp_path / "m/new").iterdir()
    kept = path.read_bytes()
    top, _, letter = kept.partition(b"Delivered-To: reader1@example.net\r\n")
    assert top == f"Return-Path: <{back(1)}>\r\n".encode()
    assert dkim.verify(letter, dnsfunc=lambda *_, **__: dns_record(key.public_key()).encode())
    assert path.stat().st_mode & 0o077 == 0

    assert doubts.settle(log, back(1), claimed=claimed, ended=True) == doubts.Settled(
        "sent", outcome.queue_id
    )
    assert doubts.settle(log, back(2), claimed=claimed, ended=True).verdict == "not sent"
    assert doubts.settle(log, back(2), claimed=before, ended=True).verdict == "in doubt"
    assert b"reader1" not in log.read_bytes()


def test_what_the_sink_said_250_to_survives_its_death(tmp_path: Path) -> None:
    slice_ = prepare(compiled(), sender=SENDER, common=COMMON, campaign="spring", at=AT)
    log = tmp_path / "log"
    words = ("--maildir", str(tmp_path / "m"), "--log", str(log))
    outcomes: dict[int, object] = {}
    with process("sink", *words) as (run, port):
        transport = SmtpTransport(Server("127.0.0.1", port, timeout=60))
        for number in range(40):
            if number == 25:
                os.kill(run.pid, signal.SIGKILL)
            outcomes[number] = transport.send(
                back(number), f"reader{number}@example.net", slice_.write(recipient(number))
            )
        transport.close()
    sent = {n for n, outcome in outcomes.items() if isinstance(outcome, Sent)}
    assert {type(outcome) for outcome in outcomes.values()} <= {Sent, Deferred, InDoubt}
    assert len(sent) >= 25
    for number, outcome in outcomes.items():
        found = doubts.find(log, back(number))
        if isinstance(outcome, Sent):
            assert found == outcome.queue_id
        if isinstance(outcome, Deferred):
            assert found is None
    # A new process ends the old one's torn line and goes on with the same log.
    with process("sink", *words) as (_, port):
        transport = SmtpTransport(Server("127.0.0.1", port, timeout=60))
        outcome = transport.send(back(99), "reader99@example.net", b"Subject: x\r\n\r\nx\r\n")
        transport.close()
    assert isinstance(outcome, Sent)
    assert doubts.find(log, back(99)) == outcome.queue_id


def test_a_bounce_comes_back_to_the_spool_and_names_its_letter(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    slice_ = prepare(compiled(), sender=SENDER, common=COMMON, campaign="spring", at=AT)
    with (
        process("listen", "--spool", str(spool)) as (_, returns),
        process(
            "sink",
            *("--maildir", str(tmp_path / "m"), "--log", str(tmp_path / "log")),
            *("--return-to", f"127.0.0.1:{returns}", "--bounce", "reader3"),
        ) as (_, port),
    ):
        transport = SmtpTransport(Server("127.0.0.1", port, timeout=60))
        for number in (2, 3):
            transport.send(
                back(number), f"reader{number}@example.net", slice_.write(recipient(number))
            )
        transport.close()
        [path] = wait_for(spool / "new", 1)
        assert path.stat().st_mode & 0o777 == 0o600

        from mailer.bounce import read

        came = read(path.read_bytes())
        assert (came.kind, came.verp, came.code) == ("hard", back(3), "5.1.1")

        stranger = SmtpTransport(Server("127.0.0.1", returns, timeout=60))
        refused = stranger.send("x@y.example", "postmaster@mail.example", b"x\r\n")
        stranger.close()
    assert isinstance(refused, Failed)
    assert (refused.code, refused.stage) == (550, "rcpt")
