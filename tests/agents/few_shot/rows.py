"""Small learners by name, and random episodes for them."""

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from lukasa.agents.few_shot import Learner, make_learner

SHAPE = (16, 16)


class Row(NamedTuple):
    """One learner of the battery, for 3 ways."""

    learner: str
    options: dict[str, Any]
    symmetric: bool = True
    """The classes' order along N permutes the answers and does nothing else."""
    alone: bool = True
    """The answer to a query does not depend on the others."""
    untrained: bool = True
    """It knows a drawing that it has just seen before it has learned anything."""


ROWS = {
    "prototypical": Row("prototypical", {"channels": 4}),
    "prototypical-linear": Row("prototypical", {"encoder": "linear", "channels": 8}),
    "matching": Row("matching", {"channels": 4}),
    "matching-context": Row("matching", {"channels": 4, "context": True, "reads": 2}, symmetric=False, untrained=False),
    "nearest": Row("nearest", {}),
    "nearest-votes": Row("nearest", {"neighbours": 3}),
    "maml": Row("maml", {"channels": 4}, symmetric=False, alone=False, untrained=False),
    "maml-linear": Row("maml", {"encoder": "linear", "inner_lr": 0.01}, symmetric=False, untrained=False),
    "sequence-lstm": Row(
        "sequence", {"channels": 4, "core": "lstm", "core_options": {"size": 6}}, symmetric=False, untrained=False
    ),
    "sequence-snail": Row(
        "sequence", {"channels": 4, "core": "snail", "core_options": {"length": 12}}, symmetric=False, untrained=False
    ),
}


def make(row: Row, seed: int = 0) -> Learner:
    """A learner in float64 and evaluation mode."""
    torch.manual_seed(seed)
    return make_learner(row.learner, SHAPE, 3, **row.options).double().eval()


def random_episode(batch: int = 2, ways: int = 3, shots: int = 2, queries: int = 4, shape=SHAPE, seed: int = 0):
    """Support, queries and targets of noise in float64."""
    generator = Generator().manual_seed(seed)

    def noise(*sizes: int) -> Tensor:
        return torch.rand(*sizes, *shape, generator=generator, dtype=torch.float64)

    targets = torch.randint(ways, (batch, queries), generator=generator)
    return noise(batch, ways, shots), noise(batch, queries), targets
