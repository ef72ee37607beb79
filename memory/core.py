"""The contract that every memory core keeps.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from lukasa.memory.auxiliary import Auxiliary

StateType = TypeVar("StateType", bound=tuple[Any, ...])
HALVES = (torch.float16, torch.bfloat16)
State = Any
"""A NamedTuple of tensors, each with the batch as its first dimension; nested where a part is itself stateful."""


class Core(nn.Module):
    """One step of a recurrent network with a memory: ``output, state = core(inputs, state)``.

    Nothing recurrent lives on the module: the state comes in and goes out.

    Attributes:
        input_size: D, the width of one input.
        output_size: K, the width of one output.
        recorder: the list that ``memory.record`` fills, None while nobody looks.
        auxiliary: what ``memory.collect_auxiliary`` fills, None while nobody collects.
        resets_inside: whether a ``sequence`` of this core also takes ``starts``; see ``WholeSequence``.
        chooses: whether its steps draw at random in training, so that the same call made twice differs. Choices that no
            gradient passes through are handed out (``memory.add_choice``). A class or, where an option decides, a core
            sets it; who runs a core twice, to act and to learn, has to refuse one that would choose anew.
        rounds: whether it rounds in evaluation mode what it does by degrees in training. Who acts in the one and learns
            in the other, as RLlib does, has to refuse it.
    """

    input_size: int
    output_size: int
    recorder: list[dict[str, Tensor]] | None = None
    auxiliary: Auxiliary | None = None
    resets_inside: ClassVar[bool] = False
    chooses: bool = False
    rounds: bool = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "initial_state" in cls.__dict__:
            cls.initial_state = _of_whole_rows(cls.initial_state)

    def initial_state(self, batch_size: int) -> State:
        """The state before the first input, on the core's device and dtype; rows are identical.

        Args:
            batch_size: B, number of rows.
        """
        raise NotImplementedError

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step.

        Args:
            inputs: [B, D].
            state: as returned by ``initial_state`` or by the step before.

        Returns:
            The output [B, K] and the next state.
        """
        raise NotImplementedError


@runtime_checkable
class WholeSequence(Protocol):
    """A core that can run a sequence in one call, faster than step by step and equal to it.

    One whose ``resets_inside`` is true takes ``starts`` as a third argument, bool [B, T] or None, and resets row b
    before input t is read where it is set, as ``memory.unroll`` does; a NaN in a row that is reset does not survive.
    Another is called only where no row is reset.
    """

    def sequence(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Inputs [B, T, D] and a state to outputs [B, T, K] and the last state."""
        ...


def whole_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Switches ``torch.autocast`` off for what a memory does: 8 bits are too few for sums over many steps."""
    autocast = torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if autocast else nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """A tensor of float16 or bfloat16 as float32; another as it is."""
    return tensor.float() if tensor.dtype in HALVES else tensor


def in_full_precision(state: StateType) -> StateType:
    """A state whose tensors of float16 or bfloat16 are float32, as a memory computes; itself where there are none.

    Float16 ends at 65,504: one over the squared length of an almost empty word is beyond, and so is the square of a
    large one. The controller's part is left as it is.
    """
    if not any(_is_half(part) for part in state):
        return state
    return type(state)(*(part.float() if _is_half(part) else part for part in state))


def in_dtype(dtype: torch.dtype, state: StateType) -> StateType:
    """A state with its floating-point tensors in the dtype that the core carries them in; itself where they are."""
    if dtype not in HALVES:
        return state
    floating = [isinstance(part, Tensor) and part.is_floating_point() for part in state]
    return type(state)(*(part.to(dtype) if to else part for part, to in zip(state, floating, strict=True)))


def _is_half(part: Any) -> bool:
    return isinstance(part, Tensor) and part.dtype in HALVES


def _of_whole_rows(initial_state: Any) -> Any:
    """The method of a core, refusing what is no number of rows."""

    @functools.wraps(initial_state)
    def checked(self: Any, batch_size: int) -> State:
        if not isinstance(batch_size, int) and not hasattr(type(batch_size), "__index__"):
            raise TypeError(f"batch_size is {batch_size!r}: expected a whole number of rows")
        if batch_size < 0:
            raise ValueError(f"batch_size is {batch_size}: expected 0 rows or more")
        return initial_state(self, batch_size)

    return checked


def check_inputs(core: Core, inputs: Tensor, expected: tuple[str, ...] = ("batch",), state: State = ()) -> None:
    """Refuse inputs of the wrong kind, shape, dtype or device, and a state on another device.

    Args:
        core: who is to read them.
        inputs: [..., D].
        expected: the names of the dimensions before D.
        state: that is to be read with them.

    Raises:
        TypeError: they are no tensor, but an array or a list.
        ValueError: they are not dense, of that shape, and of the core's dtype and device; or the state lies elsewhere,
            is of another core or of another number of rows.
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(
            f"inputs are a {type(inputs).__name__}: expected a tensor; torch.as_tensor(inputs, dtype=...) makes one of "
            "an array or a list"
        )
    if inputs.is_nested or inputs.layout != torch.strided:
        kind = "nested" if inputs.is_nested else "sparse"
        raise ValueError(f"inputs are a {kind} tensor: expected a dense one; lengths that differ can be packed")
    if inputs.dim() != len(expected) + 1 or inputs.shape[-1] != core.input_size:
        names = ", ".join(expected)
        raise ValueError(f"inputs {list(inputs.shape)} do not fit this core: expected [{names}, {core.input_size}]")
    weight = next(core.parameters())
    if inputs.device != weight.device:
        raise ValueError(f"inputs are on {inputs.device} and the core on {weight.device}: move one with .to()")
    if expected == ("batch",):
        _check_step(core, state, len(inputs))
    check_place(state, weight.device)
    dtype = weight.dtype
    if inputs.dtype != dtype and not torch.is_autocast_enabled(inputs.device.type):
        raise ValueError(f"inputs are {inputs.dtype} and the core is {dtype}: convert one to the other with .to()")


def _check_step(core: Core, state: State, rows: int) -> None:
    """Refuse a state of another core or of another number of rows."""
    kind = core.__dict__.get("_state_kind")
    if kind is None:
        kind = type(core.initial_state(1))
        object.__setattr__(core, "_state_kind", kind)  # no parameter and no buffer
    if not hasattr(kind, "_fields"):  # without a state
        return
    if type(state) is not kind:
        raise ValueError(
            f"state is a {type(state).__name__} and this core needs a {kind.__name__}: it is of another core"
        )
    held = next((part for part in state if isinstance(part, Tensor)), None)
    if held is not None and len(held) != rows:
        raise ValueError(f"state has {len(held)} rows and inputs {rows}: they must be as many")


def check_place(state: State, device: torch.device, path: str = "") -> None:
    """Refuse a state that is not where its core is.

    Args:
        state: a NamedTuple of tensors and other parts; of anything else nothing is known.
        device: of the core.
        path: where in a larger state this one is.

    Raises:
        ValueError: a part of it lies elsewhere.
    """
    if not hasattr(state, "_fields"):
        return
    for name, part in zip(state._fields, state, strict=True):
        where = getattr(part, "device", None)
        if where is None:
            check_place(part, device, f"{path}{name}.")
        elif where != device:
            raise ValueError(
                f"state is on {where} ({path}{name}) and the core on {device}: make it with core.initial_state after "
                "core.to(), or move it by memory.state_from_dict(core, memory.state_to_dict(state))"
            )
