"""One letter written in several ways, to learn which does better: each arm is a whole letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailer.errors import Problem, TemplateRefused

MOST = 4
LARGEST = 100
"""The largest share of one arm, in whole parts of the sum of all."""
WORDS = ("subject", "mjml", "blocks", "text", "languages")
"""What an arm may say anew; facts of places and who signs are the same in all."""


def complete(template: Mapping[str, Any]) -> dict[str, Any]:
    """Write every arm out whole, so that what is approved says by itself what each reader gets.

    Args:
        template: a letter; if wished with ``arms``: up to three further ways to say it, each with
            any of ``WORDS`` and its ``share``. What an arm does not say is as in the letter itself,
            which is the first arm; its ``share`` stands beside ``arms``. Shares are 1 unless said.

    Returns:
        The letter as it is kept; one without arms has neither ``arms`` nor ``share``.

    Raises:
        TemplateRefused: too many arms, a share that is none, two arms that say the same, one that
            is not written in every language of the others.
    """
    whole = {name: part for name, part in template.items() if name not in ("arms", "share")}
    others = template.get("arms")
    if not others:
        return whole
    if not isinstance(others, list) or len(others) >= MOST:
        raise _refused("Letter", "These are no arms.", f"List at most {MOST - 1} beside the first.")
    made = [_arm(whole, other, number) for number, other in enumerate(others, 2)]
    every = [_said(whole), *map(_said, made)]
    for number, said in enumerate(every[1:], 2):
        if said in every[: number - 1]:
            raise _refused(_name(number), "It says what another arm says.", "Change its words.")
    return {**whole, "share": _share(template, 1), "arms": made}


def letters(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each arm of a completed letter, as a letter without arms; of one without, itself alone."""
    first = {name: part for name, part in template.items() if name not in ("arms", "share")}
    same = {name: part for name, part in first.items() if name not in WORDS}
    return [first, *({**same, **_said(arm)} for arm in template.get("arms") or ())]


def shares(template: Mapping[str, Any]) -> tuple[int, ...]:
    """The share of each arm, in whole parts of their sum; of a letter without arms, 1."""
    others = template.get("arms") or ()
    return (int(template.get("share", 1)), *(int(arm["share"]) for arm in others))


def _arm(first: Mapping[str, Any], other: object, number: int) -> dict[str, Any]:
    where = _name(number)
    if not isinstance(other, Mapping) or (strange := set(other) - {*WORDS, "share"}):
        named = "" if not isinstance(other, Mapping) else f" {sorted(strange)[0]!s:.40} is unknown."
        todo = f"An arm has share, and any of {', '.join(WORDS)}."
        raise _refused(where, f"This is no arm.{named}", todo)
    said = {name: part for name, part in other.items() if part is not None and name != "share"}
    body = {"mjml", "blocks"} & set(said)
    taken = ("subject",) if body else ("subject", "mjml", "blocks", "text")
    inherited = {name: first[name] for name in taken if first.get(name) is not None}
    # A text that was written for other words is no text of these; it is made from them.
    spoken = [set(one.get("languages") or ()) for one in (first, said)]
    if spoken[0] != spoken[1]:
        todo = f"Give it languages as in the first arm: {', '.join(sorted(spoken[0])) or 'none'}."
        raise _refused(where, "It is not written in the languages of the first arm.", todo)
    return {**inherited, **said, "share": _share(other, number)}


def _share(said: Mapping[str, Any], number: int) -> int:
    share = said.get("share", 1)
    if isinstance(share, bool) or not isinstance(share, int) or not 1 <= share <= LARGEST:
        todo = f"Write a whole number from 1 to {LARGEST}."
        raise _refused(_name(number), "Its share is not one.", todo)
    return share


def _said(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {name: arm[name] for name in WORDS if arm.get(name) is not None}


def _name(number: int) -> str:
    return f"Arm {number}"


def _refused(where: str, what: str, todo: str) -> TemplateRefused:
    return TemplateRefused([Problem(1, what, todo, where)])
