"""One step without gradient, as an agent acts: weights are packed once, and again when they changed.

A core is looked at closely when its weights are packed. At each later step it is enough that it is made of the same
parts with the same memory, and that this memory holds the same numbers. They are compared with a copy, as a parameter
can be changed without another trace: ``parameter.data.mul_(2)``, or another process that shares it.

Legend: B batch, D input width, K output width.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lukasa.memory.kernels.sequence import packing
from lukasa.memory.kernels.sequence.calls import obstacle_of_the_call, own_ways
from lukasa.memory.kernels.sequence.carrying import Inside
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.controller_steps import ControllerTape
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.running import ACCESSES, rebuilt, shape_of, weights_of
from lukasa.memory.kernels.sequence.sizes import leaves_of

LARGE = 1 << 17
"""So many numbers of the state in all rows are worth several threads."""
HUGE = 1 << 20
"""With so many, packing is a small part of a step, and room for them is not kept."""
KEPT = 8
"""Of so many batch sizes at most is room kept."""
OPTIONS = (
    "slots",
    "word_size",
    "heads",
    "read_heads",
    "write_heads",
    "discount",
    "stop_usage_gradient",
    "all_layers_steer",
)
"""Attributes of a core that its native step was made for."""


def _memory_comparison() -> Callable[[int, int, int], int] | None:
    """The C library's ``memcmp``; None where it is not found."""
    try:
        library = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.PyDLL(None)
        compare = library.memcmp
    except (OSError, AttributeError):
        return None
    compare.argtypes, compare.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], ctypes.c_int
    return compare


_compare = _memory_comparison()


class _Weight(NamedTuple):
    """A parameter as it was when it was packed."""

    place: dict[str, Any]  # the parameters of a module
    name: str
    parameter: Tensor
    shape: torch.Size
    address: int
    alias: Tensor  # keeps the memory: nothing else can lie at the address
    copy: Tensor
    copied_to: int
    bytes: int


class _Room:
    """What a step of some rows writes to beside its results, and room to work in."""

    def __init__(self, prepared: Prepared, rows: int):
        shape, access, like = prepared.shape, prepared.access, prepared.like
        inside, tape = packing.controller_tape(shape, like, rows, 1), access.tape(like, rows, 1)
        self.hidden = like.new_empty(rows, shape.steering * shape.size)
        self.arrays = ControllerTape(*map(numbers, inside)), numbers(self.hidden.unsqueeze(1))
        self.none = numbers(like.new_empty(rows, 0, shape.size))  # of a controller without such a state
        self.tape = access.compiled.Tape(*map(numbers, tape))
        self.work = packing.room(shape, like, rows, prepared.emitted), access.room(like)
        fields = access.compiled.Tape(*tape)
        self.sizes = [getattr(fields, name).shape for name in access.carried] + [(rows, 1, shape.reads)]


def prepare(core: Any) -> Prepared | None:
    """What acting needs of a core that has no obstacle; None where its parameters do not lie as they are read."""
    plain = _compare is not None and all(parameter.is_contiguous() for parameter in core.parameters())
    return Prepared(core) if plain else None


class Prepared:
    """A core as it was when its weights were packed. It does not keep the core alive."""

    def __init__(self, core: Any):
        self.shape, self.access = shape_of(core), ACCESSES[type(core)](core)
        del self.access.parse  # it holds the core
        self.parts = list(_parts(core))
        self.counts = [(module._modules, len(module._modules)) for module in core.modules()]
        self.options, self.widths = _options(core), list(core.widths)
        tensors = tuple(tensor.detach() for _, tensor in weights_of(core))
        self.like, count = tensors[0], self.shape.parameters
        self.dtype, self.carried = numbers(self.like).dtype, packing.FIELDS[self.shape.kind]
        controller, interface, (weight, bias) = tensors[:count], tensors[count : count + 2], tensors[count + 2 :]
        self.weights = list(_weights(core))
        self.emitted = len(interface[1])
        below, self.bias = packing.input_weight(self.shape, controller)
        self.below, units = below.t(), self.shape.steering * self.shape.size
        self.output = bias, weight[:, :units].t(), weight[:, units:].t()
        self.fixed = (
            self.access.heads,
            *packing.pack_layers(self.shape, controller, interface),
        )
        self.resets = numbers(torch.zeros(0, 0, dtype=torch.bool))
        template = core.initial_state(1)
        self.kinds = type(template), type(template.controller)
        self.sizes = [tuple(leaf.shape[1:]) for leaf in leaves_of(template)]
        self.size, self.width = sum(leaf.numel() for leaf in leaves_of(template)), core.input_size
        self.rooms: dict[int, list[_Room]] = {}
        self.entry: Any = None

    def act(self, core: Any, inputs: Tensor, state: Any) -> tuple[Tensor, Any] | None:
        """Outputs [B, 1, K] and the next state, of inputs [B, 1, D]; None where the call needs a closer look.

        Gradients must be switched off.
        """
        if obstacle_of_the_call(inputs) is not None or not self.is_current(core):
            return None
        return self.step(inputs, state)

    def is_current(self, core: Any) -> bool:
        """Whether the core is made as it was, and its parameters hold the same numbers."""
        if own_ways(core) or core.widths != self.widths or _options(core) != self.options:
            return False
        for modules, count in self.counts:
            if len(modules) != count:
                return False
        for parent, name, part, kind in self.parts:
            if parent.get(name) is not part or type(part) is not kind or own_ways(part):
                return False
        dtype, compare = self.like.dtype, _compare
        for place, name, parameter, shape, address, _, _, copied_to, size in self.weights:
            if place.get(name) is not parameter or parameter.data_ptr() != address:
                return False
            if parameter.dtype != dtype or parameter.shape != shape or not parameter.is_contiguous():
                return False
            if compare(address, copied_to, size):  # pyright: ignore[reportOptionalCall]
                return False
        return True

    def _takes(self, inputs: Tensor, state: Any, leaves: list[Tensor]) -> bool:
        """Whether the step can be taken from this state with these inputs."""
        rows, dtype = len(inputs), self.like.dtype
        if type(state) is not self.kinds[0] or type(state.controller) is not self.kinds[1]:
            return False
        if rows * self.size > (LARGE if torch.get_num_threads() > 1 else HUGE):
            return False
        if type(inputs) is not Tensor or inputs.dtype != dtype or inputs.shape != (rows, 1, self.width):
            return False
        for tensor, size in zip(leaves, self.sizes, strict=True):
            if type(tensor) is not Tensor or tensor.dtype != dtype or tensor.shape != (rows, *size):
                return False
            if tensor.device.type != "cpu" or tensor.layout != torch.strided:
                return False
        return inputs.layout == torch.strided

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any] | None:
        """The step, None where it cannot be taken with such inputs and state; several threads may take one at once."""
        leaves = leaves_of(state)
        if not self._takes(inputs, state, leaves):
            return None
        rows, access = len(inputs), self.access
        rooms = self._rooms_of(rows)
        try:
            room = rooms.pop()
        except IndexError:
            room = _Room(self, rows)
        dtype, (inside, hidden) = self.dtype, room.arrays
        new = [np.empty(size, dtype) for size in room.sizes]  # the results, in memory of their own
        tape = room.tape._replace(**dict(zip(access.carried, new, strict=False)))
        projected = torch.addmm(self.bias, inputs.reshape(rows, -1), self.below)
        first = self._native(leaves, room)
        arguments = (
            *(0, rows, *self.fixed, projected.numpy()[:, None], self.resets, first, first),
            *(inside, tape, hidden, new[-1], *room.work),
        )
        self._run(arguments)
        *memory, reads = new
        bias, from_hidden, from_reads = self.output
        outputs = torch.addmm(bias, room.hidden, from_hidden).addmm_(torch.from_numpy(reads[:, 0]), from_reads)
        fields = access.field_arrays([part[:, 0] for part in memory])
        fields.append(reads.reshape(rows, -1, access.word))
        fields += [part[:, :, 0].swapaxes(0, 1).copy() for part in inside[: self.carried]]
        rooms.append(room)
        return outputs.unsqueeze(1), rebuilt(state, map(torch.from_numpy, fields))

    def _native(self, leaves: Sequence[Tensor], room: _Room) -> tuple[Inside, Any]:
        """A state as the compiled function takes it."""
        arrays = [(leaf.detach() if leaf.requires_grad else leaf).numpy() for leaf in leaves]
        *memory, reads = arrays[: len(arrays) - self.carried]
        hidden, cell = [*arrays[len(arrays) - self.carried :], room.none, room.none][:2]
        parts = [hidden, cell, reads.reshape(len(reads), -1), *self.access.native_arrays(memory)]
        hidden, cell, reads, *native = map(np.ascontiguousarray, parts)
        return Inside(hidden, cell, reads), self.access.compiled.State(*native)

    def _rooms_of(self, rows: int) -> list[_Room]:
        """Those that nobody uses now."""
        if rows not in self.rooms and len(self.rooms) >= KEPT:
            self.rooms = {}
        return self.rooms.setdefault(rows, [])

    def _run(self, arguments: Sequence[Any]) -> None:
        """Call the compiled function: the first time as usual, and then without a look at the types."""
        if self.entry is not None:
            self.entry(*arguments)
            return
        function = self.access.compiled.forward
        call(function, self.like.dtype, *arguments)
        self.entry = _entry(function, arguments)


def _entry(function: Any, arguments: Sequence[Any]) -> Any:
    """The compiled function for arguments of just these types, which are not looked at again; or the function."""
    try:
        return function.overloads[tuple(map(function.typeof_pyval, arguments))].entry_point
    except (AttributeError, KeyError):
        return function


def _options(core: Any) -> tuple[Any, ...]:
    held = core.__dict__
    return tuple(held.get(name) for name in OPTIONS)


def _parts(core: nn.Module) -> Iterator[tuple[dict[str, Any], str, nn.Module, type]]:
    """Every part below a core: the modules among which it is, its name there, and its class."""
    for module in core.modules():
        for name, part in module._modules.items():
            assert part is not None
            yield module._modules, name, part, type(part)


def _weights(core: nn.Module) -> Iterator[_Weight]:
    """The parameters of the core's layers; those of its initial state take no part in a step."""
    for module in core.modules():
        if module is core:
            continue
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            alias, copy = parameter.detach(), parameter.detach().clone()
            size = copy.numel() * copy.element_size()
            places = (parameter.data_ptr(), alias, copy, copy.data_ptr(), size)
            yield _Weight(module._parameters, name, parameter, parameter.shape, *places)
