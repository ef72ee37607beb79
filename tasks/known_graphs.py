"""The graph tasks of the DNC paper on the London Underground and on a family tree.

Dimensions: N nodes, K edges out of a node.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from torch import Generator

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.data import DataError, folders, locate
from lukasa.tasks.graph_tasks import (
    PAPER,
    ask_relation,
    ask_route,
    ask_shortest,
    guess_labels,
    relation_lengths,
)
from lukasa.tasks.graph_triples import LABELS, triple_spec
from lukasa.tasks.graphs import Graphs, draw_by_length, single_path_lengths
from lukasa.tasks.spec import Spec

MOST_DIRECTIONS = 10
"""Ways out of one station on one line are numbered below this."""

FAMILY: tuple[tuple[str, str, str, str], ...] = (
    ("Ada", "f", "", ""),
    ("Ben", "m", "", ""),
    ("Cora", "f", "", ""),
    ("Dan", "m", "", ""),
    ("Eve", "f", "Ada", "Ben"),
    ("Finn", "m", "Ada", "Ben"),
    ("Gwen", "f", "Cora", "Dan"),
    ("Hugo", "m", "Cora", "Dan"),
    ("Iris", "f", "", ""),
    ("Jack", "m", "", ""),
    ("Kate", "f", "Eve", "Hugo"),
    ("Leo", "m", "Eve", "Hugo"),
    ("Mia", "f", "Gwen", "Finn"),
    ("Noah", "m", "Gwen", "Finn"),
    ("Olga", "f", "Gwen", "Finn"),
    ("Paul", "m", "", ""),
    ("Rose", "f", "", ""),
    ("Sam", "m", "Kate", "Paul"),
    ("Tess", "f", "Kate", "Paul"),
    ("Uma", "f", "Rose", "Leo"),
    ("Vera", "f", "Mia", "Jack"),
    ("Will", "m", "Mia", "Jack"),
    ("Zoe", "f", "Iris", "Noah"),
)
"""Name, sex, mother and father of 23 people in four generations; empty where nothing is known."""

FAMILY_EDGES = (
    "mother", "father", "partner", "first daughter", "second daughter", "first son", "second son",
    "next sibling", "sibling before",
)  # fmt: skip
"""What the kinds of edges in the family tree are called, by number."""


@dataclass(frozen=True, kw_only=True)
class LondonTraversal:
    """``Traversal`` on the stations of zone 1 of the London Underground: a test without training.

    Every connection is an edge in either direction. Where a line branches, or goes on both ways, its edges out of
    one station are told apart by direction, so that a route has one end. Labels are drawn anew for each sample::

        step      0 ... 229    230 ... 236            237 ... 243
        triple    the map      first station, lines   .
        target                                        from, to, line of each of 7 connections

    Chance: 0.0 accuracy %, for one who guesses labels.
    Best: 100.0 accuracy %.
    Paper: Graves et al. 2016, figures 2 and 3, where the map is smaller.

    Attributes:
        min_path: connections of the shortest route.
        max_path: connections of the longest route.
        data_dir: folder to look for the map in first; see ``lukasa.tasks.data``.
    """

    min_path: int = 7
    max_path: int = 7
    data_dir: str = ""

    def __post_init__(self) -> None:
        check_range("london_traversal", "path", self.min_path, self.max_path)

    @property
    def spec(self) -> Spec:
        """A triple and two flags in; a triple out."""
        return triple_spec(item="answer", chance=guess_labels(self.min_path, self.max_path), paper=PAPER, holds=230)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        graph, kinds = london(self.data_dir)
        return ask_route(graph.repeat(batch_size), kinds, self.min_path, self.max_path, generator)


@dataclass(frozen=True, kw_only=True)
class LondonShortestPath:
    """``ShortestPath`` on the stations of zone 1 of the London Underground: a test without training.

    The map is that of ``LondonTraversal``. One sample along time, with 10 steps to plan::

        step      0 ... 229    230          231 ... 240   241        242 ... 244
        triple    the map      from, to, _  .             .          the triple before
        target                                            from, to, line of each of 4 connections

    Chance: 0.0 accuracy %, for one who guesses labels.
    Best: 100.0 accuracy %.
    Paper: Graves et al. 2016, figures 2 and 3, where the map is smaller.

    Attributes:
        min_path: connections of the shortest path.
        max_path: connections of the longest path; at most 9, the longest there is.
        plan: steps between question and answer that show nothing.
        data_dir: folder to look for the map in first; see ``lukasa.tasks.data``.
    """

    min_path: int = 4
    max_path: int = 4
    plan: int = 10
    data_dir: str = ""

    def __post_init__(self) -> None:
        check_range("london_shortest_path", "path", self.min_path, self.max_path, most=9)
        check_whole("london_shortest_path", "plan", self.plan, 0)

    @property
    def spec(self) -> Spec:
        """A triple and two flags in; a triple out."""
        chance = guess_labels(2 * self.min_path - 1, 2 * self.max_path - 1)
        return triple_spec(item="answer", chance=chance, paper=PAPER, holds=230, feedback=True)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        graph, kinds = london(self.data_dir)
        lengths = single_path_lengths(graph, self.max_path).flatten(1).expand(batch_size, -1)
        pairs = draw_by_length(lengths, self.min_path, self.max_path, generator)
        return ask_shortest(graph.repeat(batch_size), kinds, pairs, self.plan, generator)


@dataclass(frozen=True, kw_only=True)
class FamilyInference:
    """``Inference`` on a family tree: a test without training.

    The tree holds 23 people in four generations and their mothers, fathers, partners, children and siblings; the
    relations are those of ``Inference`` that lead from somebody to somebody. One sample along time::

        step      0 ... 89     90                  91
        triple    the tree     person, _, relation .
        target                                     person, person, relation

    Chance: 0.1 accuracy %, for one who guesses the label of one node.
    Best: 100.0 accuracy %.
    Paper: Graves et al. 2016, figures 2 and 3, where the family is another.

    Attributes:
        min_path: edges of the shortest relation; at least 2.
        max_path: edges of the longest relation; at most 5.
    """

    min_path: int = 4
    max_path: int = 4

    def __post_init__(self) -> None:
        check_range("family_inference", "path", self.min_path, self.max_path, least=2, most=5)

    @property
    def spec(self) -> Spec:
        """A triple and two flags in; a triple out."""
        edges = int((family_tree().targets >= 0).sum())
        return triple_spec(item="answer", chance=100 / LABELS, paper=PAPER, holds=edges)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        lengths = relation_lengths(family_tree()).flatten(1).expand(batch_size, -1)
        chosen = draw_by_length(lengths, self.min_path, self.max_path, generator)
        return ask_relation(family_tree().repeat(batch_size), chosen, generator)


def london(data_dir: str = "") -> tuple[Graphs, int]:
    """Zone 1 of the London Underground, and how many kinds of edges it has.

    Raises:
        DataError: the map is missing or not what it should be.
    """
    return _london(data_dir, tuple(folders("london_tube", data_dir)))


@lru_cache
def _london(data_dir: str, places: tuple[Path, ...]) -> tuple[Graphs, int]:
    # ``places`` are where it is looked for: part of the key, as the environment may name others later.
    stations = _rows(locate("london_tube", "london.stations.csv", data_dir), ("id", "zone"))
    central = [row["id"] for _, row in stations if row["zone"] == "1"]
    path = locate("london_tube", "london.connections.csv", data_dir)
    ways: dict[str, dict[tuple[int, str], None]] = {station: {} for station in central}
    for where, row in _rows(path, ("station1", "station2", "line")):
        if not row["line"].isdecimal():
            raise DataError(f"{where}: the line is {row['line']!r}, expected a whole number")
        for here, there in ((row["station1"], row["station2"]), (row["station2"], row["station1"])):
            if here in ways and there in ways:
                ways[here][int(row["line"]), there] = None
    ways = {station: onward for station, onward in ways.items() if onward}  # some have all neighbours in zone 2
    number = {station: index for index, station in enumerate(ways)}
    edges = []
    for station, onward in ways.items():
        taken: dict[int, int] = {}
        for line, there in sorted(onward):
            direction = taken[line] = taken.get(line, -1) + 1
            edges.append((number[station], number[there], line * MOST_DIRECTIONS + direction))
    kinds = sorted({kind for _, _, kind in edges})
    return _single(len(ways), [(here, there, kinds.index(kind)) for here, there, kind in edges]), len(kinds)


@lru_cache
def family_tree() -> Graphs:
    """The family as a graph; kinds of edges are numbered as in ``FAMILY_EDGES``."""
    number = {person[0]: index for index, person in enumerate(FAMILY)}
    edges: dict[tuple[int, str], int] = {}
    families: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, sex, mother, father in FAMILY:
        if mother:
            edges[number[name], "mother"], edges[number[name], "father"] = number[mother], number[father]
            edges[number[mother], "partner"], edges[number[father], "partner"] = number[father], number[mother]
            families.setdefault((mother, father), []).append((name, sex))
    for parents, children in families.items():
        for word, wanted in (("daughter", "f"), ("son", "m")):
            same = [number[name] for name, sex in children if sex == wanted]
            for rank, child in zip(("first", "second"), same, strict=False):
                edges.update({(number[parent], f"{rank} {word}"): child for parent in parents})
        for (elder, _), (younger, _) in pairwise(children):
            edges[number[elder], "next sibling"] = number[younger]
            edges[number[younger], "sibling before"] = number[elder]
    return _single(len(FAMILY), [(here, there, FAMILY_EDGES.index(name)) for (here, name), there in edges.items()])


def _single(nodes: int, edges: Iterable[tuple[int, int, int]]) -> Graphs:
    """One graph from edges (from, to, kind)."""
    out: list[list[tuple[int, int]]] = [[] for _ in range(nodes)]
    for origin, target, kind in edges:
        out[origin].append((target, kind))
    table = torch.zeros(nodes, max(map(len, out)), 2, dtype=torch.long)
    table[..., 0] = -1
    for origin, ends in enumerate(out):
        table[origin, : len(ends)] = torch.tensor(ends)
    return Graphs(table[None, ..., 0], table[None, ..., 1])


def _rows(path: object, columns: tuple[str, ...]) -> Iterable[tuple[str, dict[str, str]]]:
    """Rows of a table, each with the file and line it stands in."""
    with open(str(path), encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            for column in columns:
                if not row.get(column):
                    raise DataError(f"{where}: expected a value in the column {column!r}, found none")
            yield where, row
