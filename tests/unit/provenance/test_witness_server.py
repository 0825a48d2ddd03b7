"""The witness answers by the table of c2sp.org/tlog-witness, and remembers before it answers."""

import asyncio
import contextlib
import sqlite3
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import httpx
import pytest

from consortium import witness_client
from consortium.clock import Standing
from consortium.witness.app import make_app
from consortium.witness.ledger import Ledger
from consortium.witness_client import asker, gather, shown
from provenance.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from provenance.errors import PolicyRefused, WitnessRefused
from provenance.merkle import (
    EMPTY_ROOT,
    consistency_path,
    leaf_hash,
    nodes_of,
    tree_root,
)
from provenance.note import Note, Signer, parse_line, parse_note
from provenance.quorum import Group, Policy, Witness
from provenance.sequencer import ProofFor
from provenance.witness import (
    AddCheckpoint,
    check_cosignature,
    check_cosignatures,
    cosign,
    origin_path,
)
from tests.fakes.actors import LOG, NOON, ORIGIN, WITNESSES

ENTRIES = [b"", b"a", b"hello", b"\x00\xff", b"five", b"six", b"seven"]
OTHERS = [b"x%d" % n for n in range(7)]
WITNESS = WITNESSES[0]


def note(size: int, entries: list[bytes] = ENTRIES, signer: Signer = LOG) -> bytes:
    return sign_checkpoint(
        Checkpoint(signer.verifier.name, size, tree_root(entries[:size])), signer
    )


def proof(old: int, size: int, entries: list[bytes] = ENTRIES) -> tuple[bytes, ...]:
    leaves = [leaf_hash(one) for one in entries[:size]]
    return tuple(consistency_path(old, size, nodes_of(leaves)))


def ask(old: int, size: int, entries: list[bytes] = ENTRIES, signer: Signer = LOG) -> bytes:
    honest = proof(old, size, entries) if old <= size else ()
    return AddCheckpoint(old, honest, note(size, entries, signer)).to_bytes()


class Server:
    """The application, spoken to through its ASGI face."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "witness.db")
        self.ledger.trust(LOG.verifier)
        self.clock = Standing(NOON)
        self.app = make_app(self.ledger, WITNESS, self.clock)

    def call(self, request: httpx.Request) -> httpx.Response:
        async def over_asgi() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://w") as client:
                got = await client.request(request.method, request.url, content=request.content)
            return httpx.Response(got.status_code, headers=got.headers, content=got.content)

        return asyncio.run(over_asgi())

    def post(self, body: bytes) -> httpx.Response:
        return self.call(httpx.Request("POST", "http://w/add-checkpoint", content=body))

    def get(self, path: str) -> httpx.Response:
        return self.call(httpx.Request("GET", f"http://w/{path}"))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_a_first_and_a_growing_tree_are_cosigned(server: Server) -> None:
    for old, size in ((0, 3), (3, 5), (5, 5), (5, 7)):
        answer = server.post(ask(old, size))
        assert answer.status_code == 200
        line = parse_line(answer.text.removesuffix("\n"))
        text = parse_note(note(size)).text
        assert check_cosignature(text, line, WITNESS.verifier).at == int(NOON.timestamp())


def test_the_same_tree_is_cosigned_again_with_a_newer_time(server: Server) -> None:
    server.post(ask(0, 5))
    server.clock.now = NOON + timedelta(hours=1)
    line = parse_line(server.post(ask(5, 5)).text.removesuffix("\n"))
    later = check_cosignature(parse_note(note(5)).text, line, WITNESS.verifier).at
    assert later == int(NOON.timestamp()) + 3600


STRANGER = Signer.from_seed("log.example/other", bytes(32))
IMPOSTOR = Signer.from_seed(ORIGIN, bytes(32))
FORGED = Note(
    parse_note(note(3)).text,
    (parse_line(parse_note(note(5)).signatures[0].to_line().decode()[:-1]),),
).to_bytes()
WRONG_ROOT_AT_0 = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), LOG)


@pytest.mark.parametrize(
    ("known", "body", "status"),
    [
        (0, b"", 400),
        (0, b"old 0\n", 400),
        (0, b"old 00\n\n" + note(3), 400),
        (0, b"old -1\n\n" + note(3), 400),
        (0, b"old 0\n" + b"A" * 44 + b"\n\n" + note(3), 400),
        (0, b"old 0\nqqqq\n\n" + note(3), 400),
        (0, b"old 0\r\n\r\n" + note(3), 400),
        (0, b"old 0\n" + b"rpdNSnTCNx2M/oQreqT2aY3oVwUm7rPbGUGwtyMR1HA=\n" * 64 + b"\n", 400),
        (0, b"old 0\n\n" + note(3).replace(b"\n3\n", b"\n03\n"), 400),
        (0, b"x" * 200_000, 400),
        (0, ask(5, 3), 400),
        (0, ask(0, 3, signer=STRANGER), 404),
        (0, ask(0, 3, signer=IMPOSTOR), 403),
        (0, b"old 0\n\n" + FORGED, 403),
        (3, ask(0, 5), 409),
        (3, ask(2, 5), 409),
        (5, ask(3, 5), 409),
        (0, ask(3, 5), 409),
        (0, b"old 0\n\n" + WRONG_ROOT_AT_0, 422),
        (0, AddCheckpoint(0, proof(3, 5), note(5)).to_bytes(), 422),
        (3, AddCheckpoint(3, (), note(5)).to_bytes(), 422),
        (3, AddCheckpoint(3, proof(3, 7), note(5)).to_bytes(), 422),
        (3, ask(3, 5, OTHERS), 422),
        (3, ask(3, 3, OTHERS), 422),
        (3, AddCheckpoint(3, (EMPTY_ROOT,), note(3)).to_bytes(), 422),
    ],
)
def test_each_wrong_request_has_its_status_and_changes_nothing(
    server: Server, known: int, body: bytes, status: int
) -> None:
    if known:
        assert server.post(ask(0, known)).status_code == 200
    answer = server.post(body)
    assert answer.status_code == status
    if status == 409:
        assert (answer.content, answer.headers["content-type"]) == (
            f"{known}\n".encode(),
            "text/x.tlog.size",
        )
    assert server.ledger.seen()[0].size == known


SECOND_BAD = Note(
    parse_note(note(5)).text,
    (*parse_note(note(5)).signatures, *parse_note(note(3)).signatures),
).to_bytes()


@pytest.mark.parametrize(
    ("known", "body", "status"),
    [
        # Each is wrong in two rows of the table, or more: the earlier row answers.
        pytest.param(0, ask(5, 3, signer=STRANGER), 400, id="old too large, log unknown"),
        pytest.param(3, b"old 03\n\n" + note(5, signer=STRANGER), 400, id="malformed, unknown"),
        pytest.param(3, ask(0, 5, signer=STRANGER), 404, id="unknown, size, proof"),
        pytest.param(3, ask(0, 5, signer=IMPOSTOR), 403, id="signature, size"),
        pytest.param(3, AddCheckpoint(3, (), FORGED).to_bytes(), 403, id="signature, proof"),
        pytest.param(3, AddCheckpoint(3, proof(3, 5), SECOND_BAD).to_bytes(), 403, id="one of two"),
        pytest.param(3, AddCheckpoint(2, (), note(5)).to_bytes(), 409, id="size, proof"),
        pytest.param(3, ask(0, 3, OTHERS), 409, id="size, root"),
        pytest.param(3, b"old 0\n\n" + WRONG_ROOT_AT_0, 409, id="size, empty root"),
    ],
)
def test_a_request_that_is_wrong_twice_has_the_status_of_the_earlier_check(
    server: Server, known: int, body: bytes, status: int
) -> None:
    if known:
        server.post(ask(0, known))
    assert server.post(body).status_code == status
    assert server.ledger.seen()[0].size == known


def test_each_answer_has_the_form_of_the_table(server: Server) -> None:
    good = server.post(ask(0, 3))
    assert (good.text[0], good.text[-1], good.text.count("\n")) == ("\u2014", "\n", 1)
    other = server.post(ask(0, 5))
    assert (other.status_code, other.text) == (409, "3\n")
    assert other.headers["content-type"] == "text/x.tlog.size"
    for body in (b"", ask(3, 5, OTHERS), ask(0, 3, signer=STRANGER), ask(3, 5, signer=IMPOSTOR)):
        refused = server.post(body)
        assert refused.status_code >= 400
        assert "\u2014" not in refused.text
    assert server.get("add-checkpoint").status_code == 405


def test_nothing_is_answered_before_it_is_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.post(ask(0, 3))
    told: list[str] = []

    class Full(sqlite3.Connection):
        def execute(self, statement: str, *more: Any) -> sqlite3.Cursor:
            if statement.startswith("UPDATE"):
                told.append(statement)
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(statement, *more)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Full, **k))
    with pytest.raises(sqlite3.OperationalError):
        server.post(ask(3, 5))
    assert len(told) == 1
    monkeypatch.undo()
    assert server.ledger.seen()[0].size == 3
    assert server.post(ask(3, 5)).status_code == 200


def test_an_empty_tree_is_cosigned(server: Server) -> None:
    assert server.post(ask(0, 0)).status_code == 200


def test_a_signed_fork_is_kept_as_evidence(server: Server) -> None:
    server.post(ask(0, 3))
    assert server.post(ask(3, 3, OTHERS)).status_code == 422
    [(fork, against)] = server.ledger.forks()
    assert fork == note(3, OTHERS)
    assert against is not None
    assert read_checkpoint(against)[0].root == tree_root(ENTRIES[:3])


def test_nobody_makes_a_witness_accuse_an_honest_log(server: Server) -> None:
    # An honest checkpoint with a proof of nothing, and lines of strangers so that it is never the
    # same bytes twice.
    server.post(ask(0, 3))
    for n in range(5):
        stranger = Signer.from_seed(f"stranger-{n}.example", bytes([n]) * 32).verifier
        line = f"\u2014 {stranger.name} {b64encode(stranger.key_id + bytes(64)).decode()}\n"
        body = AddCheckpoint(3, (bytes(32),), note(5) + line.encode()).to_bytes()
        assert server.post(body).status_code == 422
    assert server.ledger.forks() == []
    # A real one is kept once, however its lines are varied.
    for n in range(3):
        line = f"\u2014 stranger.example/{n} {b64encode(bytes([n]) * 68).decode()}\n"
        server.post(AddCheckpoint(3, (), note(3, OTHERS) + line.encode()).to_bytes())
    assert [fork for fork, _ in server.ledger.forks()] == [note(3, OTHERS)]


def test_the_latest_checkpoint_is_shown_with_both_signatures(server: Server) -> None:
    path = f"{origin_path(ORIGIN)}/checkpoint"
    assert path.startswith("d008cb64efcdb4ce94bdc91772b027c6d6a69b8d6aec9c9b5935a5ed3cc03372")
    assert server.get(path).status_code == 404
    server.post(ask(0, 3))
    shown = server.get(path)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    _, read = read_checkpoint(shown.content)
    assert read.lines_of(LOG.verifier)
    assert check_cosignatures(read, [WITNESS.verifier])
    assert server.get("..%2f/checkpoint").status_code == 404


def test_what_was_cosigned_is_remembered_by_a_new_process(server: Server, tmp_path: Path) -> None:
    server.post(ask(0, 3))
    assert Ledger(tmp_path / "witness.db").seen()[0].size == 3


def test_of_two_histories_at_the_same_instant_one_is_cosigned(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "witness.db")
    ledger.trust(LOG.verifier)
    together = Barrier(2)

    def post(entries: list[bytes]) -> int:
        together.wait(timeout=60)
        try:
            ledger.add(ask(0, 3, entries), WITNESS, NOON)
        except WitnessRefused as refused:
            return refused.status
        return 200

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(post, [ENTRIES, OTHERS])) == [200, 409]


class Meeting:
    """A signer at whom requests meet: all have been checked, and none is stored yet."""

    def __init__(self, parties: int) -> None:
        self._barrier = Barrier(parties)
        self.met = 0
        self.signer = Signer(WITNESS.verifier, self._sign)

    def _sign(self, message: bytes) -> bytes:
        with contextlib.suppress(BrokenBarrierError):
            self._barrier.wait(timeout=60)
            self.met += 1
        return WITNESS.sign(message)


def raced(server: Server, bodies: list[bytes]) -> list[httpx.Response]:
    """Submit over HTTP at once; every request passes its checks before any is stored."""
    meeting = Meeting(len(bodies))
    server.app = make_app(server.ledger, meeting.signer, server.clock)
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(server.post, bodies))
    assert meeting.met == len(bodies)  # the race took place
    return answers


def test_of_two_submissions_from_one_size_the_slower_is_told_the_new_size(server: Server) -> None:
    server.post(ask(0, 1))
    answers = raced(server, [ask(1, 3), ask(1, 7)])
    assert sorted(one.status_code for one in answers) == [200, 409]
    won = 3 if answers[0].status_code == 200 else 7
    [lost] = [one for one in answers if one.status_code == 409]
    assert (lost.text, lost.headers["content-type"]) == (f"{won}\n", "text/x.tlog.size")
    assert server.ledger.seen()[0].size == won


def test_of_many_submissions_one_is_cosigned_and_no_signature_of_the_others_leaves(
    server: Server,
) -> None:
    answers = raced(server, [ask(0, size) for size in (1, 2, 3, 5, 6, 7)])
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409, 409, 409]
    assert [one for one in answers if "\u2014" in one.text] == [
        one for one in answers if one.status_code == 200
    ]


def test_without_the_comparison_the_race_would_roll_the_witness_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(sqlite3.Connection):
        def execute(self, statement: str, *more: Any) -> sqlite3.Cursor:
            if statement.startswith("UPDATE"):
                statement = statement.replace("AND size = ? AND root = ?", "AND (? + length(?))")
            return super().execute(statement, *more)

    connect = sqlite3.connect
    server.post(ask(0, 1))
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Careless, **k))
    answers = raced(server, [ask(1, 3), ask(1, 3, [ENTRIES[0], *OTHERS])])
    assert [one.status_code for one in answers] == [200, 200]  # two trees of one size, both signed


def test_another_key_for_a_trusted_log_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "witness.db")
    ledger.trust(LOG.verifier)
    ledger.trust(LOG.verifier)
    with pytest.raises(PolicyRefused):
        ledger.trust(IMPOSTOR.verifier)


def asked(server: Server, size: int, **more: dict[str, int]) -> tuple[list[bytes], list[str]]:
    witnesses = [Witness("w1", WITNESS.verifier, "http://w/")]
    return gather(
        note(size),
        witnesses,
        lambda old: list(proof(old, size)),
        5,
        transport=httpx.MockTransport(server.call),
        **more,
    )


def test_a_log_that_does_not_know_the_size_asks_again(server: Server) -> None:
    server.post(ask(0, 3))
    lines, missing = asked(server, 7)
    assert (len(lines), missing) == (1, [])
    assert server.ledger.seen()[0].size == 7


def test_a_log_that_knows_the_size_asks_once(server: Server) -> None:
    sizes: dict[str, int] = {}
    asked(server, 3, sizes=sizes)
    assert sizes == {WITNESS.verifier.vkey: 3}
    assert asked(server, 7, sizes=sizes)[1] == []


def test_a_log_that_was_rolled_back_is_told_so(server: Server) -> None:
    server.post(ask(0, 7))
    lines, [missing] = asked(server, 3)
    assert lines == []
    assert "rolled back" in missing


def _sized(kind: str) -> httpx.Response:
    return httpx.Response(409, headers={"content-type": kind}, content=b"1\n")


class Passing(threading.local):
    """A clock of each thread's own: only whoever drips lets time pass, and for itself alone."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_one_witness_that_drips_or_breaks_holds_up_nobody_and_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Passing()
    monkeypatch.setattr(witness_client, "time", clock)

    def drip() -> Iterator[bytes]:
        while True:
            clock.now += 1
            yield b"x"

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "slow":
            return httpx.Response(200, content=drip())
        if request.url.host == "broken":
            raise RuntimeError("anything at all")
        signed = cosign(parse_note(note(3)).text, WITNESS, 1_790_000_000).to_line()
        return httpx.Response(200, content=signed)

    names = ("good", "slow", "broken")
    each = [
        Witness(name, one.verifier, f"http://{name}")
        for name, one in zip(names, WITNESSES, strict=True)
    ]
    transport = httpx.MockTransport(answer)
    found, missing = gather(note(3), each, lambda old: [], 5.0, transport=transport)
    assert len(found) == 1
    assert "takes too long" in missing[0]
    assert "cannot be understood (RuntimeError)" in missing[1]
    policy = Policy((LOG.verifier,), tuple(each), (Group("quorum", 1, names),), "quorum")
    assert {*shown(policy, 5.0, transport=transport)} == {WITNESS.verifier.name}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(500), "status 500"),
        (httpx.Response(200, content=b""), "no cosignature"),
        (httpx.Response(200, content=b"hello\n"), "not signature lines"),
        (httpx.Response(409, content=b"many\n"), "decimal"),
        (httpx.Response(200, content=b"x" * 100_000), "too large"),
        *(
            (_sized(f"text/x.tlog.size; charset={one}"), "changing")
            for one in ("base64", "hex", "zlib", "rot13", "idna", "undefined")
        ),
    ],
)
def test_a_witness_that_answers_nonsense_is_missing(answer: httpx.Response, says: str) -> None:
    found, [missing] = gather(
        note(3),
        [Witness("w1", WITNESS.verifier, "http://w")],
        lambda old: list(proof(old, 3)),
        5,
        transport=httpx.MockTransport(lambda request: answer),
    )
    assert found == []
    assert says in missing


def test_a_witness_that_is_away_is_missing() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    two = [Witness("w1", WITNESS.verifier, "http://w"), Witness("w2", WITNESSES[1].verifier)]
    found, missing = gather(note(3), two, lambda old: [], 5, transport=httpx.MockTransport(away))
    assert found == []
    assert missing == [
        "witness.example/w1: cannot be reached (ConnectError)",
        "witness.example/w2: the policy names no address for it",
    ]


def test_the_asker_remembers_sizes_and_logs_who_is_missing(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    known = Witness("w1", WITNESS.verifier, "http://w/")
    absent = Witness("w2", WITNESSES[1].verifier)
    group = Group("quorum", 1, ("w1", "w2"))
    policy = Policy((LOG.verifier,), (known, absent), (group,), "quorum")
    asked_from: list[int] = []

    def proof_for(size: int) -> ProofFor:
        def path(old: int) -> list[bytes]:
            asked_from.append(old)
            return list(proof(old, size))

        return path

    ask_all = asker(policy, transport=httpx.MockTransport(server.call))
    assert len(ask_all(note(3), proof_for(3))) == 1
    assert len(ask_all(note(7), proof_for(7))) == 1
    assert asked_from == [0, 3]
    assert "witness.example/w2" in caplog.text
