"""What a new invite changes of what a home believes, and which of it nobody may change silently.

Whoever writes the invite names every key that is believed later. Joining once is an act of trust;
joining again must not be a way round it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from matching.evaluation import DEFAULT_CLASS, STEWARD_CLASS

_PLAIN = ("api", "origin", "log_url", "epoch", "next_epoch", "race")
_OPENS = ("operator", "mailer")  # a second one of these is no newcomer like another


@dataclass(frozen=True, slots=True)
class Differences:
    """Sentences about two invites.

    Attributes:
        shown: said, and taken.
        grave: a changed or missing key, or less agreement than before; taken only when asked.
    """

    shown: tuple[str, ...] = ()
    grave: tuple[str, ...] = ()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    """Compare two invites whose shape has been checked."""
    found = [*_plain(old, new)]
    found += _listed(old, new, "witnesses", "name", "vkey")
    found += _listed(old, new, "custodians", "id", "public")
    found += _listed(old, new, "actors", "id", "public")
    found += _former(old, new)
    found += _counted(old, new, "quorum", "witnesses", "name")
    found += _counted(old, new, "threshold", "custodians", "id")
    if old["mailer_key"] != new["mailer_key"]:
        # Later keys need no new invite: a changed first one is another mail machine.
        found.append((True, "the mail machine's first key is another one"))
    return Differences(
        tuple(words for grave, words in found if not grave),
        tuple(words for grave, words in found if grave),
    )


def _plain(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    for name in _PLAIN:
        was, now = old.get(name), new.get(name)
        if was != now:
            yield False, f"{name} was {was or 'not named'}, is {now or 'named no longer'}"


def _listed(
    old: Mapping[str, Any], new: Mapping[str, Any], part: str, name: str, key: str
) -> Iterator[tuple[bool, str]]:
    was, now = ({one[name]: one for one in invite[part]} for invite in (old, new))
    for one in sorted(was.keys() - now.keys()):
        yield True, f"{part}: {one} is gone"
    for one in sorted(now.keys() - was.keys()):
        role = now[one].get("role", "")
        yield role in _OPENS, f"{part}: {one} is new {role}, key {_short(now[one][key])}".strip()
    for one in sorted(was.keys() & now.keys()):
        before, after = was[one], now[one]
        if before[key] != after[key]:
            keys = f"was {_short(before[key])}, is {_short(after[key])}"
            yield True, f"{part}: the key of {one} {keys}"
        if before.get("role") != after.get("role"):
            yield True, f"{part}: {one} was {before.get('role')}, is {after.get('role')}"
        if before.get("rows") != after.get("rows"):
            # More rows are more guesses for whoever holds that key: nobody takes them silently.
            raised = rows_of(after) > rows_of(before)
            yield raised, f"{part}: the size class of {one} {_rows(before, after)}"
        if before.get("url") != after.get("url"):
            yield False, f"{part}: {one} was at {before.get('url')}, is at {after.get('url')}"
        if before.get("hours") != after.get("hours"):
            words = f"{before.get('hours', 'always')}, is {after.get('hours', 'always')}"
            yield False, f"{part}: {one} was open {words}"


def _former(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Who held a share before signs for who holds one now; nobody becomes that out of nothing."""
    known = {(one["id"], one["public"]) for one in (*old["custodians"], *old.get("former", []))}
    for one in new.get("former", []):
        if (one["id"], one["public"]) not in known:
            yield True, f"former: {one['id']} was no custodian here, key {_short(one['public'])}"


def _counted(
    old: Mapping[str, Any], new: Mapping[str, Any], count: str, part: str, name: str
) -> Iterator[tuple[bool, str]]:
    """Compare how many must agree; each newcomer could be the operator's, so it counts for none."""
    known = {one[name] for one in old[part]}
    fresh = sum(one[name] not in known for one in new[part])
    if new[count] - fresh < old[count]:
        others = f", {fresh} of them new" if fresh else ""
        words = f"{count} was {old[count]}, is {new[count]} of {len(new[part])}{others}"
        yield True, words
    elif new[count] != old[count]:
        yield False, f"{count} was {old[count]}, is {new[count]}"


def rows_of(actor: Mapping[str, Any]) -> int:
    """The size class that an invite states for an actor, or the one that silence means."""
    silent = STEWARD_CLASS if actor.get("role") == "steward" else DEFAULT_CLASS
    return int(actor.get("rows", silent))


def _rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    return f"was {rows_of(before):,} rows, is {rows_of(after):,}"


def _short(key: str) -> str:
    return key if len(key) <= 24 else f"{key[:12]}...{key[-8:]}"
