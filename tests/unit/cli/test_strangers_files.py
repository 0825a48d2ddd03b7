"""Whatever file a stranger hands to `trellis audit` ends in one line, never a traceback."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consortium.cli import log_source
from consortium.cli.auditor import command
from tests.fakes.actors import LOG, WITNESSES

DEEP = 100_000
KINDS: dict[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)) * 16,
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep enough to be read and not written": b"[" * 900 + b"]" * 900,
    "deep row receipt": b'{"a":' + b"[" * 330 + b"]" * 330 + b',"trellis":"row-receipt/v1"}',
    "compressed nonsense": b"\x78\xdanonsense",
    "a number of 6,000 digits": b"1" * 6_000,
    "half a character": b'{"format":"trellis/fork/v1","older":"\\ud800","newer":"","path":[]}',
    "another shape": b'{"api":1,"actors":3,"custodians":5,"epoch":{},"log_vkey":1}',
    "a proof in latin": b"c2sp.org/tlog-proof@v1\n\xff",
    "no object": b"null",
}
HUGE = 1 << 16
KEYS = ("--vkey", LOG.verifier.vkey, "--witness", WITNESSES[0].verifier.vkey)

VERBS: dict[str, Sequence[str]] = {
    "receipt": ("receipt", "FILE"),
    "receipt by keys": ("receipt", "FILE", *KEYS),
    "receipt by an invite": ("receipt", "GOOD", "--invite", "FILE"),
    "receipt's entry": ("receipt", "PROOF", "--entry", "FILE", *KEYS),
    "trace": ("trace", "FILE"),
    "trace by an invite": ("trace", "FILE", "--invite", "GOOD"),
    "diff": ("diff", "FILE", "LOG", *KEYS),
    "diff's evidence": ("diff", "FILE", *KEYS),
    "evidence": ("evidence", "FILE", "--invite", "GOOD"),
    "evidence by an invite": ("evidence", "GOOD", "--invite", "FILE"),
    "evidence by a statement": ("evidence", "GOOD", "--invite", "GOOD", "--statement", "FILE"),
    "keys": ("keys", "--invite", "FILE"),
    "verify": ("verify", "FILE", *KEYS),
    "verify since": ("verify", "LOG", *KEYS, "--old", "FILE"),
    "verify openings": ("verify", "LOG", *KEYS, "--openings", "FILE"),
    "verify terms": ("verify", "LOG", *KEYS, "--openings", "LIST", "--agreement", "FILE"),
    "verify by a policy": ("verify", "LOG", "--policy", "FILE"),
    "verify by a key": ("verify", "LOG", "--vkey", "FILE"),
    "watch": ("watch", "FILE", *KEYS, "--once", "--state", "STATE"),
    "watch by an invite": ("watch", "LOG", "--invite", "FILE", "--once", "--state", "STATE"),
}


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., Result]:
    """Run a verb; words in capitals are paths of this test's folder."""
    for name in ("LOG", "FOLDER"):
        (tmp_path / name).mkdir()
    (tmp_path / "LOG" / "checkpoint").write_bytes(b"")
    (tmp_path / "LIST").write_bytes(b"[]")
    (tmp_path / "PROOF").write_bytes(b"c2sp.org/tlog-proof@v1\n")
    (tmp_path / "GOOD").write_text(json.dumps(invite()), "utf-8")

    def call(words: Sequence[str], file: str = "FILE") -> Result:
        named = {"FILE": file}
        paths = {"FILE", "GOOD", "LIST", "LOG", "PROOF", "STATE"}
        given = [str(tmp_path / named.get(one, one)) if one in paths else one for one in words]
        return CliRunner().invoke(command, given)

    return call


def invite(**other: object) -> dict[str, object]:
    log = LOG.verifier
    witnesses = [{"vkey": one.verifier.vkey} for one in WITNESSES]
    known = {"id": "c1", "public": "00" * 32, "role": "partner"}
    return {
        "api": "http://127.0.0.1:1", "epoch": "2026", "log_vkey": log.vkey, "origin": log.name,
        "witnesses": witnesses, "quorum": 2, "custodians": [known], "actors": [known], **other,
    }  # fmt: skip


def one_line(result: Result, code: tuple[int, ...] = (1,)) -> None:
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in code, result.output
    told = [line for line in result.output.splitlines() if not line.startswith(("Usage:", "Try "))]
    assert len([line for line in told if line]) == 1, result.output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_every_broken_file_in_one_line(
    ran: Callable[..., Result], tmp_path: Path, verb: str, kind: str
) -> None:
    (tmp_path / "FILE").write_bytes(KINDS[kind])
    one_line(ran(VERBS[verb]))


@pytest.mark.parametrize("verb", VERBS)
def test_so_it_does_where_there_is_a_folder_or_nothing_or_far_too_much(
    ran: Callable[..., Result], tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_line(ran(VERBS[verb], "FOLDER"), (1, 2))
    one_line(ran(VERBS[verb], "ABSENT"), (1, 2))
    monkeypatch.setattr(log_source, "MAX_GIVEN", HUGE)
    (tmp_path / "FILE").write_bytes(b"[" * (HUGE + 1))
    refused = ran(VERBS[verb])
    one_line(refused)
    if "FILE" not in VERBS[verb][:2] or VERBS[verb][0] not in ("verify", "watch"):
        assert "larger than 65,536 bytes" in refused.output


@pytest.mark.parametrize("name", ["actors", "api", "custodians", "epoch", "log_vkey", "quorum"])
@pytest.mark.parametrize("value", [None, 1, "", {}, [1], [{"id": "a", "public": "zz"}]])
def test_an_invite_with_one_field_of_another_shape_is_named_as_what_is_wrong(
    ran: Callable[..., Result], tmp_path: Path, name: str, value: object
) -> None:
    (tmp_path / "FILE").write_text(json.dumps(invite(**{name: value})), "utf-8")
    one_line(ran(VERBS["keys"]), (1, 3))
    one_line(ran(("verify", "LOG", "--openings", "LIST", "--invite", "FILE")))


def test_a_file_in_a_logs_folder_is_not_read_beyond_what_any_log_holds(
    ran: Callable[..., Result], tmp_path: Path
) -> None:
    with (tmp_path / "LOG" / "checkpoint").open("wb") as file:
        file.truncate(1 << 40)
    refused = ran(VERBS["verify since"][:4])
    one_line(refused)
    assert "checkpoint: is larger than" in refused.output
