"""Reinforcement learning whose gradients or weights are no longer finite numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import LEARNER_RESULTS

from lukasa.agents.rllib.gradients import UNUSABLE, part_of
from lukasa.ground.mistakes import TrainingError
from lukasa.launch.runs.checkpoints import last_good
from lukasa.launch.runs.directory import Run


def check_learned(result: Mapping[str, Any], weights: Mapping[str, Any], step: int, run: Run) -> None:
    """Look at what an iteration left.

    A loss of NaN is no sign: a minibatch of nothing but steps that are left out of the loss has one, and no gradient.

    Args:
        result: what ``Algorithm.train`` returned.
        weights: after it, by name.
        step: environment steps before it.
        run: whose checkpoints are from before.

    Raises:
        TrainingError: a gradient or a weight is not finite; says where, and what is left.
    """
    broken, what = unusable_parts(weights), "a weight"
    for policy, learned in result.get(LEARNER_RESULTS, {}).items():
        found = learned.get(UNUSABLE)
        gradients = found[0] if isinstance(found, list) and found else found  # RLlib hands on a list of one as the one
        if isinstance(gradients, str):
            broken, what = [gradients if policy == DEFAULT_MODULE_ID else f"{policy}/{gradients}"], "a gradient"
    if broken:
        raise TrainingError(
            f"{what} is not finite in the iteration after {step:,} environment steps, in parameter group "
            f"{', '.join(broken)}: stopped, nothing was overwritten, and {last_good(run.checkpoints)}; try a lower "
            "--lr, or a smaller --clip-norm"
        )


def unusable_parts(weights: Mapping[str, Any]) -> list[str]:
    """The parts of the agent in which a weight is not finite.

    Example:
        >>> unusable_parts({"net.core.cell.weight": np.array([np.nan]), "policy_head.bias": np.array([0.0])})
        ['core.cell']
    """
    return list(dict.fromkeys(part_of(name) for name, value in weights.items() if not np.isfinite(value).all()))
