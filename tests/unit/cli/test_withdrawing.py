"""What custodians are told directly: in batches of one size, tried again, kept until heard."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from consortium.cli import withdrawing
from consortium.cli.errors import Unreachable
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


class Kept:
    """A list's folder: what a tool kept in it, and its rows."""

    def __init__(self, folder: Path) -> None:
        self.id, self.folder = "6f0f8f6a", folder
        self.facts: dict[str, Any] = {"rows": 3}

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def rows(self, home: Any) -> list[Any]:
        return [SimpleNamespace(secret=bytes([n]) * 32) for n in range(3)]

    def note(self, **facts: Any) -> None:
        self.facts |= facts


@pytest.mark.parametrize("given", [True, False])
def test_a_lists_ghosts_are_retired_among_its_rows_and_rows_without_them_too(
    tmp_path: Path, given: bool
) -> None:
    heard: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.extend(json.loads(request.content)["body"]["secrets"])
        return httpx.Response(200, json={"retired": BATCH})

    def write(path: Path, value: Any) -> None:
        path.write_text(json.dumps(value))

    home: Any = SimpleNamespace(
        id="union",
        sign=lambda message: b"s" * 64,
        invite={"custodians": [{"id": "ann", "url": "http://ann.test", "public": "00" * 32}]},
        vault=SimpleNamespace(write=write, read=lambda path: json.loads(path.read_text())),
    )

    def get(path: str) -> dict[str, list[str]]:
        assert path == "/contributions/6f0f8f6a/ghosts"
        if not given:
            raise Unreachable("nobody answers")
        return {"secrets": ["ab" * 32, "cd" * 32, *(f"{n:02}" * 32 for n in (31, 32, 33))]}

    api: Any = SimpleNamespace(home=home, get=get)
    own: Any = Kept(tmp_path)
    assert withdrawing.ghosts(api, own) is given
    told = withdrawing.retire(home, own, lambda *_: None, transport=httpx.MockTransport(answer))
    assert told == Told(("ann",), ())
    assert {bytes([n]).hex() * 32 for n in range(3)} <= set(heard)
    assert ({"ab" * 32, "cd" * 32} <= set(heard)) is given
    assert not {"31" * 32, "33" * 32} & set(heard)  # in its three rows' place there are none
    assert len(heard) == BATCH  # and nobody on the way sees how many there were
