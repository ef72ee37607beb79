"""Fragments of episodes as a replay buffer keeps them: columns, and the memory's states that came with them.

Legend: n steps of a fragment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tree
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from lukasa.agents.rllib.journal import MemoryJournal
from lukasa.agents.rllib.state_log import PackedState, StateLog

Columns = dict[str, Any]


@dataclass
class Fragment:
    """What a runner sampled of one episode at a time.

    Attributes:
        episode: id of the episode.
        start: step of the episode that it begins with.
        observations: [n + 1, ...], nested as their space is.
        actions: [n, ...].
        rewards: [n].
        terminated: whether its last observation ended the episode.
        over: whether nothing follows: the episode was ended, or cut off.
        before: action and reward of the step before the first, each [1, ...]; None where they are not known.
        keyframes: whole states, by the step that they come before.
        changes: what sparse memories have more at a step than at the one before that is here.
        choices: slots that sparse memories chose, int32 [n, C], by the path of the memory.
    """

    episode: str
    start: int
    observations: Any
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    over: bool
    before: tuple[np.ndarray, np.ndarray] | None = None
    keyframes: dict[int, PackedState] = field(default_factory=dict)
    changes: dict[int, PackedState] = field(default_factory=dict)
    choices: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Step of the episode behind its last one."""
        return self.start + len(self.rewards)

    def state_steps(self) -> list[int]:
        """The steps before which the state is known, in order; the first step of an episode is one."""
        known = {*self.keyframes, *self.changes} | ({0} if self.start == 0 else set())
        return sorted(step for step in known if self.start <= step < self.end)

    def to_state(self) -> dict[str, Any]:
        """It as plain values."""
        return dict(self.__dict__)


def fragment_of(episode: SingleAgentEpisode) -> Fragment:
    """A fragment as it came from a runner.

    Args:
        episode: sampled with the memory connectors.

    Raises:
        ValueError: it continues an episode, and the memory's state before its first step is not known.
    """
    log = episode.custom_data.get(StateLog.KEY)
    kept = Fragment(
        episode=episode.id_,
        start=episode.t_started,
        observations=tree.map_structure(np.asarray, _stacked(episode.get_observations())),
        actions=np.asarray(episode.get_actions()),
        rewards=np.asarray(episode.get_rewards(), np.float32),
        terminated=bool(episode.is_terminated),
        over=bool(episode.is_done),
        before=_before(episode),
    )
    if log is not None:
        kept.keyframes = dict(log.keyframes)
    if isinstance(log, MemoryJournal):
        kept.changes = dict(log.changes)
        kept.choices = {path: np.asarray(chosen) for path, chosen in log._own_choices().items()}
    if kept.start and kept.start not in kept.keyframes:
        raise ValueError(
            f"an episode fragment for replay begins at step {kept.start} without the memory state before it: sample it "
            "with a MemoryDQNConfig's own runners, whose fragments carry it, or hand in whole episodes"
        )
    return kept


def _stacked(observations: Any) -> Any:
    """RLlib gives a list of observations of an episode that is not in NumPy yet."""
    if isinstance(observations, list):
        return tree.map_structure(lambda *steps: np.stack(steps), *observations)
    return observations


def _before(episode: SingleAgentEpisode) -> tuple[np.ndarray, np.ndarray] | None:
    if not episode.rewards.lookback:
        return None
    window = slice(-1, 0)
    action = episode.get_actions(window, neg_index_as_lookback=True)
    reward = episode.get_rewards(window, neg_index_as_lookback=True)
    return np.asarray(action), np.asarray(reward, np.float32)
