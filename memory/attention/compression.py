"""Which states a Compressive Transformer sees, when it compresses the oldest, and by what (Rae et al. 2020, section 3).

Steps of an episode come in segments of n_s. The memory holds the last n_m states and those of the segment so far. Once
a segment is complete the oldest n_s states are compressed, c at a time, and leave it. So the states that stay are those
of whole segments, and all numbers below count from the oldest state that a call is given uncompressed.

Legend: B batch, T time, P states kept of the past, Q compressed states kept, S segments that may be compressed in T
steps, J places, C size of a state; n_m, n_s, n_cm and c as in the paper.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa.memory.derivatives import needs_reference

CompressionKind: TypeAlias = Literal["convolution", "mean", "max"]


class Sizes(NamedTuple):
    """Of a memory."""

    length: int  # n_m
    segment: int  # n_s, a multiple of c
    rate: int  # c
    compressed: int  # n_cm

    @property
    def window(self) -> int:
        """States that are kept uncompressed from step to step at most."""
        return self.length + self.segment - 1


class Plan(NamedTuple):
    """What T steps attend to, [Q compressed, S n_s / c newly compressed, P kept, T new]; and what is compressed."""

    visible: Tensor  # bool [B, T, J]
    distance: Tensor  # int64 [B, T, J]
    times: Tensor  # int64 [B, S], the step after which a segment is compressed
    due: Tensor  # bool [B, S], whether there is such a step
    old: Tensor  # int64 [B, S, n_s], places among P + T of the states that are compressed
    asking: Tensor  # int64 [B, S, n_s], places of the states that they are to be restored for: those of the segment
    kept: Tensor  # bool [B, P + T], states that stay uncompressed after the last step
    chosen: Tensor  # int64 [B, Q or n_cm], places among Q + S n_s / c of what is compressed after the last step
    chosen_kept: Tensor  # bool, like chosen: whether there is something


def plan(sizes: Sizes, filled: Tensor, held: Tensor, steps: int, starts: Tensor | None) -> Plan:
    """See ``Plan``.

    Args:
        sizes: of the memory.
        filled: bool [B, P], newest last.
        held: bool [B, Q], compressed states, newest last.
        steps: T.
        starts: bool [B, T], where an episode begins; nowhere when None.
    """
    per, past = sizes.segment // sizes.rate, filled.shape[1]
    filled = torch.cat([filled, filled.new_ones(len(filled), steps)], 1)
    number, episode = _numbers(filled, past, starts)
    now, here = number[:, past:], episode[:, past:]
    times, due = _due(sizes, now)
    segment = (now.gather(1, times) + 1 - sizes.length) // sizes.segment - 1  # [B, S]
    places = torch.arange(sizes.segment, device=filled.device)
    last = past + times.unsqueeze(2)
    old = (last - sizes.length - sizes.segment + 1 + places).clamp(min=0)
    asking = (last - sizes.segment + 1 + places).clamp(min=0)
    # Compressed states by number, those that were there from -Q to -1, and the episode of each.
    before = torch.arange(-held.shape[1], 0, device=filled.device).expand_as(held)
    fresh = (segment.unsqueeze(2) * per + torch.arange(per, device=filled.device)).flatten(1)
    block = torch.cat([before, fresh], 1)
    exists = torch.cat([held, due.repeat_interleave(per, 1)], 1)
    block_episode = torch.cat([torch.zeros_like(before), here.gather(1, times).repeat_interleave(per, 1)], 1)

    def seen(reads: Tensor, of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For readers [B, X] by number and episode: how many are compressed, and the blocks and states they see."""
        passed = ((reads - sizes.length) // sizes.segment).clamp(min=0).unsqueeze(2)
        blocks = exists.unsqueeze(1) & (block_episode.unsqueeze(1) == of.unsqueeze(2))
        blocks = blocks & (block.unsqueeze(1) < passed * per) & (block.unsqueeze(1) >= passed * per - sizes.compressed)
        states = filled.unsqueeze(1) & (episode.unsqueeze(1) == of.unsqueeze(2))
        return passed, blocks, states & (number.unsqueeze(1) >= passed * sizes.segment)

    passed, blocks, states = seen(now, here)
    causal = (
        torch.arange(past + steps, device=filled.device) <= torch.arange(steps, device=filled.device)[:, None] + past
    )
    recent = now.unsqueeze(2) - passed * sizes.segment  # states between this step and what is compressed
    distance = torch.cat([recent + passed * per - block.unsqueeze(1), now.unsqueeze(2) - number.unsqueeze(1)], 2)
    _, after, kept = seen(now[:, -1:] + 1, here[:, -1:])
    order = torch.where(after[:, 0], block, torch.iinfo(torch.int64).min).argsort(dim=1, stable=True)
    chosen = order[:, -sizes.compressed :]
    return Plan(
        visible=torch.cat([blocks, states & causal], 2),
        distance=distance.clamp(0, sizes.window + sizes.compressed),
        times=times,
        due=due,
        old=old,
        asking=asking,
        kept=kept[:, 0],
        chosen=chosen,
        chosen_kept=after[:, 0].gather(1, chosen),
    )


def _numbers(filled: Tensor, past: int, starts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Numbers of states [B, P + T] within their episode, from 0, and the number of the episode."""
    number = filled.long().cumsum(1) - 1
    if starts is None:
        return number, torch.zeros_like(number)
    episode = F.pad(starts.long().cumsum(1), (past, 0))
    begins = torch.where(F.pad(starts, (past, 0)), number, 0).cummax(1).values
    return number - begins, episode


def _due(sizes: Sizes, now: Tensor) -> tuple[Tensor, Tensor]:
    """After which of steps with these numbers [B, T] a segment is compressed, [B, S], and whether there is one."""
    beyond = now + 1 - sizes.length
    due = (beyond >= sizes.segment) & (beyond % sizes.segment == 0)
    most = (sizes.segment - 1 + now.shape[1]) // sizes.segment
    # Without gradient nobody waits for weights that take no part, and most single steps compress nothing.
    if not torch.is_grad_enabled() and not needs_reference() and not torch.compiler.is_compiling():
        most = int(due.sum(1).max()) if len(due) else 0
    times = (~due).long().argsort(dim=1, stable=True)[:, :most]
    return times, due.gather(1, times)


class Compression(nn.Module):
    """f_c: c states to one (section 3.1).

    Args:
        kind: a convolution of width and stride c, or the mean or largest of every number.
        size: C.
        rate: c.

    Raises:
        ValueError: there is no such kind.
    """

    def __init__(self, kind: CompressionKind, size: int, rate: int):
        super().__init__()
        if kind not in get_args(CompressionKind):
            raise ValueError(f"compression is {kind!r}: choose one of {', '.join(get_args(CompressionKind))}")
        self.kind: CompressionKind = kind
        self.rate = rate
        self.convolution = nn.Linear(rate * size, size) if kind == "convolution" else None

    def forward(self, states: Tensor) -> Tensor:
        """[B, S, n_s, C] to [B, S n_s / c, C]."""
        groups = states.flatten(1, 2).unflatten(1, (-1, self.rate)) if states.shape[1] else states.flatten(1, 2)
        if not states.shape[1]:
            return groups
        if self.convolution is not None:
            return self.convolution(groups.flatten(2))
        return groups.mean(2) if self.kind == "mean" else groups.amax(2)


def pick(states: Tensor, places: Tensor) -> Tensor:
    """States [B, X, C] at places [B, ...]: [B, ..., C]."""
    index = places.flatten(1).unsqueeze(2).expand(-1, -1, states.shape[2])
    return states.gather(1, index).unflatten(1, places.shape[1:])
