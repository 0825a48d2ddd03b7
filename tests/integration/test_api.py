"""The JSON API over a real store, log and artefacts: what is promised is kept, all or nothing."""

import base64
import errno
import hashlib
import json
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import consortium.store.artefacts
import consortium.web.limits
import consortium.web.routes.parts
from consortium.service import ghosts, look, match, withdraw
from consortium.service.errors import WrongState
from consortium.store import contributions, log, strays
from consortium.store.errors import Missing
from matching.attributes import cells
from policies.authorise import Caller
from provenance.evidence import Evidence, check
from provenance.merkle import leaf_hash, tree_root
from tests.databases import NOON
from tests.fakes.actors import POLICY, made
from tests.fakes.server import EPOCH, RACE, Server, body, some_voters, write_attributes

SOME_ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def ready(server: Server) -> Server:
    """A server whose agreement everybody has signed."""
    server.sign_agreement()
    return server


def files(server: Server) -> list[Path]:
    """Every file in the artefact store, half-written ones too."""
    return [path for path in (server.folder / "artefacts").rglob("*") if path.is_file()]


def kept(server: Server) -> list[contributions.Contribution]:
    return server.units.run("look", contributions.listed)


# -- the public part -------------------------------------------------------------------------------


def test_the_agreement_is_given_as_the_exact_bytes_that_are_signed(any_server: Server) -> None:
    answer = any_server.call(None, "GET", f"/races/{RACE}/agreement")
    assert answer.content == any_server.agreement
    assert answer.headers["content-type"] == "application/json"


def test_signing_other_bytes_than_the_agreement_is_refused(server: Server) -> None:
    entry = made("union", "agreement", kind="sign", race=RACE, digest="0" * 64)
    answer = server.call("union", "POST", "/log/entries", json=body(entry))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:trellis:problem:entry-misfits")


def test_the_invite_is_for_those_who_take_part(server: Server) -> None:
    assert server.call("union", "GET", "/invite").json()["race"] == RACE
    assert server.call(None, "GET", "/invite").status_code == 401


def test_nothing_is_there_before_it_is_there(ready: Server) -> None:
    keys: dict[str, Any] = {"match": None, "seal": None, "mailer": None, "pepper": None}
    keys |= {"lines": {"match": [], "seal": []}, "destroyed": []}
    assert ready.call(None, "GET", f"/keys/{EPOCH}").json() == keys
    assert ready.call(None, "GET", "/roster").json() == {"epoch": EPOCH, "chunks": []}
    for who, path, status in (
        (None, "/roster/0", 404),
        (None, f"/roster/{10**30}", 404),
        (None, "/races/another/agreement", 404),
        (None, f"/log/entries/{'0' * 64}", 404),
        ("union", f"/contributions/{SOME_ID}", 404),
        ("stella", f"/rolls/{SOME_ID}", 404),
        ("cora", f"/campaigns/{SOME_ID}", 404),
        ("cora", f"/campaigns/{SOME_ID}/report", 404),
        ("union", f"/campaigns/{SOME_ID}/audience", 404),
        ("cora", f"/races/{RACE}/places", 409),  # no roll yet
        ("cora", "/nothing/like/this", 404),
        ("cora", "/campaigns/not-an-id", 422),
    ):
        answer = ready.call(who, "GET", path)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    assert ready.call("cora", "DELETE", "/campaigns").status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/races/%00/agreement", "/races/A/agreement", "/keys/%00", "/log/entries/%00", "/roster/x"],
)
def test_a_word_that_no_id_has_never_reaches_the_database(any_server: Server, path: str) -> None:
    assert any_server.call(None, "GET", path).status_code in (404, 422)


# -- uploading a part ------------------------------------------------------------------------------


def test_a_part_is_kept_under_its_digest_and_again_is_the_same(ready: Server) -> None:
    content = bytes(range(256)) * 4000
    for _ in range(2):
        answer = ready.call("union", "PUT", f"/contributions/{SOME_ID}/rows", content=content)
        assert answer.json() == {
            "digest": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    assert [path.read_bytes() for path in files(ready)] == [content]


def put_as_a_server_does(server: Server, messages: Iterator[Any]) -> int:
    """Call the app message by message: the test client would gather the body first."""
    said: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        said.append(message)

    path = f"/api/v1/contributions/{SOME_ID}/rows"
    scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {server.token('union')}".encode())],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    with server.client:
        assert server.client.portal is not None
        server.client.portal.call(server.app, scope, receive, send)
    return int(said[0]["status"])


def test_an_upload_does_not_pile_up_in_memory(ready: Server) -> None:
    number = 96

    def stream() -> Iterator[Any]:
        for left in reversed(range(number)):
            yield {"type": "http.request", "body": bytes(1 << 20), "more_body": left > 0}

    tracemalloc.start()
    assert put_as_a_server_does(ready, stream()) == 200
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [path.stat().st_size for path in files(ready)] == [number << 20]
    assert peak < 16 << 20, f"{peak >> 20} MiB for a body of {number} MiB"


class Full:
    """A disk that is full after a while."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, path: Path, chunks: Any) -> str:
        def filling() -> Iterator[bytes]:
            for chunk in chunks:
                self.left -= len(chunk)
                if self.left < 0:
                    raise OSError(errno.ENOSPC, "No space left on device", str(path))
                yield chunk

        return str(self.write(path, filling()))

    write = staticmethod(consortium.store.artefacts._write)


def test_a_full_disk_is_a_problem_and_nothing_is_half_written(
    ready: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consortium.store.artefacts, "_write", Full(100_000))
    chunks = (bytes(64_000) for _ in range(10))
    answer = ready.call("union", "PUT", f"/contributions/{SOME_ID}/rows", content=chunks)
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:trellis:problem:not-kept")
    assert str(ready.folder) not in answer.text
    assert files(ready) == []


def test_a_sender_that_breaks_off_leaves_nothing(ready: Server) -> None:
    messages = [
        {"type": "http.request", "body": bytes(70_000), "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert put_as_a_server_does(ready, iter(messages)) == 400
    assert files(ready) == []


def test_a_part_beyond_the_limit_is_refused_and_not_kept(
    ready: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consortium.web.routes.parts, "MAX_PART", 1 << 20)
    for content in (bytes(2 << 20), (bytes(1 << 19) for _ in range(5))):  # announced, and not
        answer = ready.call("union", "PUT", f"/contributions/{SOME_ID}/rows", content=content)
        assert answer.status_code == 413
    assert files(ready) == []


@pytest.mark.parametrize("who", ["cora", "stella", "ann", "mailer"])
def test_only_partners_bring_lists_and_only_stewards_rolls(ready: Server, who: str) -> None:
    assert ready.call(who, "PUT", f"/contributions/{SOME_ID}/rows", content=b"x").status_code == 403
    expected = 200 if who == "stella" else 403
    answer = ready.call(who, "PUT", f"/rolls/{SOME_ID}/attributes", content=b"x")
    assert answer.status_code == expected
    assert len(files(ready)) == (1 if who == "stella" else 0)


def test_there_are_no_other_parts(ready: Server) -> None:
    for path in (f"/contributions/{SOME_ID}/names", f"/rolls/{SOME_ID}/rows"):
        who = "union" if "contrib" in path else "stella"
        assert ready.call(who, "PUT", path, content=b"x").status_code == 422
    assert files(ready) == []


def test_a_json_body_beyond_the_limit_is_refused_unread(ready: Server) -> None:
    big = consortium.web.limits.MAX_BODY + 1
    answer = ready.client.post("/api/v1/log/entries", content=bytes(big))
    assert answer.status_code == 413
    unannounced = (bytes(1 << 19) for _ in range(6))
    answer = ready.client.post("/api/v1/log/entries", content=unannounced)
    assert 400 <= answer.status_code < 500


# -- a contribution --------------------------------------------------------------------------------


def test_an_upload_is_promised_published_and_proved(any_server: Server) -> None:
    upload = any_server.upload("union")
    any_server.put_parts(upload)
    offer = upload.offer()
    sent = any_server.call("union", "POST", f"/contributions/{upload.id}", json=offer)
    assert sent.status_code == 202
    leaf = sent.json()["leaf"]
    waiting = any_server.call("union", "GET", f"/contributions/{upload.id}").json()
    assert waiting == {"id": upload.id, "state": "received", "leaf": leaf, "evidence": None}
    assert any_server.call("union", "GET", f"/log/entries/{leaf}").json() == {"state": "pending"}
    assert any_server.publish() == 3  # two signatures under the agreement, and this
    proved = any_server.call("union", "GET", f"/contributions/{upload.id}").json()["evidence"]
    checked = check(Evidence.from_json(proved), POLICY)
    assert checked.facts["bundle"] == upload.id
    assert checked.cosigned_at == NOON
    entry = any_server.call("union", "GET", f"/log/entries/{leaf}").json()
    assert entry["state"] == "published"
    assert leaf_hash(Evidence.from_json(entry["evidence"]).entry).hex() == leaf
    mine = any_server.call("union", "GET", "/contributions").json()
    assert [one["id"] for one in mine] == [upload.id]
    assert any_server.call("parks", "GET", "/contributions").json() == []


def test_the_same_again_needs_no_outputs_once_they_were_read(any_server: Server) -> None:
    upload = any_server.contribute("union")
    digest = upload.header["outputs_digest"]
    any_server.artefacts.delete(digest)
    any_server.units.run(
        "read", lambda unit: contributions.change(unit, upload.id, outputs_digest=None)
    )
    again = any_server.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
    assert (again.status_code, again.json()["leaf"]) == (202, kept(any_server)[0].leaf)
    other = any_server.upload("union", seed=2)
    any_server.put_parts(other)
    any_server.artefacts.delete(other.header["outputs_digest"])
    unknown = any_server.call("union", "POST", f"/contributions/{other.id}", json=other.offer())
    assert unknown.status_code == 410


def test_a_part_that_lay_there_for_days_without_its_entry_is_sent_again_before_it_is_named(
    ready: Server,
) -> None:
    upload = ready.upload("union")
    ready.put_parts(upload)
    digest = upload.header["rows_digest"]
    path = ready.folder / "artefacts" / digest[:2] / digest
    before = time.time() - strays.FRESH.total_seconds()
    os.utime(path, (before, before))
    path_of, offer = f"/contributions/{upload.id}", upload.offer()
    answer = ready.call("union", "POST", path_of, json=offer)
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:trellis:problem:part-missing")
    assert kept(ready) == []
    ready.put_parts(upload)
    assert ready.call("union", "POST", path_of, json=offer).status_code == 202
    os.utime(path, (before, before))  # named by now: its age counts no more
    assert ready.call("union", "POST", path_of, json=offer).status_code == 202


def test_the_same_again_answers_the_same_and_other_bytes_are_a_conflict(
    any_server: Server,
) -> None:
    upload = any_server.contribute("union")
    again = any_server.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
    assert (again.status_code, again.json()["leaf"]) == (202, kept(any_server)[0].leaf)
    other = any_server.upload("union", seed=2, id=upload.id)
    any_server.put_parts(other)
    answer = any_server.call("union", "POST", f"/contributions/{other.id}", json=other.offer())
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:trellis:problem:conflict")
    assert [one.rows_digest for one in kept(any_server)] == [upload.header["rows_digest"]]


def test_two_posts_at_one_instant_are_one(any_server: Server) -> None:
    upload = any_server.upload("union")
    any_server.put_parts(upload)
    offer, together = upload.offer(), threading.Barrier(2)

    def post(_: int) -> Any:
        together.wait(timeout=60)
        return any_server.call("union", "POST", f"/contributions/{upload.id}", json=offer)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(post, range(2)))
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert len(kept(any_server)) == 1
    pending = any_server.units.run("pending", lambda unit: log.pending(unit, 99))
    assert [one.kind for one in pending].count("contribution") == 1


def test_another_partners_id_is_refused_and_shows_nothing(any_server: Server) -> None:
    upload = any_server.contribute("union")
    theirs = any_server.upload("parks", seed=3, id=upload.id)
    any_server.put_parts(theirs)
    answer = any_server.call("parks", "POST", f"/contributions/{theirs.id}", json=theirs.offer())
    assert answer.status_code == 409
    assert any_server.call("parks", "GET", f"/contributions/{upload.id}").status_code == 404
    assert kept(any_server)[0].partner == "union"


def test_nobody_contributes_in_anothers_name(ready: Server) -> None:
    upload = ready.upload("union")
    ready.put_parts(upload)
    for who in ("parks", "cora", "stella"):
        answer = ready.call(who, "POST", f"/contributions/{upload.id}", json=upload.offer())
        assert answer.status_code == 403, who
    answer = ready.call(
        "union", "POST", f"/contributions/{upload.id}", json=upload.offer(signer="parks")
    )
    assert answer.status_code == 422
    answer = ready.call(
        "union", "POST", f"/contributions/{upload.id}", json=upload.offer(signer="mallory")
    )
    assert answer.status_code == 404  # that key is nobody's
    assert kept(ready) == []


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("kind", "roster"),
        ("partner", "parks"),
        ("bundle", SOME_ID),
        ("epoch", "2027-season"),
        ("rows_digest", "0" * 64),
        ("outputs_digest", "0" * 64),
        ("root", "0" * 64),
        ("size_class", 256),
        ("size_class", "128"),
        ("size_class", 128.5),
        ("size_class", None),
    ],
)
def test_an_entry_that_says_something_else_is_refused_with_where(
    ready: Server, fact: str, value: object
) -> None:
    upload = ready.upload("union")
    ready.put_parts(upload)
    answer = ready.call(
        "union", "POST", f"/contributions/{upload.id}", json=upload.offer(**{fact: value})
    )
    assert answer.status_code == 422
    assert fact in answer.json()["detail"]
    assert kept(ready) == []


def test_an_entry_of_another_type_or_hour_is_refused(ready: Server) -> None:
    upload = ready.upload("union")
    ready.put_parts(upload)
    header, facts = upload.header, upload.facts()
    for entry in (
        made("union", "withdrawal", **facts),
        made("union", "contribution", NOON.replace(hour=9), **facts),
        made("union", "contribution", NOON.replace(hour=15), **facts),
    ):
        offer = body(entry, header=header)
        answer = ready.call("union", "POST", f"/contributions/{upload.id}", json=offer)
        assert answer.status_code == 422
    assert kept(ready) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 99),
        ("rows", "100"),
        ("partner", None),
        ("bundle", SOME_ID),
        ("wrapped", "not base64!"),
        ("wrapped", ""),
        ("commitment", "short"),
        ("rows_digest", "f" * 64),
        ("outputs_digest", "f" * 64),
        ("outputs_digest", "../../etc/passwd"),
        ("root", 7),
        ("created", "ann@members.example"),
        ("fields", ["ann@members.example"]),
        ("notes", "a field that is not known"),
    ],
)
def test_a_header_that_misfits_is_refused_with_where(
    ready: Server, name: str, value: object
) -> None:
    upload = ready.upload("union")
    ready.put_parts(upload)
    offer = upload.offer()
    offer["header"] = {**upload.header, name: value}
    answer = ready.call("union", "POST", f"/contributions/{upload.id}", json=offer)
    assert answer.status_code in (403, 410, 422)
    assert "ann@" not in answer.text
    assert kept(ready) == []


def test_a_file_that_is_no_bundle_is_refused(ready: Server) -> None:
    whole = ready.upload("union").rows
    for rows in (b"", b"PAR1" * 9, whole[:-3000], whole[: len(whole) // 2] + whole[-2000:]):
        upload = ready.upload("union")
        upload.rows = rows
        ready.put_parts(upload)
        answer = ready.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:trellis:problem:bundle")
        assert str(ready.folder) not in answer.text
    assert kept(ready) == []


def test_damage_in_the_middle_of_a_file_is_refused(ready: Server) -> None:
    upload = ready.upload("union")
    middle = len(upload.rows) // 2
    upload.rows = upload.rows[:middle] + bytes(200) + upload.rows[middle + 200 :]
    ready.put_parts(upload)
    answer = ready.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
    assert answer.status_code == 422
    assert kept(ready) == []


def test_a_list_that_is_too_short_is_refused(ready: Server) -> None:
    upload = ready.upload("union", rows=99)
    ready.put_parts(upload)
    upload.header["rows"] = 99
    answer = ready.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
    assert answer.status_code == 422
    assert "100" in answer.json()["detail"]


def test_nothing_is_taken_before_every_partner_has_signed(server: Server) -> None:
    server.sign_agreement(["union"])
    upload = server.upload("union")
    server.put_parts(upload)
    answer = server.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:trellis:problem:not-ready")
    assert "parks" in answer.json()["detail"]


BENT_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"entry": 1, "openings": {}}',
    b'{"entry": "\xff", "openings": {}}',
    b'{"entry": "AAAA", "openings": []}',
    b'{"entry": "AAAA", "openings": {"actor": 1}}',
    b'{"entry": "AAAA", "openings": {"actor": {"salt": "00", "value": NaN}}}',
    b'{"entry": "AAAA", "openings": {"actor": {"salt": "00", "value": 1e999}}}',
    b'{"entry": "AAAA", "openings": {}, "more": 1}',
    b'{"entry": "!", "openings": {}}',
    b'{"entry": "AAAA", "openings": {"\\ud800": {}}}',
    b"[" * 100_000,
    b'{"entry": "AAAA", "openings": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    b'{"entry": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("content", BENT_BODIES, ids=lambda raw: repr(raw[:40]))
def test_no_bent_body_is_a_fault(ready: Server, content: bytes) -> None:
    answer = ready.client.post(
        "/api/v1/log/entries", content=content, headers={"content-type": "application/json"}
    )
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize("value", ["\0", "\ud800", 1 << 60, 1e300, [[]] * 50, {"a": None}, True])
def test_strange_openings_of_a_true_entry_are_refused(ready: Server, value: object) -> None:
    entry = made("union", "agreement", kind="sign", race=RACE, digest="0" * 64)
    for name in ("race", "kind", "actor", "digest"):
        said = body(entry)
        said["openings"][name]["value"] = value
        answer = ready.client.post(
            "/api/v1/log/entries",
            content=json.dumps(said).encode(),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 422, name


@pytest.mark.parametrize("value", ["\0", "x" * 500, 1 << 50, [["a"]], {"a": None}, True, None])
def test_a_truly_signed_entry_with_strange_facts_is_refused(
    any_server: Server, value: object
) -> None:
    for name in ("kind", "race", "digest"):
        facts: dict[str, Any] = {"kind": "sign", "race": RACE, "digest": "0" * 64, name: value}
        entry = made("union", "agreement", **facts)
        answer = any_server.call(None, "POST", "/log/entries", json=body(entry))
        assert answer.status_code in (404, 422), name


# -- withdrawal ------------------------------------------------------------------------------------


UNION = Caller("union", "partner", partner="union")


def withdrawal(upload: Any, who: str = "union") -> dict[str, Any]:
    return body(made(who, "withdrawal", kind="bundle", bundle=upload.id))


def test_only_its_own_partner_is_given_a_lists_ghosts(any_server: Server) -> None:
    upload = any_server.contribute("union")
    path = f"/contributions/{upload.id}/ghosts"
    assert any_server.call("union", "GET", path).status_code == 409
    any_server.enrol(some_voters())
    bench = match.Bench(any_server.units, any_server.artefacts, None, None, any_server.clock)  # type: ignore[arg-type]
    match._draw_ghosts(bench, EPOCH)
    given = any_server.call("union", "GET", path).json()["secrets"]
    assert len(given) == len(set(given)) == ghosts.at_most(2, 2) + 128
    assert any_server.call("parks", "GET", path).status_code == 404
    assert any_server.call("cora", "GET", path).status_code == 403


def test_only_its_own_partner_is_told_of_stops_upon_a_lists_letters(any_server: Server) -> None:
    upload = any_server.contribute("union")
    path = f"/contributions/{upload.id}/stops"
    answer = any_server.call("union", "GET", path)
    assert (answer.status_code, answer.json()) == (200, {"stops": []})
    assert any_server.call("parks", "GET", path).status_code == 404
    assert any_server.call("cora", "GET", path).status_code == 403
    assert any_server.call(None, "GET", path).status_code == 401
    gone = any_server.call("union", "GET", f"/contributions/{SOME_ID}/stops")
    assert gone.json() == any_server.call("parks", "GET", path).json()


def test_a_withdrawn_bundle_is_gone_and_its_key_first(any_server: Server) -> None:
    upload = any_server.contribute("union")
    any_server.publish()
    assert len(files(any_server)) == 2
    answer = any_server.call(
        "union", "POST", f"/contributions/{upload.id}/withdraw", json=withdrawal(upload)
    )
    assert answer.status_code == 202
    assert files(any_server) == []
    one = kept(any_server)[0]
    assert (one.state, one.wrapped, one.links_digest) == ("withdrawn", None, None)
    told = any_server.call("union", "GET", f"/contributions/{upload.id}").json()
    assert told["state"] == "withdrawn"


def test_a_withdrawal_in_the_browser_takes_a_list_out_of_both_epochs_or_out_of_none(
    any_server: Server,
) -> None:
    first, second, other, foreign = (
        any_server.contribute(who, seed, upload=name)
        for who, seed, name in (
            ("union", 1, "a" * 32), ("union", 2, "a" * 32),
            ("union", 3, "b" * 32), ("parks", 4, "a" * 32),
        )
    )  # fmt: skip
    seen = any_server.units.run("look", lambda unit: look.contribution_list(unit, UNION))
    assert {one.id: one.twins for one in seen} == {
        first.id: (second.id,),
        second.id: (first.id,),
        other.id: (),
    }

    def taken_back(*uploads: Any) -> dict[str, str]:
        signed = {}
        for one in uploads:
            said = withdrawal(one)
            signed[one.id] = base64.b64decode(said["entry"]), said["openings"]
        return withdraw.upload(
            any_server.units,
            UNION,
            signed,
            artefacts=any_server.artefacts,
            now=any_server.clock(),
        )

    def states() -> dict[str, str]:
        return {one.id: one.state for one in kept(any_server)}

    with pytest.raises(WrongState, match="another epoch too"):
        taken_back(first)
    with pytest.raises(Missing):
        taken_back(first, second, foreign)
    assert set(states().values()) == {"received"}, "one that fails leaves all as they were"
    leaves = taken_back(first, second)
    gone = {id for id, state in states().items() if state == "withdrawn"}
    assert gone == set(leaves) == {first.id, second.id}
    assert taken_back(first).keys() == {first.id}, "its twin is gone: nothing is left to forget"
    # The control: by itself, as a tool sends it, one bundle goes and its twin stays.
    third, fourth = (any_server.contribute("union", n, upload="c" * 32) for n in (5, 6))
    path = f"/contributions/{third.id}/withdraw"
    assert any_server.call("union", "POST", path, json=withdrawal(third)).status_code == 202
    assert (states()[third.id], states()[fourth.id]) == ("withdrawn", "received")


def test_a_crash_in_the_middle_of_a_withdrawal_is_finished_by_the_next_call(
    ready: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = ready.contribute("union")
    ready.link(upload, ready.enrol(some_voters()), {0: 0})
    others = len(files(ready)) - 3  # the roll's
    delete = ready.artefacts.delete

    def crash(digest: str) -> None:
        raise MemoryError

    monkeypatch.setattr(ready.artefacts, "delete", crash)
    said = withdrawal(upload)
    path = f"/contributions/{upload.id}/withdraw"
    assert ready.call("union", "POST", path, json=said).status_code == 500
    assert kept(ready)[0].wrapped is None  # from here on nobody opens a row
    monkeypatch.setattr(ready.artefacts, "delete", delete)
    assert ready.call("union", "POST", path, json=said).status_code == 202
    assert len(files(ready)) == others
    assert kept(ready)[0].links_digest is None


def test_a_withdrawn_bundle_does_not_come_back_under_its_id(ready: Server) -> None:
    upload = ready.contribute("union")
    path = f"/contributions/{upload.id}"
    ready.call("union", "POST", f"{path}/withdraw", json=withdrawal(upload))
    ready.put_parts(upload)
    assert ready.call("union", "POST", path, json=upload.offer()).status_code == 409
    assert kept(ready)[0].state == "withdrawn"


def test_the_same_rows_with_other_outputs_are_a_conflict(ready: Server) -> None:
    upload = ready.contribute("union")
    upload.outputs = b"other outputs"
    ready.put_parts(upload)
    path = f"/contributions/{upload.id}"
    assert ready.call("union", "POST", path, json=upload.offer()).status_code == 409


def test_only_its_own_partner_withdraws_a_bundle(ready: Server) -> None:
    upload = ready.contribute("union")
    for who, signer in (("parks", "parks"), ("parks", "union"), ("cora", "cora")):
        answer = ready.call(
            who, "POST", f"/contributions/{upload.id}/withdraw", json=withdrawal(upload, signer)
        )
        assert answer.status_code in (403, 404, 422)
    answer = ready.call(
        "union", "POST", f"/contributions/{upload.id}/withdraw", json=withdrawal(upload, "parks")
    )
    assert answer.status_code == 422
    assert kept(ready)[0].state == "received"
    assert len(files(ready)) == 2


# -- a roll ----------------------------------------------------------------------------------------


def roll_offer(server: Server, id: str, **other: Any) -> dict[str, Any]:
    path = server.folder / "attributes-sent.parquet"
    write_attributes(path, some_voters(1200))
    digests = {}
    for part, content in (("attributes", path.read_bytes()), ("outputs", b"outputs")):
        sent = server.call("stella", "PUT", f"/rolls/{id}/{part}", content=content)
        digests[f"{part}_digest"] = sent.json()["digest"]
    facts = {
        "roll": id,
        "k": 10,
        "rows_root": tree_root(cells(path).leaves).hex(),
        "epoch": EPOCH,
        "size_class": 2048,
        "source_digest": "4" * 64,
        "use_terms": {"state": "OH"},
        **digests,
    }
    header = {
        **facts,
        "steward": "stella",
        "recipes": "v1",
        "rows": 1200,
        "created": "2026-11-21T12:00:00Z",
    }
    return body(made("stella", "roll", kind="slice", **{**facts, **other}), header=header)


def test_a_roll_is_enrolled_once_by_a_steward(any_server: Server) -> None:
    id = str(uuid4())
    offer = roll_offer(any_server, id)
    assert any_server.call("union", "POST", f"/rolls/{id}", json=offer).status_code == 403
    first = any_server.call("stella", "POST", f"/rolls/{id}", json=offer)
    assert first.status_code == 202
    again = any_server.call("stella", "POST", f"/rolls/{id}", json=offer)
    assert again.json() == first.json()
    told = any_server.call("stella", "GET", f"/rolls/{id}").json()
    assert told == {"id": id, "state": "received", "leaf": first.json()["leaf"]}
    assert any_server.call("union", "GET", f"/rolls/{id}").status_code == 404


def test_a_roll_entry_that_misfits_is_refused(ready: Server) -> None:
    id = str(uuid4())
    for fact in ("roll", "epoch", "attributes_digest", "outputs_digest", "rows_root"):
        offer = roll_offer(ready, id, **{fact: "0" * 64})
        answer = ready.call("stella", "POST", f"/rolls/{id}", json=offer)
        assert answer.status_code == 422
        assert fact in answer.json()["detail"]


def test_what_a_steward_says_of_its_rows_is_recomputed(ready: Server) -> None:
    for lie in ({"k": 601}, {"rows_root": "0" * 64}):
        id = str(uuid4())
        offer = roll_offer(ready, id, **lie)
        offer["header"] |= lie
        answer = ready.call("stella", "POST", f"/rolls/{id}", json=offer)
        assert answer.status_code == 422
        assert next(iter(lie)) in answer.json()["detail"]
    id = str(uuid4())
    offer = roll_offer(ready, id)
    offer["header"]["rows"] = 1201
    answer = ready.call("stella", "POST", f"/rolls/{id}", json=offer)
    assert "rows" in answer.json()["detail"]
    offer["header"]["rows"] = 1200
    assert ready.call("stella", "POST", f"/rolls/{id}", json=offer).status_code == 202


# -- places and counts -----------------------------------------------------------------------------


def test_places_come_from_the_roll_alone_and_are_rounded(any_server: Server) -> None:
    any_server.enrol([*some_voters(1278), (9999, "44-9", "State House 99", "43699", "65+", "0")])
    places = any_server.call("cora", "GET", f"/races/{RACE}/places").json()
    assert places["precinct"] == [
        {"code": "44-0", "registered": 600},
        {"code": "44-1", "registered": 600},
    ]
    assert {"code": "State House 44", "registered": 1250} in places["district"]
    assert "99" not in json.dumps(places)
    assert any_server.call("union", "GET", f"/races/{RACE}/places").status_code == 403
