"""Who must say yes, and to exactly which bytes."""

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import rfc8785

from policies import arms
from policies.agreement import Agreement
from policies.definition import FILTERS
from policies.errors import ManifestRefused, NotYetApproved

KEYS = frozenset(
    {
        "agreement",
        "campaign",
        "definition",
        "links",
        "messenger",
        "race",
        "sender",
        "size_class",
        "sources",
        "template",
        "window",
    }
)
MAY = frozenset({"arms", "messengers"})
"""Keys that a manifest has only when the letter has several arms (the share of each, in whole parts
of their sum), and when several may sign: each letter the nearest of them."""
_ID = re.compile(r"[a-z0-9-]{1,40}\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of the manifest's canonical JSON: what a partner approves."""
    try:
        return hashlib.sha256(rfc8785.dumps(dict(manifest))).hexdigest()
    except (rfc8785.CanonicalizationError, RecursionError) as refused:
        raise ManifestRefused("manifest", "has no canonical JSON") from refused


def check_manifest(manifest: object) -> None:
    """Check a manifest's keys and types before anybody is asked to approve it.

    Raises:
        ManifestRefused: names the key.
    """
    if not isinstance(manifest, Mapping) or set(manifest) - MAY != KEYS:
        raise ManifestRefused("manifest", f"its keys are not {', '.join(sorted(KEYS))}")
    _text(manifest, "campaign")
    if not _ID.match(_text(manifest, "race")):
        raise ManifestRefused("race", "is not an id")
    for name in ("agreement", "template"):
        if not _HEX64.match(_text(manifest, name)):
            raise ManifestRefused(name, "is not a digest of 64 hex characters")
    sources = _sorted(manifest, "sources")
    if not sources or not all(_ID.match(source) for source in sources):
        raise ManifestRefused("sources", "is not a list of partner ids")
    _sorted(manifest, "links")
    _definition(manifest["definition"])
    _sender(manifest["sender"], sources)
    _window(manifest["window"])
    _texts(manifest["messenger"], "messenger", ("name", "place"))
    if "messengers" in manifest:
        _messengers(manifest)
    if "arms" in manifest:
        _arms(manifest["arms"])
    size = manifest["size_class"]
    if isinstance(size, bool) or not isinstance(size, int) or size < 1 or size & (size - 1):
        raise ManifestRefused("size_class", "is not a power of two")


def check_against(manifest: Mapping[str, Any], agreement: Agreement, agreement_digest: str) -> None:
    """Check a well-formed manifest against the agreement that it names.

    Raises:
        ManifestRefused: another agreement or race, sources that did not sign, a window or size
            that the agreement does not allow, a link to a host it does not name.
    """
    check_manifest(manifest)
    if manifest["agreement"] != agreement_digest:
        raise ManifestRefused("agreement", "is not the agreement in force")
    if manifest["race"] != agreement.race.id:
        raise ManifestRefused("race", "is not the agreement's")
    if not set(manifest["sources"]) <= {party.id for party in agreement.parties}:
        raise ManifestRefused("sources", "names a partner that did not sign")
    opens, closes = _window(manifest["window"])
    if opens < agreement.opens or closes > agreement.closes:
        raise ManifestRefused("window", "is outside the agreement's dates")
    if manifest["size_class"] > agreement.size_class_max:
        raise ManifestRefused("size_class", "is larger than the agreement allows")
    for link in manifest["links"]:
        if not _allowed(link, agreement.link_hosts):
            raise ManifestRefused("links", "leads to a host that the agreement does not name")


def needed(agreement: Agreement, sources: Collection[str]) -> int:
    """Return how many of the sources must approve; never more than there are."""
    every = len(set(sources))
    return every if agreement.approval.rule == "all" else min(agreement.approval.k, every)


def enough(agreement: Agreement, sources: Collection[str], approvers: Collection[str]) -> None:
    """Check that enough of the sources approved; each counts once, strangers not at all.

    Args:
        sources: the partners whose rows would be used. Without any, nothing can be approved.
        approvers: the partners whose signature over this very digest is in the log.

    Raises:
        NotYetApproved: names who could still approve, and how many are needed.
    """
    asked = set(sources)
    if not asked or not asked <= {party.id for party in agreement.parties}:
        raise NotYetApproved(sorted(asked), max(1, len(asked)))
    yes = asked & set(approvers)
    still = needed(agreement, asked) - len(yes)
    if still > 0:
        raise NotYetApproved(sorted(asked - yes), still)


def _text(manifest: Mapping[str, Any], name: str) -> str:
    value = manifest[name]
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ManifestRefused(name, "is not a short text")
    return value


def _texts(value: object, name: str, keys: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping) or set(value) != set(keys):
        raise ManifestRefused(name, f"its keys are not {', '.join(keys)}")
    for key in keys:
        if not isinstance(value[key], str) or len(value[key]) > 200:
            raise ManifestRefused(f"{name}.{key}", "is not a short text")


def _sorted(manifest: Mapping[str, Any], name: str) -> list[str]:
    value = manifest[name]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ManifestRefused(name, "is not a list of texts")
    if value != sorted(set(value)):
        # One order only: otherwise two digests would mean the same thing.
        raise ManifestRefused(name, "is not sorted, or names something twice")
    return value


def _definition(value: object) -> None:
    if not isinstance(value, Mapping) or not set(value) <= {"places", *FILTERS}:
        raise ManifestRefused("definition", "is not a definition in normal form")
    if not isinstance(value.get("places"), Mapping) or not value["places"]:
        raise ManifestRefused("definition", "names no place")


def _sender(value: object, sources: list[str]) -> None:
    if not isinstance(value, Mapping) or set(value) != set(sources):
        raise ManifestRefused("sender", "does not name every source and only those")
    for source in sources:
        _texts(value[source], f"sender.{source}", ("from", "domain"))


def _messengers(manifest: Mapping[str, Any]) -> None:
    """Several may sign: each is named once, in one order, and each From says where a name goes."""
    found = manifest["messengers"]
    if not isinstance(found, list) or not found:
        raise ManifestRefused("messengers", "is not a list of who may sign")
    for number, one in enumerate(found):
        _texts(one, f"messengers.{number}", ("name", "place"))
    order = [(one["name"], one["place"]) for one in found]
    if order != sorted(set(order)):
        raise ManifestRefused("messengers", "is not sorted, or names somebody twice")
    if manifest["messenger"] not in found:
        raise ManifestRefused("messenger", "is not among the messengers")
    for source, sender in manifest["sender"].items():
        if not sender["from"].startswith("{messenger} "):
            raise ManifestRefused(f"sender.{source}.from", "does not begin with {messenger}")


def _arms(value: object) -> None:
    if not isinstance(value, list) or not 2 <= len(value) <= arms.MOST:
        raise ManifestRefused("arms", f"is not a list of 2 to {arms.MOST} shares")
    if not all(type(share) is int and 1 <= share <= arms.WHOLE for share in value):
        raise ManifestRefused("arms", f"has a share that is no whole number from 1 to {arms.WHOLE}")


def _window(value: object) -> tuple[datetime, datetime]:
    _texts(value, "window", ("opens", "closes"))
    assert isinstance(value, Mapping)
    try:
        opens, closes = (
            datetime.strptime(value[name], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            for name in ("opens", "closes")
        )
    except ValueError:
        raise ManifestRefused("window", "is not two UTC times") from None
    if not opens < closes:
        raise ManifestRefused("window", "closes before it opens")
    return opens, closes


def _allowed(link: str, hosts: Collection[str]) -> bool:
    found = re.match(r"https?://([a-z0-9.-]+(?::\d+)?)(?:[/?#]|\Z)", link)
    return found is not None and found.group(1) in hosts
