"""What is red in a letter is not submitted; what is yellow is shown to whoever approves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from consortium.service import approve, lend, proofread
from consortium.store import campaigns, inspections
from mailer.errors import TemplateRefused
from mailer.findings import Finding
from policies import agreement
from policies.authorise import Caller
from tests.fakes.server import Server
from tests.integration.test_api_campaigns import MJML, drafted, furnished

__all__ = ["furnished"]
kinds = proofread._kinds
CORA = Caller("cora", "coordinator", None)
GREEN = Finding("Spam score", "green", "0.1 of at most 2.0, for nothing.")
PALE = MJML.replace("<mj-text>", '<mj-text color="#eeeeee">')


class Scorer:
    """SpamAssassin, as far as a campaign knows of it."""

    def __init__(self, said: Finding = GREEN) -> None:
        self.said, self.asked = said, list[bytes]()

    def __call__(self, message: bytes) -> Finding:
        self.asked.append(message)
        return self.said


def submit(server: Server, id: str, scorer: Scorer) -> str:
    return approve.submit(
        server.units,
        CORA,
        id,
        artefacts=server.artefacts,
        clock=server.clock,
        look=proofread.Look("https://trellis.example", scorer),
    )


def checked(server: Server, who: str, id: str) -> Any:
    return server.call(who, "GET", f"/campaigns/{id}/checks")


def test_what_is_red_is_refused_with_every_reason_and_what_to_do(furnished: Server) -> None:
    pale = drafted(furnished, template={"subject": "Vote on Tuesday", "mjml": PALE})
    scorer = Scorer(Finding("Spam score", "red", "5.1 of at most 2.0.", "Change the words."))
    with pytest.raises(TemplateRefused) as refused:
        submit(furnished, pale, scorer)
    said = [problem.what.split(":")[0] for problem in refused.value.problems]
    assert sorted(said) == ["Contrast", "Spam score"]
    assert all(problem.todo for problem in refused.value.problems)
    answer = furnished.call("cora", "POST", f"/campaigns/{pale}/submit")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:trellis:problem:template")
    seen = checked(furnished, "cora", pale).json()
    assert (seen["level"], seen["findings"][0]["level"]) == ("red", "red")

    # The same words were scored once, and what is shown is what was said then.
    assert len(scorer.asked) == 1
    assert b"Subject: Vote on Tuesday" in scorer.asked[0]
    assert b"made-up-0@example.net" in scorer.asked[0]
    kept = furnished.units.read("kept", lambda unit: inspections.get(unit, f"letter {pale}"))
    assert kept is not None
    assert kept.level == "red"

    # A letter that has nothing red is asked for, and its partners see the rest.
    good = drafted(furnished)
    before = {one["point"]: one for one in checked(furnished, "cora", good).json()["findings"]}
    assert (before["Spam score"]["level"], before["Paid for by"]["level"]) == ("none", "yellow")
    assert checked(furnished, "union", good).status_code == 404
    submit(furnished, good, Scorer())
    shown = checked(furnished, "union", good).json()
    after = {one["point"]: one for one in shown["findings"]}
    assert (after["Spam score"]["level"], after["Paid for by"]["level"]) == ("green", "yellow")
    assert "100 letters" in after["Uniformity"]["what"]
    assert [one["domain"] for one in shown["domains"]] == ["union.example", "parks.example"]
    assert checked(furnished, "stella", good).status_code == 403


def test_names_of_the_agreement_are_looked_for(server: Server) -> None:
    terms = agreement.parse(server.agreement)
    named = agreement.parse(
        agreement.to_bytes(terms)[:-1] + b',"candidates":["Ada Flores","Bo Ray"]}'
    )
    assert named.candidates == ("Ada Flores", "Bo Ray")
    assert b"candidates" not in agreement.to_bytes(terms)


def mail_of(server: Server, signers: Sequence[str], **terms: Any) -> proofread.Mail:
    """A letter that names who signs, for so many messengers."""
    signed = MJML.replace("vote.", "vote. {{ messenger_name }}")
    id = drafted(server, template={"subject": "Vote on Tuesday", "mjml": signed})
    mail = server.units.read("mail", lambda unit: proofread._mail(unit, campaigns.get(unit, id)))
    names = [{"name": name, "place": "Toledo"} for name in signers]
    return replace(mail, terms=replace(mail.terms, **terms), signers=names)


def neutral(mail: proofread.Mail) -> list[tuple[str, str]]:
    found = proofread.letters(mail, proofread.Look("https://trellis.example"))
    return [(one.level, one.what) for one in found if one.point == "Nonpartisan"]


def test_the_letter_of_every_messenger_is_looked_at_not_of_some_alone(
    furnished: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [f"Volunteer Number{n} of a Long Name" for n in range(30)]
    runs: dict[str, Any] = {"wall": "nonpartisan", "candidates": ("Ada Flores", "Bo Ray")}
    assert neutral(mail_of(furnished, many, **runs))[0][0] == "green"
    planted = mail_of(furnished, [*many, "Ada  flores"], **runs)
    assert ("red", "Ada  flores would sign, and is a candidate.") in neutral(planted)
    assert ("red", "The letter names the candidate Ada Flores.") in neutral(planted)
    last = mail_of(furnished, [*many, "Vote Against Wade"], **runs)
    assert {level for level, _ in neutral(last)} == {"yellow"}
    # A control: only the first of them looked at would miss her in her own letter.
    monkeypatch.setattr(proofread, "_kinds", lambda mail: list(kinds(mail))[:5])
    some = mail_of(furnished, [*many, "Ada Flores"], **runs)
    assert ("red", "The letter names the candidate Ada Flores.") not in neutral(some)


def test_two_hundred_messengers_cost_no_more_than_a_letter_each(furnished: Server) -> None:
    many = mail_of(furnished, [f"Volunteer {n}" for n in range(lend.MOST)])
    made = list(kinds(many))
    lists, readers = len(many.sources), len(proofread.PLACES)
    assert len(made) == proofread.SIGNERS * lists * readers + lend.MOST - proofread.SIGNERS
    assert {signs["name"] for _, signs, *_ in made} == {one["name"] for one in many.signers}
    assert {party.id for party, *_ in made[-lists:]} == set(many.sources)


def test_a_candidate_may_sign_where_the_agreement_takes_sides(furnished: Server) -> None:
    mail = mail_of(furnished, ["Ada Flores"], wall="candidate", candidates=("Ada Flores",))
    assert neutral(mail) == []
