"""A memory agent that acts by the values of its actions.

Legend: B batch (rows), T time, P steps before those that are learned, A actions, K output width of the core.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import gymnasium as gym
import torch
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical, TorchDeterministic
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import QNetAPI
from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.policy.actions import is_plain
from lukasa.agents.policy.initialization import make_orthogonal
from lukasa.agents.policy.q_head import QHead
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib.actions import NEVER
from lukasa.agents.rllib.module import (
    MEMORY_COST,
    PREVIOUS_ACTION,
    PREVIOUS_REWARD,
    MemoryNetwork,
    MemoryRLModule,
)
from lukasa.ground.spaces import named

STARTS = "episode_starts"
"""Column, bool [B, T]: the step is the first of its episode."""
PREFIX = "prefix_steps"
"""Column, int64 [B], P in every row: steps that only bring the memory to where learning begins."""

Q_VALUES, TARGET_Q_VALUES = "q_values", "target_q_values"
"""What ``_forward_train`` returns: [B, T - P, A]."""


class EpsilonGreedy(TorchCategorical):
    """The action of the largest value, or with probability epsilon any.

    Attributes:
        epsilon: probability of an action at random.
        flat: whether an action is a vector of one number, as those of a space that does not begin at zero are.
    """

    epsilon: ClassVar[Tensor] = torch.zeros(())
    flat: ClassVar[bool] = False

    def sample(self, *, sample_shape: Any = None) -> Tensor:
        """Draw actions; one that is masked out is never drawn."""
        values = cast(Tensor, self.logits)
        allowed = values > NEVER / 2
        at_random = torch.multinomial(allowed.flatten(0, -2).float(), 1).view(values.shape[:-1])
        lucky = torch.rand(values.shape[:-1], device=values.device) < self.epsilon
        return self._shaped(torch.where(lucky, at_random, values.argmax(-1)))

    def logp(self, value: Any, **kwargs: Any) -> Tensor:
        """Log probability of actions."""
        values = cast(Tensor, self.logits)
        actions = value.long().view(values.shape[:-1])
        allowed = (values > NEVER / 2).sum(-1)
        greedy = (actions == values.argmax(-1)).float()
        return (self.epsilon / allowed + (1 - self.epsilon) * greedy).clamp(min=1e-12).log()

    def to_deterministic(self) -> TorchDeterministic:
        """The action of the largest value."""
        return TorchDeterministic(loc=self._shaped(cast(Tensor, self.logits).argmax(-1)))

    @staticmethod
    def required_input_dim(space: gym.Space, **kwargs: Any) -> int:
        """A."""
        return int(cast(gym.spaces.Discrete, space).n)

    def _shaped(self, actions: Tensor) -> Tensor:
        return actions.unsqueeze(-1) if self.flat else actions


class MemoryQModule(MemoryRLModule, QNetAPI):
    """Encoder, core and the values of actions, for DQN.

    ``model_config`` holds the fields of ``MemorySettings``, ``max_seq_len``, ``dueling`` and ``first_epsilon``.
    """

    epsilon: Tensor

    def setup(self) -> None:
        """Build the parts.

        Raises:
            ValueError: the observation space is not supported, or actions are no choice of one out of some.
        """
        config: Any = self.model_config
        settings = MemorySettings.from_model_config(config)
        space = self.action_space
        if not isinstance(space, gym.spaces.Discrete):
            raise ValueError(
                f"action space {named(space)} is not one that action values can be learned for: they need Discrete, "
                "one choice out of some; use ppo, or a wrapper"
            )
        greedy = type("EpsilonGreedy", (EpsilonGreedy,), {"flat": not is_plain(space)})
        self.action_dist_cls = cast(Any, greedy)
        self.net = MemoryNetwork(self.observation_space, space, settings)
        head = QHead(settings.output_size, int(space.n), dueling=config.get("dueling", True))
        self.policy_head = cast(Any, head)
        if settings.orthogonal:
            make_orthogonal(self.net.encoder, self.net.core, cast(nn.Linear, head.advantage[0]))
        self.return_scale = None
        self.register_buffer("epsilon", torch.tensor(float(config.get("first_epsilon", 1.0))))

    def get_exploration_action_dist_cls(self) -> Any:
        """Epsilon-greedy, with the epsilon that came with the weights."""
        self.action_dist_cls.epsilon = self.epsilon
        return self.action_dist_cls

    def compute_q_values(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What RLlib asks of a network of action values: those of all steps of a batch."""
        return {"qf_preds": self.policy_head(self.net(batch))}

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        with memory.collect_auxiliary(self.core) as auxiliary:
            features = replayed(self.net, batch)
        inside = batch.get(Columns.LOSS_MASK)
        cost = auxiliary.cost(None if inside is None else inside[:, _prefix(batch) :])
        with torch.no_grad():
            target = self.target_policy_head(replayed(cast(MemoryNetwork, self.target_net), batch))
        prefix = _prefix(batch)
        seen = _between(batch, prefix, prefix + features.shape[1])[Columns.OBS]
        values = self.net.masked(self.policy_head(features), seen)
        outputs = {Q_VALUES: values, TARGET_Q_VALUES: self.net.masked(target, seen)}
        return outputs if cost is None else {**outputs, MEMORY_COST: cost}

    def make_target_networks(self) -> None:
        """Copy what values actions."""
        super().make_target_networks()
        self.target_policy_head = make_target_network(self.policy_head)

    def get_non_inference_attributes(self) -> list[str]:
        """What a runner does without."""
        return ["target_net", "target_policy_head"]


def replayed(net: MemoryNetwork, batch: dict[str, Any]) -> Tensor:
    """Features of the steps that are learned, [B, T - P, K].

    The P steps before them are run without gradient, to bring the memory to where the network of now would have it
    ("burn-in", Kapturowski et al. 2019).
    """
    prefix, starts = _prefix(batch), batch[STARTS]
    state = net.state(batch[Columns.STATE_IN])
    if prefix:
        with torch.no_grad(), memory.collect_auxiliary(net.core):
            inputs = net.encode(_between(batch, 0, prefix))
            _, state = memory.unroll(net.core, inputs, memory.detach_state(state), starts[:, :prefix])
        state = memory.detach_state(state)
    inputs = net.encode(_between(batch, prefix, starts.shape[1]))
    outputs, _ = memory.unroll(net.core, inputs, state, starts[:, prefix:])
    return torch.tanh(outputs)


def _prefix(batch: dict[str, Any]) -> int:
    return int(batch[PREFIX][0])


def _between(batch: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    """The columns that are encoded, of some steps."""
    names = (Columns.OBS, PREVIOUS_ACTION, PREVIOUS_REWARD)
    found = {name: batch[name] for name in names if name in batch}
    return cast(Any, tree.map_structure(lambda column: column[:, first:last], found))
