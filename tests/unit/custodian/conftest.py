"""A place for each kind of wrapping: key file, passphrase, a real token, a vault over HTTP."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consortium.custodian.errors import WrappingRefused
from consortium.custodian.wrapping import KINDS, Opened, Wish, opened, protect
from consortium.custodian.wrapping.passphrase import Cost
from tests.fakes import softhsm
from tests.fakes.vault import Vault

CHEAP = Cost(iterations=1, lanes=1, memory=64)


@dataclass
class Place:
    """One kind of wrapping with what it asks for; homes are made in ``folder``."""

    kind: str
    folder: Path
    more: dict[str, Any]
    said: dict[str, str]
    vault: Vault | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def wish(self) -> Wish:
        """What `init` would be told."""
        return Wish(self.kind, self.more)

    def ask(self, name: str, *, new: bool = False) -> bytes:
        """Say what was asked for, and remember that it was."""
        self.asked.append(name)
        if name not in self.said:
            raise WrappingRefused(f"nobody can say the {name}")
        return self.said[name].encode()

    def home(self, owner: str = "ann") -> Path:
        """A protected home."""
        path = self.folder / owner
        path.mkdir()
        protect(path, path / "custodian.sqlite", owner, self.wish, self.ask)
        return path

    def open(self, home: Path, owner: str | None = None) -> Opened:
        """What a start does."""
        return opened(home, home / "custodian.sqlite", owner or home.name, self.ask)

    def spoil(self) -> None:
        """What the right words were is wrong now."""
        if self.kind == "file":
            for path in self.folder.glob("*/wrapping-*.key"):
                path.write_bytes(os.urandom(32))
        self.said = {name: f"{value}-wrong" for name, value in self.said.items()}

    def refused(self, do: Callable[[], object]) -> str:
        """What a refusal says."""
        with pytest.raises(WrappingRefused) as caught:
            do()
        return str(caught.value)


@pytest.fixture(scope="session")
def token_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SoftHSM's library, with a token in a folder of this run."""
    before = os.environ.get("SOFTHSM2_CONF")
    yield softhsm.prepare(tmp_path_factory.mktemp("softhsm"))
    os.environ.pop("SOFTHSM2_CONF")
    if before is not None:
        os.environ["SOFTHSM2_CONF"] = before


def place(kind: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """The place of one kind."""
    match kind:
        case "file":
            return Place(kind, folder, {}, {})
        case "passphrase":
            return Place(kind, folder, {"cost": CHEAP}, {"passphrase": "stapled battery horse"})
        case "pkcs11":
            library = request.getfixturevalue("token_library")
            more = {"module": library, "token": softhsm.TOKEN}
            return Place(kind, folder, more, {"pin": softhsm.PIN})
    vault = Vault()
    request.addfinalizer(vault.close)
    return Place(kind, folder, {"url": vault.url}, {"vault-token": vault.token}, vault)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind in turn."""
    return place(request.param, tmp_path, request)


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Any kind by its name."""
    return lambda name: place(name, tmp_path, request)
