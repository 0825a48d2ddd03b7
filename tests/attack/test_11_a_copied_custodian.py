"""Who copies the disks of as many custodians as it takes learns no key from them.

Threat: docs/threat-model.md, T12. Each custodian chose how its share is wrapped; the thief has all
files of both homes but what the kind keeps elsewhere. With that too, the key is whole: so each test
shows first that nothing else stood in the way.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from consortium.custodian.errors import CustodianError
from consortium.custodian.ledger import Key, Ledger
from consortium.custodian.wrapping import Asking, Wish, opened, protect
from consortium.custodian.wrapping.passphrase import Cost
from matching import group
from matching.statement import Statement
from matching.threshold import lagrange
from tests.fakes.dealer import split

IDS = ("ann", "bea", "cyd")
WORDS = {"ann": "stapled battery horse", "bea": "a quite different one"}
Homes = tuple[Statement, dict[str, bytes], Path]


def ask(words: str) -> Asking:
    return Asking({}, prompt=lambda name, new: words)


def two_homes(folder: Path, kind: str) -> Homes:
    """Two of three custodians with a share each."""
    statement, shares = split(group.reduce(os.urandom(64)), threshold=2, ids=IDS)
    more = {"cost": Cost(iterations=1, lanes=1, memory=64)} if kind == "passphrase" else {}
    for one, words in WORDS.items():
        home = folder / one
        home.mkdir(parents=True)
        path = home / "custodian.sqlite"
        protect(home, path, one, Wish(kind, more), ask(words))
        with (
            closing(opened(home, path, one, ask(words))) as wrapping,
            closing(Ledger(path, wrapping)) as ledger,
        ):
            ledger.add_key(Key(statement, {}, shares[one]))
    return statement, shares, folder


def stolen(homes: Path, to: Path, without: str = "") -> Path:
    """A copy of everything, but for files of this pattern."""
    ignore = shutil.ignore_patterns(without) if without else None
    shutil.copytree(homes, to, ignore=ignore)
    return to


def key_of(loot: Path, statement: Statement, words: dict[str, str]) -> bytes | None:
    """The public point of whatever secret the thief can put together; nothing if no share opens."""
    whole = None
    quorum = [statement.index(one) for one in WORDS]
    for one in WORDS:
        home = loot / one
        path = home / "custodian.sqlite"
        try:
            with (
                closing(opened(home, path, one, ask(words[one]))) as wrapping,
                closing(Ledger(path, wrapping)) as ledger,
            ):
                held = ledger.key_of(statement.sid)
        except CustodianError:
            return None
        assert held is not None
        weight = lagrange(statement.index(one), quorum)
        part = group.base(group.scalar_mul(weight, held.share))
        whole = part if whole is None else group.add(whole, part)
    return whole


def in_the_clear(loot: Path, shares: dict[str, bytes]) -> list[str]:
    """Whose share stands in any file of the loot, as bytes or as text."""
    blobs = [path.read_bytes() for path in loot.rglob("*") if path.is_file()]
    return [
        one
        for one in WORDS
        if any(shares[one] in blob or shares[one].hex().encode() in blob for blob in blobs)
    ]


Guess = Callable[[str], str]


@pytest.mark.parametrize(
    "guess",
    [lambda one: "password1234", lambda one: WORDS["bea" if one == "ann" else "ann"]],
    ids=["a common one", "the neighbour's"],
)
def test_copied_disks_without_the_passphrases_give_no_key(tmp_path: Path, guess: Guess) -> None:
    statement, shares, homes = two_homes(tmp_path / "homes", "passphrase")
    loot = stolen(homes, tmp_path / "loot")
    assert key_of(loot, statement, WORDS) == statement.public  # as documented: t custodians have it
    assert in_the_clear(loot, shares) == []
    assert key_of(loot, statement, {one: guess(one) for one in WORDS}) is None


def test_copied_databases_without_the_key_files_give_no_key(tmp_path: Path) -> None:
    statement, shares, homes = two_homes(tmp_path / "homes", "file")
    assert key_of(stolen(homes, tmp_path / "all"), statement, WORDS) == statement.public
    loot = stolen(homes, tmp_path / "databases", without="wrapping-*.key")
    assert in_the_clear(loot, shares) == []
    assert key_of(loot, statement, WORDS) is None


def test_a_ledger_without_a_wrapping_would_have_shown_it(tmp_path: Path) -> None:
    """The control: what the two tests above look for is there when nothing wraps it."""
    statement, shares = split(group.reduce(os.urandom(64)), threshold=2, ids=IDS)
    for one in WORDS:
        (tmp_path / one).mkdir()
        with closing(Ledger(tmp_path / one / "custodian.sqlite")) as ledger:
            ledger.add_key(Key(statement, {}, shares[one]))
    assert in_the_clear(tmp_path, shares) == list(WORDS)
