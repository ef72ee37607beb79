"""The Dynamic Memory Network against loops transcribed from Kumar et al. 2016, section 2."""

import dataclasses
import math

import pytest
import torch

from lukasa.memory.readers import make_reader
from lukasa.memory.readers.episodes import gated_gru, supporting_gates
from lukasa.memory.readers.word_gru import story_encoding
from tests.memory.readers.asked import SIZES, some_questions
from tests.memory.readers.loops import (
    affine,
    gru_states,
    gru_step,
    sigmoid,
    with_some_biases,
    words_of,
)

D = 5


def build(**options):
    torch.manual_seed(0)
    return with_some_biases(make_reader("dmn", SIZES, size=D, episodes=2, **options).double())


def gated_loop(facts, gates, across):
    """h_t = g_t GRU(x_t, h_{t−1}) + (1 − g_t) h_{t−1}, with facts W x + b of z, r and h~ (2.1 and 2.3)."""
    size = across.shape[1]
    h = [0.0] * size
    for x, g in zip(facts, gates, strict=True):
        before, after = affine(across, h), []
        for k in range(size):
            z, r = sigmoid(x[k] + before[k]), sigmoid(x[size + k] + before[size + k])
            new = math.tanh(x[2 * size + k] + r * before[2 * size + k])
            after.append(g * (z * h[k] + (1 - z) * new) + (1 - g) * h[k])
        h = after
    return h


def oracle(reader, asked, row):
    """Scores of answers and gates [E][S] of one question, without padding."""
    embedding = reader.embedding
    text, ends = [], []
    for sentence in asked.story[row, : int(asked.sentences[row])]:
        text += [embedding[word].tolist() for word in words_of(sentence)] + [reader.end.tolist()]
        ends.append(len(text) - 1)
    states = gru_states(text, reader.story_gru)
    facts = [states[end] for end in ends]
    q = gru_states([embedding[word].tolist() for word in words_of(asked.question[row])], reader.question_gru)[-1]
    m, all_gates, logits = q, [], []
    for _ in range(reader.episodes):
        scores = []
        for c in facts:
            bilinear = [sum(a * b for a, b in zip(c, affine(reader.bilinear.weight, v), strict=True)) for v in (q, m)]
            pairs = [[a * b for a, b in zip(c, v, strict=True)] for v in (q, m)]
            differences = [[abs(a - b) for a, b in zip(c, v, strict=True)] for v in (q, m)]
            z = [*c, *m, *q, *pairs[0], *pairs[1], *differences[0], *differences[1], *bilinear]
            hidden = [math.tanh(one) for one in affine(reader.hidden.weight, z, reader.hidden.bias)]
            scores.append(affine(reader.gate.weight, hidden, reader.gate.bias)[0])
        gates = [sigmoid(score) for score in scores]
        e = gated_loop([affine(reader.facts.weight, c, reader.facts.bias) for c in facts], gates, reader.across)
        memory = reader.memory_gru
        m = gru_step(e, m, memory.weight_ih, memory.weight_hh, memory.bias_ih, memory.bias_hh)
        all_gates.append(gates)
        logits.append(scores)
    last = reader.answer_gru
    a = gru_step(q, m, last.weight_ih, last.weight_hh, last.bias_ih, last.bias_hh)
    return affine(reader.answer.linear.weight, a, reader.answer.linear.bias), all_gates, logits


def test_scores_and_gates_equal_the_paper():
    asked, reader = some_questions(), build().eval()
    reading = reader(asked)
    for row in range(4):
        count = int(asked.sentences[row])
        scores, gates, _ = oracle(reader, asked, row)
        torch.testing.assert_close(reading.scores[row], torch.tensor(scores, dtype=torch.float64), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(
            reading.attention[row, :, :count], torch.tensor(gates, dtype=torch.float64), rtol=1e-9, atol=1e-9
        )


def test_supervision_is_the_surprise_of_every_gate():
    asked, reader = some_questions(), build(supervision=0.5).train()
    penalty = reader(asked).penalty
    for row in range(4):
        _, _, logits = oracle(reader, asked, row)
        expected = 0.0
        for episode, scores in enumerate(logits):
            wanted = int(asked.support[row, episode])
            if wanted >= 0:  # the last question has one supporting sentence: its second episode is free
                for place, score in enumerate(scores):
                    gate = sigmoid(score)
                    expected -= math.log(gate if place == wanted else 1 - gate)
        torch.testing.assert_close(float(penalty[row].detach()), 0.5 * expected)


def test_there_is_a_penalty_in_training_alone():
    asked = some_questions()
    assert build(supervision=1.0).eval()(asked).penalty is None
    assert build().train()(asked).penalty is None


def test_gates_are_learned_from_supporting_sentences():
    asked, reader = some_questions(32), build(supervision=1.0).train()
    optimizer = torch.optim.Adam(reader.parameters(), 0.01)
    first = reader(asked).penalty.mean()
    for _ in range(60):
        optimizer.zero_grad()
        reader(asked).penalty.mean().backward()
        optimizer.step()
    assert reader(asked).penalty.mean() < first / 3


def test_supporting_gates_pad_and_cut_to_the_episodes():
    asked = some_questions()
    wanted, known = supporting_gates(asked, 3)
    assert known.tolist() == [[True, True, False]] * 3 + [[True, False, False]]
    assert wanted[0].argmax(1).tolist()[:2] == [0, 5]
    assert not wanted[:, 2].any()
    assert supporting_gates(asked, 1)[0].shape == (4, 1, SIZES.sentences)


def test_fewer_episodes_than_supporting_sentences_are_refused():
    with pytest.raises(ValueError, match=r"2 supporting sentences and there are 1 episodes.*give episodes=2"):
        make_reader("dmn", SIZES, episodes=1, supervision=1.0)
    make_reader("dmn", SIZES, episodes=1)
    with pytest.raises(ValueError, match="expected a weight of 0 or more"):
        make_reader("dmn_plus", dataclasses.replace(SIZES, supports=0), supervision=-1.0)


def test_a_closed_gate_leaves_the_state_as_it_was():
    torch.manual_seed(0)
    facts, across = torch.randn(2, 4, 3 * D).double(), torch.randn(3 * D, D).double()
    gates = torch.rand(2, 4).double()
    gates[:, 2:] = 0
    # only the first two count, bit for bit
    assert torch.equal(gated_gru(facts, gates, across), gated_gru(facts[:, :2], gates[:, :2], across))


def test_gated_gru_has_right_gradients():
    torch.manual_seed(0)
    facts, across, gates = torch.randn(2, 3, 9).double(), torch.randn(9, 3).double(), torch.rand(2, 3).double()
    gates[0, 1], gates[1, 2] = 0, 1
    inputs = [one.requires_grad_() for one in (facts, gates, across)]
    assert torch.autograd.gradcheck(gated_gru, inputs)


def test_a_story_without_words_is_still_marks():
    # An empty memory reads the mark of its end alone: the state moves on.
    gru = torch.nn.GRU(D, D, batch_first=True).double()
    embedding, end = torch.randn(3, D).double(), torch.randn(D).double()
    words = torch.tensor([[[1, 2], [0, 0], [2, 0]]])
    states = story_encoding(words, torch.ones(1, 3, dtype=torch.bool), embedding, end, gru)
    read = [embedding[1], embedding[2], end, end, embedding[2], end]
    expected = torch.tensor(gru_states([one.tolist() for one in read], gru), dtype=torch.float64)
    torch.testing.assert_close(states[0], expected[[2, 3, 5]], rtol=1e-7, atol=1e-7)
