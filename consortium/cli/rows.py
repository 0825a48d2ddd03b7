"""A row receipt in words: what it proves of one row, under whose keys, and what it leaves open."""

import json
from collections.abc import Mapping
from typing import Any

import click

from consortium.cli.log_source import actors_of
from provenance.quorum import Policy
from provenance.row_receipt import RowReceipt
from provenance.row_story import Proven, check_row_receipt


def show(
    raw: bytes, given: Policy | None, invite: Mapping[str, Any] | None = None, *, as_json: bool
) -> None:
    """Check a row receipt offline and say what it proves.

    Args:
        raw: the file.
        given: of the log, from whoever checks; the receipt's own otherwise.
        invite: one that they trust, which says who is who; the receipt says it otherwise.
        as_json: for machines.

    Raises:
        ProvenanceError: one of its kinds, when anything at all is wrong.
    """
    receipt = RowReceipt.from_bytes(raw)
    policy = given or Policy.from_text(receipt.policy)
    known = None if invite is None else actors_of(invite)
    proven = check_row_receipt(receipt, policy, known)
    if as_json:
        click.echo(json.dumps(_json(proven, given is not None), indent=1, sort_keys=True))
        return
    click.echo("The receipt holds. In the order of the log:")
    for line in proven.lines:
        click.echo(f"  {line}")
    if policy.quorum:
        click.echo(
            f"All under one checkpoint of {proven.cosigned.checkpoint.size} entries, cosigned by "
            f"at least {policy.quorum} witnesses by {proven.cosigned.at:%Y-%m-%dT%H:%M:%SZ}."
        )
    click.echo("\nNot checked:")
    if given is None:
        click.echo(
            "  - Whose keys these are: they came with the receipt. Compare them with keys you "
            "trust, or give --vkey and --witness:"
        )
        for line in policy.to_text().splitlines():
            click.echo(f"      {line}")
    if known is None:
        click.echo("  - Which key is which partner's: that is what the receipt says.")
    for line in proven.unproven:
        click.echo(f"  - {line}")


def _json(proven: Proven, trusted: bool) -> dict[str, object]:
    here = proven.cosigned.checkpoint
    return {
        "ok": True,
        "keys": "yours" if trusted else "from the receipt itself",
        "partner": proven.partner,
        "list": proven.bundle,
        "campaign": proven.campaign,
        "row": proven.row,
        "size": here.size,
        "root": here.root.hex(),
        "entries": [
            {"index": one.index, "type": one.said.kind, "facts": one.said.facts}
            for one in proven.steps
        ],
        "unproven": list(proven.unproven),
    }
