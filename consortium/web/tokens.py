"""Who is calling the API: an actor's own signed, short-lived, single-use token.

Decided after what PyJWT does and does not check: EdDSA only, the header's type is ours, every claim
is required, the audience is one string, a token lives five minutes at most and is good once.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Depends, Request

from consortium.service.errors import NotSignedIn
from consortium.service.sign_in import as_caller
from consortium.store import actors, doors
from consortium.store.errors import Conflict, Missing
from consortium.store.unit import Unit
from consortium.web.begin import AllUnits, Now
from policies.authorise import Caller

AUDIENCE = "trellis-api"
TYPE = "trellis+jwt"
LIFE = timedelta(minutes=5)
LEEWAY = timedelta(seconds=30)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KID = re.compile(r"[a-z0-9-]{1,40}\Z")
_JTI = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")


def bearer(request: Request, all_units: AllUnits, now: Now) -> Caller:
    """The actor whose token came with the request.

    Raises:
        NotSignedIn: no token, or one that is not exactly as it must be; which part is not told.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn("this call needs a signed token")
    return all_units.run("who", lambda unit: read(unit, token, now()))


def read(unit: Unit, token: str, now: datetime) -> Caller:
    """Check one token and spend it.

    Raises:
        NotSignedIn: always the same words, whatever is wrong.
    """
    refused = NotSignedIn("that token is not valid, was used before, or is too old")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != TYPE or header.get("alg") != "EdDSA" or "crit" in header:
            raise refused
        kid = header.get("kid")
        if not isinstance(kid, str) or not _KID.match(kid):
            raise refused
        actor = actors.get(unit, kid)
        claims: dict[str, Any] = jwt.decode(
            token,
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(actor.public)),
            algorithms=["EdDSA"],
            audience=AUDIENCE,
            issuer=actor.id,
            options={
                "require": ["exp", "iat", "aud", "iss", "sub", "jti"],
                "strict_aud": True,
                "verify_exp": False,  # our own clock judges, below
                "verify_iat": False,
            },
        )
        issued, expires = _moment(claims["iat"]), _moment(claims["exp"])
    except (jwt.PyJWTError, Missing, ValueError, TypeError, OverflowError) as error:
        raise refused from error
    if claims["sub"] != actor.id or not issued - LEEWAY <= now < expires:
        raise refused
    if not timedelta(0) < expires - issued <= LIFE:
        raise refused
    jti = claims["jti"]
    if not isinstance(jti, str) or not _JTI.match(jti):
        raise refused
    try:
        doors.spend_token(unit, jti, expires, now)
    except Conflict as error:
        raise refused from error
    return as_caller(actor)


def _moment(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise TypeError("a time is a whole number")
    return EPOCH + timedelta(seconds=seconds)  # fromtimestamp fails in ways of the platform's own


def perhaps(request: Request, all_units: AllUnits, now: Now) -> Caller | None:
    """As ``bearer``, for calls that anybody may make: None when no token came.

    Raises:
        NotSignedIn: a token came and is not valid.
    """
    return bearer(request, all_units, now) if "authorization" in request.headers else None


Bearer = Annotated[Caller, Depends(bearer)]
Perhaps = Annotated[Caller | None, Depends(perhaps)]
