"""What signing in a browser needs: a key that a tool vouches for, bytes to sign, and their return.

The server never holds a browser's private key. It drafts an entry, the page checks each byte, and
what comes back is checked again like any other entry.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from consortium.service.errors import EntryMisfits, WrongState
from consortium.service.sign_in import SignedIn
from consortium.web.desk import desk
from consortium.web.routes.forms import Promised, Signed, Word
from consortium.web.tokens import Bearer
from consortium.web.who import scripted
from provenance.canonical import canonical, commitment
from provenance.entry import BROWSER_KEY, ENTRY_BYTES, ENTRY_LABEL

router = APIRouter(prefix="/api/v1", include_in_schema=False)
"""What a partner's tool puts before the 32 bytes of a key when it vouches for it."""

Script = Annotated[SignedIn, Depends(scripted)]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewKey(_Body):
    """A key made in a browser."""

    public: Hex32


class Vouched(_Body):
    """A partner's own key stands for a browser's."""

    code: str
    public: Hex32
    signature: Hex64


class Approval(_Body):
    """The entry that was drafted, signed in the browser."""

    entry_unsigned: dict[str, Any]
    signature: Hex64
    openings: dict[str, Any]


class Withdrawal(_Body):
    """A list's withdrawal: the signed entry of each bundle of it, one in each epoch."""

    bundles: Annotated[dict[Word, Signed], Field(min_length=1, max_length=4)]


@router.post("/browser-keys/start")
def start(new: NewKey, request: Request, session: Script) -> dict[str, str]:
    """Keep a browser's key under a code. It counts for nothing until the tool has vouched."""
    code = f"{secrets.randbelow(10**4):04}-{secrets.randbelow(10**4):04}"
    desk(request).start_key(session.caller, new.public, code)
    return {"code": code}


@router.get("/browser-keys/{code}")
def waiting(code: str, request: Request, caller: Bearer) -> dict[str, str]:
    """The key that waits under a code, for its own partner's tool."""
    return {"public": desk(request).waiting_key(caller, code)}


@router.post("/browser-keys", status_code=201)
def vouch(said: Vouched, request: Request, caller: Bearer) -> dict[str, str]:
    """A partner's tool vouches for the key in its browser.

    Raises:
        EntryMisfits: another key waits under that code, or the signature is not the partner's.
    """
    if desk(request).waiting_key(caller, said.code) != said.public:
        raise EntryMisfits("another key waits under that code; compare it with the page")
    own = Ed25519PublicKey.from_public_bytes(bytes.fromhex(desk(request).own_key(caller)))
    try:
        own.verify(bytes.fromhex(said.signature), BROWSER_KEY + bytes.fromhex(said.public))
    except InvalidSignature as error:
        raise EntryMisfits("the signature under the browser's key is not this partner's") from error
    desk(request).vouch_key(said.code, said.signature)
    return {"public": said.public}


@router.get("/campaigns/{id}/approval-draft")
def approval_draft(id: str, public: str, request: Request, session: Script) -> dict[str, Any]:
    """The exact bytes to sign for a yes to this campaign's manifest, and what opens them."""
    digest = desk(request).campaign(session.caller, id).digest
    if digest is None:
        raise WrongState("this campaign has no manifest yet")
    now = request.app.state.clock()
    facts = {"kind": "approve", "campaign": id, "digest": digest}
    body, openings = unsigned("approval", now, public, facts)
    return {
        "message": (ENTRY_LABEL + canonical(body)).hex(),
        "entry_unsigned": body,
        "openings": openings,
        "digest": digest,
    }


@router.put("/campaigns/{id}/browser-approval", status_code=202)
def approve(id: str, signed: Approval, request: Request, session: Script) -> Promised:
    """A yes that was signed in the browser."""
    entry = assembled(signed.entry_unsigned, signed.signature)
    return Promised(leaf=desk(request).approve(session.caller, id, entry, signed.openings))


@router.post("/contributions/{id}/browser-withdrawal", status_code=202)
def withdraw(id: str, said: Withdrawal, request: Request, session: Script) -> Promised:
    """A withdrawal that was written and signed in the browser, an entry for each of its bundles."""
    if id not in said.bundles:
        raise EntryMisfits("the list's own withdrawal is not among those that were signed")
    signed = {one: (entry.raw(), entry.openings) for one, entry in said.bundles.items()}
    return Promised(leaf=desk(request).withdraw(session.caller, signed)[id])


def unsigned(
    kind: str, at: datetime, public: str, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """An entry without its signature and padding, and its openings."""
    openings = {
        name: {"salt": secrets.token_hex(32), "value": value}
        for name, value in {"actor": public, **facts}.items()
    }
    hidden = {
        name: commitment(bytes.fromhex(one["salt"]), one["value"]).hex()
        for name, one in openings.items()
    }
    body = {
        "actor": hidden.pop("actor"),
        "at": at.astimezone(UTC).strftime("%Y-%m-%dT%HZ"),
        "commitments": hidden,
        "type": kind,
    }
    return body, openings


def assembled(body: Mapping[str, Any], signature: str) -> bytes:
    """The entry's bytes; whether they hold is found out by whoever reads them as an entry."""
    whole = {**body, "signature": signature}
    room = ENTRY_BYTES - len(canonical({**whole, "pad": ""}))
    return canonical({**whole, "pad": "0" * max(room, 0)})
