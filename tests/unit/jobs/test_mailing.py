"""What the mail machine is told of its mail server, and what it makes of that server's log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from consortium import places
from consortium.cli.operator import command
from consortium.jobs import mailing
from consortium.settings import Settings
from consortium.wiring import settings_of
from mailer import keys


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRELLIS_SMTP", "TRELLIS_SMTP_TLS", "TRELLIS_SMTP_LOGIN"):
        monkeypatch.delenv(name, raising=False)


# TLS


def test_tls_is_required_unless_somebody_says_otherwise() -> None:
    assert settings(smtp="smtp.example.org:25").smtp_tls == "required"


@pytest.mark.parametrize("tls", ["off", "offered"])
def test_no_letter_goes_to_another_machine_in_the_clear(tls: str) -> None:
    for away in (
        "smtp.example.org:25",
        "10.0.0.9:25",
        "localhost.example.org:25",
        "[2001:db8::1]:25",
    ):
        with pytest.raises(ValidationError, match="TRELLIS_SMTP_TLS=required") as refused:
            settings(smtp=away, smtp_tls=tls, database="postgresql://u:secret@db/t")
        assert "secret" not in str(refused.value)
    for here in ("127.0.0.1:25", "localhost:25", "[::1]:25", "127.8.0.1:2525"):
        assert settings(smtp=here, smtp_tls=tls).smtp_tls == tls


def test_a_mailer_told_to_send_in_the_clear_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "trellis.env").write_text(
        "TRELLIS_SMTP=smtp.example.org:25\nTRELLIS_SMTP_TLS=off\n"
    )
    ran = CliRunner().invoke(command, ["mailer", "--home", str(tmp_path)])
    assert ran.exit_code == 1
    assert "TRELLIS_SMTP_TLS=required" in ran.output


@pytest.mark.parametrize("tls", ["required", "wrapped"])
def test_the_transport_is_given_what_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    (tmp_path / "dkim").mkdir()
    for name in ("delivery", "stop", "choice", "signing"):
        (tmp_path / f"{name}.key").write_text("ab" * 32)
    (tmp_path / "hpke.key").write_text(keys.generate().private.hex())
    (tmp_path / "smtp.login").write_text("us\na word: with colons\n")
    (tmp_path / "trellis.env").write_text(
        f"TRELLIS_SMTP=smtp.example.org:465\nTRELLIS_SMTP_TLS={tls}\n"
        f"TRELLIS_SMTP_LOGIN={tmp_path / 'smtp.login'}\nTRELLIS_MAILER_HOME={tmp_path}\n"
    )
    nothing = SimpleNamespace(
        settings=settings_of(tmp_path), units=None, artefacts=None, log_files=None, clock=None
    )
    monkeypatch.setattr(mailing, "process", lambda: nothing)
    monkeypatch.setattr(mailing, "SmtpTransport", lambda server: server)
    monkeypatch.setattr(places, "_kept", [])
    server: Any = mailing.office.__wrapped__().transport()
    assert (server.host, server.port, server.tls) == ("smtp.example.org", 465, tls)
    assert (server.login.name, server.login.password) == ("us", "a word: with colons")


# Its log


def test_a_postfix_gets_ten_minutes_to_settle_and_our_sink_one() -> None:
    assert settings(smtp_log="/var/log/mail.log").settled_seconds >= 600
    assert settings().settled_seconds >= 600
    assert settings(smtp_log="sink.jsonl").settled_seconds == 60
    assert settings(smtp_log="sink.jsonl", settled_seconds=5).settled_seconds == 5


CLAIMED = datetime(2026, 11, 21, 14, tzinfo=UTC)


def lines(path: Path, *seconds: float) -> mailing.MtaLog:
    """A Postfix log with lines so many seconds after the claim."""
    times = [(CLAIMED + timedelta(seconds=n)).isoformat() for n in seconds]
    path.write_text("".join(f"{at} mx postfix/smtpd[31]: connect from x\n" for at in times))
    return mailing.MtaLog(path)


def test_a_postfix_log_is_whole_only_well_before_and_after_a_letter(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    assert lines(log, -61, 61).complete_since(CLAIMED)
    assert not lines(log, -59, 600).complete_since(CLAIMED), "the clocks may differ so much"
    assert not lines(log, -600, 59).complete_since(CLAIMED), "nobody may be writing it any more"
    assert not lines(log, 5, 600).complete_since(CLAIMED), "rotated since"
    assert not lines(log).complete_since(CLAIMED)
    log.write_text("Nov 21 13:00:00 mx postfix/smtpd[31]: connect from x\n" * 2)
    assert not mailing.MtaLog(log).complete_since(CLAIMED)


def test_where_no_letter_follows_the_mail_server_is_greeted_so_that_its_log_goes_on(
    tmp_path: Path,
) -> None:
    knocks: list[None] = []
    lines(tmp_path / "mail.log", -61, 5)
    log = mailing.MtaLog(tmp_path / "mail.log", lambda: knocks.append(None))
    assert not log.complete_since(CLAIMED)
    assert not log.complete_since(CLAIMED)
    assert len(knocks) == 1, "not for every letter in doubt"
    lines(tmp_path / "mail.log", -61, 61)
    assert log.complete_since(CLAIMED)
    assert len(knocks) == 1


def test_a_log_that_is_away_or_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    for name in ("mail.log", "sink.jsonl"):
        assert not mailing.MtaLog(tmp_path / name).complete_since(CLAIMED)
        (tmp_path / name).mkdir()  # as unreadable as it gets, for root too
        assert not mailing.MtaLog(tmp_path / name).complete_since(CLAIMED)
        with pytest.raises(IsADirectoryError):
            mailing.MtaLog(tmp_path / name).accepted("v@union.example")
