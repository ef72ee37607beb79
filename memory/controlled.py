"""What all cores with a controller and an external memory share.

Legend: B batch, D input width, K output width, R W numbers read at a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from lukasa.memory.controllers import RECURRENT, WINDOW, Kind, every_layer, make_controller
from lukasa.memory.core import Core, check_inputs, in_dtype, in_full_precision, whole_precision

Shown: TypeAlias = Callable[[], dict[str, Tensor]]
"""Makes what ``memory.record`` shows of a step, each [B, ...]; called only while somebody looks."""


class Controlled(Core):
    """A core in which a controller steers the access to a memory.

    Every step has four parts:

    1. ``controller`` reads the input, together with what was read from the memory at the step before;
    2. ``interface``, a linear layer, makes of that the vector that steers the access;
    3. ``step``, the access, writes to the memory and reads from it;
    4. ``output``, a linear layer, makes the output of what the controller emitted and of what was read.

    This class holds the first, the second and the fourth, and all that is the same for every memory: inputs are
    checked, ``step`` runs outside of autocast and computes in float32 where the core is of halves, and what a recording
    shows is collected. So a core is its access. A subclass writes

    * a constructor, which passes on what the access reads and how many numbers steer it;
    * ``initial_state``: a NamedTuple with a field ``reads``, [B, ...] of ``read_size`` numbers a row, a field
      ``controller``, and whatever else the access carries from step to step;
    * ``step``.

    All arithmetic of a step is in those four parts. A kernel that runs whole sequences therefore has one place to be
    hooked in: a ``sequence`` of this class (``lukasa.memory.core.WholeSequence``), chosen by the core's class and its
    controller's, which takes the weights of the three layers.

    Args:
        input_size: D.
        output_size: K.
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: number of layers of the controller.
        read_size: how many numbers the access reads at a step (R W).
        interface_size: how many numbers steer the access.
        all_layers_steer: whether all recurrent layers of the controller emit, as in the DNC, or the last one alone.
        controller_window: steps that controller "attention" looks back.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        controller: Kind,
        controller_size: int,
        controller_layers: int,
        read_size: int,
        interface_size: int,
        all_layers_steer: bool = False,
        controller_window: int = WINDOW,
    ):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.all_layers_steer = all_layers_steer
        self.controller: Any = make_controller(
            controller, input_size + read_size, controller_size, controller_layers, controller_window
        )
        emitting = controller_layers if all_layers_steer and controller in RECURRENT else 1
        self.interface = nn.Linear(emitting * controller_size, interface_size)
        self.output = nn.Linear(emitting * controller_size + read_size, output_size)

    def steer(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """What steers the access, made of what the controller emitted [B, ...]; the input [B, D] is there for some.

        An access that also sees the input itself, as that of a D-NTM does, adds what it sees to the end of it.
        """
        del inputs
        return self.interface(hidden)

    def step(self, state: Any, emitted: Tensor) -> tuple[Any, Shown]:
        """The access: write to the memory and read from it.

        Args:
            state: of the step before, but that ``controller`` is already that of this step.
            emitted: [B, interface_size], in the precision that the memory computes in.

        Returns:
            The state after it, with what was read in ``reads``; and what a recording shows.
        """
        raise NotImplementedError

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        hidden, controller = self.controller(torch.cat([inputs, state.reads.flatten(1)], 1), state.controller)
        if self.all_layers_steer:
            hidden = every_layer(hidden, controller)
        if not len(inputs):  # nothing is written or read
            return self.output(torch.cat([hidden, state.reads.flatten(1)], 1)), state._replace(controller=controller)
        emitted = self.steer(hidden, inputs)
        dtype = state.reads.dtype
        with whole_precision(inputs.device):
            state = in_full_precision(state._replace(controller=controller))
            state, shown = self.step(state, emitted.to(state.reads.dtype))
        if self.recorder is not None:
            self.recorder.append(shown())
        state = in_dtype(dtype, state)
        return self.output(torch.cat([hidden, state.reads.flatten(1)], 1)), state
