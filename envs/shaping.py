"""Rewards on the way to a goal that leave the best policy what it is (Ng, Harada & Russell 1999)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym


class PotentialShaping(gym.Wrapper[Any, Any, Any, Any]):
    """Adds F(s, s') = γ Φ(s') - Φ(s) to every reward; Ng et al. 1999, section 3, with Φ = 0 once an episode is over.

    With γ = 1 the return of an episode that terminates changes by -Φ of its first state, whatever was done.

    Args:
        env: the environment.
        potential: Φ, of an observation: higher where the goal is nearer.
        discount: γ; that of the agent leaves the best discounted policy what it is, 1 the best undiscounted one.

    Raises:
        ValueError: the discount is not between 0 and 1.
    """

    def __init__(self, env: gym.Env[Any, Any], potential: Callable[[Any], float], discount: float = 1.0):
        super().__init__(env)
        if not 0 <= discount <= 1:
            raise ValueError(f"PotentialShaping: discount is {discount!r}, expected a number between 0 and 1")
        self.potential, self.discount = potential, discount
        self._before = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's own."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._before = self.potential(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """The environment's own step, with the shaped reward; its own reward is ``info["unshaped_reward"]``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        after = 0.0 if terminated else self.potential(observation)
        shaped = float(reward) + self.discount * after - self._before
        self._before = after
        return observation, shaped, terminated, truncated, {**info, "unshaped_reward": float(reward)}


GRAVITY, GOAL = 0.0025, 0.45
"""Of Gymnasium's MountainCarContinuous: the pull of the slope a step, and where the flag is."""


def energy(observation: Any) -> float:
    """The car's energy of place and speed: 0 at rest at the bottom, 1 with what the hill of the flag costs."""
    place, speed = (float(number) for number in observation)
    bottom, top = -GRAVITY / 3, GRAVITY / 3 * math.sin(3 * GOAL)
    return (speed**2 / 2 + GRAVITY / 3 * math.sin(3 * place) - bottom) / (top - bottom)


def mountain_car(weight: float = 100.0, discount: float = 1.0, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Gymnasium's MountainCarContinuous with its reward shaped by energy: ``MountainCarContinuousShaped-v0``.

    Φ is ``weight`` times (energy - 1), and 0 from the energy on that reaches the flag. A car that stands still earns 0,
    as it does without; one that reaches the flag earns its own return and up to ``weight``.

    Args:
        weight: of the potential.
        discount: γ of the shaping.
        render_mode: as Gymnasium's.

    Raises:
        ValueError: the weight is negative, or the discount not between 0 and 1.
    """
    from gymnasium.envs.classic_control.continuous_mountain_car import Continuous_MountainCarEnv

    if not 0 <= weight < math.inf:
        raise ValueError(f"MountainCarContinuousShaped: weight is {weight!r}, expected a number of at least 0")
    env = Continuous_MountainCarEnv(render_mode=render_mode)
    return PotentialShaping(env, lambda observation: weight * (min(energy(observation), 1.0) - 1.0), discount)


def register_shaped() -> None:
    """Make the shaped environments known to Gymnasium; a second call changes nothing."""
    if "MountainCarContinuousShaped-v0" not in gym.registry:
        gym.register("MountainCarContinuousShaped-v0", "lukasa.envs.shaping:mountain_car", max_episode_steps=999)
