"""Gradients that are no finite numbers, which RLlib sets to zero in silence: a run would go on and learn nothing."""

from __future__ import annotations

from typing import Any

import torch

UNUSABLE = "unusable_gradients"
"""Key of a learner's metrics: the parts of the agent, where a gradient of a minibatch was not finite."""

TARGET = "target_"
"""How the parameters of APPO's target network are called: those of the network, with this before them."""


def part_of(name: str) -> str:
    """The part of the agent that a parameter belongs to, after its policy where there are several.

    Example:
        >>> part_of("net.core.controller.weight"), part_of("scout/policy_head.bias")
        ('core.controller', 'scout/policy_head')
    """
    policy, several, own = name.rpartition("/")
    words = own.removeprefix(TARGET).split(".")
    return policy + several + (".".join(words[1:3]) if words[0] == "net" else words[0])


class WatchedGradients:
    """Joined to a learner of RLlib: notes in its metrics which gradients were not finite."""

    metrics: Any

    def compute_gradients(self, loss_per_module: dict[str, Any], **kwargs: Any) -> Any:
        """As the learner's own."""
        gradients = super().compute_gradients(loss_per_module, **kwargs)  # type: ignore[misc]
        found = [gradient.sum() for gradient in gradients.values() if gradient is not None]
        if found and not torch.stack(found).isfinite().all():
            learner: Any = self  # of RLlib, once it is joined to one
            for policy, module in learner.module.items():
                named = module.unwrapped().named_parameters()
                broken = [name for name, one in named if one.grad is not None and not one.grad.isfinite().all()]
                parts = ", ".join(dict.fromkeys(map(part_of, broken)))
                if parts or len(learner.module) == 1:
                    self.metrics.log_value((policy, UNUSABLE), parts or "sum", reduce="item_series")
        return gradients
