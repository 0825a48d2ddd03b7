"""Anyone's: check a receipt, check the whole log, from public bytes only."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click
import httpx

from consortium.cli.judging import evidence
from consortium.cli.keyring import keys
from provenance.audit import FolderSource, Report, Source, audit
from provenance.errors import AuditRefused, NoteRefused, PolicyRefused, ProvenanceError
from provenance.evidence import read_file
from provenance.note import Verifier
from provenance.quorum import Policy
from provenance.story import Story, replay

MAX_FILE = 1 << 25


@dataclass(frozen=True, slots=True)
class HttpSource:
    """A log served over HTTP."""

    client: httpx.Client
    base: str

    def read(self, path: str) -> bytes | None:
        """See ``provenance.audit.Source``."""
        try:
            answer = self.client.get(f"{self.base}/{path}")
        except httpx.HTTPError as refused:
            raise AuditRefused(path, f"cannot be fetched ({type(refused).__name__})") from refused
        if answer.status_code == 404:
            return None
        if answer.status_code != 200 or len(answer.content) > MAX_FILE:
            raise AuditRefused(path, f"cannot be fetched (status {answer.status_code})")
        return answer.content

    def list(self) -> Iterable[str] | None:
        """Nothing can be listed over HTTP."""
        return None


_witness = click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="VKEY|FILE",
    help="A witness's verifier key; repeat for each.",
)
_quorum = click.option(
    "--quorum",
    type=click.IntRange(min=0),
    help="How many of the witnesses must have cosigned; all of them by default.",
)
_json = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group()
def command() -> None:
    """Check the log and receipts from it. Needs no account, and no server's word."""


@command.command()
@click.argument("log", metavar="DIR|URL")
@click.option("--vkey", required=True, metavar="VKEY|FILE", help="The log's verifier key.")
@_witness
@_quorum
@click.option(
    "--old",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A checkpoint that you kept.",
)
@_json
def verify(
    log: str,
    vkey: str,
    witnesses: Sequence[str],
    quorum: int | None,
    old: Path | None,
    as_json: bool,
) -> None:
    """Recompute a whole log from its public bytes."""
    policy = _policy(vkey, witnesses, quorum)
    kept = None if old is None else old.read_bytes()
    try:
        if log.startswith(("http://", "https://")):
            with httpx.Client(timeout=30, follow_redirects=True) as client:
                report = audit(HttpSource(client, log.rstrip("/")), policy, old=kept)
        else:
            report = audit(_folder(log), policy, old=kept)
    except AuditRefused as refused:
        _fail(as_json, str(refused), file=refused.file)
    if as_json:
        click.echo(json.dumps(_report_json(report), indent=1, sort_keys=True))
    else:
        _say_report(report)


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--vkey", metavar="VKEY|FILE", help="The log's verifier key.")
@_witness
@_quorum
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A tlog-policy file, instead of --vkey, --witness and --quorum.",
)
@_json
def receipt(
    file: Path,
    vkey: str | None,
    witnesses: Sequence[str],
    quorum: int | None,
    policy_file: Path | None,
    as_json: bool,
) -> None:
    """Check a receipt offline: each entry, and whether the story they tell was allowed."""
    try:
        read = read_file(json.loads(file.read_bytes()))
        trusted = True
        if policy_file is not None:
            policy = Policy.from_text(policy_file.read_text("utf-8"))
        elif vkey is not None:
            policy = _policy(vkey, witnesses, quorum)
        elif read.policy is not None:
            policy, trusted = read.policy, False
        else:
            raise PolicyRefused("the receipt names no keys: give --vkey and --witness, or --policy")
        if not read.evidences:
            raise PolicyRefused("the receipt holds no evidence")
        story = replay(read.evidences, policy, actors=read.actors or None)
    except (ProvenanceError, ValueError) as refused:
        _fail(as_json, f"{file}: {refused}", file=str(file))
    if as_json:
        click.echo(json.dumps(_story_json(story, trusted), indent=1, sort_keys=True))
    else:
        _say_story(story, policy, trusted)


command.add_command(evidence)
command.add_command(keys)


def _folder(log: str) -> Source:
    if not Path(log).is_dir():
        raise AuditRefused(log, "is no folder")
    return FolderSource(Path(log))


def _policy(vkey: str, witnesses: Sequence[str], quorum: int | None) -> Policy:
    try:
        keys = [_verifier(one) for one in witnesses]
        return Policy.of(_verifier(vkey), keys, len(keys) if quorum is None else quorum)
    except (NoteRefused, PolicyRefused) as refused:
        raise click.ClickException(str(refused)) from refused


def _verifier(words: str) -> Verifier:
    """From a verifier key, or from a file that holds one."""
    try:
        return Verifier.from_vkey(words)
    except NoteRefused as refused:
        path = Path(words)
        if not path.is_file():
            raise NoteRefused(f"{words!r} is neither a verifier key nor a file") from refused
        return Verifier.from_vkey(path.read_text("utf-8").strip("\n"))


def _fail(as_json: bool, why: str, *, file: str) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"ok": False, "file": file, "why": why}, indent=1))
    else:
        click.echo(f"FAILED  {why}", err=True)
    sys.exit(1)


def _say_report(report: Report) -> None:
    click.echo(f"The log {report.origin} holds together.\n\nChecked:")
    for line in report.checked:
        click.echo(f"  - {line}")
    if report.kinds:
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds.items())
        click.echo(f"  - by type: {kinds}")
    if report.witnesses:
        click.echo(f"  - a quorum had seen it by {_time(report.cosigned_at)}")
    click.echo("\nNot checked, because public bytes cannot show it:")
    for line in report.unchecked:
        click.echo(f"  - {line}")


def _report_json(report: Report) -> dict[str, object]:
    return {
        "ok": True,
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "cosigned_at": _time(report.cosigned_at),
        "witnesses": list(report.witnesses),
        "kinds": report.kinds,
        "files": report.files,
        "checked": list(report.checked),
        "unchecked": list(report.unchecked),
    }


def _say_story(story: Story, policy: Policy, trusted: bool) -> None:
    click.echo("The receipt holds. In the order of the log:")
    for line in story.lines:
        click.echo(f"  {line}")
    seen = max(one.cosigned_at for one in story.entries)
    if policy.quorum:
        click.echo(f"Cosigned by at least {policy.quorum} witnesses, by {_time(seen)}.")
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
                "at": _time(one.at),
                "actor": one.actor.hex(),
                "facts": one.facts,
                "size": one.size,
                "root": one.root.hex(),
                "cosigned_at": _time(one.cosigned_at),
            }
            for one in story.entries
        ],
    }


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
