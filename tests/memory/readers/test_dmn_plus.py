"""DMN+ against loops transcribed from Xiong et al. 2016, section 3."""

import math

import pytest
import torch

from lukasa import memory
from lukasa.memory.readers import make_reader
from lukasa.memory.readers.episodes import attention_gru
from lukasa.memory.readers.word_gru import both_ways, run_gru
from tests.memory.readers.asked import SIZES, some_questions
from tests.memory.readers.loops import (
    affine,
    gru_states,
    position_encoding,
    sigmoid,
    softmax,
    with_some_biases,
    words_of,
)

D = 5


def build(**options):
    torch.manual_seed(0)
    return with_some_biases(make_reader("dmn_plus", SIZES, size=D, episodes=2, **options).double())


def attention_loop(facts, gates, across):
    """h_i = g_i ∘ h~_i + (1 − g_i) ∘ h_{i−1}, with facts W x + b of r and h~."""
    size = across.shape[1]
    h = [0.0] * size
    for x, g in zip(facts, gates, strict=True):
        before, after = affine(across, h), []
        for k in range(size):
            r = sigmoid(x[k] + before[k])
            after.append(g * math.tanh(x[size + k] + r * before[size + k]) + (1 - g) * h[k])
        h = after
    return h


def oracle(reader, asked, row):
    """Scores of answers and attention [E][S] of one question, without padding."""
    embedding = reader.embedding
    sentences = [
        position_encoding(words_of(sentence), embedding) for sentence in asked.story[row, : int(asked.sentences[row])]
    ]
    forward = gru_states(sentences, reader.forward_gru)
    backward = gru_states(sentences[::-1], reader.backward_gru)[::-1]
    facts = [[a + b for a, b in zip(*both, strict=True)] for both in zip(forward, backward, strict=True)]
    q = gru_states([embedding[word].tolist() for word in words_of(asked.question[row])], reader.question_gru)[-1]
    m, looked = q, []
    for update in reader.updates:
        scores = []
        for f in facts:
            pairs = [a * b for v in (q, m) for a, b in zip(f, v, strict=True)]
            differences = [abs(a - b) for v in (q, m) for a, b in zip(f, v, strict=True)]
            hidden = affine(reader.hidden.weight, [*pairs, *differences], reader.hidden.bias)
            scores.append(affine(reader.gate.weight, [math.tanh(one) for one in hidden])[0])
        looked.append(softmax(scores))
        c = attention_loop(
            [affine(reader.facts.weight, f, reader.facts.bias) for f in facts], looked[-1], reader.across
        )
        m = [max(0.0, one) for one in affine(update.weight, [*m, *c, *q], update.bias)]
    return affine(reader.answer.linear.weight, [*m, *q], reader.answer.linear.bias), looked


def test_scores_and_attention_equal_the_paper():
    asked, reader = some_questions(), build().eval()
    reading = reader(asked)
    for row in range(4):
        count = int(asked.sentences[row])
        scores, looked = oracle(reader, asked, row)
        expected = [torch.tensor(one, dtype=torch.float64) for one in (scores, looked)]
        torch.testing.assert_close(reading.scores[row], expected[0], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(reading.attention[row, :, :count], expected[1], rtol=1e-9, atol=1e-9)


def test_supervision_is_the_surprise_of_the_attention():
    asked, reader = some_questions(), build(supervision=2.0, dropout=0.0).train()
    penalty = reader(asked).penalty
    for row in range(4):
        _, looked = oracle(reader, asked, row)
        support = asked.support[row].tolist()
        expected = -sum(math.log(one[place]) for one, place in zip(looked, support, strict=True) if place >= 0)
        torch.testing.assert_close(float(penalty[row].detach()), 2 * expected)
    assert reader.eval()(asked).penalty is None


def test_dropout_is_for_training_alone():
    asked, reader = some_questions(), build(dropout=0.5)
    assert not torch.equal(reader.train()(asked).scores, reader(asked).scores)
    assert torch.equal(reader.eval()(asked).scores, reader(asked).scores)


def test_every_direction_starts_at_a_row_s_own_end():
    torch.manual_seed(0)
    forward, backward = (torch.nn.GRU(3, 3, batch_first=True).double() for _ in range(2))
    inputs, lengths = torch.randn(2, 4, 3).double(), torch.tensor([4, 2])
    _, reverse = both_ways(inputs, lengths, forward, backward)
    expected = gru_states(inputs[1, :2].flip(0).tolist(), backward)[::-1]
    torch.testing.assert_close(reverse[1, :2], torch.tensor(expected, dtype=torch.float64), rtol=1e-7, atol=1e-7)


def test_attention_gru_has_right_gradients():
    torch.manual_seed(0)
    facts, across, gates = torch.randn(2, 3, 6).double(), torch.randn(6, 3).double(), torch.rand(2, 3).double()
    gates[0, 1], gates[1, 2] = 0, 1
    assert torch.autograd.gradcheck(attention_gru, [one.requires_grad_() for one in (facts, gates, across)])


@pytest.mark.parametrize("length", [3, 20])  # the library's, and native code
def test_a_gru_by_native_code_equals_the_library_s(length):
    torch.manual_seed(0)
    gru, inputs = torch.nn.GRU(4, 4, batch_first=True).double(), torch.randn(3, length, 4).double().requires_grad_()
    with memory.step_by_step():
        expected = run_gru(gru, inputs)
    states = run_gru(gru, inputs)
    torch.testing.assert_close(states, expected)
    every = [inputs, *gru.parameters()]
    weights = torch.randn_like(states)
    found = torch.autograd.grad((states * weights).sum(), every)
    torch.testing.assert_close(found, torch.autograd.grad((expected * weights).sum(), every))
