"""The places and rules that a letter is for, and one protected number of them."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from consortium.service.sign_in import SignedIn
from consortium.web.desk import desk
from consortium.web.page import PageRoute, render
from consortium.web.who import Reader, Writer
from policies.errors import BudgetSpent, DefinitionRefused, TooFew

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Chosen = Annotated[list[str], Form(default_factory=list)]
Asked = Annotated[list[str], Query(default_factory=list)]


@router.get("/choose")
def places(
    request: Request, session: Reader, place: Asked, age: Asked, votes: Asked, primaries: Asked
) -> Response:
    """The places of this race, as a list. Looking at it spends nothing."""
    return _choose(request, session, definition_from(place, age, votes, primaries))


@router.post("/choose")
def count(
    request: Request, session: Writer, place: Chosen, age: Chosen, votes: Chosen, primaries: Chosen
) -> Response:
    """One estimate. The same question again gets the same answer and spends nothing."""
    asked = definition_from(place, age, votes, primaries)
    caller = session.caller
    race = desk(request).race()
    try:
        counted = desk(request).count(caller, race.id, asked)
    except (DefinitionRefused, BudgetSpent, TooFew) as refused:
        return _choose(request, session, asked, refused=str(refused), status=422)
    return _choose(request, session, counted.definition, counted=counted)


def _choose(
    request: Request,
    session: SignedIn,
    definition: dict[str, Any],
    *,
    counted: Any = None,
    refused: str = "",
    status: int = 200,
) -> Response:
    caller = session.caller
    race = desk(request).race()
    return render(
        request,
        "choose.html",
        session=session,
        status=status,
        places=desk(request).places(caller),
        budget=desk(request).budget(caller),
        race=race,
        definition=definition,
        picks=picks(definition),
        counted=counted,
        refused=refused,
    )


def definition_from(
    place: Sequence[str], age: Sequence[str], votes: Sequence[str], primaries: Sequence[str]
) -> dict[str, Any]:
    """What the boxes of the form say: ``district:House 44`` and the bands."""
    found: dict[str, Any] = {"places": {}}
    for kind, _, code in (each.partition(":") for each in place):
        found["places"].setdefault(kind, []).append(code)
    for name, bands in (("age", age), ("votes", votes), ("primaries", primaries)):
        if bands:
            found[name] = list(bands)
    return found


def picks(definition: dict[str, Any]) -> dict[str, list[str]]:
    """The boxes that are ticked for a definition: ``definition_from`` the other way round."""
    places: dict[str, list[str]] = definition.get("places") or {}
    return {
        "place": [f"{kind}:{code}" for kind, codes in places.items() for code in codes],
        "age": list(definition.get("age") or ()),
        "votes": list(definition.get("votes") or ()),
        "primaries": list(definition.get("primaries") or ()),
    }
