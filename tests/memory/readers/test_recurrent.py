"""Recurrent cores as readers: against a loop that reads one row alone, step by step, and no padding."""

import dataclasses

import pytest
import torch

from lukasa import memory
from lukasa.memory.readers import make_reader
from lukasa.memory.readers.recurrent import steps_to_read
from tests.agents.paying import PATH
from tests.memory.core_rows import ROWS
from tests.memory.readers import loops
from tests.memory.readers.asked import SIZES, padded, some_questions
from tests.memory.readers.loops import words_of

CORES = {row.core: row.options for row in ROWS.values() if row.options.get("controller") != "attention"}


def build(sizes=SIZES, **options):
    torch.manual_seed(0)
    return make_reader("recurrent", sizes, **{"size": 6, **options}).double()


def oracle(reader, asked, row, encode, question_first, question_steps):
    """One row: its sentences, then its question, each with a flag, and the core's last output."""
    core = reader.core
    question = encode(words_of(asked.question[row]))
    state, output = core.initial_state(1), None
    for number in range(int(asked.sentences[row])):
        words = words_of(asked.story[row, number])
        sentence = encode(words) if words else [0.0] * len(question)
        inputs = [*sentence, *(question if question_first else []), 0.0]
        output, state = core(torch.tensor([inputs], dtype=torch.float64), state)
    for _ in range(question_steps):
        inputs = [*question, *(question if question_first else []), 1.0]
        output, state = core(torch.tensor([inputs], dtype=torch.float64), state)
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
            "bag": lambda words: loops.bag_of_words(words, reader.embedding),
            "position": lambda words: loops.position_encoding(words, reader.embedding),
            "gru": lambda words: loops.gru_states([reader.embedding[w].tolist() for w in words], reader.gru)[-1],
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


def test_what_a_core_costs_is_a_penalty_in_training():
    """The mean over the steps that rows have: what comes after a row's question does not count."""
    asked, reader = some_questions(), build(core=PATH)
    seen = []
    reader.core.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].square().sum(1)))
    losses, reading = reader.losses(asked)
    costs, counts = torch.stack(seen, 1), asked.sentences.tolist()
    expected = torch.cat([row[: count + 1] for row, count in zip(costs, counts, strict=True)]).mean()
    torch.testing.assert_close(reading.penalty, expected.expand(len(counts)))
    losses.mean().backward()
    torch.testing.assert_close(reader.core.price.grad, expected.detach())
    assert reader.eval()(asked).penalty is None


def test_core_that_chooses_is_refused():
    with pytest.raises(
        ValueError, match="chooses at random in training, which a reader of questions cannot learn from"
    ):
        build(core=PATH, core_options={"chooses": True})
