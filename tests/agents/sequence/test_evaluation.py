import doctest
import math

import pytest
import torch

import lukasa.agents.sequence.evaluation
from lukasa.agents.learning.evaluation import score_interval
from lukasa.agents.sequence import evaluate, own_steps, respond
from lukasa.tasks import Score, make_task
from tests.agents.sequence.batches import fixed, make_core


def batches(sampler, count):
    generator = torch.Generator().manual_seed(3)
    return [sampler.sample(5, generator) for _ in range(count)]


@pytest.mark.parametrize("task", ["copy", "stack_anbn", "mqar", "babi_made"])
def test_score_is_that_of_all_sequences_together(task):
    sampler = make_task(task)
    core = make_core(sampler.spec, "gru")
    drawn = batches(sampler, 2)
    found = evaluate(core, sampler.spec, drawn)
    total, bits, wrong, count = Score(0.0, 0), 0.0, 0, 0
    with torch.no_grad():
        for batch in drawn:
            outputs, _ = respond(core, sampler.spec, batch.inputs)
            total += sampler.spec.score(outputs, batch)
            bits += float(sampler.spec.bits(outputs, batch).sum())
            mistakes = sampler.spec.mistakes(outputs, batch)
            wrong, count = wrong + mistakes[0], count + mistakes[1]
    assert found.count == 10
    assert found.score == pytest.approx(total.value, rel=1e-5)
    assert found.bits == pytest.approx(bits / 10, rel=1e-5)
    assert found.wrong == pytest.approx(100 * wrong / count)
    assert found.interval[0] <= found.score <= found.interval[1]


def test_core_sees_its_own_answers_unless_forced():
    sampler = fixed("binary_addition", rows=20, min_digits=5)
    core = make_core(sampler.spec, "gru")
    own = own_steps(sampler.spec, sampler.batch, 0.0)
    with torch.no_grad():
        free, _ = respond(core, sampler.spec, sampler.batch.inputs, own=own)
        shown, _ = respond(core, sampler.spec, sampler.batch.inputs)
    for forced, outputs in ((False, free), (True, shown)):
        bits = float(sampler.spec.bits(outputs, sampler.batch).mean())
        found = evaluate(core, sampler.spec, [sampler.batch], teacher_forcing=forced)
        assert found.bits == pytest.approx(bits, rel=1e-6)
    assert not torch.equal(free, shown)


def test_interval_of_a_ratio_is_that_of_its_sequences():
    # Two kinds of sequences: 1 of 4 items, 1 of 1 item; the standard error by hand.
    scores = [Score(1.0, 4), Score(1.0, 1)] * 8
    value = 16 / 40
    residuals = [(1 - value * 4) ** 2, (1 - value) ** 2] * 8
    error = math.sqrt(sum(residuals) * 16 / 15) / 40
    bits = score_interval(scores, "bits per sequence")
    assert bits == pytest.approx((value - 1.96 * error, value + 1.96 * error))
    assert score_interval([Score(3.0, 1)], "squared error") == (3.0, 3.0)


@pytest.mark.parametrize("unit", ["accuracy %", "error %"])
def test_interval_of_percent_stays_within_0_and_100_and_has_a_width_there(unit):
    low, high = score_interval([Score(200.0, 2)] * 10, unit)
    assert (round(low, 1), high) == (72.2, 100.0)
    low, high = score_interval([Score(0.0, 2)] * 10, unit)
    assert (low, round(high, 1)) == (0.0, 27.8)


def test_no_sequence_is_refused():
    sampler = fixed("copy")
    with pytest.raises(ValueError, match="no example"):
        evaluate(make_core(sampler.spec), sampler.spec, [])


def test_examples_in_docstrings_run():
    assert doctest.testmod(lukasa.agents.sequence.evaluation).failed == 0
