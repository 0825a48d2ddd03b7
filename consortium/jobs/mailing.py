"""Release, open, render and send one slice. The only module that may import mailer.unseal."""

import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.custodians import CustodianAddress, CustodianProblem, TooFewCustodians
from consortium.jobs import relay
from consortium.jobs.celery import app, process
from consortium.release_client import ReleaseClient
from consortium.service import enter, look, send
from consortium.store import campaigns, log
from consortium.store.errors import LeaseLost, Missing
from consortium.store.unit import Unit
from consortium.wiring import pen, read_key
from mailer import doubts, keys, unseal
from mailer.dkim import Signer, from_pem
from mailer.seal import Payload
from mailer.smtp import Server, SmtpTransport
from matching.statement import Statement
from provenance.evidence import check

SELECTOR = "trellis"
KEY_LIFE = timedelta(days=30)


class Custodians:
    """``service.send.Custodians`` over HTTP."""

    def __init__(self) -> None:
        self._client: ReleaseClient | None = None

    def _reach(self) -> ReleaseClient:
        """Build the client from the sealing key's statement in the cosigned log."""
        if self._client is None:
            here, invite = process(), process().invite()
            found = here.units.run(
                "seal-key", lambda unit: look.keys(unit, str(invite["epoch"]), here.log_files)
            )["seal"]
            if found is None:
                raise Missing("the sealing key's statement is not in the log yet")
            said = check(found, here.units.run("policy", look.policy))
            seed = read_key(here.settings.mailer_home / "signing.key")
            listed = invite["custodians"]
            assert isinstance(listed, list)
            self._client = ReleaseClient(
                Statement.from_json(said.facts["statement"]),
                [CustodianAddress.of(one) for one in listed],
                mailer="mailer",
                sign=Ed25519PrivateKey.from_private_bytes(seed).sign,
            )
        return self._client

    def shared(
        self,
        manifest: Mapping[str, Any],
        *,
        agreement: bytes,
        evidence: Mapping[str, Any],
        nonce: bytes,
        locks: Sequence[bytes],
    ) -> dict[bytes, bytes]:
        """The shared point of every lock that is not retired."""
        client = self._reach()
        opened = client.open_release(
            manifest, agreement=agreement, evidence=evidence, nonce=nonce, locks=locks
        )
        points: list[bytes | None] = []
        for chunk in range(opened.chunks):
            points += client.answers(opened, chunk)
        return {lock: point for lock, point in zip(locks, points, strict=True) if point is not None}

    def close(self, campaign: str) -> int:
        """Ask for the signed totals; each custodian puts its own into the log."""
        return len(self._reach().close_release(campaign))


class Opener:
    """Opens rows; a bundle's key is unwrapped once and kept in memory."""

    def __init__(self, private: bytes) -> None:
        self._private = private
        self._keys: dict[str, bytes] = {}

    def __call__(self, row: send.SealedRow, shared: bytes) -> Payload:
        """Open one row with its shared point."""
        if row.bundle not in self._keys:
            header = {name: value for name, value in row.header.items() if name != "commitment"}
            self._keys[row.bundle] = unseal.unwrap(
                row.wrapped,
                bytes.fromhex(str(row.header["commitment"])),
                rfc8785.dumps(header),
                self._private,
            )
        bundle = bytes.fromhex(row.bundle.replace("-", ""))
        return unseal.unseal(
            row.sealed,
            dek=self._keys[row.bundle],
            shared=shared,
            bundle=bundle,
            tag=row.tag,
            lock=row.lock,
        )


class MtaLog:
    """``service.send.Doubts`` over the mail server's log: our sink's, or Postfix's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def accepted(self, verp: str) -> str | None:
        """The queue id under which a letter from this return path was taken."""
        return (
            doubts.find(self._path, verp)
            if self._ours
            else doubts.find_in_postfix(self._path, verp)
        )

    def complete_since(self, at: datetime) -> bool:
        """Whether the log surely holds everything since then."""
        if self._ours:
            return doubts.complete_since(self._path, at)
        return doubts.postfix_complete_since(self._path, at)

    @property
    def _ours(self) -> bool:
        return self._path.suffix == ".jsonl"


@cache
def office() -> send.PostOffice:
    """This process's post office, its keys read from the mailer's home once."""
    here = process()
    home, host = here.settings.mailer_home, here.settings.smtp
    server = Server(host.rpartition(":")[0], int(host.rpartition(":")[2]), tls="off")
    signers = {
        path.stem: Signer(
            (path.with_suffix(".domain")).read_text().strip(), SELECTOR, from_pem(path.read_bytes())
        )
        for path in sorted((home / "dkim").glob("*.pem"))
    }
    return send.PostOffice(
        units=here.units,
        artefacts=here.artefacts,
        log_files=here.log_files,
        clock=here.clock,
        keys=send.MailKeys(
            read_key(home / "delivery.key"),
            read_key(home / "stop.key"),
            read_key(home / "choice.key"),
        ),
        custodians=Custodians(),
        open_row=Opener(read_key(home / "hpke.key")),
        transport=lambda: SmtpTransport(server),
        signers=signers,
        doubts=None if here.settings.smtp_log is None else MtaLog(here.settings.smtp_log),
        public_url=here.settings.public_url,
        per_second=here.settings.letters_per_second,
        name=f"{os.getpid()}-{secrets.token_hex(4)}",
    )


def announce() -> None:
    """Put the mailer's public key into the log, once an epoch."""
    here, invite = process(), process().invite()
    home = here.settings.mailer_home
    mine = pen("mailer", read_key(home / "signing.key"))
    facts = {
        "kind": "mailer",
        "epoch": invite["epoch"],
        "public": keys.public_of(read_key(home / "hpke.key")).hex(),
        "expires": f"{here.clock() + KEY_LIFE:%Y-%m-%dT%H:%M:%SZ}",
    }

    def say(unit: Unit) -> None:
        said = [
            one.openings["public"]["value"]
            for one in log.of_kind(unit, "key", "mailer")
            if one.openings
        ]
        if facts["public"] not in said:
            enter.write(unit, mine, "key", facts, now=here.clock())

    here.units.run("announce", say)


@app.task(name="mail")  # type: ignore[untyped-decorator]
def run(campaign: str | None = None) -> None:
    """Send what is due: one campaign, or all. Delivered at least once; sending is at most once."""
    post = office()
    for id in [campaign] if campaign is not None else send.due(post):
        try:
            send.send(post, id)
        except LeaseLost:
            continue  # another mailer is at it
        except (CustodianProblem, TooFewCustodians, Missing) as error:
            _say(id, str(error))
    relay.answered("mail")


def _say(id: str, why: str) -> None:
    """Let people see what a campaign waits for; the words name machines, never people."""
    process().units.run("mail-wait", lambda unit: campaigns.change(unit, id, waiting_for=why[:200]))
