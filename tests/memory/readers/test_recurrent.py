"""Recurrent cores as readers: against a loop that reads one row alone, step by step, and no padding."""

import dataclasses
import math

import pytest
import torch

from lukasa import memory
from lukasa.memory.readers import make_reader
from lukasa.memory.readers.recurrent import steps_to_read
from tests.memory.core_rows import ROWS
from tests.memory.readers.asked import SIZES, padded, some_questions

CORES = {row.core: row.options for row in ROWS.values() if row.core in memory.CORES}


def build(sizes=SIZES, **options):
    torch.manual_seed(0)
    return make_reader("recurrent", sizes, **{"size": 6, **options}).double()


def sigmoid(number):
    return 1 / (1 + math.exp(-number))


def oracle_of_position(words, embedding):
    size, length = embedding.shape[1], len(words)
    vector = torch.zeros(size, dtype=torch.float64)
    for j in range(1, length + 1):
        for k in range(1, size + 1):
            weight = (1 - j / length) - (k / size) * (1 - 2 * j / length)
            vector[k - 1] += weight * embedding[words[j - 1], k - 1]
    return vector


def oracle_of_bag(words, embedding):
    return sum((embedding[word] for word in words), torch.zeros(embedding.shape[1], dtype=torch.float64))


def oracle_of_gru(words, embedding, gru):
    # h = (1 - z) n + z h, n = tanh(W x + b + r (U h + c)), as the library's GRU writes it
    size = gru.hidden_size
    state = [0.0] * size
    for word in words:
        x = (gru.weight_ih_l0 @ embedding[word] + gru.bias_ih_l0).tolist()
        u = (gru.weight_hh_l0 @ torch.tensor(state, dtype=torch.float64) + gru.bias_hh_l0).tolist()
        after = []
        for k in range(size):
            r, z = sigmoid(x[k] + u[k]), sigmoid(x[size + k] + u[size + k])
            n = math.tanh(x[2 * size + k] + r * u[2 * size + k])
            after.append((1 - z) * n + z * state[k])
        state = after
    return torch.tensor(state, dtype=torch.float64)


def words_of(row):
    return [int(word) for word in row if word > 0]


def oracle(reader, asked, row, encode, question_first, question_steps):
    """One row: its sentences, then its question, each with a flag, and the core's last output."""
    core = reader.core
    question = encode(words_of(asked.question[row]))
    state, output = core.initial_state(1), None
    for number in range(int(asked.sentences[row])):
        parts = [encode(words_of(asked.story[row, number]))]
        if question_first:
            parts.append(question)
        output, state = core(torch.cat([*parts, torch.zeros(1).double()])[None], state)
    for _ in range(question_steps):
        parts = [question, question] if question_first else [question]
        output, state = core(torch.cat([*parts, torch.ones(1).double()])[None], state)
    return output[0]


@pytest.mark.parametrize("encoding", ["bag", "position", "gru"])
@pytest.mark.parametrize(("question_first", "question_steps"), [(False, 1), (True, 1), (True, 3)])
def test_each_row_is_read_as_if_alone_and_step_by_step(encoding, question_first, question_steps):
    asked = some_questions()
    reader = build(
        core="gru",
        core_options={"size": 5},
        encoding=encoding,
        question_first=question_first,
        question_steps=question_steps,
    )
    with torch.no_grad():
        encode = {
            "bag": lambda words: oracle_of_bag(words, reader.embedding),
            "position": lambda words: oracle_of_position(words, reader.embedding),
            "gru": lambda words: oracle_of_gru(words, reader.embedding, reader.gru),
        }[encoding]
        scores = reader(asked).scores
        for row in range(4):
            expected = oracle(reader, asked, row, encode, question_first, question_steps)
            torch.testing.assert_close(scores[row], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("core", sorted(memory.CORES))
def test_every_core_reads(core):
    asked = some_questions()
    reader = build(core=core, core_options=CORES[core])
    scores = reader(asked).scores
    assert scores.shape == (4, SIZES.answers)
    for row in range(4):
        torch.testing.assert_close(reader(asked.rows(row, row + 1)).scores[0], scores[row])
    losses, reading = reader.losses(asked)
    assert reading.attention.shape == (4, 0, SIZES.sentences)
    losses.mean().backward()
    assert reader.embedding.grad[1:].any()
    assert all(one.grad is None or torch.isfinite(one.grad).all() for one in reader.parameters())


@pytest.mark.parametrize("core", ["ntm", "dnc", "sam", "sdnc", "mann", "lstm"])
def test_whole_stories_run_in_native_code(core):
    searched = {"index": "lists"} if "index" in CORES[core] else {}
    reader = build(core=core, core_options={**CORES[core], **searched}).float()
    story, question = torch.zeros(4, 20, 6), torch.zeros(4, 6)
    inputs, _ = steps_to_read(story, torch.full((4,), 20), question, 1, False)
    assert "step by step" not in memory.why_slow(reader.core, inputs)


def test_the_question_comes_right_after_the_last_sentence():
    story, question = torch.arange(1.0, 7).view(2, 3, 1), torch.tensor([[8.0], [9.0]])
    inputs, last = steps_to_read(story, torch.tensor([3, 1]), question, 2, True)
    # encoding, question beside it, flag; after the question there is nothing
    first = [[1, 8, 0], [2, 8, 0], [3, 8, 0], [8, 8, 1], [8, 8, 1]]
    second = [[4, 9, 0], [9, 9, 1], [9, 9, 1], [0, 0, 0], [0, 0, 0]]
    assert inputs.tolist() == [first, second]
    assert last.tolist() == [4, 2]


def test_what_is_after_the_story_is_never_read():
    asked, reader = some_questions(), build(dataclasses.replace(SIZES, sentences=8, length=5))
    wider = padded(asked)
    wider.story.masked_fill_((torch.arange(8) >= asked.sentences[:, None])[..., None], 3)
    with torch.no_grad():
        torch.testing.assert_close(reader(wider).scores, reader(asked).scores)


def test_an_unknown_core_is_refused_with_the_nearest_one():
    with pytest.raises(memory.UnknownNameError, match=r"unknown core 'lsmt': did you mean 'lstm'\?"):
        build(core="lsmt")
    with pytest.raises(memory.UnknownNameError, match="did you mean 'slots'"):
        build(core="ntm", core_options={"slot": 3})
