"""Environments so small that an episodic agent solves them within seconds."""

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

LENGTH = 5


class Corridor(gym.Env):
    """Walk to the right end of a corridor; 1 for being there, and 20 steps at most. One step may go the other way."""

    observation_space = Discrete(LENGTH + 1)
    action_space = Discrete(2)

    def __init__(self, config=None):
        self.place = self.time = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.time = 0
        return 0, {}

    def step(self, action):
        self.time += 1
        self.place = max(0, self.place + (1 if action == 1 else -1))
        over = self.place == LENGTH
        return self.place, float(over), over, self.time >= 20 and not over, {}


class Shifted(Corridor):
    """Its actions are 3 and 4."""

    action_space = Discrete(2, start=3)

    def step(self, action):
        return super().step(int(action) - 3)


class Cue(gym.Env):
    """What was shown at the first step is what pays at the third."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self, config=None):
        self.time = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.cue = 0, int(self.np_random.integers(2))
        return self._shown(), {}

    def step(self, action):
        self.time += 1
        over = self.time == 3
        return self._shown(), float(over and action == self.cue), over, False, {}

    def _shown(self):
        shown = np.zeros(2, np.float32)
        shown[0] = (2 * self.cue - 1) if self.time == 0 else 0
        shown[1] = 1 if self.time == 2 else 0
        return shown
