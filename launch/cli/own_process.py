"""A command line of ours in a process of its own: a seed of an experiment of several, or a run of a campaign.

It leaves the last words to the process that started it, and saves and stops when that one is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence

from lukasa.launch.cli import command as cli
from lukasa.launch.training.beginning import part_of_several


def main(argv: Sequence[str]) -> int:
    """Run a command line of ``lukasa``; returns its exit code."""
    threading.Thread(target=_stop_without_parent, name="parent", daemon=True).start()
    with part_of_several():
        return cli.main(argv)


def _stop_without_parent() -> None:
    """Wait for the end of the input, which the parent holds open while it lives."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
