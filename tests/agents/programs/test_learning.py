"""Cores learn programs from traces, carry them out, are verified, and are taught more without a change."""

from collections import Counter

import numpy as np
import pytest
import torch

from lukasa.agents.programs import ProgramAgent, ProgramLearner, Traces, TraceSource, carry_out, fair_budget, verify
from lukasa.agents.programs.batches import tables
from lukasa.agents.programs.learner import frame_weights
from lukasa.ground.names import UnknownNameError
from lukasa.memory.programs import NPI, Interpreter
from lukasa.tasks.programs import TASKS, Call, Frame, cases, frames, right_steps

ADDITION, SORT = TASKS["addition"], TASKS["bubble_sort"]
SIZES = {"size": 48, "layers": 1, "encoding": 32, "program_size": 16, "key_size": 8}


def core_for(*tasks, form="recursive", base=2, new=(), **sizes):
    torch.manual_seed(0)
    programs = list(dict.fromkeys(["ACT", *(name for task in tasks for name in task.programs(form, base))]))
    scenes = {task.scene(base).name: task.scene(base) for task in tasks}
    generations = [programs, list(new)] if new else [programs]
    values = max(scene.arguments for scene in scenes.values())
    return NPI(generations, {name: scene.symbols for name, scene in scenes.items()}, values, **(SIZES | sizes))


def train(core, tasks, *, batches, form="recursive", base=2, lr=0.01, longest=6):
    source, learner = TraceSource(tasks, form, base, longest), ProgramLearner(core)
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam([one for one in core.parameters() if one.requires_grad], lr)
    for _ in range(batches):
        optimizer.zero_grad()
        learned = learner.learn(source.sample(None, 8, generator))
        optimizer.step()
    core.eval()
    return learned


@pytest.fixture(scope="module")
def adder():
    core = core_for(ADDITION)
    learned = train(core, [ADDITION], batches=160)
    return core, learned


def test_recursive_addition_is_learned_and_verified(adder):
    core, learned = adder
    assert learned.score.value == 100
    found = verify(core, ADDITION.scene(2), cases(ADDITION, 2))
    assert str(found) == f"verified: all {found.cases} cases"
    problems = [ADDITION.sample(300, 2, torch.Generator().manual_seed(seed), exactly=True) for seed in range(4)]
    budget = fair_budget(ADDITION, "recursive", 2, problems[0])
    done = carry_out(Interpreter(core, "pad"), ADDITION, 2, problems, budget)
    assert done.right.all()
    assert done.steps.sum() > 10_000
    assert done.computed < 300  # the others are the same cases, looked up


def test_first_case_that_fails_is_named(adder):
    core, _ = adder
    kept = core.arguments.bias.detach().clone()
    with torch.no_grad():
        core.arguments.bias[-core.values + 1] += 100  # every third argument is 1: all pointers move right
    found = verify(core, ADDITION.scene(2), cases(ADDITION, 2))
    with torch.no_grad():
        core.arguments.bias.copy_(kept)
    assert 0 < found.failed < found.cases
    assert found.first is not None
    assert str(found).startswith(f"not verified: {found.failed} of {found.cases} cases are wrong; first ")
    assert found.first.expected != found.first.found
    assert "(as in 0" in str(found.first)


def test_an_agent_shows_its_trace(adder):
    agent = ProgramAgent(adder[0], [ADDITION], "recursive", 2)
    done = agent.run("101+11")
    assert done.is_right
    assert done.answer == "1000"
    assert list(done.trace.steps) == list(right_steps(ADDITION, "recursive", 2, ADDITION.read("101+11", 2)))
    assert done.lines[1].split("|")[0].strip() == "ADD1"
    assert done.drawn[3].split()[-3:] == ["0", "0", "0"]
    short = agent.run("101+11", budget=5)
    assert (short.is_right, short.ending, len(short.trace.steps)) == (False, "ran out of steps", 5)
    with pytest.raises(UnknownNameError, match="unknown task of this core 'additon': did you mean 'addition'"):
        agent.run("1+1", "additon")


def test_new_program_is_taught_and_old_ones_stay_bit_for_bit():
    core = core_for(SORT, form="loops", base=3, new=("MAX", "RJMP"))
    trained = core.teach_last()
    listed = list(tables(core, list(frames("array", right_steps(SORT, "loops", 3, (2, 0, 1))))))
    weights = {name: value.clone() for name, value in core.state_dict().items()}
    with torch.no_grad():
        before = [core(*table.asked) for table in listed]
    train(core, [TASKS["maximum"]], batches=5, form="loops", base=3, longest=3, lr=0.1)
    with torch.no_grad():
        after = [core(*table.asked) for table in listed]
    changed = [name for name, value in core.state_dict().items() if not torch.equal(value, weights[name])]
    assert sorted(changed) == sorted(trained)
    assert all(name.endswith(("MAX", "RJMP", "@1")) for name in changed)
    for (one, state), (other, last) in zip(before, after, strict=True):
        assert all(torch.equal(*pair) for pair in zip((*one, *state), (*other, *last), strict=True))


@pytest.mark.parametrize("balance", ["programs", "steps"])
def test_loss_is_the_mean_of_the_right_calls(balance):
    core = core_for(ADDITION, SORT, form="loops", base=3).double()
    source = TraceSource([ADDITION, SORT], "loops", 3, 4)
    batch = source.sample(None, 4, torch.Generator().manual_seed(3))
    learned = ProgramLearner(core, balance).learn(batch)
    per_program, per_trace = {}, []
    for trace in batch.frames:
        nats = steps = 0
        for frame, often in trace.items():
            lost = slow_surprise(core, frame)
            nats, steps = nats + often * lost, steps + often * len(frame.seen)
            per_program.setdefault((frame.scene, frame.program), {})[frame] = lost
        per_trace.append(nats / steps)
    means = [sum(one.values()) / sum(len(frame.seen) for frame in one) for one in per_program.values()]
    expected = {"programs": sum(means) / len(means), "steps": sum(per_trace) / len(per_trace)}[balance]
    assert learned.loss == pytest.approx(expected, rel=1e-9)
    assert learned.score.value == 0


@torch.no_grad()
def slow_surprise(core, frame):
    """Nats of a frame's right calls, step by step."""
    state, total = None, 0.0
    for seen, call in zip(frame.seen, frame.calls, strict=True):
        program = torch.tensor([core.number(frame.program)])
        output, state = core(frame.scene, program, torch.tensor([frame.arguments]), torch.tensor([[seen]]), state)
        returns = 1 / (1 + np.exp(-output.end.item()))
        if call is None:
            total -= np.log(returns)
            continue
        rows = [(output.programs[0, 0], core.number(call.program))]
        rows += list(zip(output.arguments[0, 0], call.arguments, strict=True))
        chances = [np.exp(row.numpy())[number] / np.exp(row.numpy()).sum() for row, number in rows]
        total -= np.log(1 - returns) + sum(map(np.log, chances))
    return total


def test_gradients_are_those_of_the_whole_traces():
    core = core_for(ADDITION, form="loops", base=3).double()
    batch = TraceSource([ADDITION], "loops", 3, 3).sample(None, 2, torch.Generator().manual_seed(0))
    learner = ProgramLearner(core, "steps")
    learner.learn(batch)
    found = core.end.bias.grad.item()
    core.zero_grad()
    nudge, losses = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            core.end.bias += sign * nudge
        losses.append(learner.learn(batch).loss)
        with torch.no_grad():
            core.end.bias -= sign * nudge
    assert found == pytest.approx((losses[0] - losses[1]) / (2 * nudge), rel=1e-5)


def test_sorting_practises_a_sweep_where_the_sort_has_ended():
    batch = TraceSource([SORT], "loops", 3, 4).sample(None, 3, torch.Generator().manual_seed(0))
    shifts = [frame for trace in batch.frames for frame in trace if frame.program == "RSHIFT"]
    assert {frame.seen[0][2] for frame in shifts} == {0, 1}  # also where the counter has come to its end


def test_traces_with_a_wrong_frame_are_not_exact(adder):
    core, _ = adder
    good = frames("pad", right_steps(ADDITION, "recursive", 2, ADDITION.read("1+1", 2)))
    bad = Counter({Frame("pad", "CARRY", (0, 0, 0), ((2, 2, 0, 1),), (Call("ADD"),)): 1})
    score = ProgramLearner(core).learn(Traces((good, bad, good))).score
    core.zero_grad()
    assert (score.total, score.count) == (200.0, 3)


def test_frames_weigh_what_they_are_worth():
    trace = frames("pad", right_steps(ADDITION, "loops", 10, ADDITION.read("11+11", 10)))
    batch = Traces((trace,))
    listed = list(trace)
    for balance in ("steps", "programs"):
        weights = frame_weights(listed, batch, balance)
        assert sum(weight * len(frame.seen) for weight, frame in zip(weights, listed, strict=True)) == pytest.approx(1)


def test_source_draws_the_same_traces_again():
    source = TraceSource([ADDITION, SORT], "recursive", 10, 5)
    first, again = (source.sample(None, 6, torch.Generator().manual_seed(4)) for _ in range(2))
    assert first == again
    assert {frame.scene for trace in first.frames for frame in trace} == {"pad", "array"}
    assert len(first.rows(2, 5)) == 3
    with pytest.raises(ValueError, match="expected at least one of each"):
        TraceSource([], "loops", 10, 5)
