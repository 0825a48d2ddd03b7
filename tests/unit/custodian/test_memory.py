"""What a process with shares does first: nothing of its memory may reach a disk."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
import ctypes, json, resource
from pathlib import Path
from consortium import hardening
libc = ctypes.CDLL(None)
def shown():
    locked = [one for one in Path("/proc/self/status").read_text().splitlines() if "VmLck" in one]
    return {
        "dumpable": libc.prctl(3, 0, 0, 0, 0),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "locked": int(locked[0].split()[1]),
    }
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
if hard:  # a test before us may have forbidden dumps to itself and its children for good
    resource.setrlimit(resource.RLIMIT_CORE, (4096, hard))
before = {**shown(), "may": hard != 0}
hardening.no_core_dumps()
held = hardening.no_swap()
print(json.dumps([before, shown(), held]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl and mlockall are Linux's")
def test_no_core_dump_no_debugger_and_no_swap_where_the_system_lets_it() -> None:
    ran = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    before, after, held = json.loads(ran.stdout)
    # So that the next line can fail.
    assert (before["dumpable"], before["core"]) == (1, 4096 if before["may"] else 0)
    assert (after["dumpable"], after["core"]) == (0, 0)
    assert before["locked"] == 0
    if after["locked"] == 0:  # no right to lock here: then it says so, unless there is no swap
        swaps = Path("/proc/swaps").read_text().splitlines()
        assert held is (len(swaps) <= 1)
    else:
        assert held


def test_serving_and_every_ceremony_begin_with_it() -> None:
    from consortium.custodian import process

    names = process.build.__code__.co_names
    assert names.index("no_core_dumps") < names.index("opened")  # before a passphrase is asked for
    assert "no_swap" in process.serve.__code__.co_names
    assert "build" in process.take_part.__code__.co_names
