"""The newest line of a run's metrics as gauges, which Ray serves to Prometheus on every machine."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ray.util.metrics import Gauge

PREFIX = "lukasa_"


class Gauges:
    """Gauges ``lukasa_<key>``, which Ray serves as ``ray_lukasa_<key>`` with the run's name as a tag.

    Args:
        run: its name.
    """

    def __init__(self, run: str):
        self._tags = {"run": run}
        self._gauges: dict[str, Gauge] = {}

    def show(self, row: Mapping[str, Any]) -> None:
        """Set every number of a line of metrics that is finite."""
        for name, value in row.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._gauge(name).set(value, self._tags)

    def _gauge(self, name: str) -> Gauge:
        if name not in self._gauges:
            exported = PREFIX + re.sub(r"\W", "_", name)
            self._gauges[name] = Gauge(exported, description=f"{name} of metrics.jsonl", tag_keys=("run",))
        return self._gauges[name]
