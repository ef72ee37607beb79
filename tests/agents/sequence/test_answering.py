import pytest
import torch

from lukasa import memory
from lukasa.agents.sequence import own_steps, respond
from lukasa.tasks import TASKS, make_task
from tests.agents.sequence.batches import fixed, make_core

FEEDBACK = [name for name, task in TASKS.items() if task.spec.feedback and not task.data]


def test_there_are_tasks_whose_outputs_feed_back():
    assert {"binary_addition", "shortest_path"} <= set(FEEDBACK)


@pytest.mark.parametrize("name", FEEDBACK)
def test_replaced_steps_are_those_that_show_the_answer_before(name):
    sampler = make_task(name)
    batch = sampler.sample(6, torch.Generator().manual_seed(0))
    own = own_steps(sampler.spec, batch, 0.0)
    rows, steps = own.nonzero(as_tuple=True)
    assert len(rows) > 0
    shown = batch.inputs[rows, steps][:, sampler.spec.columns(sampler.spec.feedback)]
    assert torch.equal(shown, sampler.spec.shown(batch.targets)[rows, steps - 1])


def test_right_answers_are_shown_with_full_teacher_forcing_and_without_feedback():
    addition, copy = fixed("binary_addition"), fixed("copy")
    assert own_steps(addition.spec, addition.batch, 1.0) is None
    assert own_steps(copy.spec, copy.batch, 0.0) is None


def test_teacher_forcing_is_a_share_that_the_generator_decides():
    addition = fixed("binary_addition", rows=200, min_digits=10)
    every = own_steps(addition.spec, addition.batch, 0.0)
    first, again, other = (
        own_steps(addition.spec, addition.batch, 0.75, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not (first & ~every).any()
    assert 0.2 < float(first.sum() / every.sum()) < 0.3


@pytest.mark.parametrize("name", ["ntm", "lstm"])
def test_core_sees_its_own_answers_where_asked(name):
    sampler = fixed("binary_addition", max_digits=3)
    spec, batch = sampler.spec, sampler.batch
    core = make_core(spec, name)
    own = own_steps(spec, batch, 0.0)
    outputs, _ = respond(core, spec, batch.inputs, own=own)
    # One row at a time, the inputs rewritten by hand.
    for row in range(len(batch.inputs)):
        inputs, state = batch.inputs[row].clone(), core.initial_state(1)
        for step in range(len(inputs)):
            if own[row, step]:
                inputs[step, :5] = torch.eye(5)[outputs[row, step - 1].argmax()]
            output, state = core(inputs[step : step + 1], state)
            torch.testing.assert_close(output[0], outputs[row, step], rtol=1e-5, atol=1e-6)
    assert not torch.equal(outputs, memory.unroll(core, batch.inputs)[0])


def test_stretches_continue_with_the_answer_before():
    sampler = fixed("binary_addition", max_digits=3)
    spec, batch = sampler.spec, sampler.batch
    core = make_core(spec)
    own = own_steps(spec, batch, 0.0)
    whole, _ = respond(core, spec, batch.inputs, own=own)
    cut = int(own[0].nonzero()[1])  # an answer goes on across the cut
    first, state = respond(core, spec, batch.inputs[:, :cut], own=own[:, :cut])
    second, _ = respond(core, spec, batch.inputs[:, cut:], state=state, own=own[:, cut:], before=first[:, -1])
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
