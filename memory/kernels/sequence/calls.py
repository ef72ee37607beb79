"""What a call asks for, and what of it only the equations follow, whatever the core.

Legend: B batch, T time.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from lukasa.memory.derivatives import needs_reference

NO_NUMBA = "Numba is not installed, which compiles native code: pip install 'lukasa[cpu]'"

_stepwise: ContextVar[bool] = ContextVar("stepwise", default=False)


@contextmanager
def step_by_step() -> Iterator[None]:
    """Take the equations inside the ``with`` block, whatever the call.

    Example:
        >>> import torch
        >>> from lukasa import memory
        >>> core = memory.make_core("ntm", input_size=3, output_size=2, slots=8, word_size=4)
        >>> with memory.step_by_step():
        ...     outputs, state = memory.unroll(core, torch.zeros(1, 5, 3))
    """
    token = _stepwise.set(True)
    try:
        yield
    finally:
        _stepwise.reset(token)


def steps_are_asked_for() -> bool:
    """Whether this is inside ``step_by_step``."""
    return _stepwise.get()


def obstacle_of_the_call(inputs: Tensor) -> str | None:
    """What has nothing to do with the core and its state: where the call is made, and how."""
    if torch.compiler.is_compiling():
        return "torch.compile follows the equations"
    if needs_reference() or torch._C._len_torch_dispatch_stack():
        return "it is transformed (torch.func, forward differentiation), traced or exported"
    if inputs.device.type != "cpu":
        return f"native code runs on the CPU, and this is on {inputs.device}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, which only the equations follow"
    if 0 in inputs.shape[:2]:
        return "there is nothing to compute"
    if (
        every_module._global_forward_hooks
        or every_module._global_forward_pre_hooks
        or every_module._global_backward_hooks
        or every_module._global_backward_pre_hooks
    ):
        return "hooks are registered for all modules, which only the equations call"
    return None


def own_ways(part: nn.Module) -> str | None:
    """How a module differs from others of its class, as the middle of a sentence; None where it does not.

    It has hooks, or methods of its own.
    """
    own = part.__dict__
    # spelled out: this is asked at every step that an agent takes
    if part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks:
        return "has hooks"
    methods = "forward" in own or "step" in own or "parse" in own or "initial_state" in own
    if methods or part._compiled_call_impl is not None:
        return "computes in a way of its own"
    return None


@functools.cache
def has_numba() -> bool:
    """Whether the compiler is installed."""
    return importlib.util.find_spec("numba") is not None
