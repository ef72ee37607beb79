"""Elastic weight consolidation: weights that mattered are held back by springs.

Dimensions: B examples, A answers to one, K columns of the output.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from lukasa.agents.continual.methods.method import Method, Setting
from lukasa.agents.continual.networks import Network
from lukasa.tasks.continual import Taught

Weights = dict[str, Tensor]
Labels = Literal["model", "data"]


class ElasticWeights(Method):
    """Elastic weight consolidation (Kirkpatrick et al. 2017, equation 3).

    The loss is L(θ) + Σ λ/2 F_i (θ_i - θ*_i)^2, where F is the diagonal of the Fisher information at θ*, the weights
    that a task ended with. Each task has a spring of its own; "online" has one for all of them, with F the decayed sum
    and θ* the last weights (Schwarz et al. 2018, section 3.1).

    Args:
        setting: what it learns.
        strength: how stiff the springs are beside the loss of the task, λ.
        springs: one for each task, or a single one, "online".
        decay: share of the earlier F that stays with each task ("online"), γ.
        examples: examples of a task that its Fisher information is estimated from.
        labels: whether F takes answers drawn from the model, as it is defined, or those of the data.

    Raises:
        ValueError: a number is out of its bounds.
    """

    def __init__(
        self,
        setting: Setting,
        *,
        strength: float = 100.0,
        springs: Literal["per_task", "online"] = "per_task",
        decay: float = 1.0,
        examples: int = 200,
        labels: Labels = "model",
    ):
        super().__init__(setting)
        if strength < 0 or not 0 <= decay <= 1 or examples < 1:
            raise ValueError(
                f"strength is {strength}, decay {decay} and examples {examples}: expected at least 0, from 0 to 1, and "
                "at least 1"
            )
        self.strength, self.online, self.decay = strength, springs == "online", decay
        self.examples: int = examples
        self.labels: Labels = labels
        self.springs: list[tuple[Weights, Weights]] = []  # F and θ* of each task, or of all

    @property
    def bytes(self) -> int:
        """Of F and θ*."""
        return sum(one.numel() * one.element_size() for pair in self.springs for part in pair for one in part.values())

    def beside(self, batch: Taught, scores: Tensor) -> Tensor | float:
        """The springs' energy."""
        return sum((spring_energy(self.network, *one, self.strength) for one in self.springs), start=0.0)

    def end_task(self, task: int, examples: Taught) -> None:
        """Fasten a spring to the weights of now."""
        order = torch.randperm(len(examples.tasks), generator=self.generator)[: self.examples]
        self.network.eval()
        some = examples.take(order).to(self._device())
        found = diagonal_fisher(self.network, some, self.generator, self.labels)
        here = {name: one.detach().clone() for name, one in self.network.named_parameters()}
        if self.online and self.springs:
            before = self.springs.pop()[0]
            found = {name: self.decay * before[name] + one for name, one in found.items()}
        self.springs.append((found, here))

    def state_dict(self) -> dict[str, Any]:
        """The springs."""
        return {"springs": [{"fisher": fisher, "weights": weights} for fisher, weights in self.springs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        device = self._device()
        self.springs = [
            ({n: t.to(device) for n, t in one["fisher"].items()}, {n: t.to(device) for n, t in one["weights"].items()})
            for one in state["springs"]
        ]


def spring_energy(module: nn.Module, fisher: Weights, weights: Weights, strength: float) -> Tensor:
    """Σ λ/2 F_i (θ_i - θ*_i)^2.

    Args:
        module: whose parameters are θ.
        fisher: F, by the names of the parameters.
        weights: θ*.
        strength: λ.
    """
    parts = [(fisher[name] * (one - weights[name]).square()).sum() for name, one in module.named_parameters()]
    return strength / 2 * torch.stack(parts).sum()


def diagonal_fisher(network: Network, examples: Taught, generator: Generator, labels: Labels = "model") -> Weights:
    """The diagonal of the Fisher information: the mean squared gradient of log p(answer), example by example.

    Args:
        network: in evaluation mode; its gradients are as before afterwards.
        examples: over which the mean is.
        generator: draws the answers.
        labels: "model" draws answers from the network's own distribution, "data" takes those of the examples.
    """
    named = dict(network.named_parameters())
    found = {name: torch.zeros_like(one) for name, one in named.items()}
    for place in range(len(examples.tasks)):
        one = examples.rows(place, place + 1)
        scores = network.scores(one.inputs, one.tasks).log_softmax(-1)[0]  # [A, K]
        asked = one.answers[0] >= 0
        scores = scores[asked]
        if not len(scores):
            continue
        wanted = network.wanted(one.answers, one.tasks)[0][asked]
        if labels == "model":
            shares = scores.detach().exp().cpu()
            wanted = torch.multinomial(shares, 1, generator=generator).squeeze(1).to(scores.device)
        log_likelihood = scores.gather(1, wanted[:, None]).sum()
        gradients = torch.autograd.grad(log_likelihood, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                found[name] += gradient.square() / len(examples.tasks)
    return found
