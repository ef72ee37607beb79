"""From a core and its call to the sequence function, and from its results to a state and a recording.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lukasa.memory.controllers import FeedForwardController, GRUController, LSTMController
from lukasa.memory.core import Core, State
from lukasa.memory.dam import DAM
from lukasa.memory.dnc import DNC
from lukasa.memory.kernels.sequence.controller_steps import FEEDFORWARD, GRU, LSTM
from lukasa.memory.kernels.sequence.dnc_access import DNCAccess
from lukasa.memory.kernels.sequence.function import Plan, run
from lukasa.memory.kernels.sequence.mann_access import dam_access, mann_access
from lukasa.memory.kernels.sequence.ntm_access import NTMAccess
from lukasa.memory.kernels.sequence.packing import Shape
from lukasa.memory.kernels.sequence.sizes import heads_of, leaves_of
from lukasa.memory.mann import MANN
from lukasa.memory.ntm import NTM
from lukasa.memory.states import reset_rows

ACCESSES: dict[type[Core], Callable[[Any], Any]] = {NTM: NTMAccess, MANN: mann_access, DAM: dam_access, DNC: DNCAccess}
CONTROLLERS = {LSTMController: LSTM, GRUController: GRU, FeedForwardController: FEEDFORWARD}


def run_core(core: Any, inputs: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State]:
    """Outputs [B, T, K] and the last state; recorded where somebody looks."""
    names, weights = zip(*weights_of(core), strict=True)
    first = leaves_of(state)
    fresh = [] if starts is None else leaves_of(core.initial_state(1))
    recording = core.recorder is not None
    shape, access = shape_of(core), ACCESSES[type(core)](core)

    def reference(starts: Tensor | None, inputs: Tensor, *tensors: Tensor) -> Sequence[Tensor]:
        stepwise = _Stepwise(core, state, recording)
        named = {f"core.{name}": tensor for name, tensor in zip(names, tensors, strict=False)}
        return functional_call(stepwise, named, (inputs, starts, tensors[len(names) :]))

    plan = Plan(shape, access, reference, len(first), recording)
    outputs, *rest = run(plan, starts, [inputs, *weights, *first, *fresh])
    last = rebuilt(state, iter(rest[: len(first)]))
    if recording:
        named = access.recorded(rest[len(first) :])
        steps = {name: part.unbind(1) for name, part in named.items()}
        core.recorder += [{name: parts[time] for name, parts in steps.items()} for time in range(inputs.shape[1])]
    return outputs, last


def shape_of(core: Any) -> Shape:
    """Of the controller."""
    controller = core.controller
    kind = CONTROLLERS[type(controller)]
    layers = len(controller.layers) // 2 if kind == FEEDFORWARD else controller.layers.num_layers
    reads = heads_of(core) * core.word_size
    steering = core.interface.in_features // controller.output_size
    return Shape(kind, layers, controller.output_size, core.input_size, reads, steering)


def weights_of(core: Any) -> Iterator[tuple[str, Tensor]]:
    """The parameters that the function takes, by name and in its order."""
    layers = core.controller.layers
    if isinstance(layers, nn.Sequential):
        names = [f"{index}.{part}" for index in range(0, len(layers), 2) for part in ("weight", "bias")]
        held = [getattr(layers[index], part) for index in range(0, len(layers), 2) for part in ("weight", "bias")]
    else:
        names = [name for layer in layers._all_weights for name in layer]
        held = [getattr(layers, name) for name in names]
    yield from ((f"controller.layers.{name}", weight) for name, weight in zip(names, held, strict=True))
    for part in ("interface", "output"):
        yield f"{part}.weight", getattr(core, part).weight
        yield f"{part}.bias", getattr(core, part).bias


def rebuilt(template: State, leaves: Iterator[Tensor]) -> Any:
    """A state like another, of other tensors."""
    if isinstance(template, Tensor):
        return next(leaves)
    return type(template)(*(rebuilt(part, leaves) for part in template))


class _Stepwise(nn.Module):
    """The equations of a core over a sequence, with the results of the sequence function."""

    def __init__(self, core: Any, template: State, recording: bool):
        super().__init__()
        self.core, self.template, self.recording = core, template, recording

    def forward(self, inputs: Tensor, starts: Tensor | None, leaves: Sequence[Tensor]) -> list[Tensor]:
        state = rebuilt(self.template, iter(leaves))
        count, rows = len(leaves_of(state)), len(inputs)
        several = [part.expand(rows, *part.shape[1:]) for part in leaves[count:]]
        fresh = state if starts is None else rebuilt(self.template, iter(several))
        outputs, watched = [], []
        for time, step in enumerate(inputs.unbind(1)):
            if starts is not None:
                state = reset_rows(state, fresh, starts[:, time])
            output, state, shown = self._step(step, state)
            outputs.append(output)
            watched.append(shown)
        found = [torch.stack(outputs, 1), *leaves_of(state)]
        return found + [torch.stack(parts, 1) for parts in zip(*watched, strict=True)]

    def _step(self, inputs: Tensor, state: State) -> tuple[Tensor, State, list[Tensor]]:
        """One step, and what a recording needs of it."""
        emitted: list[Tensor] = []
        core, recorder = self.core, self.core.recorder
        hook = core.interface.register_forward_hook(lambda _module, _inputs, output: emitted.append(output))
        try:
            core.recorder = steps = [] if self.recording else None
            output, state = core(inputs, state)
        finally:
            core.recorder = recorder
            hook.remove()
        return output, state, ACCESSES[type(core)](core).shown(emitted[0], steps[0]) if steps else []
