"""Looking at a run: the weights of every step, for plots and tests.

Legend: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lukasa.memory.core import Core


@dataclass(frozen=True)
class Recording:
    """What a core did while it was watched.

    Attributes:
        steps: one dict a step, from the name of a weighting ("read", "write", "usage", ...) to its tensor [B, ...].
    """

    steps: list[dict[str, Tensor]] = field(default_factory=list)

    def stacked(self) -> dict[str, Tensor]:
        """Every named tensor over time, [B, T, ...]; empty when no step was recorded."""
        if not self.steps:
            return {}
        return {name: torch.stack([step[name] for step in self.steps], 1) for name in self.steps[0]}


@contextmanager
def record(core: Core) -> Iterator[Recording]:
    """Record every step that a core takes inside the ``with`` block; free when nobody looks.

    Example:
        >>> import torch
        >>> from lukasa import memory
        >>> core = memory.make_core("ntm", input_size=3, output_size=2, slots=8, word_size=4)
        >>> with memory.record(core) as recording:
        ...     _ = memory.unroll(core, torch.zeros(1, 5, 3))
        >>> recording.stacked()["read"].shape
        torch.Size([1, 5, 1, 8])
    """
    recording = Recording()
    previous, core.recorder = core.recorder, recording.steps
    try:
        yield recording
    finally:
        core.recorder = previous
