"""What a command can import is what it can reach; checked on the graph and in a live interpreter.

The graph has imports inside functions too, not `importlib`; a fresh interpreter holds what truly
gets loaded, but not what a function would load later. So both are asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import grimp
import pytest

from consortium.cli.main import PEOPLE

ROOT = Path(__file__).parents[2]
OURS = ("consortium", "matching", "provenance", "mailer", "policies")

#: The consortium's own server: nothing that runs at a partner's, steward's or auditor's has it.
SERVER = (
    "consortium.jobs",
    "consortium.service",
    "consortium.store",
    "consortium.web",
    "consortium.wiring",
    "alembic",
    "celery",
    "fastapi",
    "kombu",
    "sqlalchemy",
)
#: What a base installation does not have at all.
BEYOND_BASE = (
    "aiosmtpd",
    "cedarpy",
    "fsspec",
    "jinja2",
    "mjml",
    "numpy",
    "opendp",
    "psycopg",
    "pydantic_settings",
    "redis",
    "starlette",
    "uvicorn",
)
SEALS = ("mailer.unseal",)

#: Module -> what it must not reach. Packages mean everything below them.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "consortium.cli.api": SERVER + BEYOND_BASE + SEALS,
    "consortium.cli.auditor": SERVER + BEYOND_BASE + SEALS,
    "consortium.cli.coordinator": SERVER + BEYOND_BASE + SEALS,
    "consortium.cli.custodian": SERVER + SEALS,
    "consortium.cli.partner": SERVER + BEYOND_BASE + SEALS,
    "consortium.cli.steward": SERVER + BEYOND_BASE + SEALS,
    "consortium.cli.tokenise": SERVER + BEYOND_BASE + SEALS,
    "consortium.cli.witness": (*SERVER, *SEALS, "matching", "mailer", "policies"),
    "consortium.custodian": SERVER + SEALS,
    "consortium.release_client": SERVER + SEALS,
    "consortium.service": SEALS,
    "consortium.store": (*SEALS, "consortium.web", "consortium.jobs"),
    "consortium.web": (*SEALS, "consortium.jobs.mailing"),
    "consortium.witness": (*SERVER, *SEALS, "matching", "mailer", "policies"),
    "consortium.witness_client": SERVER + SEALS,
    "consortium.world": SERVER + SEALS,
}


def source(module: str) -> Path | None:
    """The file of one of our modules, when it exists."""
    stem = ROOT.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.exists():
            return path
    return None


PRESENT = sorted(module for module in FORBIDDEN if source(module))
COMMANDS = sorted(path for path, _ in PEOPLE.values() if source(path))


@cache
def graph() -> grimp.ImportGraph:
    """Every import in the five packages, those inside functions included."""
    return grimp.build_graph(*OURS, include_external_packages=True)


@cache
def loaded(module: str) -> frozenset[str]:
    """What a fresh interpreter holds after importing one module."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys, json, {module}; print(json.dumps(list(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, f"import {module}: {ran.stderr.strip().splitlines()[-1]}"
    return frozenset(json.loads(ran.stdout.splitlines()[-1]))


def held(modules: frozenset[str], package: str) -> set[str]:
    """Those of the modules that are this package or below it."""
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


@pytest.mark.parametrize("module", PRESENT)
def test_no_chain_of_imports_leads_to_what_is_forbidden(module: str) -> None:
    whole = graph()
    for package in FORBIDDEN[module]:
        if package not in whole.modules:
            continue
        chain = whole.find_shortest_chain(module, package, as_packages=True)
        assert chain is None, f"{module} reaches {package}: {' -> '.join(chain or ())}"


@pytest.mark.parametrize("module", PRESENT)
def test_a_fresh_interpreter_does_not_hold_what_is_forbidden(module: str) -> None:
    modules = loaded(module)
    assert module in modules
    for package in FORBIDDEN[module]:
        assert not held(modules, package), f"importing {module} loads {package}"


#: The two listeners are one small SMTP server each, and share how it is served.
SHARED = {"consortium.cli.listen": {"consortium.cli.sink"}}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_no_other_command(command: str) -> None:
    people = {path for path, _ in PEOPLE.values()} - {command} - SHARED.get(command, set())
    assert not loaded(command) & people


def test_help_loads_no_command_and_no_core() -> None:
    modules = loaded("consortium.cli.main")
    assert not modules & {path for path, _ in PEOPLE.values()}
    for package in ("matching", "provenance", "mailer", "policies", *SERVER, *BEYOND_BASE):
        assert not held(modules, package), f"trellis --help loads {package}"


def test_one_module_imports_unseal() -> None:
    whole = graph()
    openers = whole.find_modules_that_directly_import("mailer.unseal")
    assert openers <= {"consortium.jobs.mailing"}


def test_unseal_is_on_no_face() -> None:
    for package in OURS:
        assert not held(loaded(package), "mailer.unseal")


@pytest.mark.parametrize("core", ["matching", "provenance", "mailer", "policies"])
def test_the_face_of_a_core_is_light(core: str) -> None:
    modules = loaded(core)
    for package in (*SERVER, *BEYOND_BASE):
        assert not held(modules, package), f"importing {core} loads {package}"
