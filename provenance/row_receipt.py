"""A row receipt: one row of one list, and the entries about it, under one cosigned checkpoint.

Small enough for a letter: entries are written as their facts and salts, without the padding, and
rebuilt to the byte; hashes that their proofs share are written once. One canonical JSON per
receipt, compressed.
"""

import base64
import binascii
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provenance.canonical import JSON, Opening, canonical, commitment, from_canonical
from provenance.checkpoint import read_checkpoint
from provenance.entry import ENTRY_BYTES, parse
from provenance.errors import CanonicalRefused, CommitmentRefused, ReceiptRefused
from provenance.evidence import Evidence
from provenance.merkle import HASH_BYTES, inclusion_path, leaf_hash, nodes_of
from provenance.receipt import MAX_PATH, parse_receipt
from provenance.rows import RowOpening, RowProof
from provenance.shared import Path, share
from provenance.withdrawn import Absence

FORMAT = "row-receipt/v1"
MOST_BYTES = 1 << 16
_COMPRESSED = b"\x78\xda"
"""How a text compressed as far as it goes begins (RFC 1950, 2.2)."""
_KEYS = {"actors", "checkpoint", "entries", "policy", "proof", "said", "trellis"}
_MORE = {"absent", "audience", "browsers", "lock", "row"}
_ENTRY = {"actor", "at", "closed", "index", "open", "signature", "type"}


@dataclass(frozen=True, slots=True)
class Step:
    """One entry in its place, and what of it is opened."""

    index: int
    entry: bytes = field(repr=False)
    openings: dict[str, Opening] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """That a lock is under an audience's root: hashes from its sibling upwards.

    ``sides`` says of each whether it stands on the right (``0``) or the left (``1``). How many
    locks there are in all is not told.
    """

    path: tuple[bytes, ...] = field(repr=False)
    sides: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Browser:
    """A partner's key in a browser, and the 64-byte signature by which its own key vouches."""

    partner: str
    public: bytes
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RowReceipt:
    """What a row receipt holds; nothing of it is checked yet.

    Attributes:
        steps: oldest first.
        hashes: prove all of them under the checkpoint's root.
        checkpoint: a note with its signatures, verbatim.
        policy: of the log, as the maker of the receipt says it.
        actors: id to 32-byte public key, as the maker of the receipt says.
        lock: of the row, 32 bytes.
        row: opens the row and proves it in its list; None when nobody with its salt made this.
        member: the row's lock in the campaign's audience.
        browsers: keys in browsers under which some entry is signed.
        absent: that neither the row nor its list has left, in this order, in the state of
            withdrawals that one of the entries names.
    """

    steps: tuple[Step, ...]
    hashes: tuple[bytes, ...] = field(repr=False)
    checkpoint: bytes = field(repr=False)
    policy: str
    actors: dict[str, bytes]
    lock: bytes | None = field(default=None, repr=False)
    row: tuple[RowOpening, RowProof] | None = field(default=None, repr=False)
    member: Member | None = field(default=None, repr=False)
    browsers: tuple[Browser, ...] = ()
    absent: tuple[Absence, Absence] | None = None

    def to_bytes(self) -> bytes:
        """The receipt as a file: its JSON, compressed (RFC 1950)."""
        return zlib.compress(self.to_json(), 9)

    def to_json(self) -> bytes:
        """The receipt's one JSON (RFC 8785), without a line feed."""
        return canonical(self._value())

    def _value(self) -> dict[str, JSON]:
        names = {one.public: _text(one.public) for one in self.browsers}
        names |= {public: name for name, public in self.actors.items()}
        said = _said(self.steps)
        value: dict[str, JSON] = {
            "actors": {name: _text(public) for name, public in self.actors.items()},
            "checkpoint": self.checkpoint.decode("utf-8"),
            "entries": [_entry_value(one, said, names) for one in self.steps],
            "policy": self.policy,
            "proof": _text(b"".join(self.hashes)),
            "said": said,
            "trellis": FORMAT,
        }
        if self.lock is not None:
            value["lock"] = _text(self.lock)
        if self.browsers:
            value["browsers"] = [
                [one.partner, _text(one.public), _text(one.signature)] for one in self.browsers
            ]
        if self.row is not None:
            opening, proof = self.row
            parts = {name: _text(getattr(opening, name)) for name in ("label", "rest", "salt")}
            value["row"] = {**parts, "path": _text(b"".join(proof.path)), "place": proof.place}
        if self.member is not None:
            path = _text(b"".join(self.member.path))
            value["audience"] = {"path": path, "sides": self.member.sides}
        if self.absent is not None:
            value["absent"] = [_absence_value(one) for one in self.absent]
        return value

    @classmethod
    def from_bytes(cls, raw: bytes) -> "RowReceipt":
        """Read a receipt strictly, from its file or from its JSON.

        Raises:
            ReceiptRefused: another shape, or the same one in another spelling.
        """
        try:
            text = raw if raw.startswith(b"{") else _unpacked(raw)
            read = _read(from_canonical(text))
            same = read.to_json() == text
        except (CanonicalRefused, CommitmentRefused) as refused:
            raise ReceiptRefused(f"a row receipt cannot be read: {refused}") from refused
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as refused:
            raise ReceiptRefused("a row receipt has not the shape of one") from refused
        if not same:
            raise ReceiptRefused("a row receipt, but not in its one form")
        return read


def is_row_receipt(raw: bytes) -> bool:
    """Whether a file says that it is a row receipt."""
    return raw.startswith(_COMPRESSED) or raw.endswith(b'"trellis":"' + FORMAT.encode() + b'"}')


def _unpacked(raw: bytes) -> bytes:
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(raw, MOST_BYTES)
    except zlib.error as refused:
        raise ReceiptRefused("a row receipt cannot be unpacked") from refused
    if not unpacking.eof or unpacking.unused_data:
        raise ReceiptRefused("a row receipt is one compressed text of at most 65,536 bytes")
    return text


def join(
    evidences: Sequence[Evidence],
    *,
    policy: str,
    actors: Mapping[str, bytes],
    lock: bytes | None = None,
    row: tuple[RowOpening, RowProof] | None = None,
    member: Member | None = None,
    browsers: Sequence[Browser] = (),
    absent: tuple[Absence, Absence] | None = None,
) -> RowReceipt:
    """Make a row receipt of evidence under one checkpoint; who signed none of it is left out.

    Raises:
        ReceiptRefused: the evidence is under several checkpoints, or there is none; or somebody
            signed who is not named.
        InclusionRefused: a proof has not the length of its place.
    """
    proofs = [parse_receipt(one.proof) for one in evidences]
    notes = {one.checkpoint for one in proofs}
    if len(notes) != 1:
        raise ReceiptRefused("a row receipt is under exactly one checkpoint")
    note = notes.pop()
    size = read_checkpoint(note)[0].size
    hashes = share([Path(one.index, one.path) for one in proofs], size)
    steps = {
        proof.index: Step(proof.index, one.entry, one.openings)
        for one, proof in zip(evidences, proofs, strict=True)
    }
    signed = {one.openings["actor"].value for one in evidences}
    theirs = tuple(one for one in browsers if one.public.hex() in signed)
    vouching = {one.partner for one in theirs}
    known = {
        name: public
        for name, public in actors.items()
        if public.hex() in signed or name in vouching
    }
    if signed - {one.hex() for one in (*known.values(), *(each.public for each in theirs))}:
        raise ReceiptRefused("an entry is signed by somebody who is not named")
    ordered = tuple(steps[index] for index in sorted(steps))
    more = lock, row, member, theirs, absent
    return RowReceipt(ordered, tuple(hashes), note, policy, known, *more)


def find_member(leaves: Sequence[bytes], leaf: bytes) -> Member | None:
    """Prove that a leaf is in an audience, whose tree has these entries; None when it is not."""
    if leaf not in leaves:
        return None
    index, start, end, sides = leaves.index(leaf), 0, len(leaves), ""
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        sides += "0" if index < split else "1"
        start, end = (start, split) if index < split else (split, end)
    nodes = nodes_of([leaf_hash(one) for one in leaves])
    return Member(tuple(inclusion_path(index, len(leaves), nodes)), sides[::-1])


# -- writing ---------------------------------------------------------------------------------------


def _said(steps: Sequence[Step]) -> dict[str, JSON]:
    """For each field the value that most entries say, where that is more than one of them."""
    counted: dict[str, Counter[bytes]] = {}
    for step in steps:
        for name, opening in step.openings.items():
            if name != "actor":
                counted.setdefault(name, Counter())[canonical(opening.value)] += 1
    found: dict[str, JSON] = {}
    for name, values in counted.items():
        value, times = min(values.items(), key=lambda pair: (-pair[1], pair[0]))
        if times > 1:
            found[name] = from_canonical(value)
    return found


def _entry_value(
    step: Step, said: Mapping[str, JSON], names: Mapping[bytes, str]
) -> dict[str, JSON]:
    read = parse(step.entry)
    opened = {}
    for name, one in step.openings.items():
        if name == "actor":
            continue
        same = name in said and canonical(said[name]) == canonical(one.value)
        opened[name] = _text(one.salt) if same else [_text(one.salt), one.value]
    actor = step.openings["actor"]
    closed = {
        name: _text(hidden)
        for name, hidden in read.commitments.items()
        if name not in step.openings
    }
    return {
        "actor": [_text(actor.salt), names[bytes.fromhex(actor.value)]],
        "at": read.at.strftime("%Y-%m-%dT%HZ"),
        "closed": closed,
        "index": step.index,
        "open": opened,
        "signature": _text(read.signature),
        "type": read.kind,
    }


def _absence_value(one: Absence) -> list[JSON]:
    hashes = _text(b"".join(one.hashes))
    return [one.place, _text(one.lower), _text(one.upper), hashes]


# -- reading ---------------------------------------------------------------------------------------


def _read(value: Any) -> RowReceipt:
    if value["trellis"] != FORMAT or not _KEYS <= set(value) <= _KEYS | _MORE:
        raise ReceiptRefused("this is not a row receipt")
    actors = {name: _octets(public, HASH_BYTES) for name, public in value["actors"].items()}
    if len(set(actors.values())) != len(actors):
        raise ReceiptRefused("one public key is said to be two actors'")
    browsers = tuple(
        Browser(partner, _octets(public, HASH_BYTES), _octets(signature, 64))
        for partner, public, signature in value.get("browsers", ())
    )
    by = {_text(one.public): one.public for one in browsers} | actors
    steps = tuple(_step(one, value["said"], by) for one in value["entries"])
    places = [one.index for one in steps]
    if places != sorted(set(places)):
        raise ReceiptRefused("the entries are not in the order of the log, each once")
    if not isinstance(value["policy"], str):
        raise ReceiptRefused("the policy of a row receipt is text")
    lock = _octets(value["lock"], HASH_BYTES) if "lock" in value else None
    return RowReceipt(
        steps,
        _hashes(value["proof"]),
        value["checkpoint"].encode("utf-8"),
        value["policy"],
        actors,
        lock,
        _row(value["row"], lock) if "row" in value else None,
        _member(value["audience"]) if "audience" in value else None,
        browsers,
        _absent(value["absent"]) if "absent" in value else None,
    )


def _step(value: Any, said: Mapping[str, JSON], actors: Mapping[str, bytes]) -> Step:
    if set(value) != _ENTRY or type(value["index"]) is not int or value["index"] < 0:
        raise ReceiptRefused("an entry of a row receipt has not the fields of one")
    salt, actor = value["actor"]
    openings = {"actor": Opening(_octets(salt, 32), actors[actor].hex())}
    for name, one in value["open"].items():
        alone = isinstance(one, str)
        openings[name] = Opening(
            _octets(one if alone else one[0], 32), said[name] if alone else one[1]
        )
    hidden = {name: _octets(one, 32).hex() for name, one in value["closed"].items()}
    hidden |= {name: commitment(one.salt, one.value).hex() for name, one in openings.items()}
    body: dict[str, JSON] = {
        "actor": hidden.pop("actor"),
        "at": value["at"],
        "commitments": hidden,
        "signature": _octets(value["signature"], 64).hex(),
        "type": value["type"],
    }
    bare = canonical({**body, "pad": ""})
    pad = b'"pad":"' + b"0" * (ENTRY_BYTES - len(bare))
    return Step(value["index"], bare.replace(b'"pad":"', pad, 1), openings)


def _row(value: Any, lock: bytes | None) -> tuple[RowOpening, RowProof]:
    if lock is None or type(value["place"]) is not int:
        raise ReceiptRefused("an opened row has a lock and a place")
    salt, label, rest = (_octets(value[name], 32) for name in ("salt", "label", "rest"))
    return RowOpening(salt, label, lock, rest), RowProof(value["place"], _hashes(value["path"]))


def _member(value: Any) -> Member:
    path, sides = _hashes(value["path"]), value["sides"]
    if len(sides) != len(path) or len(path) > MAX_PATH or sides.strip("01"):
        raise ReceiptRefused("the path under an audience's root has a side for each hash")
    return Member(path, sides)


def _absent(value: Any) -> tuple[Absence, Absence]:
    row, whole = (_absence(one) for one in value)
    return row, whole


def _absence(value: Any) -> Absence:
    place, lower, upper, hashes = value
    if type(place) is not int:
        raise ReceiptRefused("the place of a label is a number")
    return Absence(place, _octets(lower, HASH_BYTES), _octets(upper, HASH_BYTES), _hashes(hashes))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii").rstrip("=")


def _octets(text: Any, length: int | None = None) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as refused:
        raise ReceiptRefused("a value of a row receipt is not base64") from refused
    if length is not None and len(raw) != length:
        raise ReceiptRefused("a value of a row receipt has another length")
    return raw


def _hashes(text: Any) -> tuple[bytes, ...]:
    raw = _octets(text)
    if len(raw) % HASH_BYTES:
        raise ReceiptRefused("a path of a row receipt is not made of hashes")
    return tuple(raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES))
