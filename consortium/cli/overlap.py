"""While two epochs are open: which upload of a list is for which, and which belong together.

One list then has two bundles, each with tokens and locks under its own epoch's keys, its own id
and its own receipt. To the person who runs the tool it stays one list.
"""

import hashlib
import hmac
from dataclasses import dataclass
from uuid import uuid4

from consortium.cli import uploading
from consortium.cli.home import Home
from consortium.cli.lists import OwnList, own_lists
from consortium.cli.spool import Members
from consortium.clock import Clock


@dataclass(frozen=True, slots=True)
class Target:
    """One list on its way to one epoch.

    Attributes:
        home: as if that epoch were the only one.
        source: names the file within this epoch; ``file`` names it in both.
        named: what a progress bar adds when there are two.
    """

    home: Home
    source: str
    file: str
    named: str

    @property
    def epoch(self) -> str:
        """To which epoch."""
        return str(self.home.invite["epoch"])

    @property
    def known(self) -> OwnList | None:
        """The live upload of the same file to this epoch, finished or not."""
        return uploading.known(self.home, self.source)

    @property
    def finished(self) -> bool:
        """Whether that upload has its receipt."""
        known = self.known
        return known is not None and known.has("receipt.json")

    def begin(self, members: Members, clock: Clock) -> OwnList:
        """As ``uploading.begin``, and the list knows its epoch and its file from then on."""
        own = uploading.begin(self.home, self.source, members, clock)
        own.note(epoch=self.epoch, file=self.file)
        if not own.facts.get("upload"):
            # The server must know them as one list: who takes it back there takes back both.
            shared = {one.facts.get("upload") for one in twins(self.home, own)} - {None}
            own.note(upload=next(iter(shared), uuid4().hex))
        return own


def targets(home: Home, digest: bytes, attested: str) -> list[Target]:
    """One target in each epoch that the invite names, the present one first.

    Args:
        digest: SHA-256 of the file.
        attested: what the partner vouches for, in its words.
    """
    file = hmac.digest(home.secret("file"), digest, hashlib.sha256).hex()
    found = []
    for epoch in home.epochs:
        here = home.at(epoch)
        named = f" (for {epoch})" if len(home.epochs) > 1 else ""
        source = uploading.source_key(here, digest, attested)
        found.append(Target(here, source, file, named))
    return found


def announced(home: Home) -> list[str]:
    """What a partner's staff is told about the overlap."""
    now, following = home.epochs
    return [
        f"The next epoch, {following}, is open beside the present one, {now}: new keys, because no",
        "key should serve for long. Your list goes to both in this one run, under each one's keys;",
        f"people can be written to from one of them only. When {now} ends, what is under its keys",
        "is deleted, and nothing of it can be opened again.",
        "",
    ]


def twins(home: Home, own: OwnList) -> list[OwnList]:
    """Uploads of a list's file to the other epoch that must go when the list goes.

    Those that are live, unless this list went before they came; and those that were withdrawn with
    it, while a custodian has not heard of it.
    """
    facts = own.facts
    return [
        one
        for one in own_lists(home)
        if facts.get("file")
        and one.facts.get("file") == facts["file"]
        and one.facts.get("epoch") != facts.get("epoch")
        and (_unheard(home, one) if one.withdrawn else not own.withdrawn)
    ]


def _unheard(home: Home, own: OwnList) -> bool:
    heard = set(own.facts.get("retired_at", ()))
    return own.has("entry.json") and not {c["id"] for c in home.invite["custodians"]} <= heard
