"""Traces as what a core learns from: their different frames, in numbers, side by side.

Dimensions: B frames, T steps, O places that are seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from lukasa.memory.programs import NPI
from lukasa.tasks.programs import NONE, Frame

AT_ONCE = 4096
"""Frames that go through a core at once."""


@dataclass(frozen=True)
class Traces:
    """A batch of traces: of each its frames, and how often they occur."""

    frames: tuple[Counter[Frame], ...]

    def rows(self, start: int, stop: int) -> Self:
        """Some of the traces."""
        return type(self)(self.frames[start:stop])

    def __len__(self) -> int:
        return len(self.frames)


class Table(NamedTuple):
    """Frames of like length in one environment, in numbers.

    Attributes:
        scene: the environment.
        places: of the frames, in the list that they were made from.
        programs: int64 [B].
        arguments: int64 [B, 3].
        seen: int64 [B, T, O]; zeros behind a frame's end.
        calls: int64 [B, T], which program each step calls; -1 where it returns, and behind the end.
        given: int64 [B, T, 3], what that is called with.
        there: bool [B, T], whether there is such a step.
    """

    scene: str
    places: list[int]
    programs: Tensor
    arguments: Tensor
    seen: Tensor
    calls: Tensor
    given: Tensor
    there: Tensor

    @property
    def asked(self) -> tuple[str, Tensor, Tensor, Tensor]:
        """What a core is asked."""
        return self.scene, self.programs, self.arguments, self.seen


def tables(core: NPI, frames: Sequence[Frame]) -> Iterable[Table]:
    """Frames in numbers; those of like length together, so that few places stay empty.

    Args:
        core: that knows the programs by number.
        frames: any.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for place, frame in enumerate(frames):
        groups.setdefault((frame.scene, (len(frame.seen) - 1).bit_length()), []).append(place)
    numbers = {name: number for number, name in enumerate(core.programs)}
    for (scene, _), places in sorted(groups.items()):
        for start in range(0, len(places), AT_ONCE):
            chosen = places[start : start + AT_ONCE]
            yield _table(scene, chosen, [frames[place] for place in chosen], numbers)


def _table(scene: str, places: list[int], frames: Sequence[Frame], numbers: dict[str, int]) -> Table:
    longest = max(len(frame.seen) for frame in frames)
    blank = (0,) * len(frames[0].seen[0])
    rest = [longest - len(frame.seen) for frame in frames]
    calls = [[numbers[call.program] if call else -1 for call in frame.calls] for frame in frames]
    given = [[call.arguments if call else NONE for call in frame.calls] for frame in frames]
    return Table(
        scene,
        places,
        torch.tensor([numbers[frame.program] for frame in frames]),
        torch.tensor([frame.arguments for frame in frames]),
        torch.tensor([[*frame.seen, *[blank] * more] for frame, more in zip(frames, rest, strict=True)]),
        torch.tensor([[*called, *[-1] * more] for called, more in zip(calls, rest, strict=True)]),
        torch.tensor([[*gave, *[NONE] * more] for gave, more in zip(given, rest, strict=True)]),
        torch.tensor([[True] * (longest - more) + [False] * more for more in rest]),
    )
