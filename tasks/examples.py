"""Examples of classes, from which few-shot episodes are made: any array of classes × instances.

Dimensions: C classes, E instances of each, H and W height and width of a picture; n examples in any shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """By how much pictures differ from those in the data, each time that they are shown.

    The shift and rotation are those of public replications of Santoro et al. 2016, who print none; the stretch is
    that of Rae et al. 2016 in kind.

    Attributes:
        shift: at most, in each direction; share of the side.
        rotation: at most, either way; degrees.
        stretch: at most, of height and of width; share.
    """

    shift: float = 0.1
    rotation: float = 11.25
    stretch: float = 0.1

    def __post_init__(self) -> None:
        for name, most in (("shift", 1), ("rotation", 180), ("stretch", 0.9)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"augmentation: {name} is {getattr(self, name)!r}, expected from 0 to {most}")

    def __call__(self, pictures: Tensor, generator: Generator) -> Tensor:
        """Move, turn and stretch each picture on its own; zero comes in from outside.

        Args:
            pictures: [n, H, W], or [n, channels, H, W]; float, n a single dimension.
            generator: draws by how much.

        Returns:
            The same shape.
        """
        draws = 2 * torch.rand(5, len(pictures), generator=generator) - 1
        angle = math.radians(self.rotation) * draws[0]
        shift = 2 * self.shift * draws[1:3]  # grid_sample counts from -1 to 1
        scale = torch.exp(math.log1p(self.stretch) * draws[3:5])
        turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()])  # [4, n]
        x, y = (_centres(side) for side in (pictures.shape[-1], pictures.shape[-2]))
        from_x = (turn[:2] * scale[0])[..., None, None] * x  # [2, n, 1, W]
        from_y = (turn[2:] * scale[1])[..., None, None] * y[:, None] + shift[..., None, None]  # [2, n, H, 1]
        grid = torch.stack((from_x + from_y).unbind(), -1)  # [n, H, W, 2]
        if pictures.dim() == 4:
            return F.grid_sample(pictures, grid, align_corners=False)
        return F.grid_sample(pictures.unsqueeze(1), grid, align_corners=False).squeeze(1)


def _centres(side: int) -> Tensor:
    """Where ``grid_sample`` has the pixels' centres along a side."""
    return (2 * torch.arange(side) + 1) / side - 1


@dataclass(frozen=True, eq=False)
class Examples:
    """A data set of classes, with or without more made of them.

    Attributes:
        values: [C, E, ...]; uint8 stands for 0 to 1, other types for themselves.
        source: what the data is, for results, such as "Omniglot" or "generated strokes, seed 0".
        turns: pictures turned by 90, 180 and 270 degrees are classes of their own, so that there are 4 C.
        augmentation: of pictures [H, W] or [channels, H, W], each time one is taken; none by default.

    Raises:
        ValueError: the values are no classes × instances, or what is to be turned or augmented is no picture.

    Example:
        >>> examples = Examples(torch.zeros(30, 20, 28, 28, dtype=torch.uint8), "blank paper", turns=True)
        >>> examples.classes, examples.instances, examples.shape
        (120, 20, (28, 28))
    """

    values: Tensor
    source: str
    turns: bool = False
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        shape = list(self.values.shape)
        if self.values.dim() < 3 or 0 in shape:
            raise ValueError(f"examples: the values are {shape}, expected [classes, instances, ...], none of them 0")
        if (self.turns or self.augmentation) and len(shape) not in (4, 5):
            raise ValueError(
                f"examples: the values are {shape}: to turn or augment takes [classes, instances, H, W], or channels "
                "before H"
            )
        if self.turns and shape[-2] != shape[-1]:
            raise ValueError(f"examples: pictures of {shape[-2]}×{shape[-1]} pixels: to turn them takes square ones")

    @property
    def classes(self) -> int:
        """How many classes there are, turned ones included."""
        return len(self.values) * (4 if self.turns else 1)

    @property
    def instances(self) -> int:
        """How many of each class."""
        return self.values.shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        return tuple(self.values.shape[2:])

    def take(self, classes: Tensor, instances: Tensor, generator: Generator) -> Tensor:
        """Some of the examples.

        Args:
            classes: [n], int64; class c + C q is class c after q quarter turns.
            instances: [n], int64.
            generator: draws the augmentation.

        Returns:
            [n, ...], float32.
        """
        original = classes % len(self.values)
        taken = self.values[original.flatten(), instances.flatten()]
        if self.turns:
            quarters = (classes // len(self.values)).flatten()
            for quarter in (1, 2, 3):
                rows = quarters == quarter
                taken[rows] = torch.rot90(taken[rows], quarter, (-2, -1))
        taken = taken / 255 if taken.dtype == torch.uint8 else taken.float()
        if self.augmentation:
            taken = self.augmentation(taken, generator)
        return taken.unflatten(0, classes.shape)


def check_enough(name: str, value: int, available: int, what: str, source: str) -> None:
    """Refuse an episode that asks for more than the data has.

    Args:
        name: of the setting.
        value: of the setting.
        available: how many there are.
        what: there are, such as "classes".
        source: of the data.

    Raises:
        ValueError: there are too few.
    """
    if value > available:
        raise ValueError(
            f"episodes: {name} is {value}, but {source} has {available} {what}: "
            f"ask for at most {available}, or bring more data"
        )


def distinct(rows: int, count: int, among: int, generator: Generator) -> Tensor:
    """Different numbers in each row, [rows, count], each below ``among``, in random order."""
    return torch.rand(rows, among, generator=generator).topk(count).indices
