"""The server's JSON API as a tool uses it: signed, patient, nothing believed unchecked."""

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import jwt

from consortium.cli.errors import ApiRefused, CheckRefused, KeysNotYet, Unreachable
from consortium.cli.home import Home, Json
from consortium.clock import Clock, utc
from consortium.custodians import CustodianProblem, TooFewCustodians, dealt_again
from matching.countersigning import believed
from matching.lineage import Signed, check_line
from matching.statement import Statement
from provenance.entry import Drafted, openings_to_json
from provenance.evidence import Checked, Evidence, Policy, check
from provenance.merkle import leaf_hash

AUDIENCE = "trellis-api"
KEYS_SEEN = "keys.json"
"""In a home: the public key and share version of each epoch's keys, as last checked."""
TOKEN_LIFE = timedelta(minutes=4)
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between tries when nobody answers; after the last one the tool says so."""
BUSY = (502, 503, 504)
FULL = 507
"""The server could not keep a part; it kept nothing, and the same again does no harm."""
POLL = (0.2, 0.4, 0.8, 1.5, 3.0, 5.0)
"""Seconds between two looks at a promised entry; the last one repeats."""

K = TypeVar("K")
Params = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SealedKeys:
    """The keys that a list is tokenised and sealed under, each taken from the cosigned log."""

    match: Statement
    seal: Statement
    mailer: bytes = field(repr=False)
    pepper: bytes = field(repr=False)
    match_evidence: Json | None = field(default=None, repr=False)
    """The match statement's evidence from the log, for whoever must judge a custodian by it."""


class Api:
    """One person's line to the server.

    Args:
        home: whose key signs, and whose invite says where the server is and whom to believe.
        transport: another way to reach it, for tests.
        clock: what time it is.
        sleep: how to wait.
    """

    def __init__(
        self,
        home: Home,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = utc,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.home, self.clock, self.sleep = home, clock, sleep
        self.policy = Policy.from_invite(home.invite)
        self._transport = transport
        self._client = httpx.Client(
            base_url=home.invite["api"].rstrip("/") + "/api/v1",
            transport=transport,
            timeout=httpx.Timeout(60.0, connect=5.0),
            trust_env=False,
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    # -- one call ----------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """GET some JSON."""
        return _json(self.call("GET", path))

    def get_bytes(self, path: str) -> bytes:
        """GET exact bytes."""
        return self.call("GET", path).content

    def post(self, path: str, body: Json | None = None, *, again: bool = True) -> Any:
        """POST JSON; ``again`` says that a repeated call does no harm."""
        return _json(self.call("POST", path, json=body or {}, again=again))

    def put(self, path: str, body: Json) -> Any:
        """PUT JSON."""
        return _json(self.call("PUT", path, json=body))

    def put_file(self, path: str, file: Path) -> Any:
        """PUT a file's exact bytes, read as they leave; idempotent on the server."""
        return _json(self.call("PUT", path, file=file))

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Json | None = None,
        file: Path | None = None,
        again: bool = True,
    ) -> httpx.Response:
        """Make one signed call, patiently; a file is read anew for each try.

        Raises:
            ApiRefused: the server said no.
            Unreachable: nobody answered, or only "busy", until the pauses ran out; or the server
                has no room.
        """
        why = "no answer"
        for pause in (*PAUSES, None):
            try:
                with ExitStack() as stack:
                    response = self._client.request(
                        method,
                        path,
                        json=json,
                        content=stack.enter_context(file.open("rb")) if file else None,
                        headers={"Authorization": f"Bearer {self._token()}"},
                    )
            except httpx.TransportError as away:
                why = type(away).__name__
                if not again and not isinstance(away, httpx.ConnectError | httpx.ConnectTimeout):
                    # It may have been done: repeating could do it twice.
                    raise Unreachable(
                        f"the connection broke during {method} {path}; look before repeating"
                    ) from away
            else:
                if response.status_code == FULL:
                    raise Unreachable(
                        f"{_refusal(response)}. Tell the operator. Nothing is lost here: run the "
                        "same command again later."
                    )
                if response.status_code not in BUSY:
                    return _accepted(response)
                why = f"status {response.status_code}"
            if pause is not None:
                self.sleep(pause)
        raise Unreachable(
            f"{self.home.invite['api']} does not answer ({why}). Nothing is lost: run the same "
            "command again later."
        )

    def _token(self) -> str:
        now = self.clock()
        claims = {
            "iss": self.home.id,
            "sub": self.home.id,
            "aud": AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + TOKEN_LIFE).timestamp()),
            "jti": str(uuid4()),
        }
        headers = {"typ": "trellis+jwt", "kid": self.home.id}
        return jwt.encode(claims, self.home.key, algorithm="EdDSA", headers=headers)

    # -- the log -----------------------------------------------------------------------------

    def post_entry(self, drafted: Drafted) -> str:
        """Hand an entry to the log; returns the leaf, in hex, checked against our own bytes."""
        answer = self.post("/log/entries", entry_json(drafted))
        return same_leaf(drafted, answer)

    def published(self, leaf: str) -> Evidence | None:
        """Return the checked evidence of an entry, or None while it waits for the log."""
        answer = self.get(f"/log/entries/{leaf}")
        if not isinstance(answer, dict) or answer.get("state") != "published":
            return None
        evidence = read_evidence(answer.get("evidence"))
        if leaf_hash(evidence.entry).hex() != leaf:
            raise CheckRefused("the server shows evidence of another entry than the one asked for")
        self.check(evidence)
        return evidence

    def wait_published(
        self,
        leaf: str,
        timeout: float,
        progress: Callable[[str], None] = lambda _state: None,
    ) -> Evidence:
        """Wait until an entry is in the log under a quorum of witnesses.

        Args:
            leaf: hex, as promised.
            timeout: seconds.
            progress: told a few words now and then.

        Raises:
            Unreachable: not published in time; the promise stands, and asking again goes on.
            ProvenanceError: what was published does not hold.
        """
        waited, tries = 0.0, 0
        while True:
            evidence = self.published(leaf)
            if evidence is not None:
                return evidence
            if waited >= timeout:
                raise Unreachable(
                    f"entry {leaf[:16]} is promised but not yet published with "
                    f"{self.home.invite['quorum']} witnesses after {timeout:.0f} s. "
                    f"{self._silent_witnesses()} The promise stands: run the same command again "
                    "later."
                )
            pause = min(POLL[min(tries, len(POLL) - 1)], max(timeout - waited, 0.05))
            progress(f"{waited:.0f} s")
            self.sleep(pause)
            waited, tries = waited + pause, tries + 1

    def _silent_witnesses(self) -> str:
        """Say which witnesses nobody reaches from here; any answer at all counts as being there."""
        silent = []
        with httpx.Client(transport=self._transport, timeout=3.0, trust_env=False) as client:
            for witness in self.home.invite["witnesses"]:
                try:
                    client.get(str(witness.get("url") or ""))
                except (httpx.TransportError, httpx.UnsupportedProtocol):
                    silent.append(str(witness["name"]))
        if not silent:
            return "All witnesses answer from here; the log publishes at intervals."
        return f"These witnesses do not answer from here: {', '.join(silent)}."

    def check(self, evidence: Evidence) -> Checked:
        """Check evidence against the policy of the invite; raises a ProvenanceError."""
        return check(evidence, self.policy)

    # -- keys --------------------------------------------------------------------------------

    def key_statements(self) -> SealedKeys:
        """Fetch and check the four keys of the epoch.

        Raises:
            CheckRefused: a key is missing, expired, of another epoch or by the wrong actor.
            ProvenanceError, StatementRefused: evidence or a signature does not hold.
        """
        epoch = self.home.invite["epoch"]
        keys = self.get(f"/keys/{epoch}")
        return SealedKeys(
            match=self._statement(keys, "match"),
            seal=self._statement(keys, "seal"),
            mailer=self._mailer(keys),
            pepper=self._key(keys, "pepper", role="operator"),
            match_evidence=self._line(keys, "match")[-1],
        )

    def match_keys(self) -> tuple[Statement, bytes]:
        """Fetch and check only what tokens need: the match statement and the pepper's key."""
        keys = self.get(f"/keys/{self.home.invite['epoch']}")
        return self._statement(keys, "match"), self._key(keys, "pepper", role="operator")

    def newer_keys(self, keys: K, work: Callable[[K], None], fetch: Callable[[], K]) -> None:
        """Do ``work`` with key statements; once more, with the newest, after a resharing."""
        try:
            work(keys)
        except (CustodianProblem, TooFewCustodians) as problem:
            if not dealt_again(problem):
                raise
            work(fetch())

    def _statement(self, keys: Json, purpose: str) -> Statement:
        """Check the whole line of a key: each version is signed by who held the one before."""
        invite = self.home.invite
        present = sorted(one["id"] for one in invite["custodians"])
        listed = (*invite.get("former", ()), *invite["custodians"])
        publics = {one["id"]: bytes.fromhex(one["public"]) for one in listed}
        line = [self._signed(one, purpose, publics) for one in self._line(keys, purpose)]
        statement = check_line(line, publics)
        wanted = (purpose, invite["epoch"], invite["threshold"], present)
        stated = (statement.purpose, statement.epoch, statement.threshold, sorted(statement.ids))
        if wanted != stated:
            raise CheckRefused(
                f"the {purpose} key is for other custodians, another epoch or another threshold "
                "than the invite names"
            )
        self._remember(statement)
        return statement

    def _line(self, keys: Json, purpose: str) -> list[Any]:
        """Return the evidence of every version, whose newest is what the server calls the key."""
        newest = self._shown(keys, purpose)
        lines = keys.get("lines")
        line = lines.get(purpose) if isinstance(lines, dict) else None
        if not isinstance(line, list) or not line:
            return [newest]
        return line

    def _signed(self, evidence: Any, purpose: str, publics: Mapping[str, bytes]) -> Signed:
        checked = self._key_kind(evidence, purpose, kind="statement")
        if checked.actor not in publics.values():
            raise CheckRefused(f"the {purpose} key was logged by nobody who is a custodian here")
        return Signed.from_facts(checked.facts)

    def _remember(self, statement: Statement) -> None:
        """Hold the server to the key that it showed before: one key an epoch, never an older one.

        What was sealed or tokenised under the first one would be lost under another.
        """
        name = f"{statement.epoch}/{statement.purpose}"
        path = self.home.path / KEYS_SEEN
        known = json.loads(path.read_bytes()) if path.exists() else {}
        seen = known.get(name)
        now = {"public": statement.public.hex(), "version": statement.version}
        if seen is not None and seen["public"] != now["public"]:
            raise CheckRefused(
                f"the {statement.purpose} key of {statement.epoch} is another than this home saw "
                "before: ask the custodians; do not go on"
            )
        if seen is not None and seen["version"] > now["version"]:
            raise CheckRefused(
                f"the {statement.purpose} key's shares are older than this home saw before: the "
                "log, or a copy of it, was put back"
            )
        if seen != now:
            self.home.write_json(KEYS_SEEN, {**known, name: now})

    def _key(self, keys: Json, name: str, *, role: str = "mailer") -> bytes:
        checked = self._key_entry(keys, name, kind=name)
        if checked.actor.hex() != self.home.actor(role=role)["public"]:
            raise CheckRefused(f"the {name} key was not logged by the {role} of the invite")
        if checked.facts.get("epoch") != self.home.invite["epoch"]:
            raise CheckRefused(f"the {name} key is for another epoch")
        expires = checked.facts.get("expires")
        if expires is not None and moment(expires) <= self.clock():
            raise CheckRefused(f"the {name} key has expired; the operator must log a new one")
        return unhex(checked.facts.get("public"))

    def _mailer(self, keys: Json) -> bytes:
        """The mail machine's key: the first, which the invite names, or a countersigned one."""
        self._key(keys, "mailer")
        invite = self.home.invite
        return believed(
            self._key_entry(keys, "mailer", kind="mailer").facts,
            first=invite["mailer_key"],
            publics={c["id"]: bytes.fromhex(c["public"]) for c in invite["custodians"]},
            threshold=invite["threshold"],
        )

    def _key_entry(self, keys: Json, name: str, *, kind: str) -> Checked:
        return self._key_kind(self._shown(keys, name), name, kind=kind)

    def _shown(self, keys: Json, name: str) -> Any:
        if not isinstance(keys, dict) or not keys.get(name):
            raise KeysNotYet(
                f"there is no {name} key in the log yet: the custodians' ceremony or the "
                "operator's set-up is not finished. Try again later."
            )
        return keys[name]

    def _key_kind(self, evidence: Any, name: str, *, kind: str) -> Checked:
        checked = self.check(read_evidence(evidence))
        if checked.kind != "key" or checked.facts.get("kind") != kind:
            raise CheckRefused(f"what the server calls the {name} key is another kind of entry")
        return checked


def entry_json(drafted: Drafted) -> Json:
    """Return an entry and its openings as the API takes them."""
    return {
        "entry": base64.b64encode(drafted.entry).decode(),
        "openings": openings_to_json(drafted.openings),
    }


def same_leaf(drafted: Drafted, answer: Any) -> str:
    """Return our entry's leaf in hex; raises CheckRefused when the server promised another."""
    leaf = leaf_hash(drafted.entry).hex()
    if not isinstance(answer, dict) or answer.get("leaf") != leaf:
        raise CheckRefused("the server promised another entry than the one sent")
    return leaf


def read_evidence(value: Any) -> Evidence:
    """Read evidence from the server's JSON; raises CheckRefused or a ProvenanceError."""
    if not isinstance(value, dict):
        raise CheckRefused("the server shows no evidence where it promised some")
    return Evidence.from_json(value)


def moment(text: Any) -> datetime:
    """Read a UTC time such as 2026-11-21T14:00:00Z; raises CheckRefused."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise CheckRefused("a time is not of the form 2026-11-21T14:00:00Z") from None


def unhex(text: Any) -> bytes:
    """Read lower-case hex; raises CheckRefused."""
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise CheckRefused("a value is not hexadecimal") from None


def unbase64(text: Any) -> bytes:
    """Read standard base64; raises CheckRefused."""
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise CheckRefused("a value is not base64") from None


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise CheckRefused("the server's answer is not JSON") from None


def _accepted(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise _refusal(response)


def _refusal(response: httpx.Response) -> ApiRefused:
    title, detail = response.reason_phrase or "refused", ""
    if "json" in response.headers.get("content-type", ""):
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if isinstance(problem, dict):
            title = str(problem.get("title") or title)
            detail = str(problem.get("detail") or "")
    return ApiRefused(response.status_code, title, detail)
