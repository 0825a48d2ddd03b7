"""The server's API and three custodians in memory: real keys, real proofs, a real cosigned tree."""

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consortium.custodian.for_partners import KIND, for_partner
from consortium.custodian.standing import Account, Campaign, Share, Standing
from mailer import keys as mailer_keys
from matching import group, locks
from matching.envelope import close, open_
from matching.evaluation import answer, read_request, request_digest, sign_response
from matching.statement import Statement, signed_bytes
from policies.agreement import default, to_bytes
from provenance.canonical import openings_from_json
from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.entry import Drafted, opened
from provenance.evidence import Evidence
from provenance.merkle import inclusion_path, leaf_hash, nodes_of, tree_root
from provenance.note import parse_note
from provenance.receipt import make_receipt
from provenance.rows import label_of
from provenance.witness import cosign
from tests.fakes.actors import LOG, ORIGIN, WITNESSES, made, private, public
from tests.fakes.dealer import split

NOW = datetime(2026, 10, 2, 12, tzinfo=UTC)
EPOCH, RACE = "2026-season", "co-house-44"
CUSTODIANS = ("c1", "c2", "c3")
PARTNER, STEWARD, COORDINATOR = "river-union", "county-steward", "lead"


def hex_public(name: str) -> str:
    """A test actor's public key in hex."""
    return public(name).hex()


@dataclass
class FakeWorld:
    """Everything beyond a tool's folder. Its fields are for tests to look at and to damage."""

    minimum: int = 100
    log: list[bytes] = field(default_factory=list)
    openings: dict[str, Any] = field(default_factory=dict)
    published: bool = True
    calls: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    parts: dict[str, bytes] = field(default_factory=dict)
    contributions: dict[str, Any] = field(default_factory=dict)
    rolls: dict[str, Any] = field(default_factory=dict)
    campaigns: dict[str, Any] = field(default_factory=dict)
    own: str = ""
    tested: list[str] = field(default_factory=list)
    audiences: dict[str, Any] = field(default_factory=dict)
    approvals: dict[str, Any] = field(default_factory=dict)
    roster: list[bytes] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    lines: dict[str, list[str]] = field(default_factory=dict)
    drop_after: int | None = None
    charged: dict[str, dict[str, int]] = field(default_factory=dict)
    batch: int = 4096
    lying: set[str] = field(default_factory=set)
    retired: dict[str, set[str]] = field(default_factory=dict)
    taken_back: dict[str, list[str]] = field(default_factory=dict)
    stands: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    trails: dict[str, list[str]] = field(default_factory=dict)
    stops: list[dict[str, str]] = field(default_factory=list)
    gauged: dict[str, int] = field(default_factory=dict)
    labels: list[bytes] = field(default_factory=list)
    left: str = ""
    programmes: dict[str, Any] = field(default_factory=dict)
    browsers: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mailer = mailer_keys.generate()
        self.pepper = X25519PrivateKey.generate()
        self.match, self.shares = split(
            group.reduce(b"m" * 64), threshold=2, ids=CUSTODIANS, epoch=EPOCH
        )
        self.seal, self.seal_shares = split(
            group.reduce(b"s" * 64), threshold=2, ids=CUSTODIANS, purpose="seal", epoch=EPOCH
        )
        self.actors = [
            {
                "id": PARTNER,
                "role": "partner",
                "name": "River Union",
                "public": hex_public(PARTNER),
            },
            {"id": STEWARD, "role": "steward", "name": "Steward", "public": hex_public(STEWARD)},
            {
                "id": COORDINATOR,
                "role": "coordinator",
                "name": "Lead",
                "public": hex_public("lead"),
            },
            {"id": "operator", "role": "operator", "name": "Op", "public": hex_public("operator")},
            {"id": "mailer", "role": "mailer", "name": "Mail", "public": hex_public("mailer")},
        ]
        self.by_sid = {self.match.sid: (self.match, self.shares)}
        self.following: dict[str, dict[str, str]] = {}
        self.asked: dict[str, Any] = {}
        self.keys = {
            "match": self.put(self._statement(self.match)),
            "seal": self.put(self._statement(self.seal)),
            "mailer": self.put(
                made("mailer", "key", NOW, kind="mailer", epoch=EPOCH,
                     public=self.mailer.public.hex(), expires="2026-11-01T00:00:00Z")
            ),
            "pepper": self.put(
                made("operator", "key", NOW, kind="pepper", epoch=EPOCH,
                     public=self.pepper.public_key().public_bytes_raw().hex())
            ),
        }  # fmt: skip
        self.agreement = self.agree()

    def ceremonies(self, epoch: str) -> None:
        """Log the keys of another epoch: the custodians', the mailer's and a new pepper's."""
        keys = {}
        for purpose in ("match", "seal"):
            secret = group.reduce(f"{purpose}{epoch}".encode().ljust(64, b"."))
            stated, shares = split(
                secret, threshold=2, ids=CUSTODIANS, purpose=purpose, epoch=epoch
            )
            self.by_sid[stated.sid] = stated, shares
            keys[purpose] = self.put(self._statement(stated))
        mailer = {"public": self.mailer.public.hex(), "expires": "2026-11-01T00:00:00Z"}
        keys["mailer"] = self.put(made("mailer", "key", NOW, kind="mailer", epoch=epoch, **mailer))
        pepper = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        keys["pepper"] = self.put(
            made("operator", "key", NOW, kind="pepper", epoch=epoch, public=pepper)
        )
        self.following[epoch] = keys

    @property
    def evaluated(self) -> int:
        """Batches charged, by all custodians together; a repeat is none."""
        return sum(map(len, self.charged.values()))

    def agree(self, **others: Any) -> bytes:
        """The agreement's bytes, some keys replaced."""
        given: dict[str, Any] = {
            "race": {
                "id": RACE, "name": "Colorado House 44", "office": "State Representative",
                "state": "CO", "jurisdiction": "Colorado", "election_date": "2026-11-03",
                "polls_close": "2026-11-04T02:00:00Z", "time_zone": "America/Denver",
            },
            "parties": [{
                "id": PARTNER, "name": "River Union", "domain": "mail.river.example",
                "relation": "member", "public": hex_public(PARTNER),
            }],
            "custodians": [{"id": c, "public": hex_public(c)} for c in CUSTODIANS],
            "opens": NOW - timedelta(days=1),
            "closes": NOW + timedelta(days=30),
            "postal_address": "1 Main Street, Parker CO 80134",
            "link_hosts": ["vote.example"],
            "minimum_upload": self.minimum,
        }  # fmt: skip
        return to_bytes(default(**{**given, **others}))

    def invite(self) -> dict[str, Any]:
        """What the operator would hand out."""
        return {
            "api": "http://server.example", "origin": ORIGIN, "log_url": "http://server.example/log",
            "log_vkey": LOG.verifier.vkey,
            "witnesses": [
                {"name": w.verifier.name, "vkey": w.verifier.vkey, "url": "http://w.example"}
                for w in WITNESSES
            ],
            "quorum": 2, "threshold": 2, "epoch": EPOCH, "race": RACE, "actors": self.actors,
            "mailer_key": hashlib.sha256(self.mailer.public).hexdigest(),
            "custodians": [
                {"id": c, "url": f"http://{c}.example", "public": hex_public(c)} for c in CUSTODIANS
            ],
        }  # fmt: skip

    # -- the log -------------------------------------------------------------------------------

    def put(self, drafted: Drafted) -> str:
        """Append an entry; returns its leaf."""
        leaf = leaf_hash(drafted.entry).hex()
        if leaf not in self.openings:
            self.log.append(drafted.entry)
            self.openings[leaf] = drafted.openings
        return leaf

    def evidence(self, leaf: str) -> dict[str, Any]:
        """Evidence of an entry under the newest tree, cosigned by two witnesses."""
        leaves = [leaf_hash(one) for one in self.log]
        index = [one.hex() for one in leaves].index(leaf)
        note = sign_checkpoint(Checkpoint(ORIGIN, len(leaves), tree_root(self.log)), LOG)
        text = parse_note(note).text
        for witness in WITNESSES[:2]:
            note += cosign(text, witness, int(NOW.timestamp())).to_line()
        path = inclusion_path(index, len(leaves), nodes_of(leaves))
        proof = make_receipt(index, path, note)
        return Evidence(self.log[index], self.openings[leaf], proof).to_json()

    def _statement(self, statement: Statement) -> Drafted:
        said = signed_bytes(statement)
        signatures = {c: private(c).sign(said).hex() for c in statement.signers}
        return made(
            "c1", "key", NOW, kind="statement", sid=statement.sid,
            statement=statement.to_json(), signatures=signatures,
        )  # fmt: skip

    def add_roster(self, entries: bytes) -> None:
        """Log one roster chunk."""
        whole = [entries[n : n + 128] for n in range(0, len(entries), 128)]
        self.roster.append(entries)
        self.put_roster = self.put(
            made("operator", "contribution", NOW, kind="roster", epoch=EPOCH,
                 chunk=len(self.roster) - 1, digest=hashlib.sha256(entries).hexdigest(),
                 root=tree_root(whole).hex(), size=len(whole))
        )  # fmt: skip
        self.roster_leaves = [*getattr(self, "roster_leaves", []), self.put_roster]

    # -- HTTP ----------------------------------------------------------------------------------

    def transport(self) -> httpx.MockTransport:
        """Where every request of a tool goes."""
        return httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        host, path = request.url.host, request.url.path
        self.bodies.append(request.content)
        self.calls.append(f"{request.method} {host}{path}")
        if host.split(".")[0] in self.down:
            raise httpx.ConnectError("down", request=request)
        if host == "w.example":
            return httpx.Response(404)  # a witness that is there
        if host != "server.example":
            return self._custodian(host.split(".")[0], path, json.loads(request.content))
        parts = path.removeprefix("/api/v1/").split("/")
        return self._server(request, parts)

    def _custodian(self, id: str, path: str, body: Any) -> httpx.Response:
        if path == "/evaluate":
            message, points = body["request"], base64.b64decode(body["points"])
            asked = read_request(message, public=public(message["by"]))
            assert len(points) == self.batch * 32
            assert asked.points == hashlib.sha256(points).hexdigest()
            if self.drop_after is not None and self.evaluated >= self.drop_after:
                raise httpx.ConnectError("gone")
            charged = self.charged.setdefault(id, {})
            total = charged.setdefault(request_digest(message), 4096 * (len(charged) + 1))
            stated, shares = self.by_sid[asked.sid]
            share, commitment = shares[id], stated.share(id)
            if id in self.lying:  # with a valid proof, for another key than the log states
                share = group.reduce(b"l" * 64)
                commitment = group.base(share)
            evaluated, proof = answer(message, points, share=share, commitment=commitment)
            said = sign_response(
                message, evaluated, proof, custodian=id, total=total,
                allowed=1 << 22, sign=private(id).sign,
            )  # fmt: skip
            found = {"response": said, "evaluations": base64.b64encode(evaluated).decode()}
            return httpx.Response(200, json=found)
        kind = path.removeprefix("/")
        said = open_(kind, body, public=public(body["by"]))
        assert said["custodian"] == id
        if kind == "retire":
            tags = {locks.retire_tag(bytes.fromhex(one)).hex() for one in said["secrets"]}
            self.retired.setdefault(id, set()).update(tags)
        if kind == "standing":
            found = for_partner(self.standing(id), body["by"], said["nonce"], NOW)
            signed = close(KIND, found, by=id, sign=private(id).sign)
            return httpx.Response(200, json={"response": signed})
        return httpx.Response(200, json={"done": True})

    def standing(self, id: str) -> Standing:
        """How a custodian stands; tests replace parts of it in ``stands``."""
        odd = ("has used 1.9 times what its declared list takes once",)
        good = Standing(
            id=id, url=f"http://{id}.example", running=True, protection="file", hours="at any time",
            opens=None, shares=(Share("match", EPOCH, 1, 2, 3),), epochs=(EPOCH,),
            accounts=(
                Account(PARTNER, "partner", EPOCH, used=19, allowed=26, uploads=0, odd=odd),
                Account("valley-league", "partner", EPOCH, used=7, allowed=52, uploads=2),
            ),
            campaigns=(Campaign("spring", 811, 1013, "open"),), locks=120_007, withdrawn=17,
            entries=1234, seen=NOW, splits=(),
        )  # fmt: skip
        return replace(good, **self.stands.get(id, {}))

    def _who(self, request: httpx.Request) -> str:
        token = request.headers["authorization"].removeprefix("Bearer ")
        kid = jwt.get_unverified_header(token)["kid"]
        key = Ed25519PublicKey.from_public_bytes(public(kid))
        options = {"verify_exp": False, "verify_iat": False}
        jwt.decode(token, key, algorithms=["EdDSA"], audience="trellis-api", options=options)
        return str(kid)

    def _entry(self, body: Any, **facts: Any) -> str:
        drafted = Drafted(base64.b64decode(body["entry"]), openings_from_json(body["openings"]))
        found = opened(drafted.entry, drafted.openings)
        assert facts.items() <= found.facts.items(), found.facts
        return self.put(drafted)

    def _server(self, request: httpx.Request, parts: list[str]) -> httpx.Response:
        self._who(request)
        body: Any = {}
        if "json" in request.headers.get("content-type", "") and request.content:
            body = json.loads(request.content)
        match [request.method, *parts]:
            case ["GET", "keys", epoch]:
                known = self.keys if epoch == EPOCH else self.following.get(epoch, {})
                shown = {name: self.evidence(leaf) for name, leaf in known.items()}
                lines = {name: [*map(self.evidence, line)] for name, line in self.lines.items()}
                return _ok({**shown, "lines": lines} if lines else shown)
            case ["GET", "races", _, "agreement"]:
                return httpx.Response(200, content=self.agreement)
            case ["POST", "log", "entries"]:
                return _ok({"leaf": self._entry(body)}, 202)
            case ["GET", "log", "entries", leaf]:
                if not self.published:
                    return _ok({"state": "pending"})
                return _ok({"state": "published", "evidence": self.evidence(leaf)})
            case ["PUT", noun, id, part] if noun in ("contributions", "rolls"):
                self.parts[f"{id}/{part}"] = request.content
                digest = hashlib.sha256(request.content).hexdigest()
                return _ok({"digest": digest, "bytes": len(request.content)})
            case ["POST", "contributions", id, "withdraw"]:
                leaf = self._entry(body, kind="bundle", bundle=id)
                return _ok({"leaf": leaf, "backup_days": 30}, 202)
            case ["POST", "contributions", id, "withdraw-rows"]:
                tags = b"".join(sorted(bytes.fromhex(tag) for tag in body["tags"]))
                digest = hashlib.sha256(bytes.fromhex(body["salt"]) + tags).hexdigest()
                leaf = self._entry(body, kind="rows", bundle=id, rows=digest)
                self.taken_back[leaf] = body["tags"]
                self.labels += [label_of(bytes.fromhex(one)) for one in body["leaves"]]
                return _ok({"leaf": leaf, "backup_days": 30}, 202)
            case ["POST", "contributions", id]:
                if not {f"{id}/rows", f"{id}/outputs"} <= {*self.parts}:
                    return _problem(410, "An uploaded part is not here", "upload it first")
                if self.contributions.setdefault(id, body) != body:
                    return _problem(409, "Conflict", "other bytes")
                return _ok({"leaf": self._entry(body, kind="bundle", bundle=id)}, 202)
            case ["POST", "contributions", id, "quality"]:
                self.gauged[id] = self.gauged.get(id, 0) + 1
                return _ok({"state": "asked"}, 202)
            case ["GET", "contributions", id, "quality"]:
                if not self.gauged.get(id):
                    return _ok({"state": "waiting"})
                about = {"shown": "About 1,200", "estimate": 1200, "low": 60, "high": 120}
                few = {"shown": "fewer than 250", "estimate": 0, "low": 0, "high": 250}
                each = [{"recipe": "first root, last", **few}]
                told = {"found": about, "certain": few, "recipes": each, "answers_left": 13}
                return _ok({"state": "told", **told})
            case ["GET", "contributions", id, "trail"]:
                entry = base64.b64decode(self.contributions[id]["entry"])
                own = [leaf_hash(entry).hex(), *self.trails.get("runs", ())]
                yes = {n: leaves for n, leaves in self.trails.items() if n != "runs"}
                every = {n: [*map(self.evidence, leaves)] for n, leaves in yes.items()}
                return _ok(
                    {
                        "own": [*map(self.evidence, own)],
                        "campaigns": every,
                        "browsers": self.browsers,
                        "left": self.evidence(self.left) if self.left else None,
                    }
                )
            case ["GET", "contributions", _, "stops"]:
                return _ok({"stops": self.stops})
            case ["GET", "log", "withdrawals", "1"]:
                return httpx.Response(200, content=b"".join(sorted(self.labels)))
            case ["POST", "rolls", id]:
                self.rolls.setdefault(id, body)
                return _ok({"leaf": self._entry(body, kind="slice", roll=id)}, 202)
            case ["GET", "contributions"]:
                return _ok(
                    [
                        {"id": one, "state": self.states.get(one, "logged")}
                        for one in self.contributions
                    ]
                )
            case ["GET", "roster"]:
                chunks = [
                    {"chunk": n, "evidence": self.evidence(leaf)}
                    for n, leaf in enumerate(getattr(self, "roster_leaves", []))
                ]
                return _ok({"epoch": EPOCH, "chunks": chunks})
            case ["GET", "roster", n]:
                return httpx.Response(200, content=self.roster[int(n)])
            case ["GET", "campaigns"]:
                return _ok(list(self.campaigns.values()))
            case ["GET", "campaigns", id]:
                if id not in self.campaigns:
                    return _problem(404, "Not found", "no campaign has this id")
                return _ok(self.campaigns[id])
            case ["GET", "campaigns", id, "audience"]:
                return _ok(self.audiences[id])
            case ["PUT", "campaigns", id, "approval" | "attestation"]:
                leaf = self._entry(body, campaign=id)
                self.approvals[f"{id}/{parts[-1]}"] = leaf
                return _ok({"leaf": leaf}, 202)
            case ["GET", "own-address"]:
                return _ok({"state": "asked" if self.own else ""})
            case ["POST", "own-address"]:
                self.own = body["address"]
                return _ok({"state": "typed" if self.own else ""}, 202)
            case ["POST", "campaigns", id, "test"]:
                self.tested.append(id)
                return _ok({"id": id, "state": "waiting"}, 202)
            case ["POST", "campaigns", id, verb]:
                states = {"submit": "submitted", "pause": "paused", "stop": "stopped"}
                self.campaigns[id]["state"] = states.get(verb, "approved")
                return _ok({"state": self.campaigns[id]["state"]})
            case ["GET", "programmes"]:
                return _ok(list(self.programmes.values()))
            case ["POST", "races", _, "programmes"]:
                new = {"id": "p1", "planned": [], "answers": [], "state": "proposed", "name": "new"}
                self.programmes["p1"] = {**new, **body}
                return _ok(self.programmes["p1"], 201)
            case ["PUT", "programmes", id, "answer"]:
                self.programmes[id]["state"] = "approved" if body["yes"] else "held"
                return _ok({"id": id, "state": self.programmes[id]["state"]})
            case ["GET", "programmes", _, "due"]:
                return _ok({"letters": ["plan"]})
            case ["POST", "programmes", _, "ask"]:
                self.asked = body
                return _ok({"id": "c-of-" + body["letter"], "state": "submitted"}, 201)
            case ["GET", "races", _, "places"]:
                zips = [{"code": code, "registered": 3000} for code in ("80134", "80202")]
                districts = [{"code": "State House 44", "registered": 12000}]
                precincts = [{"code": f"630441800{n}", "registered": 900} for n in (1, 2)]
                return _ok({"district": districts, "precinct": precincts, "zip": zips})
            case ["POST", "races", _, "counts"]:
                about = {"shown": "About 1,200", "low": 1100, "high": 1300}
                return _ok({**about, "fresh": True, "looks_left": 39, "asked": body["definition"]})
            case ["POST", "races", _, "messengers", "nearest"]:
                return _ok([{"name": "Ana", "place": "Parker", "nearest_to": 60, "km": 3}])
            case ["POST", "races", _, "messengers"]:
                return _ok({"id": "m1", "link": f"https://t.example/messenger/{body['name']}"}, 201)
            case ["POST", "races", _, "campaigns"]:
                self.campaigns["new"] = {"id": "new", "state": "draft", "approvals": [], **body}
                return _ok({"id": "new", "state": "draft"}, 201)
            case ["GET", "browser-keys", _]:
                return _ok({"public": "cd" * 32})
            case ["POST", "browser-keys"]:
                self.browser = body
                return _ok({})
        return _problem(404, "Not found", "no such path")


def _ok(value: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=value)


def _problem(status: int, title: str, detail: str) -> httpx.Response:
    return httpx.Response(
        status,
        content=json.dumps(
            {"type": "about:blank", "title": title, "status": status, "detail": detail}
        ),
        headers={"content-type": "application/problem+json"},
    )
