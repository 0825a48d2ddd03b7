"""What is looked at before a letter is approved, by what a reader would get, not by its source."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

from mailer import access, reading
from mailer.findings import Finding

SIZE, LINKS, SAME_LINKS, FETCHES = "Size", "Links", "Same links", "Nothing fetched"
PAID, ADDRESS, NEUTRAL = "Paid for by", "Postal address", "Nonpartisan"
MAX_HTML = 102 * 1024
"""Where Gmail cuts a letter, and with it the way to stop."""
_HREF = re.compile(r"""href=["']([^"']*)["']""", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s<>()\"']+")
_FETCHED = re.compile(
    r"<(?:img|script|link|iframe|object|embed|video|audio|form|input|base)\b"
    r"|\s(?:src|srcset|background|poster)\s*=|@import|url\s*\(",
    re.IGNORECASE,
)
_OWN_PAID = re.compile(r"\b(?:paid for by|pagado por)\b", re.IGNORECASE)
_ADVOCACY = re.compile(
    r"\b(?:vote (?:for|against)|elect|re-?elect|defeat|vot[ea] (?:por|contra)|elija"
    r"|democrats?|republicans?|demócratas?|republicanos?)\b",
    re.IGNORECASE,
)
_TODO_PAID = "Remove it: the end of every letter says it, as the agreement does."


@dataclass(frozen=True, slots=True)
class Rules:
    """What the agreement says of letters.

    Args:
        paid_for_by: as it stands in the letter.
        payer_named: whether the agreement names who pays; else letters name their sender.
        hosts: that links may lead to.
        own_hosts: of the stop and the why link.
        candidates: names that no letter of a nonpartisan race may have.
    """

    postal_address: str
    paid_for_by: str
    payer_named: bool
    hosts: frozenset[str]
    own_hosts: frozenset[str]
    nonpartisan: bool
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One letter to a made-up person: of one partner, language, messenger and place."""

    subject: str
    text: str
    html: str
    language: str

    @property
    def own_words(self) -> str:
        """What the coordinator wrote, without the footer."""
        return self.text.split("\n-- \n")[0]


def inspect(samples: Sequence[Sample], rules: Rules) -> tuple[Finding, ...]:
    """Look at every kind of letter of a campaign; what is found of several is said once."""
    found: list[Finding] = []
    for one in samples:
        found += _size(one.html)
        found += _links(one, rules)
        found += _fetches(one.html)
        found += _who_paid(one, rules)
        found += _neutral(one, rules)
        found += access.inspect(one.html, one.own_words)
        found.append(reading.inspect(one.own_words, one.language))
    return tuple(once(found))


def once(found: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding once; where a point is wrong in one letter, its good word of another goes."""
    every = list(dict.fromkeys(found))
    bad = {one.point for one in every if one.level in ("red", "yellow")}
    for one in every:
        if one.level != "green" or one.point not in bad:
            yield one


def _size(html: str) -> Iterator[Finding]:
    size = len(html.encode())
    what = f"{size / 1024:.0f} KB of at most {MAX_HTML // 1024}."
    if size >= MAX_HTML:
        yield Finding(SIZE, "red", what, "Shorten it: Gmail cuts it, and the stop link with it.")
    else:
        yield Finding(SIZE, "green", what)


def _links(one: Sample, rules: Rules) -> Iterator[Finding]:
    html, text = _html_links(one.html), _text_links(one.text)
    wrong = [link for link in html | text if not _allowed(link, rules)]
    if wrong:
        host = urlsplit(wrong[0]).hostname or "nowhere"
        what = f"A link leads to {host}, which the agreement does not list, or is not https."
        yield Finding(LINKS, "red", what, "Use a listed link, or take it out.")
    else:
        yield Finding(LINKS, "green", f"{len(html)} links, all https and listed.")
    if html != text:
        what = f"The two parts differ in {len(html ^ text)} links."
        yield Finding(SAME_LINKS, "red", what, "Give the text part the same links as the letter.")
    else:
        yield Finding(SAME_LINKS, "green", "The text part has the same links.")


def _html_links(html: str) -> set[str]:
    return {unescape(link) for link in _HREF.findall(html)}


def _text_links(text: str) -> set[str]:
    return {link.rstrip(".,;:!?") for link in _LINK.findall(text)}


def _allowed(link: str, rules: Rules) -> bool:
    parts = urlsplit(link)
    host = parts.hostname or ""
    if host in rules.own_hosts:
        return parts.scheme == "https" or host in ("127.0.0.1", "localhost")
    return parts.scheme == "https" and host in rules.hosts


def _fetches(html: str) -> Iterator[Finding]:
    plain = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    if found := _FETCHED.search(plain):
        what = f"The letter holds {found[0].strip()!r}: opening it would be seen."
        yield Finding(FETCHES, "red", what, "Take it out.")
    else:
        yield Finding(FETCHES, "green", "Opening the letter asks nobody for anything.")


def _who_paid(one: Sample, rules: Rules) -> Iterator[Finding]:
    html = _squeeze(unescape(re.sub(r"<[^>]+>", " ", one.html)))
    text = _squeeze(one.text)
    for point, wanted in ((PAID, rules.paid_for_by), (ADDRESS, rules.postal_address)):
        if not wanted or not all(_squeeze(wanted) in part for part in (html, text)):
            what = "It does not stand in both parts."
            yield Finding(point, "red", what, "Put it into the agreement; letters take it from it.")
        elif point == PAID and not rules.payer_named:
            what = "The agreement names nobody who pays, so each letter names its sender."
            todo = "If somebody else pays, the law may want their name: put it into the agreement."
            yield Finding(point, "yellow", what, todo)
        else:
            yield Finding(point, "green", f"{wanted}.")
    if _OWN_PAID.search(one.own_words) or _OWN_PAID.search(one.subject):
        yield Finding(PAID, "red", "The letter says by itself who paid.", _TODO_PAID)


def signers(names: Iterable[str], rules: Rules) -> Iterator[Finding]:
    """Whether a candidate would sign: no From line of a nonpartisan letter names one."""
    known = {_squeeze(name).casefold(): name for name in rules.candidates if rules.nonpartisan}
    for name in names:
        if _squeeze(name).casefold() in known:
            todo = (
                "Have somebody else sign: a nonpartisan letter has no candidate in its From line."
            )
            yield Finding(NEUTRAL, "red", f"{name} would sign, and is a candidate.", todo)


def _neutral(one: Sample, rules: Rules) -> Iterator[Finding]:
    if not rules.nonpartisan:
        return
    words = _squeeze(f"{one.subject} {one.own_words}").casefold()
    todo = "A nonpartisan letter says that and how to vote, never for whom: take it out."
    for name in rules.candidates:
        whole = _squeeze(name).casefold()
        last = whole.split()[-1]
        if _word(whole, words):
            yield Finding(NEUTRAL, "red", f"The letter names the candidate {name}.", todo)
            return
        if len(last) > 2 and _word(last, words):
            what = f"“{last.title()}” stands in the letter; a candidate is called so."
            yield Finding(NEUTRAL, "yellow", what, "Look whether the candidate is meant.")
            return
    if found := _ADVOCACY.search(words):
        what = f"“{found[0]}” stands in the letter."
        yield Finding(NEUTRAL, "yellow", what, "Look whether it takes a side.")
    elif rules.candidates:
        many = f"none of {len(rules.candidates)} candidates"
        yield Finding(NEUTRAL, "green", f"The letter names {many} and takes no side.")
    else:
        what = "The agreement lists no candidates, so no names were looked for."
        yield Finding(NEUTRAL, "none", what)


def _word(name: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words) is not None


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def red(findings: Collection[Finding]) -> list[Finding]:
    """Those that block."""
    return [one for one in findings if one.level == "red"]
