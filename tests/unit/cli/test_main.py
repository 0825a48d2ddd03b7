"""`trellis` lists its people without loading them, and says in one line what is missing."""

import sys
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from consortium.cli import main
from consortium.cli.main import PEOPLE, command


def test_help_names_every_person_with_one_line() -> None:
    said = CliRunner().invoke(command, ["--help"]).output
    for person, (_, line) in PEOPLE.items():
        assert any(row.split() == [person, *line.split()] for row in said.splitlines()), person


def test_a_person_nobody_knows_is_refused() -> None:
    ran = CliRunner().invoke(command, ["nobody"])
    assert ran.exit_code == 2
    assert "No such command" in ran.output


def test_a_word_this_build_lacks_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "PEOPLE", {"later": ("consortium.cli.later", "Later.")})
    ran = CliRunner().invoke(command, ["later"])
    assert ran.exit_code == 1
    assert ran.output == "Error: this build has no 'trellis later'\n"


@pytest.mark.parametrize(
    ("package", "extra"),
    [("sqlalchemy", "server"), ("starlette.routing", "custodian"), ("names", "world")],
)
def test_a_missing_package_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str, extra: str
) -> None:
    @click.command()
    def needy() -> None:
        raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    module = ModuleType("consortium.cli.needy")
    module.command = needy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "consortium.cli.needy", module)
    monkeypatch.setattr(main, "PEOPLE", {"needy": ("consortium.cli.needy", "Needs a package.")})
    with pytest.raises(SystemExit) as ended:
        main.main(["needy"])
    said = capsys.readouterr().err
    assert ended.value.code == 3
    assert said.count("\n") == 1
    assert f"trellis-consortium[{extra}]" in said


def test_a_fault_of_ours_is_not_hidden_as_a_missing_extra() -> None:
    assert main.missing(ModuleNotFoundError("no", name="consortium.store.nowhere")) is None
