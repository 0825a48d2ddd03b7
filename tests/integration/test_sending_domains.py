"""No campaign is asked for or begins from a domain that receivers would refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consortium.cli.operator import command
from consortium.clock import Standing
from consortium.jobs import dkim_files, vetting
from consortium.service import agree, vet
from consortium.store import inspections, ledger, texts
from consortium.store.unit import Unit
from consortium.wiring import Process, settings_of
from mailer import dkim
from mailer.domains import Domain
from mailer.findings import Finding
from mailer.probing import Tls
from policies import agreement
from tests.databases import NOON
from tests.fakes.dns_server import DnsServer, served
from tests.fakes.post import Post, post
from tests.fakes.server import EPOCH, RACE, Server, document
from tests.integration.test_api_campaigns import drafted, furnished

__all__ = ["furnished", "post"]
TERMS = agreement.parse(document())
RED = Finding("DKIM", "red", "The key is revoked: p= is empty.", "Publish it.")
GREEN = Finding("DKIM", "green", "The key is ours.")
YELLOW = Finding("DMARC", "yellow", "The policy is none.", "Publish p=reject.")


def find(server: Server, partner: str, *findings: Finding, name: str = "", ago: float = 0) -> None:
    """Say that a check of this partner's domain found so, ``ago`` hours before now."""
    one = Domain(partner, name or f"{partner}.example", "trellis", "p=")
    at = server.clock() - timedelta(hours=ago)
    server.units.run("found", lambda unit: vet.keep(unit, one, findings, at))


def submit(server: Server, id: str) -> tuple[int, str]:
    answer = server.call("cora", "POST", f"/campaigns/{id}/submit")
    return answer.status_code, str(answer.json().get("detail", ""))


def red(server: Server) -> str:
    """What stands against letters from the union, in words."""
    return server.units.read("red", lambda unit: vet.red(unit, TERMS, ["union"], server.clock()))


def looks(server: Server) -> int:
    path = f"/races/{RACE}/counts"
    asked = {"definition": {"places": {"precinct": ["44-0"]}}}
    return int(server.call("cora", "POST", path, json=asked).json()["looks_left"])


def test_a_letter_is_not_submitted_while_a_sources_domain_is_red_and_no_look_is_spent(
    furnished: Server,
) -> None:
    id = drafted(furnished, definition={"places": {"zip": ["43600"]}})
    before = looks(furnished)
    find(furnished, "parks", RED, GREEN)
    code, said = submit(furnished, id)
    assert (code, "parks.example is red: DKIM, The key is revoked" in said) == (409, True)
    assert furnished.call("cora", "GET", f"/campaigns/{id}").json()["state"] == "draft"
    assert looks(furnished) == before
    find(furnished, "parks", YELLOW)
    assert submit(furnished, id)[0] == 200
    charged = furnished.units.run("charges", lambda unit: ledger.charges(unit, RACE))
    assert len(charged) == 2  # the look above, and the gate's own


def test_a_check_that_is_too_old_counts_as_red(server: Server) -> None:
    find(server, "union", GREEN, ago=23)
    assert red(server) == ""
    find(server, "union", GREEN, ago=25)
    assert "Nobody looked at it for 24 hours" in red(server)


def test_a_domain_that_was_never_looked_at_or_is_another_is_red(server: Server) -> None:
    assert red(server) == ""
    find(server, "union", GREEN, name="elsewhere.example")
    assert "union.example was never looked at" in red(server)


def test_yellow_is_told_and_stops_nothing(server: Server) -> None:
    find(server, "union", YELLOW, GREEN)
    seen = server.units.read(
        "vetted", lambda unit: vet.vetted(unit, TERMS, ["union"], server.clock())
    )
    assert [(one.level, one.findings[0]) for one in seen] == [("yellow", YELLOW)]
    assert red(server) == ""


def test_the_first_letter_waits_while_a_domain_is_red_and_leaves_once_it_is_not(
    post: Post,
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, [(1, "m1@example.net")]))
    find(post.server, "union", RED)
    post.go(id)
    assert (post.mta.to, post.state(id).state) == ([], "logged")
    assert "union.example is red: DKIM" in post.state(id).waiting_for
    assert post.custodians.asked == 0  # and no row was opened for it
    find(post.server, "union", GREEN)
    post.go(id)
    assert post.mta.to == ["m1@example.net"]


def test_a_demo_says_that_nothing_was_checked_and_goes_on(server: Server) -> None:
    def demo(unit: Unit) -> None:
        facts = json.loads(texts.get(unit, "invite"))
        texts.put(unit, "invite", json.dumps({**facts, "demo": True}))

    find(server, "union", RED)
    assert red(server)
    server.units.run("demo", demo)
    seen = server.units.read(
        "vetted", lambda unit: vet.vetted(unit, TERMS, ["union"], server.clock())
    )
    assert [(one.level, one.at, one.findings) for one in seen] == [("none", None, (vet.DEMO,))]
    assert red(server) == ""
    assert not server.units.read("due", lambda unit: vet.due(unit, "union", server.clock()))


def test_a_red_domain_is_looked_at_again_sooner_than_a_green_one(server: Server) -> None:
    def due() -> bool:
        return server.units.read("due", lambda unit: vet.due(unit, "union", server.clock()))

    find(server, "union", GREEN, ago=0.5)
    assert not due()
    find(server, "union", RED, ago=0.5)
    assert due()
    find(server, "union", RED)
    assert not due()


# The operator's command


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with served() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's home on SQLite, with the race's agreement in it."""
    monkeypatch.setattr(
        "consortium.cli.domains.StartTls",
        lambda: lambda name, address: Tls(NOON + timedelta(days=9999)),
    )
    (tmp_path / "trellis.env").write_text(
        f"TRELLIS_RESOLVER={dns.address}\nTRELLIS_MAILER_HOME={tmp_path / 'mailer'}\n"
        "TRELLIS_MAIL_HOST=mx.trellis.example\nTRELLIS_MAIL_ADDRESSES=192.0.2.25\n"
    )
    process = Process(settings_of(tmp_path))
    process.migrate()
    process.units.run("race", lambda unit: agree.open_race(unit, document(), EPOCH))
    return tmp_path


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["domain", *words, "--home", str(home)])


def publish(dns: DnsServer, said: Result) -> None:
    for one in json.loads(said.stdout):
        if one["type"] == "TXT":
            dns.txt(one["name"], one["value"])
        else:
            dns.set(one["name"], one["type"], one["value"])


def test_what_add_prints_is_what_check_wants(home: Path, dns: DnsServer) -> None:
    added = run(home, "add", "--partner", "union", "--json")
    assert added.exit_code == 0, added.output
    before = run(home, "check")
    assert (before.exit_code, "union.example (union): red" in before.output) == (1, True)
    publish(dns, added)
    after = run(home, "check", "--json")
    assert (after.exit_code, json.loads(after.stdout)[0]["level"]) == (0, "green"), after.output
    kept = Process(settings_of(home)).units.read(
        "kept", lambda u: inspections.get(u, "domain union")
    )
    assert kept is not None
    assert (kept.level, kept.about, len(kept.findings)) == ("green", "union.example", 6)


def test_add_prints_zone_lines_and_what_no_record_says(home: Path) -> None:
    said = run(home, "add", "--partner", "union", "--selector", "s2026").output
    for line in (
        'union.example.\tIN\tTXT\t"v=spf1 ip4:192.0.2.25 -all"',
        's2026._domainkey.union.example.\tIN\tTXT\t"v=DKIM1; k=rsa; p=',
        '_dmarc.union.example.\tIN\tTXT\t"v=DMARC1; p=reject; adkim=s; aspf=s"',
        "union.example.\tIN\tMX\t10 mx.trellis.example.",
        "25.2.0.192.in-addr.arpa.\tIN\tPTR\tmx.trellis.example.",
        "TLS: a certificate for mx.trellis.example",
        "Return path",
    ):
        assert line in said, line
    again = run(home, "add", "--partner", "union")
    assert "s2026._domainkey" in again.output  # the key and its selector stay
    assert said.split("p=")[1][:300] == again.output.split("p=")[1][:300]


def test_the_key_that_signs_is_the_key_that_is_checked(home: Path) -> None:
    run(home, "add", "--partner", "union", "--selector", "s2026")
    [one], signer = dkim_files.domains(home / "mailer"), dkim_files.signers(home / "mailer")
    assert (signer["union"].domain, signer["union"].selector) == ("union.example", "s2026")
    assert one.public == dkim.dns_record(signer["union"].key.public_key())
    mode = (home / "mailer" / "dkim" / "union.pem").stat().st_mode & 0o777
    assert mode == 0o600


def test_the_mailer_looks_again_by_itself_at_one_domain_a_turn(
    home: Path, dns: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for partner in ("union", "parks"):
        publish(dns, run(home, "add", "--partner", partner, "--json"))
    process = Process(settings_of(home), Standing(NOON))
    good = Tls(NOON + timedelta(days=9999))
    monkeypatch.setattr(vetting, "process", lambda: process)
    monkeypatch.setattr(vetting, "StartTls", lambda: lambda name, address: good)

    def seen() -> dict[str, tuple[str, datetime]]:
        def read(unit: Unit) -> dict[str, inspections.Inspection | None]:
            return {one: inspections.get(unit, f"domain {one}") for one in ("parks", "union")}

        kept = process.units.read("kept", read)
        return {one: (said.level, said.at) for one, said in kept.items() if said}

    vetting.run()
    assert seen() == {"parks": ("green", NOON)}
    vetting.run()
    assert seen() == {"parks": ("green", NOON), "union": ("green", NOON)}
    vetting.run()  # nothing is due
    asked = len(dns.asked)
    vetting.run()
    assert len(dns.asked) == asked
    process.clock.now = later = NOON + timedelta(hours=2)  # type: ignore[attr-defined]
    dns.txt("trellis._domainkey.parks.example", "v=DKIM1; k=rsa; p=")
    for _ in range(3):
        vetting.run()
    assert seen() == {"parks": ("red", later), "union": ("green", later)}


def test_nobody_adds_a_domain_that_the_agreement_does_not_name(home: Path) -> None:
    said = run(home, "add", "--partner", "strangers")
    assert (said.exit_code, "union, parks" in said.output) == (1, True)
    assert run(home, "check").exit_code == 1


def test_a_demo_hands_letters_to_nothing_but_this_machine(tmp_path: Path) -> None:
    (tmp_path / "trellis.env").write_text("TRELLIS_DEMO=true\nTRELLIS_SMTP=mail.example.org:25\n")
    with pytest.raises(ValueError, match="a demo checks no sending domain"):
        settings_of(tmp_path)
