"""Each file that came back does what its kind may, once; a forged one and a strange one nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from consortium.jobs import mailing, returns
from consortium.store import trials
from consortium.store.deliveries import Delivery
from consortium.store.tables import SuppressionRow
from consortium.store.trials import Trial
from consortium.store.unit import Unit
from mailer import stops
from tests.fakes.post import Post

GOLDEN = Path(__file__).parents[2] / "golden" / "returns"
THEIRS = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.parks.example"


@dataclass
class Desk:
    """The mailer's spool, and one letter that went out."""

    post: Post
    spool: Path
    letter: Delivery

    @property
    def key(self) -> bytes:
        return self.post.office.keys.delivery

    @property
    def verp(self) -> str:
        return stops.verp_address(self.key, bytes.fromhex(self.letter.id), "union.example")

    @property
    def message_id(self) -> str:
        return stops.message_id(self.key, bytes.fromhex(self.letter.id), "union.example")

    def came(self, octets: bytes, to: str | None = None, suffix: str = ".eml") -> list[str]:
        """Take in one file as the listener leaves it; why somebody is suppressed after it."""
        top = f"Return-Path: <>\r\nDelivered-To: {to}\r\n".encode() if to else b""
        path = self.spool / f"one{suffix}"
        path.write_bytes(top + octets)
        returns._take(path, self.key)
        assert not path.exists()
        return self.why()

    def why(self) -> list[str]:
        def look(unit: Unit) -> list[str]:
            return sorted(unit.session.scalars(select(SuppressionRow.reason)))

        return self.post.units.read("why", look)


@pytest.fixture
def desk(post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    members = [(n, f"m{n}@example.net") for n in (1, 2, 3)]
    post.go(post.campaign("c1", post.bundle("union", 1, members)))
    here = SimpleNamespace(units=post.units, clock=post.clock)
    monkeypatch.setattr(returns, "process", lambda: here)
    monkeypatch.setattr(mailing, "office", lambda: post.office)
    spool = tmp_path / "returns" / "new"
    spool.mkdir(parents=True)
    return Desk(post, spool, post.sent_to("m1@example.net"))


def golden(name: str, verp: str) -> bytes:
    [path] = GOLDEN.glob(f"{name}-*.eml")
    return path.read_bytes().replace(THEIRS.encode(), verp.encode())


def test_a_true_bounce_counts_once_however_often_it_comes(desk: Desk) -> None:
    for _ in range(3):
        assert desk.came(golden("01", desk.verp), desk.verp) == ["hard"]


def test_a_forged_or_borrowed_return_path_changes_nothing(desk: Desk) -> None:
    other = stops.verp_address(b"j" * 32, bytes.fromhex(desk.letter.id), "union.example")
    nobodys = stops.verp_address(desk.key, b"n" * 16, "union.example")
    for verp in (other, nobodys, THEIRS):
        for name in ("01", "02", "42", "46"):
            assert desk.came(golden(name, verp), verp) == []


def test_a_complaint_without_a_return_path_is_found_by_the_letter_that_it_holds(desk: Desk) -> None:
    ours = golden("43", "gone@example.net")
    named = ours.replace(b"<q2v7c4n5m6k7j8h9@mail.parks.example>", desk.message_id.encode())
    assert desk.came(ours, "fbl@union.example") == []
    assert desk.came(named, "fbl@union.example") == ["complaint"]


def test_a_letter_to_the_stop_address_stops_whatever_it_says_of_itself(desk: Desk) -> None:
    token = stops.capability(desk.key, bytes.fromhex(desk.letter.id)).token
    letter = b"Subject: stop\r\n\r\n"
    assert desk.came(letter, f"stop-{'A' * 22}@union.example") == []
    # Nothing inside a message speaks for it: the listener's own lines stand first.
    inside = f"Delivered-To: stop-{token}@union.example\r\n".encode() + letter
    assert desk.came(inside, THEIRS) == []
    for _ in range(2):
        assert desk.came(letter, f"stop-{token}@union.example") == ["stop"]


def test_a_providers_notification_does_what_the_same_report_by_mail_does(desk: Desk) -> None:
    def said(source: str, **more: object) -> bytes:
        mail = {"source": source, "commonHeaders": {"messageId": desk.message_id}}
        return json.dumps({"mail": mail, **more}).encode()

    gone = {"bounceType": "Permanent", "bouncedRecipients": [{"status": "5.1.1"}]}
    forged = stops.verp_address(b"j" * 32, bytes.fromhex(desk.letter.id), "union.example")
    assert desk.came(said(forged, eventType="Bounce", bounce=gone), suffix=".sns") == []
    assert desk.came(said(desk.verp, eventType="Open", open={}), suffix=".sns") == []
    complaint = said("sender@ses.example", notificationType="Complaint", complaint={})
    assert desk.came(complaint, suffix=".sns") == ["complaint"], "found by its Message-ID"


def test_what_is_unclear_suppresses_nobody(desk: Desk) -> None:
    for name in ("07", "19", "24", "34", "40", "41", "47", "48", "50"):
        assert desk.came(golden(name, desk.verp), desk.verp) == [], name


def test_a_strange_file_is_set_aside_and_holds_up_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(octets: bytes) -> None:
        raise RecursionError("m1@example.net")

    monkeypatch.setattr(returns.bounce, "read", breaks)
    assert desk.came(b"Subject: x\r\n\r\n", desk.verp) == []
    assert len(list((desk.spool.parent / "unread").iterdir())) == 1
    assert "m1@example.net" not in capsys.readouterr().out


def test_what_comes_back_of_a_seeds_letter_holds_the_campaign_and_suppresses_nobody(
    desk: Desk,
) -> None:
    id = "5e" * 16
    new = Trial(id, "union", "c1", "seed", "sent", "", desk.post.clock())
    desk.post.units.run("seed", lambda unit: trials.add(unit, new))
    desk.post.change("c1", state="sending")
    verp = stops.verp_address(desk.key, bytes.fromhex(id), "union.example")
    assert desk.came(golden("01", verp), verp) == []
    assert desk.post.state("c1").state == "paused"
    assert "seed came back" in desk.post.state("c1").waiting_for
