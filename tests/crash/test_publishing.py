"""The power goes between any two operations of publishing: nothing promised is lost or changed."""

import copy
from pathlib import Path
from zlib import crc32

import pytest

from provenance.audit import audit
from provenance.backend import FolderBackend
from provenance.checkpoint import read_checkpoint
from provenance.errors import WitnessRefused
from provenance.merkle import tree_root, tree_root_at
from provenance.note import parse_note
from provenance.sequencer import ProofFor, Sequencer
from provenance.tiles import WIDTH, TileReader
from provenance.witness import AddCheckpoint, Known, check_request, cosign, readable
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, made
from tests.fakes.power import ForgetfulDisk, Kept, Power, PowerCut, PoweredLock

ENTRIES = [made("union", "contribution", kind="x", n=n).entry for n in range(262)]
ROOT = Path("/log")


class Witnesses:
    """Two honest witnesses with one memory: neither ever signs a second history."""

    def __init__(self) -> None:
        self.known = Known((LOG.verifier,))
        self.away = False

    def __call__(self, note: bytes, proof_for: ProofFor) -> list[bytes]:
        if self.away:
            return []
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

    def restart(self, names: Kept, data: Kept, left: int = 1 << 30) -> None:
        self.power = Power(left)
        self.disk = self.disk.restart(self.power, names=names, data=data)
        self.lock.power = self.power

    def read(self, path: str) -> bytes | None:
        return self.disk.read(ROOT / path)

    def list(self) -> list[str]:
        return [path.relative_to(ROOT).as_posix() for path in self.disk.files(ROOT)]


def prepared(first: int, unseen: int = 0) -> Machine:
    """A log with some entries published, and some after them promised without a quorum."""
    machine = Machine()
    log = machine.start()
    log.recover()
    if first:
        log.append(ENTRIES[:first], NOON)
    if unseen:
        machine.witnesses.away = True
        log.append(ENTRIES[first : first + unseen], NOON)
        machine.witnesses.away = False
    return machine


def operations(first: int, then: int, unseen: int = 0) -> int:
    """How many operations a restart and an append take when nothing goes wrong."""
    machine = prepared(first, unseen)
    first += unseen
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
    reader = TileReader(machine.read, tree.size)
    bundles = range(-(-tree.size // WIDTH))
    assert [one for n in bundles for one in reader.entries(n)] == ENTRIES[: tree.size]
    assert list(log.append(ENTRIES[tree.size : tree.size + 1], NOON)) == [tree.size]
    assert log.published().size == tree.size + 1  # honest witnesses agree: there was no fork
    audit(machine, POLICY, old=shown)
    assert list(machine.backend.stages()) == []
    assert not [path for path in machine.disk.now if path.name.startswith(".tmp")]
    full = {path for path in machine.list() if ".p/" not in path}
    assert not [path for path in machine.list() if path.partition(".p/")[0] in full - {path}]


def some(left: int) -> Kept:
    """Keep about every other one of what was not synced; others for every cut."""
    return lambda path: bool(crc32(f"{left} {path}".encode()) & 1)


KEPT = {"kept": True, "dropped": False, "some": None}


def cut_at_each(
    cuts: slice, first: int, unseen: int, then: int, names: bool | None, data: bool
) -> None:
    """Cut the power before each of these operations; then look at what came of it."""
    ready = prepared(first, unseen)
    total = operations(first, then, unseen)
    assert total > 20
    ends, before = set(), ready.lock.load(LOG.verifier.name)
    for left in range(total)[cuts]:
        machine = copy.deepcopy(ready)
        machine.power.left = left
        machine.lock.power = machine.disk.power = machine.power
        with pytest.raises(PowerCut):
            work(machine, first + unseen, then)
        kept = some(left) if names is None else names
        shown = machine.read("checkpoint") if names else ready.read("checkpoint")
        ends.add(machine.lock.load(LOG.verifier.name) != before)
        machine.restart(kept, data)
        check(machine, first + unseen, shown)
    assert ends == {True, False}  # some cuts came before the commit point, some after


every_way = pytest.mark.parametrize("data", [True, False], ids=["bytes kept", "bytes torn"])
every_name = pytest.mark.parametrize("names", KEPT.values(), ids=[f"names {one}" for one in KEPT])


@every_way
@every_name
@pytest.mark.parametrize(("first", "then"), [(0, 2), (2, 1)])
def test_a_power_cut_anywhere_loses_no_promise_and_forks_nothing(
    first: int, then: int, names: bool | None, data: bool
) -> None:
    cut_at_each(slice(None), first, 0, then, names, data)


@pytest.mark.parametrize(("first", "unseen", "then"), [(254, 0, 3), (250, 5, 2)])
def test_a_power_cut_where_tiles_become_full_or_witnesses_were_away_does_no_more(
    first: int, unseen: int, then: int
) -> None:
    cut_at_each(slice(first % 3, None, 5), first, unseen, then, None, False)


@pytest.mark.soak
@every_way
@every_name
@pytest.mark.parametrize(("first", "unseen", "then"), [(254, 0, 3), (250, 5, 2), (0, 2, 258)])
def test_a_power_cut_anywhere_there_does_no_more(
    first: int, unseen: int, then: int, names: bool | None, data: bool
) -> None:
    cut_at_each(slice(None), first, unseen, then, names, data)


@pytest.mark.parametrize("names", KEPT.values(), ids=[f"names {one}" for one in KEPT])
def test_a_power_cut_while_partial_tiles_are_deleted_leaves_a_log_that_any_reader_can_follow(
    names: bool | None,
) -> None:
    old: dict[int, bytes] = {}
    ready = prepared(0)
    log = ready.start()
    for size in (250, 252, 254, 255):
        log.append(ENTRIES[log.committed().size : size], NOON)
        note = ready.read("checkpoint")
        assert note is not None
        old[size] = note
    total = ready.power.used
    whole = copy.deepcopy(ready)
    work(whole, 255, 4)
    total = whole.power.used - total
    seen = set()
    for left in range(total - 25, total):
        machine = copy.deepcopy(ready)
        machine.power.left = left
        machine.lock.power = machine.disk.power = machine.power
        with pytest.raises(PowerCut):
            work(machine, 255, 4)
        machine.restart(some(left) if names is None else names, False)
        seen.add(sum(path.startswith("tile/entries/000.p/") for path in machine.list()))
        for size, note in old.items():  # a reader who keeps an older checkpoint
            tree = read_checkpoint(note)[0]
            reader = TileReader(machine.read, size)
            assert tree_root_at(size, reader.node) == tree.root
            assert list(reader.entries(0)) == ENTRIES[:size]
        check(machine, 255, old[255])
    assert seen >= ({0, 4} if names is False else {0, 3, 4}), "the deletion was cut, too"


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
