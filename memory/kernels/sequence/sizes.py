"""Whether parameters and state of a core are of the shapes that its options make: native code relies on it.

Legend: R read heads, P write heads, N slots, W word size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lukasa.memory.controllers import GRUState, LSTMState, NoState
from lukasa.memory.core import State
from lukasa.memory.dam import DAM, DAMState
from lukasa.memory.dnc import DNC, DNCState
from lukasa.memory.mann import MANN, MANNState
from lukasa.memory.ntm import NTM, NTMState
from lukasa.memory.stacks.mover import HiddenState
from lukasa.memory.stacks.moving import Moving

Sizes = tuple[int, ...]


def _ntm(core: Any) -> tuple[type, list[Sizes]]:
    slots, readers, writers = core.slots, core.read_heads, core.write_heads
    return NTMState, [(slots, core.word_size), (readers, slots), (writers, slots)]


def _mann(core: Any) -> tuple[type, list[Sizes]]:
    return MANNState, [(core.slots, core.word_size), (core.slots,), (core.read_heads, core.slots)]


def _dam(core: Any) -> tuple[type, list[Sizes]]:
    return DAMState, [(core.slots, core.word_size), (core.slots,), (core.heads, core.slots)]


def _dnc(core: Any) -> tuple[type, list[Sizes]]:
    slots, readers = core.slots, core.read_heads
    sizes = [(slots, core.word_size), (slots,), (slots, slots), (slots,), (readers, slots), (slots,)]
    return DNCState, sizes


FIELDS: dict[type, Callable[[Any], tuple[type, list[Sizes]]]] = {NTM: _ntm, MANN: _mann, DAM: _dam, DNC: _dnc}
"""By class of core, the class of its state and the shapes of the memory's fields in one row, but for the reads."""
CONTROLLERS = {nn.LSTM: (LSTMState, 2), nn.GRU: (GRUState, 1), nn.Sequential: (NoState, 0)}
"""By class of a controller's layers, the class of its state and the number of tensors in it."""
GATES = {nn.LSTM: 4, nn.GRU: 3}


def leaves_of(state: State) -> list[Any]:
    """The parts of a state, nested ones too: tensors, unless it is none of a dense core."""
    found: list[Any] = []
    for part in state:
        found += leaves_of(part) if isinstance(part, tuple) else [part]
    return found


def fits(core: Any, rows: int, state: State) -> bool:
    """Whether all shapes are as expected, with so many rows in the state."""
    if isinstance(core, Moving):
        return _fits_moving(core, rows, state)
    layers = core.controller.layers
    if type(layers) in GATES and (layers.bidirectional or not layers.bias or layers.num_layers < 1):
        return False
    if any(_shape_of(core, name) != sizes for name, sizes in _parameters(core)):
        return False
    inside, count = CONTROLLERS[type(layers)]
    carried = [(getattr(layers, "num_layers", 0), core.controller.output_size)] * count
    if is_plain(core):
        return type(state) is inside and [tuple(part.shape) for part in state] == [(rows, *sizes) for sizes in carried]
    kind, fields = _fields(core)
    fields = [*fields, (heads_of(core), core.word_size), *carried]
    if type(state) is not kind or type(state.controller) is not inside:
        return False
    tensors = [leaf for leaf in leaves_of(state) if isinstance(leaf, Tensor)]
    if [tuple(leaf.shape) for leaf in tensors] != [(rows, *sizes) for sizes in fields]:
        return False
    return type(core) in FIELDS or _fits_sparse(core, rows, state)


def _fits_moving(core: Moving, rows: int, state: Any) -> bool:
    """Whether what moves stacks or lists, and what is stored, are of their sizes."""
    mover, (structures, _, size) = core.controller, core.shape
    units, read = mover.inputs.out_features, structures * len(core.places) * size
    actions = mover.actions.out_features
    expected = {
        "inputs.weight": (units, core.input_size),
        "inputs.bias": (units,),
        "elements.weight": (units, read),
        "actions.weight": (actions, units),
        "actions.bias": (actions,),
        "words.weight": (structures * size, units),
        "words.bias": (structures * size,),
    }
    if mover.hidden is not None:
        expected["hidden.weight"] = (units, units)
    carried = NoState if mover.hidden is None else HiddenState
    if type(state) is not core.state or type(state.controller) is not carried or actions % structures:
        return False
    if {name: tuple(one.shape) for name, one in mover.named_parameters()} != expected:
        return False
    sizes = [(rows, *core.shape), (rows, units)]
    return all(tuple(one.shape) == size for one, size in zip(leaves_of(state), sizes, strict=False))


def is_plain(core: Any) -> bool:
    """Whether a core is a controller without a memory."""
    return not hasattr(core, "interface")


def heads_of(core: Any) -> int:
    """How many heads read."""
    return core.read_heads if hasattr(core, "read_heads") else core.heads


def _fields(core: Any) -> tuple[type, list[Sizes]]:
    """The class of a core's state, and the shapes of the memory's tensors in one row, but for the reads."""
    if type(core) in FIELDS:
        return FIELDS[type(core)](core)
    from lukasa.memory.sam import SAM, SAMState
    from lukasa.memory.sdnc import SDNCState

    return SAMState if type(core) is SAM else SDNCState, [(core.heads, core.reads)] * 2


def _fits_sparse(core: Any, rows: int, state: Any) -> bool:
    """Whether a sparse memory has rows and words as the core, and slots are whole numbers."""
    memory = state.memory
    fit = memory.batch_size == rows and memory.word_size == core.word_size and state.read_slots.dtype == torch.int64
    return fit and (not hasattr(state, "links") or state.links.batch_size == rows)


def _shape_of(core: Any, path: str) -> Sizes | None:
    part = core
    for name in path.split("."):
        part = getattr(part, name, None)
    return tuple(part.shape) if isinstance(part, Tensor) else None


def _parameters(core: Any) -> Iterator[tuple[str, Sizes]]:
    layers, units = core.controller.layers, core.controller.output_size
    plain = isinstance(layers, nn.Sequential)
    depth = len(layers) // 2 if plain else layers.num_layers
    reads, emitting = 0, units
    if not is_plain(core):
        reads = heads_of(core) * core.word_size
        emitting = units * (depth if core.all_layers_steer and not plain else 1)
        yield "interface.weight", (sum(core.widths), emitting)
        yield "interface.bias", (sum(core.widths),)
    yield "output.weight", (core.output_size, emitting + reads)
    yield "output.bias", (core.output_size,)
    for layer in range(depth):
        below = units if layer else core.input_size + reads
        if plain:
            yield f"controller.layers.{2 * layer}.weight", (units, below)
            yield f"controller.layers.{2 * layer}.bias", (units,)
            continue
        received = GATES[type(layers)] * units
        yield f"controller.layers.weight_ih_l{layer}", (received, below)
        yield f"controller.layers.weight_hh_l{layer}", (received, units)
        yield f"controller.layers.bias_ih_l{layer}", (received,)
        yield f"controller.layers.bias_hh_l{layer}", (received,)
