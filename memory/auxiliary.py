"""What a core wants beside its task: costs that training adds to the loss, and choices that Reinforce is to judge.

Some cores have a loss of their own: adaptive computation time pays for every step it thinks, a Compressive Transformer
for what it cannot restore. Others choose, at random, one slot out of many, and no gradient passes through a choice:
what the choice was worth is known only from the loss of the whole sequence. A core hands both out while somebody
collects, and a trainer adds them to what it minimises; so a trainer needs not know which core it trains.

Legend: B batch, T time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Auxiliary:
    """What a core handed out while it was watched, in the order of its steps.

    Attributes:
        costs: by name, parts [B, some steps]; each already has the weight that the core's options give it.
        choices: parts [B, some steps], ln of the probability of what was chosen at a step.
    """

    costs: dict[str, list[Tensor]] = field(default_factory=dict)
    choices: list[Tensor] = field(default_factory=list)

    def cost(self, inside: Tensor | None = None) -> Tensor | None:
        """What training adds to its loss: the mean over steps, summed over names. None where no core has a cost.

        Args:
            inside: bool [B, T], the steps that count; all by default.

        Raises:
            ValueError: a cost was handed out for more or fewer steps than T.
        """
        means = [_mean(name, parts, inside) for name, parts in self.costs.items()]
        return torch.stack(means).sum() if means else None

    def log_probabilities(self) -> Tensor | None:
        """The logarithm of how probable what was chosen was, [B, T]; None where nothing was."""
        return torch.cat(self.choices, 1) if self.choices else None


def _mean(name: str, parts: list[Tensor], inside: Tensor | None) -> Tensor:
    if inside is None:  # parts of several calls may differ in their rows
        return torch.cat([part.flatten() for part in parts]).mean()
    cost = torch.cat(parts, 1)
    if cost.shape != inside.shape:
        raise ValueError(f"cost {name!r} was handed out for steps {list(cost.shape)}: expected {list(inside.shape)}")
    # A step that does not count may hold anything, also what is infinite.
    return torch.where(inside, cost, 0).sum() / inside.sum().clamp(min=1)
