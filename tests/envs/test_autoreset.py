"""The modes in which vector environments start copies over: the first observation of an episode is never lost."""

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from lukasa import envs

CUE, LENGTH = 99.0, 5


class Cue(gym.Env[np.ndarray, int]):
    """Shows 99, then 1, 2, ... 5."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = Box(0, 100, (1,), np.float32), Discrete(2)
        self._time = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._time = 0
        return np.array([CUE], np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._time += 1
        return np.array([self._time], np.float32), 1.0, False, self._time == LENGTH, {}


class Wrapped(gym.vector.VectorWrapper):
    """A wrapper that changes nothing."""


def cues(num_envs: int, mode: Any, wrapped: bool = False) -> gym.vector.VectorEnv:
    env = SyncVectorEnv([Cue] * num_envs, autoreset_mode=mode)
    return Wrapped(env) if wrapped else env


class Program(gym.vector.VectorEnv):
    """A program whose copies cannot be switched, and what it declares."""

    def __init__(self, num_envs: int, declared: Any) -> None:
        self._inner = cues(num_envs, AutoresetMode.SAME_STEP)
        self.num_envs, self.observation_space = num_envs, self._inner.observation_space
        self.single_observation_space = self._inner.single_observation_space
        self.action_space, self.single_action_space = self._inner.action_space, self._inner.single_action_space
        self.metadata = {"autoreset_mode": declared} if declared else {}

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return self._inner.reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        return self._inner.step(actions)


for mode in AutoresetMode:
    gym.register(f"Cue-{mode.name}-v0", Cue, vector_entry_point=partial(cues, mode=mode))
    gym.register(f"WrappedCue-{mode.name}-v0", Cue, vector_entry_point=partial(cues, mode=mode, wrapped=True))
    gym.register(f"ProgramCue-{mode.name}-v0", Cue, vector_entry_point=partial(Program, declared=mode))
gym.register("UndeclaredCue-v0", Cue, vector_entry_point=partial(Program, declared=None))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_sync_vector_env_shows_every_cue_whatever_its_mode(mode):
    env = envs.make_vec(f"Cue-{mode.name}-v0", 3)
    seen = [env.reset(seed=0)[0][:, 0]] + [env.step(np.zeros(3, int))[0][:, 0] for _ in range(11)]
    np.testing.assert_array_equal(np.stack(seen).T, [[CUE, 1, 2, 3, 4, 5] * 2] * 3)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize("kind", ["WrappedCue", "ProgramCue"])
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_what_cannot_be_switched_is_refused_by_the_name_of_its_mode(kind, mode):
    with pytest.raises(ValueError, match=rf'metadata\["autoreset_mode"\] {mode.name}, expected NEXT_STEP'):
        envs.make_vec(f"{kind}-{mode.name}-v0", 2)


def test_program_that_declares_the_next_step_or_nothing_is_taken_at_its_word():
    envs.make_vec("ProgramCue-NEXT_STEP-v0", 2)
    envs.make_vec("UndeclaredCue-v0", 2)
    envs.make_vec("WrappedCue-NEXT_STEP-v0", 2)
