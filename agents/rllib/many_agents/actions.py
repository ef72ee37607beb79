"""Actions of many agents, whose spaces may differ, on their way to the environment."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.utils.spaces.space_utils import clip_action, get_base_struct_from_space, unsquash_action

from lukasa.agents.policy.actions import ActionLayout, is_plain


class DecodeEachAgentsActions(ConnectorV2):
    """Module to environment, in place of RLlib's ``NormalizeAndClipActions``, where the space of an agent is not plain.

    Args:
        input_observation_space: of the environment, by agent.
        input_action_space: of the environment, by agent.
        normalize_actions, clip_actions: as in RLlib.
    """

    def __init__(
        self,
        input_observation_space: gym.Space | None = None,
        input_action_space: gym.Space | None = None,
        *,
        normalize_actions: bool = True,
        clip_actions: bool = False,
    ):
        self.normalize_actions, self.clip_actions = normalize_actions, clip_actions
        kept: Any = {"normalize_actions": normalize_actions, "clip_actions": clip_actions}
        super().__init__(input_observation_space, input_action_space, **kept)

    def recompute_output_action_space(self, input_observation_space: gym.Space, input_action_space: gym.Space) -> Any:
        """The actions' own spaces."""
        spaces: Any = input_action_space
        self._plain = {agent: get_base_struct_from_space(space) for agent, space in spaces.items() if is_plain(space)}
        self._layouts = {agent: ActionLayout(space) for agent, space in spaces.items() if not is_plain(space)}
        return input_action_space

    def __call__(self, *, batch: dict[str, Any], **kwargs: Any) -> Any:
        """Add ``ACTIONS_FOR_ENV``; the episodes keep what the policies drew."""
        batch[Columns.ACTIONS_FOR_ENV] = copy.deepcopy(batch[Columns.ACTIONS])
        self.foreach_batch_item_change_in_place(batch=batch, column=Columns.ACTIONS_FOR_ENV, func=self._for_env)
        return batch

    def _for_env(self, action: np.ndarray, _: Any, agent: Any, __: Any) -> Any:
        if agent in self._layouts:
            return self._layouts[agent].decode(action, normalized=self.normalize_actions)
        if self.normalize_actions:
            return unsquash_action(action, self._plain[agent])
        return clip_action(action, self._plain[agent]) if self.clip_actions else action
