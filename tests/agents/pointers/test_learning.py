"""Models learn to point, and are scored on what they answer."""

import pytest
import torch

from lukasa.agents.learning import Trainer
from lukasa.agents.pointers import (
    PointerAgent,
    PointerLearner,
    PointSource,
    evaluate_pointing,
    rules_of,
    taught_exactly,
)
from lukasa.memory.pointers import PointerNetwork, decode, make_pointer
from lukasa.tasks.pointing import make_pointing_task, sample_points


def drawn(name, rows=20, least=4, most=4, seed=0):
    task = make_pointing_task(name)
    return task, sample_points(task, rows, least, most, torch.Generator().manual_seed(seed))


class Oracle(PointerNetwork):
    """Points at what is right, which it is told."""

    def __init__(self, answers):
        super().__init__(size=2)
        self.right = torch.nn.functional.pad(answers + 1, (0, 1))

    def begin(self, encoded):
        return torch.zeros(len(encoded.points), dtype=torch.int64), self.right.repeat_interleave(
            len(encoded.points) // len(self.right), 0
        )

    def step(self, encoded, state, chosen):
        place, right = state
        scores = torch.zeros(len(right), encoded.points.shape[1] + 1)
        wanted = right.gather(1, place[:, None].clamp(max=right.shape[1] - 1))
        taken = super().step(encoded, (encoded.hidden, encoded.cell), chosen)
        return taken._replace(scores=scores.scatter(1, wanted, 50.0), state=(place + 1, right))


@pytest.mark.parametrize("name", ["convex_hull", "delaunay", "tsp"])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_oracle_scores_everything(name, beams):
    task, sets = drawn(name, least=6, most=6)
    found = evaluate_pointing(Oracle(sets.answers), task, sets, beams=beams)
    assert (found.exact, found.failed, found.sets, found.size) == (100.0, 0.0, 20, 6)
    best = {"area": 100.0, "triangles": 100.0, "gap": 0.0}
    assert all(
        found.parts[part] == pytest.approx(value, abs=1e-4) for part, value in best.items() if part in found.parts
    )


def test_answers_of_a_guess_are_mostly_wrong():
    task, sets = drawn("convex_hull", rows=200, least=8, most=8)
    torch.manual_seed(0)
    found = evaluate_pointing(make_pointer("pointer_network", 8, size=4), task, sets)
    assert found.exact < 10
    assert found.exact_interval[0] <= found.exact <= found.exact_interval[1]


def test_a_learner_learns_the_hull_of_three_points():
    torch.manual_seed(0)
    model = make_pointer("pointer_network", 3, size=32)
    source = PointSource(make_pointing_task("convex_hull"), 3, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    trainer = Trainer(PointerLearner(model), source, optimizer, torch.Generator().manual_seed(0), batch_size=64)
    results = [trainer.step() for _ in range(120)]
    assert results[-1].loss < 0.4 * results[0].loss


def test_what_is_taught_exactly_is_what_free_greedy_decoding_answers():
    task, sets = drawn("convex_hull", rows=60, least=3, most=4)
    torch.manual_seed(1)
    model = make_pointer("pointer_network", 4, size=8, init=1.0)
    learner = PointerLearner(model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        learner.learn(sets)
        optimizer.step()
    taught = taught_exactly(model(sets.points, sets.sizes, sets.answers), sets)
    free = rules_of(task).__class__()
    found = decode(model, sets.points, sets.sizes, free, torch.full((60,), 9))
    answers = torch.nn.functional.pad(
        found.answers, (0, max(0, sets.answers.shape[1] - found.answers.shape[1])), value=-1
    )
    same = (answers[:, : sets.answers.shape[1]] == sets.answers).all(1) & (found.lengths == sets.lengths)
    assert torch.equal(taught, same)
    assert 5 < int(taught.sum()) < 55


def test_a_source_refuses_sets_that_have_no_answer():
    task = make_pointing_task("delaunay")
    with pytest.raises(ValueError, match="sets of 2 points are too small: Delaunay triangulation needs at least 3"):
        PointSource(task, 2, 5)
    with pytest.raises(ValueError, match="expected the smaller number first"):
        PointSource(task, 7, 5)


def test_an_agent_answers_points_of_any_kind():
    torch.manual_seed(0)
    agent = PointerAgent(make_pointer("pointer_network", 4, size=8), make_pointing_task("tsp"), beams=2)
    points = [[0.1, 0.1], [0.9, 0.2], [0.8, 0.9], [0.2, 0.7]]
    answer = agent.answer(points)
    assert sorted(answer.pointers) == [0, 1, 2, 3]
    assert 0 < answer.probability <= 1
    assert answer.attention.shape == (4, 4)
    assert agent.answer(torch.tensor(points)).pointers == answer.pointers
    with pytest.raises(ValueError, match="2 points are too few"):
        agent.answer(points[:2])
    assert agent.answer(torch.tensor(points, dtype=torch.float64, requires_grad=True)).pointers == answer.pointers


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ([0.1, 0.2], "expected finite numbers"),
        ([["a", "b"]] * 3, "expected finite numbers"),
        ([[0.1, 0.2], [0.3]], "expected finite numbers"),
        (None, "expected finite numbers"),
        ([[0, 0], [1, 0], [0, 0]], "point 2: is the same point as point 0: leave one of them out"),
        ([[0.1, 0.3], [0.2, 0.6], [0.3, 0.9]], "all lie on one line"),
        (torch.tensor([[0.1, 0.3], [0.2, 0.6], [0.3, 0.9]]), "all lie on one line"),
        ([[0, 0], [5, 1], [2, 2]], r"point 1: \(5, 1\) is outside the unit square, .*pointing\.fitted moves"),
    ],
)
def test_an_agent_refuses_points_that_a_file_of_them_could_not_have(points, sentence):
    agent = PointerAgent(make_pointer("pointer_network", 4, size=8), make_pointing_task("convex_hull"))
    with pytest.raises(ValueError, match=sentence):
        agent.answer(points)
