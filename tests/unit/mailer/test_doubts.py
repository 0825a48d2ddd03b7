"""A letter in doubt is settled by proof only: what was taken is found, what is unsure stays so."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailer import doubts

T0 = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
VERP = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.example.org"
OTHER = VERP.replace("r-abc", "r-xyz")


def sink_log(folder: Path, *lines: str) -> Path:
    log = folder / "log"
    log.write_text(f'{{"at": "{doubts.stamp(T0)}", "event": "began"}}\n' + "".join(lines))
    return log


def queued(verp: str) -> str:
    at = doubts.stamp(T0 + timedelta(seconds=5))
    return f'{{"at": "{at}", "event": "queued", "id": "4F1A", "from": "{verp}", "bytes": 9}}\n'


def test_a_letter_that_the_sink_logged_was_sent(tmp_path: Path) -> None:
    log = sink_log(tmp_path, queued(OTHER), queued(VERP))
    settled = doubts.settle(log, VERP.upper(), claimed=T0, ended=False)
    assert settled == doubts.Settled("sent", "4F1A")


def test_a_letter_that_a_complete_log_lacks_was_not_sent(tmp_path: Path) -> None:
    log = sink_log(tmp_path, queued(OTHER))
    assert doubts.settle(log, VERP, claimed=T0, ended=True).verdict == "not sent"


def test_while_the_session_may_live_or_the_log_is_short_it_stays_in_doubt(tmp_path: Path) -> None:
    log = sink_log(tmp_path, queued(OTHER))
    assert doubts.settle(log, VERP, claimed=T0, ended=False).verdict == "in doubt"
    earlier = T0 - timedelta(seconds=1)
    assert doubts.settle(log, VERP, claimed=earlier, ended=True).verdict == "in doubt"
    nowhere = tmp_path / "absent"
    assert doubts.settle(nowhere, VERP, claimed=T0, ended=True).verdict == "in doubt"


def test_a_torn_line_is_no_proof(tmp_path: Path) -> None:
    log = sink_log(tmp_path, queued(VERP)[:-1])
    assert doubts.find(log, VERP) is None
    log = sink_log(tmp_path, queued(VERP)[:40] + "\n", queued(OTHER))
    assert doubts.find(log, VERP) is None
    assert doubts.find(log, OTHER) == "4F1A"
