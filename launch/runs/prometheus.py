"""The newest line of a run's metrics as gauges, which Ray serves to Prometheus on every machine."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ray.util.metrics import Gauge

PREFIX = "lukasa_"


class Gauges:
    r"""Gauges ``lukasa_<key>``, which Ray serves as ``ray_lukasa_<key>`` with the run's name as a tag.

    Args:
        run: its name; Ray's tags are ASCII, so that other letters are escaped, as in ``caf\xe9``.
    """

    def __init__(self, run: str):
        self._tags = {"run": run.encode("ascii", "backslashreplace").decode()}
        self._gauges: dict[str, Gauge] = {}

    def show(self, row: Mapping[str, Any]) -> None:
        """Set every number of a line of metrics that is finite."""
        for name, value in row.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._gauge(name).set(value, self._tags)

    def _gauge(self, name: str) -> Gauge:
        if name not in self._gauges:
            exported = re.sub(r"\W", "_", name, flags=re.ASCII)
            self._gauges[name] = Gauge(PREFIX + exported, description=f"{exported} of metrics.jsonl", tag_keys=("run",))
        return self._gauges[name]
