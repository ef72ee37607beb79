"""Actions of any supported space: the distribution that they are drawn from, and their way to the environment.

RLlib's own distributions serve the plain spaces. Any other action is drawn as one flat vector, whole-number choices
first and then real numbers, which ``DecodeActions`` turns into what the environment takes.

Legend: B batch, T time, C choices of one action, N the most options that one of them has, R real numbers of one action.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
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

from lukasa.agents.rllib.encoders import named

MOST_OUTPUTS = 1_000_000
"""Numbers that the policy may put out for one action: more would not fit into a network of reasonable size."""

FEW_INTEGERS = 32
"""Integers that an element of a box may take if each of them is to be an option; more are a rounded real number."""

NEVER = -1e9
"""Logit of an option that pads a shorter list; finite, so that differences of two of them are no NaN."""


@dataclass(frozen=True)
class _Leaf:
    """A part of an action: choices, each with its number of options, or real numbers."""

    space: gym.Space
    options: tuple[int, ...]
    numbers: int


class ActionLayout:
    """Where the parts of an action lie in its flat vector.

    Args:
        space: of the actions.

    Attributes:
        options: how many each choice has, in order.
        numbers: R.

    Raises:
        ValueError: the space is not supported.
    """

    def __init__(self, space: gym.Space):
        self.space = space
        self.leaves = [_leaf(part, space) for part in _parts(space)]
        self.options = tuple(count for leaf in self.leaves for count in leaf.options)
        self.numbers = sum(leaf.numbers for leaf in self.leaves)
        choices = sum(self.options) if is_plain(space) else len(self.options) * max(self.options, default=0)
        outputs = choices + 2 * self.numbers
        if not outputs:
            raise ValueError(f"action space {named(space)} leaves nothing to decide: use one that does")
        if outputs > MOST_OUTPUTS:
            raise ValueError(
                f"action space {named(space)} is too large: the policy would put out {outputs:,} numbers a step, and "
                f"at most {MOST_OUTPUTS:,} are supported; a wrapper can offer fewer actions"
            )

    @property
    def logits(self) -> int:
        """What the policy puts out: the logits of all options, then the means and then the log deviations."""
        return sum(self.options) + 2 * self.numbers

    @property
    def width(self) -> int:
        """How wide an action is once every choice is one-hot."""
        return sum(self.options) + self.numbers

    def one_hot(self, flat: np.ndarray) -> np.ndarray:
        """Flat actions [T, C + R] with each choice one-hot, as a network reads them: float32 [T, width]."""
        choices, numbers = flat[:, : len(self.options)].astype(np.int64), flat[:, len(self.options) :]
        offsets = np.cumsum([0, *self.options[:-1]])[: len(self.options)].astype(np.int64)
        shown = np.zeros((len(flat), self.width), np.float32)
        np.put_along_axis(shown, choices + offsets, 1.0, axis=1)
        shown[:, sum(self.options) :] = numbers
        return shown

    def decode(self, flat: np.ndarray, *, normalized: bool = True) -> Any:
        """The action inside its space that a flat vector [C + R] stands for.

        Args:
            flat: choices from 0, then real numbers.
            normalized: where both bounds of a number are known, -1 and 1 stand for them, as in RLlib.
        """
        flat = np.asarray(flat, np.float64)
        choices, numbers = np.split(flat, [len(self.options)])
        parts = []
        for leaf in self.leaves:
            chosen, choices = np.split(choices, [len(leaf.options)])
            given, numbers = np.split(numbers, [leaf.numbers])
            parts.append(_number(leaf.space, given, normalized) if leaf.numbers else _chosen(leaf.space, chosen))
        return _nested(self.space, iter(parts))


def is_plain(space: gym.Space) -> bool:
    """Whether RLlib's own distributions and pieces bring every action of a space into it."""
    if isinstance(space, gym.spaces.Discrete):
        return int(space.start) == 0
    if isinstance(space, gym.spaces.MultiDiscrete):
        return space.nvec.ndim == 1 and not space.start.any()
    if not (isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and space.dtype in (np.float32, np.float64)):
        return False
    below, above = space.bounded_below, space.bounded_above
    with np.errstate(over="ignore"):
        finite = bool(below.all() and above.all()) and bool(np.isfinite(space.high - space.low).all())
    return finite or not (below.any() or above.any())


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


def action_width(space: gym.Space) -> int:
    """How wide an action is once every discrete part is one-hot."""
    return ActionLayout(space).width


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


def _parts(space: gym.Space) -> Iterator[gym.Space]:
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
        if not len(space):
            raise ValueError(f"action space {named(space)}, or a part of one, is empty: leave it out")
        for part in space.values() if isinstance(space, gym.spaces.Dict) else space:
            yield from _parts(part)
    else:
        yield space


def _nested(space: gym.Space, parts: Iterator[Any]) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {name: _nested(part, parts) for name, part in space.items()}
    return tuple(_nested(part, parts) for part in space) if isinstance(space, gym.spaces.Tuple) else next(parts)


def _leaf(space: gym.Space, whole: gym.Space) -> _Leaf:
    if isinstance(space, gym.spaces.Discrete):
        return _Leaf(space, (int(space.n),), 0)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return _Leaf(space, tuple(map(int, space.nvec.flat)), 0)
    if isinstance(space, gym.spaces.MultiBinary):
        return _Leaf(space, (2,) * math.prod(space.shape), 0)
    if isinstance(space, gym.spaces.Box) and space.dtype.kind in "biuf" and space.dtype.itemsize <= 8:
        if space.dtype.kind in "biu":
            spans = [int(high) - int(low) + 1 for low, high in zip(space.low.flat, space.high.flat, strict=True)]
            if spans and max(spans) <= FEW_INTEGERS:
                return _Leaf(space, tuple(spans), 0)
        return _Leaf(space, (), math.prod(space.shape))
    part = "" if space is whole else f"part {named(space)} of "
    raise ValueError(
        f"{part}action space {named(whole)} is not supported: use Discrete, MultiDiscrete, MultiBinary, Box, or a "
        "Dict or Tuple of these; a wrapper can convert the rest"
    )


def _chosen(space: Any, choices: np.ndarray) -> Any:
    """Choices from 0 as the space counts them."""
    if isinstance(space, gym.spaces.Discrete):
        return np.asarray(int(choices[0]) + int(space.start), getattr(space, "dtype", np.int64))[()]
    first = space.start if isinstance(space, gym.spaces.MultiDiscrete) else getattr(space, "low", np.zeros(space.shape))
    values = [int(choice) + int(start) for choice, start in zip(choices, np.asarray(first).flat, strict=True)]
    return np.array(values, object).astype(space.dtype).reshape(space.shape)


def _number(space: Any, numbers: np.ndarray, normalized: bool) -> np.ndarray:
    """Real numbers [R] as an element of a box: scaled where both bounds are known, rounded to integers, clipped."""
    low, high = (np.asarray(bound, np.float64).ravel() for bound in (space.low, space.high))
    both = (space.bounded_below & space.bounded_above).ravel()
    share = np.clip((numbers + 1) / 2, 0, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = low * (1 - share) + high * share
        values = np.clip(np.where(both & normalized, scaled, numbers), low, high)
        if space.dtype.kind in "biu":
            values = np.rint(values)
        cast = values.astype(space.dtype)
    # a double rounds the ends of wide integers, and a narrow float may round past a bound
    cast = np.where(values <= low, space.low.ravel(), np.where(values >= high, space.high.ravel(), cast))
    finite = np.finfo(space.dtype).max if space.dtype.kind == "f" else None
    cast = cast if finite is None else np.clip(cast, -finite, finite)
    return np.clip(cast, space.low.ravel(), space.high.ravel()).astype(space.dtype).reshape(space.shape)


def _padded(logits: Tensor, options: tuple[int, ...]) -> Tensor:
    """Logits of all choices [..., sum of options] side by side: [..., C, N]."""
    most = max(options)
    if min(options) == most:
        return logits.unflatten(-1, (len(options), most))
    real = torch.arange(most) < torch.tensor(options)[:, None]
    padded = logits.new_full((*logits.shape[:-1], *real.shape), NEVER)
    padded[..., real.to(logits.device)] = logits
    return padded
