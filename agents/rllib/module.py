"""One RLModule for every memory core.

Legend: B batch (rows), T time, K output width of the core.
"""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import (
    TARGET_NETWORK_ACTION_DIST_INPUTS,
    InferenceOnlyAPI,
    TargetNetworkAPI,
    ValueFunctionAPI,
)
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.policy.initialization import make_orthogonal
from lukasa.agents.policy.network import PolicyNetwork, policy_head, value_head
from lukasa.agents.policy.normalization import ReturnScale
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib.actions import action_distribution
from lukasa.agents.rllib.journal import LiveState
from lukasa.agents.rllib.sparse_states import followed, restored, sparse_parts, with_fresh_rows

EPISODE_START = "episode_start"
"""Key of a state dict, bool [B]: the row begins an episode, whatever its other tensors hold."""
LIVE_STATE = "live_state"
"""Key of a state dict on a runner whose core has a sparse memory: the ``LiveState``, in place of all tensors."""
LIVE_STATES = "live_states"
"""Key of a state dict on a runner of many agents, in place of the one above: one ``LiveState`` of one row for each of
them, None where its episode begins."""
HELD_STATE = "held_state"
"""Key of a state dict on a runner that samples its episodes side by side: the core's state as it is."""
PREVIOUS_ACTION = "previous_action"
"""Column of a batch, float [B, T, width], which ``connectors.AddPreviousStep`` fills as it does ``PREVIOUS_REWARD``."""
PREVIOUS_REWARD = "previous_reward"
"""Column of a batch, float [B, T, 1]."""

MEMORY_COST = "memory_cost"
"""What ``_forward_train`` returns beside RLlib's columns where the core has costs of its own: their mean over steps."""

INPUTS = (Columns.OBS, PREVIOUS_ACTION, PREVIOUS_REWARD)
"""Columns that a module reads beside the state."""

VALUE_ROWS = 256
"""Rows valued at once outside the loss: bounds what advantage estimation needs for a whole train batch."""


class MemoryNetwork(PolicyNetwork):
    """Encoder and core: the columns of a batch to features [B, T, K] and the state after the last step.

    Attributes:
        sparse: whether the core has a sparse memory, which lives on the runner as one object and changes in place.
    """

    def __init__(self, observation_space: gym.Space, action_space: gym.Space, settings: MemorySettings):
        super().__init__(observation_space, action_space, settings)
        self.sparse = any(True for _ in sparse_parts(self.core.initial_state(1)))

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Features of the rows of a batch, run from their states, ``Columns.STATE_IN``."""
        return self._run(batch, self.state(batch[Columns.STATE_IN]))[0]

    def act(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Features, and the state as it came: tensors, a state, or a ``LiveState`` that also tells of the step."""
        state_in = batch[Columns.STATE_IN]
        if LIVE_STATES in state_in:
            return self._act_apart(batch, state_in)
        if HELD_STATE in state_in:
            features, state = self._run(batch, self._begun(state_in[HELD_STATE], state_in[EPISODE_START]))
            return features, {HELD_STATE: state}
        started = {EPISODE_START: torch.zeros_like(state_in[EPISODE_START])}
        if LIVE_STATE not in state_in:
            features, state = self._run(batch, self.state(state_in))
            return features, {**memory.state_to_dict(state), **started}
        state = state_in[LIVE_STATE].state
        if state_in[EPISODE_START].any():
            state = with_fresh_rows(self.core.initial_state(1), state, state_in[EPISODE_START])
        with followed(state) as recordings:
            features, state = self._run(batch, state)
        step = {path: recording.record() for path, recording in recordings.items()}
        return features, {LIVE_STATE: LiveState(memory.detach_state(state), step), **started}

    def _act_apart(self, batch: dict[str, Any], state_in: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Each row with a sparse memory of its own: those that act together are others in every step."""
        columns = {name: part for name, part in batch.items() if name in INPUTS}
        features, states = [], []
        for row, live in enumerate(state_in[LIVE_STATES]):
            one: Any = tree.map_structure(lambda part, row=row: part[row : row + 1], columns)
            live = LiveState(self.core.initial_state(1)) if live is None else live
            started = {EPISODE_START: torch.zeros_like(state_in[EPISODE_START][:1])}
            seen, after = self.act({**one, Columns.STATE_IN: {LIVE_STATE: live, **started}})
            features.append(seen)
            states.append(after[LIVE_STATE])
        return torch.cat(features), {LIVE_STATES: states}

    def _run(self, batch: dict[str, Any], state: memory.State) -> tuple[Tensor, memory.State]:
        inputs = self.encode(batch)
        return self.features(inputs, state, used_steps(batch, inputs.shape[1]))

    def encode(self, batch: dict[str, Any]) -> Tensor:
        """What the core sees, [B, T, input_size]."""
        return self.inputs(batch[Columns.OBS], batch.get(PREVIOUS_ACTION), batch.get(PREVIOUS_REWARD))

    def state(self, tensors: dict[str, Tensor]) -> memory.State:
        """The core's state before the first step.

        Rows that begin an episode take the initial state from the core's weights of now, so that a learned initial
        state gets its gradient; the other rows take what was kept for them.
        """
        starts = tensors[EPISODE_START]
        if any(name.endswith(".choices") for name in tensors):
            return restored(self.core, tensors, starts)
        kept = {name: tensor for name, tensor in tensors.items() if name != EPISODE_START}
        if not kept or starts.all():
            return self.core.initial_state(len(starts))
        return self._begun(memory.state_from_dict(self.core, kept), starts)

    def _begun(self, state: memory.State, starts: Tensor) -> memory.State:
        """A state whose rows that begin an episode are initial, by ``starts`` [B]."""
        if starts.all():
            return self.core.initial_state(len(starts))
        # several learners wait for the gradient of every weight, so those of a learned initial state take part even
        # where no row of a minibatch begins an episode; it is zero then
        if torch.is_grad_enabled() or starts.any():
            state = memory.reset_rows(state, self.core.initial_state(len(starts)), starts)
        return state


def used_steps(batch: dict[str, Any], length: int) -> int:
    """How many of ``length`` steps some row has; rows shorter than max_seq_len are padded on the right.

    Steps that are padding in every row need no core.
    """
    return int(batch[Columns.SEQ_LENS].max()) if Columns.SEQ_LENS in batch else length


class MemoryRLModule(TorchRLModule, ValueFunctionAPI, TargetNetworkAPI, InferenceOnlyAPI):
    """Encoder, core, policy head and value head, for PPO, APPO and IMPALA.

    ``model_config`` holds the fields of ``MemorySettings`` and ``max_seq_len``.
    """

    net: MemoryNetwork
    policy_head: nn.Linear
    value_head: nn.Sequential

    def setup(self) -> None:
        """Build the parts.

        Raises:
            ValueError: the observation or action space is not supported.
        """
        settings = MemorySettings.from_model_config(self.model_config)
        self.action_dist_cls = action_distribution(self.action_space)
        self.net = MemoryNetwork(self.observation_space, self.action_space, settings)
        self.policy_head = policy_head(settings, self.action_dist_cls.required_input_dim(self.action_space))
        self.value_head = value_head(settings)
        if settings.orthogonal:
            make_orthogonal(self.net.encoder, self.net.core, cast(nn.Linear, self.value_head[0]))
        self.return_scale = None
        if settings.normalize_returns:
            self.return_scale = ReturnScale()
            for parameter in self.value_head[-1].parameters():
                nn.init.zeros_(parameter)  # first values that had a scale would have a wrong one
        # a first policy close to uniform explores; a large one would commit before anything is learned
        nn.init.orthogonal_(self.policy_head.weight, 0.01)
        nn.init.zeros_(self.policy_head.bias)

    @property
    def core(self) -> memory.Core:
        """The memory core."""
        return self.net.core

    def get_initial_state(self) -> dict[str, np.ndarray]:
        """The state of one row at an episode's start, without a batch axis."""
        tensors = memory.state_to_dict(self.core.initial_state(1))
        state = {name: tensor[0].detach().cpu().numpy() for name, tensor in tensors.items()}
        return {**state, EPISODE_START: np.array(True)}

    def initial_live_state(self, batch_size: int) -> dict[str, Any]:
        """The state of all of a runner's episodes at their start, as ``STATE_OUT`` gives it after each step."""
        if self.net.sparse:
            return {LIVE_STATE: LiveState(self.core.initial_state(batch_size))}
        initial = {name: torch.as_tensor(part) for name, part in self.get_initial_state().items()}
        return {name: part.expand(batch_size, *part.shape) for name, part in initial.items()}

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features, state = self.net.act(batch)
        outputs = self.outputs(features, batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: outputs, Columns.STATE_OUT: state}

    def outputs(self, features: Tensor, observations: Any) -> Tensor:
        """What a distribution of actions is made of, [B, T, L], of features [B, T, K]; masked by the observations."""
        return self.net.masked(self.policy_head(features), observations)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        with memory.collect_auxiliary(self.core) as auxiliary:
            features = self.net(batch)
        inside = batch.get(Columns.LOSS_MASK)
        if inside is not None:
            inside = inside[:, : used_steps(batch, features.shape[1])]
        cost = auxiliary.cost(inside)
        logits = self.outputs(features, batch[Columns.OBS])
        outputs = {Columns.ACTION_DIST_INPUTS: logits, Columns.EMBEDDINGS: features}
        return outputs if cost is None else {**outputs, MEMORY_COST: cost}

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Value estimates [B, T].

        Args:
            batch: the columns of a train batch.
            embeddings: what ``_forward_train`` returned for this batch, in a loss. Without them the batch is unrolled
                again and no gradient reaches the core: RLlib's advantage estimation asks for the values of a whole
                train batch, with gradients enabled that nobody uses.

        Returns:
            Expected returns; in a loss, where returns are normalised, in units of their spread: its learner divides
            what it compares them with (``lukasa.agents.rllib.learners``).
        """
        features = self._features_without_gradient(batch) if embeddings is None else embeddings
        outputs = self.value_head(features).squeeze(-1)
        if self.return_scale is None:
            return outputs
        return self.return_scale.returns(outputs) if embeddings is None else self.return_scale.in_units(outputs)

    @torch.no_grad()
    def _features_without_gradient(self, batch: dict[str, Any]) -> Tensor:
        names = (Columns.OBS, Columns.STATE_IN, Columns.SEQ_LENS, PREVIOUS_ACTION, PREVIOUS_REWARD)
        columns = {name: batch[name] for name in names if name in batch}
        rows = len(columns[Columns.STATE_IN][EPISODE_START])
        pieces = [
            self.net(tree.map_structure(lambda tensor, first=first: tensor[first : first + VALUE_ROWS], columns))
            for first in range(0, rows, VALUE_ROWS)
        ]
        return torch.cat(pieces)

    def make_target_networks(self) -> None:
        """Copy what computes the policy; only APPO asks for it."""
        self.target_net = make_target_network(self.net)
        if self.net.normalizer is not None:
            self.target_net.normalizer = self.net.normalizer  # what is observed has one scale, not one of the past
        self.target_policy_head = make_target_network(self.policy_head)

    def get_target_network_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each part and its target."""
        return [(self.net, self.target_net), (self.policy_head, self.target_policy_head)]

    def forward_target(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The policy of the target network, whose weights take no gradient."""
        features = self.target_net(batch)
        outputs = self.net.masked(self.target_policy_head(features), batch[Columns.OBS])
        return {TARGET_NETWORK_ACTION_DIST_INPUTS: outputs}

    def get_non_inference_attributes(self) -> list[str]:
        """What a runner does without."""
        return ["value_head", "return_scale", "target_net", "target_policy_head"]
