"""What custodians are told directly: in batches of one size, tried again, kept until heard."""

import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from consortium.cli.withdrawing import BATCH, Told, batches, tell
from consortium.clock import utc


@pytest.mark.parametrize(
    ("rows", "least", "number"), [(1, 1, 1), (4096, 4096, 1), (4097, 8192, 2), (8192, 8192, 2)]
)
def test_lists_of_one_class_are_taken_back_in_requests_that_look_alike(
    rows: int, least: int, number: int
) -> None:
    revealed = [bytes([n % 256]) * 31 + bytes([n >> 8]) for n in range(rows)]
    made = batches(revealed, least)
    assert [len(body["secrets"]) for body in made] == [BATCH] * number
    assert len({len(json.dumps(body)) for body in made}) == 1
    told = [one for body in made for one in body["secrets"]]
    assert {one.hex() for one in revealed} <= set(told)
    assert len(set(told)) == number * BATCH
    # Without the class, more than half as many rows would show by a request fewer.
    assert len(batches(revealed[: BATCH // 2 + 1])) == 1
    assert len(batches(revealed[: BATCH // 2 + 1], least)) == number


def test_who_answers_at_the_third_try_has_heard_and_who_never_does_is_named() -> None:
    home: Any = SimpleNamespace(
        id="union",
        sign=lambda message: b"s" * 64,
        invite={
            "custodians": [
                {"id": one, "url": f"http://{one}.test", "public": "00" * 32}
                for one in ("ann", "bea", "cyd")
            ]
        },
    )
    tried: dict[str, int] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        tried[request.url.host] = tried.get(request.url.host, 0) + 1
        if request.url.host == "cyd.test" or tried[request.url.host] < 3:
            raise httpx.ConnectError("away")
        return httpx.Response(200, json={"retired": BATCH})

    def ask(already: tuple[str, ...] = ()) -> Told:
        return tell(
            home,
            "retire",
            batches([b"r" * 32]),
            clock=utc,
            transport=httpx.MockTransport(answer),
            already=already,
        )

    assert ask(already=("ann",)) == Told(("ann", "bea"), ("cyd",))
    assert "ann.test" not in tried, "it has heard before"
