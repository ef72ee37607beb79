"""Evaluation while an agent trains: episodes of seeds of their own, greedy, which training never hears of."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lukasa.launch.kinds.rl.agent_episodes import Play, play
from lukasa.launch.kinds.rl.algorithms import make_config, make_module, without_target
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.many_agents import apart
from lukasa.launch.ray.quiet import quiet_libraries

SEED = 2_000_000
"""Of the episodes, the same each time; training's seeds have longer paths, and ``lukasa eval`` begins at another."""

REPORTED = ("return_mean", "return_std", "success_rate", "length_mean", "agent_returns")
"""What of a summary goes into a line of metrics, with "eval_" before it."""


class HeldOut:
    """Plays the episodes when it is time for them.

    Args:
        experiment: whose ``eval_every`` and ``eval_episodes`` say when and how many.
    """

    def __init__(self, experiment: RLExperiment):
        self.experiment = experiment
        self._module: Any = None

    def look(self, before: int, now: int, weights: Mapping[str, Any]) -> dict[str, Any]:
        """What a line of metrics says of the episodes; nothing where none are due.

        Args:
            before: steps at the line before.
            now: steps at this one.
            weights: of the agent.
        """
        every = self.experiment.eval_every
        if every is None or now // every == before // every:
            return {}
        with _random_states_kept(), quiet_libraries():
            if self._module is None:
                self._module = make_module(make_config(self.experiment), self.experiment)
            own = without_target(weights)
            self._module.set_state(own if hasattr(self._module, "core") else apart(own))
            found = play(self._module, self.experiment, Play(self.experiment.eval_episodes, SEED, quiet=True))
        return {f"eval_{name}": found[name] for name in REPORTED if name in found}


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """Leave the global random states of this process as they were."""
    of_numpy, of_python = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)
