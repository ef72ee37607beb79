"""Sampling with all episodes of a runner side by side: RLlib's fragments, without its work for each step of each.

RLlib's runner takes every observation out of the array that the environment gave, into an episode, out of it again,
through five connector pieces one by one, and stacks them; and the actions likewise on their way back. Here the arrays
stay whole, the memory's state stays an object, and episodes get their steps when they end or are cut. What comes out
is the same to the last bit, for the pieces that a config of ours builds by itself. Where there is anything else in the
way (a piece of one's own, a callback at every step, another forward pass), RLlib's own way is taken;
``sampling_path.obstacle`` says what that is.

Legend: N episodes under way, one a row; B = N.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import tree
from ray.rllib.connectors.common import (
    NumpyToTensor,
)
from ray.rllib.connectors.module_to_env import (
    GetActions,
    NormalizeAndClipActions,
)
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics import (
    CONNECTOR_PIPELINE_TIMER,
    ENV_TO_MODULE_CONNECTOR,
    ENV_TO_MODULE_SUM_EPISODES_LENGTH_IN,
    ENV_TO_MODULE_SUM_EPISODES_LENGTH_OUT,
    MODULE_TO_ENV_CONNECTOR,
    RLMODULE_INFERENCE_TIMER,
)
from ray.rllib.utils.numpy import convert_to_numpy
from ray.rllib.utils.spaces.space_utils import batch as batched
from ray.rllib.utils.spaces.space_utils import clip_action, unsquash_action
from ray.rllib.utils.torch_utils import convert_to_torch_tensor

from lukasa import memory
from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.rllib.actions import DecodeActions
from lukasa.agents.rllib.journal import MemoryJournal
from lukasa.agents.rllib.module import (
    EPISODE_START,
    HELD_STATE,
    LIVE_STATE,
    PREVIOUS_ACTION,
    PREVIOUS_REWARD,
    MemoryRLModule,
)
from lukasa.agents.rllib.open_steps import OpenSteps
from lukasa.agents.rllib.state_log import StateLog


class LeanSample:
    """One sample of a runner.

    Args:
        runner: a ``MemoryEnvRunner`` without an ``obstacle``.
        explore: whether actions are drawn.
    """

    def __init__(self, runner: Any, explore: bool):
        self.runner, self.explore = runner, explore
        self.module: MemoryRLModule = runner.module
        self.device = next(self.module.parameters()).device
        self.chunk = self.module.model_config["max_seq_len"]
        settings = self.module.net.settings
        self.previous_action = ActionLayout(self.module.action_space) if settings.previous_action else None
        self.previous_reward = settings.previous_reward
        pieces = {
            type(piece): piece for piece in (*runner._env_to_module.connectors, *runner._module_to_env.connectors)
        }
        self.draw, self.to_tensor = pieces[GetActions], pieces[NumpyToTensor]
        self.form = pieces.get(DecodeActions) or pieces[NormalizeAndClipActions]
        log_time = runner.metrics.log_time
        self.forward_time = log_time(RLMODULE_INFERENCE_TIMER)
        self.to_module_time = log_time((ENV_TO_MODULE_CONNECTOR, CONNECTOR_PIPELINE_TIMER))
        self.to_env_time = log_time((MODULE_TO_ENV_CONNECTOR, CONNECTOR_PIPELINE_TIMER))
        self.lengths = [
            log_time(name) for name in (ENV_TO_MODULE_SUM_EPISODES_LENGTH_IN, ENV_TO_MODULE_SUM_EPISODES_LENGTH_OUT)
        ]

    def episodes(
        self, num_timesteps: int | None, num_episodes: int | None, force_reset: bool
    ) -> tuple[list[SingleAgentEpisode], int, int]:
        """As ``SingleAgentEnvRunner._sample``.

        Returns:
            Fragments, steps in them, and how many of the fragments ended.
        """
        runner = self.runner
        if force_reset or num_episodes is not None or runner._needs_initial_reset:
            runner._reset_envs_and_episodes(self.explore)
        runner._needs_initial_reset |= num_episodes is not None
        self._begin()
        steps, ended = 0, []
        training = self.module.training
        self.module.eval()
        try:
            while steps < num_timesteps if num_timesteps is not None else len(ended) < (num_episodes or 0):
                actions, for_env, outputs = self._act()
                results: Any = runner._try_env_step(for_env)
                if isinstance(results, str):  # ENV_STEP_FAILURE
                    steps = 0
                    runner._reset_envs_and_episodes(self.explore)
                    self._begin()
                    continue
                steps += self._note(results, actions, outputs)
                with self.to_module_time:
                    self.batch = self._next_batch(results[0], actions, results[1])
                self._end_episodes(ended, num_episodes)
        finally:
            self.module.train(training)
        self._hand_over()
        runner._done_episodes_for_metrics.extend(ended)
        cut = self._cut() if num_timesteps is not None else []
        return ended + cut, steps, len(ended)

    def _begin(self) -> None:
        """Take over where the runner is."""
        self.rows: list[SingleAgentEpisode] = self.runner._ongoing_episodes
        self.time = np.array([episode.t for episode in self.rows])
        self.started = np.array([episode.t_started for episode in self.rows])
        self.running = np.array([episode.is_reset for episode in self.rows])
        self.steps = OpenSteps(len(self.rows))
        self.batch, self.runner._cached_to_module = self.runner._cached_to_module, None
        state = self.batch[Columns.STATE_IN]
        if LIVE_STATE not in state:
            with torch.no_grad():
                held = {HELD_STATE: self.module.net.state(state), EPISODE_START: state[EPISODE_START]}
            self.batch = {**self.batch, Columns.STATE_IN: held}

    def _hand_over(self) -> None:
        """Leave the runner as RLlib's own way would, which may be the next to sample."""
        state = self.batch[Columns.STATE_IN]
        if HELD_STATE in state:
            tensors = memory.state_to_dict(memory.detach_state(state[HELD_STATE]))
            self.batch[Columns.STATE_IN] = {**tensors, EPISODE_START: state[EPISODE_START]}
        self.runner._cached_to_module = self.batch

    def _act(self) -> tuple[np.ndarray, Any, dict[str, np.ndarray]]:
        """Actions as episodes keep them, as the environment takes them, and what else the module said: all [N, ...]."""
        with self.forward_time, torch.no_grad():
            outputs = self.module._forward(self.batch)
        with self.to_env_time:
            self.live = outputs.pop(Columns.STATE_OUT)
            if LIVE_STATE in self.live:
                step = self.live[LIVE_STATE].step
                for row in np.flatnonzero(self.running).tolist():
                    MemoryJournal.of(self.rows[row]).note(int(self.time[row]), step, row)
            self.draw._get_actions(outputs, self.module, self.explore)
            arrays: Any = convert_to_numpy(outputs)
            columns = {name: column[:, 0] for name, column in arrays.items()}
            actions = columns.pop(Columns.ACTIONS)
            return actions, self._for_env(actions), columns

    def _for_env(self, actions: np.ndarray) -> Any:
        if isinstance(self.form, DecodeActions):
            return batched([self.form.decoded(action) for action in actions.copy()])
        if self.form.normalize_actions:
            return unsquash_action(actions.copy(), self.form._action_space_struct)
        return clip_action(actions.copy(), self.form._action_space_struct) if self.form.clip_actions else actions

    def _note(self, results: tuple[Any, ...], actions: np.ndarray, outputs: dict[str, np.ndarray]) -> int:
        """Note what the environments did: how many of them made a step, rather than begin an episode."""
        self.steps.add(results, actions, outputs)
        self.began = ~self.running
        for row in np.flatnonzero(self.began).tolist():
            self.steps.begin(self.rows[row], row)
        self.ended = self.running & np.logical_or(results[2], results[3])
        self.time[self.running] += 1
        stepped = int(self.running.sum())
        self.running[:] = True
        return stepped

    def _next_batch(self, observations: Any, actions: np.ndarray, rewards: np.ndarray) -> dict[str, Any]:
        """What the module is asked next."""
        for length in self.lengths:
            length.push(int((self.time - self.started).sum()))
        starts = self.time == 0
        columns = {Columns.OBS: tree.map_structure(_with_time, observations)}
        if self.previous_action is not None:
            taken = self.previous_action.one_hot(actions.reshape(len(actions), -1))
            columns[PREVIOUS_ACTION] = _with_time(np.where(starts[:, None], np.float32(0), taken))
        if self.previous_reward:
            earned = np.where(starts, 0.0, rewards).astype(np.float32)
            columns[PREVIOUS_REWARD] = _with_time(earned[:, None])
        device = self.to_tensor._device
        batch: Any = convert_to_torch_tensor(columns, pin_memory=self.to_tensor._pin_memory, device=device)
        self._keep_states(np.flatnonzero((self.time - self.started) % self.chunk == 0))
        batch[Columns.STATE_IN] = {**self.live, EPISODE_START: torch.from_numpy(starts).to(self.device)}
        return batch

    def _keep_states(self, rows: np.ndarray) -> None:
        """Keep the states of the rows at which a chunk begins."""
        for log in self._followed(rows):
            log.keep()

    def _followed(self, rows: np.ndarray) -> list[Any]:
        """The logs of some rows, with the states that they have now."""
        if not len(rows):
            return []
        sparse = LIVE_STATE in self.live
        state = self.live[LIVE_STATE] if sparse else memory.state_to_dict(self.live[HELD_STATE])
        logs: list[Any] = [(MemoryJournal if sparse else StateLog).of(self.rows[row]) for row in rows]
        for log, row in zip(logs, rows.tolist(), strict=True):
            log.follow(int(self.time[row]), state, row)
        return logs

    def _end_episodes(self, ended: list[SingleAgentEpisode], num_episodes: int | None) -> None:
        """Hand in the episodes that ended, and begin others in their place; no more than were asked for."""
        runner, rows = self.runner, self.rows
        for row in np.flatnonzero(self.began | self.ended).tolist():
            if self.began[row]:
                runner._make_on_episode_callback("on_episode_start", row, rows)
                continue
            self.steps.write(rows[row], row, runner._weights_seq_no)
            runner._make_on_episode_callback("on_episode_end", row, rows)
            ended.append(rows[row].to_numpy() if runner.episodes_to_numpy else rows[row])
            runner._new_episode(row, rows)
            self.time[row] = self.started[row] = 0
            self.running[row] = False
            if num_episodes is not None and len(ended) >= num_episodes:
                break
        self.steps.let_go()

    def _cut(self) -> list[SingleAgentEpisode]:
        """What there is of the episodes under way; the runner goes on with the rest of them."""
        runner, rows = self.runner, self.rows
        if hasattr(self, "live"):
            self._followed(np.flatnonzero(self.running))
        for row in np.flatnonzero(self.running).tolist():
            self.steps.write(rows[row], row, runner._weights_seq_no)
        horizon = runner.config.episode_lookback_horizon
        runner._ongoing_episodes = [episode.cut(len_lookback_buffer=horizon) for episode in rows]
        fragments = []
        for episode in rows:
            if episode.t == 0:
                continue
            episode.validate()
            runner._ongoing_episodes_for_metrics[episode.id_].append(episode)
            fragments.append(episode.to_numpy() if runner.episodes_to_numpy else episode)
        return fragments


def _with_time(part: np.ndarray) -> np.ndarray:
    """A copy with an axis of one step, [N, ...] to [N, 1, ...]: the environment may write into its own array."""
    return np.array(part[:, None], order="C")
