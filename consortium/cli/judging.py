"""Anyone's: judge a file of evidence against a custodian by the cosigned log's key statement."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from consortium.cli.log_source import read_json
from matching.blame import Verdict, judge
from matching.crypto_errors import CryptoRefused
from matching.statement import Statement, check_statement
from provenance.errors import ProvenanceError
from provenance.evidence import Evidence, check
from provenance.quorum import Policy

_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("file", type=_file)
@click.option(
    "--invite",
    required=True,
    type=_file,
    help="Whom you believe: the log's key, the witnesses, and the custodians' keys.",
)
@click.option(
    "--statement",
    type=_file,
    help="The key statement's evidence from the log, instead of the one in the file.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def evidence(file: Path, invite: Path, statement: Path | None, as_json: bool) -> None:
    """Judge evidence that a custodian answered wrongly: guilty, or not proven.

    Nothing is asked of anybody: the file, your invite, and the statement as the log holds it.
    """
    shown, trusted = read_json(file), read_json(invite)
    logged = read_json(statement) if statement else shown.get("key")
    verdict = verdict_on(shown, trusted, logged)
    word = "guilty" if verdict.guilty else "not proven"
    if as_json:
        said = {"verdict": word, "custodian": verdict.custodian, "why": verdict.why}
        click.echo(json.dumps(said, sort_keys=True))
    else:
        click.echo(f"{word.upper()}  custodian {verdict.custodian}: {verdict.why}.")
        if verdict.guilty:
            click.echo(
                "Shown by its own signatures and the key statement in the cosigned log, not by the "
                "word of whoever gave you this file."
            )
    sys.exit(0 if verdict.guilty else 1)


def verdict_on(shown: Mapping[str, Any], invite: Mapping[str, Any], logged: object) -> Verdict:
    """Judge evidence by an invite and a log entry's; what cannot be checked is not proven."""
    accused = str(shown.get("custodian"))
    try:
        listed = (*invite.get("former", ()), *invite["custodians"])  # who left signed before
        publics = {str(c["id"]): bytes.fromhex(c["public"]) for c in listed}
        if accused not in publics:
            return Verdict(False, accused, "the invite names no such custodian")
        if not isinstance(logged, Mapping):
            return Verdict(False, accused, "the file has no key statement from the log")
        statement = stated(logged, Policy.from_invite(invite), publics)
    except (CryptoRefused, ProvenanceError) as refused:
        why = f"its key statement is not in the log as the invite knows it ({refused})"
        return Verdict(False, accused, why)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Verdict(False, accused, "the invite or the statement is misshapen")
    return judge(shown, statement=statement, public=publics[accused])


def stated(logged: Mapping[str, Any], policy: Policy, publics: Mapping[str, bytes]) -> Statement:
    """The key statement that a log entry holds, every custodian's signature checked.

    Raises:
        ProvenanceError: the entry is not in the log with quorum.
        StatementRefused: it is no statement, or not signed by all.
    """
    checked = check(Evidence.from_json(dict(logged)), policy)
    facts: Any = checked.facts
    statement = Statement.from_json(facts.get("statement"))
    signatures = {one: bytes.fromhex(raw) for one, raw in dict(facts["signatures"]).items()}
    check_statement(statement, signatures, publics)
    return statement
