"""The cores that are a recurrent network and a linear output, over a sequence.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lukasa.memory.core import State
from lukasa.memory.kernels.sequence.layer_function import run_layers


def run_plain(core: Any, inputs: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State]:
    """Outputs [B, T, K] and the last state; recorded where somebody looks."""
    hidden, last = run_layers(inputs, starts, core.controller.layers.all_weights, state)
    if core.recorder is not None:
        core.recorder += [{"hidden": step} for step in hidden.unbind(1)]
    return core.output(hidden), type(state)(*last)
