"""Query-reduction networks against the equations of Seo et al. 2017, sentence by sentence."""

import math

import pytest
import torch

from lukasa.memory.readers import QueryReduction
from lukasa.memory.readers.query_reduction import gated_sums, reduced_queries, weights_of_last
from tests.memory.readers.asked import SIZES, some_questions


def sigmoid(number):
    return 1 / (1 + math.exp(-number))


def encoded(words, embedding):
    """Position encoding, with J words: the sum over j of ((1 − j/J) − (k/D)(1 − 2j/J)) A."""
    words = [int(word) for word in words if word]
    size = embedding.shape[1]
    total = [0.0] * size
    for j, word in enumerate(words, 1):
        for k in range(1, size + 1):
            weight = (1 - j / len(words)) - (k / size) * (1 - 2 * j / len(words))
            total[k - 1] += weight * float(embedding[word, k - 1])
    return total


class Layer:
    """A layer's equations (sections 2.1 to 2.3) for one story, in plain Python."""

    def __init__(self, unit, size, gate_size):
        self.size, self.gate_size = size, gate_size
        self.candidate, self.candidate_bias = unit.candidate.weight.tolist(), unit.candidate.bias.tolist()
        self.gate, self.gate_bias = unit.gate.weight.tolist(), unit.gate.bias.tolist()
        forget = float(unit.gate_bias)
        self.gate_bias[:gate_size] = [one - forget for one in self.gate_bias[:gate_size]]

    def gates(self, sentence, query, number):
        """Gate 0 updates, 1 resets forward, 2 resets backward; a scalar gate serves all numbers of the state."""
        found = []
        for row in range(number * self.gate_size, (number + 1) * self.gate_size):
            logit = self.gate_bias[row] + sum(self.gate[row][d] * sentence[d] * query[d] for d in range(self.size))
            found.append(sigmoid(logit))
        return found * self.size if self.gate_size == 1 else found

    def candidates(self, sentence, query):
        both = [*sentence, *query]
        return [
            math.tanh(bias + sum(row[d] * both[d] for d in range(2 * self.size)))
            for row, bias in zip(self.candidate, self.candidate_bias, strict=True)
        ]

    def states(self, sentences, queries, resetting, backward=False):
        """h_t for every t, from the other end where it runs backward. ``None`` is an empty memory."""
        state = [0.0] * self.size
        found = [state] * len(sentences)
        order = range(len(sentences))
        for t in reversed(order) if backward else order:
            if sentences[t] is not None:
                update = self.gates(sentences[t], queries[t], 0)
                reset = self.gates(sentences[t], queries[t], 2 if backward else 1) if resetting else [1.0] * self.size
                candidate = self.candidates(sentences[t], queries[t])
                state = [update[d] * reset[d] * candidate[d] + (1 - update[d]) * state[d] for d in range(self.size)]
            found[t] = state
        return found


def oracle(reader, asked, row, layers, size, gate_size, resetting):
    embedding = reader.embedding.detach()
    count = int(asked.sentences[row])
    sentences = [encoded(asked.story[row, s], embedding) if asked.story[row, s].any() else None for s in range(count)]
    queries = [encoded(asked.question[row], embedding)] * count
    for number in range(layers):
        layer = Layer(reader.units[number % len(reader.units)], size, gate_size)
        if number + 1 == layers:
            last = layer.states(sentences, queries, resetting=False)[-1]
            break
        onward = layer.states(sentences, queries, resetting)
        back = layer.states(sentences, queries, resetting, backward=True)
        queries = [[a + b for a, b in zip(*both, strict=True)] for both in zip(onward, back, strict=True)]
    weight = reader.answer.linear.weight.tolist()
    return [sum(row[d] * last[d] for d in range(size)) for row in weight]


@pytest.mark.parametrize("vector_gates", [False, True])
@pytest.mark.parametrize(
    ("layers", "reset_gate", "tied"),
    [(1, True, True), (2, True, True), (3, True, True), (3, True, False), (2, False, True)],
)
def test_scores_are_the_papers(layers, reset_gate, tied, vector_gates):
    torch.manual_seed(layers)
    reader = QueryReduction(
        SIZES, size=6, layers=layers, reset_gate=reset_gate, vector_gates=vector_gates, gate_bias=0.3, tied=tied
    ).double()
    with torch.no_grad():
        for one in reader.parameters():
            one.add_(0.5 * torch.randn_like(one))
    asked = some_questions(rows=5)
    scores = reader(asked).scores
    for row in range(5):
        wanted = oracle(reader, asked, row, layers, 6, 6 if vector_gates else 1, reset_gate)
        torch.testing.assert_close(scores[row], torch.tensor(wanted, dtype=torch.float64), rtol=1e-10, atol=1e-10)


def test_attention_is_the_update_gate_and_weights_add_up_to_the_last_state():
    torch.manual_seed(0)
    reader = QueryReduction(SIZES, size=6, vector_gates=False).double()
    asked = some_questions()
    reading = reader(asked)
    assert reading.attention.shape == (4, 2, SIZES.sentences)
    update = reading.attention[:, 1]
    for row in range(4):
        for place in range(SIZES.sentences):
            wanted = update[row, place] * (1 - update[row, place + 1 :]).prod()
            torch.testing.assert_close(reading.shown["weights"][row, place], wanted)
    assert not reading.attention[1, :, 0].any(), "an empty memory updates nothing"
    assert reading.shown["resets"].shape == (4, 1, 2, SIZES.sentences)


def test_an_empty_memory_anywhere_changes_nothing():
    torch.manual_seed(0)
    reader = QueryReduction(SIZES, size=6).double()
    asked = some_questions()
    with_empty = asked._replace(
        story=torch.cat([asked.story[:, :2], torch.zeros_like(asked.story[:, :1]), asked.story[:, 2:5]], 1),
        sentences=(asked.sentences.clamp(max=5) + 1),
    )
    without = asked._replace(sentences=asked.sentences.clamp(max=5))
    torch.testing.assert_close(reader(with_empty).scores, reader(without).scores)


def test_what_is_after_the_story_is_not_read():
    torch.manual_seed(0)
    reader = QueryReduction(SIZES, size=6).double()
    asked = some_questions()._replace(sentences=torch.tensor([3, 3, 2, 4]))
    after = torch.arange(SIZES.sentences) >= asked.sentences[:, None]
    torch.testing.assert_close(
        reader(asked._replace(story=asked.story.masked_fill(after[..., None], 5))).scores, reader(asked).scores
    )


def test_the_update_gate_begins_by_keeping():
    silent, query = torch.zeros(1, 1, 50), torch.ones(1, 1, 50)  # nothing but biases
    unit = QueryReduction(SIZES, gate_bias=2.5).units[0]
    assert unit.gate.bias.tolist() == [0, 0, 0], "a constant, which weight decay does not draw to nothing"
    with torch.no_grad():
        update, reset = unit.gates(silent, query)
        assert float(update) == float(unit.update(silent, query)) == -2.5
    assert [float(one) for one in reset] == [0.5, 0.5]


def test_weights_of_before_the_bias_was_a_constant_answer_as_they_did():
    asked, reader = some_questions(), QueryReduction(SIZES, vector_gates=True, size=6, gate_bias=2.0)
    old = {name: one.clone() for name, one in reader.state_dict().items() if not name.endswith("gate_bias")}
    old["units.0.gate.bias"][:6] -= 2.0
    again = QueryReduction(SIZES, vector_gates=True, size=6, gate_bias=2.0)
    again.load_state_dict(old)
    torch.testing.assert_close(again(asked).scores, reader(asked).scores)
    again.load_state_dict(reader.state_dict())
    torch.testing.assert_close(again(asked).scores, reader(asked).scores)


@pytest.mark.parametrize(("spread", "wanted"), [(None, 0.05), (1.0, 1.0), (0.3, 0.3)])
def test_embeddings_begin_as_wide_as_asked(spread, wanted):
    reader = QueryReduction(SIZES, size=400, spread=spread)
    for name, deviation in {"embedding": wanted, "answer.linear.weight": 0.05}.items():
        assert float(reader.get_parameter(name).detach().std()) == pytest.approx(deviation, rel=0.1)


def test_layers_share_their_weights_unless_told_otherwise():
    assert len(QueryReduction(SIZES, layers=3).units) == 1
    assert len(QueryReduction(SIZES, tied=False, layers=3).units) == 3


@pytest.mark.parametrize("vector_gates", [False, True])
@pytest.mark.parametrize("reset_gate", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_weights_decay_once_for_each_layer_that_has_them(tied, reset_gate, vector_gates):
    options = {"layers": 3, "tied": tied, "reset_gate": reset_gate, "vector_gates": vector_gates}
    reader = QueryReduction(SIZES, size=6, **options, decay=0.02).double()
    asked = some_questions()
    losses, reading = reader.losses(asked)
    total = 0.0
    for rows in (reader.embedding, reader.answer.linear.weight):
        total += sum(weight**2 for row in rows.tolist() for weight in row)
    for layer in range(3):
        unit = reader.units[layer % len(reader.units)]
        gates = unit.gate.weight.tolist()[: (3 if reset_gate and layer < 2 else 1) * (6 if vector_gates else 1)]
        total += sum(weight**2 for row in (*unit.candidate.weight.tolist(), *gates) for weight in row)
    surprises = -torch.log_softmax(reading.scores, 1).gather(1, asked.answers[:, :1]).squeeze(1)
    torch.testing.assert_close(losses, surprises + 0.01 * total)
    assert reader.eval().losses(asked)[1].penalty is None, "what is not trained on has no decay in its loss"


def test_a_decay_that_is_no_decay_is_refused():
    for decay in (-1e-3, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"decay is {decay}: expected a finite number, 0 or more"):
            QueryReduction(SIZES, decay=decay)
    with pytest.raises(ValueError, match=r"spread is -1\.0: expected a finite number, 0 or more"):
        QueryReduction(SIZES, spread=-1.0)


@pytest.mark.parametrize("gate_size", [1, 3])
@pytest.mark.parametrize("resetting", [False, True])
def test_gradients_of_states_at_once(gate_size, resetting):
    generator = torch.Generator().manual_seed(0)
    logits, *reset = (
        torch.randn(2, 4, gate_size, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(3)
    )
    candidates = torch.randn(2, 4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    silent = torch.zeros(2, 4, 1, dtype=torch.bool)
    silent[0, 1] = silent[1, 3] = True

    def states(logits, candidates, *reset):
        return reduced_queries(logits.masked_fill(silent, -math.inf), candidates, reset if resetting else ())

    inputs = (logits, candidates, *reset)
    assert torch.autograd.gradcheck(states, inputs)
    assert torch.autograd.gradgradcheck(states, inputs)
    assert torch.autograd.gradcheck(lambda x: weights_of_last(x.masked_fill(silent, -math.inf)), (logits,))


@pytest.mark.parametrize("gate_size", [1, 3])
def test_gates_that_are_fully_open_or_shut_stay_finite(gate_size):
    logits = torch.tensor([80.0, -80, 80, 200, -200, 0, 80]).repeat(2, 1)[..., None].repeat(1, 1, gate_size)
    logits.requires_grad_()
    candidates = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    states = reduced_queries(logits, candidates)
    weights = weights_of_last(logits)
    (states.sum() + weights.sum()).backward()
    assert torch.isfinite(logits.grad).all()
    assert torch.isfinite(candidates.grad).all()
    assert torch.isfinite(states).all()
    torch.testing.assert_close(states[:, 6], candidates[:, 6] * 2)  # forward it is replaced, backward it is the first
    torch.testing.assert_close(weights[0, :, 0], torch.tensor([0.0, 0, 0, 0, 0, 0, 1]), atol=1e-6, rtol=0)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_gated_sums_under_vmap():
    keep, add = torch.rand(3, 2, 5, 4), torch.randn(3, 2, 5, 4)
    alone = torch.stack([gated_sums(*both) for both in zip(keep, add, strict=True)])
    torch.testing.assert_close(torch.func.vmap(gated_sums)(keep, add), alone)
