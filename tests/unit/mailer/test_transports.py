"""The in-memory transport obeys the laws of transports."""

import pytest

from tests.fakes.transports import MemoryTransport, TransportLaws


@pytest.fixture
def transport() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def taken(transport: MemoryTransport) -> list[tuple[str, str, bytes]]:
    return transport.taken


class TestMemoryTransport(TransportLaws):
    """Memory."""
