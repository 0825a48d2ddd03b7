"""What the auditor's verbs share: where a log's bytes are, whose keys count, how one fails."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import httpx

from provenance.audit import MOST_BYTES, FolderSource, Source
from provenance.errors import AuditRefused, NoteRefused, PolicyRefused
from provenance.note import Verifier
from provenance.quorum import Policy

MAX_GIVEN = 1 << 28
"""Bytes of the largest receipt or evidence that is read: some 50,000 entries with proofs."""
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


class Checks(click.Group):
    """Verbs that anybody runs on a stranger's files: one that cannot be read is one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; what the computer will not give ends it with the reason and exit code 1."""
        try:
            return super().invoke(ctx)
        except OSError as failed:
            where = failed.filename or "a file"
            raise click.ClickException(f"{where}: {failed.strerror or failed}") from failed


class Unreachable(AuditRefused):
    """Nobody answered: nothing is said about the log."""


@dataclass(frozen=True, slots=True)
class HttpSource:
    """A log served over HTTP."""

    client: httpx.Client
    base: str

    def read(self, path: str) -> bytes | None:
        """See ``provenance.audit.Source``."""
        parts, size = [], 0
        try:
            with self.client.stream("GET", f"{self.base}/{path}") as answer:
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise Unreachable(path, f"cannot be fetched (status {answer.status_code})")
                for part in answer.iter_bytes(1 << 16):
                    parts.append(part)
                    size += len(part)
                    if size > MOST_BYTES:
                        raise Unreachable(path, f"is larger than {MOST_BYTES:,} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as refused:
            raise Unreachable(path, f"cannot be fetched ({type(refused).__name__})") from refused
        return b"".join(parts)

    def list(self) -> Iterable[str] | None:
        """Nothing can be listed over HTTP."""
        return None


@contextmanager
def opened(log: str) -> Iterator[Source]:
    """The log in a folder or at an address.

    Raises:
        AuditRefused: it is no folder.
    """
    if log.startswith(("http://", "https://")):
        with httpx.Client(timeout=30, follow_redirects=True) as client:
            yield HttpSource(client, log.rstrip("/"))
    elif Path(log).is_dir():
        yield FolderSource(Path(log))
    else:
        raise AuditRefused(log, "is neither a folder nor an address")


def whose_keys(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say whose signatures count; the verb gets ``policy`` and ``invite``."""

    @functools.wraps(command)
    def called(
        vkey: str | None,
        witnesses: Sequence[str],
        quorum: int | None,
        policy_file: Path | None,
        invite: Path | None,
        **rest: Any,
    ) -> Any:
        policy = _trusted(vkey, witnesses, quorum, policy_file, invite)
        return command(policy=policy, invite=invite, **rest)

    for option in _KEYS:
        called = option(called)
    return called


_KEYS = (
    click.option("--invite", type=FILE, help="An invite that you trust: log, witnesses, people."),
    click.option("--policy", "policy_file", type=FILE, help="A tlog-policy file instead of keys."),
    click.option(
        "--quorum",
        type=click.IntRange(min=0),
        help="How many of the witnesses must have cosigned; all of them by default.",
    ),
    click.option(
        "--witness",
        "witnesses",
        multiple=True,
        metavar="VKEY|FILE",
        help="A witness's verifier key; repeat for each.",
    ),
    click.option("--vkey", metavar="VKEY|FILE", help="The log's verifier key."),
)

json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")


def _trusted(
    vkey: str | None,
    witnesses: Sequence[str],
    quorum: int | None,
    policy_file: Path | None,
    invite: Path | None,
) -> Policy | None:
    """Whose signatures count, from what the person gave; None when that is nothing."""
    try:
        if policy_file is not None:
            return Policy.from_text(read_whole(policy_file).decode("utf-8"))
        if vkey is not None:
            keys = [_verifier(one) for one in witnesses]
            return Policy.of(_verifier(vkey), keys, len(keys) if quorum is None else quorum)
        return None if invite is None else Policy.from_invite(read_json(invite))
    except UnicodeDecodeError as refused:
        raise click.ClickException(
            "a file that should hold a key or a policy is no text"
        ) from refused
    except (NoteRefused, PolicyRefused) as refused:
        raise click.ClickException(str(refused)) from refused


def needed_policy(policy: Policy | None) -> Policy:
    """The policy, or words that say how to give one."""
    if policy is None:
        raise click.UsageError("whose log is it? Give --vkey and --witness, --policy or --invite")
    return policy


def _verifier(words: str) -> Verifier:
    """From a verifier key, or from a file that holds one."""
    try:
        return Verifier.from_vkey(words)
    except NoteRefused as refused:
        path = Path(words)
        if not path.is_file():
            raise NoteRefused(f"{words!r} is neither a verifier key nor a file") from refused
        return Verifier.from_vkey(read_whole(path).decode("utf-8").strip("\n"))


def read_whole(path: Path) -> bytes:
    """A file that somebody gave; of one that is too large no more than shows it is read."""
    with path.open("rb") as file:
        raw = file.read(MAX_GIVEN + 1)
    if len(raw) > MAX_GIVEN:
        raise click.ClickException(f"{path} is larger than {MAX_GIVEN:,} bytes")
    return raw


def loaded(raw: bytes) -> Any:
    """JSON of a stranger, or ValueError in words that quote nothing of it."""
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("JSON that goes deeper than anything here") from None
    except json.JSONDecodeError as refused:
        where = f"from line {refused.lineno}, column {refused.colno} on"
        raise ValueError(f"not JSON {where}") from None
    except ValueError:  # not UTF-8, or a number of thousands of digits
        raise ValueError("not JSON") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    try:
        found = loaded(read_whole(path))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.ClickException(f"{path} holds no JSON object")
    return found


def actors_of(invite: Mapping[str, Any]) -> dict[str, bytes]:
    """Who is who, custodians aside: id to 32-byte public key.

    Raises:
        PolicyRefused: the invite does not say it.
    """
    try:
        return {str(one["id"]): bytes.fromhex(one["public"]) for one in invite["actors"]}
    except (KeyError, TypeError, ValueError) as refused:
        raise PolicyRefused("the invite does not say who is who") from refused


def custodians_of(invite: Mapping[str, Any]) -> dict[str, bytes]:
    """Custodians' keys by id, also of those who left: they signed what is in the log.

    Raises:
        PolicyRefused: the invite does not say them.
    """
    try:
        listed = (*invite.get("former", ()), *invite["custodians"])
        return {str(one["id"]): bytes.fromhex(one["public"]) for one in listed}
    except (KeyError, TypeError, ValueError) as refused:
        raise PolicyRefused("the invite does not say who the custodians are") from refused


def fail(as_json: bool, why: str, *, file: str, code: int = 1, **more: Any) -> NoReturn:
    """End with the reason, on stderr or as JSON."""
    if as_json:
        click.echo(json.dumps({"ok": False, "file": file, "why": why, **more}, indent=1))
    else:
        click.echo(f"FAILED  {why}", err=True)
    sys.exit(code)


def show_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(value, indent=1, sort_keys=True))


def moment(at: datetime) -> str:
    """A time as people and machines read it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
