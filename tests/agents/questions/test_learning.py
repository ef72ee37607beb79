"""Learning from questions: epochs, exact resuming, evaluation, several readers side by side."""

import copy
import math

import pytest
import torch

from lukasa.agents.learning import SideBySide, make_optimizer, make_schedule
from lukasa.agents.questions import QuestionSource, evaluate_questions, is_right, question_trainer, sizes_of
from lukasa.memory.readers import make_reader
from lukasa.tasks.questions import make_questions

MADE = make_questions("babi_made", stories=30)


def some(part="train", tasks=(1,)):
    return MADE.load(part, tasks).last_sentences(20)


def trainer(tasks=(1,), seed=0, **options):
    questions = some(tasks=tasks)
    torch.manual_seed(seed)
    reader = make_reader("memn2n", sizes_of(questions, sentences=20), linear_start=4)
    optimizer = make_optimizer("sgd", reader.parameters(), 0.3, momentum=0.0)
    generator = torch.Generator().manual_seed(seed)
    return question_trainer(reader, questions, optimizer, generator, batch_size=16, noise=0.2, **options)


def test_an_epoch_asks_every_question_once():
    questions = some()
    source, generator = QuestionSource(questions, 10, most=20), torch.Generator().manual_seed(0)
    places = [place for _ in range(2 * len(questions) // 10) for place in source.choose(generator)]
    first, second = places[: len(questions)], places[len(questions) : 2 * len(questions)]
    assert sorted(first) == list(range(len(questions)))
    assert sorted(second) == list(range(len(questions)))
    assert first != second


def test_a_batch_may_be_larger_than_the_set():
    questions = some().only(torch.arange(3))
    chosen = QuestionSource(questions, 8, most=20).choose(torch.Generator())
    assert len(chosen) == 8
    assert set(chosen) == {0, 1, 2}


def test_no_questions_are_refused():
    with pytest.raises(ValueError, match="there is no question to learn from"):
        QuestionSource(some().only(torch.arange(0)), 8, most=20)


@pytest.mark.parametrize("prefetch", [False, True])
def test_resuming_goes_on_bit_for_bit(prefetch):
    whole, half = trainer(prefetch=prefetch), trainer(prefetch=prefetch)
    losses = [whole.step().loss for _ in range(12)]
    for _ in range(6):
        half.step()
    state = copy.deepcopy(half.state_dict())
    resumed = trainer(seed=9, prefetch=prefetch)
    resumed.load_state_dict(state)
    assert [resumed.step().loss for _ in range(6)] == losses[6:]


def test_readers_side_by_side_learn_as_they_would_alone():
    alone = {"one": trainer((1,)), "six": trainer((6,))}
    both = SideBySide({"one": trainer((1,)), "six": trainer((6,))})
    for _ in range(5):
        results = [one.step() for one in alone.values()]
        together = both.step()
        assert together.loss == sum(one.loss for one in results) / 2
        assert together.score.count == 32
    assert both.done == 80
    for name, one in alone.items():
        mine = both.trainers[name].learner.reader.state_dict()
        assert all(torch.equal(mine[key], value) for key, value in one.learner.reader.state_dict().items())


def test_norms_of_several_readers_are_one_norm():
    both = SideBySide({"one": trainer((1,)), "two": trainer((1,))})
    alone = trainer((1,)).step()
    assert both.step().norms == {name: pytest.approx(math.sqrt(2) * norm) for name, norm in alone.norms.items()}


def test_an_answer_is_right_when_it_is_any_of_the_right_ones():
    scores = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert is_right(scores, torch.tensor([[2, 1], [1, -1], [2, -1]])).tolist() == [True, False, True]
    assert not is_right(scores[:1], torch.tensor([[-1]])).any()


def test_evaluation_counts_by_task():
    questions = some("test", (1, 6))
    vocabulary = questions.vocabulary
    reader = make_reader("memn2n", sizes_of(questions, sentences=20))
    found = evaluate_questions(reader, questions)
    assert [one.task for one in found] == [1, 6]
    assert sum(one.questions for one in found) == len(questions)
    for one in found:
        low, high = one.interval
        assert 0 <= low <= one.error <= high <= 100
    # A reader that always says the same: every error is counted.
    with torch.no_grad():
        for parameter in reader.parameters():
            parameter.zero_()
    alike = evaluate_questions(reader, questions)
    first = [int((questions.answers[questions.tasks == task, 0] != 0).sum()) for task in (1, 6)]
    assert [one.wrong for one in alike] == first
    assert [one.surprise for one in alike] == pytest.approx([math.log(len(vocabulary.answers))] * 2)


def test_rate_before_a_schedule():
    optimizer = make_optimizer("sgd", [torch.nn.Parameter(torch.ones(1))], 0.4, momentum=0.0)
    schedule = make_schedule(optimizer, "halving", batches=10, halve_every=2, before=(3, 0.5))
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.2, 0.2, 0.2, 0.4, 0.4, 0.2, 0.2, 0.1])


def test_adagrad_does_not_begin_with_a_leap():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = make_optimizer("adagrad", [weight], 0.5)
    (0.01 * weight).sum().backward()
    optimizer.step()
    assert float(weight.detach()) == pytest.approx(1 - 0.5 * 0.01 / math.sqrt(0.1 + 0.01**2))
