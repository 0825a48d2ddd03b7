"""Sending domains against a real DNS server on loopback, right and wrong in every way we know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mailer import dkim, domains
from mailer.domains import Domain, Station
from mailer.errors import AddressRefused, DnsSilent, LetterRefused
from mailer.findings import Finding, worst
from mailer.probing import Tls
from mailer.resolving import DnsResolver
from tests.fakes.dns_server import DnsServer, served

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
GOOD = Tls(NOW + timedelta(days=60))
NAME, HOST, IP, SIX = "news.union.example", "mx.trellis.example", "192.0.2.25", "2001:db8::25"
PUBLIC = dkim.dns_record(dkim.generate_key().public_key())
OTHER = dkim.dns_record(dkim.generate_key().public_key())
ONE = Domain("union", NAME, "trellis", PUBLIC)
STATION = Station(HOST, (IP, SIX))


@pytest.fixture(scope="module")
def running() -> Iterator[DnsServer]:
    with served() as server:
        yield server


@pytest.fixture
def dns(running: DnsServer) -> DnsServer:
    """A zone in which everything is as 'operator domain add' prints it."""
    running.zone, running.failing, running.silent, running.asked = {}, set(), set(), []
    for record in domains.records(ONE, STATION):
        if record.kind == "TXT":
            running.txt(record.name, record.value)
        else:
            running.set(record.name, record.kind, record.value)
    return running


def found(
    dns: DnsServer, station: Station = STATION, tls: Tls = GOOD, **more: float
) -> list[Finding]:
    resolver = DnsResolver(dns.address, **{"seconds": 20.0, **more})
    return list(
        domains.check(ONE, station, resolver=resolver, probe=lambda name, address: tls, now=NOW)
    )


def only(findings: list[Finding], point: str) -> Finding:
    """The worst of one point."""
    return max((one for one in findings if one.point == point), key=lambda one: one.level == "red")


def levels(findings: list[Finding]) -> dict[str, str]:
    return {point: worst(one for one in findings if one.point == point) for point in
            dict.fromkeys(one.point for one in findings)}  # fmt: skip


def test_what_is_printed_and_published_is_found_right(dns: DnsServer) -> None:
    said = found(dns)
    points = (domains.SPF, domains.DKIM, domains.DMARC, domains.MX, domains.PTR, domains.TLS)
    assert levels(said) == dict.fromkeys(points, "green")
    assert [one.todo for one in said] == [""] * len(said)


def test_a_domain_of_which_nothing_is_published_is_red_everywhere(dns: DnsServer) -> None:
    dns.zone = {}
    said = found(dns)
    assert set(levels(said).values()) == {"red"}
    assert all(one.todo for one in said)


def test_a_key_is_longer_than_one_string_and_is_read_whole(dns: DnsServer) -> None:
    line = next(r for r in domains.records(ONE, STATION) if r.name == ONE.key_name).zone_line()
    assert line.count('" "') == 1
    assert dns.zone[ONE.key_name, "TXT"] == [line.split("\tTXT\t")[1]]
    assert only(found(dns), domains.DKIM).level == "green"


def test_an_answer_too_long_for_a_datagram_is_asked_for_again_over_tcp(dns: DnsServer) -> None:
    one = dns.zone.pop((NAME, "TXT"))
    dns.set(NAME, "TXT", *(f'"unrelated {n} {"x" * 200}"' for n in range(8)), *one)
    assert only(found(dns), domains.SPF).level == "green"
    assert (NAME, "TXT", "tcp") in dns.asked


def test_a_selector_that_is_an_alias_is_followed(dns: DnsServer) -> None:
    dns.txt("keys.host.example", PUBLIC)
    del dns.zone[ONE.key_name, "TXT"]
    dns.set(ONE.key_name, "CNAME", "keys.host.example.")
    assert only(found(dns), domains.DKIM).level == "green"
    dns.txt("keys.host.example", OTHER)
    assert only(found(dns), domains.DKIM).level == "red"


SPF_RED = {
    "two records": (["v=spf1 ip4:192.0.2.25 -all", "v=spf1 mx -all"], "2 SPF records"),
    "another address": (["v=spf1 ip4:198.51.100.1 -all"], "fail"),
    "one of our two addresses": ([f"v=spf1 ip4:{IP} -all"], f"letters from {SIX}"),
    "everybody": ([f"v=spf1 ip4:{IP} ip6:{SIX} +all"], "lets everybody"),
    "a mistyped term": ([f"v=spf1 ipv4:{IP} -all"], "no SPF"),
    "a mistyped network": (["v=spf1 ip4:192.0.2.256 -all"], "no network"),
    "none of its own": (["verification=123"], "no SPF record"),
    "an include without a record": (["v=spf1 include:nobody.example -all"], "no SPF record"),
}


@pytest.mark.parametrize("case", SPF_RED)
def test_an_spf_record_that_receivers_would_not_pass_is_red(dns: DnsServer, case: str) -> None:
    texts, words = SPF_RED[case]
    dns.txt(NAME, *texts)
    said = only(found(dns), domains.SPF)
    assert (said.level, words in said.what) == ("red", True), said
    assert f'"v=spf1 ip4:{IP} ip6:{SIX} -all"' in said.todo


@pytest.mark.parametrize(("many", "level"), [(9, "green"), (10, "red")])
def test_an_spf_record_takes_ten_look_ups_and_no_more(
    dns: DnsServer, many: int, level: str
) -> None:
    # One for the first include, one for each of the others.
    dns.txt(NAME, f"v=spf1 include:i0.example ip4:{IP} ip6:{SIX} -all")
    for n in range(many):
        dns.txt(f"i{n}.example", f"v=spf1 include:i{n + 1}.example ?all")
    dns.txt(f"i{many}.example", "v=spf1 ip4:198.51.100.1 ?all")
    assert only(found(dns), domains.SPF).level == level


def test_an_spf_record_with_over_two_names_that_lead_nowhere_is_red(dns: DnsServer) -> None:
    dns.txt(NAME, f"v=spf1 a:x1.example a:x2.example ip4:{IP} ip6:{SIX} -all")
    assert only(found(dns), domains.SPF).level == "green"
    dns.txt(NAME, f"v=spf1 a:x1.example a:x2.example a:x3.example ip4:{IP} ip6:{SIX} -all")
    assert "have no address" in only(found(dns), domains.SPF).what


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 a:mx.trellis.example -all",
        "v=spf1 mx -all",
        "V=SPF1 MX -ALL",
        "v=spf1 redirect=_spf.host.example",
        "v=spf1 exists:%{i}._spf.host.example -all",
        f"v=spf1 a:wide.example/24//64 ip6:{SIX} -all",
    ],
)
def test_every_way_of_naming_our_addresses_is_read_as_receivers_read_it(
    dns: DnsServer, record: str
) -> None:
    dns.txt(NAME, record)
    dns.txt("_spf.host.example", f"v=spf1 ip4:192.0.2.0/24 ip6:{SIX} -all")
    nibbles = ".".join("20010db8000000000000000000000025")
    for spelled in (IP, nibbles):
        dns.set(f"{spelled}._spf.host.example", "A", "127.0.0.2")
    dns.set("wide.example", "A", "192.0.2.77")
    assert only(found(dns), domains.SPF).level == "green"


@pytest.mark.parametrize("end", ["?all", "", "ptr -all"])
def test_an_spf_record_that_keeps_nobody_out_is_yellow(dns: DnsServer, end: str) -> None:
    # What stands behind the match is never reached, so ptr stands before it.
    mine = f"ip4:{IP} ip6:{SIX}"
    text = f"v=spf1 ptr {mine} -all" if "ptr" in end else f"v=spf1 {mine} {end}"
    dns.txt(NAME, text.strip())
    assert only(found(dns), domains.SPF).level == "yellow"


def test_a_provider_is_vouched_for_by_its_include(dns: DnsServer) -> None:
    through = Station(HOST, (), "spf.provider.example")
    dns.txt("spf.provider.example", "v=spf1 ip4:198.51.100.0/24 -all")
    dns.txt(NAME, "v=spf1 include:spf.provider.example -all")
    said = found(dns, through)
    assert (only(said, domains.SPF).level, only(said, domains.PTR).level) == ("green", "none")
    dns.txt(NAME, "v=spf1 mx -all")
    assert only(found(dns, through), domains.SPF).level == "red"


DKIM_CASES = {
    "another key": ([OTHER], "red", "Another key"),
    "revoked": (["v=DKIM1; k=rsa; p="], "red", "revoked"),
    "cut off at one string": ([PUBLIC[:255]], "red", "cut off"),
    "two keys": ([PUBLIC, OTHER], "red", "2 keys"),
    "ed25519": ([f"v=DKIM1; k=ed25519; p={'A' * 43}="], "red", "another kind"),
    "only sha1": ([PUBLIC + "; h=sha1"], "red", "sha256"),
    "not for email": ([PUBLIC + "; s=other"], "red", "email"),
    "a tag twice": ([PUBLIC + "; p=x"], "red", "twice"),
    "testing": ([PUBLIC + "; t=y"], "red", "t=y"),
    "strict about subdomains": ([PUBLIC + "; t=s"], "green", "ours"),
    "with spaces": ([PUBLIC.replace("p=", "p = ").replace(";", " ; ")], "green", "ours"),
    "without version and kind": ([PUBLIC.split("; ")[2]], "green", "ours"),
    "with something else beside it": ([PUBLIC, "unrelated"], "green", "ours"),
}


@pytest.mark.parametrize("case", DKIM_CASES)
def test_a_key_record_is_ours_or_red(dns: DnsServer, case: str) -> None:
    texts, level, words = DKIM_CASES[case]
    dns.txt(ONE.key_name, *texts)
    said = only(found(dns), domains.DKIM)
    assert (said.level, words in said.what) == (level, True), said


DMARC_CASES = {
    "none": (["v=DMARC1; p=none"], "yellow", "anybody can write"),
    "half": (["v=DMARC1; p=reject; pct=50"], "yellow", "part"),
    "quarantine": (["v=DMARC1; p=quarantine"], "green", "quarantine"),
    "two": (["v=DMARC1; p=reject", "v=DMARC1; p=none"], "red", "2 records"),
    "no policy": (["v=DMARC1; rua=mailto:x@example.org"], "red", "no policy"),
    "no version": (["p=reject"], "red", "no DMARC"),
    "no tag list": (["v=DMARC1; reject"], "red", "cannot be read"),
}


@pytest.mark.parametrize("case", DMARC_CASES)
def test_a_dmarc_record_says_what_becomes_of_forgeries(dns: DnsServer, case: str) -> None:
    texts, level, words = DMARC_CASES[case]
    dns.txt(f"_dmarc.{NAME}", *texts)
    said = only(found(dns), domains.DMARC)
    assert (said.level, words in said.what) == (level, True), said


def test_without_a_policy_of_its_own_the_domain_above_speaks_for_it(dns: DnsServer) -> None:
    del dns.zone[f"_dmarc.{NAME}", "TXT"]
    dns.txt("_dmarc.union.example", "v=DMARC1; p=none; sp=reject")
    said = only(found(dns), domains.DMARC)
    assert (said.level, "reject, by the record of union.example" in said.what) == ("green", True)
    dns.txt("_dmarc.union.example", "v=DMARC1; p=reject; sp=none")
    assert only(found(dns), domains.DMARC).level == "yellow"
    assert ("_dmarc.example", "TXT", "udp") not in dns.asked  # a top-level domain speaks for nobody


MX_CASES = {
    "none": ([], "no MX"),
    "null": (["0 ."], "null MX"),
    "elsewhere": (["10 elsewhere.example."], "not to mx.trellis.example"),
    "nowhere": (["10 gone.example."], "no address"),
}


@pytest.mark.parametrize("case", MX_CASES)
def test_returns_that_would_not_come_to_us_are_red(dns: DnsServer, case: str) -> None:
    values, words = MX_CASES[case]
    dns.set("elsewhere.example", "A", "192.0.2.80")
    del dns.zone[NAME, "MX"]
    if values:
        dns.set(NAME, "MX", *values)
    said = only(found(dns), domains.MX)
    assert (said.level, words in said.what) == ("red", True), said


def test_an_address_points_back_to_a_name_that_leads_to_it(dns: DnsServer) -> None:
    back = "25.2.0.192.in-addr.arpa"
    dns.set(back, "PTR", "vm25.host.example.")
    said = only(found(dns), domains.PTR)
    assert (said.level, "does not lead to it" in said.what) == ("red", True)
    dns.set("vm25.host.example", "A", IP)
    assert levels(found(dns))[domains.PTR] == "yellow"  # confirmed, and not the name of EHLO
    del dns.zone[back, "PTR"]
    assert "points back to no name" in only(found(dns), domains.PTR).what


def test_what_the_settings_do_not_tell_is_red_and_says_which_setting(dns: DnsServer) -> None:
    said = found(dns, Station())
    assert "TRELLIS_MAIL_ADDRESSES" in only(said, domains.SPF).todo
    assert "TRELLIS_MAIL_ADDRESSES" in only(said, domains.PTR).todo
    assert "TRELLIS_MAIL_HOST" in only(found(dns, Station("", (IP,))), domains.PTR).todo


@pytest.mark.parametrize(
    ("tls", "level"),
    [
        (Tls(None, "it does not offer STARTTLS"), "red"),
        (Tls(NOW - timedelta(days=1)), "red"),
        (Tls(NOW + timedelta(days=13)), "yellow"),
        (Tls(NOW + timedelta(days=15)), "green"),
    ],
)
def test_a_certificate_that_is_missing_or_ends_is_told(
    dns: DnsServer, tls: Tls, level: str
) -> None:
    assert levels(found(dns, tls=tls))[domains.TLS] == level


@pytest.mark.parametrize(
    ("name", "points"),
    [
        (NAME, {domains.SPF, domains.MX, domains.TLS}),
        (ONE.key_name, {domains.DKIM}),
        (f"_dmarc.{NAME}", {domains.DMARC}),
        ("25.2.0.192.in-addr.arpa", {domains.PTR}),
    ],
)
def test_what_a_resolver_fails_at_is_red_and_nothing_else_is(
    dns: DnsServer, name: str, points: set[str]
) -> None:
    dns.failing.add(name)
    said = found(dns)
    assert {one.point for one in said if one.level == "red"} == points
    assert all("Not known" in one.what for one in said if one.level == "red")


def test_a_resolver_that_stays_silent_is_red_in_bounded_time(dns: DnsServer) -> None:
    dns.silent |= {name for name, _ in dns.zone}
    said = found(dns, seconds=0.1)
    assert len(said) == 6  # each point once: a look ends at its first silence
    assert {one.level for one in said} == {"red"}


def test_a_resolver_that_is_not_there_is_no_missing_record() -> None:
    with served() as gone:
        address = gone.address
    with pytest.raises(DnsSilent):
        DnsResolver(address, 0.3).txt(NAME)


def test_what_does_not_exist_is_an_empty_answer(dns: DnsServer) -> None:
    resolver = DnsResolver(dns.address)
    assert (list(resolver.txt("x.example")), list(resolver.mx(HOST))) == ([], [])


def test_no_name_of_ours_is_read_that_could_not_be_one() -> None:
    with pytest.raises(AddressRefused):
        Domain("union", "no host", "trellis", PUBLIC)
    with pytest.raises(LetterRefused, match="mail_addresses"):
        domains.listed("192.0.2.1, nonsense")
    assert domains.listed(" 192.0.2.1 ,2001:DB8::1") == ("192.0.2.1", "2001:db8::1")
