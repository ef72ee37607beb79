"""``lukasa train`` on the cluster whose head this machine is.

``ray submit launch/cluster.yaml launch/train.py -- rl repeat_previous_ntm --workers 16`` copies this file to the head
and runs it there; ``python ~/lukasa/launch/train.py rl ...`` does the same within ``ray job submit``. It joins the head
at this machine's own address, never at one that happens to be found.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

PORT = "6379"


def main(argv: Sequence[str]) -> int:
    """Train with the options of ``lukasa train``; returns the exit code."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when Ray is imported
    # Python looks for modules beside a program first, and the folder ``ray`` there is not Ray.
    sys.path[:] = [path for path in sys.path if not path or Path(path).resolve() != Path(__file__).resolve().parent]
    from lukasa.launch.cli import command as cli

    return cli.main(["train", *with_address(argv)])


def with_address(argv: Sequence[str]) -> list[str]:
    """The words of a command line, on Ray and at this machine's address where they name no other.

    The port is ``LUKASA_PORT``, 6379 by default.
    """
    words = list(argv)
    if "--ray" not in words:
        words.append("--ray")
    if not any(word.partition("=")[0] == "--address" for word in words):
        from ray.util import get_node_ip_address

        words += ["--address", f"{get_node_ip_address()}:{os.environ.get('LUKASA_PORT') or PORT}"]
    return words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
