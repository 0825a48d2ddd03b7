"""What a person decides about letters in doubt stands in the log, once, and names no recipient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consortium.cli import auditor, operator
from consortium.service import decide, show
from consortium.service.cover import FORMS, Form
from consortium.service.errors import WrongState
from consortium.store import log
from consortium.store.deliveries import Delivery
from consortium.store.errors import Missing
from consortium.wiring import pen
from mailer.transports import InDoubt
from provenance.canonical import openings_from_json
from provenance.entry import ENTRY_BYTES, opened, parse
from provenance.evidence import write_file
from tests.fakes.actors import private
from tests.fakes.post import Post

OPERATOR = pen("operator", private("operator").private_bytes_raw())
SEED = private("operator").private_bytes_raw().hex()


@pytest.fixture
def doubtful(post: Post) -> list[Delivery]:
    """Three letters in doubt of five; no log can tell."""
    post.log.complete = False
    members = [(n, f"m{n}@example.net") for n in range(1, 6)]
    for n in (1, 2, 3):
        post.mta.answers[f"m{n}@example.net"] = [InDoubt("no answer to the final dot")]
    id = post.campaign("c1", post.bundle("union", 1, members))
    post.go(id)
    return post.units.read("doubts", lambda unit: decide.doubts(unit, id))


def settled(post: Post, letters: list[str], *, sent: bool = True, **other: Any) -> str:
    whole = {"by": "Cora Ruiz", "looked": "mail-log", **other}
    return post.units.run(
        "decide", lambda unit: decide.decide(unit, OPERATOR, letters, sent=sent, **whole)
    )


def kept(post: Post, leaf: str) -> log.Promised:
    return post.units.read("entry", lambda unit: log.find(unit, leaf))


def test_a_decision_is_one_entry_however_many_letters_it_is_about(
    post: Post, doubtful: list[Delivery]
) -> None:
    [one, *rest] = [letter.id for letter in doubtful]
    both = [kept(post, settled(post, each)) for each in ([one], rest)]
    for promised, letters in zip(both, ([one], rest), strict=True):
        facts = opened(promised.entry, openings_from_json(promised.openings)).facts
        assert facts == {
            "kind": "decided", "campaign": "c1", "letters": len(letters), "was": "sent",
            "digest": decide.digest(letters), "looked": "mail-log", "by": "Cora Ruiz",
        }  # fmt: skip
        assert len(promised.entry) == ENTRY_BYTES
        read = parse(promised.entry)
        assert Form(read.kind, frozenset(read.commitments)) in FORMS, "hidden among dummies"
    assert post.states("c1") == {"sent": 5}
    assert decide.digest([*rest, one]) == decide.digest([one, *reversed(rest)])


def test_the_public_bytes_name_neither_a_letter_nor_who_decided(
    post: Post, doubtful: list[Delivery]
) -> None:
    ids = [one.id for one in doubtful]
    entry = kept(post, settled(post, ids)).entry
    hidden = [*ids, decide.digest(ids), "Cora", "not-sent", "mail-log", '"c1"']
    assert not [one for one in hidden if one.encode() in entry]
    # The control: in what opens it they stand, so this search would find them.
    again = json.dumps(
        post.units.read("of", lambda unit: log.of_kind(unit, "sent", "operator"))[0].openings
    )
    assert all(one in again for one in (decide.digest(ids), "Cora", "mail-log"))
    assert not [one for one in ids if one in again]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"by": " "}, "somebody's name"),
        ({"by": "cora@example.org"}, "without an address"),
        ({"looked": "m1@example.net told me"}, "where they looked"),
    ],
)
def test_a_decision_that_nobody_stands_by_changes_nothing(
    post: Post, doubtful: list[Delivery], other: dict[str, str], why: str
) -> None:
    before = post.states("c1")
    with pytest.raises(WrongState, match=why):
        settled(post, [one.id for one in doubtful], **other)
    assert post.states("c1") == before
    assert post.units.read("said", lambda unit: log.of_kind(unit, "sent", "operator")) == []


def test_only_letters_in_doubt_of_one_campaign_are_decided_and_all_or_none(
    post: Post, doubtful: list[Delivery]
) -> None:
    sure = next(one.id for one in post.letters("c1") if one.state == "sent")
    post.mta.answers["n9@example.net"] = [InDoubt("no answer")]
    post.go(post.campaign("c2", post.bundle("parks", 2, [(9, "n9@example.net")])))
    [other] = post.units.read("doubts", lambda unit: decide.doubts(unit, "c2"))
    for letters, refused in (
        ([doubtful[0].id, sure], "not in doubt"),
        ([doubtful[0].id, other.id], "several campaigns"),
        ([], "not in doubt"),
    ):
        with pytest.raises(WrongState, match=refused):
            settled(post, letters)
    with pytest.raises(Missing):
        settled(post, [doubtful[0].id, "ab" * 16])
    assert post.states("c1") == {"sent": 2, "in_doubt": 3}
    assert post.units.read("said", lambda unit: log.of_kind(unit, "sent", "operator")) == []
    settled(post, [doubtful[0].id])
    with pytest.raises(WrongState):  # a second decision about the same letter
        settled(post, [doubtful[0].id], sent=False)
    assert post.states("c1") == {"sent": 3, "in_doubt": 2}


def run(post: Post, *words: str) -> Result:
    return CliRunner().invoke(operator.command, ["doubt", "--home", str(post.folder), *words])


def test_the_command_lists_decides_in_the_log_and_an_auditor_reads_it_in_words(
    post: Post, doubtful: list[Delivery], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRELLIS_DATABASE", f"sqlite:///{post.folder}/trellis.sqlite")
    (post.folder / "signing.key").write_text(SEED)
    [first, *rest] = [one.id for one in doubtful]
    listed = run(post)
    assert [line.split()[0] for line in listed.output.splitlines()] == [first, *rest]
    assert run(post, "--letter", first, "--was", "sent").exit_code == 2, "nobody's name"
    assert run(post, "--was", "sent", "--by", "Cora Ruiz").exit_code == 2
    both = [word for one in rest for word in ("--letter", one)]
    by = ("--by", "Cora Ruiz", "--looked", "provider")
    done = run(post, *both, "--was", "not-sent", *by)
    assert done.exit_code == 0, done.output
    leaf = done.output.split()[-1]
    assert run(post, *both, "--was", "sent", *by).exit_code == 1
    assert post.states("c1") == {"sent": 2, "in_doubt": 1, "pending": 2}
    post.server.publish()
    file = tmp_path / "openings.json"

    def shown(unit: Any) -> dict[str, Any]:
        found = show.evidences(unit, [leaf], post.server.backend)
        return write_file(found, show.policy(unit), show.publics(unit))

    file.write_text(json.dumps(post.units.read("shown", shown)))
    told = CliRunner().invoke(auditor.command, ["trace", str(file)])
    assert told.exit_code == 0, told.output
    assert (
        "decided about 2 letters of campaign c1 of which no machine could tell whether "
        "they were taken: not-sent, by Cora Ruiz (looked: provider)."
    ) in told.output
