import math

import pytest
import torch
from torch.autograd import gradcheck

from lukasa.agents.few_shot import MatchingNetwork
from lukasa.agents.few_shot.matching import FullContext
from tests.agents.few_shot.rows import random_episode


def attention_by_loops(known, asked, scale):
    """ŷ of equation (1) with the attention of section 2.1.1, episode by episode and number by number."""
    batch, ways, shots, size = known.shape
    shares = torch.zeros(batch, asked.shape[1], ways, dtype=torch.float64)
    for b in range(batch):
        for m in range(asked.shape[1]):
            f = asked[b, m].tolist()
            weights = {}
            for n in range(ways):
                for k in range(shots):
                    g = known[b, n, k].tolist()
                    inner = sum(f[d] * g[d] for d in range(size))
                    weights[n, k] = math.exp(scale * inner / (math.hypot(*f) * math.hypot(*g)))
            for (n, _), weight in weights.items():
                shares[b, m, n] += weight / sum(weights.values())
    return shares


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def lstm_by_loops(weights, x, hidden, cell):
    """One step of an LSTM on lists of numbers; gates in the library's order i, f, g, o."""
    w_x, w_h, b_x, b_h = (one.tolist() for one in weights)
    size = len(cell)
    gates = [
        b_x[row] + b_h[row] + sum(w * v for w, v in zip(w_x[row], x, strict=True))
        + sum(w * v for w, v in zip(w_h[row], hidden, strict=True))
        for row in range(4 * size)
    ]  # fmt: skip
    i, f, g, o = (gates[part * size : (part + 1) * size] for part in range(4))
    cell = [sigmoid(f[d]) * cell[d] + sigmoid(i[d]) * math.tanh(g[d]) for d in range(size)]
    return [sigmoid(o[d]) * math.tanh(cell[d]) for d in range(size)], cell


def context_by_loops(known, direction_weights):
    """g(x_i, S) = h→_i + h←_i + g'(x_i) of one episode, appendix A.2; known is a list of embeddings."""
    size, total = len(known[0]), [list(one) for one in known]
    for weights, order in zip(direction_weights, (range(len(known)), reversed(range(len(known)))), strict=True):
        hidden, cell = [0.0] * size, [0.0] * size
        for i in order:
            hidden, cell = lstm_by_loops(weights, known[i], hidden, cell)
            total[i] = [a + b for a, b in zip(total[i], hidden, strict=True)]
    return total


def reading_by_loops(known, f, weights, reads):
    """attLSTM of one query, equations (3) to (6) of appendix A.1."""
    hidden, cell = [0.0] * len(f), [0.0] * len(f)
    for _ in range(reads):
        content = [math.exp(sum(h * v for h, v in zip(hidden, g, strict=True))) for g in known]
        read = [sum(a * g[d] for a, g in zip(content, known, strict=True)) / sum(content) for d in range(len(f))]
        hidden, cell = lstm_by_loops(weights, f + read, hidden, cell)
        hidden = [h + v for h, v in zip(hidden, f, strict=True)]
    return hidden


@pytest.mark.parametrize(("shots", "scale"), [(1, 1.0), (3, 1.0), (2, 7.0)])
def test_answers_are_the_attention_to_a_classes_examples(shots, scale):
    torch.manual_seed(0)
    learner = MatchingNetwork((4, 3), encoder="linear", channels=5, scale=scale).double()
    support, queries, _ = random_episode(shots=shots, shape=(4, 3))
    known = learner.encoder(support.flatten(0, 2)).view(2, 3, shots, 5)
    asked = learner.encoder(queries.flatten(0, 1)).view(2, 4, 5)
    expected = attention_by_loops(known, asked, scale)
    torch.testing.assert_close(learner(support, queries).exp(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reads", [1, 3])
def test_context_follows_the_papers_equations(reads):
    torch.manual_seed(0)
    context = FullContext(3, reads).double()
    with torch.no_grad():
        for one in context.parameters():
            one.normal_()  # so that gates and attention are far from flat
    known, asked = torch.randn(2, 4, 3, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    g, f = context(known, asked)
    reader = [*context.reader.parameters()]
    for b in range(2):
        expected = context_by_loops(known[b].tolist(), context.around.all_weights)
        torch.testing.assert_close(g[b], torch.tensor(expected).double(), rtol=1e-6, atol=1e-6)
        for m in range(5):
            read = reading_by_loops(g[b].tolist(), asked[b, m].tolist(), reader, reads)
            torch.testing.assert_close(f[b, m], torch.tensor(read, dtype=torch.float64), rtol=1e-9, atol=1e-12)


def test_with_context_the_attention_is_between_the_embeddings_in_context():
    torch.manual_seed(0)
    learner = MatchingNetwork((4, 3), encoder="linear", channels=5, context=True).double()
    support, queries, _ = random_episode(shape=(4, 3))
    known = learner.encoder(support.flatten(0, 2)).view(2, 6, 5)
    asked = learner.encoder(queries.flatten(0, 1)).view(2, 4, 5)
    assert learner.context is not None
    g, f = learner.context(known, asked)
    expected = attention_by_loops(g.view(2, 3, 2, 5), f, 1.0)
    torch.testing.assert_close(learner(support, queries).exp(), expected, rtol=1e-9, atol=1e-12)


def test_context_changes_the_answers_with_the_rest_of_the_support():
    torch.manual_seed(0)
    learner = MatchingNetwork((2,), encoder="linear", channels=4, context=True).double()
    support, queries, _ = random_episode(shape=(2,))
    changed = support.clone()
    changed[:, 2] += 1
    before, after = (learner(one, queries) for one in (support, changed))
    # Without context the odds between classes 0 and 1 would not know of class 2.
    assert not torch.allclose((before[..., 0] - before[..., 1]), (after[..., 0] - after[..., 1]))
    learner.context = None
    before, after = (learner(one, queries) for one in (support, changed))
    torch.testing.assert_close(before[..., 0] - before[..., 1], after[..., 0] - after[..., 1])


def test_answers_are_log_probabilities():
    torch.manual_seed(0)
    learner = MatchingNetwork((2,), encoder="linear", channels=4, context=True).double()
    support, queries, _ = random_episode(shape=(2,))
    torch.testing.assert_close(learner(support, queries).exp().sum(-1), torch.ones(2, 4).double())


@pytest.mark.parametrize("shots", [1, 4])
def test_without_scale_no_class_of_five_has_more_than_65_percent(shots):
    support = torch.full((1, 5, shots, 1), -1.0)
    support[:, 0] = 1
    answers = MatchingNetwork((1,), encoder="identity")(support, torch.ones(1, 1, 1))
    assert 100 * float(answers.exp()[0, 0, 0]) == pytest.approx(65, abs=0.5)


@pytest.mark.parametrize("context", [False, True])
def test_gradient_is_right(context):
    torch.manual_seed(0)
    learner = MatchingNetwork((2,), encoder="linear", channels=3, context=context, reads=2).double()
    support, queries, targets = random_episode(batch=1, queries=2, shape=(2,))
    inputs = (support.requires_grad_(), queries.requires_grad_(), *learner.parameters())
    assert gradcheck(lambda s, q, *_: learner.loss(s, q, targets), inputs)


def test_blank_embedding_gives_even_odds_and_a_finite_gradient():
    support, queries = torch.rand(1, 3, 1, 2), torch.zeros(1, 1, 2, requires_grad=True)
    answers = MatchingNetwork((2,), encoder="identity")(support, queries)
    torch.testing.assert_close(answers.exp(), torch.full((1, 1, 3), 1 / 3))
    answers[0, 0, 0].backward()
    assert queries.grad is not None
    assert queries.grad.isfinite().all()


def test_scale_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"'scale' of learner 'matching' is 0.0: expected a number above 0"):
        MatchingNetwork((2,), encoder="identity", scale=0.0)
