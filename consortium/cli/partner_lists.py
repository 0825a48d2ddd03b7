"""A partner's verbs for its lists: upload, see what is there, copy a receipt, forget answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from consortium.cli import (
    agreeing,
    columns_kept,
    dryrun,
    handing_in,
    overlap,
    parting,
    uploading,
)
from consortium.cli.api import SealedKeys
from consortium.cli.desk import confirm, json_option, last_line, progress, say, table, waiting
from consortium.cli.errors import KeysNotYet
from consortium.cli.home import Home
from consortium.cli.joining import home_option, line, outside, wait_option
from consortium.cli.lists import OwnList, own_list, own_lists
from consortium.cli.overlap import Target
from consortium.cli.reading import Ready, read_list, report, require_enough, what_leaves
from consortium.cli.vault import write_whole
from matching import group


@click.command()
@home_option
@wait_option
@click.argument("csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Upload the usable rows without asking.")
@click.option("--dry-run", is_flag=True, help="Show which bytes would leave; send nothing.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --dry-run: a folder for copies of everything that would leave.",
)
@click.option(
    "--column",
    "columns",
    metavar="FIELD=HEADER",
    multiple=True,
    help="Read a field from this column; FIELD= reads it from none. Kept for such files.",
)
@click.option(
    "--stops",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A file of people who said no: none of them is written to, nothing else is read of it.",
)
@click.option("--all-rows", is_flag=True, help="Print every refused row.")
@click.option(
    "--attest-consent",
    metavar="BASIS",
    default="",
    help="Vouch, in words, that people with unknown status agreed to be written to.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that blind and check; as many as there are cores by default.",
)
@json_option
def upload(
    home: Path,
    wait: float,
    csv: Path,
    yes: bool,
    dry_run: bool,
    out: Path | None,
    columns: tuple[str, ...],
    stops: tuple[Path, ...],
    all_rows: bool,
    attest_consent: str,
    workers: int | None,
) -> None:
    """Tokenise, seal and upload a member list; run it again after an interruption."""
    who = Home(home)
    group.available()
    # What was answered under a key that has ended is of no more use to anybody.
    uploading.forget_others(who, who.epochs)
    agreement = agreeing.signed(who).agreement
    ready = read_list(
        csv,
        agreement.fields,
        attested=bool(attest_consent.strip()),
        private=who.state,
        chosen=columns_kept.choices(who, columns_kept.said(columns)),
        stops=stops,
    )
    known = columns_kept.confirmed(who, ready.listing)
    say(*report(ready, every=all_rows, confirmed=known))
    require_enough(ready, agreement)
    say("", *what_leaves(who, agreement), "")
    if attest_consent.strip():
        say("You vouch that people of unknown status agreed; your words stay on this computer.")
    attested = attest_consent.strip()
    identity = columns_kept.identity(csv, ready.listing, stops)
    targets = overlap.targets(who, identity, attested)
    if len(targets) > 1:
        say(*overlap.announced(who))
    unfinished = [one for one in targets if not one.finished]
    for one in targets:
        if one.finished and one.known is not None:
            handing_in.tidy(who, one.known)
            say(
                f"This very file is uploaded already, as {one.known.id}. To take it back: withdraw."
            )
        elif one.known is not None:
            say(f"Going on with upload {one.known.id}, begun {one.known.facts['created']}.")
    if unfinished and not dry_run:
        confirm(f"Upload {len(ready.members):,} rows?", yes)
        if not known:
            columns_kept.keep(who, ready.listing)
    later = []
    for one in unfinished:
        try:
            _upload_to(
                one,
                ready,
                agreement.fields,
                attested,
                wait,
                workers,
                dry_run=dry_run,
                out=out and out / one.epoch if len(targets) > 1 else out,
            )
        except KeysNotYet as missing:
            if one is targets[0]:
                raise
            later.append(one.epoch)
            say(f"Not to {one.epoch} yet: {missing}", "Then run this very command again.")
    if not dry_run:
        _uploaded(who, targets, later, ready)


def _upload_to(
    target: Target,
    ready: Ready,
    fields: Sequence[str],
    attested: str,
    wait: float,
    workers: int | None,
    *,
    dry_run: bool,
    out: Path | None,
) -> None:
    """One upload to one epoch, from sealing to the receipt; after an interruption it goes on."""
    who, api = target.home, line(target.home)
    keys = api.key_statements()
    own = target.begin(ready.members, api.clock)
    if attested:
        own.note(consent=attested)
    members = uploading.in_order(who, own, ready.members)
    parting.remember(who, own, members)
    with progress(f"Sealing rows on this computer{target.named}") as steps:
        uploading.seal_rows(who, own, members, keys, fields, steps)
    if dry_run:
        dryrun.show(who, own, members, keys, out)
        return
    with progress(f"Codes, evaluated by the custodians{target.named}") as steps:
        client = outside().custodians()

        def tokenise(keys: SealedKeys) -> None:
            uploading.tokenise(who, own, members, keys, steps, workers=workers, client=client)

        api.newer_keys(keys, tokenise, api.key_statements)
    for part in handing_in.leaving(own):
        say(f"Sending {part.name}: {part.size:,} bytes, SHA-256 {part.digest}")
    leaf = handing_in.send(api, own)
    with waiting("The server has it. Waiting for the log and its witnesses") as state:
        handing_in.finish(api, own, leaf, wait, state)
    say(
        f"Done. Receipt: {own.folder / 'receipt.json'}",
        f"List {own.id}, in the log as {leaf[:16]}...",
    )


def _uploaded(who: Home, targets: list[Target], later: list[str], ready: Ready) -> None:
    here = [(one.epoch, own) for one in targets if (own := one.known) is not None]
    mine = {own.id for _, own in here}
    others = [
        one
        for one in own_lists(who)
        if one.id not in mine and one.has("receipt.json") and not one.withdrawn
    ]
    if others:
        say(
            f"You have {len(others)} more list(s) there. If this one replaces one, withdraw that: trellis partner lists"  # noqa: E501
        )
    each = [{"epoch": epoch, **_result(own, ready)} for epoch, own in here]
    last_line({**_result(here[0][1], ready), "epochs": each, "later": later})


def _result(own: OwnList, ready: Ready) -> dict[str, Any]:
    return {
        "id": own.id,
        "leaf": own.facts.get("leaf"),
        "rows": len(ready.members),
        "usable": ready.reading.usable,
        "refused": ready.reading.refused_total,
        "repeated": ready.repeated,
        "quality": ready.quality(),
        "receipt": str(own.folder / "receipt.json"),
    }


@click.command()
@home_option
@click.option("--yes", is_flag=True, help="Forget without asking.")
@json_option
def forget(home: Path, yes: bool) -> None:
    """Delete what this computer remembers of the custodians' answers."""
    who = Home(home)
    say(
        "A next upload then asks the custodians for every row again, which your quota counts.",
        "Lists that are uploaded stay as they are.",
    )
    confirm("Forget it?", yes, asked_for=True)
    gone = uploading.forget_others(who, ())
    say(f"Forgotten: {gone} season(s).")
    last_line({"forgotten": gone})


_ELSEWHERE = "not on this computer"


@click.command("lists")
@home_option
@json_option
def lists_(home: Path) -> None:
    """Your lists: on this computer, and what the server says of them."""
    api = line(home)
    answer = api.get("/contributions")
    said = [one for one in answer if isinstance(one, dict)]
    there = {
        str(one.get("id")): str(one.get("state"))
        + (", frozen" if one.get("frozen") else "")
        + (", cannot be matched" if one.get("unusable") else "")
        for one in said
    }
    rows = []
    for own in own_lists(api.home):
        facts = own.facts
        here = (
            "withdrawn" if own.withdrawn else "receipt" if own.has("receipt.json") else "unfinished"
        )
        rows.append((own.id, facts["created"], f"{facts['rows']:,}", here, there.pop(own.id, "-")))
    for stranger, state in there.items():
        rows.append((stranger, "-", "-", _ELSEWHERE, state))
    table(("list", "begun", "rows", "here", "server"), rows)
    if any(one.get("frozen") for one in said):
        say(
            "Frozen: more than 2 in 100 of its addresses stopped or called a letter spam. No letter"
            " leaves from it, and those stops count for their addresses alone, until the operator"
            " has looked into it with you and says, by name, that it goes on."
        )
    for one in said:
        if one.get("unusable"):
            say(f"{one.get('id')} cannot be matched: {one['unusable']}. Upload the list again, and "
                "withdraw this one.")  # fmt: skip
    for id, _, _, here, server in rows:
        if server.startswith("withdrawn") and here not in ("withdrawn", _ELSEWHERE):
            say(
                f"{id} was withdrawn in the browser, which cannot tell the custodians. So that "
                f"they shut its rows too and this computer forgets: trellis partner withdraw {id}"
            )
    last_line({"lists": [{"id": r[0], "here": r[3], "server": r[4]} for r in rows]})


@click.command()
@home_option
@click.argument("id")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@json_option
def receipt(home: Path, id: str, out: Path) -> None:
    """Copy a list's receipt; anybody can check it: trellis audit receipt FILE."""
    who = Home(home)
    own = own_list(who, id)
    if not own.has("receipt.json"):
        api = line(home)
        answer = api.get(f"/contributions/{UUID(own.id)}")
        handing_in.finish(api, own, str(answer.get("leaf")), 0.0, lambda _state: None)
    write_whole(out, (own.folder / "receipt.json").read_bytes())
    say(
        f"Receipt written to {out}. It opens the facts of this upload to whoever has it; no person is in it."  # noqa: E501
    )
    last_line({"id": own.id, "receipt": str(out)})
