"""Graphs and questions about them as the DNC reads them: triples of three-digit labels.

Dimensions: B rows, T steps, M triples, N nodes, K edges out of a node, L edges of a path.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_distinct, lay_out, pick
from lukasa.tasks.graphs import Graphs, Paths
from lukasa.tasks.spec import Field, Item, Spec

LABELS = 1000
"""Labels are numbers below this: three decimal digits."""


class Triples(NamedTuple):
    """Triples (from, to, edge) of labels, of which some parts may be left open."""

    labels: Tensor  # [B, M, 3], int64, below ``LABELS``
    known: Tensor  # [B, M, 3], bool: whether the part is given
    lengths: Tensor  # [B, 1]: triples of each row; the rest is padding


class Names(NamedTuple):
    """The labels of nodes and edges, drawn anew for each row."""

    nodes: Tensor  # [B, N], all different
    kinds: Tensor  # [B, number of kinds], all different

    def triples(self, origins: Tensor, targets: Tensor, kinds: Tensor) -> Tensor:
        """Labels of edges given by number: three of [B, M] -> [B, M, 3]; -1 counts as the first."""
        nodes = [self.nodes.gather(1, ends.clamp(min=0)) for ends in (origins, targets)]
        return torch.stack([*nodes, self.kinds.gather(1, kinds)], -1)


def random_names(rows: int, nodes: int, kinds: int, generator: Generator) -> Names:
    """Different labels for all nodes, and different labels for all kinds of edges."""
    return Names(draw_distinct(rows, nodes, LABELS, generator), draw_distinct(rows, kinds, LABELS, generator))


def describe(graphs: Graphs, names: Names, generator: Generator) -> Triples:
    """All edges of each graph in random order."""
    count, _, degree = graphs.targets.shape
    targets, kinds = graphs.targets.flatten(1), graphs.kinds.flatten(1)  # [B, N * K]
    exists = targets >= 0
    order = (torch.rand(targets.shape, generator=generator) + ~exists).argsort(1)  # edges first
    order = order[:, : int(exists.sum(1).max())]
    labels = names.triples(order // degree, targets.gather(1, order), kinds.gather(1, order))
    return Triples(labels, torch.ones(count, order.shape[1], 3, dtype=torch.bool), exists.sum(1, keepdim=True))


def path_triples(paths: Paths, names: Names) -> Triples:
    """The edges of each path, in order."""
    labels = names.triples(paths.nodes[:, :-1], paths.nodes[:, 1:], paths.kinds)
    return Triples(labels, torch.ones_like(labels, dtype=torch.bool), paths.lengths)


def compose(graph: Triples, question: Triples, answer: Triples, *, plan: int = 0, feedback: bool = False) -> Batch:
    """One sequence of each row: the graph, the question, steps to plan, and the answer.

    Args:
        graph: the graph's edges.
        question: what is asked.
        answer: the right answer, all parts known.
        plan: steps between question and answer that show nothing.
        feedback: whether a step of the answer shows the answer's triple before.
    """
    pieces = torch.cat([graph.labels, question.labels, answer.labels], 1)  # [B, M, 3]
    begins = torch.tensor([0, graph.labels.shape[1], 0, graph.labels.shape[1] + question.labels.shape[1]])
    blocks = lay_out(
        torch.cat([graph.lengths, question.lengths, torch.full_like(answer.lengths, plan), answer.lengths], 1)
    )
    _, _, planning, answering = (blocks.phase(number, of=4) for number in range(4))
    place = begins[blocks.block] + blocks.offset
    asked = _digits(pick(pieces, place))  # [B, T, 9]
    known = pick(torch.cat([graph.known, question.known, answer.known], 1), place - answering.long())
    before = answering & (blocks.offset > 0) if feedback else torch.zeros_like(answering)
    known &= ((blocks.inside & ~planning & ~answering) | before)[..., None]
    shown = F.one_hot(_digits(pick(pieces, place - answering.long())), 10).float()  # [B, T, 9, 10]
    shown = shown.unflatten(2, (3, 3)) * known[..., None, None]
    turns = blocks.inside & (blocks.block > 0) & (blocks.offset == 0)
    inputs = torch.cat([shown.flatten(2), turns[..., None].float(), answering[..., None].float()], -1)
    return Batch(inputs, asked * answering[..., None], answering, blocks.lengths)


def triple_spec(*, item: Item, chance: float, paper: str, holds: int, feedback: bool = False) -> Spec:
    """What all questions about graphs share: a triple and two flags in, a triple out."""
    return Spec(
        inputs=(Field("triple", "categorical", 9, 10), Field("phase", "binary"), Field("answer", "binary")),
        target=Field("triple", "categorical", 9, 10),
        unit="accuracy %",
        item=item,
        chance=chance,
        best=100.0,
        paper=paper,
        holds=holds,
        feedback="triple" if feedback else "",
    )


def _digits(labels: Tensor) -> Tensor:
    """Decimal digits of three labels, highest first: [B, T, 3] -> [B, T, 9]."""
    return (labels[..., None] // torch.tensor([100, 10, 1]) % 10).flatten(-2)
