"""Actions of any supported space: the distribution that they are drawn from, and their way to the environment.

RLlib's own distributions serve the plain spaces. Any other action is drawn as one flat vector, whole-number choices
first and then real numbers, which ``DecodeActions`` turns into what the environment takes.

Legend: B batch, T time, C choices of one action, N the most options that one of them has, R real numbers of one action.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchCategorical,
    TorchDeterministic,
    TorchDiagGaussian,
    TorchMultiCategorical,
)
from torch import Tensor
from torch.distributions import Categorical, Normal, kl_divergence

from lukasa.agents.policy.actions import ActionLayout, is_plain

NEVER = -1e9
"""Logit of an option that pads a shorter list; finite, so that differences of two of them are no NaN."""


def action_distribution(space: gym.Space) -> Any:
    """The class of distribution for an action space.

    Raises:
        ValueError: the space is not supported.
    """
    layout = ActionLayout(space)
    if not is_plain(space):
        return type("FlatActions", (FlatDistribution,), {"layout": layout})
    if isinstance(space, gym.spaces.Discrete):
        return TorchCategorical
    if isinstance(space, gym.spaces.MultiDiscrete):
        multi: Any = TorchMultiCategorical  # RLlib's type hints take the class for an instance
        return multi.get_partial_dist_cls(space=space, input_lens=[int(n) for n in space.nvec])
    return TorchDiagGaussian


class FlatDistribution(Distribution):
    """Independent choices and normally distributed numbers: logits [B, T, layout.logits] to actions [B, T, C + R]."""

    layout: ClassVar[ActionLayout]

    def __init__(self, logits: Tensor):
        super().__init__()
        options, numbers = self.layout.options, self.layout.numbers
        choices, self.means, deviations = logits.split([sum(options), numbers, numbers], -1)
        self.choices = Categorical(logits=_padded(choices, options), validate_args=False) if options else None
        self.numbers = Normal(self.means, deviations.exp(), validate_args=False)

    def sample(self, *, sample_shape: Any = None, **kwargs: Any) -> Tensor:
        """Draw actions."""
        shape = torch.Size() if sample_shape is None else sample_shape
        numbers = self.numbers.sample(shape)
        return torch.cat([self.choices.sample(shape).to(numbers), numbers], -1) if self.choices else numbers

    def rsample(self, *, sample_shape: Any = None, **kwargs: Any) -> Tensor:
        """Not there: choices have no gradient."""
        raise NotImplementedError("actions of a mixed space have no gradient")

    def logp(self, value: Any, **kwargs: Any) -> Tensor:
        """Log-probability of actions: [B, T, C + R] -> [B, T]."""
        choices, numbers = value.split([len(self.layout.options), self.layout.numbers], -1)
        logp = self.numbers.log_prob(numbers).sum(-1)
        return logp + self.choices.log_prob(choices.long()).sum(-1) if self.choices else logp

    def entropy(self, **kwargs: Any) -> Tensor:
        """[B, T], nats."""
        entropy = self.numbers.entropy().sum(-1)
        return entropy + self.choices.entropy().sum(-1) if self.choices else entropy

    def kl(self, other: Distribution, **kwargs: Any) -> Tensor:
        """Divergence from another: [B, T], nats."""
        assert isinstance(other, FlatDistribution)
        divergence = kl_divergence(self.numbers, other.numbers).sum(-1)
        if self.choices and other.choices:
            divergence = divergence + kl_divergence(self.choices, other.choices).sum(-1)
        return divergence

    @classmethod
    def from_logits(cls, logits: Any, **kwargs: Any) -> FlatDistribution:
        """The distribution that a policy puts out."""
        return cls(logits)

    @staticmethod
    def required_input_dim(space: gym.Space, **kwargs: Any) -> int:
        """Width of the logits."""
        return ActionLayout(space).logits

    def to_deterministic(self) -> TorchDeterministic:
        """The likeliest action."""
        if not self.choices:
            return TorchDeterministic(self.means)
        return TorchDeterministic(torch.cat([self.choices.logits.argmax(-1).to(self.means), self.means], -1))


class DecodeActions(ConnectorV2):
    """Module to environment, in place of RLlib's ``NormalizeAndClipActions``: flat vectors to actions of the space.

    Args:
        input_observation_space: of the environment.
        input_action_space: of the environment.
        normalize_actions: as in RLlib.
    """

    def __init__(
        self,
        input_observation_space: gym.Space | None = None,
        input_action_space: gym.Space | None = None,
        *,
        normalize_actions: bool = True,
    ):
        self.normalize_actions = normalize_actions
        super().__init__(input_observation_space, input_action_space, normalize_actions=normalize_actions)

    def recompute_output_action_space(self, input_observation_space: gym.Space, input_action_space: gym.Space) -> Any:
        """The actions' own space."""
        self._layout = ActionLayout(input_action_space)
        return input_action_space

    def __call__(self, *, batch: dict[str, Any], **kwargs: Any) -> Any:
        """Add ``ACTIONS_FOR_ENV``; the episodes keep the flat vectors."""
        batch[Columns.ACTIONS_FOR_ENV] = copy.deepcopy(batch[Columns.ACTIONS])
        self.foreach_batch_item_change_in_place(batch=batch, column=Columns.ACTIONS_FOR_ENV, func=self.decoded)
        return batch

    def decoded(self, action: np.ndarray, *_: Any) -> Any:
        """One flat vector as the environment takes it."""
        return self._layout.decode(action, normalized=self.normalize_actions)


def _padded(logits: Tensor, options: tuple[int, ...]) -> Tensor:
    """Logits of all choices [..., sum of options] side by side: [..., C, N]."""
    most = max(options)
    if min(options) == most:
        return logits.unflatten(-1, (len(options), most))
    real = torch.arange(most) < torch.tensor(options)[:, None]
    padded = logits.new_full((*logits.shape[:-1], *real.shape), NEVER)
    padded[..., real.to(logits.device)] = logits
    return padded
