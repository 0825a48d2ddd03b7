"""What the agreement itself must say before a row opens: who, whose keys, when, how many.

Whoever brings an agreement chose it. So it is held against what this custodian knows on its own:
the partners and custodians of its own registry, and the key it holds a share of. A document that
leaves out one partner would let the others open that partner's rows.
"""

from collections.abc import Mapping
from typing import Any

from consortium.custodian.errors import Refused
from matching.evaluation import moment
from matching.statement import Statement
from policies.agreement import Agreement, parse
from policies.errors import AgreementRefused


def read_terms(document: bytes) -> Agreement:
    """Read the agreement's exact bytes.

    Raises:
        Refused: ``agreement-unreadable``, naming the key that cannot be obeyed.
    """
    try:
        return parse(document)
    except AgreementRefused as error:
        raise Refused("agreement-unreadable", f"the agreement: {error}", 400) from error


def check_terms(
    terms: Agreement, manifest: Mapping[str, Any], invite: Mapping[str, Any], key: Statement
) -> None:
    """Hold the agreement against this custodian's registry and key, and the manifest against it.

    Args:
        invite: this custodian's own, as joined.
        key: the statement of the sealing key it holds a share of.

    Raises:
        Refused: ``wrong-race``, ``trust-operator``, ``wrong-custodians``, ``wrong-parties``,
            ``outside-agreement``, ``too-large``.
    """
    if not terms.race.id == manifest["race"] == invite["race"]:
        raise Refused("wrong-race", "agreement, manifest and this custodian name different races")
    if key.threshold == 1 and terms.trust != "operator":
        raise Refused("trust-operator", "a single custodian needs every partner's word for it")
    _check_custodians(terms, invite, key)
    partners = [one for one in invite["actors"] if one["role"] == "partner"]
    if _who(partners) != {(one.id, one.public) for one in terms.parties}:
        detail = "the agreement's parties are not the partners of this custodian's registry"
        raise Refused("wrong-parties", detail)
    _check_window(terms, manifest)
    if int(manifest["size_class"]) > terms.size_class_max:
        raise Refused("too-large", "the size class is above what the agreement allows")


def _who(listed: list[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(str(one["id"]), str(one["public"])) for one in listed}


def _check_custodians(terms: Agreement, invite: Mapping[str, Any], key: Statement) -> None:
    agreed = {(one.id, one.public) for one in terms.custodians}
    if agreed != _who(invite["custodians"]) or {one for one, _ in agreed} != set(key.ids):
        detail = "the agreement's custodians are not those of this registry and key"
        raise Refused("wrong-custodians", detail)
    if terms.threshold != key.threshold:
        detail = "the agreement asks for another number of custodians than the key"
        raise Refused("wrong-custodians", detail)


def _check_window(terms: Agreement, manifest: Mapping[str, Any]) -> None:
    window = manifest["window"]
    try:
        opens, closes = moment(window["opens"]), moment(window["closes"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("malformed", "the window has no times", 400) from error
    if not terms.opens <= opens < closes <= terms.closes:
        raise Refused("outside-agreement", "the window lies outside the agreement's own dates")
