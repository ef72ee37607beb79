"""MAML against loops over episodes with autograd, and what it learns.

Dimensions: B episodes, N classes, K support examples of each, M queries.
"""

from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from lukasa.agents.few_shot.learning import episode_trainer, evaluate_episodes
from lukasa.agents.few_shot.maml import MAML, adapt_and_predict
from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Examples
from lukasa.tasks.sinusoids import sinusoids

SHAPES = {"linear": (6,), "conv4": (16, 16)}


def maml(encoder: Any = "linear", **options: Any) -> MAML:
    torch.manual_seed(0)
    return MAML(SHAPES[encoder], 3, encoder=encoder, channels=4, **options).double()


def episodes(encoder="linear", batch_size=2) -> tuple[Tensor, Tensor]:
    """Two support examples of each of 3 classes, and four queries."""
    generator = Generator().manual_seed(1)
    shape = SHAPES[encoder]
    draw = [torch.randn(batch_size, *sizes, *shape, generator=generator).double() for sizes in ((3, 2), (4,))]
    return draw[0], draw[1]


def gradients(learner: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*learner.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def answers_by_the_paper(learner: MAML, support: Tensor, queries: Tensor, steps: int, first_order: bool) -> Tensor:
    """Algorithm 2 for each episode, with the parameters replaced by hand; the encoder is one linear layer."""
    assert learner.encoder.size == 4
    (w, b), (v, c) = learner.encoder.matrix.parameters(), learner.head.parameters()  # type: ignore[union-attr]
    answers = []
    for known, asked in zip(support, queries, strict=True):
        weights: list[Tensor] = [w, b, v, c]
        for _ in range(steps):
            loss = torch.zeros(()).double()
            for label, examples in enumerate(known):
                for one in examples:
                    hidden = weights[0] @ one + weights[1]
                    loss = loss - torch.log_softmax(weights[2] @ hidden + weights[3], 0)[label] / 6
            slopes = torch.autograd.grad(loss, weights, create_graph=not first_order)
            weights = [weight - learner.inner_lr * slope for weight, slope in zip(weights, slopes, strict=True)]
        answers.append((asked @ weights[0].T + weights[1]) @ weights[2].T + weights[3])
    return torch.stack(answers)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_answers_and_gradients_are_those_of_the_papers_loop(steps: int, first_order: bool):
    learner = maml(inner_steps=steps, first_order=first_order)
    support, queries = episodes()
    targets = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    expected = answers_by_the_paper(learner, support, queries, steps, first_order)
    torch.testing.assert_close(learner(support, queries), expected, rtol=0, atol=1e-12)
    wanted = gradients(learner, F.cross_entropy(expected.flatten(0, 1), targets.flatten()))
    found = gradients(learner, learner.loss(support, queries, targets))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_second_order_passes_through_convolutions_and_batch_norm():
    """The gradient in a direction, with and without second derivatives, beside a finite difference of the loss."""
    support, queries = episodes("conv4")
    targets = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    learner = maml("conv4", inner_lr=0.2)
    start = {name: value.detach().clone() for name, value in learner.named_parameters()}
    direction = {name: torch.randn_like(value) for name, value in start.items()}

    def loss_at(distance: float) -> float:
        learner.load_state_dict({name: value + distance * direction[name] for name, value in start.items()})
        return float(learner.loss(support, queries, targets).detach())

    difference = (loss_at(1e-8) - loss_at(-1e-8)) / 2e-8  # so small that no ReLU and no maximum changes sides
    loss_at(0)
    for first_order in (False, True):
        learner.first_order = first_order
        found = gradients(learner, learner.loss(support, queries, targets))
        slope = sum(float((found[name] * step).sum()) for name, step in direction.items())
        assert (slope == pytest.approx(difference, rel=1e-4)) is not first_order


@pytest.mark.parametrize("encoder", SHAPES)
def test_episodes_do_not_mix(encoder: str):
    learner = maml(encoder)
    support, queries = episodes(encoder, 3)
    together = learner(support, queries)
    for index in range(3):
        this = slice(index, index + 1)
        torch.testing.assert_close(learner(support[this], queries[this]), together[this], rtol=0, atol=1e-10)


def test_batch_norm_sees_the_batch_alone_in_training_and_in_evaluation():
    learner = maml("conv4", inner_steps=2, test_steps=2)
    support, queries = episodes("conv4")
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    trained = learner(support, queries)
    assert learner.state_dict().keys() == before.keys() == dict(learner.named_parameters()).keys()
    torch.testing.assert_close(learner.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(learner.eval()(support, queries), trained, rtol=0, atol=0)
    alone = torch.cat([learner(support, queries[:, place : place + 1]) for place in range(4)], 1)
    assert not torch.allclose(alone, trained), "the other queries are part of the batch"


def test_evaluation_takes_its_own_number_of_steps():
    support, queries = episodes()
    for steps in (1, 4):
        expected = maml(inner_steps=steps)(support, queries)
        torch.testing.assert_close(maml(inner_steps=9, test_steps=steps).eval()(support, queries), expected)


def test_steps_fit_the_support():
    support = episodes()[0]
    targets = torch.arange(3).repeat_interleave(2).expand(2, -1)
    learners = [maml(inner_steps=steps) for steps in (1, 3, 9)]
    losses = [float(learner.loss(support, support.flatten(1, 2), targets).detach()) for learner in learners]
    assert losses == sorted(losses, reverse=True)


def test_answers_need_no_gradient_to_be_enabled():
    learner = maml("conv4")
    support, queries = episodes("conv4")
    expected = learner(support, queries)
    with torch.no_grad():
        found = learner(support, queries)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_episodes_of_another_number_of_classes_are_refused():
    support, queries = episodes()
    with pytest.raises(ValueError, match=r"episodes have 2 classes and this MAML names 3: .* make another with ways=2"):
        maml()(support[:, :2], queries)
    with pytest.raises(ValueError, match=r"support \[2, 3, 2, 6\] and queries \[2, 4, 5\] are no episodes"):
        maml()(support, queries[..., :5])


def test_learns_to_tell_classes_apart_from_one_example():
    """Of 40 training classes, 5 numbers of 20 tell them apart and the others are noise; tested on 40 others."""
    generator = Generator().manual_seed(0)
    clusters = torch.randn(80, 1, 20, generator=generator) * (torch.arange(20) < 5)
    examples = clusters + torch.randn(80, 12, 20, generator=generator) * torch.where(torch.arange(20) < 5, 0.2, 3.0)
    train, test = (
        Shots(examples=Examples(part, "clusters"), ways=3, shots=1, queries=4) for part in examples.split(40)
    )
    torch.manual_seed(0)
    learner = MAML((20,), 3, encoder="linear", channels=16, inner_lr=0.1)
    before = evaluate_episodes(learner, test, 200, Generator().manual_seed(1))
    trainer = episode_trainer(
        learner, train, torch.optim.Adam(learner.parameters(), 0.01), Generator().manual_seed(2), batch_size=16
    )
    for _ in range(200):
        trainer.step()
    after = evaluate_episodes(learner, test, 200, Generator().manual_seed(1))
    assert before.score < 45
    assert after.score > 80


def test_learns_to_fit_a_sinusoid_from_five_points():
    """Section 5.1, smaller and shorter: one step on five points does what it cannot do from an untuned start."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    generator = Generator().manual_seed(0)

    def error(curves: Tensor, steps: int = 1) -> Tensor:
        x, y = curves.split(1, -1)
        found = adapt_and_predict(network, F.mse_loss, x[:, :5], y[:, :5], x[:, 5:], steps=steps, lr=0.01)
        return F.mse_loss(found, y[:, 5:])

    held_out = sinusoids(300, 20, Generator().manual_seed(1))
    untuned = float(error(held_out).detach())
    for _ in range(300):
        optimizer.zero_grad()
        error(sinusoids(25, 15, generator)).backward()
        optimizer.step()
    adapted, start = (float(error(held_out, steps).detach()) for steps in (1, 0))
    assert adapted < untuned / 2
    assert adapted < start / 2
