"""Hindsight: sequences replayed as if what they reached had been their goal (Andrychowicz et al. 2017).

Legend: m steps of a row, G numbers of a goal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import tree

from lukasa.agents.rllib.replay.buffer import SequenceReplayBuffer
from lukasa.agents.rllib.replay.sequences import Row, Sequence, row_of
from lukasa.ground.spaces import named

OBSERVATION, ACHIEVED, DESIRED = "observation", "achieved_goal", "desired_goal"
STRATEGIES = ("none", "future", "final", "episode")
"""Where goals are taken from: nowhere, what is reached later, at the end, or anywhere in the episode."""


class Goals:
    """What an environment pays for any goal.

    Args:
        env: with goals by Gymnasium's convention; it is reset, and takes one step.

    Raises:
        ValueError: it has none, or what it pays does not follow from them.
    """

    def __init__(self, env: gym.Env):
        self.env: Any = env.unwrapped
        self.name = env.spec.id if env.spec else type(env.unwrapped).__name__
        _check_space(self.name, env.observation_space)
        if not callable(getattr(self.env, "compute_reward", None)):
            raise ValueError(
                f"environment {self.name!r} has no compute_reward(achieved_goal, desired_goal, info), which hindsight "
                "asks what other goals would have paid: give it one, or leave hindsight out"
            )
        self.ends = callable(getattr(self.env, "compute_terminated", None))
        self._check_step(env)

    def rewards(self, achieved: Any, desired: Any) -> np.ndarray:
        """What steps pay that reach something, for the goals given: float32 [m]."""
        return self._of_each("compute_reward", achieved, desired).astype(np.float32)

    def reached(self, achieved: Any, desired: Any) -> np.ndarray:
        """Whether steps end an episode with the goals given: bool [m]."""
        return self._of_each("compute_terminated", achieved, desired).astype(bool)

    def _of_each(self, method: str, achieved: Any, desired: Any) -> np.ndarray:
        """All at once where the environment can, as its convention asks, and else one by one."""
        function, count = getattr(self.env, method), len(tree.flatten(achieved)[0])
        try:
            found = np.asarray(function(achieved, desired, [{}] * count))
            if found.shape == (count,):
                return found
        except Exception:  # it was written for single goals
            pass
        pairs: Any = (achieved, desired)
        each: list[Any] = [tree.map_structure(lambda part, i=i: part[i], pairs) for i in range(count)]
        return np.array([function(one, other, {}) for one, other in each])

    def _check_step(self, env: gym.Env) -> None:
        observation, _ = env.reset(seed=0)
        env.action_space.seed(0)
        observation, reward, terminated, _, _ = env.step(env.action_space.sample())
        both = (observation[ACHIEVED], observation[DESIRED])
        goals: Any = tree.map_structure(lambda part: np.asarray(part)[None], both)
        try:
            (paid,) = self.rewards(*goals)
            over = bool(self.reached(*goals)[0]) if self.ends else terminated
        except Exception as error:
            raise ValueError(
                f"environment {self.name!r} fails in compute_reward with an empty info ({type(error).__name__}: "
                f"{' '.join(str(error).split())}): hindsight needs rewards that follow from the goals alone"
            ) from error
        if not np.isclose(paid, float(reward), rtol=1e-4, atol=1e-5) or over != bool(terminated):
            raise ValueError(
                f"environment {self.name!r} paid {float(reward):g} for a step for which its compute_reward gives "
                f"{float(paid):g}, or ended otherwise than its compute_terminated says: hindsight needs rewards that "
                "follow from the goals alone"
            )


def _check_space(name: str, space: gym.Space) -> None:
    keys = (OBSERVATION, ACHIEVED, DESIRED)
    if not (isinstance(space, gym.spaces.Dict) and set(keys) <= set(space.keys())):
        raise ValueError(
            f"environment {name!r} has no goals: hindsight needs observations that are a Dict with {', '.join(keys)}, "
            f"and these are {named(space)}"
        )
    if space[ACHIEVED] != space[DESIRED]:
        raise ValueError(
            f"goals of environment {name!r} do not fit: what is achieved is {named(space[ACHIEVED])} and what is "
            f"desired {named(space[DESIRED])}, and hindsight takes one for the other"
        )


class HindsightReplayBuffer(SequenceReplayBuffer):
    """Draws sequences, most of them with a goal that their episode reached.

    A memory that was kept has seen the goal of then, so the memory of every sequence is run from the start of its
    episode, with the goal that it is replayed with.

    Args:
        capacity: steps.
        plan: as in ``SequenceReplayBuffer``; its memory is run from the start.
        goals: of the environment.
        strategy: where goals are taken from: one of ``STRATEGIES`` but "none".
        relabelled: k, sequences with another goal for each with its own.
        seed: of what is drawn.
    """

    def __init__(self, capacity: int, *, plan: Any, goals: Goals, strategy: str, relabelled: int, seed: Any = None):
        super().__init__(capacity, plan=replace(plan, from_start=True), seed=seed)
        self.goals, self.strategy = goals, strategy
        self.share = relabelled / (relabelled + 1)

    def row(self, sequence: Sequence, further: int) -> Row:
        """The steps of a sequence, with its own goal or another."""
        found = row_of(sequence, further=further)
        if self.rng.random() >= self.share:
            return found
        goal = _reached_at(sequence, self._step(sequence))
        return relabelled(found, goal, self.goals) or found

    def _step(self, sequence: Sequence) -> int:
        """The step of the episode whose end shows the goal."""
        end = sequence.stretch.end
        if self.strategy == "final":
            return end - 1
        return int(self.rng.integers(sequence.first if self.strategy == "future" else 0, end))


def _reached_at(sequence: Sequence, step: int) -> Any:
    """What an episode had reached after a step."""
    for fragment in sequence.stretch.fragments:
        if fragment.start <= step < fragment.end:
            place = step + 1 - fragment.start
            return tree.map_structure(lambda part, place=place: part[place], fragment.observations[ACHIEVED])
    raise AssertionError(f"step {step} is in none of the fragments")


def relabelled(row: Row, goal: Any, goals: Goals) -> Row | None:
    """A row as if it had been played for another goal; None where that was reached before what is learned.

    Args:
        row: from the start of its episode.
        goal: as the environment shows one.
        goals: of the environment.
    """
    count = len(row.rewards)
    achieved = tree.map_structure(lambda part: part[1:], row.observations[ACHIEVED])
    desired = tree.map_structure(lambda part: np.broadcast_to(part, (count + 1, *np.shape(part))).copy(), goal)
    after = tree.map_structure(lambda part: part[1:], desired)
    observations = {**row.observations, DESIRED: desired}
    changed = replace(row, observations=observations, rewards=goals.rewards(achieved, after))
    if not goals.ends:
        return changed
    ended = np.flatnonzero(goals.reached(achieved, after))
    if not len(ended):
        return replace(changed, terminated=False)
    last = int(ended[0]) + 1
    if last <= row.prefix:
        return None
    return replace(
        changed,
        learned=min(row.learned, last - row.prefix),
        observations=tree.map_structure(lambda part: part[: last + 1], observations),
        actions=row.actions[:last],
        rewards=changed.rewards[:last],
        terminated=True,
        choices={path: chosen[:last] for path, chosen in row.choices.items()},
    )
