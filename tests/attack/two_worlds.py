"""One race lived in several worlds that differ in the other partner's rows and in nothing else.

Real uploads, match runs, freezes, attestations, letters and stops; one installation is set up
once with the roll and my own list, and copied into every world. Written down is everything that
I receive: each answer of API and pages, each file that they name, each letter to my own staff's
mailbox; and, since I run a custodian, roster, released sets and all that comes with them.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as email_policy
from pathlib import Path
from typing import Any

import pytest

import tests.fakes.actors
import tests.fakes.server
from consortium.clock import Standing
from consortium.custodian.ledger import Ledger
from consortium.service import freeze, ghosts, match, send, sign_in
from consortium.store import campaigns, frames, log, roster
from consortium.store.unit import Units, engine
from matching import engine as matcher
from matching.locks import RosterEntry, audience_leaves
from policies import agreement, disclosure, holdout
from tests.attack.leaves import entries_of
from tests.databases import NOON
from tests.fakes import season as seasons
from tests.fakes.actors import made
from tests.fakes.post import MORNING
from tests.fakes.season import DATABASE, Season, address, again, keep, row_id, voter
from tests.fakes.server import EPOCH, RACE, Server, body

ME, OTHER = "union", "parks"  # I run a custodian; the other is whom I would like to count
VOTERS, MINE, SHARE = 72, range(24), 0.25
PLACES = ("44-0", "44-1")
EARLY = "44-0"
"""Where the other partner alone writes to its people first: they are capped afterwards."""
ENOUGH = 40_000
"""A noisy count at which there is a holdout."""


SALTS = itertools.count(1 << 16)
"""Not from 0: a salt of zeros is what the scan of the log takes for none."""


def held_out(number: int) -> bool:
    """Whether the mailer leaves a voter out to measure."""
    return holdout.held_out(
        row_id(number), race=RACE, key=b"c" * 32, share=SHARE, noisy_mailable=ENOUGH
    )


def early(number: int) -> bool:
    """Whether a voter lives where the first letter goes."""
    return PLACES[number % 2] == EARLY


OUT = [n for n in MINE if held_out(n)]
STAFF, STOPS, *CAPPED = [n for n in MINE if early(n) and not held_out(n)]
"""My own staff's mailbox; a member who stops at the first letter, whoever sent it; the others."""
LATE = [n for n in MINE if not early(n) and not held_out(n)]
STRANGERS = [n for n in range(len(MINE), VOTERS) if not held_out(n)]
REST = STRANGERS[:20]

WORLDS = {
    "plain": [*LATE[:6], *REST],
    "overlap": STRANGERS[:26],
    "caps": [*CAPPED[:5], *REST],
    "holdout": [*OUT[:6], *REST],
    "stops": [STOPS, *LATE[:5], *REST],
    "everything": [STOPS, *CAPPED[:3], *OUT[:3], *LATE[4:6], *STRANGERS[12:32]],
}
"""The other's list. All are of one size class; each but the first differs from it in one thing,
and the last in all of them, and in its length."""


def making_up_for(people: Sequence[int], total: int = 60) -> Callable[..., int]:
    """Ghosts so that people and ghosts are as many in every precinct, whoever the people are."""
    here = Counter(PLACES[one % 2] for one in people)
    drawn = iter([*(total - here[one] for one in PLACES), 20, 20])  # the other's come first
    return lambda lists, below: next(drawn)


@dataclass(frozen=True)
class Leaky:
    """One audience by a build that drops rows first, as my custodian and as my tool see it."""

    released: Any
    checked: Any


@dataclass
class Received:
    """What one world gave me: as a partner, as a custodian, and what noise was added to."""

    answers: list[Any] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    roster: list[Any] = field(default_factory=list)
    released: list[Any] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    figures: list[int] = field(default_factory=list)
    leaky: dict[str, Leaky] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)
    """The public log's entries, which anybody receives."""
    named: list[Any] = field(default_factory=list)
    """Not received: every identifier in this world, of people, rows, lists, campaigns, actors."""
    mailed: set[tuple[str, int]] = field(default_factory=set)
    """Not received: which partner wrote to which voters, so that a test knows how worlds differ."""

    def partners(self) -> Any:
        """Everything that a partner receives."""
        return self.answers, self.letters

    def custodians(self) -> Any:
        """Everything that a custodian receives and stores."""
        return self.roster, self.released, self.stored


OPAQUE = re.compile(
    r"[0-9a-f]{32,}|[A-Za-z0-9+/_=-]{40,}|[\w-]{36}"  # keys, hashes, proofs, ids
    r'|(?<="csrf" value=")[\w-]{32}|(?<=data-csrf=")[\w-]{32}'
    r"|(?<=/u/)[\w-]{22}|(?<=/why/)[\w-]{22}|(?<=stop-)[\w-]{22}|[a-z2-7]{26}(?=@)"
)
"""What is random in every world; in letters, what is keyed to the letter."""


class Reader:
    """Reads bytes that are random in every world: the same ones get the same number."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        return OPAQUE.sub(self._name, text)

    def _name(self, found: re.Match[str]) -> str:
        raw = found[0]
        return self.known.setdefault(raw, f"<{len(self.known)}:{len(raw)}>")


class Life:
    """One world from the other's upload to the end of two letters."""

    def __init__(self, season: Season, patch: pytest.MonkeyPatch) -> None:
        self.season, self.patch = season, patch
        self.received, self.read = Received(), Reader()
        self.mine = {row.lock: row.row for rows in season.rows.values() for row in rows}
        self.lists = list(season.rows)
        self.ids: list[str] = []
        self.signed = itertools.count(1)
        self.pressed: set[str] = set()
        self._enter()

    # -- my eyes -------------------------------------------------------------------------------

    def _enter(self) -> None:
        token = self.season.units.run(
            "link", lambda unit: sign_in.make_link(unit, ME, self.season.clock())
        )
        answer = self.season.server.client.post(f"/sign-in/{token}", follow_redirects=False)
        assert answer.status_code == 303

    def keep(self, name: str, answer: Any) -> Any:
        """Write down one answer: status, headers, and what its bytes say."""
        kind = answer.headers.get("content-type", "")
        text = answer.text if "octet" not in kind else f"{len(answer.content)} bytes"
        if "json" in kind and name.endswith("/audience") and answer.status_code == 200:
            said = answer.json()
            text = json.dumps({**said, "leaves": self.leaves(said)})
        headers = {k: self.read(v) for k, v in answer.headers.items() if k != "etag"}
        self.received.answers.append(
            (self.read(name), answer.status_code, headers, self.read(text))
        )
        return answer

    def leaves(self, said: dict[str, Any]) -> Any:
        """Which of an audience's leaves are my own rows, and how many are not."""
        raw, nonce = base64.b64decode(said["leaves"]), bytes.fromhex(said["nonce"])
        whole = {raw[n : n + 32] for n in range(0, len(raw), 32)}
        own = {row for lock, row in self.mine.items() if audience_leaves(nonce, [lock])[0] in whole}
        return sorted(own), len(whole) - len(own)

    def look(self) -> None:
        """Ask for everything that a partner may ask for, and for what it may not."""
        server = self.season.server
        for path in (
            "/contributions",
            "/campaigns",
            "/invite",
            f"/races/{RACE}/agreement",
            f"/races/{RACE}/places",
            f"/keys/{EPOCH}",
            "/roster",
            *(f"/roster/{n}" for n in range(3)),
            *(f"/contributions/{one}{more}" for one in self.lists for more in ("", "/ghosts")),
            *(
                f"/campaigns/{one}{more}"
                for one in self.ids
                for more in ("", "/audience", "/report", "/preview")
            ),
        ):
            self.keep(path, server.call(ME, "GET", path))
        definition = {"definition": {"places": {"precinct": [EARLY]}}}
        path = f"/races/{RACE}/counts"
        self.keep(path, server.call(ME, "POST", path, json=definition))
        for page in (
            "/",
            "/lists",
            "/approvals",
            "/audit",
            "/audit/entries.json",
            "/audit/entries.csv",
            "/audit/checkpoint",
            *(f"/lists/{one}/{word}" for one in self.lists for word in ("receipt", "withdraw")),
            *(f"/approvals/{one}" for one in self.ids),
        ):
            self.keep(page, server.client.get(page))

    # -- what happens --------------------------------------------------------------------------

    def begin(self) -> None:
        """The other sends its list; the match run, the roster."""
        self.season.upload(OTHER, EPOCH)
        self.season.work()
        self.look()

    def campaign(self, **what: Any) -> str:
        """Cut an audience, have both check it, and promise the letters."""
        id = self.season.campaign(estimate=ENOUGH, **what)
        self.ids.append(id)
        self.look()
        one = self.season.units.run("look", lambda unit: campaigns.get(unit, id))
        assert one.state == "frozen", one.waiting_for
        for party in (OTHER, ME):
            salts = itertools.count(next(self.signed) << 32)
            self.patch.setattr(tests.fakes.actors, "_SALTS", salts)
            said = {"campaign": id, "digest": one.digest, "root": one.root}
            entry = made(party, "approval", self.season.clock(), kind="attest", **said)
            path = f"/campaigns/{id}/attestation"
            answer = self.season.server.call(party, "PUT", path, json=body(entry))
            assert answer.status_code == 202, answer.text
            if party == ME:
                self.keep(path, answer)
        freeze.intend(self.season.bench, id)
        self.season.server.publish()
        return id

    def send(self, id: str) -> None:
        """Send the letters; whoever stops does so at once."""
        leaf = self.season.units.run("look", lambda unit: campaigns.get(unit, id)).intent_leaf
        assert leaf is not None
        self.season.units.run("due", lambda unit: campaigns.change(unit, id, state="logged"))
        self.season.mta.before.append(self._press)
        for _ in range(3):
            send.send(self.season.office, id, seconds=60)
            self.season.clock.now += timedelta(minutes=2)
            self._press("")
            self.keep("/campaigns", self.season.server.call(ME, "GET", "/campaigns"))
        self.season.mta.before.clear()
        self.look()
        assert self.season.units.run("end", lambda u: campaigns.get(u, id)).state == "closed"

    def _press(self, _: str) -> None:
        stopping = {address(partner, STOPS) for partner in (ME, OTHER)}
        for _, to, message in self.season.mta.taken:
            if to in stopping:
                found = re.search(rb"/u/([\w-]{22})", message)
                assert found
                path = f"/u/{found[1].decode()}"
                if path not in self.pressed:
                    answer = self.season.server.client.post(path, data={"scope": "race"})
                    assert answer.status_code == 200
                    self.pressed.add(path)

    def end(self) -> Received:
        """Everything that I received."""
        got = self.received
        got.letters = [
            self.read(_letter(message))
            for _, to, message in self.season.mta.taken
            if to in {address(partner, STAFF) for partner in (ME, OTHER)}
        ]
        self._rosters()
        got.released = [self._released(one) for one in self.season.office.custodians.received]
        number = {row_id(n): n for n in range(VOTERS)}
        letters = [letter for id in self.ids for letter in self.season.letters(id)]
        got.log = entries_of(
            self.season.server.backend, self.season.server.sequencer.published().size
        )
        got.named = list(self._named())
        got.mailed = {(one.partner, number[one.person]) for one in letters if one.state == "sent"}
        return got

    def _named(self) -> Iterator[Any]:
        """Every identifier that this world has, and every value that an entry commits to."""
        for n in range(VOTERS):
            yield from (address(partner, n) for partner in (ME, OTHER))
            yield from (voter(n).first, voter(n).last, f"303555{n:04d}", str(row_id(n)))
        for rows in self.season.rows.values():
            for row in rows:
                yield from (row.lock.hex(), row.tag.hex())
        for one in self.season.units.run("all", lambda unit: log.pending(unit, 1 << 20)):
            raise AssertionError(f"{one.leaf} was never published")
        for index in range(len(self.received.log)):
            one = self.season.units.run("at", lambda unit, n=index: log.at_index(unit, n))  # type: ignore[misc]
            for name, opening in (one.openings or {}).items():
                if name != "kind":  # a word of the format, and as a field's name public
                    yield opening["value"]

    # -- my custodian --------------------------------------------------------------------------

    def _rosters(self) -> None:
        kept = self.season.units.run("chunks", lambda unit: roster.chunks(unit, EPOCH))
        ledger = Ledger(self.season.folder / "custodian.sqlite")
        for chunk in kept:
            raw = self.season.artefacts.read(chunk.digest)
            entries = [RosterEntry.from_bytes(raw[n : n + 128]) for n in range(0, len(raw), 128)]
            ledger.add_chunk(EPOCH, chunk.chunk, chunk.digest, entries)
            own = [(at, self.mine[e.lock]) for at, e in enumerate(entries) if e.lock in self.mine]
            self.received.roster.append((len(entries), sorted(row for _, row in own)))
        found = ledger.status()
        ledger.close()
        self.received.stored = {name: found[name] for name in ("roster", "retired", "opens")}

    def _released(self, got: dict[str, Any]) -> Any:
        """One campaign as the mailer opens it: own rows, how many others, and what goes along."""
        whole = got["locks"]
        own = sorted(self.mine[lock] for lock in whole if lock in self.mine)
        along = {name: each for name, each in got.items() if name not in ("locks", "nonce")}
        return own, len(whole) - len(own), len(set(whole)), self.read(_text(along))

    def frozen_by(self, drop: Callable[[Any], bool], name: str) -> None:
        """The released set of one more campaign by a build that leaves some rows out before."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(freeze.engine, "audience", dropping(matcher.audience, drop))
            id = self.season.campaign(estimate=ENOUGH)
        one = self.season.units.run("look", lambda unit: campaigns.get(unit, id))
        assert one.audience_digest is not None, one.waiting_for
        with self.season.artefacts.open(one.audience_digest) as path:
            whole = [row.lock for row in frames.read_audience(path)]
        own = sorted(self.mine[lock] for lock in whole if lock in self.mine)
        shown = self.season.server.call(ME, "GET", f"/campaigns/{id}/audience").json()
        self.received.leaky[name] = Leaky((own, len(whole) - len(own)), self.leaves(shown))


def dropping(before: Any, drop: Callable[[Any], bool]) -> Any:
    """A matcher whose audience lacks rows that the mailer should have left out."""

    def audience(*given: Any) -> list[Any]:
        return [one for one in before(*given) if one.bundle == freeze.GHOSTS or not drop(one)]

    return audience


def _text(said: Any) -> str:
    return json.dumps(said, sort_keys=True, default=lambda raw: bytes(raw).hex())


def _letter(raw: bytes) -> str:
    """A letter with its parts decoded: a line folded in a token would hide that it is one."""
    message = message_from_bytes(raw, policy=email_policy)
    parts = [part.get_content() for part in message.walk() if not part.is_multipart()]
    return "\n".join([*(f"{name}: {value}" for name, value in message.items()), *map(str, parts)])


# -- living


def leaving_out(life: Life) -> dict[str, Callable[[Any], bool]]:
    """Builds that drop before release: each leaves out one kind of row, by what it knows then."""
    number = {row_id(n): n for n in range(VOTERS)}
    before = [letter for id in life.ids for letter in life.season.letters(id)]
    capped = {letter.person for letter in before if letter.state == "sent"}
    first = {letter.person for letter in before if letter.campaign == life.ids[0]}
    seen: set[int] = set()

    def second(one: Any) -> bool:
        again_ = one.roll_row in seen
        seen.add(one.roll_row)
        return again_

    return {
        "overlap": second,
        "caps": lambda one: one.roll_row in capped & first,
        "holdout": lambda one: held_out(number[one.roll_row]),
        "stops": lambda one: number[one.roll_row] == STOPS and one.roll_row in first,
    }


@contextmanager
def patched(people: Sequence[int]) -> Iterator[pytest.MonkeyPatch]:
    """Small lists, a holdout, and the other's list."""
    terms = {"minimum_upload": 10, "holdout_share": SHARE}
    default = agreement.default
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tests.fakes.actors, "_SALTS", SALTS)
        patch.setattr(tests.fakes.server, "ROWS", len(MINE))
        patch.setattr(seasons, "VOTERS", VOTERS)
        patch.setattr(seasons, "LISTS", {ME: list(MINE), OTHER: list(people)})
        patch.setattr(agreement, "default", lambda **given: default(**given, **terms))
        patch.setattr(match, "ROSTER_STEP", 64)  # a shorter chunk of nobody's locks
        yield patch


def set_up(folder: Path, template: Path) -> tuple[Path, dict[str, Any]]:
    """An installation with a roll and my list, nothing matched yet; to be copied."""
    with patched([]):
        folder.mkdir()
        shutil.copy(template, folder / DATABASE)
        base = engine(f"sqlite:///{folder / DATABASE}")
        clock = Standing(NOON)
        season = Season(Server(folder, Units(base, clock), clock), folder)
        clock.now = MORNING
        season.enrol(EPOCH)
        season.upload(ME, EPOCH)
        season.server.publish()
        kept = keep(season, folder.with_name(f"{folder.name}-kept"))
        base.dispose()
    return kept


def live(
    kept: tuple[Path, dict[str, Any]], folder: Path, people: Sequence[int], leaks: Sequence[str]
) -> Received:
    """One world: these are the people of the other's list; and the builds that are leaky."""
    with patched(people) as patch:
        patch.setattr(ghosts, "number", making_up_for(people))
        figures: list[int] = []
        patch.setattr(disclosure, "noisy", lambda value, _: figures.append(value) or 300)
        for season in again(kept, folder):
            with season.server.client:  # its thread stays for every call
                life = Life(season, patch)
                life.begin()
                life.send(life.campaign(sources=[OTHER], precincts=[EARLY]))
                season.clock.now += timedelta(days=1)
                life.send(life.campaign())
            got = life.end()
            dropped = leaving_out(life)
            for name in leaks:
                life.frozen_by(dropped[name], name)
            got.figures = figures
    return got
