"""The Neural Programmer-Interpreter: its equations, its program memory, and its stack."""

import math

import numpy as np
import pytest
import torch

from lukasa.memory.programs import ENDINGS, NPI, Interpreter
from lukasa.tasks.programs import ACT, TASKS, ActionError

PROGRAMS = ["ACT", "ADD", "ADD1", "CARRY", "LSHIFT"]
SIZES = {"size": 6, "encoding": 5, "program_size": 4, "key_size": 3}


def small_core(seed=0, programs=(PROGRAMS,), base=3, **sizes):
    torch.manual_seed(seed)
    return NPI(programs, {"pad": (base + 1,) * 4}, 4, **(SIZES | sizes)).double()


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def linear(layer, values):
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [sum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def slow_step(core, program, arguments, seen, hidden, cell):
    """One step in plain numbers, from the equations."""
    ones = []
    for symbol, count in zip(seen, core.scenes["pad"], strict=True):
        ones += [float(symbol == other) for other in range(count)]
    for argument in arguments:
        ones += [float(argument == other) for other in range(core.values)]
    first, _, second = core.encoders["pad"]
    state = linear(second, [max(0.0, value) for value in linear(first, ones)])
    inputs = [max(0.0, value) for value in linear(core.fusion[0], state + core.embeddings[program].tolist())]
    for layer in range(core.layers):
        rows = {
            name: getattr(core.lstm, f"{name}_l{layer}").tolist()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        gates = [
            sum(w * v for w, v in zip(rows["weight_ih"][unit], inputs, strict=True))
            + sum(w * v for w, v in zip(rows["weight_hh"][unit], hidden[layer], strict=True))
            + rows["bias_ih"][unit]
            + rows["bias_hh"][unit]
            for unit in range(4 * core.size)
        ]
        size, new = core.size, []
        for unit in range(size):
            enter, keep, write, out = (gates[unit + part * size] for part in range(4))
            cell[layer][unit] = sigmoid(keep) * cell[layer][unit] + sigmoid(enter) * math.tanh(write)
            new.append(sigmoid(out) * math.tanh(cell[layer][unit]))
        hidden[layer] = inputs = new
    key = linear(core.key, inputs)
    scores = [sum(a * b for a, b in zip(core.keys[name].tolist(), key, strict=True)) for name in core.programs]
    return linear(core.end, inputs)[0], scores, linear(core.arguments, inputs)


def test_core_is_that_of_the_equations():
    core = small_core()
    seen = torch.randint(0, 4, (1, 5, 4), generator=torch.Generator().manual_seed(1))
    output, _ = core("pad", torch.tensor([2]), torch.tensor([[1, 0, 3]]), seen)
    hidden, cell = ([[0.0] * core.size for _ in range(2)] for _ in range(2))
    for step in range(5):
        end, scores, arguments = slow_step(core, "ADD1", (1, 0, 3), seen[0, step].tolist(), hidden, cell)
        assert output.end[0, step].item() == pytest.approx(end, abs=1e-12)
        assert output.programs[0, step].tolist() == pytest.approx(scores, abs=1e-12)
        assert output.arguments[0, step].flatten().tolist() == pytest.approx(arguments, abs=1e-12)


def test_steps_are_those_of_a_whole_frame_and_rows_do_not_mix():
    core = small_core()
    generator = torch.Generator().manual_seed(1)
    seen, given = torch.randint(0, 4, (3, 6, 4), generator=generator), torch.randint(0, 4, (3, 3), generator=generator)
    programs = torch.tensor([1, 2, 4])
    whole, last = core("pad", programs, given, seen)
    state = None
    for step in range(6):
        output, state = core("pad", programs, given, seen[:, step : step + 1], state)
        torch.testing.assert_close(output.programs[:, 0], whole.programs[:, step])
    torch.testing.assert_close(state.cell, last.cell)
    alone, _ = core("pad", programs[1:2], given[1:2], seen[1:2])
    torch.testing.assert_close(alone.end[0], whole.end[1])


def test_gradients_reach_every_part():
    core = small_core(size=3, layers=1, encoding=2, program_size=2, key_size=2)
    seen, given = torch.tensor([[[0, 1, 2, 3], [3, 0, 1, 1]]]), torch.tensor([[0, 2, 1]])

    def said(*weights):
        names = [name for name, _ in core.named_parameters()]
        output, state = torch.func.functional_call(
            core, dict(zip(names, weights, strict=True)), ("pad", torch.tensor([1]), given, seen)
        )
        return output.end, output.programs, output.arguments, state.hidden, state.cell

    assert torch.autograd.gradcheck(said, [one.detach().requires_grad_() for one in core.parameters()])


def test_program_calls_none_that_was_taught_later():
    core = small_core(programs=(PROGRAMS, ["TWICE"]))
    seen, given = torch.zeros(6, 1, 4, dtype=torch.int64), torch.zeros(6, 3, dtype=torch.int64)
    output, _ = core("pad", torch.arange(6), given, seen)
    assert torch.isinf(output.programs[:5, 0, 5]).all()
    assert torch.isfinite(output.programs[5]).all()
    assert torch.isfinite(output.programs[:, :, :5]).all()


def test_later_programs_find_others_by_keys_of_their_own():
    core = small_core(programs=(PROGRAMS, ["TWICE"]))
    core.find_as_before()
    torch.testing.assert_close(core.key_rows(1)[:5], core.key_rows(0)[:5])
    assert not core.key_rows(0)[5].any()
    seen, given = torch.zeros(6, 1, 4, dtype=torch.int64), torch.zeros(6, 3, dtype=torch.int64)
    before, _ = core("pad", torch.arange(6), given, seen)
    trained = core.teach_last()
    assert sorted(trained) == sorted(["embeddings.TWICE", *(f"keys.{name}@1" for name in (*PROGRAMS, "TWICE"))])
    with torch.no_grad():
        for name in trained:
            core.get_parameter(name).add_(1)
    after, _ = core("pad", torch.arange(6), given, seen)
    assert torch.equal(before.programs[:5], after.programs[:5])
    assert not torch.equal(before.programs[5], after.programs[5])
    assert core.taught == {"TWICE"}


def test_core_refuses_what_it_does_not_know():
    core = small_core()
    rows = torch.tensor([1]), torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="unknown environment 'heap': the core knows pad"):
        core("heap", *rows, torch.zeros(1, 1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="3 places are seen: environment 'pad' has 4"):
        core("pad", *rows, torch.zeros(1, 1, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="expected different names, at least one"):
        NPI([["ACT", "ACT"]], {"pad": (2,)}, 2)
    with pytest.raises(ValueError, match="size is 0: expected at least 1"):
        NPI([["ACT"]], {"pad": (2,)}, 2, size=0)


@torch.no_grad()
def slow_run(core, env, budget):
    """Algorithm 1 without a memo: each step runs its whole frame anew from the zero state."""
    taken = []

    def call(program, arguments, depth):
        history = []
        while True:
            if len(taken) >= budget:
                raise TimeoutError
            history.append(list(env.observe()))
            output, _ = core("pad", torch.tensor([program]), torch.tensor([arguments]), torch.tensor([history]))
            called, given = int(output.programs[0, -1].argmax()), output.arguments[0, -1].argmax(-1).tolist()
            ends = bool(output.end[0, -1] > 0)
            taken.append((depth, program, -1 if ends else called, given))
            if ends:
                return
            if core.programs[called] == ACT:
                env.act(tuple(given))
            else:
                call(called, given, depth + 1)

    try:
        call(core.number("ADD"), [0, 0, 0], 0)
        return taken, "returned"
    except ActionError:
        return taken, "asked for what cannot be done"
    except TimeoutError:
        return taken, "ran out of steps"


@pytest.mark.parametrize("memo", [True, False])
def test_interpreter_runs_as_the_algorithm_says(memo):
    task, seen = TASKS["addition"], set()
    for seed in range(12):
        core = small_core(seed)
        with torch.no_grad():  # louder heads, so that untrained programs do different things
            core.arguments.weight *= 20
            core.key.weight *= 20
            core.end.weight *= 20
            core.end.bias -= 0.5
            if seed % 3 == 0:  # every third one acts all the time
                core.key.bias += 100 * core.keys["ACT"]
                core.end.bias -= 100
                core.arguments.bias += 5 * torch.randn(12)
        generator = torch.Generator().manual_seed(seed)
        problems = [task.sample(4, 3, generator) for _ in range(3)]
        budgets = [40, 8, 50]
        done = Interpreter(core, "pad", memo=memo).run(task.many(problems, 3), "ADD", budgets, record=True)
        for row, problem in enumerate(problems):
            taken, ending = slow_run(core, task.make(problem, 3), budgets[row])
            assert ENDINGS[done.endings[row]] == ending
            assert [(one.depth, one.program, one.call, list(one.given)) for one in done.taken[row]] == taken
            seen.add(ending)
    assert seen == {"returned", "asked for what cannot be done", "ran out of steps"}


@pytest.mark.parametrize(("longest", "most"), [(2, 10_000), (8, 5)])
def test_steps_beyond_what_is_kept_are_the_same(longest, most):
    core, task = small_core(3), TASKS["addition"]
    with torch.no_grad():
        core.end.bias -= 1.0
        core.key.weight *= 10
        core.arguments.weight *= 10
    problems = [task.sample(4, 3, torch.Generator().manual_seed(seed)) for seed in range(6)]
    plain = Interpreter(core, "pad", memo=False).run(task.many(problems, 3), "ADD", [90] * 6, record=True)
    interpreter = Interpreter(core, "pad")
    interpreter.memo.longest, interpreter.memo.most = longest, most
    for _ in range(2):  # the second time, what was kept is looked up
        kept = interpreter.run(task.many(problems, 3), "ADD", [90] * 6, record=True)
        assert kept.taken == plain.taken
        assert np.array_equal(kept.endings, plain.endings)
    assert kept.computed < plain.computed


def test_every_frame_begins_with_zeros_also_where_another_state_has_been():
    memo = Interpreter(small_core(), "pad", memo=False).memo
    seen = np.array([[1, 2, 0, 0]])
    after = memo.step(memo.begin(np.array([1]), np.zeros((1, 3), np.int64)), seen)
    assert memo.states[after].abs().sum() > 0
    memo.leave(after)
    begun = memo.begin(np.array([3]), np.zeros((1, 3), np.int64))
    assert begun == after  # the same place
    assert not memo.states[begun].any()


def test_program_that_calls_itself_for_ever_ends(monkeypatch):
    monkeypatch.setattr("lukasa.memory.programs.interpreter.DEEPEST", 50)
    core, task = small_core(), TASKS["addition"]
    with torch.no_grad():
        core.end.bias -= 100
        core.key.weight.zero_()
        core.key.bias.copy_(core.keys["ADD"] * 100)
    done = Interpreter(core, "pad").run(task.many([((1,), (1,))], 3), "ADD", [10_000])
    assert ENDINGS[done.endings[0]] in ("called too deep", "ran out of steps")
    assert done.steps[0] <= 60
