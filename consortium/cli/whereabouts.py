"""A partner's verb for where one of its rows has been: each step with its proof, and a receipt.

The server is asked for everything about a list, so it does not learn which row somebody asks about.
Nothing here tells of any other list, or whether a letter was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from consortium.cli import agreeing, attesting, parting
from consortium.cli.api import Api, read_evidence, unbase64, unhex
from consortium.cli.desk import json_option, last_line, say
from consortium.cli.errors import ApiRefused, CheckRefused, HomeRefused
from consortium.cli.home import Home
from consortium.cli.joining import home_option, line
from consortium.cli.lists import OwnList, own_list, own_lists
from consortium.cli.vault import write_whole
from matching.locks import audience_leaf
from provenance.evidence import Evidence
from provenance.merkle import tree_root
from provenance.row_receipt import Browser, Member, RowReceipt, find_member
from provenance.row_story import Proven, check_row_receipt, fitting
from provenance.rows import RowOpening, RowProof
from provenance.withdrawn import LABEL_BYTES, Absence, State, list_label, prove_absent

UPLOAD = "upload"
EVERYTHING = 1 << 16
"""Bytes of a receipt from which nothing is left out, to be shown and not to be kept."""


@dataclass(frozen=True, slots=True)
class Traced:
    """What is proven of a row, for its upload alone or for one campaign besides, and a receipt."""

    about: str
    receipt: RowReceipt
    proven: Proven


def which(home: Home, ref: str) -> tuple[OwnList, int]:
    """Read which row is meant: its number in the uploaded file, or a list's id, a colon and that.

    Raises:
        HomeRefused: no such row, or more than one live list.
    """
    id, _, number = ref.rpartition(":")
    if not (number.isascii() and number.isdecimal()):
        raise HomeRefused("a row is named as NUMBER or LIST:NUMBER; in your file the header is 1")
    if id:
        return own_list(home, id), int(number)
    live = [one for one in own_lists(home) if one.has("receipt.json") and not one.withdrawn]
    if len(live) != 1:
        raise HomeRefused(
            f"{len(live)} lists of this home are in the log; say which: LIST:{int(number)} "
            "(trellis partner lists)"
        )
    return live[0], int(number)


def trace(api: Api, own: OwnList, number: int) -> tuple[list[Traced], list[str]]:
    """Where a row has been: its upload, then each campaign in whose audience it is.

    Returns:
        Those, and the campaigns whose audience the server can show no more.

    Raises:
        HomeRefused: the list has no such row, or not any more.
        CheckRefused, ProvenanceError: what the server shows does not hold.
    """
    opening, proof = parting.row_proof(api.home, own, number)
    answer = api.get(f"/contributions/{own.id}/trail")
    if not isinstance(answer, dict) or not isinstance(answer.get("campaigns"), dict):
        raise CheckRefused("the server's trail of this list is misshapen")
    uploaded, browsers = _evidences(answer.get("own")), _browsers(answer.get("browsers"))
    row = opening, proof
    first = [*uploaded, *_state(answer.get("left"))]
    absent = _absent(api, first, opening)
    found, gone = [_checked(api, UPLOAD, first, browsers, row, None, absent)], []
    for campaign, shown in sorted(answer["campaigns"].items()):
        evidences = _evidences(shown)
        leaves, nonce = _audience(api, campaign, evidences)
        if not leaves:
            gone.append(campaign)
        member = find_member(leaves, audience_leaf(nonce, opening.lock))
        if member is not None:
            every = [*uploaded, *evidences]
            found.append(_checked(api, campaign, every, browsers, row, member))
    return found, gone


def _evidences(value: Any) -> list[Evidence]:
    if not isinstance(value, list) or not value:
        raise CheckRefused("the log does not hold this list yet, or the server does not show it")
    return [read_evidence(one) for one in value]


def _state(value: Any) -> list[Evidence]:
    return [] if value is None else [read_evidence(value)]


def _absent(
    api: Api, evidences: Sequence[Evidence], opening: RowOpening
) -> tuple[Absence, Absence] | None:
    """Prove that neither the row nor its list has left; None while nothing has, of any list.

    The server is asked for every label, so it does not learn which one somebody looks for.
    """
    said = {one.openings["kind"].value: one.openings for one in evidences}
    if "state" not in said:
        return None
    root = unhex(said["bundle"]["root"].value)
    number = said["state"]["number"].value
    blob = api.get_bytes(f"/log/withdrawals/{int(str(number))}")
    state = State.of(
        int(str(number)), [blob[at : at + LABEL_BYTES] for at in range(0, len(blob), LABEL_BYTES)]
    )
    if state.root().hex() != said["state"]["root"].value:
        raise CheckRefused("the server shows other withdrawals than the log's state is of")
    if opening.label in state or list_label(root) in state:
        raise CheckRefused("this row has left, or its list has: the log's withdrawals have it")
    return prove_absent(state, opening.label), prove_absent(state, list_label(root))


def _browsers(value: Any) -> list[Browser]:
    """Keys in browsers as the server passes them on; who vouches for them is checked later."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise CheckRefused("the server's list of keys in browsers is misshapen")
    return [
        Browser(str(one.get("partner")), unhex(one.get("public")), unhex(one.get("signature")))
        for one in value
    ]


def _checked(
    api: Api,
    about: str,
    evidences: Sequence[Evidence],
    browsers: Sequence[Browser],
    row: tuple[RowOpening, RowProof],
    member: Member | None,
    absent: tuple[Absence, Absence] | None = None,
) -> Traced:
    actors = {one["id"]: bytes.fromhex(one["public"]) for one in api.home.invite["actors"]}
    about_it: dict[str, Any] = {
        "policy": api.policy.to_text(),
        "actors": actors,
        "lock": row[0].lock,
        "row": row,
        "browsers": browsers,
        "member": member,
        "absent": absent,
    }
    proven = check_row_receipt(fitting(evidences, most=EVERYTHING, **about_it), api.policy, actors)
    short = fitting(evidences, **about_it)
    check_row_receipt(short, api.policy, actors)
    if proven.partner != api.home.id or proven.campaign != (None if about == UPLOAD else about):
        raise CheckRefused("the server shows the trail of another list, or of another campaign")
    return Traced(about, short, proven)


def _audience(api: Api, campaign: str, evidences: Sequence[Evidence]) -> tuple[list[bytes], bytes]:
    """The leaves under the promised root, and their nonce; none once it was cut, or is gone."""
    try:
        audience = api.get(f"/campaigns/{campaign}/audience")
    except ApiRefused:
        return [], b""
    if not isinstance(audience, dict):
        raise CheckRefused("the audience is not an object")
    blob, nonce = unbase64(audience.get("leaves")), unhex(audience.get("nonce"))
    size = attesting.LEAF_BYTES
    leaves = [blob[at : at + size] for at in range(0, len(blob), size)]
    promised = {one.openings["root"].value for one in evidences if "root" in one.openings}
    return (leaves, nonce) if promised == {tree_root(leaves).hex()} else ([], b"")


def noted(home: Home, own: OwnList, number: int, campaign: str) -> bool:
    """Whether this computer noted the row in a campaign's audience when it checked that."""
    path = home.path / "audiences" / f"{campaign}.csv"
    return path.exists() and f"{own.id},{number}" in path.read_text("utf-8").split()


def described(
    home: Home, own: OwnList, number: int, found: Sequence[Traced], gone: Sequence[str]
) -> list[str]:
    """Say where a row has been, in words that the entries bear out."""
    signed = agreeing.signed(home)
    mine = signed.agreement.party(home.id)
    consent = own.facts.get("consent")
    lines = [
        f"Row {number} of list {own.id}, begun {own.facts['created']}",
        f"  Agreement  SHA-256 {signed.digest}",
        f"  You state  that its people are: {mine.relation}",
        "  Consent    "
        + (f"in your words, on this computer: {consent}" if consent else "as your file said it"),
        "  In the log, each entry with its proof:",
        *(f"    {line}" for line in found[0].proven.lines),
    ]
    for one in found[1:]:
        lines += [f"  In the audience of campaign {one.about}:"]
        lines += [f"    {line}" for line in _new(one.proven, found[0].proven)]
    for campaign in gone:
        was = "was" if noted(home, own, number, campaign) else "was not"
        lines.append(
            f"  The audience of campaign {campaign} was cut since, or is gone: no proof any more. "
            f"As this computer checked it, the row {was} in it."
        )
    if len(found) == 1 and not gone:
        lines.append("  In no audience of a campaign that is promised in the log.")
    here = found[0].proven.cosigned
    return [
        *lines,
        f"All under one checkpoint of {here.checkpoint.size} entries, cosigned by "
        f"{', '.join(sorted(here.cosignatures))}.",
        "Being in an audience does not say that a letter was sent: stops, caps, votes and what is",
        "held out are left out later, and that is told to nobody; but whoever says stop upon a",
        "letter of yours was sent one: trellis partner stops.",
    ]


def _new(proven: Proven, before: Proven) -> list[str]:
    known = {*before.lines}
    return [one for one in proven.lines if one not in known]


def written(folder: Path, number: int, found: Sequence[Traced]) -> Mapping[str, str]:
    """Write each receipt to a file; by what it is about, where it is."""
    files = {}
    for one in found:
        path = folder / f"row-{number}.{one.about}.receipt"
        write_whole(path, one.receipt.to_bytes())
        files[one.about] = str(path)
    return files


@click.command("trace")
@home_option
@click.argument("ref", metavar="ROW|LIST:ROW")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write the receipts here."
)
@json_option
def trace_command(home: Path, ref: str, out: Path | None) -> None:
    """Where one of your rows has been, step by step; the header of your file is row 1."""
    who = Home(home)
    own, number = which(who, ref)
    found, gone = trace(line(home), own, number)
    say(*described(who, own, number, found, gone))
    files = {} if out is None else written(out, number, found)
    for about, path in files.items():
        say(f"Receipt of {about}: {path} (trellis audit receipt FILE)")
    last_line(
        {
            "list": own.id,
            "row": number,
            "campaigns": [one.about for one in found[1:]],
            "gone": gone,
            "receipts": files,
            "entries": {one.about: [step.index for step in one.proven.steps] for one in found},
        }
    )
