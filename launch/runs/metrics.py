"""What is written as a run is measured: ``metrics.jsonl``, TensorBoard's events, other trackers, Prometheus."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lukasa.ground.files import write_text
from lukasa.launch.runs.directory import Run, is_score, read_metrics
from lukasa.launch.runs.saved_values import without_nan
from lukasa.launch.runs.trackers import Careful, TensorBoard, start_trackers

if TYPE_CHECKING:
    from lukasa.launch.runs.prometheus import Gauges


def rewind_metrics(run: Run, step: int) -> list[dict[str, Any]]:
    """Keep the metrics up to a checkpoint; later lines move to ``metrics.replaced.jsonl``.

    Args:
        run: a run that this process holds.
        step: steps of the checkpoint that training continues from.

    Returns:
        The rows that stay.
    """
    rows = read_metrics(run)
    stay = [row for row in rows if row[run.step_key] <= step]
    later = rows[len(stay) :]
    if later:
        with open(run.path / "metrics.replaced.jsonl", "a") as file:
            file.writelines(_line(row) for row in later)
    if run.metrics_file.exists():
        write_text(run.metrics_file, "".join(map(_line, stay)))
    return stay


class MetricsWriter:
    """Appends rows to ``metrics.jsonl``, TensorBoard's events and the run's other trackers.

    Where Ray runs, Prometheus sees the newest row.

    Args:
        run: a run that this process holds.
        step: where writing starts; events after it count as purged.
    """

    def __init__(self, run: Run, step: int = 0):
        self._step_key = run.step_key
        self._file = open(run.metrics_file, "a")  # noqa: SIM115
        events = TensorBoard(run.events, step)
        self._trackers = [Careful("TensorBoard", lambda: events), *start_trackers(run.path)]
        self._gauges = _gauges(run)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row; it needs the run's ``step_key``, and numbers that are not finite become null.

        Raises:
            OSError: it cannot be written, since the disk is full for example.
        """
        self._file.write(_line(row))
        self._file.flush()
        if self._gauges:
            self._gauges.show(row)
        numbers = finite_numbers(row, self._step_key)
        for tracker in self._trackers:
            tracker.log(row[self._step_key], numbers)

    def close(self) -> None:
        """Flush and close all."""
        try:
            self._file.close()
        finally:
            for tracker in self._trackers:
                tracker.close()


def _gauges(run: Run) -> Gauges | None:
    """None where this process does not use Ray, which is not imported to find out."""
    if "ray" not in sys.modules or not sys.modules["ray"].is_initialized():
        return None
    from lukasa.launch.runs.prometheus import Gauges

    return Gauges(run.path.name)


def finite_numbers(row: Mapping[str, Any], leave_out: str) -> dict[str, float]:
    """The numbers of a line of metrics that can be drawn.

    Example:
        >>> finite_numbers({"steps": 8, "loss": 0.5, "score": None, "bits": float("nan"), "level": 2}, "steps")
        {'loss': 0.5, 'level': 2}
    """
    return {name: value for name, value in row.items() if name != leave_out and is_score(value)}


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(without_nan(dict(row)), allow_nan=False) + "\n"
