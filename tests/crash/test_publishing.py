"""The power goes between any two operations of publishing: nothing promised is lost or changed."""

import copy
from pathlib import Path

import pytest

from provenance.audit import audit
from provenance.backend import FolderBackend
from provenance.checkpoint import read_checkpoint
from provenance.errors import WitnessRefused
from provenance.merkle import tree_root
from provenance.note import parse_note
from provenance.sequencer import ProofFor, Sequencer
from provenance.witness import AddCheckpoint, Known, check_request, cosign, readable
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, made
from tests.fakes.log import entry_at
from tests.fakes.power import ForgetfulDisk, Power, PowerCut, PoweredLock

ENTRIES = [made("union", "contribution", kind="x", n=n).entry for n in range(262)]
ROOT = Path("/log")


class Witnesses:
    """Two honest witnesses with one memory: neither ever signs a second history."""

    def __init__(self) -> None:
        self.known = Known((LOG.verifier,))

    def __call__(self, note: bytes, proof_for: ProofFor) -> list[bytes]:
        try:
            proof = tuple(proof_for(self.known.size))
            body = AddCheckpoint(self.known.size, proof, note).to_bytes()
            request, checkpoint = readable(body)
            check_request(request, checkpoint, self.known)
        except WitnessRefused:
            return []
        self.known = Known(self.known.logs, checkpoint.size, checkpoint.root)
        text = parse_note(note).text
        return [cosign(text, one, int(NOON.timestamp())).to_line() for one in WITNESSES[:2]]


class Machine:
    """One log on one disk; what is outside of the machine survives it."""

    def __init__(self) -> None:
        self.power = Power()
        self.disk = ForgetfulDisk(self.power)
        self.lock = PoweredLock(self.power)
        self.witnesses = Witnesses()

    def start(self) -> Sequencer:
        self.backend = FolderBackend(ROOT, disk=self.disk)
        return Sequencer(self.backend, self.lock, LOG, POLICY, self.witnesses)

    def restart(self, names: bool, data: bool, left: int = 1 << 30) -> None:
        self.power = Power(left)
        self.disk = self.disk.restart(self.power, names=names, data=data)
        self.lock.power = self.power

    def read(self, path: str) -> bytes | None:
        return self.disk.read(ROOT / path)

    def list(self) -> list[str]:
        return [path.relative_to(ROOT).as_posix() for path in self.disk.files(ROOT)]


def prepared(first: int) -> Machine:
    machine = Machine()
    log = machine.start()
    log.recover()
    if first:
        log.append(ENTRIES[:first], NOON)
    return machine


def operations(first: int, then: int) -> int:
    """How many operations a restart and an append take when nothing goes wrong."""
    machine = prepared(first)
    before = machine.power.used
    work(machine, first, then)
    return machine.power.used - before


def work(machine: Machine, first: int, then: int) -> None:
    """Start the log again and append the next entries."""
    log = machine.start()
    log.recover()
    log.append(ENTRIES[first : first + then], NOON)


def check(machine: Machine, promised: int, shown: bytes | None) -> None:
    """After a restart: all that was promised is there, and life goes on in the same history."""
    log = machine.start()
    tree = log.recover()
    assert tree.size >= promised
    assert tree.root == tree_root(ENTRIES[: tree.size])
    assert tree.size >= machine.witnesses.known.size
    for index in range(promised):
        assert entry_at(machine.backend, index, tree.size) == ENTRIES[index]
    assert list(log.append(ENTRIES[tree.size : tree.size + 1], NOON)) == [tree.size]
    assert log.published().size == tree.size + 1  # honest witnesses agree: there was no fork
    audit(machine, POLICY, old=shown)
    assert list(machine.backend.stages()) == []


@pytest.mark.parametrize("data", [True, False], ids=["bytes kept", "bytes torn"])
@pytest.mark.parametrize("names", [True, False], ids=["names kept", "names dropped"])
@pytest.mark.parametrize(("first", "then"), [(0, 2), (2, 1), (254, 3)])
def test_a_power_cut_anywhere_loses_no_promise_and_forks_nothing(
    first: int, then: int, names: bool, data: bool
) -> None:
    ready = prepared(first)
    total = operations(first, then)
    assert total > 20
    ends = set()
    for left in range(total):
        machine = copy.deepcopy(ready)
        machine.power.left = left
        machine.lock.power = machine.disk.power = machine.power
        with pytest.raises(PowerCut):
            work(machine, first, then)
        shown = machine.read("checkpoint") if names else ready.read("checkpoint")
        ends.add(machine.lock.load(LOG.verifier.name) is not None)
        machine.restart(names, data)
        check(machine, first, shown)
    assert first or ends == {True, False}  # some cuts came before the commit point, some after


@pytest.mark.parametrize("names", [True, False], ids=["names kept", "names dropped"])
def test_the_power_may_go_again_while_the_log_recovers(names: bool) -> None:
    ready = prepared(2)
    for left in range(8, operations(2, 1), 3):
        once = copy.deepcopy(ready)
        once.power.left = left
        once.lock.power = once.disk.power = once.power
        with pytest.raises(PowerCut):
            work(once, 2, 1)
        for again in range(0, 40, 6):
            machine = copy.deepcopy(once)
            machine.restart(names, False, left=again)
            try:
                log = machine.start()
                log.recover()
                log.publish(NOON)
            except PowerCut:
                machine.restart(not names, False)
            machine.power.left = 1 << 30
            check(machine, 2, ready.read("checkpoint"))


def test_what_a_caller_was_told_is_published_or_promised() -> None:
    machine = prepared(2)
    log = machine.start()
    log.recover()
    log.append(ENTRIES[2:5], NOON)
    machine.restart(names=False, data=False)
    log = machine.start()
    assert log.recover().size == log.published().size == 5
    note = machine.read("checkpoint")
    assert note is not None
    assert read_checkpoint(note)[0].root == tree_root(ENTRIES[:5])
