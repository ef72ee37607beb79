"""Environments that fail: what they said, and where."""

from __future__ import annotations

import traceback
from pathlib import Path


class EnvironmentFailedError(RuntimeError):
    """An environment raised an error, or gave what is no number.

    Attributes:
        message: one sentence with the environment's own message.
        trace: the traceback of its error; empty where it raised none.
    """

    def __init__(self, message: str, trace: str = ""):
        super().__init__(message, trace)
        self.message, self.trace = message, trace

    def __str__(self) -> str:
        return self.message


def failure_of(name: str, doing: str, error: BaseException) -> EnvironmentFailedError:
    """What became of an environment, for people.

    Args:
        name: of the environment.
        doing: what it was asked to do: "reset", "step", "its constructor".
        error: what it raised.
    """
    said = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    message = f"environment {name!r} failed in {doing}: {type(error).__name__}{': ' if said else ''}{said}{where}"
    return EnvironmentFailedError(message, "".join(traceback.format_exception(error)))
