"""Whether a domain's SPF record lets an address send, as a receiver would judge (RFC 7208)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, TypeAlias

from mailer.errors import SpfBroken
from mailer.resolving import Resolver

MAX_LOOKUPS = 10
MAX_VOID = 2
_RESULTS: dict[str, Result] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TERM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]+))?((?:/\d{1,3})?(?://\d{1,3})?)",
    re.IGNORECASE,
)
_IP_TERM = re.compile(r"([+?~-]?)(ip4|ip6):(.+)", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)
_MACRO = re.compile(r"%\{([slodiphcrtv])(\d*)(r?)([.+,/_=-]*)\}|%([%_-])|%", re.IGNORECASE)

Result: TypeAlias = Literal["pass", "fail", "softfail", "neutral", "none"]
Ip: TypeAlias = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Judged:
    """What a receiver would say of one address.

    Args:
        result: ``none``: there is no record.
        lookups: how many of the ten questions it took.
        record: the domain's own record, or empty.
        old: whether ``ptr`` stands in it, which receivers may skip.
        names: the names that were included, in order.
    """

    result: Result
    lookups: int
    record: str
    old: bool
    names: tuple[str, ...]


def judge(domain: str, address: str, resolver: Resolver, *, sender: str = "postmaster") -> Judged:
    """Evaluate a domain's record for an address from which letters leave.

    Args:
        domain: of the return path.
        address: an IPv4 or IPv6 address.
        sender: local part of the return path, for records with macros.

    Raises:
        SpfBroken: several records, a term that is none, over ten look-ups or over two empty ones.
        DnsSilent: a name in it could not be asked for.

    Source:
        RFC 7208, 4.5 (selecting), 4.6 (terms and limits), 5 (mechanisms), 6.1 (redirect), 7.
    """
    check = _Check(ip_address(address), resolver, sender, domain)
    record = published(domain, resolver)
    result = check.host(domain, record) if record else "none"
    return Judged(result, check.lookups, record, check.old, tuple(check.names))


def published(domain: str, resolver: Resolver) -> str:
    """Return a domain's one SPF record, or nothing; raises SpfBroken for several."""
    found = [
        text for text in resolver.txt(domain) if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)
    ]
    if len(found) > 1:
        raise SpfBroken(f"{domain} has {len(found)} SPF records; receivers then heed none")
    return found[0] if found else ""


@dataclass(slots=True)
class _Check:
    """One evaluation: what it has spent so far."""

    address: Ip
    resolver: Resolver
    sender: str
    origin: str
    lookups: int = 0
    void: int = 0
    old: bool = False
    names: list[str] = field(default_factory=list)

    def host(self, domain: str, record: str) -> Result:
        """Go through one record from left to right."""
        redirect = ""
        terms = [_read(term, domain) for term in record.split()[1:]]
        for _, kind, value, _ in terms:
            if kind == "redirect":
                if redirect:
                    raise SpfBroken(f"{domain}: redirect stands twice")
                redirect = value
        for sign, kind, value, mask in terms:
            if sign and self._matches(kind, value, mask, domain):
                return _RESULTS[sign]
        if redirect and not any(kind == "all" for _, kind, _, _ in terms):
            self._spend(domain)
            name = self._expand(redirect, domain)
            return self.host(name, self._must_have(name))
        return "neutral"

    def _matches(self, kind: str, value: str, mask: str, domain: str) -> bool:
        if kind == "all":
            return True
        if kind in ("ip4", "ip6"):
            return self.address in ip_network(value, strict=False)
        self._spend(domain)
        name = self._expand(value, domain) if value else domain
        known: dict[str, Callable[[], bool]] = {
            "include": lambda: self._included(name),
            "a": lambda: self._among(self._addresses(name), mask),
            "mx": lambda: self._among_mx(name, mask),
            "exists": lambda: any(":" not in one for one in self._addresses(name)),
            "ptr": self._skipped,
        }
        return known[kind]()

    def _included(self, name: str) -> bool:
        self.names.append(name)
        return self.host(name, self._must_have(name)) == "pass"

    def _must_have(self, name: str) -> str:
        record = published(name, self.resolver)
        if not record:
            raise SpfBroken(f"{name} is included and has no SPF record")
        return record

    def _skipped(self) -> bool:
        # "SHOULD NOT be published" (5.5): who relies on it is passed by some and not by others.
        self.old = True
        return False

    def _among_mx(self, name: str, mask: str) -> bool:
        hosts = [host for _, host in self.resolver.mx(name) if host]
        self._count_void(hosts, name)
        if len(hosts) > MAX_LOOKUPS:
            raise SpfBroken(f"{name} has over {MAX_LOOKUPS} MX hosts")
        return any(self._among(self.resolver.addresses(host), mask) for host in hosts)

    def _addresses(self, name: str) -> Sequence[str]:
        found = self.resolver.addresses(name)
        self._count_void(found, name)
        return found

    def _among(self, found: Sequence[str], mask: str) -> bool:
        four, _, six = mask.partition("//")
        bits = six if self.address.version == 6 else four.lstrip("/")
        whole = 128 if self.address.version == 6 else 32
        same = (one for one in found if ip_address(one).version == self.address.version)
        if bits and int(bits) > whole:
            raise SpfBroken(f"a mask of {bits} bits does not exist")
        return any(
            self.address in ip_network(f"{one}/{bits or whole}", strict=False) for one in same
        )

    def _spend(self, domain: str) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise SpfBroken(f"{self.origin}: its record takes over {MAX_LOOKUPS} look-ups")

    def _count_void(self, found: Sequence[str], name: str) -> None:
        self.void += not found
        if self.void > MAX_VOID:
            raise SpfBroken(f"{name}: over {MAX_VOID} names in the record have no address")

    def _expand(self, text: str, domain: str) -> str:
        def one(found: re.Match[str]) -> str:
            if found[5]:
                return {"%": "%", "_": " ", "-": "%20"}[found[5]]
            if not found[1]:
                raise SpfBroken(f"{domain}: a macro that is none")
            return self._macro(found, domain)

        name = _MACRO.sub(one, text).rstrip(".").lower()
        return name if len(name) <= 253 else name[-253:].partition(".")[2]

    def _macro(self, found: re.Match[str], domain: str) -> str:
        address = self.address
        dotted = (
            str(address) if address.version == 4 else ".".join(address.exploded.replace(":", ""))
        )
        values = {
            "s": f"{self.sender}@{self.origin}",
            "l": self.sender,
            "o": self.origin,
            "d": domain,
            "i": dotted,
            "h": self.origin,
            "v": "in-addr" if address.version == 4 else "ip6",
            "p": "unknown",
        }
        letter = found[1].lower()
        if letter not in values:
            raise SpfBroken(f"{domain}: %{{{letter}}} stands outside an explanation")
        parts = re.split(f"[{re.escape(found[4] or '.')}]", values[letter])
        if found[3]:
            parts.reverse()
        return ".".join(parts[-int(found[2]) :] if found[2] else parts)


def _read(term: str, domain: str) -> tuple[str, str, str, str]:
    """One term as sign, kind, value and mask; a modifier has no sign."""
    if ip := _IP_TERM.fullmatch(term):
        kind = ip[2].lower()
        try:
            read = f"ip{ip_network(ip[3], strict=False).version}"
        except ValueError:
            read = ""
        if read != kind:
            raise SpfBroken(f"{domain}: one {kind} is no network")
        return ip[1] or "+", kind, ip[3], ""
    if found := _TERM.fullmatch(term):
        kind = found[2].lower()
        if (kind in ("include", "exists")) != bool(found[3]) and kind not in ("a", "mx", "ptr"):
            raise SpfBroken(f"{domain}: {kind} is not written as it must be")
        return found[1] or "+", kind, found[3] or "", found[4]
    if found := _MODIFIER.fullmatch(term):
        return "", found[1].lower(), found[2], ""
    raise SpfBroken(f"{domain}: one term is no SPF; receivers then heed none of the record")
