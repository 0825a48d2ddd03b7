"""What a process that holds addresses does first: nothing of its memory reaches a disk."""

import ctypes
import ctypes.util
import resource

PR_SET_DUMPABLE = 4


def no_core_dumps() -> None:
    """Forbid core dumps and, on Linux, other processes' looks into this one (prctl(2))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    name = ctypes.util.find_library("c")
    if name is not None:
        library = ctypes.CDLL(name, use_errno=True)
        if hasattr(library, "prctl"):
            library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
