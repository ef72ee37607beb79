"""Changes in place that go on in inference mode."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import torch

Arguments = ParamSpec("Arguments")


def outside_inference_mode(change: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Let a change of the store be made in inference mode too: what it creates there could not be changed elsewhere."""

    @functools.wraps(change)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if not torch.is_inference_mode_enabled():
            return change(*args, **kwargs)
        with torch.inference_mode(False), torch.no_grad():
            return change(*args, **kwargs)

    return wrapped
