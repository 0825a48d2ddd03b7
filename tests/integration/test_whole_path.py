"""From three CSV files to the right letters, once: every actor its own process, checked from outside."""  # noqa: E501

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest

from consortium.cli import outcome
from consortium.store import log as kept
from consortium.wiring import Process, settings_of
from provenance.audit import FolderSource, audit
from provenance.backend import FolderBackend
from provenance.canonical import openings_from_json
from provenance.errors import AuditRefused
from provenance.evidence import Evidence
from provenance.note import Verifier
from provenance.quorum import Policy
from provenance.sequencer import prove
from tests.integration.worlds import (
    Expected,
    Run,
    arrived,
    assert_right_people,
    demo,
    expected,
    trellis,
    who_got_letters,
)
from tests.planted import SEND, UPLOAD, Planted

KEYS = {
    "partners", "members", "mailable", "voters", "matched", "match_precision", "match_recall",
    "audience_estimate", "approved_by", "sent", "stopped", "log_size", "verified", "trust",
    "seconds",
}  # fmt: skip
LINK = re.compile(r"https?://[^\s\"'<>]+")


@pytest.fixture(scope="module")
def run(planted: Planted) -> Run:
    """One run of the smallest world; its tests only read, or work on copies."""
    return planted.run


@pytest.fixture(scope="module")
def plan(run: Run) -> Expected:
    return expected(run.world)


# Who has a letter


def test_everyone_the_design_means_has_one_letter_and_nobody_else_has_any(
    run: Run, plan: Expected
) -> None:
    assert len(plan.persons) > 195  # below the send gate this would prove nothing
    assert_right_people(run, plan)


def test_it_was_cut_in_the_middle_of_its_letters_and_went_on(planted: Planted) -> None:
    assert 20 <= planted.early < planted.run.summary["sent"]
    done = json.loads((planted.run.out / "progress.json").read_text())
    assert {UPLOAD, SEND} <= done.keys()


def test_some_people_are_on_two_lists_and_hear_from_one(run: Run, plan: Expected) -> None:
    lists: dict[str, set[str]] = {}
    for copy in plan.copies:
        lists.setdefault(copy.voter, set()).add(copy.partner)
    both = {voter for voter, where in lists.items() if len(where) > 1}
    got = who_got_letters(run, plan)
    assert len(both) > 20
    senders = {got[voter].domain for voter in both if voter in got}
    assert len(senders) == len(run.world.partners)  # the choice is spread, not always the first


def test_the_oracle_notices_a_letter_too_many_and_one_too_few(
    run: Run, plan: Expected, tmp_path: Path
) -> None:
    shutil.copytree(run.maildir, tmp_path / "mail")
    changed = Run(run.world, tmp_path, run.summary)
    first = sorted((tmp_path / "mail" / "new").iterdir())[0]
    body = first.read_bytes()
    first.unlink()
    with pytest.raises(AssertionError, match="have no letter"):
        assert_right_people(changed, plan)
    first.write_bytes(body)
    first.with_name("twice").write_bytes(body)
    with pytest.raises(AssertionError, match="two letters"):
        assert_right_people(changed, plan)
    first.with_name("twice").write_bytes(re.sub(rb"(?m)^To: .*$", b"To: no@example.net\r", body))
    with pytest.raises(AssertionError, match="did not list"):
        assert_right_people(changed, plan)


# What a letter is


def test_every_letter_is_signed_by_the_domain_it_comes_from(run: Run) -> None:
    records = json.loads((run.out / "dns.json").read_text())

    def dns(name: bytes | str, timeout: int = 5) -> bytes | None:
        asked = (name.decode() if isinstance(name, bytes) else name).rstrip(".")
        found = records.get(asked)
        return found.encode() if found else None

    for letter in arrived(run.maildir):
        stored = letter.raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        sent = stored[stored.index(b"DKIM-Signature:") :]
        assert dkim.verify(sent, dnsfunc=dns), letter.path.name
        tags = _tags(letter.message)
        assert tags["d"] == letter.domain, letter.path.name
        # Oversigned: nobody can add a second one under the same signature.
        signed = [name.strip().casefold() for name in tags["h"].split(":")]
        for name in ("from", "to", "subject", "list-unsubscribe", "list-unsubscribe-post"):
            assert signed.count(name) == 2, (letter.path.name, name)
    spoilt = sent.replace(b"Subject: Coffee", b"Subject: Coffin")
    assert spoilt != sent
    assert not dkim.verify(spoilt, dnsfunc=dns)


def _tags(message: EmailMessage) -> dict[str, str]:
    value = re.sub(r"\s+", "", str(message["DKIM-Signature"]))
    return dict(part.split("=", 1) for part in value.split(";") if part)


def test_every_letter_carries_one_click_stop_verp_and_two_parts_with_the_same_links(
    run: Run,
) -> None:
    stops, paths = set(), set()
    for letter in arrived(run.maildir):
        message, name = letter.message, letter.path.name
        for header in (
            "From", "To", "Subject", "Date", "Message-ID", "Return-Path", "List-Unsubscribe",
            "List-Unsubscribe-Post", "DKIM-Signature",
        ):  # fmt: skip
            assert len(message.get_all(header, [])) == 1, (name, header)
        assert "," not in str(message["To"]), name
        assert str(message["List-Unsubscribe-Post"]) == "List-Unsubscribe=One-Click", name
        stop = re.search(r"<(https://[^>]+)>", str(message["List-Unsubscribe"]))
        assert stop, name
        stops.add(stop[1])
        path = str(message["Return-Path"]).strip("<> ")
        assert re.fullmatch(r"[a-z0-9-]+@" + re.escape(letter.domain), path), name
        paths.add(path)
        plain, html = message.get_body(("plain",)), message.get_body(("html",))
        assert plain is not None, name
        assert html is not None, name
        said = {link.rstrip(".") for link in LINK.findall(plain.get_content())}
        shown = set(re.findall(r"href=\"(https?://[^\"]+)\"", html.get_content()))
        assert said == shown, name
        assert stop[1] in said, name
    sent = run.summary["sent"]
    assert len(stops) == len(paths) == sent  # each person's own


# The log


def _policy(log: Path) -> Policy:
    def read(name: str) -> Verifier:
        return Verifier.from_vkey((log / name).read_text("utf-8").strip("\n"))

    return Policy.of(read("log.vkey"), [read(f"witness-{n}.vkey") for n in (1, 2, 3)], 2)


def _verify(log: Path) -> tuple[str, ...]:
    witnesses = [("--witness", str(log / f"witness-{n}.vkey")) for n in (1, 2, 3)]
    return (
        "audit", "verify", str(log), "--vkey", str(log / "log.vkey"),
        *(word for pair in witnesses for word in pair), "--quorum", "2", "--json",
    )  # fmt: skip


def test_the_log_verifies_after_the_run(run: Run) -> None:
    said = json.loads(trellis(*_verify(run.out / "log")).stdout)
    assert said["ok"] is True
    # What was said at the very end may have come in between the demo's own check and its end.
    assert said["size"] >= run.summary["log_size"]
    assert set(said["kinds"]) >= {
        "agreement", "approval", "contribution", "intent", "key", "match", "roll", "sent",
    }  # fmt: skip
    # One bundle, approval and attestation of each partner, and the intent before what was sent.
    assert said["kinds"]["approval"] == 2 * len(run.world.partners)
    assert said["kinds"]["agreement"] == len(run.world.partners)
    assert said["kinds"]["intent"] == 1


def _all_opened(run: Run, path: Path) -> dict[str, str]:
    """Write what opens every entry, as only the operator could; return each one's kind."""
    files = FolderBackend(run.out / "log")
    note = files.read("checkpoint")
    assert note is not None
    units = Process(settings_of(run.out / "server")).units
    entries = units.run(
        "all", lambda unit: [kept.at_index(unit, n) for n in range(kept.size(unit))]
    )
    evidences = [
        Evidence(one.entry, openings_from_json(one.openings or {}), prove(files, n, note))
        for n, one in enumerate(entries)
    ]
    path.write_text(json.dumps([one.to_json() for one in evidences]))
    kinds = [(one.openings or {}).get("kind", {}).get("value") for one in entries]
    return {str(n): str(kind) for n, kind in enumerate(kinds)}


def test_what_really_happened_replays_as_a_story_that_every_rule_allows(
    run: Run, tmp_path: Path
) -> None:
    opened, invite = tmp_path / "all.json", run.out / "server" / "invite.json"
    kinds = _all_opened(run, opened)
    home = run.out / "partners" / run.world.partners[0].slug / "agreements"
    (agreement,) = (one for one in home.glob("*.json") if one.name.count(".") == 1)
    words = ("audit", "verify", run.out / "log", "--invite", invite, "--agreement", agreement)
    story = json.loads(trellis(*words, "--openings", opened, "--json").stdout)["story"]
    assert len(kinds) >= run.summary["log_size"]
    assert (story["opened"], story["closed"]) == (len(kinds), {})
    told = " ".join(story["checked"])
    for rule in (
        "intent: signed agreement, enough approvals, every source's attestation (1)",
        "intent: within the agreement's dates, parties and size (1)",
        "opening: of what the intent names, inside its window (",
        "key statements: share commitments fit, all signed, each follows the one before (",
        "ledger: what was spent of the privacy budget never falls (",
    ):
        assert rule in told
    assert [line for line in story["open"] if "totals" not in line] == []
    pieces = json.loads(opened.read_text())
    approval = next(int(n) for n, kind in kinds.items() if kind == "approve")
    opened.write_text(json.dumps(pieces[:approval] + pieces[approval + 1 :]))
    story = json.loads(trellis(*words, "--openings", opened, "--json").stdout)["story"]
    assert any("approvals" in line and "stay closed" in line for line in story["open"])
    state = tmp_path / "state"
    trellis("audit", "watch", run.out / "log", "--invite", invite, "--state", state, "--once")


def test_one_flipped_byte_anywhere_in_the_log_is_found_and_named(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(run.out / "log", log)
    policy = _policy(log)
    tiles = sorted(path for path in log.rglob("tile/**/*") if path.is_file())
    assert len(tiles) >= 4
    for path in [*tiles, log / "checkpoint"]:
        good = path.read_bytes()
        step = 1 if path.name == "checkpoint" else max(1, len(good) // 40)
        for at in {*range(0, len(good), step), len(good) - 1}:
            path.write_bytes(good[:at] + bytes([good[at] ^ 0x01]) + good[at + 1 :])
            with pytest.raises(AuditRefused) as refused:
                audit(FolderSource(log), policy)
            name = path.relative_to(log).as_posix()
            assert refused.value.file == name, f"byte {at} of {name}: {refused.value}"
        path.write_bytes(good)
    audit(FolderSource(log), policy)


def test_the_command_names_a_flipped_byte_and_an_unexpected_file(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(run.out / "log", log)
    entries = max(log.glob("tile/entries/000.p/*"), key=lambda path: int(path.name))
    good = entries.read_bytes()
    entries.write_bytes(good[:700] + bytes([good[700] ^ 0x20]) + good[701:])
    failed = trellis(*_verify(log), check=False)
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["file"] == entries.relative_to(log).as_posix()
    entries.write_bytes(good)
    (log / "tile" / "members.csv").write_text("no")
    failed = trellis(*_verify(log), check=False)
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["file"] == "tile/members.csv"


def test_a_partners_receipt_holds_offline_and_fails_when_altered(run: Run, tmp_path: Path) -> None:
    log = run.out / "log"
    witnesses = [("--witness", str(log / f"witness-{n}.vkey")) for n in (1, 2, 3)]
    keys = ["--vkey", str(log / "log.vkey"), *(w for pair in witnesses for w in pair)]
    for partner in run.world.partners:
        receipts = list((run.out / "partners" / partner.slug / "lists").glob("*/receipt.json"))
        assert len(receipts) == 1
        said = json.loads(
            trellis("audit", "receipt", receipts[0], *keys, "--quorum", "2", "--json").stdout
        )
        assert said["ok"] is True
        assert "contribution" in {entry["type"] for entry in said["entries"]}
    copy = tmp_path / "receipt.json"
    text = receipts[0].read_text()
    for change in (_entry_byte, _opening):
        altered = change(text)
        assert altered != text
        copy.write_text(altered)
        failed = trellis("audit", "receipt", copy, *keys, "--quorum", "2", "--json", check=False)
        assert failed.returncode == 1
        assert json.loads(failed.stdout)["ok"] is False


def _changed(text: str, change: Callable[[dict[str, object]], None]) -> str:
    """Change the first evidence in a receipt, wherever it stands."""
    whole = json.loads(text)

    def walk(value: object) -> bool:
        if isinstance(value, dict):
            if {"entry", "openings", "proof"} <= set(value):
                change(value)
                return True
            return any(walk(each) for each in value.values())
        return isinstance(value, list) and any(walk(each) for each in value)

    assert walk(whole)
    return json.dumps(whole)


def _entry_byte(text: str) -> str:
    def change(evidence: dict[str, object]) -> None:
        raw = bytearray(base64.b64decode(str(evidence["entry"])))
        raw[raw.index(b"signature") + 20] ^= 1
        evidence["entry"] = base64.b64encode(raw).decode()

    return _changed(text, change)


def _opening(text: str) -> str:
    def change(evidence: dict[str, object]) -> None:
        openings = evidence["openings"]
        assert isinstance(openings, dict)
        openings["kind"]["salt"] = hashlib.sha256(b"another").hexdigest()

    return _changed(text, change)


# The last line


def test_the_last_line_has_the_promised_keys_and_sane_figures(run: Run, plan: Expected) -> None:
    said = run.summary
    assert set(said) == KEYS
    true = {voter for (_, _), voter in plan.true.items() if voter}
    assert said["partners"] == said["approved_by"] == 3
    assert said["voters"] == 700
    assert 0 < said["mailable"] < said["members"] <= 750
    assert said["mailable"] >= sum(len(addresses) for addresses in plan.listed.values())
    assert said["sent"] == len(who_got_letters(run, plan))
    assert said["matched"] <= said["sent"]
    assert said["matched"] <= len(true)
    assert 0.9 <= said["match_precision"] <= 1  # planted words sound alike; engines has people
    assert 0.85 <= said["match_recall"] <= 1
    assert abs(said["audience_estimate"] - said["sent"]) <= 250  # noised on purpose, and rounded
    assert said["stopped"] == 1
    assert said["log_size"] > 20
    assert said["verified"] is True
    assert said["trust"] == "threshold"
    assert said["seconds"] > 0


def _the_only_way(run: Run) -> list[str]:
    """Letters that reach somebody who is meant, and whom no other letter reaches."""
    real = outcome.truth(run.world)
    slugs = {partner.domain: partner.slug for partner in run.world.partners}
    reached = {
        letter.path.name: real.voters[slugs[letter.sender_domain], letter.to] & real.audience
        for letter in outcome.letters(run.maildir)
    }
    times = Counter(voter for found in reached.values() for voter in found)
    return [
        name
        for name, found in reached.items()
        if len(found) == 1 and all(times[one] == 1 for one in found)
    ]


def test_the_figures_are_counted_from_the_letters_and_the_truth(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.maildir, tmp_path / "mail")
    letters = [tmp_path / "mail" / "new" / name for name in _the_only_way(run)]
    letters[0].unlink()
    letters[1].write_bytes(
        re.sub(rb"(?m)^To: .*$", b"To: no@example.net\r", letters[1].read_bytes())
    )
    facts = json.loads((run.out / "demo.json").read_text())
    said = outcome.summary(
        run.world, tmp_path / "mail", facts=facts, approved_by=3, seconds=1.0
    )  # fmt: skip
    assert said["sent"] == run.summary["sent"] - 1
    assert said["matched"] == run.summary["matched"] - 2
    assert said["match_precision"] < run.summary["match_precision"]
    assert said["match_recall"] < run.summary["match_recall"]


# Again


def test_the_same_command_again_goes_on_and_sends_nothing_more(run: Run, plan: Expected) -> None:
    before = {letter.path.name for letter in arrived(run.maildir)}
    again = demo(run.world, run.out)
    assert {letter.path.name for letter in arrived(run.maildir)} == before
    assert {**again.summary, "seconds": 0} == {**run.summary, "seconds": 0}
    assert_right_people(again, plan)
