"""Notes, tiles and receipts have one spelling: what parses prints the same, all else is refused."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.checkpoint import parse_checkpoint
from provenance.errors import (
    CheckpointRefused,
    FormatRefused,
    NoteRefused,
    PolicyRefused,
    ReceiptRefused,
    RequestRefused,
    SignatureRefused,
    TileRefused,
)
from provenance.merkle import (
    CompactRange,
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    leaf_hash,
    nodes_of,
    root_of_hashes,
    tree_root,
)
from provenance.note import check_note, from_base64, parse_note, sign_note, to_base64
from provenance.quorum import Policy
from provenance.receipt import parse_receipt
from provenance.tiles import (
    Tile,
    pack_entries,
    parse_path,
    partial_width,
    tiles_between,
    tiles_of,
    unpack_entries,
)
from provenance.witness import parse_add_checkpoint
from tests.fakes.actors import LOG, POLICY
from tests.golden.test_tlog import CHECKPOINT, PROOF, REQUEST

GOOD = sign_note(b"one\n\ntwo\xe2\x80\xa8three\n", LOG).to_bytes()


@given(st.binary(max_size=80))
def test_base64_has_one_spelling(raw: bytes) -> None:
    text = to_base64(raw)
    assert from_base64(text) == raw
    for wrong in (text + "\n", text + "=", " " + text, text.rstrip("=") + "*"):
        with pytest.raises(NoteRefused):
            from_base64(wrong)


@given(st.binary(min_size=1, max_size=80).filter(lambda raw: len(raw) % 3 != 0))
def test_stray_bits_under_the_padding_are_refused(raw: bytes) -> None:
    text = to_base64(raw)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    stray = body[:-1] + letters[letters.index(body[-1]) + 1] + "=" * (len(text) - len(body))
    assert base64.b64decode(stray) == raw  # the standard decoder lets it pass
    with pytest.raises(NoteRefused):
        from_base64(stray)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), st.booleans())
def test_a_signed_note_comes_back_whatever_its_text(text: str, empty_line: bool) -> None:
    raw = (text + ("\n\n" if empty_line else "\n") + text + "\n").encode()
    note = parse_note(sign_note(raw, LOG).to_bytes())
    assert note.text == raw
    assert check_note(note, [LOG.verifier]) == [LOG.verifier]


@given(st.binary(max_size=300))
def test_bytes_that_parse_as_a_note_print_as_themselves(raw: bytes) -> None:
    for junk in (raw, GOOD + raw, raw + GOOD, GOOD[:40] + raw + GOOD[40:]):
        with contextlib.suppress(NoteRefused):
            assert parse_note(junk).to_bytes() == junk


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_altered_note_is_accepted(at: int, bits: int) -> None:
    wrong = bytearray(GOOD)
    wrong[at] ^= bits
    with pytest.raises((NoteRefused, SignatureRefused)):
        check_note(parse_note(bytes(wrong)), [LOG.verifier])


LINE = GOOD[GOOD.rindex(b"\n\n") + 2 :]


@pytest.mark.parametrize(
    "wrong",
    [
        GOOD.replace(b"\n", b"\r\n"),
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"junk\n",
        GOOD + "\u2014 name\n".encode(),
        GOOD + "\u2014 name AAAA\n".encode(),
        GOOD + "\u2014 a+b AAAAAAAA\n".encode(),
        GOOD + "\u2014 a\u00a0b AAAAAAAA\n".encode(),
        GOOD + "\u2014  AAAAAAAA\n".encode(),
        GOOD + b"- name AAAAAAAA\n",
        GOOD.replace(LINE, LINE[:-1] + "\u2028".encode() + LINE),
        GOOD.replace(b"one", b"o\tne"),
        GOOD.replace(b"one", b"o\xffne"),
        GOOD[: GOOD.rindex(b"\n\n") + 2],
        GOOD + LINE * 100,
        b"",
        b"\n\n",
    ],
)
def test_a_note_that_is_nearly_one_is_refused(wrong: bytes) -> None:
    with pytest.raises(NoteRefused):
        parse_note(wrong)


def test_lines_of_unknown_keys_are_ignored_and_one_known_bad_line_spoils_all() -> None:
    stranger = "\u2014 somebody.else AAAAAAAAAAAA\n".encode()
    half = LINE.replace(LINE[-20:-10], b"AAAAAAAAAA")
    assert check_note(parse_note(GOOD + stranger), [LOG.verifier])
    for order in (GOOD + half, GOOD.replace(LINE, half + LINE)):
        with pytest.raises(SignatureRefused):
            check_note(parse_note(order), [LOG.verifier])
    with pytest.raises(SignatureRefused):
        check_note(parse_note(GOOD.replace(LINE, stranger)), [LOG.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "o\n5\n",
        "o\n05\n{r}\n",
        "o\n-5\n{r}\n",
        "o\n5 \n{r}\n",
        "o\n\u0665\n{r}\n",
        "o\n9223372036854775808\n{r}\n",
        "o\n5\n{r}\n\n",
        "o\n5\n{r}\n\nx\n",
        "o\n5\n{r}",
        "\n5\n{r}\n",
        "o\n5\nAAAA\n",
        "o\r\n5\r\n{r}\r\n",
    ],
)
def test_a_checkpoint_that_is_nearly_one_is_refused(text: str) -> None:
    root = to_base64(bytes(32))
    assert parse_checkpoint(f"o\n5\n{root}\nextension\n".encode()).extensions == ("extension",)
    with pytest.raises(CheckpointRefused):
        parse_checkpoint(text.replace("{r}", root).encode())


@given(st.text(max_size=200))
def test_parsers_of_text_refuse_and_never_stumble(text: str) -> None:
    for read in (parse_receipt, Policy.from_text, parse_path):
        for junk in (text, PROOF[:60] + text, "log " + text, "tile/0/" + text):
            with contextlib.suppress(FormatRefused):
                read(junk)


@given(st.binary(max_size=200))
def test_parsers_of_bytes_refuse_and_never_stumble(raw: bytes) -> None:
    for junk in (raw, b"old 0\n" + raw, REQUEST.encode()[:80] + raw):
        with contextlib.suppress(RequestRefused):
            assert parse_add_checkpoint(junk).to_bytes() == junk


@pytest.mark.parametrize(
    "wrong",
    [
        PROOF.replace("\n", "\r\n"),
        PROOF.replace("@v1", "@v2"),
        PROOF.replace("index 2", "index 02"),
        PROOF.replace("index 2", "index"),
        PROOF.replace("index 2\n", ""),
        PROOF.replace("rpdN", "rpd"),
        PROOF.replace("HA=\n", "HA=\n\n", 1),
        PROOF.replace("R1HA=", "R1HB="),
        "\n" + PROOF,
    ],
)
def test_a_receipt_that_is_nearly_one_is_refused(wrong: str) -> None:
    with pytest.raises((ReceiptRefused, NoteRefused, CheckpointRefused)):
        POLICY.check(parse_receipt(wrong).checkpoint)


def test_the_unauthenticated_extra_line_comes_back() -> None:
    with_extra = PROOF.replace("index 2", "extra aGk=\nindex 2")
    assert parse_receipt(with_extra).extra == b"hi"
    assert parse_receipt(with_extra).to_text() == with_extra
    assert parse_receipt(PROOF).checkpoint.startswith(CHECKPOINT.encode())


@given(st.integers(-1, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_every_tile_has_one_path(level: int, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert parse_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/../000",
        "tile/entries/000.p/\u0665",
        "tile/0/000\n",
    ],
)
def test_no_tile_has_a_second_path(path: str) -> None:
    with pytest.raises(TileRefused):
        parse_path(path)


@given(st.lists(st.binary(max_size=70), max_size=256), st.binary(min_size=1, max_size=3))
def test_a_bundle_holds_its_entries_and_nothing_after_them(
    entries: list[bytes], more: bytes
) -> None:
    packed = pack_entries(entries)
    assert unpack_entries(packed, len(entries)) == entries
    with pytest.raises(TileRefused):
        unpack_entries(packed + more, len(entries))
    with pytest.raises(TileRefused):
        unpack_entries(packed, len(entries) + 1)


@given(st.integers(0, 200_000), st.integers(0, 5_000))
def test_growth_changes_exactly_the_tiles_that_are_new(old: int, more: int) -> None:
    before, after = set(tiles_of(old)), set(tiles_of(old + more))
    assert set(tiles_between(old, old + more)) == after - before
    for level in range(3):
        widths = {one.width for one in after if one.level == level and one.width < 256}
        assert widths == ({partial_width(level, old + more)} - {0})


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=90), st.data())
def test_any_entry_and_any_growth_of_any_tree_can_be_proved(
    entries: list[bytes], data: st.DataObject
) -> None:
    size = len(entries)
    leaves = [leaf_hash(one) for one in entries]
    nodes, root = nodes_of(leaves), tree_root(entries)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    check_inclusion(entries[index], index, size, inclusion_path(index, size, nodes), root)
    older = root_of_hashes(leaves[:old])
    check_consistency(old, size, consistency_path(old, size, nodes), older, root)
    edge = CompactRange()
    for leaf in leaves:
        edge.append(leaf)
    assert edge.root() == root


def test_a_policy_comes_back_from_its_file() -> None:
    assert Policy.from_text(POLICY.to_text()) == POLICY
    with pytest.raises(PolicyRefused):
        Policy.from_text(POLICY.to_text() + POLICY.to_text())
