"""One table from errors to problems: the particular before the general, and never a value."""

import inspect
import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

import mailer.errors
import matching.errors
import policies.errors
import provenance.errors
from consortium.service import errors as service
from consortium.store import errors as store
from consortium.web import errors as web
from consortium.web import problems
from consortium.web.routes.forms import Signed

CANARY = "ann.canary@members.example"
TREES = {
    "web": (web, web.WebRefused),
    "service": (service, service.ServiceRefused),
    "store": (store, store.StoreRefused),
    "policies": (policies.errors, policies.errors.PolicyError),
    "mailer": (mailer.errors, mailer.errors.MailerError),
    "matching": (matching.errors, matching.errors.MatchingError),
    "provenance": (provenance.errors, provenance.errors.ProvenanceError),
}


def errors() -> Iterator[type[Exception]]:
    """Every typed error of every package, but the roots of the trees."""
    for module, root in TREES.values():
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, root) and found is not root:
                yield found


@pytest.mark.parametrize(
    "kind", list(errors()), ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
def test_every_typed_error_has_a_problem(kind: type[Exception]) -> None:
    assert any(issubclass(kind, known) for known, _ in problems.TABLE)


def test_no_row_is_hidden_behind_a_more_general_one() -> None:
    kinds = [kind for kind, _ in problems.TABLE]
    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place]), kind


def test_one_name_has_one_status() -> None:
    by_name: dict[str, set[int]] = {}
    for _, problem in problems.TABLE:
        by_name.setdefault(problem.name, set()).add(problem.status)
    assert all(len(found) == 1 for found in by_name.values())


def test_what_nobody_foresaw_is_nothing_in_the_table() -> None:
    assert problems.problem_of(ValueError(CANARY)) is None


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int
    names: dict[str, int] = {}


def app() -> FastAPI:
    made = FastAPI()
    problems.install(made)

    @made.post("/form/{number}")
    def form(number: int, body: Body) -> None:
        return None

    @made.post("/signed")
    def signed(body: Signed) -> None:
        return None

    @made.get("/raise/{what}")
    def fail(what: str) -> None:
        known = {
            "busy": store.Busy("again"),
            "fault": ValueError(CANARY),
            "http": HTTPException(418, f"no {CANARY}", headers={"x-kept": "yes"}),
            "template": mailer.errors.TemplateRefused([mailer.errors.Problem(3, "What.", "Do.")]),
            "broken": policies.errors.LedgerBroken("head"),
        }
        raise known[what]

    return made


CLIENT = TestClient(app(), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/form/{CANARY}", {"size": 1}),
        ("/form/1", {"size": CANARY}),
        ("/form/1", {"size": 1, CANARY: 1}),
        ("/form/1", {"size": 1, "names": {CANARY: "x"}}),
        ("/form/1", {CANARY: {CANARY: CANARY}}),
        ("/form/1", CANARY),
        ("/form/1", [CANARY]),
        ("/signed", {"entry": CANARY, "openings": {}}),
        ("/signed", {"entry": "AAAA", "openings": {CANARY: {}}}),
        ("/signed", {"entry": "AAAA", "openings": {}, CANARY: 1}),
    ],
)
def test_a_refused_form_says_where_and_quotes_nothing(path: str, body: object) -> None:
    answer = CLIENT.post(path, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == problems.MEDIA
    assert answer.json()["type"] == "urn:trellis:problem:form"
    assert "canary" not in answer.text
    assert "members" not in answer.text


def test_a_refused_form_names_its_field() -> None:
    detail = CLIENT.post("/form/1", json={"size": "many"}).json()["detail"]
    assert detail.endswith("body.size")


def test_a_broken_body_is_no_fault() -> None:
    answer = CLIENT.post("/form/1", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_busy_asks_to_come_again() -> None:
    answer = CLIENT.get("/raise/busy")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize(("what", "status"), [("fault", 500), ("http", 418), ("broken", 500)])
def test_a_detail_made_by_somebody_else_is_not_repeated(what: str, status: int) -> None:
    answer = CLIENT.get(f"/raise/{what}")
    assert answer.status_code == answer.json()["status"] == status
    assert CANARY not in answer.text
    assert set(answer.json()) == {"type", "title", "status", "detail"}


def test_headers_of_http_itself_stay() -> None:
    assert CLIENT.get("/raise/http").headers["x-kept"] == "yes"


def test_every_line_of_a_refused_letter_is_told() -> None:
    answer = CLIENT.get("/raise/template").json()
    assert answer["problems"] == [{"line": 3, "what": "What.", "do": "Do."}]
    assert json.dumps(answer)
