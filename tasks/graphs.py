"""Directed graphs with labelled edges, many at a time, and ways through them.

Dimensions: B graphs, N nodes, K edges out of a node, L edges of a path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.tasks.drawing import draw_distinct, draw_member, draw_whole

TRIES = 100
"""Draws of a graph before we say that its settings hardly ever give one with the path asked for."""


class Graphs(NamedTuple):
    """Graphs side by side; no two edges out of one node are of the same kind."""

    targets: Tensor  # [B, N, K], int64: the node an edge leads to, -1 where there is no edge
    kinds: Tensor  # [B, N, K], int64: the kind of the edge; anything where there is none

    def repeat(self, count: int) -> Graphs:
        """Copies of a single graph."""
        return Graphs(*(tensor.expand(count, -1, -1) for tensor in self))


class Paths(NamedTuple):
    """One path through each graph."""

    nodes: Tensor  # [B, L + 1]; the last one again beyond the end
    kinds: Tensor  # [B, L]; anything beyond the end
    lengths: Tensor  # [B, 1], edges


def random_graphs(
    count: int, nodes: tuple[int, int], degree: tuple[int, int], kinds: int, generator: Generator
) -> Graphs:
    """Points in the unit square, an edge from each to some of its nearest (Graves et al. 2016, Methods).

    Args:
        count: how many graphs.
        nodes: fewest and most nodes of a graph.
        degree: fewest and most edges out of a node, less where there are fewer other nodes.
        kinds: of edges; at least the most edges out of a node.
        generator: of random numbers.
    """
    present = torch.arange(nodes[1]) < draw_whole((count, 1), *nodes, generator)  # [B, N]
    points = torch.rand(count, nodes[1], 2, generator=generator)
    distances = (points[:, :, None] - points[:, None]).square().sum(-1)  # [B, N, N]
    unreachable = torch.eye(nodes[1], dtype=torch.bool) | ~present[:, None] | ~present[..., None]
    near = distances.masked_fill(unreachable, torch.inf).topk(min(degree[1], nodes[1] - 1), largest=False)
    wanted = draw_whole((count, nodes[1], 1), *degree, generator)
    exists = near.values.isfinite() & (torch.arange(near.indices.shape[-1]) < wanted)
    edges = draw_distinct(count * nodes[1], near.indices.shape[-1], kinds, generator).view_as(near.indices)
    return Graphs(near.indices.masked_fill(~exists, -1), edges)


def random_walks(graphs: Graphs, lengths: Tensor, generator: Generator) -> Paths:
    """Walks from random nodes along random edges; every node that an edge leads to has one out of it.

    Args:
        graphs: where to walk.
        lengths: [B, 1], edges of each walk.
        generator: of random numbers.
    """
    exists = graphs.targets >= 0
    nodes, kinds = [draw_member(exists.any(-1), generator)], []
    for step in range(int(lengths.max())):
        row = torch.arange(len(lengths))
        slot = draw_member(exists[row, nodes[-1]], generator)
        kinds.append(graphs.kinds[row, nodes[-1], slot])
        ahead = graphs.targets[row, nodes[-1], slot]
        nodes.append(torch.where(step < lengths[:, 0], ahead, nodes[-1]))
    return Paths(torch.stack(nodes, 1), torch.stack(kinds, 1), lengths)


def path_lengths(graphs: Graphs, longest: int) -> tuple[Tensor, Tensor]:
    """Edges on the shortest path between any two nodes, and whether no other path is as short.

    Args:
        graphs: where to look.
        longest: edges of the longest path looked for.

    Returns:
        [B, N, N] from row to column, ``longest`` + 1 where there is none so short; and bool [B, N, N].
    """
    nodes = graphs.targets.shape[1]
    # One column more takes the edges that are not there; edges side by side count as several ways.
    steps = F.one_hot(graphs.targets % (nodes + 1), nodes + 1)[..., :nodes].sum(2).float()  # [B, N, N]
    walks = torch.eye(nodes).expand_as(steps)
    lengths = torch.full(steps.shape, longest + 1)
    single = torch.zeros(steps.shape, dtype=torch.bool)
    for length in range(longest + 1):
        found = (walks > 0) & (lengths > longest)
        if not found.any():
            break
        lengths = torch.where(found, length, lengths)
        single |= found & (walks == 1)
        walks = walks @ steps
    return lengths, single


def single_path_lengths(graphs: Graphs, longest: int) -> Tensor:
    """Edges on the shortest path where there is only one, 0 where not: [B, N, N]."""
    lengths, single = path_lengths(graphs, longest)
    return lengths * single


def shortest_paths(graphs: Graphs, ends: Tensor) -> Paths:
    """The shortest path between two nodes of each graph.

    Args:
        graphs: where to look.
        ends: [B, 2], first and last node; the second can be reached from the first.
    """
    row = torch.arange(len(ends))
    to_goal = path_lengths(graphs, graphs.targets.shape[1])[0][row, :, ends[:, 1]]  # [B, N]
    total = to_goal.gather(1, ends[:, :1])
    nodes, kinds = [ends[:, 0]], []
    for step in range(int(total.max())):
        ahead = graphs.targets[row, nodes[-1]]  # [B, K]
        nearer = (ahead >= 0) & (to_goal.gather(1, ahead.clamp(min=0)) == total - step - 1)
        slot = nearer.int().argmax(1)
        kinds.append(graphs.kinds[row, nodes[-1], slot])
        nodes.append(torch.where(step < total[:, 0], ahead[row, slot], nodes[-1]))
    return Paths(torch.stack(nodes, 1), torch.stack(kinds, 1), total)


def follow(graphs: Graphs, relations: Tensor, kinds: int) -> Tensor:
    """Where sequences of edges lead from every node.

    Args:
        graphs: where to go.
        relations: [M, L], the kinds of edges to follow; -1 after the last.
        kinds: of edges there are.

    Returns:
        [B, N, M], the node reached; -1 where an edge is missing.
    """
    count, nodes, _ = graphs.targets.shape
    # One node and one kind more, as where there is no way on.
    onward = torch.full((count, nodes + 1, kinds + 1), nodes)
    out = graphs.kinds.masked_fill(graphs.targets < 0, kinds)
    onward[:, :nodes].scatter_(2, out, graphs.targets % (nodes + 1))
    onward[..., kinds] = torch.arange(nodes + 1)  # the sequence is over: stay
    here = torch.arange(nodes)[:, None].expand(count, nodes, len(relations))
    row = torch.arange(count)[:, None, None]
    for step in relations.T:
        here = onward[row, here, step % (kinds + 1)]
    return here.masked_fill(here == nodes, -1)


def draw_by_length(lengths: Tensor, low: int, high: int, generator: Generator) -> Tensor:
    """One member of each row, its length first, so that no length is drawn more often for being common.

    Args:
        lengths: [B, M]; those below ``low`` or above ``high`` are never drawn.
        low: shortest length.
        high: longest length.
        generator: of random numbers.

    Returns:
        [B], the members' numbers.
    """
    present = torch.stack([(lengths == length).any(1) for length in range(low, high + 1)], 1)
    length = low + draw_member(present, generator)
    return draw_member(lengths == length[:, None], generator)


def draw_graphs(count: int, draw: Callable[[int], tuple[Graphs, Tensor]], low: int, high: int) -> tuple[Graphs, Tensor]:
    """Draw graphs until each has a path of a length from ``low`` to ``high``.

    Args:
        count: how many graphs.
        draw: gives so many graphs and the lengths of their possible paths, [B, M].
        low: shortest length.
        high: longest length.

    Raises:
        ValueError: graphs like these hardly ever have such a path.
    """
    graphs, lengths = draw(count)
    for _ in range(TRIES):
        lacking = ~((lengths >= low) & (lengths <= high)).any(1)
        if not lacking.any():
            return graphs, lengths
        again, again_lengths = draw(count)
        graphs = Graphs(
            *(torch.where(lacking[:, None, None], new, old) for new, old in zip(again, graphs, strict=True))
        )
        lengths = torch.where(lacking[:, None], again_lengths, lengths)
    raise ValueError(f"graphs: hardly any has a path of {low} to {high} edges: ask for shorter paths or more nodes")
