"""The pages' desk in memory: people, letters and a log that behave as the service's do."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from consortium.service.absence import Absence
from consortium.service.choose import Counted, Place
from consortium.service.coordinate import Calendar, Clash, Day, Planned
from consortium.service.draft import Proposed
from consortium.service.errors import NotReady, NotSignedIn, WrongState
from consortium.service.lend import Asked, Lending
from consortium.service.look import (
    ApprovalView,
    BudgetView,
    CampaignView,
    ContributionView,
    PartnerView,
    RaceView,
)
from consortium.service.oversee import Board, Came, Standing
from consortium.service.pass_on import BoxView, Waiting
from consortium.service.proofread import Proof
from consortium.service.read_over import ToSign, Wording
from consortium.service.report import Figure
from consortium.service.show import EntryView, LogView, WitnessView
from consortium.service.sign_in import SignedIn
from consortium.service.suggest import Suggested
from consortium.service.trail import RecipientView, TrailStep
from consortium.service.try_out import OwnView
from consortium.service.vet import Vetted
from consortium.store.errors import Missing
from consortium.web.pages import routers
from consortium.web.security import Headers
from consortium.web.who import scripted, signed_in
from mailer.compose import Rendered
from mailer.compose import render as render_letter
from mailer.errors import AddressRefused, Problem, TemplateRefused
from mailer.fields import FIELDS
from mailer.findings import Finding
from mailer.places import Place as Spot
from mailer.versions import compile_versions
from policies.authorise import Caller
from policies.errors import BudgetSpent, DefinitionRefused, Denied, ProgrammeRefused
from policies.programme import Sending
from policies.wording import Slot
from provenance.backend import CHECKPOINT
from provenance.canonical import canonical, commitment
from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.entry import ENTRY_LABEL, draft
from provenance.merkle import leaf_hash
from provenance.note import COSIGNATURE, Signer, parse_note
from provenance.tiles import WIDTH, pack_hashes, parse_path
from provenance.witness import cosign

NOW = datetime(2026, 10, 20, 16, 30, tzinfo=UTC)
PASSES = Finding("SPF", "green", "Letters pass; it takes 1 of 10 look-ups.")
COORDINATOR = Caller("cora", "coordinator", None)
TEACHERS = Caller("teachers", "partner", "teachers")
GROWERS = Caller("growers", "partner", "growers")
AUDITOR = Caller("ada", "auditor", None)
LINKS = {"to-cora": COORDINATOR, "to-teachers": TEACHERS, "to-growers": GROWERS, "to-ada": AUDITOR}
CAPABILITY = "k7m2-right"
LOG = Signer.from_seed("log.example/pueblo", b"l" * 32)
SEERS = ("Riverside Public Library", "Open Ballot Lab", "State University")
WITNESSES = [
    Signer.from_seed(f"witness.example/{n}", bytes([n]) * 32, COSIGNATURE) for n in (1, 2, 3)
]
BUNDLE = "6f0f8f6a-4a35-4a52-9f0e-0d8f3c1f2a11"
SUBMITTED = "11111111-1111-4111-8111-111111111111"
SENDING = "22222222-2222-4222-8222-222222222222"
MJML = (
    "<mjml><mj-body><mj-text>Hi {{ first_name }}, coffee & <b>maps</b></mj-text></mj-body></mjml>"
)


def to_sign() -> list[ToSign]:
    """Letters that may go in a volunteer's name: one under way, one of two arms, one unreadable."""
    opens, closes = NOW + timedelta(days=1), NOW + timedelta(days=5)
    said = (
        "Hi Alex,\n\ncoffee & maps on Saturday at ten, at the library on Abriendo Avenue. Bring "
        "somebody who has not yet made a plan to vote.\n\nMaria Trujillo, who lives in "
        "Bessemer\n\nFind your place: https://pueblo.example/where-do-i-vote?from=letter&very="
        "long-address-that-wraps"
    )
    spanish = "Hola, Alex:\n\ncaf\xe9 y mapas el s\xe1bado.\n\nMaria Trujillo"
    where = "Where do you vote now?"
    return [
        ToSign(
            "Come say hello on Saturday",
            "going",
            "Arkansas Valley Growers",
            opens,
            closes,
            (
                Wording("en", 0, "", "Come say hello on Saturday", said),
                Wording("en", 0, "044-12, 044-13", "Come say hello on Saturday", f"{said} Rides!"),
                Wording("es", 0, "", "Venga a saludar el s\xe1bado", spanish),
            ),
        ),
        ToSign(
            where,
            "asked",
            "Arkansas Valley Growers",
            opens,
            closes,
            (Wording("en", 1, "", where, said), Wording("en", 2, "", "Your place to vote", said)),
        ),
        ToSign("One alone", "approved", "Arkansas Valley Growers", opens, closes, ()),
    ]


def _manifest(id: str, template: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "campaign": id,
        "race": "pueblo-recall",
        "definition": {"places": {"district": ["State House 46"]}, "age": ["18-34", "35-49"]},
        "sources": ["growers", "teachers"],
        "agreement": "ab" * 32,
        "template": hashlib.sha256(rfc8785.dumps(dict(template))).hexdigest(),
        "sender": {
            "growers": {
                "from": "Maria Trujillo for Valley Growers",
                "domain": "mail.growers.example",
            },
            "teachers": {
                "from": "Maria Trujillo for Steel City Teachers",
                "domain": "mail.teachers.example",
            },
        },
        "links": [
            "https://pueblo.example/where-do-i-vote?from=letter&very=long-address-that-wraps"
        ],
        "window": {"opens": "2026-10-24T16:00:00Z", "closes": "2026-11-03T15:00:00Z"},
        "size_class": 4096,
        "messenger": {"name": "Maria Trujillo", "place": "Bessemer"},
    }


def _campaign(id: str, state: str, subject: str, yes: tuple[str, ...] = ()) -> CampaignView:
    template = {"subject": subject, "mjml": MJML, "text": None}
    manifest = _manifest(id, template)
    names = {"growers": "Arkansas Valley Growers", "teachers": "Steel City Teachers"}
    return CampaignView(
        id=id,
        state=state,
        definition=manifest["definition"],
        template=template,
        messenger=manifest["messenger"],
        window=manifest["window"],
        manifest=None if state == "draft" else manifest,
        digest=None if state == "draft" else hashlib.sha256(rfc8785.dumps(manifest)).hexdigest(),
        approvals=[
            ApprovalView(p, names[p], NOW - timedelta(hours=3) if p in yes else None, None)
            for p in ([] if state == "draft" else sorted(names))
        ],
        shown="" if state == "draft" else "About 1,250",
        low=0 if state == "draft" else 1210,
        high=0 if state == "draft" else 1290,
        progress=45 if state == "sending" else 0,
        waiting_for={
            "submitted": "the partners' approval",
            "sending": "one mail provider that asked us to slow down",
        }.get(state, ""),
        at=NOW - timedelta(days=1),
        scheduled=NOW if state == "sending" else None,
    )


def _board() -> Board:
    """A plan under way: one gone, one waiting for silence, one due, one ahead, one kept ready."""
    text = "Your neighbors vote early, from Monday on. [[hello]] Bring a friend."
    template = {"subject": "", "blocks": [{"kind": "text", "text": text}]}
    slot = Slot("hello", 80, "See you there.", ("Elm Street", "Lincoln School"))

    def letter(
        id: str, step: str, deadline: str, begins: date, state: str, *came: Came
    ) -> Standing:
        subject = SUBJECTS[id]
        days = Sending(id, begins - timedelta(days=6), begins, begins + timedelta(days=1))
        sending, shown = None if step == "rapid" else days, {**template, "subject": subject}
        return Standing(id, step, deadline, subject, shown, (slot,), sending, 1, state, came)

    ripe, words = datetime(2026, 10, 22, 16, tzinfo=UTC), {"hello": "See you at Lincoln School."}
    return Board(
        "0a0e7a52-0000-4000-8000-000000000002", "To the polls", "approved", "5e" * 32,
        NOW.date(),
        {"registration": date(2026, 10, 13), "early_vote": date(2026, 10, 24),
         "polls": date(2026, 11, 3)},
        (date(2026, 10, 15),), (date(2026, 10, 22), date(2026, 11, 1)),
        {"Arkansas Valley Growers": True, "Steel City Teachers": True}, (48, 12), 1,
        (
            letter("invite", "invite", "registration", date(2026, 10, 9), "asked",
                   Came(SENDING, "sending", {}, (), None)),
            letter("plan", "plan", "early_vote", date(2026, 10, 25), "asked",
                   Came(SUBMITTED, "submitted", words, ("Steel City Teachers",), ripe)),
            letter("remind", "remind", "polls", date(2026, 10, 30), "due"),
            letter("news", "rapid", "", date(2026, 10, 30), "ready"),
        ),
    )  # fmt: skip


SUBJECTS = {
    "invite": "Come say hello on Saturday", "plan": "Where do you vote now?",
    "remind": "Four days left", "news": "A word on what you heard today",
}  # fmt: skip


def _compiled(template: Mapping[str, Any]) -> dict[str, Any]:
    return compile_versions(
        template, languages=("en", "es"), allowed_fields=FIELDS, allowed_hosts={"example.org"}
    )


class FakeDesk:
    """All of ``consortium.web.desk.Desk`` over dictionaries, and a list of what was changed."""

    def __init__(self) -> None:
        self.now = NOW
        self.changed: list[tuple[str, ...]] = []
        self.sessions: dict[str, SignedIn] = {}
        self.links = dict(LINKS)
        self.asked: dict[str, Counted] = {}
        self.stops: set[str] = set()
        self.held, self.box, self.own = "held", "", ""
        self.days: set[tuple[date, str]] = {(date(2026, 10, 22), "growers")}
        self.board: Board | None = _board()
        self.volunteers = {"for-maria": Asked("Maria Trujillo", "Bessemer", "confirmed")}
        self.to_sign = to_sign()
        self.lives: dict[str, tuple[str, str]] = {}
        self.trust = "threshold"
        self.demo = True
        self.few = False
        self.told: dict[str, list[Figure]] = {}
        self.letters = {
            SUBMITTED: _campaign(SUBMITTED, "submitted", "Where do you vote now?", ("growers",)),
            SENDING: _campaign(
                SENDING, "sending", "Come say hello on Saturday", ("growers", "teachers")
            ),
        }
        self.lists = [
            ContributionView(BUNDLE, "matched", NOW - timedelta(days=9), "aa" * 32, 3, 1024),
            ContributionView(BUNDLE[:-1] + "2", "received", NOW, "bb" * 32, None, 512),
        ]
        key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
        kinds = ["key", "agreement", "agreement", "contribution", "roll", "match", "approval"]
        self.log_entries = [
            draft(
                kinds[n % len(kinds)],
                at=NOW - timedelta(hours=60 - n),
                actor=key.public_key().public_bytes_raw(),
                facts={"kind": "made-up", "n": n},
                salt=lambda n=n: hashlib.sha256(bytes([n])).digest(),
                sign=key.sign,
            ).entry
            for n in range(47)
        ]

    def open_session(self, caller: Caller) -> SignedIn:
        made = SignedIn(f"cookie-{len(self.sessions)}", f"csrf-{caller.id}", caller)
        self.sessions[made.cookie] = made
        return made

    def who(self, cookie: str) -> SignedIn:
        if cookie not in self.sessions:
            raise NotSignedIn("not signed in")
        return self.sessions[cookie]

    def sign_in(self, token: str) -> SignedIn:
        if token not in self.links:
            raise NotSignedIn("used")
        self.changed.append(("sign_in", token))
        return self.open_session(self.links.pop(token))

    def sign_out(self, cookie: str) -> None:
        self.changed.append(("sign_out",))
        del self.sessions[cookie]

    def race(self) -> RaceView:
        return RaceView(
            id="pueblo-recall",
            name="Senate recall, Pueblo",
            office="State Senate, District 3",
            election_date=date(2026, 11, 3),
            time_zone="America/Denver",
            opens=datetime(2026, 10, 1, 15, tzinfo=UTC),
            closes=datetime(2026, 11, 3, 15, tzinfo=UTC),
            trust=self.trust,
            threshold=2,
            custodians=["Steel City Teachers", "Arkansas Valley Growers", "Riverside Library"],
            partners=[
                PartnerView("growers", "Arkansas Valley Growers", "growers.example", "a member"),
                PartnerView("teachers", "Steel City Teachers", "teachers.example", "a member"),
            ],
            witnesses=["Riverside Public Library", "Open Ballot Lab", "State University"],
            quorum=2,
            demo=self.demo,
            epsilon="2.6",
            advantage="22",
            postal_address="PO Box 100, Pueblo CO 81003",
            paid_for_by="Neighbors for Pueblo",
            letters_per_week=1,
            letters_per_race=5,
            languages=("en", "es"),
        )

    def budget(self, caller: Caller) -> BudgetView:
        return BudgetView(40 - len(self.asked), 40)

    def places(self, caller: Caller) -> dict[str, list[Place]]:
        if caller.role != "coordinator":
            raise Denied("see_places", "only a coordinator chooses places")
        return {
            "district": [Place("State House 46", 3450), Place("State House 47", 2900)],
            "precinct": [Place(f"30{n:02}56012{n:02}", 500 + 50 * n) for n in range(30)],
            "zip": [Place("81003", 1800), Place("81004", 2250)],
        }

    def count(self, caller: Caller, race: str, definition: Mapping[str, Any]) -> Counted:
        if not definition.get("places"):
            raise DefinitionRefused("places", "choose at least one place")
        key = json.dumps(definition, sort_keys=True)
        fresh = key not in self.asked
        if fresh and len(self.asked) >= 40:
            raise BudgetSpent("today", 0, "asked before is still free")
        text = "Fewer than 250" if self.few else "About 1,250"
        made = Counted(
            dict(definition), 1250, text, 1210, 1290, fresh, 39 - len(self.asked), 20.0, 1, 1247
        )
        if fresh:
            self.changed.append(("count", key))
            self.asked[key] = made
        return replace(made, looks_left=40 - len(self.asked))

    def draft(self, caller: Caller, race: str, asked: Proposed) -> str:
        if caller.role != "coordinator":
            raise Denied("draft", "only a coordinator writes letters")
        if "blocks" in asked.template:
            _compiled(asked.template)
        mjml = asked.template.get("mjml", "").split("\n")
        wrong = [
            Problem(n + 1, "mj-txet is no MJML tag.", "Did you mean mj-text?")
            for n, line in enumerate(mjml)
            if "mj-txet" in line
        ]
        if wrong:
            raise TemplateRefused(wrong)
        made = "33333333-3333-4333-8333-333333333333"
        self.letters[made] = replace(
            _campaign(made, "draft", asked.template["subject"]), window=asked.window
        )
        template = {"mjml": None, "text": None, **asked.template}
        self.letters[made] = replace(self.letters[made], template=template)
        self.changed.append(("draft", made, asked.window["opens"]))
        return made

    def own_draft(self, caller: Caller, id: str) -> tuple[CampaignView, str]:
        if caller != COORDINATOR:
            raise Denied("draft", "a draft is changed by who wrote it")
        letter = self.campaign(caller, id)
        if letter.state != "draft":
            raise WrongState("only a draft can be changed")
        template = {**letter.template, "messenger": letter.messenger, "window": letter.window}
        return replace(letter, template=template), hashlib.sha256(repr(letter).encode()).hexdigest()

    def change_draft(self, caller: Caller, id: str, asked: Proposed, *, was: str) -> None:
        _, mark = self.own_draft(caller, id)
        if was != mark:
            raise WrongState("this draft was changed elsewhere since you opened it")
        _compiled(asked.template)
        template = {"mjml": None, "text": None, **asked.template}
        self.letters[id] = replace(self.letters[id], template=template)
        self.changed.append(("change_draft", id))

    def sketch(
        self, caller: Caller, race: str, template: Mapping[str, Any], messenger: Mapping[str, str],
        *, language: str = "", at: tuple[str, str] = ("", ""),
    ) -> Rendered:  # fmt: skip
        if caller.role != "coordinator":
            raise Denied("draft", "only a coordinator writes letters")
        made = _compiled(template)
        facts = {name: f"a {name}" for name in FIELDS} | dict.fromkeys(
            ("relation", "author_role", "postal_address", "paid_for_by"), "made up"
        )
        facts |= dict.fromkeys(("stop_url", "why_url"), "https://trellis.example/u/x")
        shown = made[language if language in made else "en"]
        return render_letter(shown, facts, Spot(zip=at[1]) if at[0] == "zip" else Spot())

    def look_over(
        self, caller: Caller, race: str, template: Mapping[str, Any], messenger: Mapping[str, str]
    ) -> Sequence[Finding]:
        _compiled(template)
        return self.findings

    def calendar(self, caller: Caller) -> Calendar:
        planned = tuple(
            Planned(
                one.id, one.template["subject"], one.state,
                datetime(2026, 10, 20, 16, tzinfo=UTC), datetime(2026, 10, 24, 2, tzinfo=UTC),
                {"district": ["State House 46"]}, 4 - len(self.days),
            )
            for one in self.campaigns(caller)
        )  # fmt: skip
        words = "both write to the same places within seven days"
        clash = Clash("week", tuple(one.id for one in planned[:2]), words)
        names = {one.id: one.name for one in self.race().partners}
        days = [Day(day, partner, names[partner]) for day, partner in sorted(self.days)]
        days.append(Day(date(2026, 11, 1), "", ""))
        return Calendar(
            self.race().id, "America/Denver", date(2026, 11, 3), tuple(days), planned, (clash,)
        )

    def programmes(self, caller: Caller) -> list[Board]:
        return [self.board] if self.board else []

    def programme(self, caller: Caller, id: str) -> Board:
        if self.board is None or id != self.board.id:
            raise Missing("no programme has that id")
        return self.board

    def refuse_programme(self, caller: Caller, id: str, campaign: str = "") -> None:
        self.changed.append(("refuse_programme", str(caller.partner), campaign))

    def ask_letter(
        self, caller: Caller, id: str, letter: str, words: Mapping[str, str], first: date | None
    ) -> None:
        if "evil" in "".join(words.values()):
            raise ProgrammeRefused("slots.hello", "has a full stop inside a word")
        self.changed.append(("ask_letter", letter, str(dict(words)), str(first)))

    def keep_day(self, caller: Caller, race: str, day: date) -> None:
        if caller.partner is None:
            raise Denied("keep_day", "no rule allows it")
        if day < NOW.date():
            raise WrongState("that day is over")
        self.days.add((day, caller.partner))

    def give_day_back(self, caller: Caller, race: str, day: date) -> None:
        self.days.discard((day, str(caller.partner)))

    def messengers(self, caller: Caller) -> list[Asked]:
        if caller.role != "coordinator":
            raise Denied("draft", "only a coordinator asks volunteers")
        return list(self.volunteers.values())

    def nearest(self, caller: Caller, race: str, definition: Mapping[str, Any]) -> list[Suggested]:
        confirmed = [one for one in self.messengers(caller) if one.state == "confirmed"]
        far = {one.name: len(one.place) for one in confirmed}
        return [
            Suggested(one.name, one.place, 60 if not at else 40, far[one.name])
            for at, one in enumerate(sorted(confirmed, key=lambda one: far[one.name]))
        ]

    def invite_messenger(
        self,
        caller: Caller,
        race: str,
        *,
        name: str,
        place: str,
        zip: str = "",
        precinct: str = "",
        daily: int = 0,
    ) -> str:
        self.messengers(caller)
        if not name or not place:
            raise WrongState("a name and a place have 1 to 80 letters each")
        token = f"for-{name.split()[0].lower()}"
        self.volunteers[token] = Asked(name, place, "asked", daily)
        self.changed.append(("invite_messenger", token))
        self.lives[token] = (zip, precinct)
        return f"https://trellis.example/messenger/{token}"

    def lending(self, token: str) -> Lending:
        if token not in self.volunteers:
            raise Missing("nobody was asked with that link")
        one, race = self.volunteers[token], self.race()
        senders = tuple(f"{one.name} for {partner.name}" for partner in race.partners)
        return Lending(
            one.name, one.place, race.name, race.closes, senders, one.state, daily=one.daily
        )

    def letters_to_sign(self, token: str) -> list[ToSign]:
        self.lending(token)
        return [] if self.volunteers[token].state == "refused" else self.to_sign

    def _answer(self, token: str, state: str) -> None:
        self.lending(token)
        self.changed.append((state, token))
        self.volunteers[token] = replace(self.volunteers[token], state=state)

    def lend(self, token: str, daily: int | None = None) -> None:
        self._answer(token, "confirmed")
        if daily is not None:
            self.volunteers[token] = replace(self.volunteers[token], daily=daily)

    def refuse_to_lend(self, token: str) -> None:
        self._answer(token, "refused")

    def preview(
        self,
        caller: Caller,
        id: str,
        *,
        language: str = "",
        at: tuple[str, str] = ("", ""),
        arm: int = 1,
    ) -> Rendered:
        self.campaign(caller, id)
        if at[1] and at[1] not in [one.code for one in self.places(COORDINATOR).get(at[0], [])]:
            raise DefinitionRefused("place", "the voter file here has none spelled so")
        html = (
            "<!doctype html><html lang=en><head><title>Letter</title>"
            "<style>p{font:16px/1.5 Georgia,serif;color:#15201c}</style></head>"
            "<body style='margin:24px'><p>Hi Alex,</p><p>So I am putting the kettle on. Come "
            "by the Bessemer library on Saturday.</p><p>Maria Trujillo</p></body></html>"
        )
        words = {"es": "Hola, Alex."}.get(language, "Hi Alex,")
        said = f"{words} {at[1]}".strip()
        return Rendered("Coffee", f"{said}\n", html.replace("Hi Alex,", said))

    def campaigns(self, caller: Caller) -> list[CampaignView]:
        return list(self.letters.values())

    def campaign(self, caller: Caller, id: str) -> CampaignView:
        if id not in self.letters:
            raise Missing("no such campaign")
        return self.letters[id]

    def _move(self, verb: str, caller: Caller, id: str, state: str) -> None:
        letter = self.campaign(caller, id)
        if letter.state == "stopped":
            raise WrongState("it is stopped for good")
        self.changed.append((verb, id, caller.id))
        self.letters[id] = replace(letter, state=state)

    def submit(self, caller: Caller, id: str) -> None:
        self._move("submit", caller, id, "submitted")

    def schedule(self, caller: Caller, id: str) -> None:
        self.changed.append(("schedule", id, caller.id))
        self.letters[id] = replace(self.campaign(caller, id), scheduled=NOW)

    def pause(self, caller: Caller, id: str) -> None:
        self._move("pause", caller, id, "paused")

    def resume(self, caller: Caller, id: str) -> None:
        self._move("resume", caller, id, "sending")

    def stop(self, caller: Caller, id: str) -> None:
        self._move("stop", caller, id, "stopped")

    def checks(self, caller: Caller, id: str) -> Proof:
        return Proof(tuple(self.findings), tuple(self.vetted))

    def figures(self, caller: Caller, id: str) -> list[Figure]:
        return self.told.get(id, [])

    def ask_figures(self, caller: Caller, id: str) -> None:
        self.changed.append(("figures", id))
        self.told[id] = [Figure("handed to providers", "About 1,150", 1100, 1200)]

    backup_days = 30
    findings: Sequence[Finding] = (
        Finding("Size", "green", "10 KB of at most 102."),
        Finding("Reading level", "yellow", "About 11 years of school.", "Use shorter sentences."),
        Finding("Spam score", "none", "SpamAssassin is not installed where the server runs."),
    )
    vetted: Sequence[Vetted] = (
        Vetted(
            "teachers", "news.teachers.example", "green", NOW, (Finding("SPF", "green", "Pass."),)
        ),
    )
    waits: Absence | None = None

    def contributions(self, caller: Caller) -> list[ContributionView]:
        return self.lists

    def receipt(self, caller: Caller, id: str) -> dict[str, Any]:
        for each in self.lists:
            if each.id == id and each.index is not None:
                return {"format": "trellis-receipt", "leaf": each.leaf}
        raise NotReady("the log has not published this yet")

    def log(self) -> LogView:
        size = len(self.log_entries)
        root = self._tree(0, size)[0] if size else hashlib.sha256(b"").digest()
        note = sign_checkpoint(Checkpoint(LOG.verifier.name, size, root), LOG).decode()
        seen = int(NOW.timestamp())
        note += "".join(
            cosign(parse_note(note.encode()).text, one, seen).to_line().decode()
            for one in WITNESSES[:2]
        )
        return LogView(
            LOG.verifier.name,
            size,
            note if size else "",
            NOW - timedelta(minutes=1) if size else None,
            [
                WitnessView(name, place < 2, WITNESSES[place].verifier.vkey)
                for place, name in enumerate(SEERS)
            ],
            LOG.verifier.vkey,
            quorum=2,
            waits=self.waits,
        )

    def log_file(self, path: str) -> bytes:
        """What lies in the log's folder: its checkpoint and its lowest tiles."""
        if path == CHECKPOINT:
            return self.log().checkpoint.encode()
        tile = parse_path(path)
        start = tile.number * WIDTH
        found = [leaf_hash(raw) for raw in self.log_entries[start : start + tile.width]]
        if tile.level != 0 or len(found) != tile.width:
            raise Missing(path)
        return pack_hashes(found)

    def by_code(self, code: str) -> int:
        leaves = [leaf_hash(raw).hex() for raw in self.log_entries]
        found = [place for place, leaf in enumerate(leaves) if leaf.startswith(code)]
        if len(found) != 1:
            raise Missing("no published entry, or more than one, has that code")
        return found[0]

    def entries(self, start: int, count: int) -> list[EntryView]:
        end = min(start + count, len(self.log_entries))
        return [self.entry(n) for n in range(start, end)]

    def entry(self, index: int) -> EntryView:
        raw = self.log_entries[index]
        body = json.loads(raw)
        at = datetime.strptime(body["at"], "%Y-%m-%dT%HZ").replace(tzinfo=UTC)
        return EntryView(index, body["type"], at, leaf_hash(raw).hex(), body)

    def _tree(self, start: int, end: int, sought: int = -1) -> tuple[bytes, list[bytes]]:
        """Root over [start, end) and the path from ``sought``, by the definition in RFC 6962."""
        if end - start == 1:
            return leaf_hash(self.log_entries[start]), []
        half = 1 << ((end - start - 1).bit_length() - 1)
        left, low = self._tree(start, start + half, sought)
        right, high = self._tree(start + half, end, sought)
        root = hashlib.sha256(b"\x01" + left + right).digest()
        if start <= sought < start + half:
            return root, [*low, right]
        return root, [*high, left] if sought >= 0 else []

    def proof(self, index: int) -> str:
        _, path = self._tree(0, len(self.log_entries), index)
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}"]
        lines += [base64.b64encode(each).decode() for each in path]
        return "\n".join(lines) + "\n\n" + self.log().checkpoint

    def waiting_reply(self, token: str) -> Waiting:
        if token != "to-ana":
            raise Missing("unknown link")
        until = datetime(2026, 10, 26, 16, tzinfo=UTC)
        race = "Senate recall, Pueblo"
        return Waiting("Steel City Teachers", "Maria Trujillo", race, self.held, until)

    def answer_reply(self, token: str, *, yes: bool) -> None:
        self.waiting_reply(token)
        self.changed.append(("answer_reply", yes))
        self.held = "yes" if yes else "gone"

    def reply_box(self, token: str) -> BoxView:
        one = self.lending(token)
        return BoxView(one.name, one.race, self.box)

    def type_reply_box(self, token: str, address: str) -> None:
        self.lending(token)
        if address and "@" not in address:
            raise AddressRefused("no address")
        self.changed.append(("type_reply_box", bool(address)))
        self.box = "typed" if address else ""

    def asked_box(self, token: str) -> BoxView:
        if token != "is-it-yours":
            raise Missing("unknown link")
        return BoxView("Maria Trujillo", "Senate recall, Pueblo", self.box or "asked")

    def prove_box(self, token: str, *, yes: bool) -> None:
        self.asked_box(token)
        self.changed.append(("prove_box", yes))
        self.box = "proven" if yes else ""

    def own_box(self, caller: Caller) -> str:
        return self.own

    def type_own_box(self, caller: Caller, address: str) -> None:
        if "@" not in address:
            raise AddressRefused("no address")
        self.changed.append(("type_own_box", caller.id))
        self.own = "typed"

    def order_test(self, caller: Caller, id: str) -> None:
        if len(self.changed) > 10:
            raise NotReady("ten within a day")
        self.changed.append(("order_test", id))

    def asked_own_box(self, token: str) -> OwnView:
        if token not in ("is-it-coras", "is-it-a-seed"):
            raise Missing("unknown link")
        role, name = (
            ("partner", "Steel City Teachers") if "seed" in token else ("coordinator", "Cora")
        )
        return OwnView(role, name, self.own or "asked")

    def prove_own_box(self, token: str, *, yes: bool) -> None:
        self.asked_own_box(token)
        self.changed.append(("prove_own_box", yes))
        self.own = "proven" if yes else ""

    def visited(self, capability: str) -> None:
        self.recipient(capability)

    def recipient(self, capability: str) -> RecipientView:
        if capability != CAPABILITY:
            raise Missing("unknown link")
        return RecipientView(
            partner_name="Steel City Teachers",
            relation="a member",
            race_name="Senate recall, Pueblo",
            messenger_name="Maria Trujillo",
            sent_on=date(2026, 10, 19),
            trail=[
                TrailStep("Steel City Teachers states that you are a member.", 0),
                TrailStep("It put a sealed list into the consortium on September 9, 2026.", 1),
                TrailStep("It approved this email on October 15, 2026.", 2),
                TrailStep("The email was handed to your provider on October 19, 2026."),
            ],
            stopped=sorted(self.stops),
            race_closes=datetime(2026, 11, 3, 15, tzinfo=UTC),
        )

    def letter_receipt(self, capability: str) -> bytes:
        if capability != CAPABILITY:
            raise Missing("unknown link")
        return b'{"trellis":"row-receipt/v1"}\n'

    def hear_stop(self, capability: str, scope: str) -> None:
        if capability != CAPABILITY:
            raise Missing("unknown link")
        if scope not in self.stops:
            self.changed.append(("hear_stop", scope))
        self.stops.add(scope)


def application(desk: FakeDesk) -> FastAPI:
    """The pages over ``desk``, with the two JSON routes that signing in a browser talks to."""
    app = FastAPI(openapi_url=None)
    app.state.desk = desk
    app.state.signed = []
    app.add_middleware(Headers)

    @app.get("/log/{path:path}")
    def log_file(path: str) -> Response:
        return Response(desk.log_file(path), media_type="application/octet-stream")

    @app.post("/api/v1/browser-keys/start")
    async def start(request: Request) -> JSONResponse:
        scripted(request, signed_in(request))
        body = await request.json()
        app.state.public = body["public"]
        return JSONResponse({"code": "4821-7730"})

    @app.get("/api/v1/campaigns/{id}/approval-draft")
    def approval_draft(request: Request, id: str, public: str) -> JSONResponse:
        signed_in(request)
        digest = desk.letters[id].digest if not getattr(app.state, "lie", False) else "00" * 32
        facts = {"actor": public, "kind": "approve", "campaign": id, "digest": digest}
        openings = {
            name: {"salt": hashlib.sha256(name.encode()).hexdigest(), "value": value}
            for name, value in facts.items()
        }
        hidden = {
            name: commitment(bytes.fromhex(one["salt"]), one["value"]).hex()
            for name, one in openings.items()
        }
        body = {
            "actor": hidden.pop("actor"),
            "at": "2026-10-20T16Z",
            "commitments": hidden,
            "type": "approval",
        }
        message = (ENTRY_LABEL + canonical(body)).hex()
        return JSONResponse(
            {"message": message, "entry_unsigned": body, "openings": openings, "digest": digest}
        )

    @app.put("/api/v1/campaigns/{id}/browser-approval")
    async def approval(request: Request, id: str) -> JSONResponse:
        scripted(request, signed_in(request))
        app.state.signed.append(await request.json())
        return JSONResponse({"leaf": "cc" * 32}, status_code=202)

    @app.post("/api/v1/contributions/{id}/browser-withdrawal")
    async def withdraw(request: Request, id: str) -> JSONResponse:
        scripted(request, signed_in(request))
        app.state.signed.append(await request.json())
        return JSONResponse({"leaf": "dd" * 32}, status_code=202)

    for router in routers():
        app.include_router(router)
    return app
