"""Every `trellis ...` that a paper shows is a command of this build, with options that it has."""

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from consortium.cli.main import PEOPLE

ROOT = Path(__file__).parents[2]
PAPERS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
    ROOT / "consortium" / "custodian" / "README.md",
]
SHOWN = re.compile(r"trellis (?=[a-z])[^`\n|]*")


def shown(path: Path) -> list[str]:
    """Every command line in backquotes or in a block of code."""
    text = path.read_text()
    blocks = re.findall(r"```[a-z]*\n(.*?)```|^((?:    .+\n)+)", text, re.DOTALL | re.MULTILINE)
    code = [line for pair in blocks for part in pair for line in part.splitlines()]
    code += [re.sub(r"\s+", " ", one) for one in re.findall(r"`([^`]+)`", text)]
    return [found[0] for line in code if (found := SHOWN.search(line.replace(".venv/bin/", "")))]


def command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, and the words after it."""
    found: click.Command = importlib.import_module(PEOPLE[words[0]][0]).command
    rest = words[1:]
    while isinstance(found, click.Group) and rest:
        if rest[0] not in found.commands:
            raise AssertionError(f"there is no verb {rest[0]!r}")
        found, rest = found.commands[rest[0]], rest[1:]
    return found, rest


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_shown_exists(path: Path) -> None:
    wrong = []
    for line in shown(path):
        words = shlex.split(line.rstrip(".,;:"))[1:]
        words = words[: words.index("#")] if "#" in words else words
        if not words or not re.fullmatch(r"[a-z]+", words[0]) or "PERSON" in line:
            continue
        if words[0] not in PEOPLE:
            wrong.append(line)
            continue
        try:
            found, rest = command(words)
        except AssertionError as why:
            if not re.search(r"evaluate\|train", line):
                wrong.append(f"{line} ({why})")
            continue
        known = {"--help", *(name for option in found.params for name in option.opts)}
        wrong += [
            f"{line} ({word})" for word in rest if word.startswith("--") and word not in known
        ]
    assert wrong == []


def test_the_units_and_the_compose_file_run_commands_that_exist() -> None:
    lines = [
        re.sub(r"^ExecStart=\S+ ", "", line)
        for unit in (ROOT / "deploy" / "systemd").glob("*.service")
        for line in unit.read_text().splitlines()
        if line.startswith("ExecStart=")
    ]
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    theirs = ('"redis-server"', '"postgres"')
    every = re.findall(r"command: \[(.+)\]", compose)
    ours = [one for one in every if not one.startswith(theirs)]
    lines += [one.replace('"', "").replace(",", "") for one in ours]
    assert len(lines) == 12
    for line in lines:
        found, rest = command(line.split())
        context = found.make_context(line, list(rest), resilient_parsing=True)
        needed = [one.name for one in found.params if one.required]
        assert [name for name in needed if context.params.get(str(name)) is None] == [], line
