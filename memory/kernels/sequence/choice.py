"""Which way a call takes: compiled loops over the whole sequence, or the equations step by step; and why.

Nothing here imports Numba: that happens when a call first takes the compiled way.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lukasa.memory.baselines import GRU, LSTM
from lukasa.memory.controllers import AttentionController, FeedForwardController, GRUController, LSTMController
from lukasa.memory.core import Core, State, WholeSequence
from lukasa.memory.dam import DAMState
from lukasa.memory.kernels.sequence.calls import (
    NO_NUMBA,
    has_numba,
    obstacle_of_the_call,
    own_ways,
    steps_are_asked_for,
)
from lukasa.memory.kernels.sequence.sizes import FIELDS, fits, is_plain, leaves_of
from lukasa.memory.mann import MANNState
from lukasa.memory.stacks.list_rnn import ListRNN
from lukasa.memory.stacks.mover import Mover
from lukasa.memory.stacks.stack_rnn import StackRNN

FAST = "this call runs the whole sequence in native code"
PLAIN = (LSTM, GRU)
"""Cores without a memory that have native code."""
MOVING = (StackRNN, ListRNN)
"""Cores that move what they store, with loops of their own."""
CONTROLLERS = (LSTMController, GRUController, FeedForwardController, Mover)
PARTS = (nn.Linear, nn.LSTM, nn.GRU, nn.Sequential, nn.Tanh, *CONTROLLERS)
"""What such a core is made of."""
SHORT = 8
"""Steps of a sequence; with fewer, a call of ours costs more than what it computes."""
NUMBERS = (torch.float32, torch.float64)

_acting: WeakKeyDictionary[Core, Any] = WeakKeyDictionary()
"""What acting needs of a core, since one was looked at closely; see ``acting.Prepared``."""


def obstacle(core: Core, inputs: Tensor, state: State) -> str | None:
    """Why a call cannot take compiled loops, as the end of a sentence; None where it can."""
    if type(core) not in (*FIELDS, *PLAIN, *MOVING) and not has_sparse_loops(core):
        return f"a core of class {type(core).__name__} has no native code for whole sequences"
    if steps_are_asked_for():
        return "memory.step_by_step() asks for the equations"
    if type(core) in MOVING and (reason := _of_what_moves(core, inputs)):
        return reason
    return (
        obstacle_of_the_call(inputs)
        or _of_the_core(core)
        or obstacle_of_the_tensors(inputs, [*_numbers_of(core, state), *core.parameters()])
        or (
            None if fits(core, len(inputs), state) else "its parameters or state are not of the shapes its options make"
        )
        or ("its usage carries a gradient, which only the equations follow" if _usage_is_followed(state) else None)
        or _of_the_machine()
        or _of_the_sparse_memory(core, inputs, state)
    )


def _numbers_of(core: Core, state: Any) -> list[Any]:
    """What of a state has to be of the core's dtype: of a sparse memory neither itself nor the slots."""
    if not has_sparse_loops(core):
        return leaves_of(state)
    return [leaf for leaf in leaves_of(state) if isinstance(leaf, Tensor) and leaf is not state.read_slots]


def has_sparse_loops(core: Core) -> bool:
    """Whether a core has a sparse memory and native code for it."""
    from lukasa.memory.sam import SAM
    from lukasa.memory.sdnc import SDNC

    return type(core) in (SAM, SDNC)


def _of_the_sparse_memory(core: Core, inputs: Tensor, state: Any) -> str | None:
    if not has_sparse_loops(core):
        return None
    from lukasa.memory.kernels.sparse_access import native

    reason = native.obstacle(state.memory.store, inputs)
    if reason is None and hasattr(state, "links"):
        reason = native.obstacle_of_links(state.links.tables)
    if reason is None and core.recorder is not None:
        return "it is recorded, step by step"
    if reason is None and _is_left_to_the_step(core, inputs):
        return "it is a single step, whose access to the memory is a call of native code"
    return reason


def _is_left_to_the_step(core: Core, inputs: Tensor) -> bool:
    """Whether it is a single step of a SAM, whose access runs in native code wherever a whole sequence would."""
    from lukasa.memory.sam import SAM

    return inputs.shape[1] == 1 and type(core) is SAM


def _of_what_moves(core: Core, inputs: Tensor) -> str | None:
    if core.recorder is not None:
        return "it is recorded, step by step"
    return "it is a single step, for which the equations are as fast" if inputs.shape[1] == 1 else None


def _usage_is_followed(state: Any) -> bool:
    """Of a MANN or a DAM; a core itself never makes such a state."""
    return isinstance(state, MANNState | DAMState) and state.usage.requires_grad and torch.is_grad_enabled()


def _of_the_core(core: Any) -> str | None:
    layers = getattr(core.controller, "layers", None)
    if isinstance(core.controller, AttentionController):
        return "its controller attends to its last inputs, which only the equations do"
    for name, part in _parts_of(core).items():
        where = f"its part {name!r}" if name else "the core"
        if name and type(part) not in PARTS:
            return f"{where} is a {type(part).__name__} (replaced or parametrized), which only the equations call"
        if own := own_ways(part):
            return f"{where} {own}, which only the equations call"
    if isinstance(layers, nn.LSTM) and layers.proj_size:
        return "its LSTM projects its outputs"
    return None


def _parts_of(core: Any) -> dict[str, Any]:
    """What a core consists of, by name."""
    controller = core.controller
    if type(core) in MOVING:
        return dict(core.named_modules())
    layers = getattr(controller, "layers", None)
    inner = layers if isinstance(layers, nn.Sequential) else ()
    parts = {"": core, "controller": controller, "controller.layers": layers}
    parts |= {f"controller.layers.{index}": layer for index, layer in enumerate(inner)}
    return parts | {
        name: getattr(core, name) for name in ("interface", "output") if name == "output" or not is_plain(core)
    }


def obstacle_of_the_tensors(first: Tensor, others: Sequence[Any]) -> str | None:
    """What of a call's tensors native code cannot take: their dtypes, devices, layouts and classes."""
    if first.dtype not in NUMBERS:
        return f"native code computes in float32 and float64, and this is {first.dtype}"
    dtype, device = first.dtype, first.device
    for tensor in (first, *others):
        if type(tensor) is not Tensor and type(tensor) is not nn.Parameter:
            return f"one of its tensors is a {type(tensor).__name__}"
        if tensor.dtype != dtype or tensor.device != device or tensor.layout != torch.strided:
            return f"its tensors differ: {dtype} on {device}, {tensor.dtype} ({tensor.layout}) on {tensor.device}"
    return None


def _of_the_machine() -> str | None:
    if has_numba():
        return None
    return NO_NUMBA


def why_slow(core: Core, inputs: Tensor, state: State | None = None) -> str:
    """Which way ``memory.unroll`` would take with these arguments, and why.

    Args:
        core: any core.
        inputs: [B, T, D].
        state: before the first input; the core's initial state when None.

    Returns:
        A sentence.

    Example:
        >>> import torch
        >>> from lukasa import memory
        >>> core = memory.make_core("ntm", input_size=3, output_size=2).bfloat16()
        >>> print(memory.why_slow(core, torch.zeros(1, 5, 3, dtype=torch.bfloat16)))
        this call runs step by step: native code computes in float32 and float64, and this is torch.bfloat16
    """
    state = core.initial_state(len(inputs)) if state is None else state
    reason = obstacle(core, inputs, state)
    if reason is None:
        return FAST
    if isinstance(core, WholeSequence) and core.recorder is None and not steps_are_asked_for():
        if not leaves_of(state):
            return "this call runs the whole sequence at once: the core carries nothing from step to step"
        if core.resets_inside:
            return "this call runs the whole sequence at once, rows that are reset inside it included"
        return f"this call runs the whole sequence at once, and step by step where rows are reset inside it: {reason}"
    return f"this call runs step by step: {reason}"


@functools.cache
def say_once(reason: str) -> None:
    """Say what is missing, the first time."""
    warnings.warn(f"cores run step by step, many times slower than they could: {reason}", stacklevel=2)


def _library_is_as_fast(core: Core, inputs: Tensor) -> bool:
    """Whether PyTorch's own call is, without resets: its LSTM by oneDNN, and where there is little to compute."""
    by_onednn = type(core) is LSTM and inputs.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    return core.recorder is None and not steps_are_asked_for() and (by_onednn or inputs.shape[1] < SHORT)


def run_native(core: Core, inputs: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State] | None:
    """The outputs and the last state by compiled loops; None where a call cannot take them.

    Args:
        core: any core.
        inputs: [B, T, D].
        state: before the first input.
        starts: bool [B, T]; None where nothing is reset.
    """
    if type(core) in PLAIN and starts is None and _library_is_as_fast(core, inputs):
        return None
    if has_numba() and _is_left_to_the_step(core, inputs):  # asked first: a runner comes by at each step
        return None
    if obstacle(core, inputs, state) is not None:
        compiled = type(core) in (*FIELDS, *MOVING) or has_sparse_loops(core)
        compiled = compiled or (type(core) in PLAIN and starts is not None)
        if compiled and not has_numba():
            say_once(_of_the_machine() or "")
        return None
    if type(core) in PLAIN:
        from lukasa.memory.kernels.sequence import plain_running

        return plain_running.run_plain(core, inputs, state, starts)
    if type(core) in MOVING:
        from lukasa.memory.kernels.moving import running as moving

        return moving.run_core(core, inputs, state, starts)
    if has_sparse_loops(core):
        from lukasa.memory.kernels.sparse_access import running as sparse

        return sparse.run_core(core, inputs, state, starts)
    from lukasa.memory.kernels.sequence import acting, running

    if starts is None and inputs.shape[1] == 1 and core.recorder is None and not torch.is_grad_enabled():
        prepared = acting.prepare(core)
        if prepared is not None and (found := prepared.step(inputs, state)) is not None:
            _acting[core] = prepared
            return found
    return running.run_core(core, inputs, state, starts)


def act(core: Core, inputs: Tensor, state: State) -> tuple[Tensor, State] | None:
    """A single step without gradient like one before; None where there was none, or the call needs a closer look.

    Args:
        core: any core.
        inputs: [B, 1, D], not looked at yet.
        state: before the step, likewise.

    Returns:
        Outputs [B, 1, K] and the next state.
    """
    if torch.compiler.is_compiling() or not isinstance(core, Core):
        return None
    prepared = _acting.get(core)
    if prepared is None or torch.is_grad_enabled() or core.recorder is not None or steps_are_asked_for():
        return None
    return prepared.act(core, inputs, state) if isinstance(inputs, Tensor) and inputs.dim() == 3 else None
