"""Every refusal of a custodian is explained, and nothing is explained that it never says."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "custodian-refusals.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+)\n\n(.+(?:\n.+)*)", PAGE, re.MULTILINE))


def said() -> dict[str, set[int]]:
    """Every name a custodian refuses with, and the statuses that go with it."""
    found: dict[str, set[int]] = {}
    for path in sorted((ROOT / "consortium" / "custodian").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused":
                name = ast.literal_eval(node.args[0])
                status = ast.literal_eval(node.args[2]) if len(node.args) > 2 else 403
                found.setdefault(name, set()).add(status)
    return found


def test_each_name_has_a_section_and_each_section_a_name() -> None:
    assert sorted(SECTIONS) == sorted(said())
    assert list(SECTIONS) == sorted(SECTIONS)


def test_each_section_begins_with_the_status_that_is_answered() -> None:
    told = {
        name: {int(one) for one in re.findall(r"\d{3}", text.partition(".")[0])}
        for name, text in SECTIONS.items()
    }
    assert told == said()
