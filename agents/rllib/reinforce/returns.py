"""Returns-to-go of whole episodes, as a piece of a learner's connector.

Legend: B rows, T steps of a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.utils.numpy import convert_to_numpy
from ray.rllib.utils.postprocessing.zero_padding import unpad_data_if_necessary

from lukasa.agents.rllib.chunking import chunks

STEP_WEIGHTS = "step_weights"
"""Column of a train batch, float [B, T]: gamma to the power of the step of the episode."""


class ReturnsToGo(ConnectorV2):
    """Adds what each step of an episode was followed by, the discounted sum of its rewards, in place of RLlib's GAE.

    An episode that the environment truncated goes on with the value of its last observation, as everywhere here.

    Args:
        gamma: discount of one step.
        weighted: whether to add ``STEP_WEIGHTS``.
    """

    def __init__(self, *, gamma: float, weighted: bool):
        super().__init__()
        self.gamma, self.weighted = gamma, weighted

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: list[Any], **kwargs: Any) -> Any:
        """Returns-to-go as RLlib's ``VALUE_TARGETS``, [B, T]."""
        columns, module = batch[DEFAULT_MODULE_ID], rl_module[DEFAULT_MODULE_ID].unwrapped()
        played = list(self.single_agent_episode_iterator(episodes, agents_that_stepped_only=False))
        lengths = [len(episode) for episode in played]  # with the step that RLlib appends
        rewards = np.split(self._flat(columns[Columns.REWARDS], lengths), np.cumsum(lengths)[:-1])
        following = np.zeros(len(played))
        if any(not episode.is_terminated for episode in played):
            values = np.split(self._flat(module.compute_values(columns), lengths), np.cumsum(lengths)[:-1])
            over = np.array([episode.is_terminated for episode in played])
            following = np.where(over, 0.0, [own[-1] for own in values])
        found = [returns_to_go(own[:-1], self.gamma, after) for own, after in zip(rewards, following, strict=True)]
        columns[Postprocessing.VALUE_TARGETS] = self._in_rows(found, columns, module)
        if self.weighted:
            weights = [self.gamma ** np.arange(length - 1) for length in lengths]
            columns[STEP_WEIGHTS] = self._in_rows(weights, columns, module)
        return batch

    @staticmethod
    def _flat(column: Any, lengths: list[int]) -> np.ndarray:
        return np.asarray(unpad_data_if_necessary(lengths, convert_to_numpy(column)), np.float64)

    @staticmethod
    def _in_rows(values: list[np.ndarray], columns: Any, module: Any) -> Any:
        """Numbers of each episode's steps as the other columns are cut, [B, T]; 0 for the step that was appended."""
        length = module.model_config["max_seq_len"]
        padded = [np.append(own, 0.0).astype(np.float32) for own in values]
        rewards = columns[Columns.REWARDS]
        if module.is_stateful():
            found = np.stack([row for own in padded for row in chunks(list(own), length)])
        else:
            found = np.concatenate(padded)
        return torch.from_numpy(found).to(rewards.device)


def returns_to_go(rewards: np.ndarray, gamma: float, following: float = 0.0) -> np.ndarray:
    """R_t = r_t + gamma R_{t+1}.

    Args:
        rewards: [T].
        gamma: discount of one step.
        following: what comes after the last step.

    Example:
        >>> returns_to_go(np.array([0.0, 0.0, 1.0]), 0.5).tolist()
        [0.25, 0.5, 1.0]
    """
    found = np.zeros(len(rewards))
    for t in reversed(range(len(rewards))):
        found[t] = following = rewards[t] + gamma * following
    return found
