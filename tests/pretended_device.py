"""A device that only pretends to be a GPU: its tensors live and compute on the CPU, and refuse to meet the CPU's.

A tensor there says that it is on ``cuda:0``, cannot become a NumPy array, and may meet a tensor of the CPU only where
CUDA's could: as a number (no dimensions), as the index of an indexing, in a copy. So the tests of what runs on a GPU
run everywhere, take the very branches that a GPU takes, and fail where a tensor was made on the wrong device. What it
cannot show is what CUDA's own kernels do: other rounding, orders of summation, layouts they need, lack of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

HERE = torch.device("cuda", 0)
CPU = torch.device("cpu")
aten = torch.ops.aten
INDEXING = {aten.index.Tensor: 1, aten.index_put.default: 3, aten.index_put_.default: 3}
"""Operations whose indices may be on the CPU, and how many of their arguments may be looked at."""
NUMBERS_TOO = {aten.masked_fill.Tensor, aten.masked_fill_.Tensor, aten.fill_.Tensor, *INDEXING}
"""Operations that take numbers of the CPU, beside those from element to element."""


class Pretended(Tensor):
    """A tensor of the CPU that says it is on a GPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Pretended:
        made = Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
        )
        made.inner = inner.detach()
        return made

    def __repr__(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return f"Pretended({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        _refuse_mixtures(func, args, kwargs)
        inside = {key: value for key, value in kwargs.items() if key != "device"}
        result = func(*_inside(args), **_inside(inside))
        if func is aten.new_zeros.default:  # where its tensor is: the gradient of indexing asks for these
            return _outside(result)
        if kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cpu":
            return result
        return return_and_correct_aliasing(func, args, kwargs, _outside(result))

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore


def _mapped(nested: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """What an operation takes or gives, with its tensors changed: torch's own walk through trees takes far longer."""
    if isinstance(nested, Tensor):
        return change(nested)
    if isinstance(nested, list | tuple):
        return type(nested)([_mapped(one, change) for one in nested])
    if isinstance(nested, dict):
        return {name: _mapped(one, change) for name, one in nested.items()}
    return nested


def _tensors(nested: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _mapped(nested, lambda one: found.append(one) or one)
    return found


def _inside(nested: Any) -> Any:
    return _mapped(nested, lambda one: one.inner if isinstance(one, Pretended) else one)


def _outside(nested: Any) -> Any:
    return _mapped(nested, lambda one: one if isinstance(one, Pretended) else Pretended(one))


def _refuse_mixtures(func: Any, args: Any, kwargs: Any) -> None:
    if func is aten.copy_.default:
        return
    looked_at = (args, kwargs)
    if func in INDEXING and isinstance(args[0], Pretended):
        looked_at = (args[0], args[2:3])
    tensors = _tensors(looked_at)
    numbers_too = torch.Tag.pointwise in func.tags or func in NUMBERS_TOO
    strangers = [one for one in tensors if not isinstance(one, Pretended) and (one.dim() or not numbers_too)]
    if strangers:
        guests = [tuple(one.shape) for one in tensors if isinstance(one, Pretended)]
        shapes = [tuple(one.shape) for one in strangers]
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {func} got {guests} on {HERE} and {shapes} on cpu"
        )


class _Moved(torch.autograd.Function):
    """From the CPU, or back to it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _other(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _other(gradient)


def _other(tensor: Tensor) -> Tensor:
    return tensor.inner.clone() if isinstance(tensor, Pretended) else Pretended(tensor.detach().clone())


def _on(tensor: Tensor, device: Any) -> Tensor:
    """The tensor, or a copy of it where it is elsewhere; gradients flow back."""
    if device is None or (torch.device(device).type == "cpu") == (not isinstance(tensor, Pretended)):
        return tensor
    return _Moved.apply(tensor)  # type: ignore[return-value]


def _to(tensor: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
    if args and isinstance(args[0], Tensor):
        device, dtype = _device_of(args[0]), args[0].dtype
    else:
        device, dtype = torch._C._nn._parse_to(*args, **kwargs)[:2]  # pyright: ignore
    moved = _on(tensor, device)
    moved = moved if dtype is None else moved.to(dtype)
    return moved.clone() if copy and moved is tensor else moved


def _device_of(tensor: Tensor) -> torch.device:
    return HERE if isinstance(tensor, Pretended) else tensor.device


def _numpy(tensor: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(tensor, Pretended):
        raise TypeError(f"can't convert {HERE} device type tensor to numpy. Use Tensor.cpu() first")
    return tensor.numpy(*args, **kwargs)


def _array(tensor: Any, *args: Any, **kwargs: Any) -> Any:
    _numpy(tensor)
    return tensor.__array__(*args, **kwargs)


def _deepcopy(tensor: Any, memo: dict[int, Any]) -> Any:
    if not isinstance(tensor, Pretended):
        return tensor.__deepcopy__(memo)
    if id(tensor) not in memo:
        made: Any = Pretended(tensor.inner.clone()).requires_grad_(tensor.requires_grad)
        memo[id(tensor)] = torch.nn.Parameter(made) if isinstance(tensor, torch.nn.Parameter) else made
    return memo[id(tensor)]


def _new_tensor(tensor: Tensor, data: Any, **kwargs: Any) -> Tensor:
    made = _on(tensor.new_empty(0), CPU).new_tensor(data, **{**kwargs, "device": None})
    return _on(made, kwargs.get("device") or _device_of(tensor))


def _one_hot(tensor: Tensor, classes: int = -1) -> Tensor:
    """Its parts would ask in C++ where the tensor is."""
    return _on(F.one_hot(_on(tensor, CPU), classes), _device_of(tensor))


OWN = {
    F.one_hot: _one_hot,
    Tensor.device.__get__: _device_of,  # pyright: ignore[reportFunctionMemberAccess]
    Tensor.to: _to,
    Tensor.new_tensor: _new_tensor,
    Tensor.cpu: lambda tensor: _on(tensor, "cpu"),
    Tensor.cuda: lambda tensor, *_: _on(tensor, HERE),
    Tensor.tolist: lambda tensor: (tensor.inner if isinstance(tensor, Pretended) else tensor).tolist(),
    Tensor.numpy: _numpy,
    Tensor.__array__: _array,
    Tensor.__deepcopy__: _deepcopy,
}
"""What is asked of tensors and would show where they are."""


PASSES = (Tensor.backward, torch.autograd.backward, torch.autograd.grad)


class Pretending(TorchFunctionMode):
    """Inside, what asks for a GPU gets a pretended one.

    Attributes:
        asked: how many calls of functions of torch's are on the way.
    """

    asked = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        Pretending.asked += func not in PASSES
        try:
            if func in OWN:
                return OWN[func](*args, **kwargs)
            device = kwargs.get("device")
            if device is None or torch.device(device).type == "cpu":
                return func(*args, **kwargs)
            return _on(func(*args, **{**kwargs, "device": None}), HERE)
        finally:
            Pretending.asked -= func not in PASSES


class _MadeByAutograd(TorchDispatchMode):
    """Zeros that autograd puts where there is no gradient are where the gradient would be, which only C++ knows."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        return made if _tensors((args, kwargs)) or Pretending.asked or type(made) is not Tensor else Pretended(made)


def _backward(results: Any, *args: Any, **kwargs: Any) -> Any:
    """Functions that are called in a backward pass are inside too."""
    pretended = any(isinstance(one, Pretended) for one in results)
    with Pretending(), _MadeByAutograd() if pretended else nullcontext():
        return _engine_run_backward(results, *args, **kwargs)


@contextmanager
def pretended_device(memory: int = 16 << 30) -> Iterator[torch.device]:
    """A device that pretends to be a GPU with so many bytes of memory, while the block lasts."""
    with (
        Pretending(),
        mock.patch.object(torch.autograd, "_engine_run_backward", _backward),
        mock.patch.object(torch.__future__, "get_overwrite_module_params_on_conversion", return_value=True),
        mock.patch.object(torch.cuda, "is_available", return_value=True),
        mock.patch.object(torch.cuda, "current_device", return_value=0),
        mock.patch.object(torch.cuda, "is_current_stream_capturing", return_value=False),
        mock.patch.object(torch.cuda, "mem_get_info", return_value=(memory, memory)),
    ):
        yield HERE
