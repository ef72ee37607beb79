"""The head of an agent that acts by the values of its actions.

Legend: K output width of the core, A actions.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class QHead(nn.Module):
    """Features [..., K] to the values of all actions [..., A].

    Args:
        width: K.
        actions: A.
        dueling: whether it is the value of the state and, apart from it, what each action adds (Wang et al. 2016).
    """

    def __init__(self, width: int, actions: int, *, dueling: bool):
        super().__init__()
        self.advantage = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, actions))
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)) if dueling else None
        for part in (self.advantage, self.value):
            if part is not None:  # first values near zero, so that none is preferred before anything is known
                nn.init.orthogonal_(cast(nn.Linear, part[-1]).weight, 0.01)
                nn.init.zeros_(cast(nn.Linear, part[-1]).bias)

    def forward(self, features: Tensor) -> Tensor:
        """Values of all actions."""
        advantages = self.advantage(features)
        if self.value is None:
            return advantages
        return self.value(features) + advantages - advantages.mean(-1, keepdim=True)
