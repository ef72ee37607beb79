"""Connector pieces that keep memory states off the wire.

RLlib's own flow stores and ships the state of every environment step, of which the learner reads one in
``max_seq_len``. Here the state lives on the runner, and an episode fragment carries packed states ("keyframes") only
for the steps at which the learner's chunks begin. docs/rllib.md has the picture.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from lukasa.agents.policy.actions import ActionLayout, action_width, is_plain
from lukasa.agents.rllib.journal import MemoryJournal, padded
from lukasa.agents.rllib.module import (
    EPISODE_START,
    LIVE_STATE,
    PREVIOUS_ACTION,
    PREVIOUS_REWARD,
    MemoryRLModule,
)
from lukasa.agents.rllib.state_log import PackedState, StateLog

_LIVE = "memory_live_state"


class StashStateOut(ConnectorV2):
    """Module to environment, first piece: take the next state out of the batch and hold it, batched and on its device.

    The runner hands the same ``shared_data`` to both of its pipelines for as long as its episodes live.
    """

    def __call__(
        self,
        *,
        batch: dict[str, Any],
        episodes: list[Any],
        shared_data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Move the state from the batch to ``shared_data``; note which slots of a sparse memory the step chose."""
        assert shared_data is not None
        shared_data[_LIVE] = live = batch.pop(Columns.STATE_OUT)
        if LIVE_STATE in live:
            for row, episode in enumerate(episodes):
                if episode.is_reset:  # else the last episode in this row is over, and the next one begins after this
                    MemoryJournal.of(episode).note(episode.t, live[LIVE_STATE].step, row)
        return batch


class FeedStateIn(ConnectorV2):
    """Environment to module, last piece: feed the held state back, and keep the keyframes of every episode."""

    def __call__(
        self,
        *,
        rl_module: Any,
        batch: dict[str, Any],
        episodes: list[Any],
        shared_data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Add ``STATE_IN``; row i belongs to ``episodes[i]``.

        Raises:
            RuntimeError: episodes are under way but the module was not asked for their last action.
        """
        assert shared_data is not None
        live = shared_data.pop(_LIVE, None)
        starts = torch.tensor([episode.t == 0 for episode in episodes])
        if live is None:
            if not starts.all():
                raise RuntimeError("the memory state of running episodes is lost: memory agents cannot act at random")
            live = rl_module.initial_live_state(len(episodes))
        state = {name: part for name, part in live.items() if name != EPISODE_START}
        chunk = rl_module.model_config["max_seq_len"]
        for row, episode in enumerate(episodes):
            if LIVE_STATE in state:
                log = MemoryJournal.of(episode)
                log.follow(episode.t, state[LIVE_STATE], row)
            else:
                log = StateLog.of(episode)
                log.follow(episode.t, state, row)
            if (episode.t - episode.t_started) % chunk == 0:
                log.keep()
        device = next(rl_module.parameters()).device
        state = {name: part.to(device) if isinstance(part, torch.Tensor) else part for name, part in state.items()}
        batch[Columns.STATE_IN] = {**state, EPISODE_START: starts.to(device)}
        return batch


class RebuildStateIn(ConnectorV2):
    """Learner: the state at the start of each chunk of ``max_seq_len`` steps, from the fragments' keyframes.

    It stands before RLlib's own piece for states, which does nothing where ``STATE_IN`` is already there, and after
    the piece that cuts the other columns into chunks, which for the same reason must not see it.
    """

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: list[Any], **kwargs: Any) -> Any:
        """Add ``STATE_IN``, one state a chunk.

        Raises:
            RuntimeError: a fragment lacks the keyframe of one of its chunks.
        """
        module = single_module(rl_module)
        initial = module.get_initial_state()
        chunk = module.model_config["max_seq_len"]
        rebuilt = []
        for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=False):
            steps = range(episode.t_started, episode.t_started + len(episode), chunk)
            states = _journalled(episode, steps, initial) if module.net.sparse else _kept(episode, steps, initial)
            rebuilt.append((episode, states))
        if module.net.sparse:
            rebuilt = padded(rebuilt)
        for episode, states in rebuilt:
            self.add_n_batch_items(batch, Columns.STATE_IN, states, len(states), episode)
        return batch


def _kept(episode: SingleAgentEpisode, steps: range, initial: PackedState) -> list[PackedState]:
    log = StateLog.of(episode)
    return [{**log.at(t), EPISODE_START: np.array(False)} if t else initial for t in steps]


def _journalled(episode: SingleAgentEpisode, steps: range, initial: PackedState) -> list[PackedState]:
    journal = MemoryJournal.of(episode)
    states = journal.states(steps, initial)
    return [
        {**state, **journal.choices(t, steps.step), EPISODE_START: np.array(t == 0)}
        for t, state in zip(steps, states, strict=True)
    ]


class AddPreviousStep(ConnectorV2):
    """Runner and learner: the action and reward of the step before; only in pipelines whose module asks for them.

    They are read from the episode, so nothing more travels. A fragment that continues an episode has the step before
    its first in RLlib's lookback buffer.
    """

    def __init__(
        self,
        input_observation_space: gym.Space | None = None,
        input_action_space: gym.Space | None = None,
        *,
        as_learner_connector: bool = False,
    ):
        super().__init__(input_observation_space, input_action_space, as_learner_connector=as_learner_connector)
        self.as_learner_connector = as_learner_connector

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: list[Any], **kwargs: Any) -> Any:
        """Add the columns that the module's settings ask for.

        Raises:
            RuntimeError: a fragment continues an episode but does not know the step before.
        """
        settings = single_module(rl_module).net.settings
        wanted = {PREVIOUS_ACTION: settings.previous_action, PREVIOUS_REWARD: settings.previous_reward}
        for column in (name for name, asked in wanted.items() if asked):
            for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=False):
                length = len(episode) if self.as_learner_connector else len(episode) + 1
                previous = _previous_actions if column == PREVIOUS_ACTION else _previous_rewards
                if self.as_learner_connector:
                    self.add_n_batch_items(batch, column, previous(episode, 0, length), length, episode)
                else:
                    self.add_batch_item(batch, column, previous(episode, length - 1, length)[0], episode)
        return batch


def _previous_actions(episode: SingleAgentEpisode, first: int, last: int) -> np.ndarray:
    """What was done before the steps ``first`` to ``last`` of a fragment, one-hot where discrete: [steps, width]."""
    assert episode.action_space is not None
    _check_lookback(episode)
    if not is_plain(episode.action_space):
        return _previous_flat_actions(episode, first, last)
    window = slice(first - 1, last - 1)
    taken = episode.get_actions(window, neg_index_as_lookback=True, fill=0.0, one_hot_discrete=True)
    return np.asarray(taken, np.float32).reshape(last - first, action_width(episode.action_space))


def _previous_flat_actions(episode: SingleAgentEpisode, first: int, last: int) -> np.ndarray:
    """The same of actions that the episode holds as flat vectors, whatever the form of their space."""
    assert episode.action_space is not None
    layout = ActionLayout(episode.action_space)
    begins = first == 0 and episode.actions.lookback == 0
    shown = np.zeros((last - first, layout.width), np.float32)
    if last - first > begins:
        window = slice(first - 1 + begins, last - 1)
        taken = np.asarray(episode.get_actions(window, neg_index_as_lookback=True))
        shown[int(begins) :] = layout.one_hot(taken.reshape(last - first - begins, -1))
    return shown


def _previous_rewards(episode: SingleAgentEpisode, first: int, last: int) -> np.ndarray:
    """What was earned before the steps ``first`` to ``last`` of a fragment: [steps, 1]."""
    _check_lookback(episode)
    earned = episode.get_rewards(slice(first - 1, last - 1), neg_index_as_lookback=True, fill=0.0)
    return np.asarray(earned, np.float32).reshape(last - first, 1)


def _check_lookback(episode: SingleAgentEpisode) -> None:
    if episode.t_started > 0 and episode.rewards.lookback == 0:
        raise RuntimeError(
            "an episode fragment came without the step before its first one, which previous_action and "
            "previous_reward need: set .env_runners(episode_lookback_horizon=1) or more"
        )


def single_module(rl_module: Any) -> MemoryRLModule:
    """The one memory module, out of a learner's MultiRLModule and of a wrapper for several learners."""
    module: Any = rl_module[DEFAULT_MODULE_ID] if isinstance(rl_module, MultiRLModule) else rl_module
    return module.unwrapped()
