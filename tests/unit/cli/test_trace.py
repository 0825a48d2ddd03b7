"""A partner sees where its own row has been, with proof, and nothing of anybody else's."""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from consortium.cli.auditor import command
from provenance.evidence import Evidence
from provenance.row_receipt import RowReceipt
from provenance.rows import row_label
from provenance.withdrawn import State, list_label, mix
from tests.fakes.actors import LOG, WITNESSES, made
from tests.fakes.api import EPOCH, NOW, PARTNER, RACE
from tests.unit.cli.test_saying_yes import CAMPAIGN, NONCE, Uploaded, uploaded

__all__ = ["uploaded"]


def promised(uploaded: Uploaded, **other: Any) -> None:
    """Take the campaign to its intent, and let the server show the way there."""
    world = uploaded.world
    uploaded.ready(uploaded.fitting)
    assert uploaded.desk.run("attest", CAMPAIGN).exit_code == 0
    facts: dict[str, Any] = {
        "kind": "send", "campaign": CAMPAIGN, "race": RACE,
        "digest": world.campaigns[CAMPAIGN]["digest"], "root": world.audiences[CAMPAIGN]["root"],
        "nonce": NONCE.hex(), "size_class": 256, "opens": "2026-10-05T15:00:00Z",
        "closes": "2026-10-06T00:00:00Z", "sources": [PARTNER],
        "agreement": hashlib.sha256(world.agreement).hexdigest(), **other,
    }  # fmt: skip
    intent = world.put(made("operator", "intent", NOW, **facts))
    signed = next(leaf for leaf, one in world.openings.items() if one["kind"].value == "sign")
    yes = [world.approvals[f"{CAMPAIGN}/{step}"] for step in ("approval", "attestation")]
    world.trails[CAMPAIGN] = [signed, *yes, intent]
    run = {"kind": "run", "bundle": uploaded.id, "roll": "r1", "parameters_digest": "e" * 64}
    world.trails["runs"] = [world.put(made("operator", "match", NOW, **run))]


def keys() -> list[str]:
    each = [part for one in WITNESSES for part in ("--witness", one.verifier.vkey)]
    return ["--vkey", LOG.verifier.vkey, *each, "--quorum", "2"]


def test_a_row_in_an_audience_is_traced_to_the_intent_with_receipts_anybody_can_check(
    uploaded: Uploaded, tmp_path: Path
) -> None:
    promised(uploaded)
    row, outside = uploaded.fitting[0], next(r for r in uploaded.rows if r not in uploaded.fitting)
    done = uploaded.desk.run("trace", str(row.row), "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    for said in (
        f"Row {row.row} of list {uploaded.id}",
        "You state  that its people are: ",
        f"put in list {uploaded.id}, and this row is in it",
        "matched the list with the voter file",
        f"In the audience of campaign {CAMPAIGN}:",
        "approved the campaign's exact bytes",
        "and this row is in its audience",
        "does not say that a letter was sent",
    ):
        assert said in done.output
    for file in (f"row-{row.row}.upload.receipt", f"row-{row.row}.{CAMPAIGN}.receipt"):
        path = tmp_path / "out" / file
        assert len(path.read_bytes()) < 8_000
        shown = CliRunner().invoke(command, ["receipt", str(path), *keys()])
        assert shown.exit_code == 0, shown.output
        assert "and this row is in it" in shown.output
    # Another row of the list is in no audience, and its receipt says nothing of a campaign.
    found = uploaded.desk.json("trace", f"{uploaded.id[:8]}:{outside.row}")
    assert (found["list"], found["campaigns"], found["gone"]) == (uploaded.id, [], [])


def test_the_server_learns_no_row_and_a_receipt_holds_no_seal_and_no_secret(
    uploaded: Uploaded, tmp_path: Path
) -> None:
    promised(uploaded)
    row, other = uploaded.fitting[:2]
    before = len(uploaded.world.calls)
    uploaded.desk.json("trace", str(row.row), "--out", tmp_path)
    asked = uploaded.world.calls[before:]
    before = len(uploaded.world.calls)
    uploaded.desk.json("trace", str(other.row))
    assert uploaded.world.calls[before:] == asked
    receipt = RowReceipt.from_bytes((tmp_path / f"row-{row.row}.{CAMPAIGN}.receipt").read_bytes())
    every = receipt.to_json()
    assert receipt.row is not None
    for hidden in (row.secret, row.tag, other.lock, other.tag):
        assert hidden not in every
        assert hidden not in b"".join(receipt.row[1].path)
    assert receipt.lock == row.lock


@pytest.mark.parametrize(
    ("fact", "wrong"),
    [
        ("digest", "f" * 64),
        ("agreement", "f" * 64),
        ("sources", [PARTNER, "valley-league"]),
        ("sources", ["valley-league"]),
    ],
)
def test_an_intent_that_does_not_follow_from_what_was_said_is_refused(
    uploaded: Uploaded, fact: str, wrong: object
) -> None:
    promised(uploaded, **{fact: wrong})
    done = uploaded.desk.run("trace", str(uploaded.fitting[0].row))
    assert done.exit_code == 1, done.output
    assert done.output.strip()
    assert "In the audience" not in done.output


def test_an_audience_that_was_cut_is_said_to_be_gone_with_what_this_computer_noted(
    uploaded: Uploaded,
) -> None:
    promised(uploaded)
    uploaded.world.audiences[CAMPAIGN]["leaves"] = ""
    row = uploaded.fitting[0].row
    done = uploaded.desk.run("trace", str(row))
    assert done.exit_code == 0, done.output
    assert "no proof any more. As this computer checked it, the row was in it." in done.output
    assert uploaded.desk.json("trace", str(row))["gone"] == [CAMPAIGN]


def test_another_lists_trail_and_a_foreign_entry_are_refused(uploaded: Uploaded) -> None:
    promised(uploaded)
    body = uploaded.world.contributions[uploaded.id]
    other = made(
        PARTNER, "contribution", NOW, kind="bundle", partner=PARTNER, bundle="other", epoch=EPOCH,
        rows_digest="a" * 64, outputs_digest="b" * 64, root="c" * 64, size_class=256,
    )  # fmt: skip
    uploaded.world.put(other)
    kept = dict(body)
    evidence = Evidence(other.entry, other.openings, "")
    uploaded.world.contributions[uploaded.id] = {**kept, "entry": evidence.to_json()["entry"]}
    done = uploaded.desk.run("trace", str(uploaded.fitting[0].row))
    assert done.exit_code == 1, done.output
    uploaded.world.contributions[uploaded.id] = kept
    uploaded.world.trails["runs"].append(
        uploaded.world.put(made("operator", "ledger", NOW, kind="x"))
    )
    done = uploaded.desk.run("trace", str(uploaded.fitting[0].row))
    assert done.exit_code == 1
    assert "an entry of type ledger has nothing to do with a row" in done.output


def left(uploaded: Uploaded, *labels: bytes) -> State:
    """Let these leave, of whatever list, with the log's first batch."""
    fresh = (hashlib.sha256(b"%d" % n).digest() for n in itertools.count())
    batch, _ = mix(labels, State(), lambda: next(fresh))
    state = State().after(batch)
    uploaded.world.labels = list(batch.labels)
    entry = made("operator", "withdrawal", NOW, **state.facts(batch))
    uploaded.world.left = uploaded.world.put(entry)
    return state


def test_the_uploads_receipt_proves_that_the_row_has_not_left(
    uploaded: Uploaded, tmp_path: Path
) -> None:
    promised(uploaded)
    left(uploaded, bytes([9]) * 32)
    row = uploaded.fitting[0].row
    done = uploaded.desk.run("trace", str(row), "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "by batch 1: neither this row nor its list is in it" in done.output
    file = tmp_path / f"row-{row}.upload.receipt"
    shown = CliRunner().invoke(command, ["receipt", str(file), *keys()])
    assert shown.exit_code == 0, shown.output
    assert "neither this row nor its list is in it" in shown.output
    assert "has not left since" not in shown.output
    other = CliRunner().invoke(
        command, ["receipt", str(tmp_path / f"row-{row}.{CAMPAIGN}.receipt"), *keys()]
    )
    assert "has not left since" in other.output


def test_a_row_or_a_list_that_the_log_has_among_the_withdrawals_is_not_said_to_be_there(
    uploaded: Uploaded,
) -> None:
    promised(uploaded)
    row = uploaded.fitting[0]
    (file,) = Path(uploaded.desk.home).glob(f"*/{uploaded.id}/header.json")
    header = json.loads(file.read_bytes())
    for one in (row_label(row.secret), list_label(bytes.fromhex(header["root"]))):
        left(uploaded, one)
        done = uploaded.desk.run("trace", str(row.row))
        assert done.exit_code == 1
        assert "this row has left, or its list has" in done.output


def test_a_server_that_hides_a_withdrawal_from_the_labels_is_found_out(uploaded: Uploaded) -> None:
    promised(uploaded)
    row = uploaded.fitting[0]
    left(uploaded, row_label(row.secret))
    uploaded.world.labels.remove(row_label(row.secret))
    done = uploaded.desk.run("trace", str(row.row))
    assert done.exit_code == 1
    assert "other withdrawals than the log's state" in done.output


def test_what_is_handed_in_with_withdrawn_rows_are_their_labels_in_an_order_of_their_own(
    uploaded: Uploaded, tmp_path: Path
) -> None:
    rows = uploaded.fitting[:5]
    named = tmp_path / "rows.txt"
    named.write_text("".join(f"{row.row}\n" for row in rows))
    assert uploaded.desk.run("withdraw", uploaded.id, "--rows", named, "--yes").exit_code == 0
    assert {*uploaded.world.labels} == {row_label(row.secret) for row in rows}


@pytest.mark.parametrize("ref", ["0", "99999", "x", "1:x", "", "-3", "²"])
def test_a_ref_that_names_no_row_is_refused_in_words(uploaded: Uploaded, ref: str) -> None:
    done = uploaded.desk.run("trace", "--", ref)
    assert done.exit_code == 1, done.output
    assert "row" in done.output.lower() or "lists" in done.output


def test_a_withdrawn_row_is_traced_no_more(uploaded: Uploaded, tmp_path: Path) -> None:
    row = uploaded.fitting[0].row
    named = tmp_path / "rows.txt"
    named.write_text(f"{row}\n")
    assert uploaded.desk.run("withdraw", uploaded.id, "--rows", named, "--yes").exit_code == 0
    done = uploaded.desk.run("trace", str(row))
    assert done.exit_code == 1
    assert "or was withdrawn" in done.output
