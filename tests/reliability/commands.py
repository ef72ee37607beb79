"""Command lines in processes of their own, which begin at once: they are forked from one that has loaded everything."""

import itertools
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTEXT: Any = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.reliability.preloaded"])
DAY = 86_400.0
PROMPT = {"RAY_worker_niceness": "0"}
"""Ray's workers give way to all that runs beside them, and take minutes to begin on a busy machine."""


@dataclass(frozen=True)
class Harm:
    """What is done to a process while it works.

    Attributes:
        kill_at: it is killed before its Nth change of a file in the folder; None for never.
        largest_file: in bytes, beyond which a file cannot grow; None for no limit.
        clock: seconds that the clock is set on or back by at each look, one after the other, over and over.
    """

    kill_at: int | None = None
    largest_file: int | None = None
    clock: tuple[float, ...] = ()


@dataclass
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code, negative where a signal killed it.
        told: what it printed.
        changes: how many times it opened, renamed or removed a file in the folder, where it was not killed.
    """

    code: int
    told: str
    changes: int = 0

    @property
    def sentence(self) -> str:
        """The one sentence of a command that failed."""
        said = [line for line in self.told.splitlines() if line.startswith("lukasa: ")]
        assert "Traceback" not in self.told, self.told
        assert len(said) == 1, self.told
        return said[0]


@dataclass
class Command:
    """A command line at work.

    Attributes:
        words: after ``lukasa``.
        folder: whose changes are counted; what is printed goes to a file beside it.
        harm: that is done to it.
        alone: whether it begins as everybody's does, with Ray for example, rather than by a fork.
    """

    words: list[str]
    folder: Path
    harm: Harm = field(default_factory=Harm)
    alone: bool = False

    def __post_init__(self):
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.folder.with_name(f"{self.folder.name}.{time.monotonic_ns()}.log")
        self._changes = CONTEXT.Value("i", 0)
        if self.alone:
            start = [sys.executable, "-m", "lukasa.launch", *self.words]
            with open(self._log, "wb") as log:
                self._process: Any = subprocess.Popen(
                    start, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **PROMPT}
                )
            return
        here = (self.words, str(self.folder), self.harm, str(self._log), self._changes)
        self._process = CONTEXT.Process(target=_work, args=here)
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def runs(self) -> bool:
        """Whether it is still at work."""
        return self._code() is None

    def has_said(self, word: str) -> bool:
        """Whether it has printed something."""
        return self._log.exists() and word in self._log.read_text(errors="replace")

    def kill(self):
        """End it as the system does that is out of memory."""
        self._process.kill()

    def stop(self):
        """Ask it to end."""
        self._process.terminate()

    def wait(self, seconds: float = 300) -> Ended:
        """How it ended."""
        end = time.monotonic() + seconds
        while self._code() is None:
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(f"{self.words} hangs: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        told = self._log.read_text(errors="replace")
        self._log.unlink()
        code = self._code()
        assert code is not None
        return Ended(code, told, self._changes.value)

    def _code(self) -> int | None:
        return self._process.poll() if self.alone else self._process.exitcode


def run(words: list[str], folder: Path, harm: Harm | None = None, *, alone: bool = False) -> Ended:
    """Run a command line to its end."""
    return Command(words, folder, harm or Harm(), alone).wait()


def _work(words: list[str], folder: str, harm: Harm, log: str, changes: Any) -> None:
    """In the process: do the harm, run the command, end as the command line does."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    code = 1
    try:
        if harm.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (harm.largest_file, resource.RLIM_INFINITY))
        if harm.clock:
            _turn_clock(harm.clock)
        _count_changes(folder, harm.kill_at, changes)
        from lukasa.launch.cli import main

        code = main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _turn_clock(jumps: tuple[float, ...]) -> None:
    own, own_ns, offsets = time.time, time.time_ns, itertools.cycle(jumps)
    time.time = lambda: own() + next(offsets)
    time.time_ns = lambda: own_ns() + int(1e9 * next(offsets))


def _count_changes(folder: str, kill_at: int | None, changes: Any) -> None:
    """Count what changes files of a folder, and end without a word before a change of a number."""
    kinds = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
    number = itertools.count(1)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in kinds or not str(arguments[0]).startswith(folder):
            return
        if event == "open" and not _writes(arguments):
            return
        changes.value = next(number)
        if changes.value == kill_at:
            os.kill(os.getpid(), 9)

    sys.addaudithook(hear)


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    return (
        any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & (os.O_WRONLY | os.O_RDWR))
    )
