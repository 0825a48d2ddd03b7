"""Ask one DNS resolver, and tell a name that has nothing from a server that says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

from mailer.errors import DnsSilent

SECONDS = 5.0
"""For one question, retries and a change to TCP included."""


class Resolver(Protocol):
    """Where records come from. What does not exist is an empty answer; each follows CNAMEs."""

    def txt(self, name: str) -> Sequence[str]:
        """TXT records, the strings of each joined; raises DnsSilent."""

    def addresses(self, name: str) -> Sequence[str]:
        """A and AAAA records; raises DnsSilent."""

    def mx(self, name: str) -> Sequence[tuple[int, str]]:
        """MX records, the preferred first, a null MX as an empty host; raises DnsSilent."""

    def ptr(self, address: str) -> Sequence[str]:
        """The names that an address points back to; raises DnsSilent."""


@dataclass(frozen=True, slots=True)
class DnsResolver:
    """``Resolver`` over dnspython.

    Args:
        server: ``host:port`` of a resolver, an IPv6 host in brackets; empty: this machine's.
        seconds: how long one question may take.
    """

    server: str = ""
    seconds: float = SECONDS
    _asked: list[dns.resolver.Resolver] = field(default_factory=list, repr=False)

    def txt(self, name: str) -> Sequence[str]:
        return [b"".join(one.strings).decode("latin-1") for one in self._ask(name, "TXT")]

    def addresses(self, name: str) -> Sequence[str]:
        return [one.address for kind in ("A", "AAAA") for one in self._ask(name, kind)]

    def mx(self, name: str) -> Sequence[tuple[int, str]]:
        found = [(one.preference, _host(one.exchange)) for one in self._ask(name, "MX")]
        return sorted(found)

    def ptr(self, address: str) -> Sequence[str]:
        name = dns.reversename.from_address(address)
        return sorted(_host(one.target) for one in self._ask(name, "PTR"))

    def _ask(self, name: str | dns.name.Name, kind: str) -> Sequence[Any]:
        try:
            return list(self._resolver().resolve(name, kind, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.resolver.NoNameservers:
            raise DnsSilent(str(name), "the resolver answers with a failure") from None
        except dns.exception.Timeout:
            raise DnsSilent(str(name), "the resolver does not answer in time") from None
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise DnsSilent(str(name), f"it cannot be asked ({type(error).__name__})") from None

    def _resolver(self) -> dns.resolver.Resolver:
        if not self._asked:
            made = dns.resolver.Resolver(configure=not self.server)
            if self.server:
                host, _, port = self.server.rpartition(":")
                made.nameservers = [host.strip("[]")]
                made.port = int(port)
            made.lifetime = self.seconds
            # Half of it for the first try: one lost datagram is no silence.
            made.timeout = self.seconds / 2
            made.use_edns(0, 0, 1232)
            self._asked.append(made)
        return self._asked[0]


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().rstrip(".")
