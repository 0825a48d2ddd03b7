"""One letter in every language it is written in, each compiled by itself, and all its problems."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from mailer import blocks, footer
from mailer.compose import Compiled, Template, compile_template
from mailer.errors import Problem, TemplateRefused
from mailer.fields import PLACE_DAYS, PLACE_TEXTS

NAMES = {"en": "English", "es": "Spanish"}
VERSION = frozenset({"subject", "mjml", "blocks", "text"})
WHOLE = VERSION | {"languages", "facts"}


def compile_versions(
    template: Mapping[str, Any],
    *,
    languages: Sequence[str],
    allowed_fields: Collection[str],
    allowed_hosts: Collection[str],
) -> dict[str, Compiled]:
    """Check and compile a letter in all its languages.

    Args:
        template: ``subject``, ``mjml`` or ``blocks``, and if wished ``text``: the letter in the
            first language. ``languages``: by code, the same parts once more.
        languages: those of the agreement; the first is what ``subject`` and the rest are in.

    Returns:
        By language, the first one first.

    Raises:
        TemplateRefused: every problem of every version; in other languages each names its own.
    """
    known = [code for code in languages if code in footer.LANGUAGES] or ["en"]
    problems = _keys(template, WHOLE, "Letter")
    others = template.get("languages") or {}
    if not isinstance(others, Mapping):
        raise TemplateRefused([Problem(1, "These are no languages.", "Use {}.", "languages")])
    made: dict[str, Compiled] = {}
    for code, version in [(known[0], template), *islice(sorted(others.items()), 20)]:
        own = version is template
        if not own and code not in known[1:]:
            todo = f"The agreement's languages are {', '.join(known)}; {known[0]} is the first."
            problems.append(Problem(1, "The agreement has no such language.", todo, str(code)[:12]))
            continue
        try:
            made[code] = _one(version, code, own, allowed_fields, allowed_hosts)
        except TemplateRefused as refused:
            problems += [p if own else _named(p, code) for p in refused.problems]
    if problems:
        raise TemplateRefused(problems)
    return made


def facts_used(made: Mapping[str, Compiled]) -> frozenset[str]:
    """The fields of a letter that only a table of places can fill."""
    return frozenset().union(*(one.fields for one in made.values())) & {*PLACE_TEXTS, *PLACE_DAYS}


def _one(
    version: object,
    language: str,
    own: bool,
    allowed_fields: Collection[str],
    allowed_hosts: Collection[str],
) -> Compiled:
    if not isinstance(version, Mapping):
        todo = "Write subject, and mjml or blocks."
        raise TemplateRefused([Problem(1, "This is no letter.", todo, "Letter")])
    problems = [] if own else _keys(version, VERSION, "Letter")
    subject, mjml, text = (version.get(name) for name in ("subject", "mjml", "text"))
    for name, given in (("Subject", subject), ("MJML", mjml), ("Text", text)):
        if given is not None and not isinstance(given, str):
            problems.append(Problem(1, "It is no text.", "Write a text.", name))
    if (mjml is None) == (version.get("blocks") is None):
        todo = "Write it either in MJML or in blocks."
        problems.append(Problem(1, "The letter stands in both forms, or in none.", todo, "Letter"))
    if problems:
        raise TemplateRefused(problems)
    written = None
    if mjml is None:
        written = blocks.to_mjml(version["blocks"], title=str(subject or ""), language=language)
    source = written.mjml if written is not None else str(mjml)
    try:
        return compile_template(
            Template(str(subject or ""), source, text),
            allowed_fields=allowed_fields,
            allowed_hosts=allowed_hosts,
            language=language,
        )
    except TemplateRefused as refused:
        if written is None:
            raise
        raise TemplateRefused(
            p if p.where else replace(p, where=written.where(p.line) or "Letter")
            for p in refused.problems
        ) from None


def _keys(version: Mapping[str, Any], known: Collection[str], where: str) -> list[Problem]:
    return [
        Problem(1, f"{str(name)[:40]} is not known.", f"Use {', '.join(sorted(known))}.", where)
        for name in islice((name for name in version if name not in known), 20)
    ]


def _named(problem: Problem, language: str) -> Problem:
    name = NAMES.get(language, language)
    return replace(problem, where=f"{name}, {problem.place[0].lower()}{problem.place[1:]}")
