"""What is left when training fails: one sentence, a traceback in a file, and a run that can go on or no run at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.launch.runs.checkpoints import last_good, list_checkpoints
from lukasa.launch.runs.directory import Run

TRACE_FILE = "failure.txt"
"""In a run directory: the traceback of what ended it last."""


@contextmanager
def gone_unless_begun(run: Run) -> Iterator[None]:
    """Remove a new run that fails, or is interrupted, before its first checkpoint: nobody could use its folder.

    Args:
        run: that was made just now.
    """
    try:
        yield
    except BaseException:
        if not list_checkpoints(run.checkpoints):
            shutil.rmtree(run.path, ignore_errors=True)
        raise


@contextmanager
def in_one_sentence(run: Run, *, is_new: bool) -> Iterator[None]:
    """Turn whatever training raises into one sentence for people; the traceback goes to a file that it names.

    Args:
        run: that is trained.
        is_new: whether ``gone_unless_begun`` watches it.

    Raises:
        TrainingError: training failed.
        UserError: as it was raised, and the other errors whose message is for users.
    """
    try:
        yield
    except TrainingError as error:
        said = str(error) + _no_run_left(run, is_new)
        raise TrainingError(said + _keep_trace(run, error.__cause__, is_new)) from error.__cause__
    except Exception as error:
        if isinstance(error, UserError):
            raise
        left = last_good(run.checkpoints) + _no_run_left(run, is_new)
        raise TrainingError(f"{sentence(error)}; {left}{_keep_trace(run, error, is_new)}") from error


def sentence(error: BaseException) -> str:
    """What an error that nobody foresaw says, without line breaks.

    Example:
        >>> sentence(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
        'out of memory (CUDA out of memory. Tried to allocate 2 GiB): take smaller batches or a smaller memory'
        >>> sentence(KeyError("reward"))
        "KeyError: 'reward'"
    """
    said = " ".join(str(error).split())
    if hasattr(error, "trace"):  # one of ours that came from elsewhere with its own sentence
        return said
    if isinstance(error, MemoryError) or "out of memory" in said.lower() or "not enough memory" in said.lower():
        return f"out of memory{f' ({said})' if said else ''}: take smaller batches or a smaller memory"
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}"
    return f"{type(error).__name__}{': ' if said else ''}{said}"


def _no_run_left(run: Run, is_new: bool) -> str:
    return ", so that no run directory is left" if is_new and not list_checkpoints(run.checkpoints) else ""


def _keep_trace(run: Run, error: BaseException | None, is_new: bool) -> str:
    """Write the traceback of an error, where there is one; the end of a message that names the file."""
    if error is None:
        return ""
    trace = getattr(error, "trace", "") or "".join(traceback.format_exception(error))
    try:
        file = _temporary() if _no_run_left(run, is_new) else run.path / TRACE_FILE
        file.write_text(trace)
    except OSError:
        return ""
    return f" (traceback: {file})"


def _temporary() -> Path:
    handle, name = tempfile.mkstemp(prefix="lukasa-failure-", suffix=".txt")
    os.close(handle)
    return Path(name)
