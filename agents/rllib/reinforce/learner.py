"""The loss of Reinforce in RLlib's learner.

Legend: B rows, T steps of a row.
"""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.connectors.learner import GeneralAdvantageEstimation
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import ENTROPY_KEY, POLICY_LOSS_KEY, VF_LOSS_KEY
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.utils.torch_utils import explained_variance
from torch import Tensor

from lukasa.agents.rllib.learners import NormalizingLearner
from lukasa.agents.rllib.reinforce.returns import STEP_WEIGHTS, ReturnsToGo

EXPLAINED = "vf_explained_var"
"""Key of a learner's metrics, PPO's."""


class _ReinforceLoss(PPOTorchLearner):
    """PPO's learner with its estimates and its loss replaced; batches, schedules and optimizers stay RLlib's."""

    def build(self) -> None:
        """As PPO's, with returns in place of advantages."""
        super().build()
        pipeline: Any = self._learner_connector
        if any(isinstance(piece, GeneralAdvantageEstimation) for piece in pipeline.connectors):
            config: Any = self.config
            piece = ReturnsToGo(gamma=config.gamma, weighted=config.discount_steps)
            pipeline.insert_before(GeneralAdvantageEstimation, piece)
            pipeline.remove(GeneralAdvantageEstimation)

    def compute_loss_for_module(self, *, module_id: Any, config: Any, batch: Any, fwd_out: Any) -> Tensor:
        """What gives, differentiated, the gradient that Reinforce follows; means over the steps of a batch."""
        module: Any = self.module[module_id].unwrapped()
        mask = (
            batch[Columns.LOSS_MASK] if Columns.LOSS_MASK in batch else torch.ones_like(batch[Columns.REWARDS]).bool()
        )
        returns = batch[Postprocessing.VALUE_TARGETS]
        policy = module.get_train_action_dist_cls().from_logits(fwd_out[Columns.ACTION_DIST_INPUTS])
        values, baseline = self._baseline(config.baseline, module, batch, fwd_out, returns, mask)
        weights = batch[STEP_WEIGHTS] if STEP_WEIGHTS in batch else torch.ones_like(returns)
        gains = weights * (returns - baseline) * policy.logp(batch[Columns.ACTIONS])
        policy_loss, entropy = -gains[mask].mean(), policy.entropy()[mask].mean()
        value_loss = torch.zeros_like(policy_loss) if values is None else (values - returns)[mask].square().mean()
        rate = self.entropy_coeff_schedulers_per_module[module_id].get_current_value()
        noted = {POLICY_LOSS_KEY: policy_loss, VF_LOSS_KEY: value_loss, ENTROPY_KEY: entropy}
        if values is not None:
            noted[EXPLAINED] = explained_variance(returns[mask], values[mask])
        self.metrics.log_dict(noted, key=module_id, window=1)
        return policy_loss + config.vf_loss_coeff * value_loss - rate * entropy

    def _baseline(
        self, kind: str, module: Any, batch: Any, fwd_out: Any, returns: Tensor, mask: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """What the baseline's own loss is about, None where nothing is learned, and the baseline without gradient."""
        if kind in ("shared", "detached"):
            features = fwd_out[Columns.EMBEDDINGS]
            values = module.compute_values(batch, embeddings=features if kind == "shared" else features.detach())
            return values, values.detach()
        return None, returns[mask].mean() if kind == "mean" else torch.zeros_like(returns)


class MemoryReinforceLearner(NormalizingLearner, _ReinforceLoss):
    """Reinforce's learner, with normalised observations and returns."""
