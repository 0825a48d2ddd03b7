"""A custodian is auditable alone: it carries no store, no service, no database toolkit."""

import subprocess
import sys

import pytest

FORBIDDEN = ("consortium.store", "consortium.service", "consortium.web", "consortium.jobs")
HEAVY = ("sqlalchemy", "fastapi", "celery", "duckdb", "jinja2", "opendp", "mailer.unseal")


@pytest.mark.parametrize(
    "module",
    ["consortium.custodian.process", "consortium.custodian.app", "consortium.cli.custodian"],
)
def test_a_custodian_carries_nothing_of_the_service(module: str) -> None:
    said = f"import sys, {module}; print(' '.join(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", said], check=True, capture_output=True, text=True
    ).stdout.split()
    assert module in out
    assert not [one for one in out if one.startswith((*FORBIDDEN, *HEAVY))]


def test_the_partners_tokeniser_carries_no_server() -> None:
    said = "import sys, consortium.cli.tokenise; print(' '.join(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", said], check=True, capture_output=True, text=True
    ).stdout.split()
    wrong = (*FORBIDDEN, *HEAVY, "starlette", "uvicorn", "consortium.custodian.")
    assert not [one for one in out if one.startswith(wrong)]
