"""What a partner's tool signs, and what it will not: agreements, manifests, audiences."""

import base64
import csv
import functools
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from consortium.cli import parting, uploading, withdrawing
from consortium.cli.errors import CheckRefused, HomeRefused
from consortium.cli.home import Home
from consortium.cli.lists import OwnRow, own_list
from consortium.cli.memory import Memory
from matching.locks import audience_leaves, retire_tag
from policies.approvals import manifest_digest
from provenance.merkle import tree_root
from provenance.rows import check_row
from tests.fakes.api import EPOCH, PARTNER, RACE, FakeWorld
from tests.unit.cli.conftest import Desk

NONCE = b"\x07" * 32
CAMPAIGN = "3f0e7a52-0000-4000-8000-000000000001"


def put_campaign(world: FakeWorld, state: str = "submitted", **others: Any) -> dict[str, Any]:
    """A campaign that the agreement allows, some keys of its manifest replaced."""
    template = {"subject": "Come say hello", "mjml": "<mjml></mjml>", "text": None}
    manifest = {
        "campaign": CAMPAIGN,
        "race": RACE,
        "definition": {"places": {"zip": ["80134", "80234"]}},
        "sources": [PARTNER],
        "agreement": hashlib.sha256(world.agreement).hexdigest(),
        "template": hashlib.sha256(rfc8785.dumps(template)).hexdigest(),
        "sender": {PARTNER: {"from": "Ana for River Union", "domain": "mail.river.example"}},
        "links": ["https://vote.example/where"],
        "window": {"opens": "2026-10-05T15:00:00Z", "closes": "2026-10-06T00:00:00Z"},
        "size_class": 256,
        "messenger": {"name": "Ana", "place": "Parker"},
        **others,
    }
    world.campaigns[CAMPAIGN] = {
        "id": CAMPAIGN,
        "state": state,
        "manifest": manifest,
        "digest": manifest_digest(manifest),
        "template": template,
        "approvals": [{"partner": PARTNER, "state": "waiting"}],
    }
    return world.campaigns[CAMPAIGN]


def freeze(world: FakeWorld, locks: list[bytes]) -> dict[str, Any]:
    """Fix an audience of these locks."""
    campaign = world.campaigns[CAMPAIGN]
    campaign["state"] = "frozen"
    leaves = audience_leaves(NONCE, locks)
    world.audiences[CAMPAIGN] = {
        "campaign": CAMPAIGN,
        "nonce": NONCE.hex(),
        "root": tree_root(leaves).hex(),
        "digest": campaign["digest"],
        "definition": campaign["manifest"]["definition"],
        "leaves": base64.b64encode(b"".join(leaves)).decode(),
    }
    return world.audiences[CAMPAIGN]


class Uploaded:
    """A partner with a list in the roster and an approved campaign."""

    def __init__(self, desk: Desk, members: Path) -> None:
        self.desk, self.world = desk, desk.world
        self.id = desk.json("upload", members, "--yes")["id"]
        home = Home(desk.home)
        self.rows = own_list(home, self.id).rows(home)
        self.fitting = [row for row in self.rows if row.zip in ("80134", "80234")]

    def roster(self, rows: list[OwnRow]) -> None:
        self.world.add_roster(b"".join(r.tag + r.lock + bytes(64) for r in rows))

    def ready(self, audience: list[OwnRow], **others: Any) -> None:
        put_campaign(self.world, **others)
        assert self.desk.run("approve", CAMPAIGN, "--yes").exit_code == 0
        self.roster(self.rows)
        freeze(self.world, [row.lock for row in audience] + [bytes([9]) * 32])

    def refused(self, words: str) -> None:
        done = self.desk.run("attest", CAMPAIGN)
        assert done.exit_code == 1, done.output
        assert words in done.output
        assert f"{CAMPAIGN}/attestation" not in self.world.approvals


@pytest.fixture
def uploaded(union: Desk, members: Path, monkeypatch: pytest.MonkeyPatch) -> Uploaded:
    # The custodians' arithmetic is in test_upload; here only that there are outputs matters.
    def outputs(inputs: Iterable[bytes], *, memory: Memory, **_: Any) -> None:
        asked = list(inputs)
        memory.put(asked, b"".join(hashlib.sha256(one).digest() for one in asked))

    quick = functools.partial(uploading.tokenise, evaluate=outputs)
    monkeypatch.setattr("consortium.cli.uploading.tokenise", quick)
    return Uploaded(union, members)


def test_signing_keeps_the_exact_bytes_and_twice_is_once(union: Desk) -> None:
    assert (union.home / "agreement.json").read_bytes() == union.world.agreement
    before = len(union.world.log)
    assert union.json("sign", "--yes")["signed"] is True
    assert len(union.world.log) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parties": "key"}, "names another signing key for you"),
        ({"custodians": [{"id": "cx", "public": "9" * 64}], "threshold": 1, "trust": "operator"},
         "names other custodians"),
    ],
)  # fmt: skip
def test_an_agreement_that_is_not_ours_is_not_signed(
    seat: Callable[[str], Desk], change: dict[str, Any], words: str
) -> None:
    desk = seat("partner")
    if change.get("parties") == "key":
        document = json.loads(desk.world.agreement)
        document["parties"][0]["public"] = "8" * 64
        desk.world.agreement = json.dumps(document).encode()
    else:
        desk.world.agreement = desk.world.agree(**change)
    before = len(desk.world.log)
    done = desk.run("sign", "--yes")
    assert done.exit_code == 1
    assert words in done.output
    assert len(desk.world.log) == before


def test_approving_shows_the_very_bytes_it_signs(union: Desk) -> None:
    campaign = put_campaign(union.world)
    listed = union.json("approve")
    assert listed["waiting"] == [CAMPAIGN]
    done = union.run("approve", "--all", "--yes")
    assert done.exit_code == 0, done.output
    assert campaign["digest"] in done.output
    assert "Come say hello" in done.output
    assert f"{CAMPAIGN}/approval" in union.world.approvals


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"window": {"opens": "2026-10-05T15:00:00Z", "closes": "2027-01-01T00:00:00Z"}}, "window"),
        ({"links": ["https://elsewhere.example/"]}, "host that the agreement does not name"),
        ({"sender": {PARTNER: {"from": "Ana", "domain": "evil.example"}}}, "not yours"),
        ({"agreement": "0" * 64}, "not the agreement in force"),
        ({"template": "0" * 64}, "not the letter of the manifest"),
        ({"sources": ["somebody"], "sender": {"somebody": {"from": "A", "domain": "b.example"}}},
         "did not sign"),
        ({"size_class": 1 << 22}, "larger than the agreement allows"),
    ],
)  # fmt: skip
def test_a_manifest_outside_the_agreement_is_not_approved(
    union: Desk, others: dict[str, Any], words: str
) -> None:
    put_campaign(union.world, **others)
    done = union.run("approve", CAMPAIGN, "--yes")
    assert done.exit_code == 1
    assert words in done.output
    assert union.world.approvals == {}


def test_a_digest_of_other_bytes_is_not_approved(union: Desk) -> None:
    put_campaign(union.world)["digest"] = "0" * 64
    done = union.run("approve", CAMPAIGN, "--yes")
    assert done.exit_code == 1
    assert "not the digest of the manifest" in done.output


def test_own_live_rows_under_the_root_are_attested_and_remembered(uploaded: Uploaded) -> None:
    uploaded.ready(uploaded.fitting)
    result = uploaded.desk.json("attest", "--all")
    assert result["rows"] == {CAMPAIGN: len(uploaded.fitting)}
    path = uploaded.desk.home / "audiences" / f"{CAMPAIGN}.csv"
    with path.open(newline="") as file:
        assert sorted(int(row["row"]) for row in csv.DictReader(file)) == sorted(
            row.row for row in uploaded.fitting
        )
    assert f"{CAMPAIGN}/attestation" in uploaded.world.approvals


def test_what_this_computer_did_not_approve_or_the_server_changed_is_not_attested(
    uploaded: Uploaded,
) -> None:
    put_campaign(uploaded.world)
    freeze(uploaded.world, [])
    uploaded.refused("did not approve that campaign")
    uploaded.ready(uploaded.fitting)
    audience = uploaded.world.audiences[CAMPAIGN]
    good = dict(audience)
    audience["root"] = "0" * 64
    uploaded.refused("do not lead to its root")
    audience.update(good, digest="1" * 64)
    uploaded.refused("another manifest")
    audience.update(good, definition={"places": {"zip": ["80134"]}})
    uploaded.refused("another definition")
    raw = base64.b64decode(good["leaves"])
    audience.update(good, leaves=base64.b64encode(raw + raw[-32:]).decode())
    uploaded.refused("not distinct")
    put_campaign(uploaded.world, "frozen", size_class=128)
    uploaded.refused("no longer the one you approved")


def test_a_row_with_another_zip_is_refused_until_it_is_called_moved(uploaded: Uploaded) -> None:
    stranger = next(row for row in uploaded.rows if row not in uploaded.fitting)
    uploaded.ready([*uploaded.fitting, stranger])
    uploaded.refused(
        f"1 row of yours is in the audience with a ZIP that it does not ask for (row {stranger.row})"  # noqa: E501
    )
    assert uploaded.desk.run("attest", CAMPAIGN, "--moved", "1").exit_code == 0


def test_a_row_missing_from_the_logged_roster_is_refused(uploaded: Uploaded) -> None:
    put_campaign(uploaded.world)
    uploaded.desk.run("approve", CAMPAIGN, "--yes")
    uploaded.roster([row for row in uploaded.rows if row != uploaded.fitting[0]])
    freeze(uploaded.world, [row.lock for row in uploaded.fitting])
    uploaded.refused(f"not in the logged roster (row {uploaded.fitting[0].row})")
    uploaded.world.roster[0] = uploaded.world.roster[0][128:]
    uploaded.refused("not what was logged")


def test_a_withdrawn_row_is_refused_and_custodians_hear_it_without_the_server(
    uploaded: Uploaded,
) -> None:
    uploaded.ready(uploaded.fitting)
    uploaded.world.down = {"c2"}
    cut = uploaded.desk.run("withdraw", uploaded.id, "--yes")
    assert cut.exit_code == 3
    assert "Not reached: c2" in cut.output
    uploaded.world.down = set()
    assert uploaded.desk.json("withdraw", uploaded.id, "--yes")["missing"] == []
    mine = {retire_tag(row.secret).hex() for row in uploaded.rows}
    for one in ("c1", "c2", "c3"):
        assert mine <= uploaded.world.retired[one]
        assert len(uploaded.world.retired[one]) % 4096 == 0
    uploaded.refused("that you withdrew are in the audience")


def test_single_rows_leave_by_number_or_address_and_the_others_receipts_stand(
    uploaded: Uploaded, tmp_path: Path
) -> None:
    home, own = Home(uploaded.desk.home), own_list(Home(uploaded.desk.home), uploaded.id)
    stays, *leaving = uploaded.fitting[:3]
    before = parting.row_proof(home, own, stays.row)
    with (tmp_path / "members.csv").open(newline="") as file:
        address = list(csv.reader(file))[leaving[1].row - 1][2]
    named = tmp_path / "rows.txt"
    named.write_text(f"{leaving[0].row}\n\n {address.upper()} \n")
    uploaded.world.down = {"c2"}
    cut = uploaded.desk.run("withdraw", uploaded.id, "--rows", named, "--yes")
    assert cut.exit_code == 3, cut.output
    assert "Not reached: c2" in cut.output
    assert "Gone now from the service; from backups after 30 days." in cut.output
    assert address not in cut.output
    # Not forgotten while a custodian has not heard, and attested no longer all the same.
    uploaded.ready(uploaded.fitting)
    uploaded.refused("2 rows of yours that you withdrew are in the audience")
    uploaded.world.down = set()
    done = uploaded.desk.json("withdraw", uploaded.id, "--yes")  # goes on; the list itself stays
    assert (done["missing"], done["backup_days"]) == ([], 30)
    assert not own_list(home, uploaded.id).withdrawn
    sizes = {len(tags) for tags in uploaded.world.taken_back.values()}
    assert sizes == {2}
    for one in ("c1", "c2", "c3"):
        mine = {retire_tag(row.secret).hex() for row in leaving}
        assert mine <= uploaded.world.retired[one]
        assert len(uploaded.world.retired[one]) == 4096  # padded
        assert retire_tag(stays.secret).hex() not in uploaded.world.retired[one]
    uploaded.refused("2 rows of yours that you withdrew are in the audience")
    # On this computer, too, only bare locks and leaf hashes are left of them.
    kept = [row.row for row in own.rows(home)]
    assert set(kept) == {row.row for row in uploaded.rows} - {row.row for row in leaving}
    here = b"".join(p.read_bytes() for p in own.folder.rglob("*") if p.is_file())
    assert not [row for row in leaving if row.tag in here or row.lock in here]
    assert parting.row_proof(home, own, stays.row) == before
    said = json.loads((own.folder / "header.json").read_bytes())
    check_row(*before, said["size_class"], bytes.fromhex(said["root"]))
    with pytest.raises(HomeRefused, match="withdrawn"):
        parting.row_proof(home, own, leaving[0].row)


@pytest.mark.parametrize("line", ["0", "99999", "nobody@else.example", "not an address", "²"])
def test_a_line_that_names_no_row_withdraws_nothing_and_is_not_quoted(
    uploaded: Uploaded, tmp_path: Path, line: str
) -> None:
    named = tmp_path / "rows.txt"
    named.write_text(f"{uploaded.rows[0].row}\n{line}\n")
    done = uploaded.desk.run("withdraw", uploaded.id, "--rows", named, "--yes")
    assert done.exit_code == 1
    assert "line 2 names no row" in done.output
    assert f" {line}" not in done.output
    assert uploaded.world.retired == {}


def test_a_withdrawal_says_when_backups_forget_and_believes_no_silence(
    uploaded: Uploaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = uploaded.desk.run("withdraw", uploaded.id, "--yes")
    assert "Gone now from the service; from backups after 30 days." in done.output
    for answer in ({"leaf": "a"}, {"backup_days": True}, {"backup_days": -1}, []):
        with pytest.raises(CheckRefused):
            withdrawing.backup_days(answer)  # type: ignore[arg-type]


def test_any_partner_stops_a_campaign_everywhere(union: Desk) -> None:
    put_campaign(union.world)
    assert union.json("stop", CAMPAIGN, "--yes")["state"] == "stopped"
    assert {f"POST {c}.example/stop" for c in ("c1", "c2", "c3")} <= set(union.world.calls)


def test_a_browser_key_is_vouched_for_only_after_the_key_itself_was_seen(union: Desk) -> None:
    assert union.run("enrol-browser", "river-7:ab").exit_code == 2
    told = union.run("enrol-browser", "river-7", answers="n\n")
    assert told.exit_code == 1
    assert "cd" * 32 in told.output
    assert "POST server.example/api/v1/browser-keys" not in union.world.calls
    key = "ab" * 32
    assert union.json("enrol-browser", f"river-7:{key}")["public"] == key
    signature = bytes.fromhex(union.world.browser["signature"])
    message = b"trellis/browser-key/v1\n" + bytes.fromhex(key)
    Home(union.home).key.public_key().verify(signature, message)


def test_lists_tell_here_from_there(uploaded: Uploaded) -> None:
    (one,) = uploaded.desk.json("lists")["lists"]
    assert one == {"id": uploaded.id, "here": "receipt", "server": "logged"}
    assert EPOCH in json.dumps(Home(uploaded.desk.home).invite)
