"""The in-memory twin of the mailer's transport, and the one test class that both must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mailer.addresses import envelope, mailbox
from mailer.errors import AddressRefused, LetterRefused
from mailer.transports import Deferred, Failed, InDoubt, Outcome, Sent, Transport

LETTER = b"Subject: x\r\n\r\n.a line that begins with a dot\r\n..two\r\n"
BACK = "r-back@mail.example.org"
ANA = "ana.reyes@example.net"


@dataclass
class MemoryTransport:
    """Keeps what it takes; recipients whose address begins with a digit get that code."""

    taken: list[tuple[str, str, bytes]] = field(default_factory=list)

    def send(self, sender: str, recipient: str, message: bytes, **asked: Any) -> Outcome:
        if not message.count(b"\r\n") == message.count(b"\n") == message.count(b"\r"):
            raise LetterRefused("message", "has a line end that is not CRLF")
        sender, recipient = envelope(sender), mailbox(recipient)
        if recipient[:3] == "000":
            return InDoubt("the connection ended")
        if recipient[0] in "45":
            kind = Deferred if recipient[0] == "4" else Failed
            return kind(int(recipient[:3]), "[address] refused", "rcpt", f"{recipient[0]}.1.1")
        self.taken.append((sender, recipient, message))
        return Sent(f"queued as {len(self.taken)}", str(len(self.taken)))

    def close(self) -> None:
        """Nothing is open."""


class TransportLaws:
    """What holds for every transport. A subclass gives ``transport`` and ``taken`` fixtures."""

    def test_a_letter_arrives_as_it_was_and_its_queue_id_is_known(
        self, transport: Transport, taken: Sequence[tuple[str, str, bytes]]
    ) -> None:
        outcome = transport.send(BACK, ANA, LETTER)
        assert isinstance(outcome, Sent)
        assert outcome.queue_id
        assert list(taken) == [(BACK, ANA, LETTER)]

    def test_one_transport_takes_many_letters_and_survives_a_refusal_and_a_close(
        self, transport: Transport, taken: Sequence[tuple[str, str, bytes]]
    ) -> None:
        for recipient in (ANA, f"550.{ANA}", f"ben.{ANA}"):
            transport.send(BACK, recipient, LETTER)
        transport.close()
        transport.close()
        transport.send(BACK, f"cy.{ANA}", LETTER)
        assert [recipient for _, recipient, _ in taken] == [ANA, f"ben.{ANA}", f"cy.{ANA}"]

    @pytest.mark.parametrize(("code", "kind"), [(450, Deferred), (550, Failed), (0, InDoubt)])
    def test_a_refusal_has_a_name_and_no_address(
        self,
        transport: Transport,
        taken: Sequence[tuple[str, str, bytes]],
        code: int,
        kind: type[Deferred | Failed | InDoubt],
    ) -> None:
        outcome = transport.send(BACK, f"{code:03}.{ANA}", LETTER)
        assert isinstance(outcome, kind)
        assert "ana" not in repr(outcome)
        assert BACK not in repr(outcome)
        if isinstance(outcome, Deferred | Failed):
            assert (outcome.code, outcome.stage) == (code, "rcpt")
            assert outcome.enhanced == f"{code // 100}.1.1"
        assert not taken

    @pytest.mark.parametrize("address", ["", "ana", "a b@c.d", "a@b", "a@b.c>\r\nRCPT TO:<x@y.z"])
    def test_an_address_that_would_break_a_command_is_refused_before_it(
        self, transport: Transport, taken: Sequence[tuple[str, str, bytes]], address: str
    ) -> None:
        for sender, recipient in ((BACK, address), (address, ANA)):
            with pytest.raises(AddressRefused) as refused:
                transport.send(sender, recipient, LETTER)
            assert not address or address not in str(refused.value)
        assert not taken

    @pytest.mark.parametrize("message", [b"a\n.\r\nMAIL FROM:<x@y.z>\r\n", b"a\r", b"a\r\n.\n"])
    def test_a_letter_cannot_smuggle_a_second_one(
        self, transport: Transport, taken: Sequence[tuple[str, str, bytes]], message: bytes
    ) -> None:
        with pytest.raises(LetterRefused):
            transport.send(BACK, ANA, message)
        assert not taken
