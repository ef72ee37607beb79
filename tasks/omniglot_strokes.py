"""Characters of our own, drawn as a few strokes: what stands in for Omniglot where it is not available.

An alphabet has a bank of stroke shapes. A character is one to four of them, each begun somewhere on the page or on
the stroke before. Twenty people draw it: each has a slant, proportions and a size of their own throughout an
alphabet, and no two of their drawings of anything are quite alike. Strokes are Bézier curves.

Dimensions: M shapes in a bank, C characters, E drawers, K strokes, P control points, L points along a curve, S side
of a picture in pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

SHAPES, STROKES, CONTROLS, ALONG = 16, 4, 6, 28
"""M, the most K, P and L."""

PER_ALPHABET = 32
"""Characters of an alphabet; Omniglot has 14 to 55."""

PEN = 0.045
"""Breadth of a line, as a share of the page."""


def stroke_characters(characters: int, size: int, *, drawers: int = 20, seed: int = 0) -> Tensor:
    """Drawings of characters that nobody has seen.

    Args:
        characters: how many different ones, at least 1; the first of more are the same ones.
        size: side of the pictures, pixels.
        drawers: drawings of each.
        seed: decides all of them.

    Returns:
        [C, E, S, S] uint8, 255 for all ink.

    Example:
        >>> stroke_characters(3, 20).shape
        torch.Size([3, 20, 20, 20])
    """
    parts = []
    for alphabet in range(math.ceil(characters / PER_ALPHABET)):
        generator = Generator().manual_seed(1_000_003 * seed + alphabet)
        curves, used = _characters(_shapes(generator), generator)
        count = min(PER_ALPHABET, characters - alphabet * PER_ALPHABET)
        drawn = _drawings(curves, drawers, generator)[:count]
        parts.append(_pictures(drawn.flatten(0, 1), used[:count].repeat_interleave(drawers, 0), size))
    return torch.cat(parts).unflatten(0, (characters, drawers))


def _shapes(generator: Generator) -> Tensor:
    """A bank of strokes, [M, P, 2]: straight ones, arcs and waves, each from the origin."""
    heading = torch.randint(0, 8, (SHAPES, 1), generator=generator) * (math.pi / 4)
    heading = heading + 0.25 * torch.randn(SHAPES, 1, generator=generator)
    kind = torch.rand(SHAPES, 1, generator=generator)
    wave = 1.8 * torch.randn(SHAPES, CONTROLS - 2, generator=generator)
    arc = 1.2 * wave[:, :1].sign() * torch.rand(SHAPES, 1, generator=generator)
    bend = torch.where(kind < 0.3, 0 * wave, torch.where(kind < 0.65, arc.expand_as(wave), wave))
    angle = torch.cat([heading, heading + bend.cumsum(1)], 1)  # [M, P - 1], of each step from point to point
    length = 0.05 + 0.3 * torch.rand(SHAPES, 1, generator=generator)
    steps = length[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
    return torch.cat([torch.zeros(SHAPES, 1, 2), steps.cumsum(1)], 1)


def _characters(shapes: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Control points of an alphabet's characters, [C, K, P, 2] within -1 to 1, and which strokes they use, [C, K]."""
    count = PER_ALPHABET
    picks = torch.randint(0, SHAPES, (count, STROKES), generator=generator)
    curves = shapes[picks]  # [C, K, P, 2]
    free = 1.2 * torch.rand(count, STROKES, 2, generator=generator) - 0.6
    joined = torch.rand(count, STROKES, generator=generator) < 0.6
    where = torch.randint(0, CONTROLS, (count, STROKES), generator=generator)
    rows = torch.arange(count)
    placed = [curves[:, 0] + free[:, :1]]
    for stroke in range(1, STROKES):
        begin = torch.where(joined[:, stroke, None], placed[-1][rows, where[:, stroke]], free[:, stroke])
        placed.append(curves[:, stroke] + begin[:, None])
    amount = torch.multinomial(torch.tensor([0.1, 0.25, 0.35, 0.3]), count, replacement=True, generator=generator)
    used = torch.arange(STROKES) <= amount[:, None]
    return _centred(torch.stack(placed, 1), used), used


def _centred(curves: Tensor, used: Tensor) -> Tensor:
    """Characters in the middle of the page, the longer of height and width from -1 to 1, flat ones stretched."""
    outside = ~used[:, :, None, None]
    low = curves.masked_fill(outside, math.inf).amin((1, 2), keepdim=True)
    high = curves.masked_fill(outside, -math.inf).amax((1, 2), keepdim=True)
    longer = (high - low).amax(-1, keepdim=True).clamp(min=0.3)  # a dot is not blown up to a page
    return 2 * (curves - (low + high) / 2) / (longer * (high - low).clamp(min=0.01)).sqrt()


def _drawings(curves: Tensor, drawers: int, generator: Generator) -> Tensor:
    """Each drawer's version of each character, [C, E, K, P, 2], in shares of the page from -0.5 to 0.5."""
    count = len(curves)

    def noise(scale: float, *shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=generator)

    own = 0.36 * torch.eye(2) + noise(0.04, 1, drawers, 2, 2) + noise(0.02, count, drawers, 2, 2)
    shaken = curves[:, None] + noise(0.06, count, drawers, STROKES, CONTROLS, 2)
    moved = shaken + noise(0.07, count, drawers, STROKES, 1, 2)
    page = torch.einsum("cekpi,ceij->cekpj", moved, own)
    return page + noise(0.05, count, drawers, 1, 1, 2)


def _pictures(curves: Tensor, used: Tensor, size: int) -> Tensor:
    """Ink of drawings [n, K, P, 2] as pictures [n, S, S], uint8; only the strokes that are used leave any."""
    time = torch.linspace(0, 1, ALONG)[:, None]
    order = torch.arange(CONTROLS)
    choose = torch.tensor([math.comb(CONTROLS - 1, point) for point in range(CONTROLS)])
    bernstein = choose * time**order * (1 - time) ** (CONTROLS - 1 - order)  # [L, P]
    points = bernstein @ curves  # [n, K, L, 2]
    pace = (points[:, :, 1:] - points[:, :, :-1]).norm(dim=-1)
    pace = torch.cat([pace, pace[..., -1:]], -1) * used[..., None]  # length of curve that each point stands for
    pixels = (torch.arange(size) + 0.5) / size - 0.5
    # A line finer than a pixel would fall between the pixels' centres: it is blurred as by a lens, and paler.
    blur = math.hypot(PEN / 3, 0.5 / size)
    near = torch.exp(-(((points.flatten(1, 2)[..., None] - pixels) / blur) ** 2) / 2)  # [n, KL, 2, S]
    dark = PEN * pace.flatten(1)[..., None] / (2 * math.pi * blur**2)  # that the ink is PEN times the curve's length
    ink = (near[:, :, 1] * dark).transpose(1, 2) @ near[:, :, 0]
    return (255 * ink.clamp(0, 1)).round().to(torch.uint8)
