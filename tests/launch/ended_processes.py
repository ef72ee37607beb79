"""Processes of our own that run here, one after the other, where that they are processes is not the point.

Those of ``lukasa train --seeds`` and of campaigns import torch each, which takes longer than all they do in a test.
tests/launch/test_several_seeds.py and one test of campaigns start real ones.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import IO
from unittest import mock

from lukasa.launch.cli import main
from lukasa.launch.training.beginning import part_of_several


class Ended:
    """What is left of a process that has ended."""

    def __init__(self, code: int, stdout: IO[str], stderr: IO[str]):
        self.returncode, self.stdout, self.stderr = code, stdout, stderr

    def poll(self) -> int:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        return self.returncode

    def terminate(self) -> None:
        """It cannot hear it."""


def run_here(words: Sequence[str], *, out: int | IO[str], err: int | IO[str], threads: int = 1) -> Ended:
    """Run a command line to its end, with the arguments of ``start_own``."""
    streams = [io.StringIO() if isinstance(one, int) else one for one in (out, err)]
    assert {one for one in (out, err) if isinstance(one, int)} <= {subprocess.PIPE}
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), part_of_several():
        code = main(words)
    for stream, asked in zip(streams, (out, err), strict=True):
        stream.seek(0) if isinstance(asked, int) else stream.flush()
    return Ended(code, *streams)


@contextmanager
def own_processes_here() -> Iterator[None]:
    """Have seeds and campaigns run their command lines in this process."""
    with (
        mock.patch("lukasa.launch.training.seeds.start_own", run_here),
        mock.patch("lukasa.launch.campaigns.jobs.start_own", run_here),
    ):
        yield
