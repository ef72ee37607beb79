"""Events for TensorBoard, written by the process that measures, which so hears what the disk says.

tensorboardX's own writer is a thread: on a full disk it ends with a traceback, and whoever measures then waits for it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARK = ".tfevents."
"""In the name of a file of events, before the second it was begun in."""
VERSION = "brain.Event:2"
"""Of the format, which the first event of a file names."""


class Events:
    """A new file of events.

    Args:
        folder: that TensorBoard watches; made where it is missing.
        step: where writing starts; what other files have from there on is hidden.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, step: int = 0):
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files by name: this one comes last, also where the clock was set back.
        second = max(int(time.time()), _last_second(folder) + 1)
        self._writer = RecordWriter(str(folder / f"events.out{MARK}{second:010d}.{socket.gethostname()}"))
        self._add(file_version=VERSION)
        if step:
            from tensorboardX.proto.event_pb2 import SessionLog  # pyright: ignore[reportAttributeAccessIssue]

            self._add(step=step, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write some numbers of one step.

        Raises:
            OSError: they cannot be written.
        """
        from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

        self._add(step=step, summary=Summary(value=[_named(name, value) for name, value in values.items()]))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _add(self, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

        self._writer.write(Event(wall_time=time.time(), **content).SerializeToString())
        self._writer.flush()


def _named(name: str, value: float) -> Any:
    from tensorboardX.summary import scalar

    return scalar(name, value).value[0]


def _last_second(folder: Path) -> int:
    """In the name of the newest file; -1 where there is none."""
    seconds = [path.name.partition(MARK)[2].partition(".")[0] for path in folder.glob(f"*{MARK}*")]
    return max((int(one) for one in seconds if one.isdecimal()), default=-1)
