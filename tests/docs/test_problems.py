"""Every problem that the server can answer has its section, and no section is about nothing."""

import re
from pathlib import Path

from consortium.web.problems import TABLE, UNTYPED

TEXT = (Path(__file__).parents[2] / "docs" / "problems.md").read_text()
SECTIONS = dict(re.findall(r"^## (\S+)\n\n(.+?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_every_problem_has_a_section_and_every_section_a_problem() -> None:
    known = {problem.name for _, problem in TABLE} | {problem.name for problem in UNTYPED}
    assert set(SECTIONS) == known


def test_a_section_begins_with_its_status() -> None:
    for problem in (*(problem for _, problem in TABLE), *UNTYPED):
        if problem.name != "http":  # whatever HTTP says
            assert SECTIONS[problem.name].startswith(str(problem.status)), problem.name


def test_sections_stand_in_the_order_of_the_table() -> None:
    order = list(dict.fromkeys(problem.name for _, problem in TABLE))
    assert list(SECTIONS) == [*order, *(problem.name for problem in UNTYPED)]
