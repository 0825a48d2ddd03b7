"""The worked examples of the transparency-log formats, to the byte."""

import hashlib

import pytest

from provenance.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from provenance.merkle import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    nodes_of,
    tree_root,
)
from provenance.note import (
    COSIGNATURE,
    MLDSA_COSIGNATURE,
    Signer,
    Verifier,
    check_note,
    parse_line,
    parse_note,
    to_base64,
)
from provenance.quorum import Policy
from provenance.receipt import check_receipt, make_receipt, parse_receipt
from provenance.tiles import (
    Tile,
    pack_entries,
    pack_hashes,
    partial_width,
    tiles_of,
    unpack_entries,
)
from provenance.witness import (
    AddCheckpoint,
    check_cosignature,
    cosign,
    cosigned_message,
    origin_path,
    parse_add_checkpoint,
    subtree_message,
)

TREE = [b"", b"a", b"hello", b"\x00\xff", b"five"]
LEAVES = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c",
    "8a2a5c9b768827de5a9552c38a044c66959c68f6d2f21b5260af54d2f87db827",
    "ae974d4a74c2371d8cfe842b7aa4f6698de8570526eeb3db1941b0b72311d470",
    "ccc29ae0e02a77b0f4578c1ac17493d79cf4262104929ac804f91fc4e7ac5af0",
]
N01 = "688dc6244b041199e7ab4990df6340ce3dc14caa5cd5a0e1131addaa1209e1a6"
N23 = "86a737359328f2c5e358e8b53d7103b67d5568d2bac99be4a5fe1bb26e071cc8"
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: LEAVES[0],
    2: N01,
    3: "7ce1b0ef0892b452c9c43cdbcb98cc68c560c56423994961fb1c59260f073f69",
    4: "44d001789044841373de355c51445c2d99f0b3ae6b3807351e50ef410bed902a",
    5: "f0cc5b4b4d40f342b2f98d705732bf7d453b99b67c1d1f542b1c9b29e1e304fd",
}
LOG = Signer.from_seed("log.example/prov", bytes(range(0x20)))
WITNESS = Signer.from_seed("witness.example/w1", bytes(range(0x20, 0x40)), COSIGNATURE)
LOG_VKEY = "log.example/prov+4bac4a4d+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_VKEY = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
LOG_LINE = (
    "\u2014 log.example/prov S6xKTVLZtF3QUo6o0USP7Fb6wdItGluidgDsxV0Z4lcqRfzd1NVvQSG2u2rf+6OBd1UP"
    "fIhhIcIriyf2n9h1j9+IIQM=\n"
)
WITNESS_LINE = (
    "\u2014 witness.example/w1 IDJKvgAAAABqsTuA1I9dHs0Lfq29MW6JLC4tayaoxVYJ6mjQ6sQHsoIasVyCpOEdTiTh"
    "cHW40GcryNuVazry/1PEJR3PrTz913TNBQ==\n"
)
TEXT = "log.example/prov\n5\n8MxbS01A80Ky+Y1wVzK/fUU7mbZ8HR9UKxybKeHjBP0=\n"
CHECKPOINT = f"{TEXT}\n{LOG_LINE}"
PROOF = f"""c2sp.org/tlog-proof@v1
index 2
rpdNSnTCNx2M/oQreqT2aY3oVwUm7rPbGUGwtyMR1HA=
aI3GJEsEEZnnq0mQ32NAzj3BTKpc1aDhExrdqhIJ4aY=
zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=

{CHECKPOINT}{WITNESS_LINE}"""
REQUEST = f"""old 3
iipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc=
rpdNSnTCNx2M/oQreqT2aY3oVwUm7rPbGUGwtyMR1HA=
aI3GJEsEEZnnq0mQ32NAzj3BTKpc1aDhExrdqhIJ4aY=
zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=

{CHECKPOINT}"""
LOG_SIGNATURE = (
    "52d9b45dd0528ea8d1448fec56fac1d22d1a5ba27600ecc55d19e2572a45fcdd"
    "d4d56f4121b6bb6adffba38177550f7c886121c22b8b27f69fd8758fdf882103"
)
COSIGNATURE_PAYLOAD = (
    "20324abe000000006ab13b80d48f5d1ecd0b7eadbd316e892c2e2d6b26a8c55609ea68d0eac407b2821ab15c"
    "82a4e11d4e24e17075b8d0672bc8db956b3af2ff53c4251dcfad3cfdd774cd05"
)
SUBTREE_MESSAGE = (
    "737562747265652f76310a00127769746e6573732e6578616d706c652f7731000000006ab13b80106c6f672e"
    "6578616d706c652f70726f7600000000000000000000000000000005f0cc5b4b4d40f342b2f98d705732bf7d"
    "453b99b67c1d1f542b1c9b29e1e304fd"
)
NODES = nodes_of([leaf_hash(one) for one in TREE])


def raw(*hashes: str) -> list[bytes]:
    return [bytes.fromhex(one) for one in hashes]


def test_leaves_nodes_and_roots() -> None:
    assert [leaf_hash(one).hex() for one in TREE] == LEAVES
    assert node_hash(*raw(*LEAVES[2:4])).hex() == N23
    assert {size: tree_root(TREE[:size]).hex() for size in range(6)} == ROOTS
    assert to_base64(EMPTY_ROOT) == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [(2, 5, [LEAVES[3], N01, LEAVES[4]]), (4, 5, [ROOTS[4]]), (0, 1, [])],
)
def test_inclusion_paths(index: int, size: int, path: list[str]) -> None:
    assert inclusion_path(index, size, NODES) == raw(*path)
    check_inclusion(TREE[index], index, size, raw(*path), bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(
    ("old", "path"),
    [(3, [LEAVES[2], LEAVES[3], N01, LEAVES[4]]), (4, [LEAVES[4]]), (2, [N23, LEAVES[4]]), (5, [])],
)
def test_consistency_paths(old: int, path: list[str]) -> None:
    assert consistency_path(old, 5, NODES) == raw(*path)
    check_consistency(old, 5, raw(*path), *raw(ROOTS[old], ROOTS[5]))


def test_the_known_answer_of_signed_note() -> None:
    vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    note = (
        "This is an example message.\n\n\u2014 example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )
    key = Verifier.from_vkey(vkey)
    assert check_note(parse_note(note.encode()), [key]) == [key]
    assert (key.vkey, key.key_id.hex()) == (vkey, "530d903a")


def test_keys_and_their_ids() -> None:
    assert LOG.verifier.vkey == LOG_VKEY
    assert WITNESS.verifier.vkey == WITNESS_VKEY
    assert Verifier.from_vkey(LOG_VKEY) == LOG.verifier
    assert Verifier.from_vkey(WITNESS_VKEY) == WITNESS.verifier


def test_the_checkpoint_and_its_cosignature() -> None:
    checkpoint = Checkpoint("log.example/prov", 5, bytes.fromhex(ROOTS[5]))
    assert sign_checkpoint(checkpoint, LOG) == CHECKPOINT.encode()
    assert open_checkpoint(CHECKPOINT.encode(), [LOG.verifier])[0] == checkpoint
    message = b"cosignature/v1\ntime 1790000000\n" + TEXT.encode()
    assert cosigned_message(TEXT.encode(), 1790000000) == message
    assert cosign(TEXT.encode(), WITNESS, 1790000000).to_line().decode() == WITNESS_LINE


def test_the_bytes_inside_the_signature_lines() -> None:
    log, witness = (parse_line(line.removesuffix("\n")) for line in (LOG_LINE, WITNESS_LINE))
    assert (log.key_id.hex(), log.signature.hex()) == ("4bac4a4d", LOG_SIGNATURE)
    payload = witness.key_id + witness.signature
    assert (payload.hex(), len(payload)) == (COSIGNATURE_PAYLOAD, 76)
    preimage = bytes.fromhex("6c6f672e6578616d706c652f70726f760a01") + LOG.verifier.public
    assert hashlib.sha256(preimage).digest()[:4] == LOG.verifier.key_id
    assert LOG.verifier.public.hex() == (
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    )
    assert WITNESS.verifier.public.hex() == (
        "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7"
    )


def test_the_key_and_the_message_of_a_cosignature_of_type_06() -> None:
    witness = Signer.from_seed("witness.example/w1", bytes(range(0x20)), MLDSA_COSIGNATURE)
    assert len(witness.verifier.public) == 1312
    assert hashlib.sha256(witness.verifier.public).hexdigest() == (
        "9f107644c1084526af3bc8098680b05499a2325a644e388fb4f970e058d19d46"
    )
    assert witness.verifier.key_id.hex() == "dcccf9ec"
    assert Verifier.from_vkey(witness.verifier.vkey) == witness.verifier
    checkpoint, _ = open_checkpoint(CHECKPOINT.encode(), [LOG.verifier])
    message = subtree_message("witness.example/w1", checkpoint, 1790000000)
    assert (message.hex(), len(message)) == (SUBTREE_MESSAGE, 104)
    line = cosign(TEXT.encode(), witness, 1790000000)
    assert len(line.key_id + line.signature) == 2432
    assert check_cosignature(TEXT.encode(), line, witness.verifier).at == 1790000000


def test_the_proof() -> None:
    policy = Policy.of(LOG.verifier, [WITNESS.verifier], 1)
    index, cosigned = check_receipt(b"hello", PROOF, policy)
    assert (index, cosigned.checkpoint.size, cosigned.at.timestamp()) == (2, 5, 1790000000)
    assert parse_receipt(PROOF).to_text() == PROOF
    note = f"{CHECKPOINT}{WITNESS_LINE}".encode()
    assert make_receipt(2, inclusion_path(2, 5, NODES), note) == PROOF


def test_the_request_to_a_witness() -> None:
    path = tuple(consistency_path(3, 5, NODES))
    assert AddCheckpoint(3, path, CHECKPOINT.encode()).to_bytes().decode() == REQUEST
    assert parse_add_checkpoint(REQUEST.encode()).proof == path
    hashed = "d008cb64efcdb4ce94bdc91772b027c6d6a69b8d6aec9c9b5935a5ed3cc03372"
    assert origin_path("log.example/prov") == hashed


def test_the_bundle_and_the_tile() -> None:
    assert pack_entries(TREE).hex() == "0000000161000568656c6c6f000200ff000466697665"
    tile = pack_hashes(raw(*LEAVES))
    assert hashlib.sha256(tile).hexdigest() == (
        "421bb78d982f44ee311504bae9e8e82e2916dbbc3c465c295ed1c1c416a2259b"
    )
    assert [one.path for one in tiles_of(5)] == ["tile/entries/000.p/5", "tile/0/000.p/5"]
    assert unpack_entries(pack_entries(TREE), 5) == TREE  # the first has no bytes, and is one


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1000, "x001/000"),
        (1000000, "x001/x000/000"),
        (1234067, "x001/x234/067"),
    ],
)
def test_numbers_in_paths(number: int, path: str) -> None:
    assert Tile(3, number, 256).path == f"tile/3/{path}"


def test_partial_tiles_of_a_number_above_a_thousand() -> None:
    assert Tile(0, 1234, 17).path == "tile/0/x001/234.p/17"


@pytest.mark.parametrize(
    ("size", "widths", "full"),
    [
        (1, (1, 0, 0), (0, 0, 0)),
        (255, (255, 0, 0), (0, 0, 0)),
        (256, (0, 1, 0), (1, 0, 0)),
        (257, (1, 1, 0), (1, 0, 0)),
        (65536, (0, 0, 1), (256, 1, 0)),
        (70000, (112, 17, 1), (273, 1, 0)),
    ],
)
def test_widths(size: int, widths: tuple[int, ...], full: tuple[int, ...]) -> None:
    tiles = list(tiles_of(size))
    assert tuple(partial_width(level, size) for level in range(3)) == widths
    for level in range(3):
        here = [one for one in tiles if one.level == level]
        assert sum(one.width == 256 for one in here) == full[level]
        assert [one.width for one in here if one.width < 256] == [
            w for w in widths[level:][:1] if w
        ]


def test_the_last_tiles_of_seventy_thousand() -> None:
    assert {
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    } <= {one.path for one in tiles_of(70000)}
