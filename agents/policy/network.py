"""A memory agent's network: encoder, core and heads.

Legend: B batch (rows), T time, K output width of the core, L numbers that the policy puts out for one action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.policy.actions import action_width
from lukasa.agents.policy.encoders import Encoder
from lukasa.agents.policy.masks import action_mask
from lukasa.agents.policy.normalization import ObservationNormalizer
from lukasa.agents.policy.positions import ASKED, POSITION, PositionPart, core_reads_position
from lukasa.agents.policy.settings import MemorySettings


class PolicyNetwork(nn.Module):
    """Encoder and core: what an agent sees to features [B, T, K], which its heads read.

    Args:
        observation_space: of the environment, Gymnasium's or one of ``lukasa.ground.spaces``.
        action_space: of the environment.
        settings: what the agent is made of.
        build_core: makes the core for inputs of a width, and options by name; that of the settings when None.

    Attributes:
        normalizer: scales what is observed; None where the settings ask for none.
        mask: says which choices an observation allows; None where observations say nothing of it.
        position: finds the observation's position, which a core that reads one sees as its last two numbers; else None.

    Raises:
        ValueError: a space is not supported.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        settings: MemorySettings,
        build_core: Callable[..., memory.Core] | None = None,
    ):
        super().__init__()
        self.settings = settings
        self.mask = action_mask(observation_space, action_space)
        self.encoder = Encoder(observation_space, settings.embedding_size)
        extra = action_width(action_space) * settings.previous_action + settings.previous_reward
        reads = core_reads_position(settings.core, settings.core_options, observation_space)
        self.position = PositionPart(observation_space) if reads else None
        found = {POSITION: ASKED} if reads else {}
        self.core = (build_core or settings.build_core)(self.encoder.output_size + extra + 2 * reads, **found)
        asked = settings.normalize_observations
        self.normalizer = ObservationNormalizer(observation_space, settings.previous_reward) if asked else None

    def inputs(self, observations: Any, previous_action: Tensor | None, previous_reward: Tensor | None) -> Tensor:
        """What the core sees, [B, T, input_size].

        Args:
            observations: [B, T, ...], nested as the space is.
            previous_action: what was done before, [B, T, width], one-hot where discrete; read where asked for.
            previous_reward: what that earned, [B, T, 1]; read where asked for.
        """
        place = [self.position(observations)] if self.position else []
        if self.normalizer:
            observations = self.normalizer(observations)
            previous_reward = self.normalizer.reward(previous_reward) if self.normalizer.reward else previous_reward
        parts = [self.encoder(observations)]
        if self.settings.previous_action:
            assert previous_action is not None
            parts.append(previous_action)
        if self.settings.previous_reward:
            assert previous_reward is not None
            parts.append(previous_reward)
        return torch.cat([*parts, *place], -1)

    def masked(self, outputs: Tensor, observations: Any) -> Tensor:
        """What a head puts out for actions, [B, T, L], without what the observations do not allow."""
        return outputs if self.mask is None else self.mask(outputs, observations)

    def features(self, inputs: Tensor, state: memory.State, used: int | None = None) -> tuple[Tensor, memory.State]:
        """Features [B, T, K] and the state after the last step.

        Args:
            inputs: [B, T, input_size].
            state: before the first step.
            used: steps that some row has; the others are padding, whose features are zero. All by default.
        """
        length = inputs.shape[1]
        used = length if used is None else used
        outputs, state = memory.unroll(self.core, inputs[:, :used], state)
        return F.pad(torch.tanh(outputs), (0, 0, 0, length - used)), state


def policy_head(settings: MemorySettings, width: int) -> nn.Linear:
    """From features [B, T, K] to the L numbers that a distribution of actions is made of.

    Args:
        settings: what the agent is made of.
        width: L.
    """
    return nn.Linear(settings.output_size, width)


def value_head(settings: MemorySettings) -> nn.Sequential:
    """From features [B, T, K] to the value of each step, [B, T, 1]."""
    size = settings.output_size
    return nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1))
