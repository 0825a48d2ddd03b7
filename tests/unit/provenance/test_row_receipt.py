"""A row receipt fits into a letter, has one byte form, and proves what it says or is refused."""

import hashlib
import json
import zlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from consortium.cli.auditor import command
from provenance.canonical import canonical
from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.entry import BROWSER_KEY, Drafted
from provenance.errors import (
    InclusionRefused,
    ProvenanceError,
    QuorumRefused,
    ReceiptRefused,
    SignatureRefused,
    StoryRefused,
)
from provenance.evidence import Evidence
from provenance.merkle import inclusion_path
from provenance.note import COSIGNATURE, Signer
from provenance.quorum import Policy
from provenance.receipt import make_receipt
from provenance.row_receipt import Browser, Member, RowReceipt, find_member, join
from provenance.row_story import MOST_BYTES, check_row_receipt, fitting
from provenance.rows import RowProof
from provenance.withdrawn import list_label
from provenance.witness import cosign
from tests.fakes import row_world as w
from tests.fakes.actors import LOG, POLICY, WITNESSES, private, public

GOLDEN = Path(__file__).parents[2] / "golden" / "row_receipt.json"
DOC = Path(__file__).parents[3] / "docs" / "row-receipt.md"


def test_a_receipt_proves_upload_approvals_and_intent_under_one_checkpoint() -> None:
    made = w.receipt()
    raw = made.to_json()
    read = RowReceipt.from_bytes(made.to_bytes())
    assert read == made == RowReceipt.from_bytes(raw)
    assert raw.count(b"log.example/prov\\n") == 1
    proven = check_row_receipt(read, POLICY)
    assert (proven.partner, proven.bundle, proven.campaign) == ("alder", w.BUNDLE, w.CAMPAIGN)
    assert [line.partition("  entry ")[2].split("  ", 1)[1] for line in proven.lines] == [
        "alder signed the agreement",
        f"alder put in list {w.BUNDLE}, and this row is in it",
        "operator matched the list with the voter file",
        "alder approved the campaign's exact bytes",
        "birch approved the campaign's exact bytes",
        "alder checked its own rows in the campaign's audience",
        f"operator promised to send campaign {w.CAMPAIGN} as approved, and this row is in its "
        "audience",
    ]
    assert proven.unproven == (
        "That a letter was sent: the intent says who might be written to.",
        "That the row has not left since: no state of withdrawals is in it.",
        "That what was said is true, and that nothing was done outside the log.",
    )


def test_that_neither_row_nor_list_has_left_is_proved_by_the_state_of_withdrawals() -> None:
    state, entry = w.left(w.noise("another row's"))
    made = w.receipt([w.bundle(), entry], campaign=False, make=fitting, absent=w.absent(state))
    raw = made.to_bytes()
    assert RowReceipt.from_bytes(raw) == made
    proven = check_row_receipt(RowReceipt.from_bytes(raw), POLICY)
    assert proven.lines[-1].endswith("by batch 1: neither this row nor its list is in it")
    assert "left since" not in " ".join(proven.unproven)
    assert len(raw) < 4_000
    # None of the labels is in it but the two neighbours of each.
    assert sum(one in raw for one in state.labels) == 0
    shown = {w_.lower for w_ in made.absent or ()} | {w_.upper for w_ in made.absent or ()}
    texts = made.to_json().decode()
    named = {one for one in state.labels if b64encode(one).decode().rstrip("=") in texts}
    assert named == shown


def _state_before_the_list() -> RowReceipt:
    state, entry = w.left()
    return w.receipt([entry, w.bundle()], campaign=False, absent=w.absent(state))


def _state_by_the_lists_partner() -> RowReceipt:
    state, entry = w.left(who="alder")
    return w.receipt([w.bundle(), entry], campaign=False, absent=w.absent(state))


def _state_by_another_partner() -> RowReceipt:
    state, entry = w.left(who="birch")
    return w.receipt([w.bundle(), entry], campaign=False, absent=w.absent(state))


def _absence_in_another_state() -> RowReceipt:
    # The attack: the row is in the batch that the log has, and absent from one nobody stated.
    _, entry = w.left(w.OPENING.label)
    return w.receipt([w.bundle(), entry], campaign=False, absent=w.absent(w.left()[0]))


def _list_in_the_state() -> RowReceipt:
    _, entry = w.left(list_label(bytes.fromhex(w.ROOT)))
    return w.receipt([w.bundle(), entry], campaign=False, absent=w.absent(w.left()[0]))


def _another_rows_absence() -> RowReceipt:
    state, entry = w.left()
    return w.receipt(
        [w.bundle(), entry], campaign=False, absent=w.absent(state, w.noise("another row's"))
    )


def _no_state() -> RowReceipt:
    return w.receipt([w.bundle()], campaign=False, absent=w.absent(w.left()[0]))


def _a_state_that_nothing_needs() -> RowReceipt:
    return w.receipt([w.bundle(), w.left()[1]], campaign=False)


def _no_row() -> RowReceipt:
    state, entry = w.left()
    made = w.receipt([w.bundle(), entry], campaign=False, absent=w.absent(state))
    return replace(made, row=None)


def _no_size() -> RowReceipt:
    state, entry = w.left(size="66")
    return w.receipt([w.bundle(), entry], campaign=False, absent=w.absent(state))


@pytest.mark.parametrize(
    "wrong",
    [
        _state_before_the_list, _state_by_the_lists_partner, _state_by_another_partner,
        _absence_in_another_state,
        _list_in_the_state, _another_rows_absence, _no_state, _a_state_that_nothing_needs,
        _no_row, _no_size,
    ],
)  # fmt: skip
def test_a_receipt_that_says_falsely_that_a_row_stayed_is_refused(
    wrong: Callable[[], RowReceipt],
) -> None:
    with pytest.raises((StoryRefused, InclusionRefused)):
        check_row_receipt(wrong(), POLICY)


def test_entries_are_rebuilt_to_the_byte_from_what_a_receipt_holds() -> None:
    evidences = w.logged(w.WHOLE)
    read = RowReceipt.from_bytes(w.receipt().to_bytes())
    assert [one.entry for one in read.steps] == [one.entry for one in evidences]
    assert {len(one.entry) for one in read.steps} == {1536}


def large(sources: int, witnesses: int, size: int, places: Callable[[int], int]) -> bytes:
    """A receipt over a log of this size, whose hashes are made up: only its length matters."""
    names = [f"partner-{n}" for n in range(sources)]
    by = [
        Signer.from_seed(f"witness-{n}.example.org/w", bytes([n + 1]) * 32, COSIGNATURE)
        for n in range(witnesses)
    ]
    policy = Policy.of(LOG.verifier, [one.verifier for one in by], witnesses)
    drafts = [
        w.sign(names[0]),
        w.bundle(names[0], partner=names[0], size_class=1 << 20),
        w.run(),
        *map(w.approve, names),
        w.attest(names[0]),
        w.intent(names, size_class=1 << 17),
    ]
    here = Checkpoint(LOG.verifier.name, size, w.noise("root"))
    note = sign_checkpoint(here, LOG)
    note += b"".join(cosign(here.to_text(), one, 1_790_000_000).to_line() for one in by)
    evidences = []
    for number, one in enumerate(drafts):
        index = places(number)
        path = inclusion_path(index, size, lambda *place: w.noise(place))
        evidences.append(Evidence(one.entry, one.openings, make_receipt(index, path, note)))
    member = Member(tuple(w.noise("m", n) for n in range(17)), "01" * 8 + "0")
    row = (w.OPENING, RowProof(4711, tuple(w.noise("r", n) for n in range(20))))
    actors = {name: public(name) for name in [*names, "operator"]}
    made = fitting(
        evidences, policy=policy.to_text(), actors=actors, lock=w.LOCKS[0], row=row, member=member
    )
    return made.to_bytes()


def days(size: int) -> Callable[[int], int]:
    """Places of a list that was put in long before the approvals, which came on one day."""
    return lambda number: number * 9 if number < 3 else size - 3000 + 200 * number


@pytest.mark.parametrize(
    ("sources", "witnesses", "size"),
    [(1, 1, 70_000), (3, 3, 70_000), (3, 3, 1_000_000), (5, 5, 70_000), (5, 5, 1_000_000)],
)
def test_a_receipt_is_below_eight_thousand_bytes(sources: int, witnesses: int, size: int) -> None:
    raw = large(sources, witnesses, size, days(size))
    assert len(raw) <= MOST_BYTES, len(raw)
    # As whole entries with a proof each, which is what a receipt of an upload holds, it is not.
    assert sum(len(one.entry) for one in RowReceipt.from_bytes(raw).steps) > MOST_BYTES / 2


@pytest.mark.parametrize("place", range(len(w.WHOLE)))
def test_without_any_one_entry_a_receipt_of_a_campaign_is_refused_or_says_less(place: int) -> None:
    left = w.WHOLE[:place] + w.WHOLE[place + 1 :]
    made = w.receipt(left)
    if w.WHOLE[place].openings["kind"].value in ("run", "sign", "attest"):
        proven = check_row_receipt(made, POLICY)
        assert len(proven.lines) == len(w.WHOLE) - 1
        said = "those entries are not in it" in " ".join(proven.unproven)
        assert said is (w.WHOLE[place].openings["kind"].value != "run")
        return
    with pytest.raises(ProvenanceError):
        check_row_receipt(made, POLICY)


WRONG: dict[str, tuple[list[Drafted], type[ProvenanceError]]] = {
    "an approval of other bytes": (
        [*w.WHOLE[:4], w.approve("birch", "f" * 64), *w.WHOLE[5:]], StoryRefused),
    "an approval after the intent": (
        [*w.WHOLE[:4], *w.WHOLE[5:], w.approve("birch")], StoryRefused),
    "an approval by nobody who is a source": (
        [*w.WHOLE[:4], w.approve("cedar"), *w.WHOLE[5:]], StoryRefused),
    "rows checked under another root": (
        [*w.WHOLE[:5], w.attest("alder", "f" * 64), *w.WHOLE[6:]], StoryRefused),
    "another agreement": ([w.sign("alder", "f" * 64), *w.WHOLE[1:]], StoryRefused),
    "a list by another partner": ([w.WHOLE[0], w.bundle("birch"), *w.WHOLE[2:]], StoryRefused),
    "a list put in after the intent": (
        [w.WHOLE[0], *w.WHOLE[3:], w.bundle()], StoryRefused),
    "a run over another list": ([*w.WHOLE[:2], w.run("other"), *w.WHOLE[3:]], StoryRefused),
    "two lists": ([*w.WHOLE, w.bundle()], StoryRefused),
    "two intents": ([*w.WHOLE, w.intent()], StoryRefused),
    "another tree of rows": (
        [w.WHOLE[0], w.bundle(root="f" * 64), *w.WHOLE[2:]], InclusionRefused),
    "another size class": (
        [w.WHOLE[0], w.bundle(size_class=128), *w.WHOLE[2:]], InclusionRefused),
    "a size class that is none": (
        [w.WHOLE[0], w.bundle(size_class=200), *w.WHOLE[2:]], StoryRefused),
    "another audience": (
        [*w.WHOLE[:5], w.attest("alder", "f" * 64), w.intent(root="f" * 64)], InclusionRefused),
    "an audience under another nonce": (
        [*w.WHOLE[:6], w.intent(nonce="00" * 32)], InclusionRefused),
    "a source that did not approve": (
        [*w.WHOLE[:6], w.intent(["alder", "birch", "cedar"])], StoryRefused),
    "a campaign that the list is no source of": (
        [*w.WHOLE[:6], w.intent(["birch"])], StoryRefused),
    "an entry about something else": ([*w.WHOLE, w.sign("cedar", "f" * 64)], StoryRefused),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_story_that_must_not_be_is_refused(what: str) -> None:
    drafts, refusal = WRONG[what]
    with pytest.raises(refusal):
        check_row_receipt(w.receipt(drafts), POLICY)
    check_row_receipt(w.receipt(), POLICY)  # the control


def test_another_lock_or_row_in_the_same_story_is_refused() -> None:
    made = w.receipt()
    assert made.row is not None
    opening, proof = made.row
    with pytest.raises(InclusionRefused, match="audience"):
        check_row_receipt(replace(made, lock=w.LOCKS[1]), POLICY)
    for name in ("salt", "label", "lock", "rest"):
        other = replace(opening, **{name: bytes(32)})
        with pytest.raises(InclusionRefused):
            check_row_receipt(replace(made, row=(other, proof)), POLICY)
    assert made.member is not None
    flipped = made.member.sides.translate({48: 49, 49: 48})
    with pytest.raises(InclusionRefused):
        check_row_receipt(replace(made, member=replace(made.member, sides=flipped)), POLICY)


def test_a_row_of_the_list_in_an_audience_in_which_another_row_is_cannot_be_mixed() -> None:
    # The row's lock must be the very one under the audience's root.
    other = replace(
        w.receipt(),
        lock=w.LOCKS[1],
        member=find_member(w.LEAVES, w.audience_leaf(w.NONCE, w.LOCKS[1])),
    )
    raw = other.to_bytes()
    with pytest.raises(InclusionRefused):
        check_row_receipt(RowReceipt.from_bytes(raw), POLICY)


def test_a_receipt_without_the_rows_salt_says_that_only_the_partner_can_open_it() -> None:
    proven = check_row_receipt(replace(w.receipt(), row=None), POLICY)
    assert "only its partner can open that" in " ".join(proven.unproven)
    upload = w.receipt(w.WHOLE[:3], campaign=False)
    assert "Any campaign" in check_row_receipt(upload, POLICY).unproven[0]


def test_a_receipt_whose_sources_stay_closed_says_so() -> None:
    hidden = [
        one.only("kind", "campaign", "digest", "root", "nonce", "agreement")
        if one.openings["kind"].value == "send"
        else one
        for one in w.logged([*w.WHOLE[:4], *w.WHOLE[5:]])
    ]
    made = join(hidden, policy=POLICY.to_text(), actors=w.ACTORS)
    assert b"birch" not in made.to_bytes()
    assert "Whose lists besides" in check_row_receipt(made, POLICY).unproven[0]


def test_keys_and_witnesses_are_the_readers() -> None:
    made = w.receipt()
    stranger = Signer.from_seed("witness.example/w9", bytes([77]) * 32, COSIGNATURE)
    with pytest.raises(QuorumRefused):
        check_row_receipt(made, Policy.of(LOG.verifier, [stranger.verifier], 1))
    with pytest.raises(StoryRefused, match="not signed by the partner"):
        check_row_receipt(made, POLICY, {**w.ACTORS, "alder": public("mallory")})
    swapped = {**w.ACTORS, "birch": public("cedar")}
    with pytest.raises(StoryRefused, match="birch had not approved"):
        check_row_receipt(made, POLICY, swapped)


def test_evidence_under_two_checkpoints_makes_no_receipt() -> None:
    first, second = w.logged(w.WHOLE[:2]), w.logged(w.WHOLE)
    with pytest.raises(ReceiptRefused, match="one checkpoint"):
        join([*first, *second], policy="", actors=w.ACTORS)
    with pytest.raises(ReceiptRefused, match="one checkpoint"):
        join([], policy="", actors=w.ACTORS)


RAW = w.receipt().to_json()


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_byte_of_a_receipt_can_be_another(at: int, change: int) -> None:
    altered = RAW[:at] + bytes([RAW[at] ^ change]) + RAW[at + 1 :]
    try:
        proven = check_row_receipt(RowReceipt.from_bytes(altered), POLICY)
    except ProvenanceError:
        return
    # Only what the reader brings may differ: the maker's policy, a line by an unknown witness.
    before = check_row_receipt(RowReceipt.from_bytes(RAW), POLICY)
    assert [one.said.facts for one in proven.steps] == [one.said.facts for one in before.steps]
    where = RAW[:at].rpartition(b'"')[0]
    assert where.endswith((b'"policy":', b'"checkpoint":'))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\n", b"{}", b"[]", b"null", RAW[:-1], RAW + b"\n", b" " + RAW,
        RAW.replace(b'"said"', b'"sane"'), RAW.replace(b'"index":', b'"index": '),
        RAW.replace(b'"place":', b'"place":1'), RAW.replace(b'"proof":"', b'"proof":"A'),
        RAW.replace(b'"sides":"', b'"sides":"2'), zlib.compress(b"{" * 70_000),
        zlib.compress(RAW)[:-1], zlib.compress(RAW) + b"0",
        RAW.replace(b'"lock":', b'"lick":'), RAW.replace(b'"entries":[', b'"entries":[1,'),
        canonical({**json.loads(RAW), "actors": {"a": "", "b": ""}}),
        canonical({**json.loads(RAW), "entries": []}),
        canonical({**json.loads(RAW), "more": 1}),
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(ProvenanceError):
        check_row_receipt(RowReceipt.from_bytes(raw), POLICY)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_json_in_place_of_a_part_is_refused_by_name(value: object) -> None:
    whole = json.loads(RAW)
    for name in whole:
        if name == "policy" and isinstance(value, str):
            continue  # the reader brings another
        try:
            raw = canonical({**whole, name: value})
        except ProvenanceError:
            continue
        if raw != RAW:
            with pytest.raises(ProvenanceError):
                check_row_receipt(RowReceipt.from_bytes(raw), POLICY)


def test_the_example_in_the_docs_is_this_very_receipt(tmp_path: Path) -> None:
    assert GOLDEN.read_bytes() == w.example().to_json()
    text = DOC.read_text()
    file = tmp_path / "receipt.json"
    file.write_bytes(GOLDEN.read_bytes())
    keys = [part for one in WITNESSES for part in ("--witness", one.verifier.vkey)]
    done = CliRunner().invoke(
        command, ["receipt", str(file), "--vkey", LOG.verifier.vkey, *keys, "--quorum", "2"]
    )
    assert done.exit_code == 0, done.output
    assert f"```\n{done.output}```" in text
    assert hashlib.sha256(GOLDEN.read_bytes()).hexdigest() in text
    assert len(w.example().to_bytes()) < len(GOLDEN.read_bytes())


def test_the_tool_checks_a_receipt_offline_and_says_whose_keys_it_believed(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(RAW)
    done = CliRunner().invoke(command, ["receipt", str(file)])
    assert done.exit_code == 0, done.output
    assert "they came with the receipt" in done.output
    shown = json.loads(CliRunner().invoke(command, ["receipt", str(file), "--json"]).output)
    assert (shown["ok"], shown["row"], shown["campaign"]) == (True, True, w.CAMPAIGN)
    file.write_bytes(RAW.replace(b'"place":', b'"place":1'))
    bad = CliRunner().invoke(command, ["receipt", str(file)])
    assert bad.exit_code == 1
    assert "FAILED" in bad.output


def test_a_yes_given_in_a_browser_counts_as_its_partners_only_when_that_vouched() -> None:
    drafts = [*w.WHOLE[:4], w.approve("birch-browser"), *w.WHOLE[5:]]
    vouch = private("birch").sign(BROWSER_KEY + public("birch-browser"))
    good = Browser("birch", public("birch-browser"), vouch)
    evidences = w.logged(drafts)
    about: dict[str, Any] = {"policy": POLICY.to_text(), "actors": w.ACTORS}
    made = join(evidences, **about, browsers=[good])
    read = RowReceipt.from_bytes(made.to_bytes())
    assert read == made
    assert "birch approved" in check_row_receipt(read, POLICY).lines[4]
    for other in (
        replace(good, partner="cedar"),
        replace(good, signature=private("cedar").sign(BROWSER_KEY + good.public)),
        replace(good, signature=private("birch").sign(good.public)),
        replace(good, partner="nobody"),
    ):
        with pytest.raises(SignatureRefused):
            check_row_receipt(join(evidences, **about, browsers=[other]), POLICY)
    with pytest.raises(ReceiptRefused, match="not named"):
        join(evidences, **about)
