"""A custodian's standing in words that a partner's staff understands, and what it must do now."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta

from consortium.custodian.standing import Account, Standing

PURPOSES = {"match": "scrambled codes", "seal": "sealed rows"}
PROTECTIONS: Mapping[str | None, str] = {
    "passphrase": "a passphrase",
    "file": "a key file beside them",
    "pkcs11": "a key in a token",
    "vault": "a key in a vault",
}
QUIET = timedelta(days=1)
"""The log publishes every hour; a day without it is worth a question."""
NEARLY = 90
"""Percent of a quota from which somebody should know."""


def words(standing: Standing, now: datetime) -> list[str]:
    """Say all of it; headings end without a full stop, what belongs to them is indented."""
    return [
        f"custodian {standing.id} at {standing.url}, {_running(standing)}",
        *_shares(standing),
        *_ends(standing),
        *_used(standing),
        *_opened(standing),
        *_countersigned(standing),
        *_log(standing, now),
        *_what_to_do(standing, now),
    ]


def _running(standing: Standing) -> str:
    running = "running" if standing.running else "not running now"
    if standing.opens is None:
        return f"{running}; uploads {standing.hours}"
    return f"{running}; uploads {standing.hours}, next from {standing.opens:%a %d %b %H:%M}"


def _shares(standing: Standing) -> Iterator[str]:
    if standing.shares:
        yield f"holds these shares, protected by {PROTECTIONS.get(standing.protection, 'nothing')}"
    else:
        yield "holds no share yet" if not standing.over else "holds no share any more"
    for one in standing.shares:
        yield (
            f"  epoch {one.epoch}: {one.purpose} ({PURPOSES[one.purpose]}), version {one.version}; "
            f"it takes {one.threshold} of {one.holders} custodians"
        )
    for purpose, epoch, why in standing.over:
        yield f"  epoch {epoch}: {purpose} ({PURPOSES[purpose]}), {why} here for good"
    for _, _, said in standing.endings:
        yield f"  {said}"


PLACES = {"present": "the present one", "next": "the next one", "over": "in the invite no more"}


def _ends(standing: Standing) -> Iterator[str]:
    """An epoch has no date set for its end: it ends when enough custodians destroy their shares."""
    if standing.ends:
        yield "when epochs end: once enough of you destroy their shares, and by no date of its own"
    for one in standing.ends:
        if one.ended:
            yield f"  epoch {one.epoch}: ended on {_day(one.ended)}, as custodians said in the log"
            continue
        letters = f"letters under it may go until {_day(one.letters)}" if one.letters else ""
        until = letters or "no letter under it is open"
        yield f"  epoch {one.epoch}: {PLACES[one.place]}; {until}"


def _countersigned(standing: Standing) -> Iterator[str]:
    given = standing.countersigned
    if not given.keys:
        yield "has countersigned no key of the mail machine"
        return
    count, (name, day) = len(given.keys), given.keys[-1]
    keys = "1 key" if count == 1 else f"{count:,} keys"
    again = f"; another one from {_day(given.again)}" if given.again else ""
    yield f"has countersigned {keys} of the mail machine, last {name[:16]} on {_day(day)}{again}"


def _day(day: str) -> str:
    return f"{date.fromisoformat(day):%d %b %Y}"


def _used(standing: Standing) -> Iterator[str]:
    if standing.accounts:
        yield "who has used what; a batch is 4,096 scrambled codes, names are never seen here"
    for one in standing.accounts:
        yield f"  {one.actor} ({one.role}), epoch {one.epoch}: {_account(one)}"
        yield from (f"    look at this: it {words}" for words in one.odd)


def _account(one: Account) -> str:
    if not one.consented:
        return "may ask nothing: you have not agreed to its bulk run"
    share = f" ({_percent(one)}%)" if one.allowed else ""
    used = f"has used {one.used:,} of its {one.allowed:,} batches{share}"
    match one.uploads:
        case 0:
            return f"{used}; not enough for another full upload, changed rows still go"
        case 1:
            return f"{used}; enough for one more full upload"
        case more:
            return f"{used}; enough for {more:,} more full uploads"


def _percent(one: Account) -> int:
    return -(-100 * one.used // one.allowed) if one.allowed else 100


def _opened(standing: Standing) -> Iterator[str]:
    week = sum(one.week for one in standing.campaigns)
    total = sum(one.total for one in standing.campaigns)
    yield (
        f"helped to open {week:,} rows in the last 7 days, {total:,} since it began; "
        f"it knows {standing.locks:,} locks, {standing.withdrawn:,} of them withdrawn for good"
    )
    for one in standing.campaigns:
        yield (
            f"  {one.campaign} ({one.state}): {one.week:,} in the last 7 days, {one.total:,} in all"
        )


def _log(standing: Standing, now: datetime) -> Iterator[str]:
    if not standing.entries:
        yield "has not seen the log yet"
    elif standing.seen is None:
        yield f"last saw the log at {standing.entries:,} entries, under other witnesses"
    else:
        ago = _ago(standing, now)
        yield f"last saw the log at {standing.entries:,} entries, cosigned {ago} ago"


def _ago(standing: Standing, now: datetime) -> str:
    minutes = max(int((now - (standing.seen or now)).total_seconds() // 60), 0)
    for size, word in ((1440, "day"), (60, "hour")):
        if minutes >= size:
            count = minutes // size
            return f"{count} {word}{'s' if count > 1 else ''}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _what_to_do(standing: Standing, now: datetime) -> Iterator[str]:
    tasks = to_do(standing, now)
    yield "to do now" if tasks else "nothing to do now"
    yield from (f"  {task}" for task in tasks)


def to_do(standing: Standing, now: datetime) -> list[str]:
    """Return what somebody must do, the gravest first."""
    return [*_alarms(standing), *_steps(standing), *_hints(standing, now)]


def _alarms(standing: Standing) -> Iterator[str]:
    for size in standing.splits:
        yield (
            f"the log showed two roots for {size:,} entries: both signed checkpoints are in the "
            "ledger, show them to every partner"
        )
    if standing.forks:
        yield (
            "the log was rewritten: both signed checkpoints are in the ledger, show them to every "
            "partner"
        )
    if standing.restored:
        yield (
            "the books were put back: nothing is served until the log shows what they lack; "
            "leave `trellis custodian serve` running"
        )
    if standing.untold:
        yield (
            "the books were put back: no letter is helped until the others have told what was "
            "taken back and stopped since; leave `trellis custodian serve` running, and if one "
            "of them is gone for good: trellis custodian resume"
        )
    if standing.doubts:
        yield (
            f"{standing.doubts:,} openings stand in the log and not in these books: other letters "
            "wait up to eight days for it, or until the mail machine asks for those again"
        )


def _steps(standing: Standing) -> Iterator[str]:
    if standing.protection is None:
        yield "choose what protects the shares: trellis custodian init"
    if not standing.epochs:
        yield "send identity.json to the operator, then: trellis custodian join"
        return
    if not standing.running:
        yield "start it: trellis custodian serve"
    yield from _missing(standing)
    for epoch in sorted({one.epoch for one in standing.shares} - set(standing.epochs)):
        # An invite is the operator's word; what is deleted comes back by nobody's.
        begun = any(of == epoch for _, of, _ in standing.endings)
        agreed = "others have destroyed theirs" if begun else "once all of you agree, by phone"
        yield (
            f"epoch {epoch} is in the invite no more; {agreed}: "
            f"trellis custodian destroy --epoch {epoch}"
        )


def _missing(standing: Standing) -> Iterator[str]:
    known = {(one.purpose, one.epoch) for one in standing.shares}
    known |= {(purpose, epoch) for purpose, epoch, _ in standing.over}
    for number, epoch in enumerate(standing.epochs):
        of = f" --epoch {epoch}" if number else ""
        for purpose in PURPOSES:
            if (purpose, epoch) not in known:
                command = f"trellis custodian ceremony --purpose {purpose}{of}"
                yield f"make the key with the others: {command}"


def _hints(standing: Standing, now: datetime) -> Iterator[str]:
    for one in standing.accounts:
        if not one.consented:
            yield f"if you agree to its bulk run: trellis custodian consent {one.actor}"
        elif _percent(one) >= NEARLY:
            yield f"{one.actor} has used {_percent(one)}% of its batches: ask it what for"
    if standing.seen is not None and now - standing.seen > QUIET:
        old = _ago(standing, now)
        yield f"the log is {old} old: ask the operator, and the others whether they see it"
