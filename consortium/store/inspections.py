"""What the newest check of a sending domain or of a letter found, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consortium.store.rows import frozen
from consortium.store.tables import InspectionRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Inspection:
    """One check.

    ``subject`` is ``domain <partner>`` or ``letter <campaign>``; ``about`` is what exactly was
    looked at (the domain's name, the letter's digest): of anything else it says nothing.
    """

    subject: str
    about: str
    level: str
    findings: Sequence[dict[str, Any]]
    at: datetime


def keep(unit: Unit, new: Inspection) -> None:
    """Put this one in the place of the one before."""
    unit.session.merge(
        InspectionRow(
            subject=new.subject,
            about=new.about,
            level=new.level,
            findings=list(new.findings),
            at=new.at,
        )
    )
    unit.session.flush()


def get(unit: Unit, subject: str) -> Inspection | None:
    """The newest check of something, if it was ever looked at."""
    row = unit.get(InspectionRow, subject)
    return None if row is None else frozen(Inspection, row)
