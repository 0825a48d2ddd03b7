"""Anyone's: check a receipt, check the whole log, from public bytes only."""

from collections.abc import Sequence
from pathlib import Path

import click

from consortium.cli import rows
from consortium.cli.comparing import diff
from consortium.cli.judging import evidence
from consortium.cli.keyring import keys
from consortium.cli.log_source import (
    FILE,
    Checks,
    fail,
    json_option,
    loaded,
    moment,
    needed_policy,
    opened,
    read_json,
    read_whole,
    show_json,
    whose_keys,
)
from consortium.cli.replaying import Replayed, read_given, replay_given
from consortium.cli.tracing import trace
from consortium.cli.watching import watch
from provenance.audit import Report, audit
from provenance.errors import AuditRefused, PolicyRefused, ProvenanceError, ReceiptRefused
from provenance.evidence import read_file
from provenance.openings import Walked
from provenance.quorum import Policy
from provenance.receipt import HEADER, check_receipt
from provenance.row_receipt import is_row_receipt
from provenance.story import Story, replay


@click.group(cls=Checks)
def command() -> None:
    """Check the log and receipts from it. Needs no account, and no server's word."""


@command.command()
@click.argument("log", metavar="DIR|URL")
@whose_keys
@click.option("--old", type=FILE, help="A checkpoint that you kept.")
@click.option(
    "--openings",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Receipts, or a folder with them: what they open is replayed against the log.",
)
@click.option("--agreement", "agreements", type=FILE, multiple=True, help="An agreement's bytes.")
@click.option("--strict", is_flag=True, help="Fail also where the openings leave a rule open.")
@json_option
def verify(
    log: str,
    policy: Policy | None,
    invite: Path | None,
    old: Path | None,
    openings: Sequence[Path],
    agreements: Sequence[Path],
    strict: bool,
    as_json: bool,
) -> None:
    """Recompute a whole log from its public bytes, and replay what openings say of it."""
    kept = None if old is None else read_whole(old)
    told = None
    try:
        given = read_given(openings, agreements, None if invite is None else read_json(invite))
        gathered = given.check(needed_policy(policy))
        walked = Walked(gathered.trees)
        with opened(log) as source:
            report = audit(
                source, needed_policy(policy), old=kept, each=walked.add if openings else None
            )
        if openings:
            closed = walked.closed(gathered.entries, gathered.trees)
            told = replay_given(given, gathered.entries, closed)
    except AuditRefused as refused:
        fail(as_json, str(refused), file=refused.file)
    except ProvenanceError as refused:
        fail(as_json, f"what the openings tell does not hold: {refused}", file="--openings")
    if strict and told is not None and told.open:
        fail(as_json, f"the openings leave open: {'; '.join(told.open)}", file="--openings")
    if as_json:
        show_json(_report_json(report, told))
    else:
        _say_report(report, told)


@command.command()
@click.argument("file", type=FILE)
@whose_keys
@click.option("--entry", type=FILE, help="The entry's own bytes, for a bare .tlog-proof.")
@json_option
def receipt(
    file: Path, policy: Policy | None, invite: Path | None, entry: Path | None, as_json: bool
) -> None:
    """Check a receipt offline: each entry, and whether the story they tell was allowed."""
    try:
        raw = read_whole(file)
        if raw.startswith(HEADER.encode()):
            _bare(raw, None if entry is None else read_whole(entry), policy, as_json)
            return
        if is_row_receipt(raw):
            rows.show(raw, policy, None if invite is None else read_json(invite), as_json=as_json)
            return
        read = read_file(loaded(raw))
        believed = policy or read.policy
        if believed is None:
            raise PolicyRefused("the receipt names no keys: give --vkey and --witness, or --policy")
        if not read.evidences:
            raise PolicyRefused("the receipt holds no evidence")
        story = replay(read.evidences, believed, actors=read.actors or None)
    except (ProvenanceError, ValueError) as refused:
        fail(as_json, f"{file}: {refused}", file=str(file))
    if as_json:
        show_json(_story_json(story, policy is not None))
    else:
        _say_story(story, believed, policy is not None)


def _bare(raw: bytes, entry: bytes | None, policy: Policy | None, as_json: bool) -> None:
    """A tlog-proof, which holds neither the entry nor any keys."""
    if entry is None:
        raise ReceiptRefused(
            "a tlog-proof does not hold its entry: give the entry's bytes, --entry"
        )
    index, cosigned = check_receipt(entry, raw.decode("utf-8"), needed_policy(policy))
    here = cosigned.checkpoint
    if as_json:
        show_json({"ok": True, "index": index, "size": here.size, "root": here.root.hex()})
        return
    click.echo(f"The receipt holds: these bytes are entry {index} of {here.origin},")
    click.echo(f"in the tree of {here.size} entries, cosigned by {len(cosigned.cosignatures)}.")
    click.echo("\nNot checked:\n  - What the entry says: its openings are not in a tlog-proof.")


for _verb in (diff, evidence, keys, trace, watch):
    command.add_command(_verb)


def _say_report(report: Report, told: Replayed | None) -> None:
    click.echo(f"The log {report.origin} holds together.\n\nChecked:")
    for line in report.checked:
        click.echo(f"  - {line}")
    if report.kinds:
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds.items())
        click.echo(f"  - by type: {kinds}")
    if report.witnesses:
        click.echo(f"  - a quorum had seen it by {moment(report.cosigned_at)}")
    for line in () if told is None else told.checked:
        click.echo(f"  - {line}")
    click.echo("\nNot checked, because public bytes cannot show it:")
    for line in report.unchecked:
        click.echo(f"  - {line}")
    if told is not None:
        click.echo("\nNot checked, because the openings do not show it:")
        for line in (*told.open, *told.closed_words):
            click.echo(f"  - {line}")


def _report_json(report: Report, told: Replayed | None) -> dict[str, object]:
    return {
        "ok": True,
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "cosigned_at": moment(report.cosigned_at),
        "witnesses": list(report.witnesses),
        "kinds": report.kinds,
        "files": report.files,
        "checked": list(report.checked),
        "unchecked": list(report.unchecked),
        **({} if told is None else {"story": told.to_json()}),
    }


def _say_story(story: Story, policy: Policy, trusted: bool) -> None:
    click.echo("The receipt holds. In the order of the log:")
    for line in story.lines:
        click.echo(f"  {line}")
    seen = max(one.cosigned_at for one in story.entries)
    if policy.quorum:
        click.echo(f"Cosigned by at least {policy.quorum} witnesses, by {moment(seen)}.")
    click.echo("\nNot checked:")
    if not trusted:
        click.echo(
            "  - Whose keys these are: they came with the receipt. Compare them with keys you "
            "trust, or give --vkey and --witness:"
        )
        for line in policy.to_text().splitlines():
            click.echo(f"      {line}")
        click.echo("  - Which key is which partner's: that, too, is what the receipt says.")
    if not any(one.kind in ("intent", "sent") for one in story.entries):
        click.echo("  - Approvals: the receipt holds no intent to send.")
    click.echo("  - That what was recorded is true, and that nothing was done outside the log.")


def _story_json(story: Story, trusted: bool) -> dict[str, object]:
    return {
        "ok": True,
        "keys": "yours" if trusted else "from the receipt itself",
        "entries": [
            {
                "index": one.index,
                "type": one.kind,
                "at": moment(one.at),
                "actor": one.actor.hex(),
                "facts": one.facts,
                "size": one.size,
                "root": one.root.hex(),
                "cosigned_at": moment(one.cosigned_at),
            }
            for one in story.entries
        ],
    }
