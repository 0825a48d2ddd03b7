"""Taking a list back, or stopping a letter: told to the server, the log, each custodian."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

from consortium.cli.api import Api, entry_json, same_leaf
from consortium.cli.drafts import drafted_once, keep_receipt
from consortium.cli.errors import CheckRefused, ToolError
from consortium.cli.home import Home, Json
from consortium.cli.lists import OwnList
from consortium.clock import Clock, utc
from consortium.custodians import CustodianAddress, CustodianProblem, call
from matching.bundle import size_class
from matching.envelope import close
from matching.evaluation import stamp

BATCH = 4096
"""Secrets in one request to a custodian; the last request is padded with ones that retire nothing."""  # noqa: E501
GHOSTS = "ghosts.enc"
"""The secrets of a list's ghosts, kept once the server gave them."""
LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Told:
    """Which custodians have taken in everything they were told, and which have not."""

    done: tuple[str, ...]
    missing: tuple[str, ...]


def gone(days: int) -> str:
    """What may be said of what was withdrawn."""
    return f"Gone now from the service; from backups after {days} days."


def backup_days(answer: Json) -> int:
    """After how many days the operator's backups forget, as it says itself; raises CheckRefused."""
    days = answer.get("backup_days") if isinstance(answer, dict) else None
    if not isinstance(days, int) or isinstance(days, bool) or days < 0:
        raise CheckRefused("the server does not say how long its backups keep what was withdrawn")
    return days


def withdraw(api: Api, own: OwnList) -> tuple[str, int]:
    """Sign and hand in the withdrawal; the same again sends the same.

    Returns:
        The leaf in hex, and after how many days backups forget.
    """
    facts = {"kind": "bundle", "bundle": own.id}
    drafted = drafted_once(
        api.home, own.folder / "withdrawal.entry.json", "withdrawal", facts, api.clock
    )
    # Marked before it is sent: from this moment this computer attests none of these rows.
    own.note(withdrawn=api.clock().strftime("%Y-%m-%dT%H:%M:%SZ"))
    answer = api.post(f"/contributions/{own.id}/withdraw", entry_json(drafted))
    return same_leaf(drafted, answer), backup_days(answer)


def logged(api: Api, own: OwnList, leaf: str, timeout: float) -> None:
    """Wait until the log holds the withdrawal, and keep its receipt."""
    keep_receipt(own.folder / "withdrawal.receipt.json", api.wait_published(leaf, timeout), api)


def ghosts(api: Api, own: OwnList) -> bool:
    """Ask for the secrets of this list's ghosts, once, and keep them; whether they are here.

    Retired among the list's rows they hide how many rows there were; without them custodians could
    count. No reason not to retire the rows: whatever the server says, those are shut.
    """
    if own.has(GHOSTS):
        return True
    try:
        answer = api.get(f"/contributions/{own.id}/ghosts")
        found = [bytes.fromhex(one).hex() for one in answer["secrets"]]
    except (ToolError, KeyError, TypeError, ValueError):
        return False
    api.home.vault.write(own.folder / GHOSTS, found)
    return True


def retire(
    home: Home,
    own: OwnList,
    progress: Callable[[int, int], None],
    *,
    clock: Clock = utc,
    transport: httpx.BaseTransport | None = None,
) -> Told:
    """Reveal the row secrets to each custodian, so that no letter can open these rows again.

    Sent directly: an operator that ignored the withdrawal could still not have a row opened,
    unless enough custodians did not hear of it. The secrets of the list's ghosts go among them.
    """
    haunting = home.vault.read(own.folder / GHOSTS) if own.has(GHOSTS) else []
    # With its rows as many as its class and the most ghosts, whatever their number was.
    haunting = haunting[: max(0, len(haunting) - own.facts["rows"])]
    revealed = [row.secret for row in own.rows(home)] + [bytes.fromhex(one) for one in haunting]
    secrets.SystemRandom().shuffle(revealed)  # over all batches: no batch is of ghosts alone
    bodies = batches(revealed, least=size_class(own.facts["rows"]))
    already = list(own.facts.get("retired_at", ()))
    told = tell(
        home, "retire", bodies, clock=clock, transport=transport, already=already, progress=progress
    )
    own.note(retired_at=list(told.done))
    return told


def batches(revealed: Sequence[bytes], least: int = 1) -> list[Json]:
    """Bodies that reveal secrets, each of the same size, filled up with ones that retire nothing.

    Whoever sees the bodies cannot tell how many are real. A custodian can, by its roster: it must
    know which locks are shut. So a list's ghosts and spares are shut with its rows.

    Args:
        least: fill up to so many at least; a list's size class, so that their number tells no more.
    """
    bodies: list[Json] = []
    for start in range(0, max(len(revealed), least), BATCH):
        batch = list(revealed[start : start + BATCH])
        batch += [secrets.token_bytes(32) for _ in range(BATCH - len(batch))]
        secrets.SystemRandom().shuffle(batch)
        bodies.append({"secrets": [one.hex() for one in batch]})
    return bodies


def stop(
    home: Home, campaign: str, *, clock: Clock = utc, transport: httpx.BaseTransport | None = None
) -> Told:
    """Stop a campaign at each custodian: after it none of them helps to open a row of it."""
    return tell(home, "stop", [{"campaign": campaign}], clock=clock, transport=transport)


def tell(
    home: Home,
    kind: str,
    bodies: Sequence[Json],
    *,
    clock: Clock,
    transport: httpx.BaseTransport | None = None,
    already: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Told:
    """Send signed calls to every custodian that has not had them; one that is down hides nobody else."""  # noqa: E501
    done, missing = list(already), []
    custodians = home.invite["custodians"]
    for number, custodian in enumerate(custodians):
        progress(number, len(custodians))
        if custodian["id"] in done:
            continue
        if _heard(home, custodian, kind, bodies, clock, transport):
            done.append(custodian["id"])
        else:
            missing.append(custodian["id"])
    progress(len(custodians), len(custodians))
    return Told(tuple(sorted(done)), tuple(missing))


def _heard(
    home: Home,
    custodian: Json,
    kind: str,
    bodies: Sequence[Json],
    clock: Clock,
    transport: httpx.BaseTransport | None,
) -> bool:
    with httpx.Client(transport=transport, timeout=30.0, trust_env=False) as client:
        for body in bodies:
            said = {**body, "custodian": custodian["id"], "expires": stamp(clock() + LIFE)}
            message = close(kind, said, by=home.id, sign=home.sign)
            try:
                # Repeatable, so tried a few times: what was heard twice was heard once.
                call(client, CustodianAddress.of(custodian), f"/{kind}", message, seconds=30)
            except CustodianProblem:
                return False
    return True
