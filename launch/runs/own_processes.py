"""Command lines of ours that run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

STOPPED_CODES = (130, 143, -2, -15)
"""Exit codes of a process that was asked to stop, and saved."""


def start_own(
    words: Sequence[str], *, out: int | IO[str], err: int | IO[str], threads: int = 1
) -> subprocess.Popen[str]:
    """Start a command line of ``lukasa`` in a process of its own, which saves and ends when this one is gone.

    Ctrl-C reaches this process alone, which passes on what it likes.

    Args:
        words: after ``lukasa``.
        out: where its results go: a file, or ``subprocess.PIPE``.
        err: where its progress goes.
        threads: that libraries may use; more than there are cores for would spin, waiting.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "lukasa.launch.cli.own_process", *words],
        stdin=subprocess.PIPE,  # open while this process lives
        stdout=out,
        stderr=err,
        text=True,
        errors="replace",
        env={"OMP_NUM_THREADS": str(threads), **os.environ},
        start_new_session=True,
    )
