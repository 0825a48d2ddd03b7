"""The same list once more: after a crash at any step, a week later, after a look, after a lie."""

import base64
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from consortium.cli import auditor, dryrun, memory, tokenise
from consortium.cli.batches import Drawer
from consortium.cli.home import Home
from consortium.cli.lists import own_lists
from consortium.cli.memory import Memory, recollection
from matching.bundle import open_file, read_outputs
from matching.recipes import make_record, token_inputs
from tests.fakes.api import FakeWorld
from tests.unit.cli.conftest import CANARY, Desk

BATCH = 64
ROWS = 24
MEMBER = make_record(first=CANARY, last=f"q{CANARY}", address="1 Old St", zip="80100")
TOKENS = sum(one is not None for one in token_inputs(MEMBER)) + 1
"""Of each row of ``write``, the address token among them."""


@pytest.fixture
def world() -> FakeWorld:
    """An installation whose batches are small: what is tested here is when, not how many."""
    return FakeWorld(minimum=10, batch=BATCH)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenise, "BATCH", BATCH)
    monkeypatch.setattr(dryrun, "BATCH", BATCH)


def write(path: Path, people: range, *, moved: frozenset[int] = frozenset()) -> Path:
    """Members with no two tokens alike; who moved has another street."""
    lines = ["first_name,last_name,email,address,zip,status"]
    for n in people:
        first, last = f"{CANARY}{chr(97 + n % 26)}", f"q{chr(97 + n // 26)}{CANARY}"
        street = f"{n + 1} {'New' if n in moved else 'Old'} St"
        lines.append(f"{first},{last},{CANARY}{n}@x.example,{street},{80100 + n},subscribed")
    path.write_text("\n".join(lines) + "\n")
    return path


def upload(desk: Desk, file: Path) -> dict[str, Any]:
    """An upload without worker processes: these would not know of the small batches."""
    return desk.json("upload", file, "--yes", "--workers", "1")


def puts(world: FakeWorld) -> list[str]:
    return [call for call in world.calls if call.startswith("PUT ")]


def tokens_of(world: FakeWorld, id: str, folder: Path) -> set[tuple[int, bytes]]:
    """What the pepper would read: recipe and output of every token of a list, rows apart."""
    (folder / "sealed").write_bytes(world.parts[f"{id}/outputs"])
    (folder / "plain").unlink(missing_ok=True)
    private = world.pepper.private_bytes_raw()
    open_file(folder / "sealed", folder / "plain", private, id.encode())
    return {(one.recipe, one.output) for one in read_outputs(folder / "plain")}


# -- a crash at any step -------------------------------------------------------------------------


class PowerCut(BaseException):
    """The machine is off: nothing of it runs on."""


class Power:
    """Counts durable steps and messages down; from zero on none happens any more."""

    def __init__(self, left: int) -> None:
        self.left, self.used = left, 0

    def use(self) -> None:
        if self.left <= 0:
            raise PowerCut
        self.left -= 1
        self.used += 1


@contextmanager
def powered(power: Power, world: FakeWorld) -> Iterator[None]:
    """Every sync, rename, removal, commit and message needs power; messages before and after."""
    handle = world._handle

    def message(request: httpx.Request) -> httpx.Response:
        power.use()
        answer = handle(request)
        power.use()
        return answer

    def needs(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **more: Any) -> Any:
            power.use()
            return real(*args, **more)

        return act

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "_handle", message)
        for owner, name in (
            (os, "fsync"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree"),
            (Memory, "_write"),
        ):  # fmt: skip
            patch.setattr(owner, name, needs(getattr(owner, name)))
        yield


def interrupted(desk: Desk, file: Path, steps: int) -> bool:
    """Upload with power for so many steps; whether it went out before the end."""
    power = Power(steps)
    with powered(power, desk.world):
        try:
            done = desk.run("upload", file, "--yes", "--workers", "1")
        except PowerCut:
            return True
    assert done.exit_code == 0 or power.left <= 0, done.output
    return power.left <= 0


def whole(desk: Desk, file: Path) -> int:
    """How many steps an upload takes that nothing interrupts."""
    power = Power(1 << 30)
    with powered(power, desk.world):
        assert desk.run("upload", file, "--yes", "--workers", "1").exit_code == 0
    return power.used


def check_goes_on(
    seat: Callable[[str], Desk], world: FakeWorld, file: Path, steps: int, folder: Path
) -> None:
    desk = seat("partner")
    assert desk.run("sign", "--yes").exit_code == 0
    assert interrupted(desk, file, steps)
    made = upload(desk, file)
    assert list(world.contributions) == [made["id"]], "one contribution"
    batches = -(-ROWS * TOKENS // BATCH)
    assert {id: len(said) for id, said in world.charged.items()} == {"c1": batches, "c2": batches}
    # The one part that was on its way may come twice; never one that the server has said it holds.
    assert len(puts(world)) <= 3
    assert len(list(own_lists(Home(desk.home)))) == 1
    assert len(tokens_of(world, made["id"], folder)) == ROWS * TOKENS
    assert list((desk.home / "lists" / made["id"]).glob(".*.part")) == []
    for path in desk.home.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("tenth", range(1, 10, 2))
def test_an_upload_cut_off_at_a_tenth_of_its_steps_goes_on_and_nothing_is_charged_or_sent_twice(
    seat: Callable[[str], Desk], world: FakeWorld, tmp_path: Path, tenth: int
) -> None:
    file = write(tmp_path / "list.csv", range(ROWS))
    other = tmp_path / "elsewhere"
    other.mkdir()
    steps = counted(other)
    check_goes_on(seat, world, file, steps * tenth // 10, tmp_path)


@pytest.mark.soak
def test_an_upload_cut_off_at_any_step_goes_on_and_nothing_is_charged_or_sent_twice(
    tmp_path: Path,
) -> None:
    steps = counted(tmp_path)
    for cut in range(steps):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        world = FakeWorld(minimum=10, batch=BATCH)
        check_goes_on(lambda _, w=world, f=folder: joined(w, f), world,  # type: ignore[misc]
                      write(folder / "list.csv", range(ROWS)), cut, folder)  # fmt: skip


def counted(folder: Path) -> int:
    """The steps of the same upload in a world of its own."""
    desk = joined(FakeWorld(minimum=10, batch=BATCH), folder)
    assert desk.run("sign", "--yes").exit_code == 0
    return whole(desk, write(folder / "list.csv", range(ROWS)))


def joined(world: FakeWorld, folder: Path) -> Desk:
    """A partner of that world with a home in the folder."""
    from tests.unit.cli import conftest

    return conftest.seat.__wrapped__(world, folder)("partner")  # type: ignore[attr-defined,no-any-return]


def test_parts_that_the_server_removed_meanwhile_are_sent_again(
    union: Desk, world: FakeWorld, tmp_path: Path
) -> None:
    file = write(tmp_path / "list.csv", range(ROWS))
    handle = world._handle

    def cut_before_the_entry(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and "/contributions/" in str(request.url):
            raise PowerCut
        return handle(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "_handle", cut_before_the_entry)
        with pytest.raises(PowerCut):
            union.run("upload", file, "--yes", "--workers", "1")
    assert len(puts(world)) == 2
    world.parts.clear()  # for days nobody came with the entry
    made = upload(union, file)
    assert [*world.contributions] == [made["id"]]
    assert len(puts(world)) == 4
    assert len(tokens_of(world, made["id"], tmp_path)) == ROWS * TOKENS


def test_without_the_kept_batches_a_second_try_would_be_charged_again(
    union: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "list.csv", range(ROWS))
    union.world.down = {"c2", "c3"}
    monkeypatch.setattr(Drawer, "write", lambda *_: None)
    assert union.run("upload", file, "--yes").exit_code == 3
    once = union.world.evaluated
    union.world.down = set()
    assert union.run("upload", file, "--yes").exit_code == 0
    batches = -(-ROWS * TOKENS // BATCH)
    assert once > 0
    assert union.world.evaluated == once + 2 * batches


# -- a week later ----------------------------------------------------------------------------------


def test_a_refresh_with_one_changed_row_asks_for_that_row_alone(
    union: Desk, tmp_path: Path
) -> None:
    people = range(200)
    first = upload(union, write(tmp_path / "one.csv", people))
    full = union.world.evaluated
    assert full == 2 * -(-200 * TOKENS // BATCH)
    changed = write(tmp_path / "two.csv", people, moved=frozenset({7, 150}))
    second = upload(union, changed)
    assert union.world.evaluated - full == 2, "1% changed: one padded batch at two custodians"
    before = tokens_of(union.world, first["id"], tmp_path)
    after = tokens_of(union.world, second["id"], tmp_path)
    assert len(before) == len(after) == 200 * TOKENS
    assert 0 < len(before ^ after) <= 2 * 2 * TOKENS
    assert tokens_with_an_empty_memory(union, changed, tmp_path) == after


def tokens_with_an_empty_memory(desk: Desk, file: Path, folder: Path) -> set[tuple[int, bytes]]:
    """The same list's tokens when everything is asked for anew."""
    assert desk.json("forget", "--yes")["forgotten"] == 1
    assert list((desk.home / "memory").iterdir()) == []
    asked = desk.world.evaluated
    again = folder / "again.csv"
    again.write_text(file.read_text() + "\n")
    id = upload(desk, again)["id"]
    assert desk.world.evaluated - asked == 2 * -(-200 * TOKENS // BATCH)
    return tokens_of(desk.world, id, folder)


def test_the_memory_says_nothing_without_the_homes_key_and_drops_what_nobody_asks_for(
    tmp_path: Path,
) -> None:
    path, today = tmp_path / "m.sqlite", [20_000]
    ada, bob = b"ada lovelace 1815", b"bob"  # long: three letters come about by chance
    inputs, points = [ada, bob], b"a" * 32 + b"b" * 32
    with Memory(path, b"k" * 32, "ab", today=lambda: today[0]) as kept:
        kept.put(inputs, points)
        assert kept.find([bob, b"cyd", ada]) == [b"b" * 32, None, b"a" * 32]
    for file in tmp_path.iterdir():
        raw = file.read_bytes()
        assert ada not in raw
        assert b"a" * 32 not in raw
        for guess in (ada, bob):
            assert hashlib.sha256(guess).digest()[:16] not in raw
    for key, sid in ((b"o" * 32, "ab"), (b"k" * 32, "cd")):
        with Memory(path, key, sid) as other:
            assert other.find(inputs) == [None, None]
    today[0] += memory.LIFE_DAYS - 1
    with Memory(path, b"k" * 32, "ab", today=lambda: today[0]) as kept:
        assert kept.find([b"bob"]) == [b"b" * 32]
        today[0] += 2
        kept.prune()
        assert kept.find(inputs) == [None, b"b" * 32]


def test_what_was_answered_in_a_season_that_has_ended_goes_with_it(
    union: Desk, tmp_path: Path
) -> None:
    ended = union.home / "memory" / f"2024-season.{'ab' * 8}.sqlite"
    ended.parent.mkdir(mode=0o700)
    with Memory(ended, b"k" * 32, "ab") as kept:
        kept.put([b"ada"], b"a" * 32)
    upload(union, write(tmp_path / "one.csv", range(ROWS)))
    assert not ended.exists()
    assert len(list((union.home / "memory").glob("*.sqlite"))) == 1


def test_an_entry_that_was_bent_is_asked_for_again_and_not_believed(
    union: Desk, tmp_path: Path
) -> None:
    upload(union, write(tmp_path / "one.csv", range(ROWS)))
    home, asked = Home(union.home), union.world.evaluated
    with recollection(home, union.world.match) as kept:
        path = Path(kept._sql.execute("PRAGMA database_list").fetchone()[2])
    with sqlite3.connect(path) as sql:
        sql.execute("UPDATE kept SET point = zeroblob(48)")
    sql.close()
    upload(union, write(tmp_path / "two.csv", range(1, ROWS + 1)))
    assert union.world.evaluated - asked == 2 * -(-ROWS * TOKENS // BATCH)


# -- after a look ----------------------------------------------------------------------------------


def test_a_real_upload_sends_the_very_bytes_that_a_dry_run_showed(
    union: Desk, tmp_path: Path
) -> None:
    file, out = write(tmp_path / "list.csv", range(ROWS)), tmp_path / "out"
    before = len(union.world.bodies)
    shown = union.json("upload", file, "--dry-run", "--out", out)
    assert not any(union.world.bodies[before:]), "nothing but questions without a body"
    said = (out / "what-leaves.txt").read_text()
    copies = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in copies)
    before = len(union.world.bodies)
    upload(union, file)
    sent = [hashlib.sha256(body).hexdigest() for body in union.world.bodies[before:]]
    rows = next(part for part in shown["parts"] if part[0] == "rows")
    assert sent.count(rows[2]) == 1
    assert len(shown["requests"]) == -(-ROWS * TOKENS // BATCH)
    for number, (size, digest) in enumerate(shown["requests"], 1):
        assert sent.count(digest) == 2, "the same to two custodians"
        raw = copies[out / "requests" / f"{number:06d}.json"]
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (size, digest)
        assert digest in said
    evaluations = [call for call in union.world.calls if call.endswith("/evaluate")]
    assert len(evaluations) == 2 * len(shown["requests"]), "no other request went out"


def test_a_dry_run_of_a_known_list_shows_the_outputs_too(union: Desk, tmp_path: Path) -> None:
    upload(union, write(tmp_path / "one.csv", range(ROWS)))
    shorter = write(tmp_path / "two.csv", range(ROWS - 1))
    shown = union.json("upload", shorter, "--dry-run")
    assert shown["requests"] == []
    digests = {part[0]: part[2] for part in shown["parts"]}
    id = upload(union, shorter)["id"]
    for part in ("rows", "outputs"):
        sent = hashlib.sha256(union.world.parts[f"{id}/{part}"]).hexdigest()
        assert sent == digests[part]


def test_a_request_holds_points_and_names_no_member(union: Desk, tmp_path: Path) -> None:
    file, out = write(tmp_path / "list.csv", range(ROWS)), tmp_path / "out"
    union.run("upload", file, "--dry-run", "--out", out)
    for path in (out / "requests").iterdir():
        body = json.loads(path.read_bytes())
        assert set(body) == {"request", "points"}
        assert len(base64.b64decode(body["points"])) == BATCH * 32
    for path in out.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()


# -- after a lie -----------------------------------------------------------------------------------


def test_a_custodian_that_lies_is_named_and_the_file_convicts_it_before_anybody(
    union: Desk, tmp_path: Path
) -> None:
    file = write(tmp_path / "list.csv", range(ROWS))
    union.world.lying = {"c2"}
    done = union.run("upload", file, "--yes", "--workers", "1")
    assert done.exit_code == 0, "the two others are enough"
    assert "custodian c2 answered with another key than the log states" in done.output
    assert len(union.world.charged["c3"]) == len(union.world.charged["c1"])
    found = list((union.home / "evidence").iterdir())
    assert found
    assert CANARY not in found[0].read_text()
    invite = tmp_path / "invite.json"
    invite.write_text(json.dumps(union.world.invite()))
    words = ["evidence", str(found[0]), "--invite", str(invite), "--json"]
    said = CliRunner().invoke(auditor.command, words)
    assert json.loads(said.output)["verdict"] == "guilty"
    assert json.loads(said.output)["custodian"] == "c2"


def test_a_custodian_that_charges_a_repeat_again_is_held_to_its_first_answer(
    union: Desk, tmp_path: Path
) -> None:
    file = write(tmp_path / "list.csv", range(10))
    union.world.down = {"c2", "c3"}
    assert union.run("upload", file, "--yes").exit_code == 3
    union.world.down = set()
    charged = union.world.charged["c1"]
    charged.update({request: total + 4096 for request, total in charged.items()})
    done = union.run("upload", file, "--yes", "--workers", "1")
    assert "custodian c1 answered the same request in two ways" in done.output
    assert len(list((union.home / "evidence").iterdir())) == 1
