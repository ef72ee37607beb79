"""Who waits for whom in reinforcement learning, and what the runners' memories do, out of RLlib's metrics.

RLlib smooths its timers over about a hundred calls, so that a share of an iteration cannot be told from them. The first
one to log a metric decides how it is reduced: here everything is logged once, to be summed up, before RLlib does.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from ray.rllib.algorithms.impala.impala_learner import (
    LEARNER_THREAD_IN_QUEUE_WAIT_TIMER,
    LEARNER_THREAD_UPDATE_TIMER,
    QUEUE_SIZE_LEARNER_THREAD_QUEUE,
)
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core import ALL_MODULES
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    SAMPLE_TIMER,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from lukasa.agents.rllib.gradients import WatchedGradients
from lukasa.launch.runs.metering import measured, resident_bytes
from lukasa.memory.sparse.traffic import TRAFFIC, Traffic

DRIVER_TIMERS = (ENV_RUNNER_SAMPLING_TIMER, SAMPLE_TIMER, LEARNER_UPDATE_TIMER, SYNCH_WORKER_WEIGHTS_TIMER)
THREAD_TIMERS = (LEARNER_THREAD_IN_QUEUE_WAIT_TIMER, LEARNER_THREAD_UPDATE_TIMER)
READS, WRITES, FILLED, RESIDENT = "memory_reads", "memory_writes", "memory_slots_used", "runner_resident_bytes"


class Waits(RLlibCallback):
    """Has timers summed up, and lets remote runners tell of their memory."""

    def on_algorithm_init(self, *, algorithm: Any = None, metrics_logger: Any = None, **kwargs: Any) -> None:
        """Before the first iteration."""
        for timer in DRIVER_TIMERS:
            metrics_logger.log_time((TIMERS, timer), reduce="sum")

    def on_environment_created(self, *, env_runner: Any = None, metrics_logger: Any = None, **kwargs: Any) -> None:
        """Before a runner's first sample."""
        metrics_logger.log_time(SAMPLE_TIMER, reduce="sum")

    def on_sample_end(self, *, env_runner: Any = None, metrics_logger: Any = None, **kwargs: Any) -> None:
        """What the memories of a remote runner did; those of a local one are counted with the process that learns."""
        if not env_runner.worker_index:
            return
        traffic = TRAFFIC.take()
        metrics_logger.log_value(READS, traffic.reads, reduce="sum")
        metrics_logger.log_value(WRITES, traffic.writes, reduce="sum")
        metrics_logger.log_value(FILLED, traffic.filled, reduce="max", window=1)
        metrics_logger.log_value(RESIDENT, resident_bytes(), reduce="max", window=1)


class _TimedThread:
    """A learner whose thread's times are summed up."""

    metrics: Any

    def build(self) -> None:
        for timer in THREAD_TIMERS:
            self.metrics.log_time((ALL_MODULES, timer), reduce="sum")
        super().build()  # type: ignore[misc]


@functools.cache
def watched(learner: type, *, asynchronous: bool) -> type:
    """A learner class that says what a run's metrics tell of it.

    Args:
        learner: RLlib's or one's own.
        asynchronous: whether it learns in a thread, whose times count; who asks another to learn waits for it.
    """
    parts = (_TimedThread, WatchedGradients) if asynchronous else (WatchedGradients,)
    return type(f"Watched{learner.__name__}", (*parts, learner), {"__module__": __name__, "__doc__": learner.__doc__})


def waits(result: dict[str, Any], elapsed: float, *, runners: int, learners: int, asynchronous: bool) -> dict[str, Any]:
    """The share of a line of metrics that tells of waiting.

    Args:
        result: what ``Algorithm.train`` returned.
        elapsed: seconds of the iteration.
        runners: processes that sample; 0 where one process does both.
        learners: processes that learn; 0 where it is the one that was started.
        asynchronous: whether learning goes on while others sample: APPO and IMPALA.

    Returns:
        ``runner_wait`` and ``learner_wait``, shares of the time in which nobody sampled or learned, mean over the
        processes; of APPO and IMPALA also ``driver_batching``, the share in which the driver makes batches of what
        was sampled, and ``learner_queue``, the batches that wait for the learner.
    """
    timers, sampled = result.get(TIMERS, {}), result.get(ENV_RUNNER_RESULTS, {})
    row = {"runner_wait": _idle(_number(sampled, SAMPLE_TIMER), elapsed, runners)}
    if not asynchronous:
        return row | {"learner_wait": _idle(_number(timers, LEARNER_UPDATE_TIMER), elapsed, 1)}
    thread = result.get(LEARNER_RESULTS, {}).get(ALL_MODULES, {})
    row["learner_wait"] = _idle(_number(thread, LEARNER_THREAD_UPDATE_TIMER), elapsed, learners)
    row["driver_batching"] = round(1 - _idle(_number(timers, LEARNER_UPDATE_TIMER), elapsed, 1), 4)
    return row | {"learner_queue": _number(thread, QUEUE_SIZE_LEARNER_THREAD_QUEUE)}


def memories(result: dict[str, Any], elapsed: float) -> dict[str, Any]:
    """The share of a line of metrics that tells of memory, of this process and its remote runners together."""
    sampled, here = result.get(ENV_RUNNER_RESULTS, {}), TRAFFIC.take()
    traffic = Traffic(
        here.reads + int(_number(sampled, READS)),
        here.writes + int(_number(sampled, WRITES)),
        max(here.filled, int(_number(sampled, FILLED))),
    )
    return measured(elapsed, traffic) | ({RESIDENT: int(sampled[RESIDENT])} if _number(sampled, RESIDENT) else {})


def _idle(busy: float, elapsed: float, processes: int) -> float:
    """Samples and batches count in the iteration that they end in, so that a share may pass its bounds a little."""
    return round(min(1.0, max(0.0, 1 - busy / max(elapsed * max(1, processes), 1e-9))), 4)


def _number(values: dict[str, Any], name: str) -> float:
    """A metric, 0 where there is none: what was logged by nobody is missing or not a number."""
    value = float(values.get(name, 0.0))
    return value if math.isfinite(value) else 0.0
