"""Documents that cannot drift: the map, the command line, decisions, threats, deployment."""

from __future__ import annotations

import ast
import configparser
import importlib
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from consortium.cli.main import EXTRAS, PEOPLE
from consortium.custodian.wrapping import KINDS, SECRETS
from consortium.settings import Settings
from tools import map as the_map

ROOT = Path(__file__).parents[2]
MODULES = the_map.modules()
MAP = (ROOT / "docs" / "MAP.md").read_text()
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
ENVIRONMENTS = sorted((ROOT / "deploy" / "env").glob("*.env"))
HOW_TO = "\n".join(
    path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs" / "how-to").glob("*.md")]
)
CUSTODIAN = ROOT / "consortium" / "custodian"
PAPERS = sorted(
    [
        *(ROOT / "README.md", CUSTODIAN / "README.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    ]
)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_says_its_one_line_and_the_map_repeats_it(path: Path) -> None:
    said = ast.get_docstring(ast.parse((ROOT / path).read_text()))
    assert said, "a module begins with one sentence saying what it is"
    row = f"| `{path.name}` | {said.splitlines()[0].replace('|', chr(92) + '|')} |"
    assert row in MAP, "run: make map"


def test_the_map_names_nothing_that_is_gone() -> None:
    assert the_map.text() == MAP, "run: make map"


def words() -> list[str]:
    """Every `trellis PERSON VERB` this build has."""
    found = []
    for person, (path, _) in PEOPLE.items():
        if not ROOT.joinpath(*path.split(".")).with_suffix(".py").exists():
            continue
        command = importlib.import_module(path).command
        verbs = command.commands if isinstance(command, click.Group) else {}
        found += [f"trellis {person} {verb}" for verb in verbs] or [f"trellis {person}"]
    return found


def test_every_word_of_the_command_line_is_in_a_how_to() -> None:
    assert [word for word in words() if not re.search(rf"{word}\b", HOW_TO)] == []


def test_every_person_is_in_a_how_to() -> None:
    assert [person for person in PEOPLE if f"trellis {person}" not in HOW_TO] == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name)
def test_a_decision_says_its_context_choice_cost_and_end(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.name[:4]} ")
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert parts == ["Context", "Choice", "Cost", "When to reopen"]
    assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])


def test_decisions_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in DECISIONS] == [
        f"{n:04}" for n in range(1, len(DECISIONS) + 1)
    ]


def test_every_threat_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    threats = re.split(r"^### (?=T\d+ )", text, flags=re.MULTILINE)[1:]
    numbers = [int(threat.split()[0][1:]) for threat in threats]
    assert numbers
    assert numbers == sorted(set(numbers))
    for threat in threats:
        tests = re.findall(r"`(tests/[^`]+\.py)`", threat)
        assert tests, f"{threat.split()[0]} names no test"
        assert [test for test in tests if not (ROOT / test).exists()] == []


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_between_documents_is_dead(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_setting_in_an_environment_file_exists() -> None:
    known = {f"TRELLIS_{name.upper()}" for name in Settings.model_fields}
    for path in ENVIRONMENTS:
        named = re.findall(r"^#?(TRELLIS_[A-Z_]+)=", path.read_text(), re.MULTILINE)
        assert set(named) <= known, path.name


def test_every_setting_is_explained_where_servers_are() -> None:
    text = (ROOT / "docs" / "how-to" / "operator.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description or name == "home"
        assert f"TRELLIS_{name.upper()}" in text, name


def test_every_word_of_a_custodians_settings_is_explained_and_exists() -> None:
    code = (CUSTODIAN / "settings.py").read_text()
    read = {*re.findall(r'knobs\.get\("(\w+)"', code)}
    text = (ROOT / "docs" / "how-to" / "custodian.md").read_text().split("## settings.toml")[1]
    rows = re.findall(r"^\| (?:`\[(\w+)\]`|`(\w+)`)", text, re.MULTILINE)
    assert {table or word for table, word in rows} == read
    assert [name for name in SECRETS if f"`{name}`" not in text] == []


def test_a_custodian_is_explained_on_one_screen() -> None:
    text = (CUSTODIAN / "README.md").read_text()
    assert len(text.splitlines()) <= 40
    for verb in ("init", "join", "ceremony", "serve", "status"):
        assert f"trellis custodian {verb}" in text
    for kind in KINDS:
        assert f"`{kind}`" in HOW_TO


def test_there_is_one_environment_and_one_unit_per_process() -> None:
    processes = {"server", "worker", "mailer", "custodian", "witness"}
    assert {path.stem for path in ENVIRONMENTS} == processes
    # Returns reads no settings; it runs beside the mailer, as its user.
    assert {path.stem.removeprefix("trellis-") for path in UNITS} == {*processes, "returns"}
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    services = set(re.findall(r"^  ([a-z]+):$", compose.split("\nvolumes:")[0], re.MULTILINE))
    assert services == {*processes, "returns", "postgres", "redis"}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_hardened_and_calls_a_word_that_exists(path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    service = unit["Service"]
    for key in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID"):
        assert service[key] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["LimitCORE"] == "0"  # a core dump of the mailer would hold addresses
    person, verb = service["ExecStart"].split()[1:3]
    assert person in PEOPLE
    assert f"trellis {person} {verb}" in HOW_TO


def test_systemd_itself_accepts_the_units(tmp_path: Path) -> None:
    analyse = shutil.which("systemd-analyze")
    if analyse is None:  # the test above has parsed them
        assert UNITS
        return
    copies = []
    for path in UNITS:
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace("/opt/trellis/bin/trellis", "/bin/true"))
        copies.append(str(copy))
    ran = subprocess.run(
        [analyse, "verify", *copies], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_every_extra_named_in_an_error_exists() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for extra in EXTRAS.values():
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "\nmake demo " in text
    assert "\nmake test " in text
