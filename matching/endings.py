"""What custodians say of destroying their shares of a key, counted, and what then is impossible."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matching.statement import Statement


@dataclass(frozen=True, slots=True)
class Ending:
    """How far a key has come to its end.

    Attributes:
        statement: the key's newest.
        destroyed: holders of it who signed that they destroyed their share of this version.
    """

    statement: Statement
    destroyed: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many more must destroy theirs until fewer shares than the threshold are left."""
        needed = len(self.statement.ids) - self.statement.threshold + 1
        return max(needed - len(self.destroyed), 0)

    @property
    def words(self) -> str:
        """One sentence or two for people; it says whose word it is."""
        stated = self.statement
        key = f"the {stated.purpose} key of {stated.epoch}"
        if not self.destroyed:
            return f"{len(stated.ids)} custodians hold shares of {key}; it takes {stated.threshold}"
        count = f"{len(self.destroyed)} of {len(stated.ids)} custodians say"
        said = f"{count} that they destroyed their shares of {key} ({', '.join(self.destroyed)})"
        if self.missing:
            return f"{said}; {self.missing} more would end it"
        return (
            f"{said}. It takes {stated.threshold} shares: if that is true, no code of that epoch "
            "can be made and no row of it opened again"
        )


def ending(
    statement: Statement,
    said: Iterable[tuple[bytes, Mapping[str, Any]]],
    publics: Mapping[str, bytes],
) -> Ending:
    """Count who destroyed its share of exactly this statement.

    Args:
        statement: the newest of its key, checked.
        said: signing key and facts of every logged entry of kind ``destroyed``.
        publics: custodians' 32-byte keys by id.
    """
    wanted = {"purpose": statement.purpose, "sid": statement.sid, "version": statement.version}
    found = {
        str(facts.get("id"))
        for actor, facts in said
        if facts.get("kind") == "destroyed"
        and facts.get("epoch") == statement.epoch
        and publics.get(str(facts.get("id"))) == actor
        and wanted in (facts.get("keys") or ())
    }
    return Ending(statement, tuple(one for one in statement.ids if one in found))
