"""What `trellis custodian status` says, and the few things it asks somebody to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consortium.custodian.spoken import PROTECTIONS, to_do, words
from consortium.custodian.standing import (
    Account,
    Campaign,
    Countersigned,
    Epoch,
    Share,
    Standing,
)
from consortium.custodian.wrapping import KINDS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNION = Account("union", "partner", "2026", used=3, allowed=26, uploads=1)
MATCH, SEAL = (Share(one, "2026", 1, 2, 3) for one in ("match", "seal"))
GOOD = Standing(
    id="ann",
    url="https://ann.example.org",
    running=True,
    protection="passphrase",
    hours="at any time",
    opens=None,
    shares=(MATCH, SEAL),
    epochs=("2026",),
    accounts=(UNION,),
    campaigns=(Campaign("spring", 800, 1000, "open"), Campaign("autumn", 0, 500, "closed")),
    locks=120_000,
    withdrawn=12,
    entries=1234,
    seen=NOW - timedelta(minutes=3),
    splits=(),
    ends=(Epoch("2026", "present", letters="2026-12-01"),),
    countersigned=Countersigned((("5d3f" * 16, "2026-11-20"),), again="2026-12-10"),
)


def said(standing: Standing) -> str:
    return "\n".join(words(standing, NOW))


def test_a_custodian_that_is_well_says_so_in_words() -> None:
    assert (
        said(GOOD)
        == """\
custodian ann at https://ann.example.org, running; uploads at any time
holds these shares, protected by a passphrase
  epoch 2026: match (scrambled codes), version 1; it takes 2 of 3 custodians
  epoch 2026: seal (sealed rows), version 1; it takes 2 of 3 custodians
when epochs end: once enough of you destroy their shares, and by no date of its own
  epoch 2026: the present one; letters under it may go until 01 Dec 2026
who has used what; a batch is 4,096 scrambled codes, names are never seen here
  union (partner), epoch 2026: has used 3 of its 26 batches (12%); enough for one more full upload
helped to open 800 rows in the last 7 days, 1,500 since it began; it knows 120,000 locks, 12 of them withdrawn for good
  spring (open): 800 in the last 7 days, 1,000 in all
  autumn (closed): 0 in the last 7 days, 500 in all
has countersigned 1 key of the mail machine, last 5d3f5d3f5d3f5d3f on 20 Nov 2026; another one from 10 Dec 2026
last saw the log at 1,234 entries, cosigned 3 minutes ago
nothing to do now"""  # noqa: E501
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"used": 0, "uploads": 2}, "0 of its 26 batches (0%); enough for 2 more full uploads"),
        ({"used": 14, "uploads": 0}, "(54%); not enough for another full upload"),
        ({"used": 26, "uploads": 0}, "26 of its 26 batches (100%)"),
        ({"consented": False}, "may ask nothing"),
        ({"used": 0, "allowed": 0, "uploads": 0}, "0 of its 0 batches;"),
    ],
)
def test_a_quota_is_said_in_batches_percent_and_uploads(change: dict[str, int], words: str) -> None:
    assert words in said(replace(GOOD, accounts=(replace(UNION, **change),)))


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=5), "0 minutes ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=1, minutes=59), "1 hour ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=3), "3 days ago"),
        (-timedelta(minutes=5), "0 minutes ago"),  # a witness's clock before ours
    ],
)
def test_how_old_the_log_is_needs_no_clock_arithmetic(ago: timedelta, words: str) -> None:
    assert words in said(replace(GOOD, seen=NOW - ago))


TASKS = [
    ({"splits": (77,)}, "two roots for 77 entries"),
    ({"untold": True}, "no letter is helped until the others have told"),
    ({"protection": None}, "trellis custodian init"),
    ({"epochs": (), "shares": (), "accounts": ()}, "trellis custodian join"),
    ({"running": False}, "trellis custodian serve"),
    ({"shares": (MATCH,)}, "trellis custodian ceremony --purpose seal"),
    (
        {"epochs": ("2026", "2027"), "shares": (MATCH, SEAL, replace(MATCH, epoch="2027"))},
        "trellis custodian ceremony --purpose seal --epoch 2027",
    ),
    (
        {"shares": (MATCH, SEAL, replace(SEAL, epoch="2025"))},
        "trellis custodian destroy --epoch 2025",
    ),
    ({"accounts": (replace(UNION, used=24, uploads=0),)}, "union has used 93% of its batches"),
    ({"accounts": (replace(UNION, consented=False),)}, "trellis custodian consent union"),
    ({"seen": NOW - timedelta(days=2)}, "the log is 2 days old"),
]


@pytest.mark.parametrize(("change", "words"), TASKS)
def test_what_somebody_must_do_is_said(change: dict[str, object], words: str) -> None:
    assert not [task for task in to_do(GOOD, NOW) if words in task]
    tasks = to_do(replace(GOOD, **change), NOW)  # type: ignore[arg-type]
    assert len(tasks) == 1
    assert words in tasks[0]


def test_one_that_is_closed_says_when_it_opens() -> None:
    closed = replace(
        GOOD, hours="weekdays 18:00-22:00 (UTC)", opens=datetime(2026, 11, 23, 18, tzinfo=UTC)
    )
    assert "weekdays 18:00-22:00 (UTC), next from Mon 23 Nov 18:00" in said(closed)


def test_every_kind_of_protection_has_words() -> None:
    assert set(PROTECTIONS) == set(KINDS)


@pytest.mark.parametrize("why", ["destroyed", "given up"])
def test_a_share_that_is_gone_is_named_and_nobody_is_asked_to_make_it_again(why: str) -> None:
    gone = replace(GOOD, shares=(MATCH,), over=(("seal", "2026", why),))
    assert f"epoch 2026: seal (sealed rows), {why} here for good" in said(gone)
    assert to_do(gone, NOW) == []
    assert "holds no share any more" in said(replace(gone, shares=()))


def test_a_machine_is_told_the_same() -> None:
    shown = GOOD.to_json()
    assert [(one["purpose"], one["version"]) for one in shown["shares"]] == [
        ("match", 1),
        ("seal", 1),
    ]
    assert shown["accounts"][0]["used"] == 3
    assert shown["seen"] == "2026-11-21T11:57:00+00:00"


EPOCHS = [
    (Epoch("2027", "next"), "epoch 2027: the next one; no letter under it is open"),
    (Epoch("2025", "over", "2026-11-30"), "in the invite no more; letters under it may go until"),
    (Epoch("2025", "over", ended="2026-02-03"), "ended on 03 Feb 2026, as custodians said"),
]


@pytest.mark.parametrize(("epoch", "words"), EPOCHS)
def test_when_an_epoch_ends_is_said_as_far_as_it_is_known(epoch: Epoch, words: str) -> None:
    assert words in said(replace(GOOD, ends=(epoch,)))
    assert words not in said(GOOD)


KEYS = (("11" * 32, "2026-10-01"), ("22" * 32, "2026-10-29"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Countersigned(), "has countersigned no key of the mail machine"),
        (
            Countersigned(KEYS),
            "countersigned 2 keys of the mail machine, last 2222222222222222 on",
        ),
    ],
)
def test_what_was_countersigned_is_said(given: Countersigned, words: str) -> None:
    spoken = said(replace(GOOD, countersigned=given))
    assert words in spoken
    assert "another one from" not in spoken
