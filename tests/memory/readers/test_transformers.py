"""Transformer and Universal Transformer against loops transcribed from Dehghani et al. 2019 and Graves 2016."""

import math

import pytest
import torch

from lukasa.memory.readers import make_reader
from lukasa.memory.readers.self_attention import attend, sinusoids
from tests.memory.readers.asked import SIZES, some_questions
from tests.memory.readers.loops import affine, sigmoid, softmax, with_some_biases, words_of

D, HEADS = 4, 2


def build(name, **options):
    torch.manual_seed(0)
    reader = make_reader(name, SIZES, **{"size": D, "heads": HEADS, "hidden": 6, **options}).double()
    reader = with_some_biases(reader)
    with torch.no_grad():  # masks and norms begin at 1
        for name, one in reader.named_parameters():
            if "masks" in name or "norms" in name:
                one += torch.randn_like(one) / 3
    return reader


def signal(number):
    return [(math.sin, math.cos)[k % 2](number / 10000 ** ((k - k % 2) / D)) for k in range(D)]


def norm(numbers, module):
    mean = sum(numbers) / len(numbers)
    spread = math.sqrt(sum((one - mean) ** 2 for one in numbers) / len(numbers) + 1e-5)
    gains, shifts = module.weight.tolist(), module.bias.tolist()
    return [(one - mean) / spread * gain + shift for one, gain, shift in zip(numbers, gains, shifts, strict=True)]


def add(*vectors):
    return [sum(parts) for parts in zip(*vectors, strict=True)]


def layer_loop(layer, states):
    """LayerNorm(A + Transition(A)) with A = LayerNorm(X + MultiHeadSelfAttention(X)); and all weights [H][P][P]."""
    width = D // HEADS
    q, k, v = (
        [affine(layer.projections.weight[part * D : (part + 1) * D], state) for state in states] for part in range(3)
    )
    looked, weights = [[] for _ in states], []
    for head in range(HEADS):
        mine = range(head * width, (head + 1) * width)
        weights.append([])
        for i in range(len(states)):
            scores = [sum(q[i][a] * k[j][a] for a in mine) / math.sqrt(width) for j in range(len(states))]
            weights[-1].append(softmax(scores))
            looked[i] += [sum(weights[-1][i][j] * v[j][a] for j in range(len(states))) for a in mine]
    after = []
    for state, read in zip(states, looked, strict=True):
        a = norm(add(state, affine(layer.output.weight, read)), layer.norms[0])
        first, _, second = layer.transition
        hidden = [max(0.0, one) for one in affine(first.weight, a, first.bias)]
        after.append(norm(add(a, affine(second.weight, hidden, second.bias)), layer.norms[1]))
    return after, weights


def positions_loop(reader, asked, row):
    """Sentences in their order and then the question: encodings, and the numbers of the positions."""
    embedding, masks = reader.positions.embedding.tolist(), reader.positions.masks.tolist()
    sentences = [*asked.story[row, : int(asked.sentences[row])], asked.question[row]]
    encoded = [
        [sum(masks[j][k] * embedding[word][k] for j, word in enumerate(words_of(one))) for k in range(D)]
        for one in sentences
    ]
    return encoded, list(range(1, len(sentences) + 1))


def transformer_loop(reader, asked, row):
    states, numbers = positions_loop(reader, asked, row)
    states, looked = [add(state, signal(number)) for state, number in zip(states, numbers, strict=True)], []
    for layer in reader.layers:
        states, weights = layer_loop(layer, states)
        looked.append([sum(head[-1][j] for head in weights) / HEADS for j in range(len(states) - 1)])
    return affine(reader.answer.linear.weight, states[-1], reader.answer.linear.bias), looked


def universal_loop(reader, asked, row):
    """Scores, attention of each step, steps of each position and the ponder cost of each."""
    states, numbers = positions_loop(reader, asked, row)
    count, unit = len(states), reader.halting
    total, steps = [0.0] * count, [0] * count
    running, remainder = [True] * count, [1.0] * count
    mean, looked = [[0.0] * D for _ in range(count)], []
    for t in range(1, reader.steps + 1):
        told = [add(states[i], signal(numbers[i]), signal(t)) for i in range(count)]
        after, weights = layer_loop(reader.layer, told)
        going = running[-1]
        looked.append([going * sum(head[-1][j] for head in weights) / HEADS for j in range(count - 1)])
        if unit is None:
            states, mean = after, after
            continue
        for i in range(count):
            if not running[i]:
                continue
            h = sigmoid(affine(unit.linear.weight, after[i], unit.linear.bias)[0])
            steps[i] += 1
            states[i] = after[i]
            if total[i] + h >= 1 - unit.epsilon or t == reader.steps:
                running[i], p = False, 1 - total[i]
                remainder[i] = p
            else:
                total[i], p = total[i] + h, h
            mean[i] = [m + p * s for m, s in zip(mean[i], after[i], strict=True)]
    cost = [n + r for n, r in zip(steps, remainder, strict=True)]
    return affine(reader.answer.linear.weight, mean[-1], reader.answer.linear.bias), looked, steps, cost


def close(found, expected):
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), rtol=1e-9, atol=1e-9)


def test_the_transformer_equals_the_paper():
    asked, reader = some_questions(), build("transformer").eval()
    reading = reader(asked)
    for row in range(4):
        scores, looked = transformer_loop(reader, asked, row)
        close(reading.scores[row], scores)
        close(reading.attention[row, :, : int(asked.sentences[row])], looked)


@pytest.mark.parametrize("act", [False, True])
def test_the_universal_transformer_equals_the_papers(act):
    asked, reader = some_questions(), build("universal_transformer", steps=5, act=act).eval()
    if act:
        with torch.no_grad():
            reader.halting.linear.weight.mul_(3)
            reader.halting.linear.bias.fill_(-2.6)
    reading, taken = reader(asked), set()
    for row in range(4):
        count = int(asked.sentences[row])
        scores, looked, steps, _ = universal_loop(reader, asked, row)
        close(reading.scores[row], scores)
        close(reading.attention[row, :, :count], looked)
        if act:
            assert reading.shown["steps"][row, :count].tolist() == steps[:-1]
            assert int(reading.shown["question steps"][row]) == steps[-1]
            assert not reading.shown["steps"][row, count:].any()
            taken |= set(steps)
    assert not act or (len(taken) > 2 and 5 in taken)  # some halt by themselves, at different steps, and some never


def test_thinking_costs_what_positions_take_in_the_mean():
    asked = some_questions()
    reader = build("universal_transformer", steps=4, act=True, ponder_cost=0.5, dropout=0.0).train()
    penalty = reader(asked).penalty
    for row in range(4):
        cost = universal_loop(reader, asked, row)[3]
        torch.testing.assert_close(float(penalty[row].detach()), 0.5 * sum(cost) / len(cost))
    assert reader.eval()(asked).penalty is None


def test_a_costly_thought_is_a_short_one():
    asked, reader = some_questions(), build("universal_transformer", steps=8, act=True, ponder_cost=1.0).train()
    with torch.no_grad():
        reader.halting.linear.bias.fill_(-2.0)
    before = float(reader(asked).shown["question steps"].float().mean())
    optimizer = torch.optim.Adam(reader.parameters(), 0.05)
    for _ in range(40):
        optimizer.zero_grad()
        reader(asked).penalty.mean().backward()
        optimizer.step()
    assert float(reader(asked).shown["question steps"].float().mean()) < before / 2


def test_attention_has_as_many_hops_when_all_have_halted():
    asked, reader = some_questions(), build("universal_transformer", steps=6, act=True).eval()
    with torch.no_grad():
        reader.halting.linear.bias.fill_(100.0)
    attention = reader(asked).attention
    assert attention.shape[1] == 6
    assert attention[:, 0].any()
    assert not attention[:, 1:].any()


def test_the_question_comes_after_the_last_sentence_of_its_own_row():
    asked, reader = some_questions(), build("transformer")
    _, inside, numbers = reader.positions(asked)
    assert numbers[:, 0].tolist() == (asked.sentences + 1).tolist()
    assert (inside.sum(1) == asked.sentences + 1).all()
    assert numbers[:, 1:].tolist() == [[1, 2, 3, 4, 5, 6]] * 4


@pytest.mark.parametrize("size", [6, 5])
def test_sinusoids_equal_the_paper(size):
    found = sinusoids(torch.tensor([[0, 7], [50, 3]]), size, torch.float64)
    for place, i in (((0, 0), 0), ((0, 1), 7), ((1, 0), 50), ((1, 1), 3)):
        for k in range(size):
            j = k // 2
            expected = math.sin(i / 10000 ** (2 * j / size)) if k % 2 == 0 else math.cos(i / 10000 ** (2 * j / size))
            torch.testing.assert_close(float(found[place][k]), expected)


def test_attention_has_right_gradients():
    torch.manual_seed(0)
    inside = torch.tensor([[True, True, False], [True, True, True]])
    q, k, v = (torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    assert torch.autograd.gradcheck(lambda *some: attend(*some, inside), (q, k, v))


def test_a_size_that_does_not_part_into_heads_is_refused():
    for name in ("transformer", "universal_transformer"):
        with pytest.raises(ValueError, match="size is 10 and heads 4: expected a size that is a multiple of the heads"):
            make_reader(name, SIZES, size=10, heads=4)


def test_steps_that_would_be_paid_for_are_refused():
    with pytest.raises(ValueError, match="ponder_cost is -1: expected 0 or more"):
        make_reader("universal_transformer", SIZES, act=True, ponder_cost=-1.0)
