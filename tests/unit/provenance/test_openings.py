"""`trellis audit verify --openings` and `trace`: what openings say, held against the whole log."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from consortium.cli.auditor import command
from matching import group
from matching.lineage import Signed
from policies import agreement as agreements
from provenance.backend import FolderBackend
from provenance.canonical import JSON
from provenance.entry import BROWSER_KEY, Drafted
from provenance.evidence import Evidence, write_file
from provenance.row_story import fitting
from tests.fakes import row_world
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, made, private, public
from tests.fakes.dealer import split
from tests.fakes.dealing import deal_again, sign_all
from tests.fakes.stories import ACTORS, BOTH, R, attest, intent, logged, sign

CUSTODIANS = ("c1", "c2", "c3")
KEYS = {one: private(one) for one in CUSTODIANS}
TERMS = agreements.default(
    race={
        "id": "council",
        "name": "Council",
        "office": "Council",
        "state": "OH",
        "jurisdiction": "Kent",
        "election_date": "2027-01-05",
        "polls_close": "2027-01-06T00:30:00Z",
        "time_zone": "America/New_York",
    },
    parties=[
        {
            "id": one,
            "name": one.title(),
            "domain": f"{one}.example",
            "relation": "member",
            "public": public(one).hex(),
        }
        for one in BOTH
    ],
    custodians=[{"id": one, "public": public(one).hex()} for one in CUSTODIANS],
    opens=NOON - timedelta(days=1),
    closes=NOON + timedelta(days=30),
    postal_address="1 Main Street, Kent OH 44240",
)
DOCUMENT = agreements.to_bytes(TERMS)
SIGNED = agreements.digest(DOCUMENT)
INVITE: dict[str, Any] = {
    "origin": LOG.verifier.name,
    "log_vkey": LOG.verifier.vkey,
    "witnesses": [{"vkey": one.verifier.vkey} for one in WITNESSES],
    "quorum": 2,
    "threshold": 2,
    "actors": [
        *({"id": one, "role": "partner", "public": public(one).hex()} for one in BOTH),
        {"id": "operator", "role": "operator", "public": public("operator").hex()},
        {"id": "mailer", "role": "mailer", "public": public("mailer").hex()},
    ],
    "custodians": [{"id": one, "public": public(one).hex()} for one in CUSTODIANS],
}
FIRST, SHARES = split(group.reduce(b"k" * 64), threshold=2, ids=CUSTODIANS)


def approve(who: str) -> Drafted:
    return made(who, "approval", kind="approve", campaign="c1", digest="d" * 64)


def statement(signed: Signed, who: str = "c1") -> Drafted:
    facts: dict[str, JSON] = {
        "kind": "statement",
        "statement": signed.statement.to_json(),
        "signatures": {one: raw.hex() for one, raw in signed.signatures.items()},
    }
    return made(who, "key", **facts)


def whole() -> list[Drafted]:
    window = {"opens": "2026-11-21T12:30:00Z", "closes": "2026-11-24T12:00:00Z", "size_class": 64}
    return [
        *(sign(one, SIGNED) for one in BOTH),
        *map(approve, BOTH),
        *map(attest, BOTH),
        intent(agreement=SIGNED, **window),
        made("c1", "ledger", kind="opening", campaign="c1", digest="d" * 64, root=R),
        made("c1", "sent", kind="released", campaign="c1", released=40),
    ]


class Case:
    """A log in a folder, and receipts beside it as partners keep them."""

    def __init__(self, folder: Path, drafts: Sequence[Drafted]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.log = folder, folder / "log"
        self.evidences = logged(drafts, FolderBackend(self.log))
        self.invite, self.agreement = folder / "invite.json", folder / "agreement.json"
        self.invite.write_text(json.dumps(INVITE))
        self.agreement.write_bytes(DOCUMENT)

    def receipts(self, *places: int, name: str = "home", **more: Any) -> Path:
        (self.folder / name / "deep").mkdir(parents=True)
        for place in places or range(len(self.evidences)):
            made_file = {**write_file([self.evidences[place]], POLICY, ACTORS), **more}
            path = self.folder / name / "deep" / f"{place}.receipt.json"
            path.write_text(json.dumps(made_file))
        return self.folder / name

    def verify(self, *words: object, code: int = 0) -> str:
        said = CliRunner().invoke(command, ["verify", str(self.log), *map(str, words)])
        assert said.exit_code == code, said.output + repr(said.exception)
        return said.output

    def by_invite(self, *words: object, code: int = 0) -> str:
        known = ("--invite", self.invite, "--agreement", self.agreement)
        return self.verify(*known, *words, code=code)


def test_a_partners_folder_is_replayed_against_the_log_and_what_stays_closed_is_said(
    tmp_path: Path,
) -> None:
    case = Case(tmp_path, [*whole(), made("cedar", "contribution", kind="bundle")])
    home = case.receipts(*range(9))
    said = case.by_invite("--openings", home)
    assert "9 entries opened, each at its place in this log" in said
    assert "within the agreement's dates, parties and size (1)" in said
    assert "1 contribution: nobody gave openings" in said
    assert "totals cover its letters" in said
    found = json.loads(case.by_invite("--openings", home, "--json"))["story"]
    assert (found["opened"], found["closed"]) == (9, {"contribution": 1})
    assert "story" not in json.loads(case.verify("--invite", case.invite, "--json"))
    case.by_invite("--openings", home, "--strict", code=1)


@pytest.mark.parametrize("missing", range(6))
def test_what_the_openings_lack_is_open_while_it_may_be_closed_and_else_a_violation(
    missing: int, tmp_path: Path
) -> None:
    drafts = whole()
    case = Case(tmp_path / "closed", drafts)
    rest = [place for place in range(len(drafts)) if place != missing]
    home = case.receipts(*rest)
    assert "stay closed" in case.by_invite("--openings", home)
    assert "leave open" in case.by_invite("--openings", home, "--strict", code=1)
    never = Case(tmp_path / "never", [*drafts[:missing], *drafts[missing + 1 :]])
    said = never.by_invite("--openings", never.receipts(), code=1)
    assert "does not hold: campaign c1" in said


def test_an_intent_outside_its_agreement_passes_only_where_the_document_is_not_given(
    tmp_path: Path,
) -> None:
    drafts = whole()
    late = {"opens": "2026-11-21T12:30:00Z", "closes": "2027-01-01T12:00:00Z", "size_class": 64}
    drafts[6] = intent(agreement=SIGNED, **late)
    case = Case(tmp_path, drafts[:7])
    home = case.receipts()
    assert "outside the agreement's dates" in case.by_invite("--openings", home, code=1)
    said = case.verify("--invite", case.invite, "--openings", home)
    assert "was not given" in said


def test_without_an_invite_the_receipts_say_who_is_who_and_that_is_said(tmp_path: Path) -> None:
    drafts = whole()
    drafts[7] = made("cedar", "ledger", kind="opening", campaign="c1", digest="d" * 64, root=R)
    case = Case(tmp_path, drafts[:8])
    home = case.receipts()
    keys = ["--vkey", LOG.verifier.vkey, "--quorum", "0"]
    assert "Which key is whose" in case.verify(*keys, "--openings", home)
    assert "not signed by a custodian" in case.by_invite("--openings", home, code=1)
    other = json.loads((home / "deep" / "0.receipt.json").read_text())
    other["actors"]["alder"] = public("birch").hex()
    (home / "deep" / "1.receipt.json").write_text(json.dumps(other))
    assert "another key here" in case.verify(*keys, "--openings", home, code=1)


def test_an_approval_in_a_browser_counts_where_the_partners_key_vouches(tmp_path: Path) -> None:
    drafts = whole()
    drafts[3] = approve("browser")
    case = Case(tmp_path, drafts)
    assert "1 approvals" in case.by_invite("--openings", case.receipts(), code=1)
    signature = private("birch").sign(BROWSER_KEY + public("browser")).hex()
    stated = {"partner": "birch", "public": public("browser").hex(), "signature": signature}
    case.by_invite("--openings", case.receipts(name="vouched", browser_keys=[stated]))


def test_openings_of_another_history_are_refused_as_a_fork(tmp_path: Path) -> None:
    case = Case(tmp_path / "a", whole())
    other = Case(tmp_path / "b", [made("cedar", "approval", kind="approve"), *whole()[1:]])
    said = other.by_invite("--openings", case.receipts(), code=1)
    assert "forked" in said
    held = case.folder / "home" / "deep" / "3.receipt.json"
    words = ["diff", str(held), str(other.log), "--vkey", LOG.verifier.vkey]
    told = CliRunner().invoke(command, [*words, "--out", str(tmp_path / "fork.json")])
    assert (told.exit_code, (tmp_path / "fork.json").exists()) == (1, True), told.output
    again = CliRunner().invoke(command, [*words[:2], str(case.log), *words[3:]])
    assert "The same" in again.output
    row = ["diff", str(row_receipt(tmp_path)), str(other.log), *words[3:]]
    assert CliRunner().invoke(command, row).exit_code == 4, "it covers more, and has no tiles"
    longer = Case(tmp_path / "c", [*whole(), approve("cedar")])
    assert "went back" in case.by_invite("--openings", longer.receipts(), code=1)


def again(change: dict[str, Any] | None = None, *, sign_with: Any = KEYS) -> Signed:
    """The second version of the key, perhaps bent."""
    dealt = deal_again(FIRST, SHARES, KEYS, ids=CUSTODIANS, threshold=2).statement
    return sign_all(replace(dealt, **(change or {})), sign_with)


def key_case(folder: Path, *statements: Signed) -> Case:
    return Case(folder, [*whole(), *map(statement, statements)])


def test_key_statements_are_followed_from_version_to_version(tmp_path: Path) -> None:
    first, second = sign_all(FIRST, KEYS), again()
    case = key_case(tmp_path, first, first, second)
    said = case.by_invite("--openings", case.receipts())
    assert "each follows the one before (3)" in said
    keys = ["--vkey", LOG.verifier.vkey, "--quorum", "0"]
    assert "custodians' keys are in the invite" in case.verify(
        *keys, "--openings", tmp_path / "home"
    )
    later = case.receipts(*range(9), 11, name="later")
    assert "follows one that nobody opened" in case.by_invite("--openings", later)


def test_key_statements_that_do_not_follow_are_refused(tmp_path: Path) -> None:
    first, second = sign_all(FIRST, KEYS), again()
    strangers = {**KEYS, "c2": private("cedar")}
    for number, (statements, why) in enumerate(
        [
            ([sign_all(FIRST, strangers)], "signature does not hold"),
            ([sign_all(replace(FIRST, shares=FIRST.shares[::-1]), KEYS)], "do not follow from"),
            ([first, again({"previous": "0" * 64})], "does not follow the one"),
            ([first, again({"epoch": "2027"})], "another epoch"),
            ([first, second, again()], "a second statement of version 2"),
            ([second], "stands before any other"),
        ]
    ):
        case = key_case(tmp_path / str(number), *statements)
        assert why in case.by_invite("--openings", case.receipts(), code=1)


@pytest.mark.parametrize("text", ["", "5", "[1]", "{"])
def test_a_file_that_is_no_receipt_is_refused_by_its_name(text: str, tmp_path: Path) -> None:
    case = Case(tmp_path, whole())
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text)
    case.by_invite("--openings", wrong, code=1)
    (tmp_path / "empty").mkdir()
    assert "no receipt" in case.by_invite("--openings", tmp_path / "empty", code=1)
    assert "no agreement" in case.verify("--invite", case.invite, "--agreement", wrong, code=1)


def trace(path: Path, *words: object, code: int = 0) -> str:
    said = CliRunner().invoke(command, ["trace", str(path), *map(str, words)])
    assert said.exit_code == code, said.output + repr(said.exception)
    return said.output


def test_a_receipt_is_told_step_by_step_each_with_its_proof(tmp_path: Path) -> None:
    case = Case(tmp_path, whole())
    path = tmp_path / "all.json"
    path.write_text(json.dumps(write_file(case.evidences, POLICY, ACTORS)))
    said = trace(path)
    assert said.count("Proof: entry") == 9
    assert "3. 2026-11-21 12h  alder approved campaign c1" in said
    assert "they came with the file" in said
    assert "c1 stated that it opened 40 rows" in trace(path, "--invite", case.invite)
    steps = json.loads(trace(path, "--json"))
    assert (len(steps["steps"]), len(steps["open"])) == (9, 1)
    assert steps["steps"][2]["proof"].startswith("c2sp.org/tlog-proof@v1")


def test_a_part_of_a_story_is_told_and_said_to_be_one(tmp_path: Path) -> None:
    case = Case(tmp_path, whole())
    path = tmp_path / "part.json"
    path.write_text(json.dumps(write_file(case.evidences[6:7], POLICY, ACTORS)))
    assert "the whole story is not in this file" in trace(path)


def test_a_step_that_does_not_hold_is_not_told(tmp_path: Path) -> None:
    case = Case(tmp_path, whole())
    one, two = case.evidences[:2]
    path = tmp_path / "mixed.json"
    mixed = [Evidence(one.entry, one.openings, two.proof)]
    path.write_text(json.dumps(write_file(mixed, POLICY, ACTORS)))
    assert "FAILED" in trace(path, code=1)


def test_what_a_terminal_would_obey_is_not_printed(tmp_path: Path) -> None:
    odd = made("alder", "withdrawal", kind="bundle", bundle="\x1b[2J\nSigned by everybody")
    case = Case(tmp_path, [odd, made("alder", "roll", kind="unheard-of")])
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(write_file(case.evidences, POLICY, ACTORS)))
    said = trace(path)
    assert "\x1b" not in said
    assert "?[2J?Signed by everybody" in said
    assert "alder made an entry: roll" in said


def row_receipt(folder: Path, **more: Any) -> Path:
    path = folder / "row-1.c1.receipt"
    path.write_bytes(row_world.receipt(**more).to_bytes())
    return path


def test_a_row_receipt_is_traced_under_the_one_proof_of_all_its_entries(tmp_path: Path) -> None:
    path = row_receipt(tmp_path)
    said = trace(path)
    assert said.count("with the others,") == len(row_world.WHOLE)
    assert "alder put a sealed list" in said
    assert "That a letter was sent" in said
    steps = json.loads(trace(path, "--json"))["steps"]
    assert [one["type"] for one in steps][-1] == "intent"
    raw = bytearray(row_world.receipt().to_json())
    raw[raw.index(b"proof") + 12] ^= 1
    path.write_bytes(raw)
    assert "FAILED" in trace(path, code=1)


def test_row_receipts_count_as_openings_and_what_they_keep_closed_is_left_open(
    tmp_path: Path,
) -> None:
    """The receipt's intent opens no window: whether it lies within the agreement stays open."""
    window = {"opens": "2026-11-21T12:30:00Z", "closes": "2026-11-24T12:00:00Z"}
    drafts = [
        *(row_world.sign(one, SIGNED) for one in BOTH),
        row_world.bundle(),
        *map(row_world.approve, BOTH),
        *map(row_world.attest, BOTH),
        row_world.intent(agreement=SIGNED, **window),
    ]
    case = Case(tmp_path, drafts)
    made_receipt = fitting(case.evidences, policy=POLICY.to_text(), actors=row_world.ACTORS)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "row-1.list.receipt").write_bytes(made_receipt.to_bytes())
    said = case.by_invite("--openings", tmp_path / "kept")
    assert "8 entries opened" in said
    assert "its opens was not opened" in said
    short = Case(tmp_path / "short", [*drafts[:4], *drafts[5:]])
    path = short.folder / "row.receipt"
    bent = fitting(short.evidences[:3], policy=POLICY.to_text(), actors=row_world.ACTORS)
    path.write_bytes(bent.to_bytes())
    home = short.receipts(*range(3, 7))
    said = short.by_invite("--openings", path, "--openings", home, code=1)
    assert "1 approvals, 2 are needed" in said


def test_an_invite_says_who_signed_a_row_receipt_whatever_the_receipt_says(tmp_path: Path) -> None:
    path, invite = row_receipt(tmp_path), tmp_path / "invite.json"
    invite.write_text(json.dumps(INVITE))
    assert "alder put a sealed list" in trace(path, "--invite", invite)
    other = {**INVITE, "actors": [{**one, "public": public("x").hex()} for one in INVITE["actors"]]}
    invite.write_text(json.dumps(other))
    assert "not signed by the partner" in trace(path, "--invite", invite, code=1)
    for name in ("actors", "custodians"):
        invite.write_text(json.dumps({key: INVITE[key] for key in INVITE if key != name}))
        assert "the invite does not say" in trace(path, "--invite", invite, code=1)
        case = Case(tmp_path / name, whole())
        case.invite.write_text(invite.read_text())
        assert "the invite does not say" in case.by_invite("--openings", case.receipts(), code=1)


def test_a_strangers_file_or_address_ends_no_tool_with_a_traceback(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 200_000)
    keys = ["--vkey", LOG.verifier.vkey]
    for words in (
        ["receipt", str(deep), *keys],
        ["trace", str(deep), *keys],
        ["verify", str(tmp_path), "--openings", str(deep), *keys],
        ["verify", "http://[::1", *keys],
    ):
        done = CliRunner().invoke(command, words)
        assert done.exit_code not in (0, None)
        assert done.exception is None or isinstance(done.exception, SystemExit), words
