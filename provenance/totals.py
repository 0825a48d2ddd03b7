"""Numbers in the log: what custodians opened covers what was mailed, what was spent stays spent."""

from dataclasses import dataclass, field

from provenance.errors import StoryRefused
from provenance.evidence import Checked
from provenance.rules import Telling, by_custodian, fact, of_intent, text


@dataclass(slots=True)
class Totals:
    """What custodians and the mail machine said at a campaign's end, and the ledger's heads.

    Attributes:
        released: by campaign and custodian's key, how many rows that custodian opened.
        mailed: by campaign, how many letters the mail machine says it handed over.
        heads: by race, the newest head of the privacy ledger and the units spent.
    """

    released: dict[str, dict[bytes, int]] = field(default_factory=dict)
    mailed: dict[str, tuple[Checked, int | None]] = field(default_factory=dict)
    heads: dict[str, tuple[str, int]] = field(default_factory=dict)

    def sent(self, telling: Telling, one: Checked) -> None:
        """Take in what is said at a campaign's end; it needs the intent before it.

        Raises:
            StoryRefused: there was none, or who says it may not, or says two things.
        """
        found = of_intent(telling, one)
        if found is not None:
            telling.held["sent: an intent before it"] += 1
        if one.facts.get("kind") == "released":
            self._released(telling, one, found)
        elif one.facts.get("kind") == "closed":
            self._closed(telling, one)
        elif one.facts.get("kind") == "decided":
            _decided(telling, one)

    def _released(self, telling: Telling, one: Checked, intent: Checked | None) -> None:
        by_custodian(telling, one)
        campaign, total = text(one, "campaign"), _count(one, "released")
        known = self.released.setdefault(campaign, {})
        if known.setdefault(one.actor, total) != total:
            raise StoryRefused(f"campaign {campaign}: one custodian states two totals")
        size = intent.facts.get("size_class") if intent is not None else None
        if isinstance(size, int) and total > size:
            raise StoryRefused(f"campaign {campaign}: more rows were opened than its size class")
        if not any(
            said.kind == "ledger"
            and said.actor == one.actor
            and (said.facts.get("kind"), said.facts.get("campaign")) == ("opening", campaign)
            for said in telling.said
        ):
            what = "a custodian states a total without its own opening before it"
            telling.lacks(f"campaign {campaign}", what, 1, {"ledger"}, one)

    def _closed(self, telling: Telling, one: Checked) -> None:
        mailers, campaign = telling.people.mailers, text(one, "campaign")
        if mailers is not None and one.actor not in mailers:
            raise StoryRefused(f"campaign {campaign}: its end is not signed by the mail machine")
        letters = _count(one, "letters") if "letters" in (*one.facts, *one.closed) else None
        if campaign in self.mailed and self.mailed[campaign][1] != letters:
            raise StoryRefused(f"campaign {campaign}: the mail machine states two numbers")
        self.mailed[campaign] = (one, letters)

    def head(self, telling: Telling, one: Checked) -> None:
        """The privacy ledger goes on: what is spent never falls, and one sum has one head.

        Raises:
            StoryRefused: it went back, or the operator did not sign it.
        """
        operators, race = telling.people.operators, text(one, "race")
        if operators is not None and one.actor not in operators:
            raise StoryRefused(f"entry {one.index}: a ledger head not signed by the operator")
        head, spent = text(one, "head"), _count(one, "spent")
        before = self.heads.get(race)
        if before is not None and (
            spent < before[1] or (spent == before[1]) != (head == before[0])
        ):
            raise StoryRefused(f"race {race}: the privacy ledger went back at entry {one.index}")
        self.heads[race] = (head, spent)
        telling.held["ledger: what was spent of the privacy budget never falls"] += 1

    def settle(self, telling: Telling) -> None:
        """Compare, once the whole story is told, what was opened with what was mailed.

        A total counts ghosts too, and rows whose letter then was held back; so it is never below.

        Raises:
            StoryRefused: a custodian opened fewer rows than letters left.
        """
        for campaign in sorted({*self.mailed, *self.released}):
            totals, about = self.released.get(campaign, {}), f"campaign {campaign}"
            end, letters = self.mailed.get(campaign, (None, None))
            if end is None or letters is None:
                telling.unshown.append(
                    f"{about}: whether the {len(totals)} custodians' totals cover its letters; no "
                    "opening says how many letters the mail machine handed over"
                )
                continue
            if any(total < letters for total in totals.values()):
                raise StoryRefused(
                    f"{about}: more letters were mailed than a custodian opened rows"
                )
            if len(totals) < telling.people.threshold:
                telling.unshown.append(
                    f"{about}: {len(totals)} custodians state what they opened, of "
                    f"{telling.people.threshold} that it takes; the rest stay closed, or come later"
                )
                continue
            telling.held["sent: custodians' totals cover the letters"] += 1


def _decided(telling: Telling, one: Checked) -> None:
    """Whether letters in doubt were taken is decided by the operator's people, and one way."""
    operators, about = telling.people.operators, f"campaign {text(one, 'campaign')}"
    if operators is not None and one.actor not in operators:
        raise StoryRefused(f"{about}: a decision about its doubts is not signed by the operator")
    if text(one, "was") not in ("sent", "not-sent") or _count(one, "letters") < 1:
        raise StoryRefused(f"{about}: a decision about its doubts decides nothing")
    telling.held["sent: doubts were decided by the operator, and how is said"] += 1


def _count(one: Checked, name: str) -> int:
    value = fact(one, name)
    if type(value) is not int or value < 0:
        raise StoryRefused(f"entry {one.index} ({one.kind}) does not say its {name}")
    return value
