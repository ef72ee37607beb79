"""The dynamic NTM against a loop written from the paper, and its choices against all that there are.

Legend: B batch, T time, D input width, N slots, A numbers of an address, C numbers of a content, W = A + C.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.dntm import DNTM, avoid_recent, similarities
from tests.memory import core_rows
from tests.memory.core_oracles import controller_step, linear
from tests.memory.gradients import check_core_gradients
from tests.memory.oracles import Array, Named, sigmoid, softmax, softplus
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL = core_rows.DNTM
OPTIONS: dict[str, dict[str, Any]] = {
    "soft": {},
    "soft, no slot to do nothing at": {"no_op": False},
    "soft, three reads": {"read_steps": 3},
    "soft, feedforward": {"controller": "feedforward"},
    "soft, LSTM": {"controller": "lstm"},
    "straight_through": {"addressing": "straight_through", "read_steps": 2},
    "reinforce": {"addressing": "reinforce", "read_steps": 2},
}
EVERY_OPTION = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def weights_of(words: Array, key: Array, strength: Array, gate: Array, v: Array, soft: bool) -> tuple[Array, Array]:
    """w_t and v_t of one head: z_t, less γ v_{t-1}, then the softmax or the largest; section 3."""
    z = np.empty(len(words))
    for i, word in enumerate(words):
        z[i] = strength * (word @ key) / np.sqrt((word @ word + 1e-6) * (key @ key + 1e-6))
    w = softmax(z - gate * v)
    return (w if soft else np.eye(len(w))[w.argmax()]), 0.1 * v + 0.9 * z


def step(parameters: Named, options: dict[str, Any], x: Array, state: Named) -> tuple[Array, Named]:
    """One step of one row: the controller, a write, the reads, the output."""
    hidden, controller = controller_step(parameters, np.concatenate([x, state["reads"].ravel()]), state)
    told, of_x = linear(parameters, "interface", hidden), parameters["of_input.weight"] @ x
    addresses, soft = parameters["addresses"], options.get("addressing", "soft") == "soft"
    size, content = addresses.shape[1] + state["memory"].shape[1], state["memory"].shape[1]
    places = np.cumsum([0, size, size, 1, 1, 1, 1, content, content, 1])
    read_key, write_key, *four, e, into, a = (told[begin:end] for begin, end in itertools.pairwise(places))
    read_strength, write_strength = (1 + softplus(one[0]) for one in four[:2])
    read_gate, write_gate = (sigmoid(one[0]) for one in four[2:])
    held = state["memory"].copy()

    def words() -> Array:
        return np.concatenate([addresses, held], 1)

    w, v_write = weights_of(words(), write_key, write_strength, write_gate, state["recency"][1], soft)
    alpha = sigmoid(a[0] + of_x[-1])
    candidate = np.maximum(into + alpha * of_x[:-1], 0)
    last = len(held) - 1 if options.get("no_op", True) else len(held)
    for i in range(last):
        held[i] = held[i] * (1 - sigmoid(e) * w[i]) + w[i] * candidate
    r, v_read = np.zeros(size), state["recency"][0]
    for hop in range(options.get("read_steps", 1)):
        key = read_key + parameters["of_read.weight"] @ r if hop else read_key
        w, v_read = weights_of(words(), key, read_strength, read_gate, v_read, soft)
        r = sum((w[i] * words()[i] for i in range(last)), np.zeros(size))
    output = linear(parameters, "output", np.concatenate([hidden, r]))
    after = {"memory": held, "recency": np.stack([v_read, v_write]), "reads": r[None], **controller}
    return output, after


@EVERY_OPTION
def test_outputs_and_state_are_those_of_the_paper(options: dict[str, Any]):
    """Six steps from a state that was reached; discrete addresses are the most likely ones."""
    core = lively_core("dntm", **SMALL | options).eval()
    parameters = {name: one.detach().numpy() for name, one in core.named_parameters()}
    inputs, state = 2 * Sampler(1).normal(2, 6, 3), reached_state(core, 2)
    outputs, last = memory.unroll(core, inputs, state)
    ends = memory.state_to_dict(last)
    for row in range(2):
        carried = {name: one[row].numpy() for name, one in memory.state_to_dict(state).items()}
        for time in range(6):
            y, carried = step(parameters, options, inputs[row, time].numpy(), carried)
            np.testing.assert_allclose(outputs[row, time].detach().numpy(), y, rtol=0, atol=1e-10)
        for name, expected in carried.items():
            np.testing.assert_allclose(ends[name][row].detach().numpy(), expected, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("options", [{}, {"read_steps": 2, "no_op": False}], ids=["plain", "two reads"])
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]):
    core = lively_core("dntm", **SMALL | {"slots": 3, "controller_size": 3} | options)
    check_core_gradients(core, Sampler(2).normal(2, 2, 3), reached_state(core, 2))


def test_straight_through_has_the_gradient_of_soft_weights_at_the_values_of_hard_ones():
    """What reaches the scores is the gradient with respect to one-hot weights, through the softmax."""
    core = lively_core("dntm", **SMALL, addressing="straight_through")
    assert isinstance(core, DNTM)
    scores, slope = Sampler(3).normal(2, 5).requires_grad_(), Sampler(4).normal(2, 5)
    weights, chosen = core.decide(torch.log_softmax(scores, 1))
    assert torch.equal(weights, torch.zeros(2, 5).double().scatter(1, scores.argmax(1, keepdim=True), 1))
    assert torch.equal(chosen, scores.argmax(1, keepdim=True))
    found = torch.autograd.grad((weights * slope).sum(), scores)[0]
    torch.testing.assert_close(found, torch.autograd.grad((scores.softmax(1) * slope).sum(), scores)[0])


class Forced(DNTM):
    """Chooses what it is told to."""

    plan: list[int]

    def decide(self, log_weights: Tensor) -> tuple[Tensor, Tensor]:
        chosen = torch.full((len(log_weights), 1), self.plan.pop(0))
        return torch.zeros_like(log_weights).scatter(1, chosen, 1), chosen


def loss_of(outputs: Tensor) -> Tensor:
    """Of each row."""
    return (outputs - 0.3).square().sum((1, 2))


def tiny(kind: type[DNTM]) -> DNTM:
    torch.manual_seed(5)
    options: Any = {"slots": 3, "word_size": 2, "address_size": 2, "controller": "feedforward", "controller_size": 3}
    return kind(2, 1, addressing="reinforce", no_op=False, **options).double()


def test_gradient_of_choices_times_losses_is_that_of_the_expected_loss():
    """Exactly, over all 81 ways to write and read in two steps; and on average, over 40,000 that were drawn."""
    inputs = Sampler(6).normal(1, 2, 2)
    forced, expected_loss, total = tiny(Forced), torch.zeros(()).double(), 0.0
    assert isinstance(forced, Forced)
    for plan in itertools.product(range(3), repeat=4):
        forced.plan = list(plan)
        with memory.collect_auxiliary(forced) as auxiliary:
            outputs, _ = memory.unroll(forced, inputs)
        log_probabilities = auxiliary.log_probabilities()
        assert log_probabilities is not None
        assert log_probabilities.shape == (1, 2)
        probability = log_probabilities.sum().exp()
        expected_loss, total = expected_loss + probability * loss_of(outputs).sum(), total + probability.item()
    assert total == pytest.approx(1)
    exact = torch.autograd.grad(expected_loss, list(forced.parameters()))

    core, estimates = tiny(DNTM), []
    for _ in range(20):
        with memory.collect_auxiliary(core) as auxiliary:
            outputs, _ = memory.unroll(core, inputs.expand(2000, -1, -1))
        log_probabilities, loss = auxiliary.log_probabilities(), loss_of(outputs)
        assert log_probabilities is not None
        surrogate = loss + (loss.detach() - expected_loss.detach()) * log_probabilities.sum(1)
        found = torch.autograd.grad(surrogate.mean(), list(core.parameters()))
        estimates.append(torch.cat([one.flatten() for one in found]))
    drawn, truth = torch.stack(estimates), torch.cat([one.flatten() for one in exact])
    deviation = drawn.std(0) / len(drawn) ** 0.5
    assert truth.norm() > 0.1
    assert ((drawn.mean(0) - truth).abs() <= 4.5 * deviation + 1e-9).all()
    assert deviation.norm() < 0.1 * truth.norm(), "few enough to see a wrong gradient"


def test_slots_are_drawn_as_often_as_they_are_likely():
    core = tiny(DNTM)
    log_weights = torch.log(torch.tensor([[0.1, 0.2, 0.7]]).double()).expand(30_000, -1)
    weights, chosen = core.decide(log_weights)
    assert torch.equal(weights.argmax(1, keepdim=True), chosen)
    torch.testing.assert_close(weights.mean(0), log_weights[0].exp(), rtol=0, atol=0.015)
    assert core.eval().decide(log_weights)[1].unique().tolist() == [2]


@pytest.mark.parametrize("addressing", ["soft", "straight_through", "reinforce"])
def test_choices_are_handed_out_where_they_are_drawn(addressing: str):
    core = memory.make_core("dntm", input_size=3, output_size=2, **SMALL | {"addressing": addressing, "read_steps": 2})
    assert core.chooses == (addressing == "reinforce")
    for training in (True, False):
        core.train(training)
        with memory.collect_auxiliary(core) as auxiliary:
            memory.unroll(core, torch.randn(4, 6, 3))
        found = auxiliary.log_probabilities()
        if core.chooses and training:
            assert found is not None
            assert found.shape == (4, 6)
            assert (found < 0).all()
        else:
            assert found is None


def test_discrete_addresses_are_at_one_slot_each():
    for addressing in ("straight_through", "reinforce"):
        core = memory.make_core("dntm", input_size=3, output_size=2, **SMALL | {"addressing": addressing})
        with memory.record(core) as recording:
            memory.unroll(core, torch.randn(4, 6, 3))
        for name in ("read", "write"):
            weights = recording.stacked()[name]
            assert ((weights == 0) | (weights == 1)).all()
            assert (weights.sum(-1) == 1).all()


def test_entropy_of_all_addressings_is_rewarded_by_its_weight():
    core = memory.make_core("dntm", input_size=3, output_size=2, **SMALL | {"read_steps": 2, "entropy_weight": 0.5})
    with memory.collect_auxiliary(core) as auxiliary, memory.record(core) as recording:
        memory.unroll(core, torch.randn(4, 6, 3))
    shown = recording.stacked()
    weights = torch.cat([shown["write"], shown["read"]], 2)  # [B, T, 3, N]
    (cost,) = auxiliary.costs.values()
    torch.testing.assert_close(torch.cat(cost, 1), 0.5 * (weights * weights.log()).sum((2, 3)))
    plain = memory.make_core("dntm", input_size=3, output_size=2, **SMALL)
    with memory.collect_auxiliary(plain) as auxiliary:
        memory.unroll(plain, torch.randn(4, 6, 3))
    assert auxiliary.cost() is None


def test_nothing_is_written_to_or_read_from_the_slot_that_does_nothing():
    core, inputs = lively_core("dntm", **SMALL), Sampler(7).normal(2, 6, 3)
    _, state = memory.unroll(core, inputs)
    assert state.memory[:, -1].count_nonzero() == 0
    assert state.memory[:, :-1].count_nonzero() > 0
    assert isinstance(core, DNTM)
    all_at_the_last = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0]]).double()
    assert core.without_no_op(all_at_the_last).count_nonzero() == 0


def test_an_open_recency_gate_turns_away_from_what_was_just_sought():
    words, key = torch.eye(4).double().unsqueeze(0), torch.tensor([[2.0, 1.0, 0.0, 0.0]]).double()
    z = similarities(words, key, torch.tensor([5.0]).double())
    assert z.argmax() == 0
    for gate, place in ((0.0, 0), (1.0, 1)):
        logits = avoid_recent(z, 0.9 * z + torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([gate]).double())
        assert logits.argmax() == place


def test_addresses_are_learned_and_not_part_of_the_state():
    core = memory.make_core("dntm", input_size=3, output_size=2, **SMALL)
    outputs, state = memory.unroll(core, torch.randn(2, 4, 3))
    outputs.square().sum().backward()
    slope = core.get_parameter("addresses").grad
    assert slope is not None
    assert slope.count_nonzero() > 0
    assert "addresses" not in memory.state_to_dict(state)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"slots": 1}, "option 'slots' of core 'dntm' is 1: expected at least 2, one of which does nothing"),
        ({"entropy_weight": -0.1}, "option 'entropy_weight' of core 'dntm' is -0.1: expected 0 or more"),
        (
            {"addressing": "hard"},
            "option 'addressing' of core 'dntm' is 'hard': choose one of 'soft', 'straight_through'",
        ),
        ({"read_steps": 0}, "option 'read_steps' of core 'dntm' is 0: expected a whole number of at least 1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], told: str):
    with pytest.raises(ValueError, match=told):
        memory.make_core("dntm", input_size=3, output_size=2, **options)
