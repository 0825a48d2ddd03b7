"""Letters over a real socket: every way in which a server can fail has its own name."""

from __future__ import annotations

import base64
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from consortium.service import hear_back
from mailer import smtp
from mailer.smtp import Login, Server, SmtpTransport
from mailer.transports import Deferred, Failed, InDoubt, Outcome, Sent
from tests.fakes.transports import ANA, BACK, LETTER, TransportLaws

Taken = list[tuple[str, str, bytes]]


class Handler:
    """Keeps letters; answers recipients whose address begins with a code by that code."""

    def __init__(self) -> None:
        self.taken: Taken = []

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address[:1] in "45":
            return (
                f"{address[:3]} {address[0]}.1.1 <{address}>: unknown user {address.split('@')[0]}"
            )
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        [recipient] = envelope.rcpt_tos
        if recipient[:3] == "000":
            assert server.transport is not None
            server.transport.abort()
            return "250 never seen"
        assert isinstance(envelope.content, bytes)
        self.taken.append((str(envelope.mail_from), recipient, envelope.content))
        return f"250 2.0.0 queued as Q{len(self.taken)}"


class AnyPort(Controller):
    """A controller on a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = port_of(self)
        super()._trigger_server()


@contextmanager
def serving(handler: object, **settings: object) -> Iterator[Controller]:
    controller = AnyPort(handler, hostname="127.0.0.1", port=0, ready_timeout=240, **settings)
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()


def port_of(controller: Controller) -> int:
    assert controller.server is not None
    return int(controller.server.sockets[0].getsockname()[1])


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def taken(handler: Handler) -> Taken:
    return handler.taken


@pytest.fixture
def transport(handler: Handler) -> Iterator[SmtpTransport]:
    with serving(handler) as controller:
        one = SmtpTransport(Server("127.0.0.1", port_of(controller), timeout=60))
        yield one
        one.close()


class TestSmtpTransport(TransportLaws):
    """The real client, against aiosmtpd (which does not pipeline)."""


# A server that follows a script, for what aiosmtpd cannot do: pipelining, and dying mid-way.

Script = Callable[[socket.socket], None]


@contextmanager
def scripted(*scripts: Script) -> Iterator[SmtpTransport]:
    """Serve one connection by each script in turn."""
    listener = socket.create_server(("127.0.0.1", 0))
    died: list[BaseException] = []

    def run() -> None:
        try:
            for script in scripts:
                peer, _ = listener.accept()
                with peer:
                    peer.settimeout(60)
                    script(peer)
        except BaseException as error:  # shown by the test, below
            died.append(error)

    thread = Thread(target=run)
    thread.start()
    one = SmtpTransport(Server("127.0.0.1", listener.getsockname()[1], timeout=60))
    try:
        yield one
    finally:
        one.close()
        thread.join(60)
        listener.close()
    assert not died, died


def read_until(peer: socket.socket, end: bytes) -> bytes:
    octets = b""
    while not octets.endswith(end):
        more = peer.recv(65536)
        assert more, octets
        octets += more
    return octets


def greet(peer: socket.socket, *offers: bytes) -> None:
    peer.sendall(b"220 hi\r\n")
    assert read_until(peer, b"\r\n") == b"EHLO localhost\r\n"
    lines = [b"test", *offers]
    peer.sendall(b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 " + lines[-1])
    peer.sendall(b"\r\n")


def take(peer: socket.socket, answer: bytes) -> bytes:
    """Take one pipelined letter and answer its final dot."""
    commands = read_until(peer, b"DATA\r\n")
    assert commands.count(b"\r\n") == 3, "MAIL, RCPT and DATA travel together"
    peer.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
    body = read_until(peer, b"\r\n.\r\n")
    if answer:
        peer.sendall(answer)
    return body


def answer_dot(answer: bytes) -> Script:
    def script(peer: socket.socket) -> None:
        greet(peer, b"PIPELINING")
        take(peer, answer)

    return script


def envelope_answer(*answers: bytes) -> Script:
    def script(peer: socket.socket) -> None:
        greet(peer, b"PIPELINING")
        read_until(peer, b"DATA\r\n")
        peer.sendall(b"".join(answers))
        if answers and answers[-1].startswith(b"5"):
            read_until(peer, b"RSET\r\n")
            peer.sendall(b"250 ok\r\n")

    return script


def cut_greeting(peer: socket.socket) -> None:
    """Accept and hang up."""


def refuse_greeting(peer: socket.socket) -> None:
    peer.sendall(b"554 5.7.1 your host is on a list\r\n")


def cut_before_mail(peer: socket.socket) -> None:
    greet(peer, b"PIPELINING")
    peer.recv(10)


def cut_in_data(peer: socket.socket) -> None:
    greet(peer, b"PIPELINING")
    read_until(peer, b"DATA\r\n")
    peer.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
    # A reset, so that the rest of a large letter cannot be written.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def nonsense(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def endless(peer: socket.socket) -> None:
    peer.sendall(b"220 " + b"x" * 5000)


@pytest.mark.parametrize(
    ("script", "kind", "code", "stage"),
    [
        (cut_greeting, Deferred, 0, "connect"),
        (refuse_greeting, Deferred, 554, "connect"),
        (nonsense, Deferred, 0, "connect"),
        (endless, Deferred, 0, "connect"),
        (cut_before_mail, Deferred, 0, "mail"),
        (envelope_answer(b"250 ok\r\n"), Deferred, 0, "rcpt"),
        (envelope_answer(b"550 5.7.515 no\r\n", b"503 x\r\n", b"503 x\r\n"), Failed, 550, "mail"),
        (envelope_answer(b"250 ok\r\n", b"550 5.1.1 no\r\n", b"554 x\r\n"), Failed, 550, "rcpt"),
        (envelope_answer(b"250 ok\r\n", b"421 4.7.0 slow\r\n"), Deferred, 421, "rcpt"),
        (
            envelope_answer(b"250 ok\r\n", b"250 ok\r\n", b"554 5.5.1 no\r\n"),
            Failed,
            554,
            "data",
        ),
        (
            envelope_answer(b"250 ok\r\n", b"452 4.3.1 full\r\n", b"354 go\r\n"),
            Deferred,
            452,
            "rcpt",
        ),
        (answer_dot(b"452 4.3.1 disk is full\r\n"), Deferred, 452, "dot"),
        (answer_dot(b"421 4.3.2 going down\r\n"), Deferred, 421, "dot"),
        (answer_dot(b"554 5.6.0 spam\r\n"), Failed, 554, "dot"),
    ],
)
def test_before_its_answer_to_the_final_dot_a_server_has_provably_taken_nothing(
    script: Script, kind: type[Deferred | Failed], code: int, stage: str
) -> None:
    with scripted(script) as transport:
        outcome = transport.send(BACK, ANA, LETTER)
    assert isinstance(outcome, kind)
    assert (outcome.code, outcome.stage) == (code, stage)


def test_a_connection_that_dies_within_the_letter_is_deferred() -> None:
    with scripted(cut_in_data) as transport:
        outcome = transport.send(BACK, ANA, LETTER + b"x" * 70 + b"\r\n" * 20_000_000)
    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.stage) == (0, "body")


@pytest.mark.parametrize("answer", [b"", b"25", b"354 go on\r\n", b"what?\r\n"])
def test_no_clear_answer_to_the_final_dot_is_in_doubt(answer: bytes) -> None:
    with scripted(answer_dot(answer)) as transport:
        assert isinstance(transport.send(BACK, ANA, LETTER), InDoubt)


class Hasty(SmtpTransport):
    """Waits long for everything but the answer to the final dot."""

    def _content(self, message: bytes, scrub: Any) -> Outcome:
        assert self._socket is not None
        self._socket.settimeout(0.1)
        return super()._content(message, scrub)


def test_a_server_too_slow_after_the_dot_is_in_doubt() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer, b"PIPELINING")
        take(peer, b"")
        peer.recv(1)  # until the client gives up

    with scripted(script) as transport:
        transport.__class__ = Hasty
        assert isinstance(transport.send(BACK, ANA, LETTER), InDoubt)


def test_250_and_then_a_reset_is_sent_and_the_next_letter_opens_a_new_session() -> None:
    ok = b"250 2.0.0 Ok: queued as 4f1A\r\n"
    with scripted(answer_dot(ok), answer_dot(ok)) as transport:
        outcomes = [transport.send(BACK, ANA, LETTER) for _ in range(2)]
    assert outcomes == [Sent("2.0.0 Ok: queued as 4f1A", "4f1A")] * 2


def test_a_session_closed_politely_between_letters_is_opened_anew() -> None:
    def script(peer: socket.socket) -> None:
        greet(peer, b"PIPELINING")
        take(peer, b"250 queued as A\r\n")
        read_until(peer, b"DATA\r\n")
        peer.sendall(b"421 4.4.2 idle\r\n")

    with scripted(script, answer_dot(b"250 queued as B\r\n")) as transport:
        outcomes = [transport.send(BACK, ANA, LETTER) for _ in range(2)]
    assert [outcome.queue_id for outcome in outcomes if isinstance(outcome, Sent)] == ["A", "B"]


def test_dots_are_stuffed_and_the_size_is_declared() -> None:
    seen: list[bytes] = []

    def script(peer: socket.socket) -> None:
        greet(peer, b"PIPELINING", b"SIZE 1000")
        seen.append(take(peer, b"250 ok\r\n"))

    with scripted(script) as transport:
        transport.send(BACK, ANA, LETTER)
        too_long = transport.send(BACK, ANA, b"x" * 1001)
    assert b"\r\n..a line that begins with a dot\r\n...two\r\n.\r\n" in seen[0]
    assert isinstance(too_long, Failed)
    assert too_long.code == 552


def test_no_server_at_all_is_deferred() -> None:
    with socket.socket() as gone:  # bound, so that nobody else takes it, and not listened on
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
        outcome = SmtpTransport(Server("127.0.0.1", port, timeout=60)).send(BACK, ANA, LETTER)
    assert outcome == Deferred(0, "no connection to the server (ConnectionRefusedError)", "connect")


class Clock:
    """The client's clocks, which go on only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def stand(self, seconds: float = 2 * smtp.SOON) -> None:
        """So long the process, or its server, does nothing."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(smtp, "time", made)
    return made


def at_once() -> None:
    """A server that is quick."""


def keep_all(seen: list[bytes], pause: Callable[[], None] = at_once) -> Script:
    """Take one letter and keep every byte of it; say nothing to its dot.

    Args:
        pause: before it lets the body come, and in the middle of it.
    """

    def script(peer: socket.socket) -> None:
        greet(peer, b"PIPELINING")
        read_until(peer, b"DATA\r\n")
        pause()
        peer.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
        octets = bytearray(peer.recv(65536))
        pause()
        while more := peer.recv(65536):
            octets += more
        seen.append(bytes(octets))

    return script


# More than any system buffers of a socket, so that writing it waits for the server.
LONG_LETTER = LETTER + b"x" * 70 + b"\r\n" * 10_000_000


@pytest.mark.parametrize(
    ("letter", "answers"), [(LETTER, [False]), (LONG_LETTER, [False]), (LONG_LETTER, [True, False])]
)
def test_a_letter_that_is_taken_back_while_a_server_is_slow_gets_no_final_dot(
    clock: Clock, letter: bytes, answers: list[bool]
) -> None:
    seen: list[bytes] = []
    asked = iter(answers)
    slow = keep_all(seen, clock.stand)
    with scripted(slow, answer_dot(b"250 queued as B\r\n")) as transport:
        taken_back = transport.send(BACK, ANA, letter, still=lambda: next(asked))
        gone = transport.send(BACK, ANA, LETTER, still=lambda: True)
    assert taken_back == Deferred(0, "it was taken back before its last dot", "body")
    assert isinstance(gone, Sent)
    assert next(asked, None) is None, "it was asked each time before the dot could leave"
    assert seen[0].startswith(b"Subject: x" if answers[0] else b"")
    assert b"\r\n.\r\n" not in seen[0]


BRIEFLY, LONG = 0.9 * smtp.SOON, 1.1 * smtp.SOON
TAKEN_BACK = Deferred(0, "it was taken back before its last dot", "body")


def taken_back(asked: list[str]) -> bool:
    """The answer since somebody stopped; what was asked before them said otherwise."""
    asked.append("asked")
    return False


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("stood", [BRIEFLY, LONG])
def test_a_process_that_stood_still_after_the_last_look_sends_no_dot_on_its_answer(
    clock: Clock, stood: float, told: bool
) -> None:
    seen: list[bytes] = []
    asked: list[str] = []
    looked = clock.monotonic()
    clock.stand(stood)  # stopped, or its host asleep, before it came to the letter
    scripts = [keep_all(seen)] if told and stood == LONG else [answer_dot(b"250 queued as A\r\n")]
    with scripted(*scripts) as transport:
        outcome = transport.send(
            BACK, ANA, LETTER, still=lambda: taken_back(asked), looked=looked if told else None
        )
    if told and stood == LONG:
        assert (outcome, seen, asked) == (TAKEN_BACK, [b""], ["asked"])
    else:
        # Whoever does not say when they looked is believed to have looked now: the control.
        assert isinstance(outcome, Sent)
        assert asked == []


@pytest.mark.parametrize("stood", [BRIEFLY, LONG])
def test_a_process_that_stands_still_in_the_last_look_itself_looks_again(
    clock: Clock, stood: float
) -> None:
    seen: list[bytes] = []
    answers = [True, False]

    def look() -> bool:
        said = answers.pop(0)
        clock.stand(stood)  # after what it read, before it says so
        return said

    looked = clock.monotonic() - LONG
    scripts = [keep_all(seen)] if stood == LONG else [answer_dot(b"250 queued as A\r\n")]
    with scripted(*scripts) as transport:
        outcome = transport.send(BACK, ANA, LETTER, still=look, looked=looked)
    if stood == LONG:
        assert (outcome, seen, answers) == (TAKEN_BACK, [b""], [])
    else:
        assert isinstance(outcome, Sent)
        assert answers == [False]


@pytest.mark.parametrize("stood", [BRIEFLY, LONG])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_dot_that_the_system_has_no_room_for_is_asked_about_again_before_it_leaves(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, stood: float, part: int
) -> None:
    asked: list[str] = []
    full = [True]

    def body_alone(fd: int, parts: Sequence[bytes]) -> int:
        return os.write(fd, b"".join(parts)[: -3 + part])

    def write(fd: int, octets: bytes) -> int:
        if full:
            full.clear()
            clock.stand(stood)
            raise BlockingIOError
        return os.write(fd, octets)

    monkeypatch.setattr(smtp, "os", SimpleNamespace(writev=body_alone, write=write))
    seen: list[bytes] = []
    scripts = [keep_all(seen)] if stood == LONG else [answer_dot(b"250 queued as A\r\n")]
    with scripted(*scripts) as transport:
        outcome = transport.send(BACK, ANA, LETTER, still=lambda: taken_back(asked))
    assert not full, "it tried"
    if stood == LONG:
        assert (outcome, asked) == (TAKEN_BACK, ["asked"])
        assert seen == [smtp.stuff(LETTER) + b".\r\n"[:part]]
    else:
        assert isinstance(outcome, Sent)
        assert asked == []


def test_a_look_that_never_comes_in_time_ends_without_a_dot(clock: Clock) -> None:
    seen: list[bytes] = []

    def look() -> bool:
        clock.stand(LONG)
        return True

    with scripted(keep_all(seen)) as transport:
        outcome = transport.send(BACK, ANA, LETTER, still=look, looked=clock.monotonic() - LONG)
    assert outcome == Deferred(0, "it took too long to hand over", "body")
    assert seen == [b""]


def test_a_worker_that_was_held_up_too_long_in_the_body_sends_no_final_dot() -> None:
    seen: list[bytes] = []
    with scripted(keep_all(seen)) as transport:
        transport._server = replace(transport._server, patience=-1.0)
        late = transport.send(BACK, ANA, LETTER)
    assert late == Deferred(0, "it took too long to hand over", "body")
    assert seen == [b""]


@pytest.mark.parametrize("short", [0, 1, 2, 3, 5])
def test_the_final_dot_leaves_whole_and_once_however_the_system_cuts_the_first_write(
    monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    def cut(fd: int, parts: Sequence[bytes]) -> int:
        whole = b"".join(parts)
        return os.write(fd, whole[: len(whole) - short])

    monkeypatch.setattr(smtp.os, "writev", cut)
    seen: list[bytes] = []

    def script(peer: socket.socket) -> None:
        greet(peer, b"PIPELINING")
        for letter in (b"A", b"B"):
            seen.append(take(peer, b"250 queued as " + letter + b"\r\n"))

    with scripted(script) as transport:
        outcomes = [transport.send(BACK, ANA, LETTER) for _ in range(2)]
    assert [outcome.queue_id for outcome in outcomes if isinstance(outcome, Sent)] == ["A", "B"]
    assert seen[0] == seen[1] == smtp.stuff(LETTER) + b".\r\n"


def test_a_system_that_takes_nothing_at_once_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(fd: int, parts: Sequence[bytes]) -> int:
        raise BlockingIOError

    monkeypatch.setattr(smtp.os, "writev", full)
    with scripted(answer_dot(b"250 queued as A\r\n")) as transport:
        assert isinstance(transport.send(BACK, ANA, LETTER), Sent)


def test_a_server_that_is_quick_is_not_kept_waiting_by_a_question() -> None:
    asked: list[None] = []
    with scripted(answer_dot(b"250 queued as A\r\n")) as transport:
        transport.send(BACK, ANA, LETTER, still=lambda: bool(asked.append(None)))
    assert len(asked) <= 1
    assert smtp.SOON <= hear_back.PATIENCE / 5, "a stop waits longer than an answer holds"


# TLS and passwords


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and the context of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(Path(path))
    return server, ssl.create_default_context(cadata=pem.decode())


def test_starttls_is_taken_and_checked(
    handler: Handler, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    def check(
        server: object, session: object, envelope: object, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        good = (data.login, data.password) == (b"ana", b"word")
        return AuthResult(success=good, handled=good)

    settings = {"tls_context": tls[0], "authenticator": check, "auth_required": True}
    with serving(handler, **settings) as controller:
        port = port_of(controller)

        def outcome(tls_: str, trust: ssl.SSLContext | None, password: str) -> Outcome:
            one = SmtpTransport(
                Server(
                    "localhost",
                    port,
                    tls=tls_,  # type: ignore[arg-type]
                    login=Login("ana", password),
                    timeout=60,
                    context=trust,
                )
            )
            sent = one.send(BACK, ANA, LETTER)
            one.close()
            return sent

        assert isinstance(outcome("required", tls[1], "word"), Sent)
        wrong = outcome("required", tls[1], "guess")
        assert isinstance(wrong, Deferred)
        assert (wrong.code, wrong.stage) == (535, "connect")
        stranger = outcome("offered", None, "word")
        assert isinstance(stranger, Deferred)
        assert "TLS" in stranger.text
    assert len(handler.taken) == 1


def test_where_tls_is_required_and_not_offered_nothing_is_said(handler: Handler) -> None:
    with serving(handler) as controller:
        one = SmtpTransport(Server("127.0.0.1", port_of(controller), tls="required", timeout=60))
        assert isinstance(one.send(BACK, ANA, LETTER), Deferred)
        one.close()
    assert not handler.taken


def test_a_login_shows_nothing() -> None:
    secret = base64.b64encode(b"word").decode()
    shown = repr(Server("h", 1, login=Login("ana", "word")))
    assert "word" not in shown
    assert secret not in shown


JOSE = "josé.garcía@xn--espaa-rta.example"


def test_an_address_beyond_ascii_leaves_where_the_server_offers_smtputf8() -> None:
    handler = Handler()
    with serving(handler, enable_SMTPUTF8=True) as controller:
        one = SmtpTransport(Server("127.0.0.1", port_of(controller), timeout=60))
        assert isinstance(one.send(BACK, "josé.garcía@españa.example", LETTER), Sent)
        assert isinstance(one.send(BACK, ANA, LETTER), Sent)
        one.close()
    assert [to for _, to, _ in handler.taken] == [JOSE, ANA]


def test_elsewhere_it_fails_by_name_and_the_next_letter_leaves(
    handler: Handler, taken: Taken
) -> None:
    with serving(handler, enable_SMTPUTF8=False) as controller:
        one = SmtpTransport(Server("127.0.0.1", port_of(controller), timeout=60))
        refused = one.send(BACK, JOSE, LETTER)
        assert isinstance(refused, Failed)
        assert (refused.stage, refused.enhanced) == ("rcpt", "5.6.7")
        assert "josé" not in refused.text
        assert isinstance(one.send(BACK, ANA, LETTER), Sent)
        one.close()
    assert [to for _, to, _ in taken] == [ANA]
