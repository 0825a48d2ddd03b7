"""What a demonstration did, from its truth and its Maildir; a stop and a bounce to come back.

Exact figures exist here only: the demo made the world and owns every folder. No API returns them.
"""

import email
import email.policy
import smtplib
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from consortium.world import World
from matching import coarsen
from matching.columns import open_list
from matching.roll import reader


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter as its mailbox got it."""

    to: str
    sender_domain: str
    return_path: str
    stop_url: str
    path: Path

    def __repr__(self) -> str:
        return f"Letter({self.path.name})"


def letters(maildir: Path) -> Iterator[Letter]:
    """Every letter in a Maildir, in the order of file names."""
    for path in sorted((maildir / "new").iterdir()):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        link = str(message["List-Unsubscribe"] or "")
        yield Letter(
            to=str(message["To"]).strip().casefold(),
            sender_domain=str(message["From"]).rpartition("@")[2].strip("> "),
            return_path=str(message["Return-Path"] or "").strip("<> "),
            stop_url=link.partition("<")[2].partition(">")[0],
            path=path,
        )


def stop_one(maildir: Path, authority: Path) -> int:
    """Stop one recipient by the one-click POST of RFC 8058. Returns how many were stopped."""
    first = next(letters(maildir), None)
    if first is None:
        return 0
    context = ssl.create_default_context(cafile=str(authority))
    answer = httpx.post(
        first.stop_url, data={"List-Unsubscribe": "One-Click"}, verify=context, trust_env=False
    )
    answer.raise_for_status()
    return 1


def confirm(link: str, authority: Path, name: str) -> None:
    """Answer as the volunteer would: read what will be signed, then lend the name to it."""
    context = ssl.create_default_context(cafile=str(authority))
    with httpx.Client(verify=context, trust_env=False, follow_redirects=True) as browser:
        page = browser.get(link).raise_for_status()
        if name not in page.text:
            raise ValueError("the volunteer's page does not say whose name will be signed")
        browser.post(link, data={"answer": "yes"}).raise_for_status()


def bounce_one(maildir: Path, listener: str) -> None:
    """Say, as a mailbox host would (RFC 3464), that the last letter's mailbox does not exist."""
    last = next(iter(reversed([*letters(maildir)])), None)
    if last is None:
        return
    report = EmailMessage()
    report["From"] = "mailer-daemon@mailbox.example"
    report["To"] = last.return_path
    report["Subject"] = "Undelivered Mail Returned to Sender"
    raw = (
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nThe mailbox does not exist.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mailbox.example\r\n\r\n"
        "Final-Recipient: rfc822; nobody@mailbox.example\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    host, _, port = listener.rpartition(":")
    with smtplib.SMTP(host, int(port)) as line:
        line.sendmail("", [last.return_path], report.as_bytes().rstrip() + b"\r\n" + raw.encode())


@dataclass(frozen=True, slots=True)
class Truth:
    """Who is who: voters by (partner, address), and which voters the audience means."""

    voters: Mapping[tuple[str, str], set[str]]
    audience: frozenset[str]
    members: int
    mailable: int
    registered: int


def truth(world: World) -> Truth:
    """Read the world's lists, its roll and its truth."""
    import csv

    known: dict[tuple[str, int], str] = {}
    if world.truth.exists():
        with world.truth.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                known[(line["partner"], int(line["row"]))] = line["voter_id"]
    voters: dict[tuple[str, str], set[str]] = {}
    members = mailable = 0
    for partner in world.partners:
        listing = open_list(world.members(partner.slug))
        reading = listing.check()
        members += reading.usable + reading.refused_total
        for row in listing.rows():
            if not row.mailable:
                continue
            mailable += 1
            voter = known.get((partner.slug, row.row), "")
            voters.setdefault((partner.slug, row.email.casefold()), set()).add(voter)
    roll = reader.open_roll(world.roll)
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    coarsened = coarsen.coarsen(
        list(roll.voters()),
        on=world.election,
        generals=roll.generals,
        primaries=roll.primaries,
        name=numbers.__getitem__,
    )
    meant = {
        coarsened.voter_ids[row.row_id] for row in coarsened.rows if _means(world.audience, row)
    }
    return Truth(voters, frozenset(meant), members, mailable, len(coarsened.rows))


def _means(definition: Mapping[str, Any], row: coarsen.Attributes) -> bool:
    places = definition["places"]
    here = (
        bool({row.congressional, row.senate, row.house} & set(places.get("district", ())))
        or row.precinct in places.get("precinct", ())
        or row.zip in places.get("zip", ())
    )
    return (
        here
        and ("age" not in definition or row.age_band in definition["age"])
        and ("votes" not in definition or row.votes in definition["votes"])
        and ("primaries" not in definition or row.primaries in definition["primaries"])
    )


def summary(
    world: World, maildir: Path, *, facts: Mapping[str, Any], approved_by: int, seconds: float
) -> dict[str, Any]:
    """The demonstration's last line; docs/world.md says what each figure counts."""
    real = truth(world)
    partners = {partner.domain: partner.slug for partner in world.partners}
    sent = right = 0
    reached: set[str] = set()
    for letter in letters(maildir):
        sent += 1
        who = real.voters.get((partners.get(letter.sender_domain, ""), letter.to), set())
        if who & real.audience:
            right += 1
            reached |= who & real.audience
    wanted = {voter for found in real.voters.values() for voter in found if voter in real.audience}
    return {
        "partners": len(world.partners),
        "members": real.members,
        "mailable": real.mailable,
        "voters": real.registered,
        "matched": len(reached),
        "match_precision": round(right / sent, 4) if sent else None,
        "match_recall": round(len(reached) / len(wanted), 4) if wanted else None,
        "audience_estimate": facts["estimate"],
        "approved_by": approved_by,
        "sent": sent,
        "stopped": facts["stopped"],
        "log_size": facts["log_size"],
        "verified": facts["verified"],
        "trust": "threshold" if world.custodians.total > 1 else "operator",
        "seconds": seconds,
    }
