"""Notes, tiles and receipts have one spelling: what parses prints the same, all else is refused."""

import base64
import contextlib

import pytest
from hypothesis import assume, given
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
from provenance.note import (
    SignatureLine,
    Signer,
    Verifier,
    check_note,
    from_base64,
    parse_line,
    parse_note,
    sign_note,
    to_base64,
)
from provenance.quorum import Policy
from provenance.receipt import parse_receipt
from provenance.tiles import (
    Tile,
    pack_entries,
    pack_hashes,
    parse_path,
    partial_width,
    tiles_between,
    tiles_of,
    unpack_entries,
    unpack_hashes,
)
from provenance.witness import parse_add_checkpoint
from tests.fakes.actors import LOG, POLICY, WITNESSES
from tests.golden.test_tlog import CHECKPOINT, PROOF, REQUEST

GOOD = sign_note(b"one\n\ntwo\xe2\x80\xa8three\n", LOG).to_bytes()


@given(st.binary(max_size=80))
def test_base64_has_one_spelling(raw: bytes) -> None:
    text = to_base64(raw)
    assert from_base64(text) == raw
    for wrong in (text + "\n", text + "=", " " + text, text.rstrip("=") + "*"):
        with pytest.raises(NoteRefused):
            from_base64(wrong)


def strayed(text: str) -> str:
    """Another spelling of padded base64, which the standard decoder lets pass."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    stray = body[:-1] + letters[letters.index(body[-1]) + 1] + "=" * (len(text) - len(body))
    assert base64.b64decode(stray) == base64.b64decode(text)
    assert stray != text
    return stray


@given(st.binary(min_size=1, max_size=80).filter(lambda raw: len(raw) % 3 != 0))
def test_stray_bits_under_the_padding_are_refused(raw: bytes) -> None:
    with pytest.raises(NoteRefused):
        from_base64(strayed(to_base64(raw)))


@given(st.binary(min_size=5, max_size=90).filter(lambda raw: len(raw) % 3 != 0), st.binary())
def test_stray_bits_are_refused_wherever_base64_stands(raw: bytes, hash: bytes) -> None:
    text, root = to_base64(raw), to_base64(hash[:32].ljust(32, b"."))
    line = f"\u2014 name {text}"
    assert parse_line(line).to_line().decode() == line + "\n"
    receipt = f"c2sp.org/tlog-proof@v1\nindex 0\n{root}\n\no\n1\n{root}\n\n{line}\n"
    parse_receipt(receipt)
    parse_checkpoint(f"o\n5\n{root}\n".encode())
    parse_add_checkpoint(f"old 0\n{root}\n\n".encode())
    for read, wrong in (
        (parse_line, f"\u2014 name {strayed(text)}"),
        (parse_receipt, receipt.replace(root, strayed(root), 1)),
        (lambda one: parse_checkpoint(one.encode()), f"o\n5\n{strayed(root)}\n"),
        (lambda one: parse_add_checkpoint(one.encode()), f"old 0\n{strayed(root)}\n\n"),
    ):
        with pytest.raises(FormatRefused):
            read(wrong)  # type: ignore[operator]


@given(st.sampled_from([LOG, *WITNESSES]), st.integers(0, 200), st.characters())
def test_a_verifier_key_has_one_spelling(signer: Signer, at: int, letter: str) -> None:
    vkey = signer.verifier.vkey
    assert Verifier.from_vkey(vkey) == signer.verifier
    at %= len(vkey)
    for wrong in (vkey[:at] + letter + vkey[at:], vkey[:at] + letter + vkey[at + 1 :]):
        if wrong != vkey:
            with pytest.raises(NoteRefused):
                Verifier.from_vkey(wrong)


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


ODD = ["\r", "\r\n", "\n", "\n\n", "\t", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\u00a0",
       "\u2028", "\u2029", "\u3000", "\ufeff", "\u2014", " ", "=", "\n\u2014 "]  # fmt: skip
"""What some reader somewhere takes for the end of a line, for a space, or for nothing."""


@given(st.integers(0, len(GOOD)), st.sampled_from(ODD) | st.text(min_size=1, max_size=6))
def test_whatever_is_put_into_a_note_it_is_no_longer_the_signed_one(at: int, more: str) -> None:
    whole = GOOD.decode()
    at = min(at, len(whole))
    with pytest.raises((NoteRefused, SignatureRefused)):
        check_note(parse_note((whole[:at] + more + whole[at:]).encode(errors="surrogatepass")),
                   [LOG.verifier])  # fmt: skip


@given(st.sets(st.integers(0, GOOD.count(b"\n") - 1), min_size=1))
def test_no_line_of_a_note_ends_with_crlf(which: set[int]) -> None:
    lines = GOOD.split(b"\n")
    ended = [one + (b"\r\n" if at in which else b"\n") for at, one in enumerate(lines[:-1])]
    with pytest.raises(NoteRefused):
        parse_note(b"".join(ended))


@given(st.sampled_from(["\u2028", "\u2029", "\x85"]), st.integers(1, 9))
def test_only_lf_ends_a_line(odd: str, at: int) -> None:
    text = "0123456789\n"[:at] + odd + "0123456789\n"[at:]
    assert len(text.splitlines()) == 2  # what a careless reader would see
    assert parse_note(sign_note(text.encode(), LOG).to_bytes()).text.decode() == text
    root = to_base64(bytes(32))
    assert parse_checkpoint(f"o\n5\n{root}\n{text}".encode()).extensions == (text[:-1],)
    with pytest.raises(CheckpointRefused):
        parse_checkpoint(f"o{odd}5\n{root}\n".encode())


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60), st.booleans())
def test_a_junk_line_among_the_signatures_spoils_the_note(junk: str, last: bool) -> None:
    line = junk.encode() + b"\n"
    assume(not junk.startswith("\u2014 "))
    with pytest.raises((NoteRefused, SignatureRefused)):
        check_note(parse_note(GOOD + line if last else GOOD.replace(LINE, line + LINE)),
                   [LOG.verifier])  # fmt: skip


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


def test_a_line_that_shares_only_name_or_only_id_with_a_known_key_is_ignored() -> None:
    known = parse_line(LINE.decode().removesuffix("\n"))
    for name, id in ((known.name, b"\x00\x01\x02\x03"), ("somebody.else", known.key_id)):
        half = SignatureLine(name, id, known.signature).to_line()
        assert check_note(parse_note(GOOD + half), [LOG.verifier]) == [LOG.verifier]
        with pytest.raises(SignatureRefused):
            check_note(parse_note(GOOD.replace(LINE, half)), [LOG.verifier])


def test_sixteen_signatures_as_long_as_the_longest_known_ones_are_read() -> None:
    long = [SignatureLine(f"w{n}", bytes([n] * 4), bytes(2428)).to_line() for n in range(15)]
    assert len(long[0]) > 3200
    note = parse_note(GOOD + b"".join(long))
    assert len(note.signatures) == 16
    assert check_note(note, [LOG.verifier]) == [LOG.verifier]


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


@given(
    st.lists(
        st.sampled_from(["o", "5", "0", to_base64(bytes(32)), "", "x y", "\u2028"])
        | st.text(max_size=50),
        max_size=6,
    )
)
def test_a_checkpoint_that_is_read_prints_as_itself(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    with contextlib.suppress(CheckpointRefused):
        assert parse_checkpoint(text).to_text() == text


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


@given(st.binary(max_size=90), st.integers(0, 4))
def test_bytes_that_are_taken_apart_as_a_bundle_are_that_bundle(raw: bytes, width: int) -> None:
    with contextlib.suppress(TileRefused):
        assert pack_entries(unpack_entries(raw, width)) == raw


@given(st.binary(max_size=130), st.integers(0, 4))
def test_a_tile_has_the_bytes_of_its_width_and_no_others(raw: bytes, width: int) -> None:
    if len(raw) == 32 * width:
        assert pack_hashes(unpack_hashes(raw, width)) == raw
        return
    with pytest.raises(TileRefused):
        unpack_hashes(raw, width)


@given(st.text("tile/0123x.p-entris", max_size=30) | st.text(max_size=12), st.integers(0, 30))
def test_a_path_that_is_read_is_the_tiles_own(more: str, at: int) -> None:
    for path in (more, "tile/" + more, "tile/0/" + more, "tile/0/x001/234.p/17"[:at] + more):
        with contextlib.suppress(TileRefused):
            assert parse_path(path).path == path


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
