"""First weights that hand on what is observed as large as it came."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from lukasa import memory
from lukasa.memory.act import ACT
from lukasa.memory.attention.compressive import CompressiveTransformer
from lukasa.memory.attention.gtrxl import GTrXL
from lukasa.memory.controllers import CONTROLLERS, AttentionController

GAIN = math.sqrt(2)
"""Of layers before a nonlinearity, as in the PPO of others (Engstrom et al. 2020, section 3)."""


def make_orthogonal(encoder: nn.Module, core: memory.Core, value_hidden: nn.Linear) -> None:
    """Draw the first weights as orthogonal matrices, and have no first biases (Saxe et al. 2014).

    PyTorch's own weights shrink what differs between two observations at every layer, by a factor of ten or more from
    the observation through a recurrent core to the policy: what biases make of it comes first then, and an agent whose
    rewards are rare does not tell one observation from another before it has settled. Of a core it is the controller
    and the output layer that are drawn so, where it has those of this project, and the layer that reads the input of
    what attends to its past: heads of a memory begin as they are meant to, and a core of one's own as it was made.

    Args:
        encoder: what makes a vector of an observation.
        core: the memory core.
        value_hidden: the value head's hidden layer.
    """
    for layer in (*encoder.modules(), value_hidden):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            _draw(layer)
    _draw_core(core)


def _draw_core(core: memory.Core) -> None:
    """The controller and the output layer of a core of this project, and of one inside it."""
    if type(core) not in memory.CORES.values():
        return
    if isinstance(core, ACT):
        _draw_core(core.core)
    for part in () if isinstance(core, ACT) else core.modules():
        if isinstance(part, AttentionController | GTrXL | CompressiveTransformer):
            _draw(part.input)  # behind it are layer norms, and gates that begin as they are meant to
        elif isinstance(part, tuple(CONTROLLERS.values())):
            for layer in part.modules():
                if isinstance(layer, nn.Linear):
                    _draw(layer)
                elif isinstance(layer, nn.GRU | nn.LSTM):
                    _draw_recurrent(layer)
    output: Any = core.output
    for layer in output.modules():  # of one layer, or of several
        if isinstance(layer, nn.Linear):
            _draw(layer)


def _draw(layer: nn.Linear | nn.Conv2d) -> None:
    nn.init.orthogonal_(layer.weight, GAIN)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _draw_recurrent(layers: nn.GRU | nn.LSTM) -> None:
    gates = 3 if isinstance(layers, nn.GRU) else 4
    for name, parameter in layers.named_parameters():
        if "weight" not in name:
            nn.init.zeros_(parameter)
            continue
        for gate in parameter.detach().chunk(gates):
            nn.init.orthogonal_(gate)
