"""Anyone's: whose shares make an epoch's keys, and who says that its share is destroyed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx

from consortium.cli.errors import ToolError
from consortium.cli.log_source import loaded
from matching.crypto_errors import CryptoRefused
from matching.endings import Ending, ending
from matching.lineage import Signed, check_line
from matching.statement import PURPOSES
from provenance.errors import ProvenanceError
from provenance.evidence import Checked, Evidence, Policy, check


@click.command()
@click.option(
    "--invite",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="Whom you believe: the log's key, the witnesses, and the custodians' keys.",
)
@click.option("--epoch", help="Another epoch than the invite's.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def keys(invite: Path, epoch: str | None, as_json: bool) -> None:
    """Check an epoch's keys in the log: who holds them, and who destroyed its share."""
    trusted = loaded(invite.read_bytes())
    wanted = epoch or str(trusted["epoch"])
    try:
        answer = httpx.get(f"{trusted['api'].rstrip('/')}/api/v1/keys/{wanted}", timeout=30)
        found = endings(answer.raise_for_status().json(), trusted)
    except httpx.HTTPError as away:
        raise ToolError(f"the server does not answer ({type(away).__name__})") from away
    except (CryptoRefused, ProvenanceError) as refused:
        raise ToolError(f"what the server shows does not hold: {refused}") from refused
    if as_json:
        click.echo(json.dumps([_json(one) for one in found], indent=1, sort_keys=True))
        return
    for one in found:
        click.echo(f"{one.words}.")
        click.echo(
            f"  shares of version {one.statement.version}, public {one.statement.public.hex()}"
        )
    if not found:
        click.echo(f"The log holds no key of {wanted} yet.")


def endings(shown: Mapping[str, Any], invite: Mapping[str, Any]) -> list[Ending]:
    """Check every line of statements and every word of destruction that a server shows.

    Raises:
        ProvenanceError: an entry is not in the log with quorum.
        StatementRefused: a statement does not hold, or does not follow the one before.
    """
    policy = Policy.from_invite(dict(invite))
    listed = (*invite.get("former", ()), *invite["custodians"])
    publics = {str(one["id"]): bytes.fromhex(one["public"]) for one in listed}
    gone = [_checked(one, policy) for one in shown.get("destroyed", ())]
    said = [(one.actor, one.facts) for one in gone]
    found = []
    for purpose in PURPOSES:
        line = [Signed.from_facts(_checked(one, policy).facts) for one in shown["lines"][purpose]]
        if line:
            found.append(ending(check_line(line, publics), said, publics))
    return found


def _checked(evidence: Any, policy: Policy) -> Checked:
    return check(Evidence.from_json(evidence), policy)


def _json(one: Ending) -> dict[str, Any]:
    stated = one.statement
    return {
        "purpose": stated.purpose,
        "epoch": stated.epoch,
        "version": stated.version,
        "holders": list(stated.ids),
        "threshold": stated.threshold,
        "destroyed": list(one.destroyed),
        "public": stated.public.hex(),
        "words": one.words,
    }
