"""Postfix's own log proves what it took, and what it did not; where it cannot, it says neither.

``tests/golden/postfix`` holds what Postfix 3.7 wrote of these sessions, host names aside: letter a
taken and delivered; b refused at RCPT; c broken off within its text; d taken, its sender gone after
the dot; e taken; f too large; a kill -9 of all of it, a start, a kill -9 of qmgr; g answered 250
and, where the ids are short, not looked at by any qmgr yet.
"""

import gzip
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailer.postfix import PostfixLog

KEPT = Path(__file__).parents[2] / "golden/postfix"
SAMPLES = ("long_ids", "short_ids")
TAKEN = {"long_ids": "adeg", "short_ids": "ade"}
BEGAN = {
    "long_ids": datetime(2026, 11, 22, 1, 56, 33, tzinfo=UTC),
    "short_ids": datetime(2026, 11, 22, 1, 56, 42, tzinfo=UTC),
}


def verp(letter: str) -> str:
    return f"r-{letter * 26}-abcdefghijklmnop@mail.example.org"


def message_id(letter: str) -> str:
    return f"<m-{letter}@mail.example.org>"


def dated(path: Path, at: datetime) -> Path:
    """As if the file had last been changed then."""
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def in_rfc3339(text: str) -> str:
    """The same lines as rsyslog and systemd write them now."""
    return re.sub(r"(?m)^Nov 22 (\S+)", r"2026-11-22T\1.123456+00:00", text)


def sample(folder: Path, name: str, *, modern: bool = False) -> Path:
    text = (KEPT / f"{name}.log").read_text()
    path = folder / "mail.log"
    path.write_text(in_rfc3339(text) if modern else text)
    last = text.splitlines()[-1].split()[2]
    return dated(path, datetime.fromisoformat(f"2026-11-22T{last}+00:00"))


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_of_every_letter_the_log_says_whether_it_was_taken(
    tmp_path: Path, name: str, modern: bool
) -> None:
    log = PostfixLog(sample(tmp_path, name, modern=modern))
    found = {letter: log.accepted(verp(letter)) for letter in "abcdefg"}
    assert "".join(letter for letter, id in found.items() if id) == TAKEN[name]
    lengths = {len(id) for id in found.values() if id}
    assert lengths == ({15} if name == "long_ids" else {11})


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_letter_broken_off_before_its_dot_is_told_from_one_whose_end_nobody_knows(
    tmp_path: Path, name: str, modern: bool
) -> None:
    log = PostfixLog(sample(tmp_path, name, modern=modern))
    began = BEGAN[name]
    assert not log.begun(message_id("b"), began), "refused at RCPT: it never came"
    assert not log.begun(message_id("c"), began), "smtpd says that its session ended within it"
    assert log.begun(message_id("f"), began), "no line says how this one ended"
    assert log.begun(message_id("d"), began)
    assert log.begun(message_id("g"), began), "in the incoming queue it is taken and not active"
    assert not log.begun(message_id("z"), began)
    assert not log.begun(message_id("f"), began + timedelta(days=1)), "that was an earlier try"


@pytest.mark.parametrize("line", ["client=localhost", "message-id=<m-g@mail", "(queue active)"])
def test_a_line_that_was_cut_off_is_no_line(tmp_path: Path, line: str) -> None:
    text = (KEPT / "long_ids.log").read_text()
    path = tmp_path / "mail.log"
    path.write_text(text[: text.rindex(line) + len(line)])
    assert PostfixLog(path).accepted(verp("g")) is None
    assert PostfixLog(path).accepted(verp("e")) is not None


# Whether it is whole


def lines(path: Path, *stamps: str, of: str = "postfix/smtpd[31]: connect from x") -> PostfixLog:
    path.write_text("".join(f"{stamp} mx {of}\n" for stamp in stamps))
    return PostfixLog(path)


CLAIMED = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def test_times_without_a_year_or_a_zone_are_read_by_the_files_own_last_change(
    tmp_path: Path,
) -> None:
    log = lines(tmp_path / "mail.log", "Nov 22 01:00:00", "Nov 22 08:00:00")
    dated(log.path, CLAIMED + timedelta(hours=2))
    late = CLAIMED + timedelta(hours=1, minutes=30)
    assert log.complete_since(late)
    assert not log.complete_since(CLAIMED - timedelta(hours=6)), "it begins later"
    there = PostfixLog(log.path, zone=ZoneInfo("America/New_York"))
    assert not there.complete_since(late), "written by a clock of another zone"
    dated(log.path, CLAIMED + timedelta(hours=7))
    assert not log.complete_since(late)
    assert there.complete_since(CLAIMED + timedelta(hours=5))
    assert not there.complete_since(CLAIMED + timedelta(hours=6.5)), "an hour may come twice"


def test_over_new_year_the_first_line_is_of_the_old_year(tmp_path: Path) -> None:
    log = lines(tmp_path / "mail.log", "Dec 31 20:00:00", "Jan  1 04:00:00")
    dated(log.path, datetime(2027, 1, 1, 4, tzinfo=UTC))
    assert log.complete_since(datetime(2027, 1, 1, 1, tzinfo=UTC))
    assert not log.complete_since(datetime(2026, 12, 31, 19, 30, tzinfo=UTC))


def hours(*numbers: float) -> list[str]:
    return [(CLAIMED + timedelta(hours=n)).isoformat() for n in numbers]


def test_a_letter_is_found_in_what_the_log_was_rotated_to(tmp_path: Path) -> None:
    sample(tmp_path, "long_ids")
    first = tmp_path / "mail.log"
    shutil.move(first, tmp_path / "mail.log.1")
    log = lines(first, *hours(0, 3))
    assert log.accepted(verp("a"))
    packed = tmp_path / "mail.log.2.gz"
    packed.write_bytes(gzip.compress((tmp_path / "mail.log.1").read_bytes()))
    (tmp_path / "mail.log.1").write_text("")
    assert log.accepted(verp("a"))
    assert log.begun(message_id("f"), BEGAN["long_ids"])
    dated(packed, BEGAN["long_ids"] + timedelta(seconds=5))
    later = BEGAN["long_ids"] + timedelta(hours=2)
    assert log.complete_since(later)
    packed.rename(tmp_path / "mail.log-20261122-020000.gz")
    assert log.accepted(verp("a"))


def test_a_rotated_file_that_is_missing_cut_off_or_packed_strangely_leaves_the_doubt(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mail.log"
    log = lines(path, *hours(1, 3))
    assert not log.complete_since(CLAIMED), "its beginning is away"
    lines(tmp_path / "mail.log.1", *hours(-3, 1))
    assert log.complete_since(CLAIMED)
    (tmp_path / "mail.log.1").rename(tmp_path / "mail.log.2")
    assert not log.complete_since(CLAIMED), "mail.log.1 is being made, or is gone"
    (tmp_path / "mail.log.2").rename(tmp_path / "mail.log.1")
    (tmp_path / "mail.log.2.gz").write_bytes(gzip.compress(b"x" * 1000)[:-12])
    with pytest.raises(OSError, match="cut off"):
        log.complete_since(CLAIMED)
    (tmp_path / "mail.log.2.gz").rename(tmp_path / "mail.log.2.zst")
    with pytest.raises(OSError, match="packed"):
        log.accepted(verp("a"))
    (tmp_path / "mail.log.2.zst").rename(tmp_path / "mail.log.old.save")
    assert log.complete_since(CLAIMED), "no file of this log"


@pytest.mark.parametrize(
    "event",
    [
        "postfix/master[2]: daemon started -- version 3.7.11, configuration /etc/postfix",
        "postfix/postfix-script[1]: starting the Postfix mail system",
        "postfix/master[2]: warning: process /usr/lib/postfix/sbin/qmgr pid 3 killed by signal 9",
        "postfix/qmgr[3]: fatal: scan_dir_push: open directory incoming",
    ],
)
def test_after_a_start_the_lack_of_a_line_proves_nothing_until_the_queue_was_looked_through(
    tmp_path: Path, event: str
) -> None:
    path = tmp_path / "mail.log"
    start, end, much_later = hours(0.1, 0.15, 0.25)
    lines(path, *hours(-1, -0.5))
    with path.open("a") as file:
        file.write(f"{start} mx {event}\n{end} mx postfix/smtpd[31]: connect from x\n")
    assert not PostfixLog(path).complete_since(CLAIMED)
    with path.open("a") as file:
        file.write(f"{much_later} mx postfix/smtpd[31]: connect from x\n")
    assert PostfixLog(path).complete_since(CLAIMED)


def test_a_start_before_the_letter_was_claimed_is_nothing_to_it(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    lines(path, *hours(-1), of="postfix/master[2]: daemon started -- version 3.7.11")
    with path.open("a") as file:
        file.write(f"{hours(0.02)[0]} mx postfix/smtpd[31]: connect from x\n")
    assert PostfixLog(path).complete_since(CLAIMED)


def test_an_absent_or_empty_log_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    assert not PostfixLog(path).complete_since(CLAIMED)
    assert PostfixLog(path).accepted(verp("a")) is None
    path.write_text("")
    assert not PostfixLog(path).complete_since(CLAIMED)
    path.write_text("no line of a log\n")
    assert not PostfixLog(path).complete_since(CLAIMED)


def delivery(words: str) -> str:
    """A line about another letter, in which its receiver's server has the last word."""
    return (
        "Nov 22 05:59:00 mx postfix/smtp[77]: 4zABCDEFGH: to=<x@b.example>, relay=b.example"
        "[192.0.2.9]:25, delay=1, dsn=4.0.0, status=deferred "
        f"(host b.example[192.0.2.9] said: 450 {words})"
    )


FORGED_TAKEN = (
    f"Nov 22 05:59:00 mx postfix/smtp[77]: 4zABCDEFGH: to=<x@b.example>, status=sent (250 "
    f"postfix/qmgr[1]: 4zFFFFFFFF: from=<{verp('a')}>, size=1, nrcpt=1 (queue active)"
)
CAME = f"Nov 22 05:58:50 mx postfix/cleanup[9]: 4zAAAAAAAA: message-id={message_id('a')}"
CLIENT = "Nov 22 05:58:50 mx postfix/smtpd[31]: 4zAAAAAAAA: client=localhost[127.0.0.1]"
BROKEN = "postfix/smtpd[31]: lost connection after DATA (9 bytes) from localhost[127.0.0.1]"


def written(folder: Path, *lines: str) -> PostfixLog:
    path = folder / "mail.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    return PostfixLog(dated(path, datetime(2026, 11, 22, 5, 59, tzinfo=UTC)))


def test_a_receivers_words_in_the_log_take_no_letter_and_break_none_off(tmp_path: Path) -> None:
    since = datetime(2026, 11, 22, 5, 58, tzinfo=UTC)
    true = FORGED_TAKEN.partition("(250 ")[2]
    assert written(tmp_path, f"Nov 22 05:59:00 mx {true}").accepted(verp("a")) == "4zFFFFFFFF"
    assert written(tmp_path, FORGED_TAKEN).accepted(verp("a")) is None
    ended = written(tmp_path, CAME, CLIENT, f"Nov 22 05:59:00 mx {BROKEN}")
    assert not ended.begun(message_id("a"), since)
    for lie in (delivery(BROKEN), f"Nov 22 05:59:00 mx postfix/smtpd[32]: helo=<x {BROKEN}>"):
        assert written(tmp_path, CAME, CLIENT, lie).begun(message_id("a"), since)


def test_a_receivers_words_in_the_log_start_no_mail_server(tmp_path: Path) -> None:
    at = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)
    around = "Nov 22 05:00:00 mx postfix/smtpd[31]: connect from x"
    said = "postfix/master[1]: daemon started -- version 3.7"
    true = written(tmp_path, around, f"Nov 22 05:58:59 mx {said}", delivery("later"))
    assert not true.complete_since(at)
    assert written(tmp_path, around, delivery(said)).complete_since(at)
