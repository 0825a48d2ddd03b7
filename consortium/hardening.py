"""What a process that holds addresses or shares does first: none of its memory reaches a disk.

What Python cannot do is wipe: bytes are copied by the interpreter and freed without being
overwritten. So the promise is one process for one secret, no core dump, no swap; not zeroing.
"""

import ctypes
import resource
from pathlib import Path

PR_SET_DUMPABLE = 4
# From linux/mman.h: what is mapped now, what will be, and only pages that are in use.
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4


def no_core_dumps() -> None:
    """Forbid core dumps and, on Linux, other processes' looks into this one (prctl(2))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = _libc("prctl")
    if prctl is not None:
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def no_swap() -> bool:
    """Keep this process's memory out of the swap (mlockall(2)); whether that holds.

    It needs ``LimitMEMLOCK=infinity`` or CAP_IPC_LOCK. A machine without swap needs nothing.
    """
    mlockall = _libc("mlockall")
    if mlockall is not None and mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0:
        return True
    swaps = Path("/proc/swaps")
    return swaps.exists() and len(swaps.read_text().splitlines()) <= 1


def _libc(name: str) -> "ctypes._FuncPointer | None":
    # This process's own symbols: looking the library up would start a compiler or ldconfig.
    return getattr(ctypes.CDLL(None), name, None)
