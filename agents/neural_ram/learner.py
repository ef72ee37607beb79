"""Machines of several starts that learn side by side.

Dimensions: S starts, B rows of each, N = S·B machines, M cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from lukasa.agents.learning import ALONE, Learned, Sharing
from lukasa.agents.neural_ram.curriculum import Curriculum
from lukasa.agents.neural_ram.source import MachineBatch
from lukasa.memory.neural_ram import NeuralRAM, expected_cost
from lukasa.tasks import Score


@dataclass(frozen=True)
class Tricks:
    """What helps machines to learn (Kurach et al. 2016, section 5.1).

    Attributes:
        entropy: reward of the circuits' entropy at first, in nats of cost for a nat of entropy.
        entropy_half: batches after which it halves.
        noise: standard deviation of the noise that is added to the gradient at first (Neelakantan et al. 2015).
        noise_decay: it falls as (1 + batch) to the power of minus half of this.
        clip: largest norm of a start's gradient.
        step_cost: cost of a step, in nats.
    """

    entropy: float = 0.0
    entropy_half: float = 500.0
    noise: float = 0.0
    noise_decay: float = 0.55
    clip: float = 1.0
    step_cost: float = 0.0


class MachineLearner:
    """Machines as the trainer sees them: every start has a gradient, a norm that is clipped and noise of its own.

    Args:
        machine: of S starts, on its device.
        curriculum: let know how each start did.
        tricks: what helps.
        sharing: the processes that share every batch.
    """

    part = "machine"

    def __init__(self, machine: NeuralRAM, curriculum: Curriculum, tricks: Tricks, sharing: Sharing = ALONE):
        self.machine, self.curriculum, self.tricks, self.sharing = machine, curriculum, tricks, sharing

    @property
    def module(self) -> nn.Module:
        """The machines."""
        return self.machine

    def learn(self, batch: MachineBatch) -> Learned:
        """Add the gradient of each start's mean expected cost, in nats a cell that counts, to that of its parameters.

        A start whose gradient is not finite is left as it is; the others go on.
        """
        device = self.machine.controller.inner.device
        memory, target, mask, limits = (one.to(device) for one in batch[:4])
        tricks, starts = self.tricks, self.machine.starts
        reward = tricks.entropy * 0.5 ** (batch.number / tricks.entropy_half)
        expected = expected_cost(self.machine, memory, target, mask, limits, entropy=reward > 0)
        cells = mask.sum(2).reshape(-1)
        costs = expected.cost / cells
        objective = costs + tricks.step_cost * expected.steps - reward * expected.entropy
        objective.view(starts, -1).mean(1).sum().backward()
        self.sharing.average_gradients(self.machine.parameters())
        self._tame(batch)
        mean = torch.stack([100 * expected.wrong, costs.detach()]).view(2, starts, -1).mean(2).cpu()
        mean = torch.tensor(self.sharing.totals(mean.flatten().tolist())).view(2, starts) / self.sharing.workers
        self.curriculum.hear(mean[0], mean[1].nan_to_num(nan=1e6))
        best = self.curriculum.leader
        return Learned(float(mean[1, best]), Score(float(mean[0, best]), 1))

    def _tame(self, batch: MachineBatch) -> None:
        """Clip the norm of each start's gradient, and add noise."""
        tricks, starts = self.tricks, self.machine.starts
        gradients = [one.grad for one in self.machine.parameters() if one.grad is not None]
        norms = torch.stack([one.view(starts, -1).norm(dim=1) for one in gradients]).norm(dim=0)  # [S]
        finite = norms.isfinite()
        factors = torch.where(finite, (tricks.clip / norms.clamp(min=1e-12)).clamp(max=1), 0.0)
        noise = tricks.noise * (1 + batch.number) ** (-tricks.noise_decay / 2)
        generator = Generator().manual_seed(batch.noise)
        for gradient in gradients:
            kept = torch.where(_over(finite, gradient), gradient * _over(factors, gradient), 0.0)
            if noise:
                kept += noise * torch.randn(gradient.shape, generator=generator).to(gradient)
            gradient.copy_(kept)


def _over(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
