"""A sending domain: the DNS records it needs, and whether receivers would find them right."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailer import spf
from mailer.addresses import host
from mailer.dkim import BITS
from mailer.errors import DnsSilent, LetterRefused, SpfBroken
from mailer.findings import Finding
from mailer.probing import Probe
from mailer.resolving import Resolver

SPF, DKIM, DMARC, MX, PTR, TLS = "SPF", "DKIM", "DMARC", "MX", "PTR", "TLS"
SOON = timedelta(days=14)
"""A certificate that ends sooner is told of while there is time to renew it."""
STRING = 255
"""Longest single string of a TXT record (RFC 1035, 3.3.14)."""
_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*([^;]*?)\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Domain:
    """A partner's sending domain.

    Args:
        partner: whose it is.
        name: the domain of From, of ``d=`` and of the return path alike, so that all align.
        selector: ``s=``.
        public: the key's TXT record, as ``dkim.dns_record`` writes it.
    """

    partner: str
    name: str
    selector: str
    public: str

    def __post_init__(self) -> None:
        host(self.name)

    @property
    def key_name(self) -> str:
        """Where the DKIM record stands."""
        return f"{self.selector}._domainkey.{self.name}"


@dataclass(frozen=True, slots=True)
class Station:
    """The mail server that letters leave from and that returns come to.

    Args:
        name: its host name: what it says in EHLO, what PTR and MX name. Empty: not told.
        addresses: every address from which letters leave.
        include: the SPF name of a provider through whom letters leave instead, or empty.
    """

    name: str = ""
    addresses: tuple[str, ...] = ()
    include: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish, and what for."""

    name: str
    kind: str
    value: str
    why: str

    def zone_line(self) -> str:
        """The record as a zone file has it; a long text in several strings."""
        value = self.value
        if self.kind == "TXT":
            cut = range(0, len(value), STRING)
            value = " ".join(f'"{value[at : at + STRING]}"' for at in cut)
        return f"{self.name}.\tIN\t{self.kind}\t{value}"


def records(domain: Domain, station: Station) -> tuple[Record, ...]:
    """Return the records that a domain needs, in the order in which to publish them."""
    allowed = [f"ip{ip_address(one).version}:{one}" for one in station.addresses]
    allowed += [f"include:{station.include}"] if station.include else []
    spf_text = " ".join(["v=spf1", *(allowed or ["mx"]), "-all"])
    dmarc = "v=DMARC1; p=reject; adkim=s; aspf=s"
    exchange = f"10 {station.name or f'mail.{domain.name}'}."
    found = [
        Record(domain.name, "TXT", spf_text, "only these addresses send for it"),
        Record(domain.key_name, "TXT", domain.public, "checks the signature of each letter"),
        Record(f"_dmarc.{domain.name}", "TXT", dmarc, "what is not ours is refused"),
        Record(domain.name, "MX", exchange, "returns and replies come back to it"),
    ]
    if station.name:
        for address in station.addresses:
            kind = "A" if ip_address(address).version == 4 else "AAAA"
            found.append(Record(station.name, kind, address, "the mail server's own name"))
            back = ip_address(address).reverse_pointer
            why = "set by whoever gave you the address; receivers ask it first"
            found.append(Record(back, "PTR", f"{station.name}.", why))
    return tuple(found)


def check(
    domain: Domain, station: Station, *, resolver: Resolver, probe: Probe, now: datetime
) -> tuple[Finding, ...]:
    """Look at everything that receivers look at before a first letter.

    A resolver that fails or is silent is red: what is not known is not right.
    """
    looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        (SPF, lambda: _spf(domain, station, resolver)),
        (DKIM, lambda: _dkim(domain, resolver)),
        (DMARC, lambda: _dmarc(domain, resolver)),
        (MX, lambda: _mx(domain, station, resolver)),
        (PTR, lambda: _ptr(station, resolver)),
        (TLS, lambda: _tls(domain, resolver, probe, now)),
    )
    found: list[Finding] = []
    for point, look in looks:
        try:
            found += look()
        except DnsSilent as silent:
            todo = "Look at the resolver and at the domain's name servers, then check again."
            found.append(Finding(point, "red", f"Not known: {silent}.", todo))
    return tuple(found)


def _spf(domain: Domain, station: Station, resolver: Resolver) -> Iterator[Finding]:
    wanted = records(domain, station)[0].value
    if not station.addresses and not station.include:
        todo = "Set TRELLIS_MAIL_ADDRESSES, or TRELLIS_MAIL_SPF for a provider, and check again."
        yield Finding(SPF, "red", "Nothing says from which addresses letters leave.", todo)
        return
    publish = f'Publish at {domain.name} one TXT record: "{wanted}".'
    try:
        # A provider's addresses are its own: the record is followed with one that is nobody's.
        asked = station.addresses or ("192.0.2.1",)
        judged = [spf.judge(domain.name, one, resolver) for one in asked]
    except SpfBroken as broken:
        yield Finding(SPF, "red", f"Receivers give up on it: {broken}.", publish)
        return
    one = judged[0]
    if not one.record:
        yield Finding(SPF, "red", f"{domain.name} has no SPF record.", publish)
        return
    if station.addresses:
        for address, said in zip(asked, judged, strict=True):
            if said.result != "pass":
                what = f"Receivers would say {said.result} to letters from {address}."
                yield Finding(SPF, "red", what, publish)
                return
    elif station.include not in one.names:
        yield Finding(SPF, "red", f"The record does not include {station.include}.", publish)
        return
    yield from _spf_habits(one, publish)


def _spf_habits(one: spf.Judged, publish: str) -> Iterator[Finding]:
    last = one.record.lower().split()
    if {"+all", "all"} & set(last):
        yield Finding(SPF, "red", "The record lets everybody send.", publish)
    elif one.old:
        yield Finding(SPF, "yellow", "The record has ptr, which receivers may skip.", publish)
    elif "?all" in last or not any(
        term.endswith("all") or term.startswith("redirect=") for term in last
    ):
        yield Finding(SPF, "yellow", "The record does not say that others may not send.", publish)
    else:
        many = f"{one.lookups} of {spf.MAX_LOOKUPS} look-ups"
        yield Finding(SPF, "green", f"Letters pass; it takes {many}.")


def _dkim(domain: Domain, resolver: Resolver) -> Iterator[Finding]:
    publish = f"Publish the record of 'operator domain add' at {domain.key_name}."
    found = [text for text in resolver.txt(domain.key_name) if "p=" in text.replace(" ", "")]
    if not found:
        yield Finding(DKIM, "red", f"{domain.key_name} has no key.", publish)
        return
    if len(found) > 1:
        what = f"{domain.key_name} has {len(found)} keys; receivers take any of them, or none."
        yield Finding(DKIM, "red", what, "Keep one record, or use a selector of its own.")
        return
    try:
        tags = _tags(found[0])
    except ValueError as error:
        yield Finding(DKIM, "red", f"The record cannot be read: {error}.", publish)
        return
    if why := _key_problem(tags, _tags(domain.public)["p"]):
        yield Finding(DKIM, "red", why, publish)
    elif "y" in tags.get("t", "").replace(" ", "").split(":"):
        what = "The record says t=y: receivers treat the letters as if they were not signed."
        yield Finding(DKIM, "red", what, "Take t=y out of it.")
    else:
        print_ = _fingerprint(tags["p"])
        yield Finding(DKIM, "green", f"The key at {domain.key_name} is ours (SHA-256 {print_}).")


def _key_problem(tags: dict[str, str], ours: str) -> str:
    if tags.get("v", "DKIM1") != "DKIM1":
        return "The record is not of version DKIM1."
    if tags.get("k", "rsa").lower() != "rsa":
        return "The record is for another kind of key than rsa."
    published, expected = _squeeze(tags["p"]), _squeeze(ours)
    if not published:
        return "The key is revoked: p= is empty."
    if "sha256" not in tags.get("h", "sha256").replace(" ", "").split(":"):
        return "The record does not allow sha256."
    if not {"*", "email"} & set(tags.get("s", "*").replace(" ", "").split(":")):
        return "The record is not for email."
    if published != expected:
        return _other_key(published)
    return ""


def _other_key(published: str) -> str:
    try:
        key = load_der_public_key(base64.b64decode(published, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return "The key is cut off or mistyped: it is no public key."
    if not isinstance(key, rsa.RSAPublicKey):
        return "The key is no RSA key."
    short = f", of {key.key_size} bits" if key.key_size < BITS else ""
    return f"Another key stands there (SHA-256 {_fingerprint(published)}{short}); ours differs."


def _dmarc(domain: Domain, resolver: Resolver) -> Iterator[Finding]:
    publish = f'Publish at _dmarc.{domain.name}: "v=DMARC1; p=reject; adkim=s; aspf=s".'
    name, found = _policy_of(domain.name, resolver)
    if not found:
        yield Finding(DMARC, "red", f"{domain.name} has no DMARC record.", publish)
        return
    if len(found) > 1:
        what = f"_dmarc.{name} has {len(found)} records; receivers then heed none."
        yield Finding(DMARC, "red", what, "Keep one.")
        return
    try:
        tags = _tags(found[0])
    except ValueError as error:
        yield Finding(DMARC, "red", f"The record cannot be read: {error}.", publish)
        return
    asked = tags.get("sp", tags.get("p", "")) if name != domain.name else tags.get("p", "")
    policy = asked.lower()
    if policy not in ("none", "quarantine", "reject"):
        yield Finding(DMARC, "red", "The record states no policy (p=).", publish)
    elif policy == "none":
        what = "The policy is none: anybody can write in this name, and receivers let it in."
        yield Finding(DMARC, "yellow", what, publish)
    elif tags.get("pct", "100").strip() not in ("100", ""):
        what = "The policy is for a part of the letters only (pct)."
        yield Finding(DMARC, "yellow", what, publish)
    else:
        where = "" if name == domain.name else f", by the record of {name}"
        yield Finding(DMARC, "green", f"What is not ours: {policy}{where}.")


def _policy_of(domain: str, resolver: Resolver) -> tuple[str, Sequence[str]]:
    """Climb to the first name that has a policy; never to a top-level domain alone."""
    labels = domain.split(".")
    for at in range(max(1, len(labels) - 1)):
        name = ".".join(labels[at:])
        found = [
            text
            for text in resolver.txt(f"_dmarc.{name}")
            if re.match(r"v\s*=\s*DMARC1\s*(?:;|\Z)", text)
        ]
        if found:
            return name, found
    return domain, ()


def _mx(domain: Domain, station: Station, resolver: Resolver) -> Iterator[Finding]:
    publish = f"Publish {records(domain, station)[3].zone_line()!r}."
    found = resolver.mx(domain.name)
    if not found:
        what = f"{domain.name} has no MX: bounces, complaints and replies are lost."
        yield Finding(MX, "red", what, publish)
        return
    if any(not name for _, name in found):
        yield Finding(MX, "red", "The MX says that no mail is taken (null MX).", publish)
        return
    for _, name in found:
        if not resolver.addresses(name):
            yield Finding(MX, "red", f"{name} has no address.", "Give it one, or take it out.")
            return
    names = [name for _, name in found]
    if station.name and station.name not in names:
        what = f"Returns go to {names[0]}, not to {station.name}."
        yield Finding(MX, "red", what, publish)
        return
    yield Finding(MX, "green", f"Returns go to {', '.join(names)}.")


def _ptr(station: Station, resolver: Resolver) -> Iterator[Finding]:
    if station.include and not station.addresses:
        what = "Letters leave through a provider; its addresses' names are its own matter."
        yield Finding(PTR, "none", what)
        return
    if not station.addresses:
        todo = "Set TRELLIS_MAIL_ADDRESSES and check again."
        yield Finding(PTR, "red", "Nothing says from which addresses letters leave.", todo)
        return
    if not station.name:
        todo = "Set TRELLIS_MAIL_HOST to the name that the mail server says in EHLO."
        yield Finding(PTR, "red", "Nothing says what the mail server is called.", todo)
        return
    for address in station.addresses:
        yield _back(address, station.name, resolver)


def _back(address: str, name: str, resolver: Resolver) -> Finding:
    """Forward-confirmed: the address points to a name, and that name back to the address."""
    ask = f"Ask whoever gave you {address} to point it back to {name}."
    names = resolver.ptr(address)
    if not names:
        return Finding(PTR, "red", f"{address} points back to no name.", ask)
    confirmed = [one for one in names if ip_address(address) in _addresses(one, resolver)]
    if not confirmed:
        what = f"{address} points back to {names[0]}, which does not lead to it."
        return Finding(PTR, "red", what, f"Publish its address at {names[0]}. Or: {ask}")
    if name not in confirmed:
        what = f"{address} is called {confirmed[0]}, and the mail server says {name}."
        return Finding(PTR, "yellow", what, ask)
    if ip_address(address) not in _addresses(name, resolver):
        return Finding(PTR, "red", f"{name} does not lead to {address}.", f"Publish it at {name}.")
    return Finding(PTR, "green", f"{address} and {name} lead to each other.")


def _addresses(name: str, resolver: Resolver) -> set[object]:
    return {ip_address(one) for one in resolver.addresses(name)}


def _tls(domain: Domain, resolver: Resolver, probe: Probe, now: datetime) -> Iterator[Finding]:
    """The mail server's certificate, as whoever returns something to us meets it."""
    hosts = [name for _, name in resolver.mx(domain.name) if name]
    if not hosts:
        yield Finding(TLS, "red", "There is no mail server to ask.", "Publish the MX first.")
        return
    for name in hosts:
        for address in resolver.addresses(name)[:1]:
            said = probe(name, address)
            if said.ends is None:
                todo = "Give it a certificate for this name from a public authority."
                yield Finding(TLS, "red", f"{name}: {said.why}.", todo)
            elif said.ends - now < SOON:
                what = f"{name}: its certificate ends on {said.ends:%Y-%m-%d}."
                yield Finding(TLS, "red" if said.ends <= now else "yellow", what, "Renew it.")
            else:
                what = f"{name}: STARTTLS, certificate until {said.ends:%Y-%m-%d}."
                yield Finding(TLS, "green", what)


def _tags(text: str) -> dict[str, str]:
    """Read a tag list (RFC 6376, 3.2); raises ValueError for one that is none."""
    tags: dict[str, str] = {}
    parts = text.split(";")
    for part in parts[:-1] if not parts[-1].strip() else parts:
        found = _TAG.fullmatch(part)
        if not found:
            raise ValueError("one part of it is no tag")
        if found[1] in tags:
            raise ValueError(f"{found[1]} stands twice")
        tags[found[1]] = found[2]
    return tags


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _fingerprint(key: str) -> str:
    return hashlib.sha256(_squeeze(key).encode()).hexdigest()[:16]


def named(text: str) -> str:
    """Return a host name as DNS spells it, or empty; raises LetterRefused."""
    return host(text.rstrip(".").lower()) if text else ""


def listed(text: str) -> tuple[str, ...]:
    """Read addresses, separated by commas; raises LetterRefused naming the setting."""
    try:
        return tuple(str(ip_address(one.strip())) for one in text.split(",") if one.strip())
    except ValueError:
        raise LetterRefused("mail_addresses", "holds something that is no IP address") from None
