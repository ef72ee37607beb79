"""The interface between controller and heads of a real core: where each part lies, and how to take it over.

The order of the parts is the core's own business. What each part is called is public: the fields of `core.parse`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Places = dict[str, NDArray[np.intp]]


def interface_places(core: Any) -> Places:
    """Which number of the interface vector becomes which entry of each part, in the part's shape.

    Every squashing function rises with its own number, and a softmax falls with all others: the place is where an
    entry's gradient is largest. Each number has one place; none is left over.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(1, core.interface.out_features, generator=generator, dtype=core.interface.weight.dtype)
    told = core.parse(vector.requires_grad_())._asdict()
    parts = {name: part for name, part in told.items() if part is not None}
    slopes = [torch.autograd.grad(x, vector, retain_graph=True)[0] for part in parts.values() for x in part.flatten()]
    rising = [slope.argmax().item() for slope in slopes if slope.any()]
    unfelt = iter(sorted(set(range(vector.shape[1])) - set(rising)))  # a softmax over one shift is 1, whatever it gets
    found = np.array([slope.argmax().item() if slope.any() else next(unfelt) for slope in slopes])
    assert sorted(found) == list(range(vector.shape[1])), "a number of the interface has no part or several"
    cuts = np.cumsum([part.numel() for part in parts.values()])[:-1]
    names_and_parts = zip(parts.items(), np.split(found, cuts), strict=True)
    places: Places = {name: place.reshape(part.shape[1:]) for (name, part), place in names_and_parts}
    return places


def raw_gate(value: int, *shape: int) -> Tensor:
    """What a gate is before its sigmoid, for 0 or 1 to within 1e-26."""
    return torch.full(shape, {0: -60.0, 1: 60.0}[value], dtype=torch.float64)


def steer(core: Any, **told: Tensor) -> Any:
    """Make the controller tell the heads this at every step, whatever it reads.

    Args:
        core: changed in place.
        **told: parts of the interface before squashing; zero where not given.

    Returns:
        The core.
    """
    places = interface_places(core)
    with torch.no_grad():
        core.interface.weight.zero_()
        core.interface.bias.zero_()
        for name, raw in told.items():
            core.interface.bias[torch.from_numpy(places[name])] = raw.to(core.interface.bias.dtype)
    return core
