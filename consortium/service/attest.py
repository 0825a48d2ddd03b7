"""Each party checks its own rows under the root and signs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from consortium.service import agree, approve, enter
from consortium.service.errors import WrongState
from consortium.store import campaigns, frames
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from matching.locks import audience_leaves
from policies.authorise import Caller, require


@dataclass(frozen=True, slots=True)
class Audience:
    """A frozen audience as its sources see it: sorted leaves, of which each knows only its own."""

    nonce: bytes
    root: str
    digest: str
    definition: dict[str, Any]
    leaves: bytes = field(repr=False)


def audience(units: Units, caller: Caller, id: str, artefacts: Artefacts) -> Audience:
    """What a source checks: every leaf is a hash, ghosts are among them.

    Raises:
        WrongState: it has not been frozen.
    """
    require(caller, "attest")
    one = units.run("audience", lambda unit: campaigns.get(unit, id))
    if one.manifest is None or caller.id not in units.run(
        "audience-parties", lambda unit: agree.parties(unit, one.race)
    ):
        raise Missing(f"no campaign {id}")
    if one.nonce is None or one.root is None or one.digest is None or not one.audience_digest:
        raise WrongState("the audience has not been fixed yet")
    with artefacts.open(one.audience_digest) as path:
        locks = frames.read_locks(path)
    nonce = bytes.fromhex(one.nonce)
    return Audience(
        nonce, one.root, one.digest, one.definition, b"".join(audience_leaves(nonce, locks))
    )


def attest(
    unit: Unit,
    caller: Caller,
    id: str,
    *,
    entry: bytes,
    openings: Mapping[str, Any],
    now: datetime,
) -> str:
    """Take in a party's word about its own rows under the root.

    A source says that they are what it approved; a party that is no source says that none of its
    rows is in the set. Locks carry no owner, so without everybody's word one willing partner
    would do to have any other's rows released.
    """
    require(caller, "attest")
    one = campaigns.get(unit, id)
    said = enter.read(unit, entry, openings, now=now)
    enter.expect(said, "approval", kind="attest", campaign=id, digest=one.digest, root=one.root)
    if leaf := approve.said_before(unit, caller, id, "attest", said):
        return leaf
    if one.state != "frozen" or one.manifest is None:
        raise WrongState("this campaign's audience is not waiting to be checked")
    if caller.id not in agree.parties(unit, one.race):
        raise WrongState("only who signed the agreement checks its rows")
    leaf = enter.promise(unit, said, entry, openings, now=now)
    campaigns.approve(unit, campaigns.Approval(id, caller.id, "attest", leaf, now))
    unit.session.flush()
    done = {a.partner for a in campaigns.approvals(unit, id, "attest")}
    if done >= agree.parties(unit, one.race):
        campaigns.change(unit, id, state="attested", waiting_for="the public log")
        unit.after("intend", campaign=id)
    return leaf
