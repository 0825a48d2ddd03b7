"""No page, letter or paper says what we cannot keep; what must not be said, as patterns."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAID = sorted(
    path
    for pattern in (
        "README.md",
        "CHANGELOG.md",
        "docs/**/*.md",
        "deploy/**/*.md",
        "consortium/web/templates/**/*.html",
        "consortium/web/pages/*.py",
        "consortium/web/spoken.py",
        "consortium/cli/*.py",
        "mailer/starters/*.json",
        "mailer/footer.py",
        "mailer/notices.py",
    )
    for path in ROOT.glob(pattern)
)
FORBIDDEN = {
    r"nobody can read": "a live mailer reads, t custodians with the operator read",
    r"names? (?:and addresses? )?never leaves? (?:your|the) computer": "sealed, they do leave",
    r"100 ?% (?:private|safe|secure)": "say what is done instead",
    r"\banonymous(?:ly)?\b|\banonymi[sz]ed\b": "say what is done instead",
    r"only the mail machine can open": "with the custodians it can",
    r"\ba neighbou?r of yours\b|\byour neighbou?r\b": "may live some miles off",
    r"never sees? your address": "a reply shows it",
    r"just reply\b": "a reply shows the address",
    r"\byou joined and agreed\b": "the partner states it",
    r"\byou are a (?:member|supporter|donor)\b": "the relation is the partner's own words",
    r"agreed to this one message": "caps allow more",
    r"\bno names here\b|\beverything the consortium does\b": "only what is recorded",
    r"nobody can (?:work|find) out whether": "a bounded advantage remains",
    r"looks? (?:are )?reset": "the budget never resets",
    r"\b1 in \d+ (?:prefer|speak)": "an uncharged figure",
    r"\bdelivered\b(?!-To)": "handed to providers",
    r"removed within": "gone now from the service; backups later",
    r"enforced by (?:the )?custodians": "openings by custodians, letters by the mailer",
    r"military[- ]grade|unhackable|completely secure|bank-level": "an advertisement",
    r"\bzero[- ]knowledge\b": "proofs here are of discrete logarithms, and are named",
}


@pytest.mark.parametrize("path", SAID, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_promised_that_cannot_be_kept(path: Path) -> None:
    text = re.sub(r"\s+", " ", path.read_text())
    wrong = [
        f"{found[0]!r}: {why}"
        for pattern, why in FORBIDDEN.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]
    assert wrong == []


def test_the_names_of_who_together_could_read_stand_in_the_readme() -> None:
    text = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    assert "**mail machine and 2 of the 3 custodians**" in text.replace("the mail", "mail")
    assert "Who together could read lists" in text
    assert "tolerate no dishonest one" in text
    assert "handed to providers" in text


def test_the_readme_states_the_limits() -> None:
    text = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    for limit in (
        "try them on the signature and learn **who** signed an entry",
        "A matcher that lies",
        "plants somebody's name with its own mailbox",
        "runs everybody on one machine",
        "from backups after",
        "It does not prove that what was said is true",
    ):
        assert limit in text, limit
