"""Speed over the last seconds, for what comes in bursts."""

from __future__ import annotations

from collections import deque


class Rate:
    """How many a second, over a window that always reaches back to some progress.

    Asynchronous algorithms have iterations in which nothing arrives: their speed is no 0.

    Args:
        done: how many there are at first.
        seconds: when.
        window: seconds that are looked back at least; 0 for the last step of the count alone.

    Example:
        >>> rate = Rate(0, 0.0, window=10)
        >>> rate.update(0, 1.0), rate.update(300, 2.0), rate.update(300, 3.0)
        (None, 150.0, 100.0)
    """

    def __init__(self, done: int, seconds: float, window: float):
        self._points = deque([(seconds, done)])
        self._window = window

    def update(self, done: int, seconds: float) -> float | None:
        """Take note of how many there are at a time; the rate by then, None before the first has come.

        Args:
            done: how many there are; never fewer than before.
            seconds: when; later than before.
        """
        self._points.append((seconds, done))
        while len(self._points) > 2 and self._points[1][0] <= seconds - self._window and self._points[1][1] < done:
            self._points.popleft()
        then, before = self._points[0]
        return round((done - before) / max(seconds - then, 1e-9), 1) if done > before else None
