"""Models that point, against loops in float64 that are written from the paper."""

import math

import numpy as np
import pytest
import torch

from lukasa.ground.names import UnknownNameError
from lukasa.memory.pointers import POINTERS, AttentionLSTM, PointerNetwork, answer_losses, make_pointer

SETS = ((4, [2, 0, 3]), (3, [1, 0, 2]), (5, [0]))


def batch(dtype=torch.float64):
    """Three sets of different sizes with answers of different lengths."""
    torch.manual_seed(1)
    sizes, lengths = torch.tensor([n for n, _ in SETS]), torch.tensor([len(a) for _, a in SETS])
    points, answers = torch.rand(3, 5, 2, dtype=dtype), torch.full((3, 3), -1)
    for row, (size, answer) in enumerate(SETS):
        points[row, size:] = 0
        answers[row, : len(answer)] = torch.tensor(answer)
    return points, sizes, answers, lengths


def weights(model):
    return {name: one.detach().double().numpy() for name, one in model.named_parameters()}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def lstm_step(found, name, x, h, c):
    """One step of an LSTM, unit by unit: gates in the order input, forget, cell, output."""
    size = len(h)
    end = "" if f"{name}.weight_ih" in found else "_l0"
    w, u, b, d = (found[f"{name}.{part}{end}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    z = [float(sum(w[k, i] * x[i] for i in range(len(x))) + sum(u[k, i] * h[i] for i in range(size)) + b[k] + d[k])
         for k in range(4 * size)]  # fmt: skip
    new_c = [sigmoid(z[size + k]) * c[k] + sigmoid(z[k]) * math.tanh(z[2 * size + k]) for k in range(size)]
    new_h = [sigmoid(z[3 * size + k]) * math.tanh(new_c[k]) for k in range(size)]
    return new_h, new_c


def heights(found, encoded, d):
    """u_j = v . tanh(W_1 e_j + W_2 d), for each e_j."""
    w1, w2, v = found["to_keys.weight"], found["to_query.weight"], found["weight"]
    size = len(v)
    return [
        sum(v[k] * math.tanh(sum(w1[k, i] * e[i] + w2[k, i] * d[i] for i in range(size))) for k in range(size))
        for e in encoded
    ]


def encode_loop(found, points):
    h = c = [0.0] * (len(found["encoder.bias_ih_l0"]) // 4)
    states = []
    for point in points:
        h, c = lstm_step(found, "encoder", point, h, c)
        states.append(h)
    return states, h, c


def pointer_loop(found, points, answer):
    """Surprise of an answer and the end after it, by a pointer network."""
    states, h, c = encode_loop(found, points)
    keys, x, total = [list(found["end"]), *states], found["start"], 0.0
    for choice in [one + 1 for one in answer] + [0]:
        h, c = lstm_step(found, "decoder", x, h, c)
        u = heights(found, keys, h)
        total += math.log(sum(math.exp(one) for one in u)) - u[choice]
        x = points[choice - 1]
    return total


def attention_loop(found, points, answer, most, attends):
    """The same by an LSTM with outputs for places, with or without attention."""
    states, h, c = encode_loop(found, points)
    looked, before, total = [0.0] * len(h), most + 1, 0.0
    for choice in [one + 1 for one in answer] + [0]:
        x = list(found["symbols.weight"][before]) + (looked if attends else [])
        h, c = lstm_step(found, "decoder", x, h, c)
        if attends:
            u = heights(found, states, h)
            whole = sum(math.exp(one) for one in u)
            looked = [sum(math.exp(a) / whole * e[k] for a, e in zip(u, states, strict=True)) for k in range(len(h))]
        features = np.array((looked if attends else []) + h)
        scores = found["output.weight"] @ features + found["output.bias"]
        scores = scores[: len(points) + 1]
        total += math.log(np.exp(scores).sum()) - scores[choice]
        before = choice
    return total


def test_pointer_network_is_the_papers_loop():
    model = PointerNetwork(size=4, init=0.8).double()
    points, sizes, answers, lengths = batch()
    losses = answer_losses(model(points, sizes, answers), answers, lengths)
    expected = [pointer_loop(weights(model), points[row, :n].tolist(), a) for row, (n, a) in enumerate(SETS)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("attends", [True, False])
def test_attention_lstm_is_the_papers_loop(attends):
    model = AttentionLSTM(6, size=4, init=0.8, attention=attends).double()
    points, sizes, answers, lengths = batch()
    losses = answer_losses(model(points, sizes, answers), answers, lengths)
    found = weights(model)
    expected = [attention_loop(found, points[row, :n].tolist(), a, 6, attends) for row, (n, a) in enumerate(SETS)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", POINTERS)
def test_gradients_are_those_of_small_changes(name):
    model = make_pointer(name, 5, size=3, init=0.8).double()
    points, sizes, answers, lengths = batch()
    points.requires_grad_()
    parameters = dict(model.named_parameters())

    def losses(points, *values):
        changed = dict(zip(parameters, values, strict=True))
        scores = torch.func.functional_call(model, changed, (points, sizes, answers))
        return answer_losses(scores, answers, lengths)

    assert torch.autograd.gradcheck(losses, (points, *parameters.values()))


@pytest.mark.parametrize("name", POINTERS)
def test_steps_are_the_whole_answer(name):
    model = make_pointer(name, 5, size=4, init=0.8).double()
    points, sizes, answers, _ = batch()
    encoded = model.encode(points, sizes)
    state, chosen, found = model.begin(encoded), None, []
    for choice in (answers + 1).unbind(1):
        scores, attention, state = model.step(encoded, state, chosen)
        found.append(scores)
        chosen = choice
        assert attention.shape == (3, 5)
        assert not attention[1, 3:].any()
    torch.testing.assert_close(torch.stack(found, 1), model(points, sizes, answers)[:, :-1])


@pytest.mark.parametrize("name", POINTERS)
def test_padding_moves_nothing(name):
    model = make_pointer(name, 9, size=4, init=0.8).double()
    points, sizes, answers, lengths = batch()
    wider = torch.nn.functional.pad(points, (0, 0, 0, 4), value=7.0)
    longer = torch.nn.functional.pad(answers, (0, 2), value=-1)
    losses = answer_losses(model(points, sizes, answers), answers, lengths)
    torch.testing.assert_close(answer_losses(model(wider, sizes, longer), longer, lengths), losses)
    alone = answer_losses(model(points[1:2, :3], sizes[1:2], answers[1:2]), answers[1:2], lengths[1:2])
    torch.testing.assert_close(alone[0], losses[1])


def test_a_pointer_network_takes_more_points_than_it_was_trained_on_and_a_dictionary_does_not():
    points, sizes = torch.rand(1, 7, 2), torch.tensor([7])
    assert make_pointer("pointer_network", 5, size=4).encode(points, sizes).keys.shape == (1, 8, 4)
    with pytest.raises(ValueError, match="a set has 7 points, and this model has outputs for 5"):
        make_pointer("attention_lstm", 5, size=4).encode(points, sizes)


def test_bad_options_are_named():
    with pytest.raises(UnknownNameError, match="did you mean 'pointer_network'"):
        make_pointer("pointer_netwrok", 5)
    with pytest.raises(UnknownNameError, match="size"):
        make_pointer("pointer_network", 5, sise=4)
    with pytest.raises(ValueError, match="at least 1"):
        make_pointer("pointer_network", 5, size=0)
    with pytest.raises(ValueError, match="init is -1: expected a number of at least 0"):
        make_pointer("attention_lstm", 5, init=-1)
