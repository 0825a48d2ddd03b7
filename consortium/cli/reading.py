"""A member list as read on the partner's computer: columns, then rows, then who is mailable."""

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from consortium.cli.errors import ListRefused
from consortium.cli.home import Home, Json
from consortium.cli.spool import Members
from consortium.cli.vault import part_of
from mailer.errors import PayloadRefused
from mailer.seal import Payload, seal
from matching import normalise
from matching.columns import Chosen, Listing, Reading, open_list, stops_of
from matching.errors import RowRefused
from matching.fullness import FEW, FIELDS, Fullness
from policies.agreement import Agreement

SHOWN = 20
"""Refused rows printed; ``--all-rows`` prints a thousand, the file beside holds them all."""
KEPT = 1000
"""Repeated rows that are remembered."""
REFUSED = "refused.csv"
"""Every row of the last list that was not used: row, field and reason, no value."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A list that was read whole: who can leave, who cannot, and why."""

    listing: Listing
    reading: Reading
    members: Members = field(repr=False)
    twice: tuple[tuple[int, int], ...]
    """(row left out, row kept) of addresses that stand in the list more than once; the first thousand."""  # noqa: E501
    repeated: int
    """How many such rows there are."""
    fullness: Fullness
    """Which fields the members have."""
    stopped: int = 0
    """How many addresses the lists of who said no hold; 0 where none was given."""
    unstopped: tuple[RowRefused, ...] = ()
    """Their rows that say no without an address."""

    def quality(self) -> Json:
        """The list's own quality, as figures: of this file alone, told on this computer alone."""
        whole, found = self.reading.usable + self.reading.refused_total, self.fullness
        return {
            "rows": whole,
            "refused": self.reading.refused_total,
            "repeated": self.repeated,
            "members": found.rows,
            "with": found.fields(),
            "recipes": found.recipes(),
            "few": found.few(),
        }


def read_list(
    path: Path,
    fields: Sequence[str],
    *,
    attested: bool,
    private: Path,
    chosen: Chosen | None = None,
    stops: Sequence[Path] = (),
) -> Ready:
    """Read a CSV: column errors before row errors, and only mailable rows made ready.

    Args:
        fields: what the agreement lets be sealed; the address always.
        attested: the partner vouches for a consent basis.
        private: a folder of this home; usable rows wait in it encrypted, and ``refused.csv`` is
            written there.
        chosen: which column is which, where a person said so.
        stops: lists of people who said no; whoever stands in one is not made ready.

    Raises:
        matching.errors.ListRefused: the file as a whole cannot be read; says what to do.
    """
    unstopped: list[RowRefused] = []
    listing, no = open_list(path, chosen), stops_of(stops, unstopped.append)
    with part_of(private / REFUSED) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "field", "reason"))
        ready = _read(listing, fields, attested, no, Members(private), writer.writerow)
    return replace(ready, stopped=len(no), unstopped=tuple(unstopped))


def _read(
    listing: Listing,
    fields: Sequence[str],
    attested: bool,
    stops: Mapping[bytes, str],
    members: Members,
    note: Callable[[tuple[int, str, str]], object],
) -> Ready:
    reading = Reading(told=lambda refused: note((refused.row, refused.field, refused.reason)))
    # Digests, so that a million addresses need a hundred megabytes and not several.
    first: dict[bytes, int] = {}
    twice: list[tuple[int, int]] = []
    repeated, fullness = 0, Fullness()
    for row in listing.rows(reading, attested=attested, stops=stops):
        if not row.mailable:
            continue
        address = hashlib.blake2b(normalise.email(row.email).encode(), digest_size=16).digest()
        if address in first:
            note((row.row, "email", f"repeats row {first[address]}"))
            repeated += 1
            if len(twice) < KEPT:
                twice.append((row.row, first[address]))
            continue
        payload = Payload(
            row.email,
            row.first_name if "first_name" in fields else "",
            row.language if "language" in fields else "",
        )
        try:
            _seals(payload)
        except PayloadRefused as refused:
            reading.refuse(RowRefused(row.row, refused.field, f"{refused.why}: correct it"))
            continue
        first[address] = row.row
        members.add(row.row, row.record, payload)
        fullness.add(row.record)
    return Ready(listing, reading, members, tuple(twice), repeated, fullness)


def _seals(payload: Payload) -> None:
    """Find out now, row by row, what would stop a whole upload later."""
    seal(
        payload, dek=bytes(32), shared=b"\x01" * 32, bundle=bytes(16), tag=bytes(32), lock=bytes(32)
    )


def require_enough(ready: Ready, agreement: Agreement) -> None:
    """Check the size of what would leave against the agreement; raises ListRefused."""
    count = len(ready.members)
    if count < agreement.minimum_upload:
        more = ""
        if not ready.listing.has_status:
            more = (
                " This file has no status column, so nobody in it is known to have agreed: export it "  # noqa: E501
                "with one, or vouch for a basis of consent with --attest-consent."
            )
        elif ready.reading.usable and ready.reading.statuses.total() == _no(ready):
            more = (
                " Everybody in it said no. Give such a file with --stops, beside the list of those "
                "who may be written to."
            )
        raise ListRefused(
            f"{count:,} rows may be written to, and the agreement asks for at least "
            f"{agreement.minimum_upload:,}: a shorter list would stand out. Nothing left this "
            f"computer.{more}"
        )
    if count > agreement.size_class_max:
        raise ListRefused("the list is larger than the agreement allows; split it")


def _no(ready: Ready) -> int:
    """How many rows say themselves that they may not be written to."""
    said = ready.reading.statuses
    return said.total() - said["subscribed"] - said["unknown"]


def report(ready: Ready, *, every: bool = False, confirmed: bool | None = None) -> list[str]:
    """Say what was found: columns, then rows, each with its place and what to do, no value quoted.

    Args:
        confirmed: whether these columns were confirmed before; None says nothing of it.
    """
    listing, reading = ready.listing, ready.reading
    lines = [
        f"Read as {listing.system}, {listing.encoding}, columns parted by {_name(listing.delimiter)}"  # noqa: E501
    ]
    lines += [f"  Note: {note}" for note in listing.notes]
    width = max(map(len, listing.mapping), default=0)
    lines += [
        f"  {field.ljust(width)}  from column {header!r}"
        for field, header in listing.mapping.items()
    ]
    if listing.unknown_columns:
        shown = ", ".join(repr(header) for header in listing.unknown_columns[:12])
        more = " ..." if len(listing.unknown_columns) > 12 else ""
        lines.append(f"  not read, never leaves: {shown}{more}")
    if confirmed is not None:
        lines.append(
            "  These columns are as you confirmed them for this header before."
            if confirmed
            else "  Is that right? To change it: --column FIELD=HEADER. What you confirm is kept for this header."  # noqa: E501
        )
    lines.append(
        f"{reading.usable:,} rows can be used; {len(ready.members):,} of them may be written to."
    )
    lines += full(ready.fullness)
    if reading.statuses:
        counts = ", ".join(f"{word} {count:,}" for word, count in sorted(reading.statuses.items()))
        lines.append(
            f"  By status: {counts}. Only 'subscribed' is written to, unless you vouch for 'unknown'."  # noqa: E501
        )
    if ready.stopped or ready.unstopped:
        lines.append(
            f"  {ready.stopped:,} addresses are not written to, by your lists of who said no."
        )
        lines += _unstopped(ready.unstopped, every=every)
    if ready.twice:
        lines.append(
            f"{ready.repeated:,} rows repeat an address that stands above; the first one is kept:"
        )
        lines += [
            f"  row {out} repeats row {kept}" for out, kept in ready.twice[: None if every else 5]
        ]
        if ready.repeated > (len(ready.twice) if every else 5):
            lines.append("  ...")
    if reading.refused_total:
        lines.append(f"{reading.refused_total:,} rows cannot be used and stay here:")
        shown_rows = reading.refused if every else reading.refused[:SHOWN]
        lines += [f"  row {r.row}, {r.field}: {r.reason}" for r in shown_rows]
        if reading.refused_total > len(shown_rows):
            lines.append(f"  ... and {reading.refused_total - len(shown_rows):,} more (--all-rows)")
    if reading.refused_total or ready.repeated:
        lines.append(
            f"Every row that stays, with its reason and no value: state/{REFUSED} in your folder"
        )
    return lines


def _unstopped(rows: Sequence[RowRefused], *, every: bool) -> list[str]:
    """Rows of a list of who said no that stop nobody: somebody may have meant one of them."""
    shown = rows if every else rows[:SHOWN]
    lines = [f"  {one.file}, row {one.row}, {one.field}: {one.reason}" for one in shown]
    if len(rows) > len(shown):
        lines.append(f"  ... and {len(rows) - len(shown):,} more (--all-rows)")
    return lines


def full(found: Fullness) -> list[str]:
    """Which fields members have, and how many of them are seldom found for want of others."""
    if not found.rows:
        return []
    has = found.fields()
    shares = ", ".join(f"{name} {_share(has[name], found.rows)}" for name in FIELDS)
    lines = [f"  Of them have: {shares}."]
    if few := found.few():
        best = max(found.helps().items(), key=lambda one: one[1], default=None)
        more = f"; a {best[0]} would mend {best[1]:,} of them" if best else ""
        lines.append(
            f"  {few:,} ({_share(few, found.rows)}) can be met by fewer than {FEW} kinds of code"
            f" and are seldom found{more}."
        )
    return lines


def _share(part: int, whole: int) -> str:
    share = 100 * part / whole
    return "<1%" if 0 < share < 1 else ">99%" if 99 < share < 100 else f"{share:.0f}%"


def what_leaves(home: Home, agreement: Agreement) -> list[str]:
    """Say what leaves this computer, who together could read it, and what stays."""
    ids = [custodian["id"] for custodian in home.invite["custodians"]]
    many = f"{agreement.threshold} of these {len(ids)}: {', '.join(ids)}"
    sealed = " and ".join(
        words
        for field, words in (("first_name", "first name"), ("email", "address"))
        if field in agreement.fields
    )
    language = ", with the language," if "language" in agreement.fields else ""
    return [
        "What leaves this computer:",
        f"  scrambled codes, and {sealed}{language} sealed so that opening one takes the mail machine and {many}.",  # noqa: E501
        "  Each custodian sees blinded codes only, but learns roughly how long your list is.",
        "Who could read it, together:",
        f"  the mail machine with {agreement.threshold} of the custodians above: the sealed addresses;",  # noqa: E501
        f"  the operator with {agreement.threshold} of the custodians above: who is behind a code, by trying names.",  # noqa: E501
        "  While a letter goes out, the mail machine reads the addresses it is sending to, and so does the mail provider.",  # noqa: E501
        "What stays: every other column, rows that may not be written to, and the row numbers.",
    ]


def _name(delimiter: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(delimiter, "a mark")
