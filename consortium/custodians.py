"""Calling custodians: typed failures that name the custodian, and nothing of what was asked.

CustodianProblem          about one custodian, `.custodian`
|-- CustodianDown         it did not answer; another of the n may
|-- CustodianRefused      it answered no, by a name (`.name`)
`-- CustodianLied         it signed a wrong answer; `.evidence` is the file that shows it
TooFewCustodians          fewer than the threshold answer and agree; says which, and which refusal
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class CustodianAddress:
    """Where a custodian is, and the 32-byte key it signs with."""

    id: str
    url: str
    public: bytes

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> "CustodianAddress":
        """Read one of an invite's custodians."""
        return cls(str(stated["id"]), str(stated["url"]), bytes.fromhex(str(stated["public"])))


class CustodianProblem(Exception):
    """Something is wrong with one custodian."""

    def __init__(self, custodian: str, said: str) -> None:
        super().__init__(f"custodian {custodian} {said}")
        self.custodian = custodian


class CustodianDown(CustodianProblem):
    """It did not answer."""


class CustodianRefused(CustodianProblem):
    """It refused, by name."""

    def __init__(self, custodian: str, name: str, detail: str) -> None:
        super().__init__(custodian, f"refused ({name}): {detail}")
        self.name, self.detail = name, detail


class CustodianLied(CustodianProblem):
    """It signed an answer that its share commitment contradicts."""

    def __init__(self, custodian: str, evidence: Path | None = None) -> None:
        where = f"; evidence in {evidence.name}" if evidence else ""
        super().__init__(custodian, f"answered with another key than the log states{where}")
        self.evidence = evidence


class TooFewCustodians(Exception):
    """Fewer custodians than the threshold answer."""

    def __init__(self, needed: int, problems: Mapping[str, CustodianProblem]) -> None:
        refusing = {
            id: problem.name
            for id, problem in problems.items()
            if isinstance(problem, CustodianRefused)
        }
        silent = ", ".join(sorted(set(problems) - set(refusing)))
        no = ", ".join(f"{id} ({name})" for id, name in sorted(refusing.items()))
        parts = [f"these do not answer: {silent}"] if silent or not no else []
        parts += [f"these refuse: {no}"] if no else []
        super().__init__(f"{needed} custodians are needed; {'; '.join(parts)}")
        self.problems = dict(problems)


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
            raise CustodianDown(address.id, f"cannot answer now: {said.get('detail', '')}")
        if isinstance(said, dict) and "refused" in said:
            raise CustodianRefused(address.id, str(said["refused"]), str(said.get("detail", "")))
    raise CustodianDown(address.id, "does not answer")
