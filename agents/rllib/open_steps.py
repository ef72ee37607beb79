"""Steps of a runner that are not in their episodes yet: one array of all episodes a step, column by column.

Legend: N episodes under way, one a row.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO
from ray.rllib.utils.spaces.space_utils import unbatch

KEPT = 256
"""Steps that are held before those are let go which are in all of their episodes."""


def rows_of(values: Any) -> Any:
    """Values of N rows, nested as their space is, to what has the value of row i at [i].

    That is what RLlib's ``unbatch`` gives. Numbers are copied, arrays are views, as there.
    """
    if isinstance(values, np.ndarray):
        return list(values) if values.ndim == 1 else values
    if type(values) is dict and all(isinstance(part, np.ndarray) for part in values.values()):
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    if type(values) is tuple and all(isinstance(part, np.ndarray) for part in values):
        return list(zip(*values, strict=True))
    return unbatch(values)


class OpenSteps:
    """Steps of N episodes, noted for all of them at once and written into each when it ends or is cut.

    Args:
        count: N.
    """

    def __init__(self, count: int):
        self._columns: dict[str, list[Any]] = {}
        self._outputs: dict[str, list[np.ndarray]] = {}
        self._times: list[float] = []
        self._flags: tuple[Any, Any] = ((), ())
        self._first = [0] * count

    def add(self, results: tuple[Any, ...], actions: Any, outputs: dict[str, np.ndarray]) -> None:
        """Note a step.

        Args:
            results: of the vector environment's step.
            actions: as the episodes keep them, batched.
            outputs: what else the module said of each action, [N, ...].
        """
        observations, rewards, terminateds, truncateds, infos = results
        noted = (rows_of(observations), rows_of(actions), list(rewards), infos)
        for name, rows in zip((Columns.OBS, Columns.ACTIONS, Columns.REWARDS, Columns.INFOS), noted, strict=True):
            self._columns.setdefault(name, []).append(rows)
        for name, rows in outputs.items():
            self._outputs.setdefault(name, []).append(rows)
        self._flags = (terminateds, truncateds)
        self._times.append(time.perf_counter())

    def begin(self, episode: SingleAgentEpisode, row: int) -> None:
        """The step noted last began an episode."""
        observation, info = (self._columns[name][-1][row] for name in (Columns.OBS, Columns.INFOS))
        episode.add_env_reset(observation=observation, infos=info)
        self._first[row] = len(self._times)

    def write(self, episode: SingleAgentEpisode, row: int, weights: int) -> None:
        """Give an episode its steps, as ``add_env_step`` would have one after the other.

        Args:
            episode: under way in this row.
            row: from 0.
            weights: the number of the weights that acted.
        """
        first, self._first[row] = self._first[row], len(self._times)
        steps = len(self._times) - first
        if not steps:
            return

        def taken(name: str) -> list[Any]:
            return [rows[row] for rows in self._columns[name][first:]]

        observations, infos = taken(Columns.OBS), [info or {} for info in taken(Columns.INFOS)]
        _extend(episode.observations, observations)
        _extend(episode.actions, taken(Columns.ACTIONS))
        _extend(episode.rewards, taken(Columns.REWARDS))
        _extend(episode.infos, infos)
        outputs: dict[str, list[Any]] = {
            name: [rows[row, ...] for rows in column[first:]] for name, column in self._outputs.items()
        }
        for name, values in {**outputs, WEIGHTS_SEQ_NO: [weights] * steps}.items():
            if name in episode.extra_model_outputs:
                _extend(episode.extra_model_outputs[name], values)
            else:
                episode.extra_model_outputs[name] = InfiniteLookbackBuffer(values)
        episode.t += steps
        episode.is_terminated, episode.is_truncated = (flags[row] for flags in self._flags)
        episode._last_added_observation, episode._last_added_infos = observations[-1], infos[-1]
        episode._last_step_time = self._times[-1]
        if episode._start_time is None:
            episode._start_time = self._times[first]

    def let_go(self) -> None:
        """Forget the steps that are in all of their episodes, once there are many."""
        written = min(self._first)
        if written < KEPT:
            return
        for column in (*self._columns.values(), *self._outputs.values(), self._times):
            del column[:written]
        self._first = [first - written for first in self._first]


def _extend(buffer: Any, values: list[Any]) -> None:
    """What ``buffer.extend`` does to one that holds a list, at once."""
    buffer.data.extend(values)
