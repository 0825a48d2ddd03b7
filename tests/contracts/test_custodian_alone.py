"""A custodian is a product of its own: what it loads, what it installs, how its unit is shut in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "trellis-custodian.service"
#: Tenths of what `systemd-analyze security` prints; a network service cannot be much below.
EXPOSURE = 15
#: Everything a custodian's process imports from its first line to its last, the kinds apart.
WHOLE = "consortium.cli.custodian, consortium.custodian.process, uvicorn, uvicorn.lifespan.on"
WHOLE += ", uvicorn.protocols.http.h11_impl, consortium.custodian.spoken, consortium.hours"


@cache
def loaded(modules: str) -> frozenset[str]:
    """What a fresh interpreter holds after importing these."""
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import json, sys, {modules}; print(json.dumps(list(sys.modules)))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return frozenset(json.loads(ran.stdout))


def installed(*extras: str) -> set[str]:
    """Every distribution that these extras bring, the base and what those bring included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ahead = [*project["dependencies"]]
    ahead += [line for extra in extras for line in project["optional-dependencies"][extra]]
    found = set[str]()
    while ahead:
        need = Requirement(ahead.pop())
        name = _plain(need.name)
        if name not in found:
            found.add(name)
            ahead += _needs(need)
    return found


def _needs(need: Requirement) -> list[str]:
    each = [{"extra": extra} for extra in need.extras] or [{"extra": ""}]
    lines = metadata.requires(need.name) or []  # of what `tools/setup dev` installed
    return [
        line.partition(";")[0]
        for line in lines
        if (marker := Requirement(line).marker) is None or any(map(marker.evaluate, each))
    ]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


#: Starlette takes it where it is, and we never need it: no form is ever posted to a custodian.
TAKEN_IF_THERE = {"python-multipart"}


def distributions(modules: frozenset[str]) -> set[str]:
    """Which installed distributions these modules belong to, beyond what any Python loads."""
    known = metadata.packages_distributions()
    tops = {name.partition(".")[0] for name in modules - loaded("sys")}
    found = {_plain(one) for top in tops for one in known.get(top, ())}
    return found - {"trellis-consortium"} - TAKEN_IF_THERE


@pytest.mark.parametrize(
    ("modules", "extras"),
    [
        (WHOLE, ("custodian",)),
        (f"{WHOLE}, consortium.custodian.wrapping.token", ("custodian", "hsm")),
        (f"{WHOLE}, consortium.custodian.wrapping.transit", ("custodian", "vault")),
    ],
)
def test_a_custodian_loads_what_its_extra_installs_and_nothing_else(
    modules: str, extras: tuple[str, ...]
) -> None:
    shipped = installed(*extras)
    assert distributions(loaded(modules)) - shipped == set()
    assert "starlette" in shipped  # so that the walk above finds something
    assert not shipped & {"sqlalchemy", "fastapi", "celery", "alembic", "mjml", "opendp"}


def test_a_kind_that_needs_more_loads_it_only_when_it_is_chosen() -> None:
    held = loaded(WHOLE)
    assert not {"hvac", "requests", "pkcs11"} & held
    assert "consortium.custodian.wrapping.opening" in held


def test_the_lock_of_a_custodian_is_what_its_extras_bring() -> None:
    text = (ROOT / "requirements-custodian.lock").read_text()
    pinned = set(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==", text, re.MULTILINE))
    assert installed("custodian", "hsm", "vault") - pinned == set()
    assert not pinned & {"sqlalchemy", "fastapi", "celery", "alembic", "mjml", "opendp"}


def test_what_is_not_installed_is_named_with_its_extra(tmp_path: Path) -> None:
    (tmp_path / "pkcs11.py").write_text("raise ModuleNotFoundError('gone', name='pkcs11')\n")
    words = ["custodian", "init", "--home", str(tmp_path / "c"), "--id", "c", "--listen", "h:1"]
    words += ["--protect", "pkcs11", "--pkcs11-module", "m", "--pkcs11-token", "t"]
    ran = subprocess.run(
        [sys.executable, "-m", "consortium.cli.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 3
    assert "trellis-consortium[hsm]" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_unit_is_as_shut_in_as_systemd_can_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyse = shutil.which("systemd-analyze")
    if analyse is None:
        pytest.skip("no systemd here to judge the unit; tests/docs/test_docs.py has read it")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/trellis/bin/trellis", "/bin/true"))
    words = ["security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", str(copy)]
    ran = subprocess.run(
        [analyse, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    score = re.search(r"exposure level for \S+: ([\d.]+)", ran.stdout)
    assert score, ran.stderr
    with capsys.disabled():
        sys.stdout.write(f"\n{UNIT.name}: exposure {score[1]} of 10\n")
    assert ran.returncode == 0, ran.stdout
    bare = copy.with_name("bare.service")
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert subprocess.run([analyse, *words[:-1], str(bare)], capture_output=True).returncode != 0


def test_the_unit_passes_secrets_by_credential_alone() -> None:
    text = UNIT.read_text()
    for name in ("passphrase", "pin", "vault-token"):
        assert f"\nLoadCredential={name}:trellis-custodian.{name}\n" in text
    assert not re.search(r"^(Environment|SetCredential)=", text, re.MULTILINE)
    assert "\nRestartPreventExitStatus=4\n" in text


@pytest.mark.soak
def test_a_custodian_installed_alone_is_set_up_and_says_how_it_stands(tmp_path: Path) -> None:
    """Needs the package index; the wheels are the ones of the lock."""
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    lock = (ROOT / "requirements-custodian.lock").read_text()
    backend = re.search(r"^setuptools==.*(?:\n    .*)*", lock, re.MULTILINE)
    assert backend
    (tmp_path / "backend.lock").write_text(backend[0] + "\n")
    for words in (
        [sys.executable, "-m", "venv", str(tmp_path / "venv")],
        [*pip, "--require-hashes", "-r", str(tmp_path / "backend.lock")],
        [*pip, "--require-hashes", "--no-build-isolation", "-r", "requirements-custodian.lock"],
        [*pip, "--no-deps", "--no-build-isolation", str(ROOT)],
    ):
        subprocess.run(words, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    trellis, home = str(python.with_name("trellis")), str(tmp_path / "c")
    words = ["init", "--home", home, "--id", "c", "--listen", "127.0.0.1:7001", "--protect", "file"]
    for each in (words, ["status", "--home", home]):
        subprocess.run([trellis, "custodian", *each], cwd=tmp_path, check=True)
    for gone in ("sqlalchemy", "fastapi", "celery", "jinja2"):
        said = subprocess.run([str(python), "-c", f"import {gone}"], capture_output=True)
        assert said.returncode != 0, gone
