"""Trains PPO or RecurrentPPO of stable-baselines3 with its defaults; run by a Python that has it, see ``defaults.py``.

Words: agent, environment, seed, steps, points of the learning curve. The last line of stdout is JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.monitor import Monitor  # pyright: ignore[reportMissingImports]

from lukasa import envs

AGENTS = {"PPO": ("stable_baselines3", "MlpPolicy"), "RecurrentPPO": ("sb3_contrib", "MlpLstmPolicy")}
EPISODES_IN_MEAN = 100


class Curve(BaseCallback):
    """The mean return of the last episodes, at evenly spaced steps."""

    def __init__(self, monitor: Monitor, every: int):
        super().__init__()
        self.monitor, self.every, self.points = monitor, every, []

    def _on_step(self) -> bool:
        if self.num_timesteps % self.every == 0:
            self.points.append([self.num_timesteps, recent(self.monitor)])
        return True


def recent(monitor: Any) -> float | None:
    """Mean return of the last episodes."""
    returns = monitor.get_episode_rewards()[-EPISODES_IN_MEAN:]
    return float(np.mean(returns)) if returns else None


def main(agent: str, env_id: str, seed: str, steps: str, points: str) -> None:
    """Train, and print what came of it."""
    torch.set_num_threads(1)
    package, policy = AGENTS[agent]
    monitor = Monitor(envs.make(env_id))
    model = getattr(importlib.import_module(package), agent)(policy, monitor, seed=int(seed), device="cpu")
    curve = Curve(monitor, max(1, int(steps) // int(points)))
    model.learn(int(steps), callback=curve)
    found = {"score": recent(monitor), "episodes": len(monitor.get_episode_rewards()), "curve": curve.points}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
