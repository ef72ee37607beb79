"""DQN's learner on whole sequences.

Legend: B batch (rows), T time, P steps before those that are learned, M = T - P, A actions.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from ray.rllib.algorithms.dqn.dqn_learner import (
    QF_LOSS_KEY,
    QF_MAX_KEY,
    QF_MEAN_KEY,
    QF_MIN_KEY,
    TD_ERROR_MEAN_KEY,
)
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.connectors.learner import (
    AddNextObservationsFromEpisodesToTrainBatch,
    AddObservationsFromEpisodesToBatch,
)
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME, TD_ERROR_KEY
from ray.rllib.utils.schedules.scheduler import Scheduler
from torch import Tensor
from torch.nn import functional as F

from lukasa.agents.rllib.learners import NormalizingLearner
from lukasa.agents.rllib.replay.columns import ENDED, LAST, NUMBERS, WEIGHTS
from lukasa.agents.rllib.replay.q_module import PREFIX, Q_VALUES, TARGET_Q_VALUES, MemoryQModule
from lukasa.agents.rllib.replay.targets import n_step_targets, rescaled, unscaled

EPSILON = "epsilon"
"""Key of a learner's metrics: how often runners act at random."""


TARGET_MOVED = "target_network_moved"
"""Key of a learner's state: the environment step after which the target network followed last."""


class SequenceLoss(DQNTorchLearner):
    """DQN's loss over the steps of sequences, each counted once; padding and burn-in count for nothing."""

    def compute_loss_for_module(self, *, module_id: Any, config: Any, batch: Any, fwd_out: Any) -> Tensor:
        """The weighted mean over the steps that are learned."""
        mask = batch[Columns.LOSS_MASK][:, int(batch[PREFIX][0]) :]
        chosen, targets = self._chosen_and_targets(config, batch, fwd_out)
        if config.td_error_loss_fn == "huber":
            loss = F.huber_loss(chosen, targets, reduction="none")
        else:
            loss = F.mse_loss(chosen, targets, reduction="none")
        steps = mask.sum().clamp(min=1)
        # selected rather than multiplied, so that no number in the padding can make it NaN
        total = torch.where(mask, loss * batch[WEIGHTS][:, None], 0.0).sum() / steps
        errors = torch.where(mask, (chosen - targets).detach().abs(), 0.0)
        self._log_priorities(module_id, config, batch, errors, mask)
        seen = chosen.detach()[mask]
        self.metrics.log_dict(
            {
                QF_LOSS_KEY: total.detach(),
                QF_MEAN_KEY: seen.mean(),
                QF_MAX_KEY: seen.max(),
                QF_MIN_KEY: seen.min(),
                TD_ERROR_MEAN_KEY: errors.sum() / steps,
            },
            key=module_id,
            window=1,
        )
        return total

    def _chosen_and_targets(self, config: Any, batch: Any, fwd_out: Any) -> tuple[Tensor, Tensor]:
        """Values of the actions taken, and what they should have been: [B, M] each."""
        prefix = int(batch[PREFIX][0])
        values, target_values = fwd_out[Q_VALUES], fwd_out[TARGET_Q_VALUES]
        actions = batch[Columns.ACTIONS][:, prefix:].long().view(values.shape[:2])
        chosen = values.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
        with torch.no_grad():
            best = (values if config.double_q else target_values).argmax(-1, keepdim=True)
            following = target_values.gather(-1, best).squeeze(-1)
            if config.value_rescaling:
                following = unscaled(following)
            targets = n_step_targets(
                batch[Columns.REWARDS][:, prefix:].float(),
                following,
                batch[LAST].long(),
                batch[ENDED].bool(),
                steps=config.n_step,
                gamma=config.gamma,
            )
            if config.value_rescaling:
                targets = rescaled(targets)
        return chosen, targets

    def _log_priorities(self, module_id: Any, config: Any, batch: Any, errors: Tensor, mask: Tensor) -> None:
        """Of each sequence, a mix of its largest error and their mean (Kapturowski et al. 2019)."""
        share = config.priority_max
        mean = errors.sum(1) / mask.sum(1).clamp(min=1)
        priorities = share * errors.max(1).values + (1 - share) * mean
        said = torch.stack([batch[NUMBERS].double(), priorities.double()], 1)
        self.metrics.log_value((module_id, TD_ERROR_KEY), said, reduce="item_series")


class MemoryDQNLearner(NormalizingLearner, SequenceLoss):
    """DQN's learner, with normalised observations, and an epsilon that travels to the runners with the weights."""

    def build(self) -> None:
        """As RLlib's, without its pieces for single steps: all columns are made from sequences."""
        super().build()
        pipeline: Any = self._learner_connector
        for piece in (AddObservationsFromEpisodesToBatch, AddNextObservationsFromEpisodesToTrainBatch):
            pipeline.remove(piece)
        self._epsilon = Scheduler(fixed_value_or_schedule=cast(Any, self.config).epsilon, framework="torch")

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Move the target network, and epsilon on its schedule."""
        super().after_gradient_based_update(timesteps=timesteps)
        self._epsilon.update(int(timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0)))
        now = float(self._epsilon.get_current_value())
        module = cast(MemoryQModule, self.module[DEFAULT_MODULE_ID].unwrapped())
        module.epsilon.fill_(now)
        self.metrics.log_value((DEFAULT_MODULE_ID, EPSILON), now, window=1)

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As RLlib's, and when the target network followed last, which it leaves out."""
        return {**super().get_state(*args, **kwargs), TARGET_MOVED: dict(self.last_update_ts_by_mid)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().set_state(state)
        self.last_update_ts_by_mid.update(state.get(TARGET_MOVED, {}))
