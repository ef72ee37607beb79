import pytest
import torch
from torch.autograd import gradcheck

from lukasa.agents.few_shot import PrototypicalNetwork, make_learner
from lukasa.agents.few_shot.prototypical import squared_distances
from tests.agents.few_shot.rows import random_episode


def distances_by_loops(known, asked):
    """Minus the squared distances to the class means, number by number."""
    known, asked = known.detach(), asked.detach()
    batch, ways, shots, size = known.shape
    answers = torch.zeros(batch, asked.shape[1], ways, dtype=torch.float64)
    for b in range(batch):
        for n in range(ways):
            prototype = [sum(float(known[b, n, k, d]) for k in range(shots)) / shots for d in range(size)]
            for m in range(asked.shape[1]):
                answers[b, m, n] = -sum((float(asked[b, m, d]) - prototype[d]) ** 2 for d in range(size))
    return answers


@pytest.mark.parametrize("shots", [1, 3])
def test_answers_are_minus_squared_distances_to_class_means(shots):
    torch.manual_seed(0)
    learner = PrototypicalNetwork((4, 3), encoder="linear", channels=5).double()
    support, queries, _ = random_episode(shots=shots, shape=(4, 3))
    known = learner.encoder(support.flatten(0, 2)).view(2, 3, shots, 5)
    asked = learner.encoder(queries.flatten(0, 1)).view(2, 4, 5)
    torch.testing.assert_close(
        learner(support, queries).detach(), distances_by_loops(known, asked), rtol=1e-9, atol=1e-12
    )


def test_with_one_shot_the_nearest_example_wins():
    support, queries, _ = random_episode(shots=1, queries=20)
    answers = PrototypicalNetwork((16, 16), encoder="identity")(support, queries)
    nearest = make_learner("nearest", (16, 16), 3)(support, queries)
    assert torch.equal(answers.argmax(-1), nearest.argmax(-1))
    assert len(set(answers.argmax(-1).flatten().tolist())) == 3


def test_mean_decides_and_not_the_nearest_example():
    support = torch.tensor([[[0.0], [4.0]], [[2.5], [3.5]]]).view(1, 2, 2, 1)  # means 2 and 3
    queries = torch.tensor([[[4.0], [2.4]]])
    answers = PrototypicalNetwork((1,), encoder="identity")(support, queries)
    assert answers.argmax(-1).tolist() == [[1, 0]]  # whose nearest examples are of class 0 and 1


def test_gradient_is_right():
    torch.manual_seed(0)
    learner = PrototypicalNetwork((2,), encoder="linear", channels=3).double()
    support, queries, targets = random_episode(batch=1, queries=2, shape=(2,))
    assert gradcheck(
        lambda s, q: learner.loss(s, q, targets[:, :2]), (support.requires_grad_(), queries.requires_grad_())
    )


def test_rounding_leaves_no_distance_below_zero():
    points = 1e3 + torch.rand(50, 64, generator=torch.Generator().manual_seed(0))
    assert (squared_distances(points, points) >= 0).all()
