"""Which statement of a key stands now: every version names, and is signed by, the one before it.

A key keeps its name (``sid``) and its public key for an epoch. Its shares are dealt anew when a
custodian is replaced, or to make old shares worthless; each time there is one more statement.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matching.crypto_errors import StatementRefused
from matching.statement import Statement, check_statement


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement with the 64-byte signatures under it, by custodian."""

    statement: Statement
    signatures: Mapping[str, bytes]

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Signed":
        """Read the facts of a log entry of kind ``statement``.

        Raises:
            StatementRefused: they are not of that form.
        """
        try:
            raw = {str(one): bytes.fromhex(text) for one, text in facts["signatures"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StatementRefused("a key statement's signatures are misshapen") from error
        return cls(Statement.from_json(facts.get("statement")), raw)


def check_change(
    old: Statement, ids: Collection[str], threshold: int, dealers: Collection[str]
) -> None:
    """Check who may hold a key next, and who deals it to them.

    Fewer newcomers than the new threshold: every quorum then holds somebody whose books of quotas,
    opens, stops and retirements go back before the resharing, and who knows the key to be the old
    one.

    Raises:
        StatementRefused: naming the rule.
    """
    if len(set(dealers)) != len(dealers) or not set(dealers) <= set(old.ids):
        raise StatementRefused("only who holds a share of a key can deal it again")
    if len(dealers) != old.threshold:
        raise StatementRefused(f"exactly {old.threshold} holders deal a key again")
    if not 1 <= threshold <= len(ids):
        raise StatementRefused("the threshold lies between one and the number of custodians")
    if threshold == 1 < old.threshold:
        raise StatementRefused("no resharing gives a single custodian the whole key")
    newcomers = set(ids) - set(old.ids)
    if len(newcomers) >= threshold:
        raise StatementRefused(
            f"{len(newcomers)} newcomers could use the key alone, without anybody who was told "
            "what was spent, stopped and retired before; replace fewer at once"
        )


def check_next(old: Statement, new: Signed, publics: Mapping[str, bytes]) -> None:
    """Check that a statement follows ``old``, which has been checked itself.

    Args:
        publics: 32-byte Ed25519 keys of present and former custodians, from the caller's registry.

    Raises:
        StatementRefused: another key, another version, other dealers than holders of ``old``, a
            change that the rules do not allow, or a signature missing.
    """
    stated = new.statement
    check_statement(stated, new.signatures, publics)
    for name in ("sid", "epoch", "purpose", "suite", "public"):
        if getattr(stated, name) != getattr(old, name):
            raise StatementRefused(f"the next version of a key has another {name}")
    if (stated.version, stated.previous) != (old.version + 1, old.digest):
        raise StatementRefused("a key statement does not follow the one it claims to follow")
    check_change(old, stated.ids, stated.threshold, stated.dealers)


def check_line(line: Sequence[Signed], publics: Mapping[str, bytes]) -> Statement:
    """Check a key's statements from its first version on; return the newest.

    Raises:
        StatementRefused: the line is empty or broken, or anything in it is wrong.
    """
    if not line or line[0].statement.version != 1:
        raise StatementRefused("a key's statements begin with its first version")
    check_statement(line[0].statement, line[0].signatures, publics)
    for before, after in itertools.pairwise(line):
        check_next(before.statement, after, publics)
    return line[-1].statement


def lines(found: Sequence[Signed], publics: Mapping[str, bytes]) -> list[list[Signed]]:
    """Sort statements, in the order of the log, into the lines that hold.

    Of two successors of one version the earlier in the log counts. What does not hold is left out:
    any custodian can have an entry logged.
    """
    made: list[list[Signed]] = []
    for one in found:
        for line in [[], *made]:
            try:
                check_line([*line, one], publics)
            except StatementRefused:
                continue
            if line:
                line.append(one)
            else:
                made.append([one])
            break
    return made
