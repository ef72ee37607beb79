"""The graph tasks of the DNC paper on random graphs: follow a route, find the shortest, infer a relation.

Dimensions: B rows, T steps, N nodes, L edges of a path, R relations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_distinct, draw_whole
from lukasa.tasks.graph_triples import (
    LABELS,
    Names,
    Triples,
    compose,
    describe,
    path_triples,
    random_names,
    triple_spec,
)
from lukasa.tasks.graphs import (
    Graphs,
    Paths,
    draw_by_length,
    draw_graphs,
    follow,
    random_graphs,
    random_walks,
    shortest_paths,
    single_path_lengths,
)
from lukasa.tasks.spec import Spec

EDGE_KINDS = 20
"""Kinds of edges in the random graphs of ``Traversal`` and ``ShortestPath``, so the most edges out of a node."""

RELATION_KINDS = 10
"""Kinds of edges in the graphs of ``Inference``, always labelled 0 to 9."""

PAPER = "Graves et al. 2016, figures 2 and 3"

TRAVERSAL_LESSONS: tuple[dict[str, Any], ...] = tuple(
    {"min_nodes": few, "max_nodes": many, "min_degree": 2, "max_degree": degree, "min_path": 1, "max_path": path}
    for few, many, degree, path in (
        (3, 5, 2, 1), (3, 10, 3, 2), (5, 10, 4, 3), (5, 20, 4, 4), (10, 20, 5, 5), (15, 30, 5, 6), (20, 40, 6, 7)
    )
)  # fmt: skip
"""Lessons for ``Traversal`` that end near the size of central London; the paper does not print its own."""


@dataclass(frozen=True, kw_only=True)
class Traversal:
    """Read a graph edge by edge, then follow a route given by its first node and the labels of its edges.

    One sample of 4 edges and a route of 2, along time (an edge is "from to label"; ``_``: left open)::

        step      0      1      2      3      4      5      6      7
        triple    B C 7  A B 5  C A 5  A C 7  A _ 5  _ _ 7  .      .
        phase     .      .      .      .      1      .      1      .
        answer    .      .      .      .      .      .      1      1
        target                                              A B 5  B C 7

    A, B, C and the edges' labels are numbers of three decimal digits, drawn anew for each sample; a triple is 9 digits
    one-hot, 90 columns. No two edges out of one node have the same label. An answer is right when each digit of each
    of its triples is.

    Chance: 0.0 accuracy %, for one who guesses labels.
    Best: 100.0 accuracy %.
    Paper: Graves et al. 2016, figures 2 and 3.

    Attributes:
        min_nodes: nodes of the smallest graph; at least 2.
        max_nodes: nodes of the largest graph; at most 200.
        min_degree: fewest edges out of a node.
        max_degree: most edges out of a node; at most 20.
        min_path: edges of the shortest route.
        max_path: edges of the longest route.
    """

    min_nodes: int = 5
    max_nodes: int = 10
    min_degree: int = 2
    max_degree: int = 3
    min_path: int = 1
    max_path: int = 4

    def __post_init__(self) -> None:
        _check_graphs("traversal", self, EDGE_KINDS)

    @property
    def spec(self) -> Spec:
        """A triple and two flags in; a triple out."""
        holds = self.max_nodes * self.max_degree
        return triple_spec(item="answer", chance=guess_labels(self.min_path, self.max_path), paper=PAPER, holds=holds)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        nodes, degree = (self.min_nodes, self.max_nodes), (self.min_degree, self.max_degree)
        graphs = random_graphs(batch_size, nodes, degree, EDGE_KINDS, generator)
        return ask_route(graphs, EDGE_KINDS, self.min_path, self.max_path, generator)


@dataclass(frozen=True, kw_only=True)
class ShortestPath:
    """Read a graph edge by edge, then find the shortest path between two of its nodes.

    One sample of 4 edges and a path of 2, along time (an edge is "from to label"; ``_``: left open)::

        step      0      1      2      3      4      5      6      7      8
        triple    B C 7  A B 5  C A 5  B A 3  A C _  .      .      .      A B 5
        phase     .      .      .      .      1      1      .      1      .
        answer    .      .      .      .      .      .      .      1      1
        target                                                     A B 5  B C 7

    Here are 2 steps to plan (the paper has 10). A step of the answer shows the triple before (``feedback``). Only
    nodes with a single shortest path between them are asked about. An answer is right when each digit of each of its
    triples is.

    Chance: 0.0 accuracy %, for one who guesses labels.
    Best: 100.0 accuracy %.
    Paper: Graves et al. 2016, figures 2 and 3.

    Attributes:
        min_nodes: nodes of the smallest graph; at least 2.
        max_nodes: nodes of the largest graph; at most 200.
        min_degree: fewest edges out of a node.
        max_degree: most edges out of a node; at most 20.
        min_path: edges of the shortest path.
        max_path: edges of the longest path.
        plan: steps between question and answer that show nothing.
    """

    min_nodes: int = 5
    max_nodes: int = 10
    min_degree: int = 2
    max_degree: int = 3
    min_path: int = 2
    max_path: int = 4
    plan: int = 10

    def __post_init__(self) -> None:
        _check_graphs("shortest_path", self, EDGE_KINDS)
        check_whole("shortest_path", "plan", self.plan, 0)

    @property
    def spec(self) -> Spec:
        """A triple and two flags in; a triple out."""
        chance = guess_labels(2 * self.min_path - 1, 2 * self.max_path - 1)
        return triple_spec(
            item="answer", chance=chance, paper=PAPER, holds=self.max_nodes * self.max_degree, feedback=True
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        nodes, degree = (self.min_nodes, self.max_nodes), (self.min_degree, self.max_degree)

        def draw(count: int) -> tuple[Graphs, Tensor]:
            graphs = random_graphs(count, nodes, degree, EDGE_KINDS, generator)
            return graphs, single_path_lengths(graphs, self.max_path).flatten(1)

        graphs, lengths = draw_graphs(batch_size, draw, self.min_path, self.max_path)
        pairs = draw_by_length(lengths, self.min_path, self.max_path, generator)
        return ask_shortest(graphs, EDGE_KINDS, pairs, self.plan, generator)


@dataclass(frozen=True, kw_only=True)
class Inference:
    """Read a graph edge by edge, then say where a relation leads, which is a sequence of edges that is never shown.

    There are 400 relations of 2 to 5 edges, always the same ones: their meaning must be learned from many samples.
    One sample of 4 edges, along time, with the relation 123 that stands for the edges 5, 7 (an edge is
    "from to label"; ``_``: left open)::

        step      0      1      2      3      4        5
        triple    B C 7  A B 5  C A 5  A C 7  A _ 123  .
        phase     .      .      .      .      1        1
        answer    .      .      .      .      .        1
        target                                         A C 123

    Edges are labelled 0 to 9 and relations 10 to 409, in all samples alike; nodes are labelled anew for each.

    Chance: 0.1 accuracy %, for one who guesses the label of one node.
    Best: 100.0 accuracy %.
    Paper: Graves et al. 2016, figures 2 and 3.

    Attributes:
        min_nodes: nodes of the smallest graph; at least 2.
        max_nodes: nodes of the largest graph; at most 200.
        min_degree: fewest edges out of a node.
        max_degree: most edges out of a node; at most 10.
        min_path: edges of the shortest relation; at least 2.
        max_path: edges of the longest relation; at most 5.
    """

    min_nodes: int = 5
    max_nodes: int = 10
    min_degree: int = 3
    max_degree: int = 5
    min_path: int = 2
    max_path: int = 5

    def __post_init__(self) -> None:
        _check_graphs("inference", self, RELATION_KINDS)
        check_range("inference", "path", self.min_path, self.max_path, least=2, most=5)

    @property
    def spec(self) -> Spec:
        """A triple and two flags in; a triple out."""
        return triple_spec(item="answer", chance=100 / LABELS, paper=PAPER, holds=self.max_nodes * self.max_degree)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        nodes, degree = (self.min_nodes, self.max_nodes), (self.min_degree, self.max_degree)

        def draw(count: int) -> tuple[Graphs, Tensor]:
            graphs = random_graphs(count, nodes, degree, RELATION_KINDS, generator)
            return graphs, relation_lengths(graphs).flatten(1)

        graphs, lengths = draw_graphs(batch_size, draw, self.min_path, self.max_path)
        return ask_relation(graphs, draw_by_length(lengths, self.min_path, self.max_path, generator), generator)


def ask_route(graphs: Graphs, kinds: int, low: int, high: int, generator: Generator) -> Batch:
    """Ask for the way along given edges, of ``low`` to ``high`` edges, in each graph."""
    count, nodes, _ = graphs.targets.shape
    names = random_names(count, nodes, kinds, generator)
    walk = random_walks(graphs, draw_whole((count, 1), low, high, generator), generator)
    answer = path_triples(walk, names)
    known = torch.zeros_like(answer.known)
    known[:, 0, 0] = True
    known[..., 2] = True
    return compose(describe(graphs, names, generator), answer._replace(known=known), answer)


def ask_shortest(graphs: Graphs, kinds: int, pairs: Tensor, plan: int, generator: Generator) -> Batch:
    """Ask for the shortest path in each graph, between nodes that have a single one.

    Args:
        graphs: of which to ask.
        kinds: of edges there are.
        pairs: [B], first node times N plus last node.
        plan: steps between question and answer that show nothing.
        generator: of random numbers.
    """
    count, nodes, _ = graphs.targets.shape
    names = random_names(count, nodes, kinds, generator)
    ends = torch.stack([pairs // nodes, pairs % nodes], 1)
    paths = shortest_paths(graphs, ends)
    asked = names.triples(ends[:, :1], ends[:, 1:], torch.zeros_like(ends[:, :1]))
    known = torch.tensor([True, True, False]).expand_as(asked)
    question = Triples(asked, known, torch.ones_like(paths.lengths))
    return compose(describe(graphs, names, generator), question, path_triples(paths, names), plan=plan, feedback=True)


def ask_relation(graphs: Graphs, chosen: Tensor, generator: Generator) -> Batch:
    """Ask where a relation leads in each graph.

    Args:
        graphs: of which to ask.
        chosen: [B], first node times R plus the relation, which has to lead somewhere.
        generator: of random numbers.
    """
    count, nodes, _ = graphs.targets.shape
    kinds = torch.arange(RELATION_KINDS + len(relations())).expand(count, -1)
    names = Names(draw_distinct(count, nodes, LABELS, generator), kinds)
    origin, relation = chosen // len(relations()), chosen % len(relations())
    end = follow(graphs, relations(), RELATION_KINDS).flatten(1).gather(1, chosen[:, None])
    path = Paths(torch.cat([origin[:, None], end], 1), RELATION_KINDS + relation[:, None], torch.ones_like(end))
    answer = path_triples(path, names)
    known = torch.tensor([True, False, True]).expand_as(answer.known)
    return compose(describe(graphs, names, generator), answer._replace(known=known), answer)


@lru_cache
def relations() -> Tensor:
    """The kinds of edges that each relation stands for: [R, 5], -1 after the last; 100 of each length from 2 to 5."""
    generator = Generator().manual_seed(400)
    tables = []
    for length in range(2, 6):
        numbers = draw_distinct(1, 100, RELATION_KINDS**length, generator)[0]
        digits = numbers[:, None] // RELATION_KINDS ** torch.arange(length) % RELATION_KINDS
        tables.append(torch.nn.functional.pad(digits, (0, 5 - length), value=-1))
    return torch.cat(tables)


def relation_lengths(graphs: Graphs) -> Tensor:
    """Edges of each relation where it leads somewhere from a node, 0 where not: [B, N, R]."""
    return (relations() >= 0).sum(1) * (follow(graphs, relations(), RELATION_KINDS) >= 0)


def guess_labels(fewest: int, most: int) -> float:
    """Percent of answers that are right when so many labels are guessed, each number of them equally often."""
    return 100 * sum(LABELS**-count for count in range(fewest, most + 1)) / (most - fewest + 1)


def _check_graphs(task: str, sampler: Traversal | ShortestPath | Inference, kinds: int) -> None:
    check_range(task, "nodes", sampler.min_nodes, sampler.max_nodes, least=2, most=200)
    check_range(task, "degree", sampler.min_degree, sampler.max_degree, most=kinds)
    check_range(task, "path", sampler.min_path, sampler.max_path)
