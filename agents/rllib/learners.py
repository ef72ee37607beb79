"""RLlib's learners, with losses that see returns in units of their spread, and running moments of what is observed.

Both scales are kept in the module, and change between updates alone: what a batch was sampled with is what it is
learned with. What a core costs beside its task is added to the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from ray.rllib.algorithms.appo.torch.appo_torch_learner import APPOTorchLearner
from ray.rllib.algorithms.impala.torch.impala_torch_learner import IMPALATorchLearner
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.evaluation.postprocessing import Postprocessing
from torch import Tensor, nn

from lukasa.agents.policy.normalization import add
from lukasa.agents.rllib.module import MEMORY_COST, PREVIOUS_REWARD, MemoryRLModule
from lukasa.agents.rllib.returns import discounted_returns


class PayingLearner(TorchLearner):
    """The share of a learner that pays for what the core costs beside its task."""

    def compute_loss_for_module(self, *, module_id: Any, config: Any, batch: Any, fwd_out: Any) -> Tensor:
        """RLlib's loss, and the core's own costs, which already have the weights that its options give them."""
        loss: Any = super().compute_loss_for_module
        loss = loss(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        cost = fwd_out.get(MEMORY_COST)
        if cost is None:
            return loss
        self.metrics.log_value((module_id, MEMORY_COST), cost.detach(), window=1)
        return loss + cost


class NormalizingLearner(PayingLearner):
    """The share of a learner that follows the scale of observations and returns."""

    def build(self) -> None:
        """As RLlib's, with nothing measured yet."""
        super().build()
        self._measured: list[Any] = []
        self._returns: dict[Any, Tensor] = {}

    def _make_batch_if_necessary(self, training_data: Any) -> Any:
        """RLlib's batch; measures it before the first of its minibatches is learned."""
        batch = super()._make_batch_if_necessary(training_data=training_data)
        self._measured = []
        for policy, columns in _in_order(batch.policy_batches):
            module = self._memory_module(policy)
            if module is not None and self.should_module_be_updated(policy, batch):
                self._measure(module, columns)
        return batch

    def _measure(self, module: MemoryRLModule, columns: Any) -> None:
        if normalizer := module.net.normalizer:
            seen, mask = columns[Columns.OBS], columns[Columns.LOSS_MASK]
            measured = normalizer.measure(seen, mask, columns.get(PREVIOUS_REWARD))
            if all(not one.count for one, _ in measured):
                # The first policy is near uniform whatever it sees, so that no later update need start unscaled.
                add(measured)
            else:
                self._measured += measured
        targets: Any = columns.get(Postprocessing.VALUE_TARGETS)
        if module.return_scale is not None and targets is not None:
            module.return_scale.add(targets[columns[Columns.LOSS_MASK]], cast(nn.Linear, module.value_head[-1]))

    def compute_loss_for_module(self, *, module_id: Any, config: Any, batch: Any, fwd_out: Any) -> Tensor:
        """RLlib's loss, of returns in units of their spread."""
        loss: Any = super().compute_loss_for_module
        module = self._memory_module(module_id)
        if module is None or module.return_scale is None:
            return loss(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        if Postprocessing.VALUE_TARGETS in batch:
            column = Postprocessing.VALUE_TARGETS
        else:  # V-trace makes its targets of rewards within the loss
            column = Columns.REWARDS
            with torch.no_grad():
                outputs = module.value_head(fwd_out[Columns.EMBEDDINGS]).squeeze(-1)
                values = module.return_scale.returns(outputs)
                self._returns[module_id] = discounted_returns(batch, values, config.gamma)
        units = {**batch, column: batch[column] / module.return_scale.std}
        return loss(module_id=module_id, config=config, batch=units, fwd_out=fwd_out)

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Follow what the batch showed, once it is learned."""
        super().after_gradient_based_update(timesteps=timesteps)
        add(self._measured)
        for policy, returns in _in_order(self._returns):
            module = self._memory_module(policy)
            if module is not None and module.return_scale is not None:
                module.return_scale.add(returns, cast(nn.Linear, module.value_head[-1]))
        self._measured, self._returns = [], {}

    def _memory_module(self, policy: Any) -> MemoryRLModule | None:
        """The module of a policy; None where it is none of ours."""
        module = self.module[policy].unwrapped() if policy in self.module else None
        return module if isinstance(module, MemoryRLModule) else None


def _in_order(by_policy: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """By the policies' names: learners that sum something up together do so in one order."""
    return sorted(by_policy.items(), key=lambda item: str(item[0]))


class MemoryPPOLearner(NormalizingLearner, PPOTorchLearner):
    """PPO's learner."""


class MemoryAPPOLearner(NormalizingLearner, APPOTorchLearner):
    """APPO's learner."""


class MemoryIMPALALearner(NormalizingLearner, IMPALATorchLearner):
    """IMPALA's learner."""
