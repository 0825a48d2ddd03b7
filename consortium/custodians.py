"""Calling custodians: typed failures that name the custodian, and nothing of what was asked.

CustodianProblem          about one custodian, `.custodian`
|-- CustodianDown         it did not answer; another of the n may
|   `-- CustodianNotNow   it is there and cannot now; `.detail` says what it said, such as its hours
|-- CustodianRefused      it answered no, by a name (`.name`)
`-- CustodianLied         it signed a wrong answer; `.evidence` is the file that shows it
TooFewCustodians          fewer than the threshold answer and agree; says which, and which refusal
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from consortium.hours import ALWAYS, Hours, HoursRefused, read_hours

WRONG_VERSION = "wrong-version"


@dataclass(frozen=True, slots=True)
class CustodianAddress:
    """Where a custodian is, and the 32-byte key it signs with."""

    id: str
    url: str
    public: bytes
    hours: Hours = ALWAYS

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> "CustodianAddress":
        """Read one of an invite's custodians; unreadable hours are no hint, and no harm."""
        try:
            hours = read_hours(
                str(stated.get("hours", "always")), str(stated.get("time_zone", "UTC"))
            )
        except HoursRefused:
            hours = ALWAYS
        public = bytes.fromhex(str(stated["public"]))
        return cls(str(stated["id"]), str(stated["url"]), public, hours)


class CustodianProblem(Exception):
    """Something is wrong with one custodian."""

    def __init__(self, custodian: str, said: str) -> None:
        super().__init__(f"custodian {custodian} {said}")
        self.custodian = custodian


@dataclass(frozen=True, slots=True)
class Shown:
    """What custodians are shown so that they open a campaign.

    Attributes:
        manifest: what was approved.
        agreement: its exact bytes.
        evidence: ``{"agreement": [...], "approvals": [...], "attestations": [...], "intent":
            ..., "browser_keys": ...}``, entries of the log in Evidence's JSON form.
        nonce: the campaign's, 32 bytes, as in the intent.
        locks: the released set, 32 bytes each; chunks are cut from this order.
        without: custodians that are not asked, by id, and what is wrong with each.
    """

    manifest: Mapping[str, Any]
    agreement: bytes = field(repr=False)
    evidence: Mapping[str, Any] = field(repr=False)
    nonce: bytes = field(repr=False)
    locks: Sequence[bytes] = field(repr=False)
    without: Mapping[str, CustodianProblem] = field(default_factory=dict)

    @property
    def campaign(self) -> str:
        """Its id."""
        return str(self.manifest["campaign"])


class CustodianDown(CustodianProblem):
    """It did not answer."""


class CustodianNotNow(CustodianDown):
    """It is there, and says that it cannot answer now."""

    def __init__(self, custodian: str, detail: str, name: str = "") -> None:
        super().__init__(custodian, f"cannot answer now: {detail}")
        self.detail, self.name = detail, name

    @property
    def soon(self) -> bool:
        """Whether it only waits for the log to show what it has said there."""
        return self.name.startswith("not-yet-")


class CustodianRefused(CustodianProblem):
    """It refused, by name."""

    def __init__(self, custodian: str, name: str, detail: str) -> None:
        super().__init__(custodian, f"refused ({name}): {detail}")
        self.name, self.detail = name, detail


class CustodianLied(CustodianProblem):
    """It signed an answer that its share commitment contradicts."""

    def __init__(
        self,
        custodian: str,
        evidence: Path | None = None,
        said: str = "answered with another key than the log states",
    ) -> None:
        where = f"; evidence in {evidence.name}" if evidence else ""
        super().__init__(custodian, said + where)
        self.evidence = evidence


class TooFewCustodians(Exception):
    """Fewer custodians than the threshold answer."""

    def __init__(self, needed: int, problems: Mapping[str, CustodianProblem]) -> None:
        refusing = {
            id: problem.name
            for id, problem in problems.items()
            if isinstance(problem, CustodianRefused)
        }
        later = {
            id: problem.detail
            for id, problem in problems.items()
            if isinstance(problem, CustodianNotNow)
        }
        silent = ", ".join(sorted(set(problems) - set(refusing) - set(later)))
        no = ", ".join(f"{id} ({name})" for id, name in sorted(refusing.items()))
        then = "; ".join(f"{id} cannot now: {detail}" for id, detail in sorted(later.items()))
        parts = [f"these do not answer: {silent}"] if silent or not (no or then) else []
        parts += [then] if then else []
        parts += [f"these refuse: {no}"] if no else []
        super().__init__(f"{needed} custodians are needed; {'; '.join(parts)}")
        self.problems = dict(problems)


def dealt_again(problem: Exception) -> bool:
    """Whether custodians hold other shares than the caller's statement says: a resharing came
    between, and the newest statement in the log is needed.
    """
    each = problem.problems.values() if isinstance(problem, TooFewCustodians) else [problem]
    return any(isinstance(one, CustodianRefused) and one.name == WRONG_VERSION for one in each)


def call(
    client: httpx.Client,
    address: CustodianAddress,
    path: str,
    body: Mapping[str, Any],
    *,
    tries: int = 3,
    seconds: float = 120,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """POST to a custodian; calls are repeatable by design, so a broken connection is tried again.

    Args:
        seconds: how long one answer may take; a batch takes about one, a large release minutes.

    Raises:
        CustodianDown: no answer, or a broken one.
        CustodianRefused: with the name it gave.
    """
    for tried in range(tries):
        try:
            answer = client.post(
                address.url.rstrip("/") + path,
                json=dict(body),
                timeout=httpx.Timeout(seconds, connect=10),
            )
            said = answer.json()
        except (httpx.HTTPError, ValueError):
            if tried + 1 < tries:
                pause(0.2 * (tried + 1))
            continue
        if answer.status_code == 200:
            return dict(said)
        if isinstance(said, dict) and "refused" in said and answer.status_code >= 500:
            # It is there but cannot help now; another of the n may.
            raise CustodianNotNow(address.id, str(said.get("detail", "")), str(said["refused"]))
        if isinstance(said, dict) and "refused" in said:
            raise CustodianRefused(address.id, str(said["refused"]), str(said.get("detail", "")))
    raise CustodianDown(address.id, "does not answer")


def call_patiently(
    work: Callable[[], dict[str, Any]],
    *,
    patience: float,
    wait: Callable[[CustodianNotNow], None],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Repeat a call while the custodian waits for the log; anything else is raised as it is.

    Args:
        work: the call, as `call` makes it.
        patience: seconds; a log publishes hourly by default.
        wait: told once, so that a person knows what is waited for.

    Raises:
        CustodianProblem: as `call`, or what the custodian still says when the patience is over.
    """
    until, step, told = clock() + patience, 0.25, False
    while True:
        try:
            return work()
        except CustodianNotNow as later:
            if not later.soon or clock() >= until:
                raise
            if not told:
                wait(later)
            told = True
        pause(step)
        step = min(step * 2, 5.0)
