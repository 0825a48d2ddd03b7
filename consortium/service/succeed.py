"""One epoch succeeds another: it is opened beside it, filled by everybody, and a race moves in.

During the overlap both epochs take lists and are matched, each by itself. A race stands in exactly
one of them, so an audience is never cut from both. What is known of people moves with the race and
is not touched here: stops by address and by person, letters sent, the budget. None of it is keyed
by an epoch.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consortium.service import enter, show
from consortium.service.errors import NotReady, WrongState
from consortium.store import campaigns, contributions, epochs, races, roster, texts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from matching.crypto_errors import CryptoRefused
from matching.lineage import Signed, check_line
from provenance.backend import Backend
from provenance.evidence import Evidence, check

NAME = re.compile(r"[a-z0-9-]{1,40}")
GOING = ("approved", "frozen", "attested", "logged", "sending", "paused")
"""States of a campaign that somebody said yes to and that is not over: its rows are settled."""
LIVE = ("received", "logged", "matched")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an epoch has come, in words for the operator.

    ``missing`` is what keeps the installation's race from moving into it; empty where it stands.
    """

    id: str
    state: str
    races: tuple[str, ...]
    keys: tuple[str, ...]
    lists: tuple[str, ...]
    missing: tuple[str, ...]


def open_next(unit: Unit, epoch: str, *, pen: enter.Pen, outputs: bytes, now: datetime) -> bool:
    """Open the next epoch beside the present one; everybody joins the new invite then.

    Args:
        epoch: its name, never used before.
        pen: the operator's.
        outputs: the public key, 32 bytes, to which outputs of this epoch are sealed.

    Returns:
        Whether it was opened now; an open one stays as it is.

    Raises:
        WrongState: not a name, used before, or two epochs are open or not gone yet.
    """
    if not may_open(unit, epoch):
        return False
    epochs.add(unit, epoch, now)
    facts = {"kind": "pepper", "epoch": epoch, "public": outputs.hex()}
    enter.write(unit, pen, "key", facts, now=now)
    said(unit, pen, "opened", epoch, now)
    renew_invite(unit)
    return True


def may_open(unit: Unit, epoch: str) -> bool:
    """Whether an epoch is to be opened; False when it is open already.

    Raises:
        WrongState: as ``open_next``.
    """
    known = epochs.find(unit, epoch)
    if known is not None and known.state == "open":
        return False
    if known is not None:
        raise WrongState(f"epoch {epoch} has ended; a new one needs a new name")
    if not NAME.fullmatch(epoch):
        raise WrongState("an epoch's name has 1 to 40 of the letters a-z, the digits 0-9 and -")
    unfinished = [one.id for one in epochs.listed(unit) if one.state != "gone"]
    if len(unfinished) != 1:
        raise WrongState(f"end one of these first: {', '.join(unfinished)}")
    return True


def move(
    unit: Unit,
    race: str,
    epoch: str,
    *,
    backend: Backend,
    pen: enter.Pen,
    now: datetime,
    without: Collection[str] = (),
) -> bool:
    """Let a race stand in the next epoch: from now on only that epoch's bundles count for it.

    Args:
        without: partners whose present lists stay behind, because they do not upload them again.

    Returns:
        Whether it moved now; a race that stands there stays.

    Raises:
        NotReady: says everything that is missing, and of whom.
    """
    if races.get(unit, race).epoch == epoch:
        return False
    if epoch not in epochs.open_now(unit):
        raise WrongState(f"epoch {epoch} is not open")
    found = missing(unit, race, epoch, backend, without)
    if found:
        raise NotReady(f"race {race} cannot move into {epoch} yet: {'; '.join(found)}")
    races.move(unit, race, epoch)
    said(unit, pen, "moved", epoch, now, race=race, without=sorted(without))
    unit.after("match")
    return True


def missing(
    unit: Unit, race: str, epoch: str, backend: Backend, without: Collection[str] = ()
) -> list[str]:
    """Everything that keeps a race from moving into an epoch, in words."""
    now_in = races.get(unit, race).epoch
    found = _keys(unit, epoch, backend)
    ready = contributions.rolls(unit, state="ready", epoch=epoch)
    drawn = roster.ghosts(unit, race, epoch)
    if not ready:
        found.append("the steward has not enrolled the roll under its keys")
    elif drawn is None or not drawn.rostered:
        found.append("the made-up rows of the race are not in its roster yet")
    for partner in sorted(_with_lists(unit, now_in) - set(without)):
        there = contributions.listed(unit, partner=partner, epoch=epoch)
        states = {one.state for one in there}
        if not states & {*LIVE}:
            found.append(f"{partner} has not uploaded its list to it")
        elif not any(one.state == "matched" and one.linked_roll == _newest(ready) for one in there):
            found.append(f"the list of {partner} is not matched yet")
    going = [one.id for one in campaigns.listed(unit, states=GOING) if one.race == race]
    found += [f"campaign {one} is approved and not over" for one in sorted(going)]
    return found


def _newest(ready: list[contributions.Roll]) -> str | None:
    return ready[0].id if ready else None


def _with_lists(unit: Unit, epoch: str) -> set[str]:
    found = contributions.listed(unit, epoch=epoch)
    return {one.partner for one in found if one.state in LIVE}


def _keys(unit: Unit, epoch: str, backend: Backend) -> list[str]:
    """What is wrong with the logged keys of an epoch, checked as every tool checks them."""
    lines = show.key_lines(unit, epoch, backend)
    found = []
    for name, evidence in show.keys(unit, epoch, backend).items():
        if evidence is None:
            found.append(f"its {name} key is not in the log with quorum")
        elif name in lines and not _holds(unit, lines[name]):
            found.append(f"its {name} key is not one that all present custodians signed")
    return found


def _holds(unit: Unit, line: list[Evidence]) -> bool:
    invite, policy = json.loads(texts.get(unit, "invite")), show.policy(unit)
    listed = [*invite.get("former", ()), *invite["custodians"]]
    publics = {one["id"]: bytes.fromhex(one["public"]) for one in listed}
    try:
        signed = [Signed.from_facts(check(one, policy).facts) for one in line]
        now = check_line(signed, publics)
    except CryptoRefused:
        return False
    present = sorted(one["id"] for one in invite["custodians"])
    return (sorted(now.ids), now.threshold) == (present, invite["threshold"])


def standing(unit: Unit, backend: Backend) -> list[Standing]:
    """Every epoch there was, oldest first."""
    everyone = races.everyone(unit)
    found = []
    for one in epochs.listed(unit):
        here = tuple(race.id for race in everyone if race.epoch == one.id)
        logged = show.keys(unit, one.id, backend)
        found.append(
            Standing(
                one.id,
                one.state,
                here,
                tuple(name for name, evidence in logged.items() if evidence is not None),
                tuple(sorted(_with_lists(unit, one.id))),
                tuple(missing(unit, everyone[0].id, one.id, backend))
                if everyone and one.state == "open" and not here
                else (),
            )
        )
    return found


def renew_invite(unit: Unit) -> dict[str, Any]:
    """Write the open epochs into the invite: the present one, and during an overlap the next."""
    invite: dict[str, Any] = json.loads(texts.get(unit, "invite"))
    live = epochs.open_now(unit)
    invite.pop("next_epoch", None)
    invite["epoch"] = live[0]
    if len(live) > 1:
        invite["next_epoch"] = live[1]
    texts.put(unit, "invite", json.dumps(invite))
    return invite


def said(unit: Unit, pen: enter.Pen, step: str, epoch: str, now: datetime, **more: Any) -> str:
    """Promise the log that an epoch was opened, moved into, ended, or is gone."""
    facts = {"kind": "epoch", "step": step, "epoch": epoch, **more}
    return enter.write(unit, pen, "key", facts, now=now)


def known(unit: Unit, epoch: str) -> epochs.Epoch:
    """The epoch with this name, or ``Missing``."""
    found = epochs.find(unit, epoch)
    if found is None:
        raise Missing(f"there is no epoch {epoch}")
    return found
