"""A letter in doubt is settled by proof only: what was taken is found, what is unsure stays so."""

# ruff: noqa: E501 (lines of a log stay as Postfix writes them)

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

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


POSTFIX = f"""\
2026-11-21T14:00:00.100000+00:00 mx postfix/postfix-script[1]: starting the Postfix mail system
2026-11-21T14:00:03.100000+00:00 mx postfix/smtpd[31]: connect from localhost[127.0.0.1]
2026-11-21T14:00:03.200000+00:00 mx postfix/smtpd[31]: 4D2C91A00B7: client=localhost[127.0.0.1]
2026-11-21T14:00:03.210000+00:00 mx postfix/cleanup[34]: 4D2C91A00B7: message-id=<x@mail.example>
2026-11-21T14:00:03.300000+00:00 mx postfix/qmgr[22]: 4D2C91A00B7: from=<{OTHER}>, size=2101, nrcpt=1 (queue active)
2026-11-21T14:00:03.400000+00:00 mx postfix/smtpd[31]: 5AAAA1A00B7: client=localhost[127.0.0.1]
2026-11-21T14:00:03.500000+00:00 mx postfix/cleanup[34]: 5AAAA1A00B7: message-id=<y@mail.example>
2026-11-21T14:00:03.600000+00:00 mx postfix/smtpd[31]: NOQUEUE: reject: RCPT from localhost[127.0.0.1]: 450 4.2.0 x; from=<{VERP}> to=<hidden> proto=ESMTP helo=<x>
2026-11-21T14:00:04.000000+00:00 mx postfix/qmgr[22]: 4D2C91A00B7: removed
"""
PROOF = f"2026-11-21T14:00:05+00:00 mx postfix/qmgr[22]: 5AAAA1A00B7: from=<{VERP}>, size=2101, nrcpt=1 (queue active)\n"
OLD = f"Nov 21 14:00:05 mx postfix/qmgr[22]: 5AAAA1A00B7: from=<{VERP}>, size=2, nrcpt=1 (queue active)\n"
LATER = T0 + timedelta(seconds=2)


@pytest.mark.parametrize("line", [PROOF, OLD, PROOF.replace("postfix/qmgr", "postfix-out/qmgr")])
def test_qmgrs_line_is_proof_in_either_time_format(tmp_path: Path, line: str) -> None:
    log = tmp_path / "maillog"
    log.write_text(POSTFIX + line)
    assert doubts.find_in_postfix(log, VERP) == "5AAAA1A00B7"


def test_cleanup_and_smtpd_prove_nothing(tmp_path: Path) -> None:
    log = tmp_path / "maillog"
    log.write_text(POSTFIX)
    assert doubts.find_in_postfix(log, OTHER) == "4D2C91A00B7"
    assert doubts.find_in_postfix(log, VERP) is None
    assert doubts.postfix_complete_since(log, LATER)


def test_a_postfix_log_that_was_rotated_or_has_no_year_leaves_the_doubt(tmp_path: Path) -> None:
    log = tmp_path / "maillog"
    log.write_text(POSTFIX)
    early = T0 - timedelta(hours=1)
    assert not doubts.postfix_complete_since(log, early)
    log.write_text(OLD.replace(VERP, OTHER))
    assert not doubts.postfix_complete_since(log, LATER)
    log.write_text(PROOF[:-1])
    assert doubts.find_in_postfix(log, VERP) is None
