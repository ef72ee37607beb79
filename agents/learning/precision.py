"""Mixed precision: layers in bfloat16, memory and addressing in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from lukasa.memory import Core
from lukasa.memory.core import WholeSequence

Precision: TypeAlias = Literal["float32", "bfloat16"]
"""What layers compute in; parameters, memory and losses are float32."""


@contextmanager
def mixed_precision(core: Core, precision: Precision) -> Iterator[None]:
    """Run a core under ``torch.autocast`` to bfloat16 inside the ``with`` block; parameters stay as they are.

    A core with a memory runs only its layers so: usage, links and weightings are sums and products over many steps,
    for which the 8 bits of bfloat16 are too few.

    Args:
        core: what runs.
        precision: "float32" changes nothing.
    """
    if precision == "float32":
        yield
        return
    device = next(core.parameters()).device.type
    if isinstance(core, WholeSequence):
        with torch.autocast(device, torch.bfloat16):
            yield
        return
    with ExitStack() as stack:
        for layer in core.children():
            for hook in _autocast_calls(layer, device):
                stack.callback(hook.remove)
        yield


def _autocast_calls(layer: nn.Module, device: str) -> list[Any]:
    """Hooks that switch autocast on at the start of each call of a layer and off at its end."""
    entered: list[Any] = []

    def begin(*_: Any) -> None:
        entered.append(torch.autocast(device, torch.bfloat16))
        entered[-1].__enter__()

    def end(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        entered.pop().__exit__(None, None, None)
        return _widened(output)

    return [layer.register_forward_pre_hook(begin), layer.register_forward_hook(end)]


def _widened(value: Any) -> Any:
    """Tensors of bfloat16 as float32, in tuples too."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    parts = [_widened(part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
