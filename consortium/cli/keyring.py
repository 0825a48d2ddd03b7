"""Anyone's: whose shares make an epoch's keys, and who says that its share is destroyed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx

from consortium.cli.log_source import FILE, custodians_of, fail, json_option, loaded, read_json
from matching.crypto_errors import CryptoRefused
from matching.endings import Ending, ending
from matching.lineage import Signed, check_line
from matching.statement import PURPOSES
from provenance.errors import PolicyRefused, ProvenanceError, ReceiptRefused
from provenance.evidence import Checked, Evidence, Policy, check

UNREACHABLE = 3


@click.command()
@click.option(
    "--invite",
    type=FILE,
    required=True,
    help="Whom you believe: the log's key, the witnesses, and the custodians' keys.",
)
@click.option("--epoch", help="Another epoch than the invite's.")
@json_option
def keys(invite: Path, epoch: str | None, as_json: bool) -> None:
    """Check an epoch's keys in the log: who holds them, and who destroyed its share."""
    trusted = read_json(invite)
    try:
        wanted, address = _asked(trusted, epoch)
        found = endings(_shown(address), trusted)
    except (httpx.HTTPError, httpx.InvalidURL) as away:
        why = f"the server does not answer ({type(away).__name__})"
        fail(as_json, why, file=str(invite), code=UNREACHABLE)
    except PolicyRefused as refused:
        fail(as_json, f"{invite}: {refused}", file=str(invite))
    except (CryptoRefused, ProvenanceError) as refused:
        fail(as_json, f"what the server shows does not hold: {refused}", file=address)
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


def _asked(invite: Mapping[str, Any], epoch: str | None) -> tuple[str, str]:
    """Which epoch is meant, and the address where its keys are shown."""
    wanted, api = epoch or invite.get("epoch"), invite.get("api")
    if not isinstance(wanted, str) or not isinstance(api, str):
        raise PolicyRefused("the invite does not say its epoch and where the server is")
    return wanted, f"{api.rstrip('/')}/api/v1/keys/{wanted}"


def _shown(address: str) -> Any:
    answer = httpx.get(address, timeout=30).raise_for_status()
    try:
        return loaded(answer.content)
    except ValueError as refused:
        raise ReceiptRefused(f"the answer is {refused}") from refused


def endings(shown: Any, invite: Mapping[str, Any]) -> list[Ending]:
    """Check every line of statements and every word of destruction that a server shows.

    Raises:
        PolicyRefused: the invite does not say the log's keys, or the custodians'.
        ProvenanceError: an entry is not in the log with quorum, or nothing like keys is shown.
        StatementRefused: a statement does not hold, or does not follow the one before.
    """
    policy, publics = Policy.from_invite(invite), custodians_of(invite)
    try:
        lines = [list(shown["lines"][purpose]) for purpose in PURPOSES]
        destroyed = list(shown.get("destroyed", ()))
    except (AttributeError, KeyError, TypeError) as refused:
        raise ReceiptRefused("the answer holds no lines of keys") from refused
    said = [(one.actor, one.facts) for one in (_checked(one, policy) for one in destroyed)]
    signed = [[Signed.from_facts(_checked(one, policy).facts) for one in line] for line in lines]
    return [ending(check_line(line, publics), said, publics) for line in signed if line]


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
