"""An attacker who has an old, foreign, forged or bent token is nobody to the API.

Threat: whoever reads one request in a proxy's log, or holds any other key of this world.
"""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.actors import private, public
from tests.fakes.server import Server

PATH = "/api/v1/contributions"
HEADERS = {"typ": "trellis+jwt", "kid": "union"}


def ask(server: Server, token: str, scheme: str = "Bearer") -> Any:
    return server.client.get(PATH, headers={"Authorization": f"{scheme} {token}"})


def signed(
    server: Server,
    headers: dict[str, Any] | None = None,
    key: str = "union",
    drop: str = "",
    **claims: Any,
) -> str:
    """A token for union, one thing about it bent."""
    said = server.claims("union", **claims)
    said.pop(drop, None)
    return jwt.encode(said, private(key), algorithm="EdDSA", headers={**HEADERS, **(headers or {})})


def raw(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def by_hand(server: Server, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """As ``raw``, and truly signed: what no library would write."""
    head = raw(header, claims).rsplit(".", 1)[0]
    made = private("union").sign(head.encode())
    return f"{head}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def hmac_by_public_key(server: Server) -> str:
    """The old trick: the public key's own text as an HMAC key."""
    header = {"alg": "HS256", **HEADERS}
    pem = (
        private("union").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    head = raw(header, server.claims("union")).rsplit(".", 1)[0]
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    made = mac.sign(head.encode(), pem)
    return f"{head}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def rsa_signed(server: Server) -> str:
    key = rsa.generate_private_key(65537, 2048)
    return jwt.encode(server.claims("union"), key, algorithm="RS256", headers=HEADERS)


def now(server: Server) -> int:
    return int(server.clock().timestamp())


BENT: dict[str, Callable[[Server], str]] = {
    "alg none": lambda s: raw({"alg": "none", **HEADERS}, s.claims("union")),
    "alg None, signed": lambda s: by_hand(s, {"alg": "None", **HEADERS}, s.claims("union")),
    "HS256 with the public key": hmac_by_public_key,
    "HS256 with a guess": lambda s: jwt.encode(
        s.claims("union"), "secret-of-thirty-two-bytes-or-more", "HS256", HEADERS
    ),
    "RS256": rsa_signed,
    "no signature": lambda s: signed(s).rsplit(".", 1)[0] + ".",
    "a flipped bit": lambda s: (lambda t: t[:-10] + ("A" if t[-10] != "A" else "B") + t[-9:])(
        signed(s)
    ),
    "typ JWT": lambda s: signed(s, {"typ": "JWT"}),
    "typ at+jwt": lambda s: signed(s, {"typ": "at+jwt"}),
    "typ missing": lambda s: by_hand(s, {"alg": "EdDSA", "kid": "union"}, s.claims("union")),
    "kid missing": lambda s: by_hand(s, {"alg": "EdDSA", "typ": "trellis+jwt"}, s.claims("union")),
    "kid a number": lambda s: by_hand(
        s, {"alg": "EdDSA", "typ": "trellis+jwt", "kid": 1}, s.claims("union")
    ),
    "kid nobody's": lambda s: signed(s, {"kid": "nobody"}),
    "kid with a NUL": lambda s: signed(s, {"kid": "union\0"}),
    "kid another partner's": lambda s: signed(s, {"kid": "parks"}),
    "kid and key another's, claims union's": lambda s: signed(s, {"kid": "parks"}, key="parks"),
    "another's key": lambda s: signed(s, key="parks"),
    "a key brought along": lambda s: signed(
        s,
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": public("mallory").hex()}},
        key="mallory",
    ),
    "crit": lambda s: by_hand(
        s, {"alg": "EdDSA", **HEADERS, "crit": ["b64"], "b64": True}, s.claims("union")
    ),
    "crit empty": lambda s: by_hand(s, {"alg": "EdDSA", **HEADERS, "crit": []}, s.claims("union")),
    **{
        f"no {name}": (lambda s, name=name: signed(s, drop=name))
        for name in ("iss", "sub", "aud", "iat", "exp", "jti")
    },
    "iss another's": lambda s: signed(s, iss="parks"),
    "sub another's": lambda s: signed(s, sub="parks"),
    "aud another service": lambda s: signed(s, aud="trellis-custodian"),
    "aud a list": lambda s: signed(s, aud=["trellis-api"]),
    "aud two": lambda s: signed(s, aud=["trellis-api", "trellis-custodian"]),
    "aud empty": lambda s: signed(s, aud=""),
    "expired": lambda s: signed(s, iat=now(s) - 200, exp=now(s) - 1),
    "expires now": lambda s: signed(s, iat=now(s) - 200, exp=now(s)),
    "from the future": lambda s: signed(s, iat=now(s) + 31, exp=now(s) + 200),
    "lives too long": lambda s: signed(s, exp=now(s) + 301),
    "lives for ever": lambda s: signed(s, exp=1 << 62),
    "ends before it begins": lambda s: signed(s, iat=now(s) + 20, exp=now(s) + 10),
    "exp a text": lambda s: by_hand(
        s, {"alg": "EdDSA", **HEADERS}, {**s.claims("union"), "exp": str(now(s) + 99)}
    ),
    "exp a fraction": lambda s: by_hand(
        s, {"alg": "EdDSA", **HEADERS}, {**s.claims("union"), "exp": now(s) + 99.5}
    ),
    "iat true": lambda s: by_hand(
        s, {"alg": "EdDSA", **HEADERS}, {**s.claims("union"), "iat": True}
    ),
    "nbf in the future": lambda s: signed(s, nbf=1 << 40),
    "jti short": lambda s: signed(s, jti="x" * 15),
    "jti long": lambda s: signed(s, jti="x" * 65),
    "jti a number": lambda s: by_hand(
        s, {"alg": "EdDSA", **HEADERS}, {**s.claims("union"), "jti": 10**20}
    ),
    "jti with a NUL": lambda s: signed(s, jti="\0" * 20),
    "claims a list": lambda s: by_hand(s, {"alg": "EdDSA", **HEADERS}, []),  # type: ignore[arg-type]
    "not a token": lambda _: "abc",
    "four parts": lambda s: signed(s) + ".x",
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("bent", BENT)
def test_a_bent_token_is_nobodys(server: Server, bent: str) -> None:
    answer = ask(server, BENT[bent](server))
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Sign in first"


def test_the_refusal_does_not_say_which_part_was_wrong(server: Server) -> None:
    told = {ask(server, make(server)).text for name, make in BENT.items() if name != "nothing"}
    assert len(told) == 1


def test_the_same_token_unbent_is_good_once(server: Server) -> None:
    token = signed(server)
    assert ask(server, token).status_code == 200
    assert ask(server, token).status_code == 401


def test_a_signature_from_another_token_of_the_same_actor_is_refused(server: Server) -> None:
    one, two = signed(server).split("."), signed(server).split(".")
    assert ask(server, ".".join((one[0], one[1], two[2]))).status_code == 401


def test_two_at_one_instant_with_one_token_are_one(any_server: Server) -> None:
    token = signed(any_server)
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: ask(any_server, token).status_code, range(4))
    assert sorted(answers) == [200, 401, 401, 401]


def test_a_token_id_is_remembered_for_as_long_as_its_token_lives(server: Server) -> None:
    token = signed(server, exp=now(server) + 300)
    assert ask(server, token).status_code == 200
    for seconds in (150, 149, 1):
        server.clock.now += timedelta(seconds=seconds)
        ask(server, signed(server))  # others come by, and old ids are swept
        assert ask(server, token).status_code == 401


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_no_other_scheme_is_taken(server: Server, scheme: str) -> None:
    assert ask(server, signed(server), scheme).status_code == 401


def test_a_token_in_the_address_is_no_token(server: Server) -> None:
    token = signed(server)
    for name in ("access_token", "token", "authorization"):
        assert server.client.get(PATH, params={name: token}).status_code == 401


OPEN = {
    ("GET", "/api/v1/log"),  # the public log's head, and what is opened to everybody
    ("GET", "/api/v1/log/opened"),
    ("GET", "/api/v1/log/withdrawals"),
    ("POST", "/api/v1/log/entries"),  # its own signature is its authority
    ("GET", "/api/v1/log/entries/{leaf}"),
    ("GET", "/api/v1/keys/{epoch}"),
    ("GET", "/api/v1/roster"),
    ("GET", "/api/v1/roster/{number}"),
    ("GET", "/api/v1/races/{race}/agreement"),
}


def test_every_other_call_wants_a_token(server: Server) -> None:
    words = {"race": "oh-house-44", "id": "11111111-1111-4111-8111-111111111111", "part": "rows"}
    words["number"] = "1"
    tried = 0
    for path, methods in server.client.get("/api/openapi.json").json()["paths"].items():
        for method in methods:
            if not path.startswith("/api/v1") or (method.upper(), path) in OPEN:
                continue
            url = path.format(**{**words, "part": "rows" if "contrib" in path else "outputs"})
            answer = server.client.request(method, url, json={})
            # A body is looked at first where there is one; it is empty here.
            assert answer.status_code in (401, 422), (method, path)
            if method == "get":
                assert answer.status_code == 401, path
            tried += 1
    assert tried > 20
