"""A DNS server of our own on loopback, UDP and TCP: a zone as a table, and names that misbehave."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone = dict[tuple[str, str], list[str]]
"""Records by name and kind, as a zone file writes their values."""
UDP_BYTES = 1232


class DnsServer:
    """Answers from ``zone``; names in ``failing`` get SERVFAIL, those in ``silent`` nothing."""

    def __init__(self) -> None:
        self.zone: Zone = {}
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []
        self.address = ""

    def set(self, name: str, kind: str, *values: str) -> None:
        self.zone[name, kind] = list(values)

    def txt(self, name: str, *texts: str) -> None:
        """TXT records, each cut into strings of 255 as it must be."""
        cut = [[t[at : at + 255] for at in range(0, len(t), 255)] or [""] for t in texts]
        self.set(name, "TXT", *(" ".join(f'"{part}"' for part in parts) for parts in cut))

    def answer(self, wire: bytes, how: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        asked = query.question[0]
        name, kind = (
            asked.name.to_text(omit_final_dot=True).lower(),
            dns.rdatatype.to_text(asked.rdtype),
        )
        self.asked.append((name, kind, how))
        if name in self.silent:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        if name in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        self._fill(reply, name, kind)
        made = reply.to_wire(max_size=65535)
        if how == "udp" and len(made) > UDP_BYTES:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return short.to_wire()
        return made

    def _fill(self, reply: dns.message.Message, name: str, kind: str) -> None:
        known = {known for known, _ in self.zone}
        if name not in known:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        while alias := self.zone.get((name, "CNAME")):
            reply.answer.append(_set(name, "CNAME", alias))
            name = alias[0].rstrip(".").lower()
        if found := self.zone.get((name, kind)):
            reply.answer.append(_set(name, kind, found))


def _set(name: str, kind: str, values: list[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(f"{name}.", 60, "IN", kind, values)


@contextmanager
def served() -> Iterator[DnsServer]:
    """Run one for the length of a ``with``."""
    server = DnsServer()

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, line = self.request
            if made := server.answer(wire, "udp"):
                line.sendto(made, self.client_address)

    class Tcp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            size = self.request.recv(2, socket.MSG_WAITALL)
            wire = self.request.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL)
            if made := server.answer(wire, "tcp"):
                self.request.sendall(struct.pack("!H", len(made)) + made)

    # TCP first: whoever has a port there has it for UDP too, on a machine that is not full.
    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tcp) as tcp,
        socketserver.ThreadingUDPServer(tcp.server_address, Udp) as udp,
    ):
        server.address = f"127.0.0.1:{tcp.server_address[1]}"
        both = (tcp, udp)
        threads = [threading.Thread(target=one.serve_forever, args=(0.01,)) for one in both]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            for one in both:
                one.shutdown()
            for thread in threads:
                thread.join()
