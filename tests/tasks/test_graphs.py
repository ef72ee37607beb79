"""Numbers that the docstrings of the graph tasks state, and ways through graphs drawn by hand."""

import os
from collections import Counter

import pytest
import torch

from lukasa import tasks
from lukasa.tasks.graph_tasks import relations
from lukasa.tasks.graphs import Graphs, draw_by_length, follow, path_lengths
from lukasa.tasks.known_graphs import FAMILY, FAMILY_EDGES, family_tree

# 0 -> 1 -> 3 and 0 -> 2 -> 3 are two shortest ways from 0 to 3; 3 -> 0 is one edge.
DIAMOND = Graphs(
    targets=torch.tensor([[[1, 2], [3, -1], [3, -1], [0, -1]]]),
    kinds=torch.tensor([[[4, 5], [6, 4], [7, 4], [4, 4]]]),  # where there is no edge, kind 4 means nothing
)


def lengths_of(name: str) -> list[int]:
    return tasks.make_task(name).sample(3, torch.Generator().manual_seed(0)).lengths.tolist()


def test_shortest_lengths_and_whether_they_are_single():
    lengths, single = path_lengths(DIAMOND, 5)
    assert lengths[0].tolist() == [[0, 1, 1, 2], [2, 0, 3, 1], [2, 3, 0, 1], [1, 2, 2, 0]]
    assert single[0].tolist() == [[True, True, True, False], [True] * 4, [True] * 4, [True] * 4]


def test_lengths_beyond_the_longest_looked_for_count_as_none():
    lengths, single = path_lengths(DIAMOND, 2)
    assert lengths[0, 1].tolist() == [2, 0, 3, 1]
    assert not single[0, 1, 2]


def test_relations_lead_along_their_edges_or_nowhere():
    table = torch.tensor([[4, 6, -1], [5, 7, 4], [4, 4, -1]])
    assert follow(DIAMOND, table, 10)[0].tolist() == [[3, 0, -1], [-1, -1, -1], [-1, -1, -1], [-1, -1, 1]]


def test_each_length_is_drawn_as_often():
    lengths = torch.tensor([[1, 1, 1, 1, 1, 1, 2, 0, 5]]).expand(4000, -1)
    drawn = Counter(draw_by_length(lengths, 1, 2, torch.Generator().manual_seed(0)).tolist())
    assert drawn[6] / 4000 == pytest.approx(0.5, abs=0.03)
    assert set(drawn) == set(range(7))


def test_there_are_100_relations_of_each_length_and_all_differ():
    table = relations()
    assert Counter((table >= 0).sum(1).tolist()) == {2: 100, 3: 100, 4: 100, 5: 100}
    assert len({tuple(row) for row in table.tolist()}) == 400
    assert table.max() == 9


def test_family_is_as_documented():
    tree = family_tree()
    assert len(FAMILY) == 23
    assert int((tree.targets >= 0).sum()) == 90
    names = [person[0] for person in FAMILY]
    sam, kinds = names.index("Sam"), tree.kinds[0]
    ends = {FAMILY_EDGES[kind]: names[end] for kind, end in zip(kinds[sam], tree.targets[0, sam], strict=True)
            if end >= 0}  # fmt: skip
    assert ends == {"mother": "Kate", "father": "Paul", "next sibling": "Tess"}
    assert lengths_of("family_inference") == [92] * 3


def test_edges_out_of_one_person_differ_in_kind():
    tree = family_tree()
    for targets, kinds in zip(tree.targets[0], tree.kinds[0], strict=True):
        real = kinds[targets >= 0].tolist()
        assert len(set(real)) == len(real)


@pytest.mark.skipif(not os.environ.get("LUKASA_DATA"), reason="$LUKASA_DATA does not name the map of London")
def test_samples_of_london_have_the_steps_drawn():
    assert lengths_of("london_traversal") == [230 + 7 + 7] * 3
    assert lengths_of("london_shortest_path") == [230 + 1 + 10 + 4] * 3


def test_repeat_counts_of_the_paper_have_mean_0_and_variance_1():
    sampler = tasks.make_task("repeat_copy")
    batch = sampler.sample(4000, torch.Generator().manual_seed(0))
    counts = batch.inputs[..., sampler.spec.columns("repeats")].squeeze(-1)
    shown = counts[counts != 0]
    assert len(shown) == 4000
    assert shown.mean().item() == pytest.approx(0.0, abs=0.06)
    assert shown.var().item() == pytest.approx(1.0, abs=0.05)
