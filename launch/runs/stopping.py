"""Ctrl-C and SIGTERM as a wish to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol


class Wish(Protocol):
    """Whether somebody asked to stop."""

    @property
    def signal(self) -> int | None:
        """The signal that said so, None while nobody has."""
        ...


@dataclass
class Stop:
    """Whether the user asked to stop."""

    signal: int | None = field(default=None)


@contextmanager
def stop_on_signals(finishes: str = "iteration") -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a wish to stop; a second SIGINT stops at once.

    Where Ray is used, entered after it has started: it installs a handler of its own.

    Args:
        finishes: what is finished before the run is saved.
    """
    stop = Stop()

    def wish(number: int, frame: FrameType | None) -> None:
        if stop.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.signal = number
        print(f"stopping: saves after this {finishes} (ctrl-C again: stops at once, without saving)", file=sys.stderr)

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
