"""Every actor of a demonstration as its own process, with its own folder, and how to end them."""

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

TRELLIS = (sys.executable, "-m", "consortium.cli.main")
# From linux/prctl.h: the signal that a process gets when its parent ends.
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Fell(Exception):
    """A process ended that should have gone on, or a command failed; says where its words are."""


_HELD: deque[socket.socket] = deque(maxlen=2000)
"""Ports that were handed out; the oldest are let go."""


@atexit.register
def _let_go() -> None:
    for one in _HELD:
        one.close()


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody has, each handed out once.

    They stay bound here, so that no outgoing connection is lent one before its server takes it;
    every server here listens with SO_REUSEADDR, which a port that is bound and not listened on
    does not stand in the way of.
    """
    found = []
    for _ in range(count):
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after: else two had the same
        _HELD.append(one)
        found.append(int(one.getsockname()[1]))
    return found


class Cast:
    """Starts processes, runs commands, ends what it started by pid."""

    def __init__(self) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._words: dict[str, Path] = {}

    def start(self, name: str, *args: str | Path, log: Path, port: int | None = None) -> None:
        """Start a process and wait until it listens on ``port``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as words:
            self.running[name] = subprocess.Popen(
                [*TRELLIS, *map(str, args)],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=_environment(),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._words[name] = log
        if port is not None:
            self.wait(name, port)

    def wait(self, name: str, port: int, patience: float = 240.0) -> None:
        """Wait until a started process listens."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self.check()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
                return
            time.sleep(0.05)
        raise Fell(f"{name} does not answer; its words are in {self._words[name]}")

    def check(self) -> None:
        """Raise if any process has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise Fell(f"{name} ended ({process.returncode}); see {self._words[name]}")

    def do(self, *args: str | Path, log: Path, allowed: Sequence[int] = (0,)) -> str:
        """Run one command to its end and return what it printed; its words also go to ``log``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [*TRELLIS, *map(str, args)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            preexec_fn=_end_with_parent,
            check=False,
        )
        with log.open("ab") as words:
            words.write(done.stdout + done.stderr)
        if done.returncode not in allowed:
            last = (done.stderr or done.stdout).decode(errors="replace").strip()
            words_of = " ".join(str(arg) for arg in args[:2])
            raise Fell(f"trellis {words_of} failed ({done.returncode}): {last[-600:]}")
        return done.stdout.decode()

    def both(
        self,
        commands: Sequence[tuple[Sequence[str | Path], Path]],
        done: Callable[[int], None] = lambda number: None,
    ) -> None:
        """Run commands side by side, each with a log of its own, and wait for all of them.

        Args:
            done: called with the number of each command that ended well.
        """
        running = []
        for command, log in commands:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as words:
                running.append(
                    subprocess.Popen(
                        [*TRELLIS, *map(str, command)],
                        stdin=subprocess.DEVNULL,
                        stdout=words,
                        stderr=words,
                        env=_environment(),
                        preexec_fn=_end_with_parent,
                    )
                )
        codes = [process.wait() for process in running]
        for number, code in enumerate(codes):
            if not code:
                done(number)
        for (command, log), code in zip(commands, codes, strict=True):
            if code:
                raise Fell(f"trellis {' '.join(map(str, command[:2]))} failed ({code}); see {log}")

    def end(self, *names: str) -> None:
        """End some processes, or all, politely and then not."""
        chosen = names or tuple(reversed(self.running))
        for name in chosen:
            process = self.running.get(name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for name in chosen:
            process = self.running.pop(name, None)
            if process is None:
                continue
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_with_parent() -> None:
    """Die when the demo is killed outright, so that its next start finds every port free.

    Every actor is safe to kill at any instant. Elsewhere than on Linux this does nothing.
    """
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRELLIS_")}
    # Warnings of a worker that runs as root would frighten whoever reads its log.
    return {**kept, "PYTHONWARNINGS": "ignore", "C_FORCE_ROOT": "1"}
