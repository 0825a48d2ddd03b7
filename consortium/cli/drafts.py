"""Log entries this actor signs: drafted once, kept before they are sent, sent again the same."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from consortium.cli.api import Api, entry_json, unbase64
from consortium.cli.home import Home, Json
from consortium.cli.vault import write_whole
from consortium.clock import Clock
from provenance.canonical import JSON
from provenance.entry import Drafted, draft, openings_from_json
from provenance.evidence import Evidence, write_file


def drafted_once(
    home: Home, path: Path, kind: str, facts: Mapping[str, JSON], clock: Clock
) -> Drafted:
    """Draft an entry, or take the one drafted for the same facts before an interruption.

    Args:
        path: where the draft is kept; salts are drawn only when it is not there.
        kind: the entry's type.
        facts: what it says; other facts than the kept ones make a fresh draft.
    """
    known = _kept(path)
    if known is not None and {
        n: o.value for n, o in known.openings.items() if n != "actor"
    } == dict(facts):
        return known
    fresh = draft(
        kind,
        at=clock(),
        actor=home.public,
        facts=facts,
        salt=lambda: secrets.token_bytes(32),
        sign=home.sign,
    )
    write_whole(path, (json.dumps(entry_json(fresh), sort_keys=True) + "\n").encode())
    return fresh


def _kept(path: Path) -> Drafted | None:
    if not path.exists():
        return None
    kept = json.loads(path.read_bytes())
    return Drafted(unbase64(kept["entry"]), openings_from_json(kept["openings"]))


def keep_receipt(path: Path, evidence: Evidence, api: Api) -> Json:
    """Write a receipt whole, mode 0600, and return it.

    It holds the evidence, whom it was checked against and who is who: enough to check offline.
    """
    actors = {a["id"]: bytes.fromhex(a["public"]) for a in api.home.invite["actors"]}
    made = write_file([evidence], api.policy, actors)
    write_whole(path, (json.dumps(made, indent=1, sort_keys=True) + "\n").encode())
    return made
