"""An honest ceremony makes a key nobody holds; a dishonest custodian is named."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from matching import ceremony as rounds
from matching import group, knowledge, oprf
from matching.crypto_errors import CeremonyAborted, StatementRefused
from matching.envelope import Message, close
from matching.seats import Commit, Complaint, Reveal, Seat, Secret, Session
from matching.statement import Statement, check_statement, signed_bytes
from matching.threshold import lagrange

IDS = ("ann", "bea", "cyd")


class Table:
    """All custodians of one ceremony, in one place."""

    def __init__(self, threshold: int = 2, ids: tuple[str, ...] = IDS) -> None:
        self.keys = {one: Ed25519PrivateKey.generate() for one in ids}
        self.publics = {one: key.public_key().public_bytes_raw() for one, key in self.keys.items()}
        seats = tuple(Seat(one, self.publics[one]) for one in ids)
        self.session = Session("2026", "match", threshold, seats)
        self.secrets: dict[str, Secret] = {}
        self.commits: dict[str, Commit] = {}
        for one in ids:
            begun = rounds.begin(self.session, one, os.urandom(64 * threshold), os.urandom(32))
            self.secrets[one], self.commits[one] = begun
        self.reveals = {one: rounds.reveal(self.session, one, self.secrets[one]) for one in ids}
        hpke = {one: commit.hpke_public for one, commit in self.commits.items()}
        self.dealt = {one: rounds.deal(self.session, one, self.secrets[one], hpke) for one in ids}

    def signed(self, round: str, by: str, body: Mapping[str, Any]) -> Message:
        said = {"sid": self.session.sid, **body}
        return close(f"ceremony-{round}", said, by=by, sign=self.keys[by].sign)

    def commit(self, one: str, hpke: bytes | None = None) -> Message:
        key = hpke or self.commits[one].hpke_public
        return self.signed("commit", one, {"hpke": key.hex(), "leaf": "00"})

    def shares(self, dealer: str, dealt: Mapping[str, bytes] | None = None) -> Message:
        """What a dealer signs: its own shares, or others."""
        signed = {one: self.commit(one) for one in self.session.ids}
        return self.signed("shares", dealer, rounds.dealt_body(dealt or self.dealt[dealer], signed))

    def reveal(self, one: str) -> Message:
        return self.signed("reveal", one, self.reveals[one].to_json())

    def complaint(self, by: str, against: str, shares: Message | None = None) -> Complaint:
        """A complaint with the accused's own messages."""
        return rounds.complain(
            by,
            self.secrets[by],
            CeremonyAborted(against, "looks at me strangely"),
            shares=shares or self.shares(against),
            reveal=self.reveal(against),
        )

    def receive(self, one: str) -> bytes:
        for shown in self.reveals.values():
            rounds.check_reveal(self.session, self.commits[shown.id].digest, shown)
        sealed = {dealer: shares[one] for dealer, shares in self.dealt.items()}
        return rounds.receive(self.session, one, self.secrets[one], self.reveals, sealed)


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (2, 3), (3, 5)])
def test_an_honest_ceremony_gives_shares_of_the_stated_key(threshold: int, count: int) -> None:
    table = Table(threshold, tuple(f"c{n}" for n in range(count)))
    statement = rounds.conclude(table.session, table.reveals)
    shares = {one: table.receive(one) for one in table.session.ids}
    for one, share in shares.items():
        rounds.check_share(statement, one, share)
    said = signed_bytes(statement)
    signatures = {one: table.keys[one].sign(said) for one in table.session.ids}
    check_statement(Statement.from_json(statement.to_json()), signatures, table.publics)
    quorum = list(range(1, threshold + 1))
    point = oprf.hash_inputs([b"x"])
    parts = [
        (lagrange(j, quorum), group.mult(shares[table.session.ids[j - 1]], point)) for j in quorum
    ]
    whole = group.ZERO
    for secret in table.secrets.values():
        whole = group.scalar_add(whole, secret.coefficients[0])
    assert oprf.combine_each(parts) == group.mult(whole, point)
    assert statement.public == group.base(whole)


def test_who_reveals_something_else_than_it_committed_to_is_named() -> None:
    table = Table()
    other = Table(2, IDS).secrets["bea"]
    shown = rounds.reveal(table.session, "bea", other)  # chosen after seeing the others
    with pytest.raises(CeremonyAborted) as aborted:
        rounds.check_reveal(table.session, table.commits["bea"].digest, shown)
    assert aborted.value.culprit == "bea"


def test_who_cancels_the_others_without_knowing_its_polynomial_is_named() -> None:
    table = Table()
    mine, theirs = group.base(group.small(5)), table.reveals["ann"].commitments[0]
    rogue = group.sub(mine, theirs)
    proof = table.reveals["bea"].proof
    shown = Reveal("bea", (rogue, table.reveals["bea"].commitments[1]), proof)
    with pytest.raises(CeremonyAborted) as aborted:
        rounds.check_reveal(table.session, shown.digest, shown)
    assert aborted.value.culprit == "bea"


def test_a_proof_for_another_ceremony_or_another_seat_is_refused() -> None:
    table = Table()
    again = replace(table.session, attempt=2)
    with pytest.raises(CeremonyAborted):
        rounds.check_reveal(again, table.reveals["ann"].digest, table.reveals["ann"])
    copied = replace(table.reveals["ann"], id="bea")
    with pytest.raises(CeremonyAborted) as aborted:
        rounds.check_reveal(table.session, copied.digest, copied)
    assert aborted.value.culprit == "bea"


def test_a_polynomial_of_another_degree_is_refused() -> None:
    table = Table()
    ann = table.reveals["ann"]
    for points in (ann.commitments[:1], (*ann.commitments, oprf.GENERATOR)):
        longer = replace(ann, commitments=points)
        with pytest.raises(CeremonyAborted) as aborted:
            rounds.check_reveal(table.session, longer.digest, longer)
        assert aborted.value.culprit == "ann"


def test_a_bad_share_names_its_dealer_and_the_complaint_convinces_anybody() -> None:
    table = Table()
    other = Table(2, IDS)
    keys = {one: commit.hpke_public for one, commit in table.commits.items()}
    table.dealt["cyd"] = rounds.deal(table.session, "cyd", other.secrets["cyd"], keys)
    with pytest.raises(CeremonyAborted) as aborted:
        table.receive("ann")
    assert aborted.value.culprit == "cyd"
    assert rounds.judge(table.session, table.complaint("ann", "cyd")).culprit == "cyd"


def test_a_share_that_does_not_open_names_its_dealer() -> None:
    table = Table()
    table.dealt["bea"]["ann"] = os.urandom(80)
    with pytest.raises(CeremonyAborted) as aborted:
        table.receive("ann")
    assert aborted.value.culprit == "bea"


def test_a_false_complaint_names_the_complainer() -> None:
    table = Table()
    complaint = table.complaint("ann", "bea")
    assert rounds.judge(table.session, complaint).culprit == "ann"
    forged = replace(complaint, hpke_private=os.urandom(32))
    assert rounds.judge(table.session, forged).culprit == "ann"
    short = replace(complaint, hpke_private=b"short")
    assert rounds.judge(table.session, short).culprit == "ann"


def test_a_dealer_that_shows_each_judge_a_good_share_is_convicted_by_its_own_signature() -> None:
    table = Table()
    good = table.shares("ann")
    bad = table.shares("ann", {**table.dealt["ann"], "bea": os.urandom(80)})
    complaint = table.complaint("bea", "ann", bad)
    # A judge who fetched nothing, one who was given the good message, one who was given the bad.
    for seen in ([], [good], [bad], [good, table.reveal("ann"), table.commit("bea")]):
        assert rounds.judge(table.session, complaint, seen).culprit == "ann"
    # Two signed messages convict, even when the one that is shown holds.
    harmless = table.complaint("bea", "ann", good)
    verdict = rounds.judge(table.session, harmless, [bad])
    assert (verdict.culprit, "two different" in str(verdict)) == ("ann", True)


def test_a_dealer_cannot_be_framed_with_words_it_never_signed() -> None:
    table = Table()
    made = table.shares("ann", {**table.dealt["ann"], "bea": os.urandom(80)})
    for forged in (
        {**made, "signature": table.shares("ann")["signature"]},
        table.signed("shares", "bea", made["body"]),
        {**table.signed("shares", "bea", made["body"]), "by": "ann"},
        {},
    ):
        complaint = table.complaint("bea", "ann", forged or {"kind": "nothing"})
        assert rounds.judge(table.session, complaint).culprit == "bea"
    # Nor with what it signed in another ceremony.
    old = replace(table.session, attempt=2)
    complaint = table.complaint("bea", "ann", made)
    assert rounds.judge(old, complaint).culprit == "bea"


def test_who_gives_the_dealer_one_key_and_the_judges_another_convicts_itself() -> None:
    table = Table()
    other = table.secrets["cyd"].hpke_private  # any key that is not the one dealt to
    complaint = replace(table.complaint("bea", "ann"), hpke_private=other)
    told_judges = table.commit("bea", table.commits["cyd"].hpke_public)
    for seen in ([], [told_judges]):
        assert rounds.judge(table.session, complaint, seen).culprit == "bea"


def test_a_dealer_that_deals_to_an_invented_key_or_not_at_all_is_named() -> None:
    table = Table()
    honest = table.shares("ann")["body"]
    invented = table.signed("commit", "ann", {"hpke": os.urandom(32).hex(), "leaf": "00"})
    for part, value in (("commits", {"bea": invented}), ("commits", {}), ("shares", {})):
        message = table.signed("shares", "ann", {**honest, part: value})
        complaint = table.complaint("bea", "ann", message)
        assert rounds.judge(table.session, complaint).culprit == "ann"


def test_a_dealer_that_revealed_two_polynomials_is_convicted() -> None:
    table = Table()
    other = rounds.reveal(table.session, "ann", Table(2, IDS).secrets["ann"])
    second = table.signed("reveal", "ann", other.to_json())
    complaint = replace(table.complaint("bea", "ann"), reveal=second)
    for seen in ([], [table.reveal("ann")]):
        assert rounds.judge(table.session, complaint, seen).culprit == "ann"


def test_a_statement_that_contradicts_itself_or_lacks_a_signature_is_refused() -> None:
    table = Table()
    statement = rounds.conclude(table.session, table.reveals)
    said = signed_bytes(statement)
    signatures = {one: table.keys[one].sign(said) for one in IDS}
    check_statement(statement, signatures, table.publics)
    swapped = (statement.shares[1], statement.shares[0], statement.shares[2])
    wrong = [
        replace(statement, shares=swapped),
        replace(statement, purpose="seal"),
        replace(statement, ids=("ann", "ann", "cyd")),
        replace(statement, threshold=1),
        replace(statement, commitments=(group.IDENTITY, statement.commitments[1])),
    ]
    for one in wrong:
        with pytest.raises(StatementRefused):
            check_statement(one, signatures, table.publics)
    with pytest.raises(StatementRefused):
        check_statement(statement, {**signatures, "cyd": signatures["ann"]}, table.publics)
    with pytest.raises(StatementRefused):
        check_statement(statement, {"ann": signatures["ann"]}, table.publics)


def test_the_session_is_named_by_who_for_what_and_which_attempt() -> None:
    session = Table().session
    names = {
        session.sid,
        replace(session, attempt=2).sid,
        replace(session, purpose="seal").sid,
        replace(session, epoch="2027").sid,
        replace(session, threshold=3).sid,
        replace(session, seats=session.seats[:2]).sid,
    }
    assert len(names) == 6


def test_a_secrets_repr_shows_nothing() -> None:
    table = Table()
    shown = repr(table.secrets["ann"])
    assert table.secrets["ann"].coefficients[0].hex() not in shown
    assert str(table.secrets["ann"].coefficients[0]) not in shown


def test_a_proof_of_knowledge_is_bound_to_its_context() -> None:
    secret = group.reduce(hashlib.sha512(b"s").digest())
    proof = knowledge.prove(b"one", secret, group.base(secret))
    knowledge.check(b"one", group.base(secret), proof)
    for context, public, shown in [
        (b"two", group.base(secret), proof),
        (b"one", group.base(group.ONE), proof),
        (b"one", group.base(secret), proof[32:] + proof[:32]),
        (b"one", group.base(secret), proof[:63]),
    ]:
        with pytest.raises(knowledge.ProofRefused):
            knowledge.check(context, public, shown)
