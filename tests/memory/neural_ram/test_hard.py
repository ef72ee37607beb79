"""Machines on integers: the same as soft ones whose choices are certain."""

import numpy as np
import pytest
import torch

from lukasa.memory.neural_ram import (
    Layout,
    Learned,
    NeuralRAM,
    Rules,
    read_program,
    run_circuit,
    run_hard,
    take_start,
    wire,
)


def test_hard_is_soft_with_certain_choices():
    layout, rng = Layout(3), np.random.default_rng(0)
    allowed = layout.allowed().numpy()
    size, machines = 6, 40
    chosen = np.array([[rng.choice(np.nonzero(row)[0]) for row in allowed] for _ in range(machines)])
    memory = rng.integers(0, size, (machines, size))

    class Same:
        def begin(self, rows):
            return None

        def choose(self, zero, carried):
            from lukasa.memory.neural_ram.hard import Wired

            return Wired(chosen[:, : layout.arguments], chosen[:, layout.arguments :], np.zeros(machines, bool)), None

    left = run_hard(layout, Same(), memory, 4)
    weights = torch.nn.functional.one_hot(torch.tensor(chosen), layout.sources).permute(1, 2, 0).double()
    tape = torch.nn.functional.one_hot(torch.tensor(memory), size).permute(1, 2, 0).double()
    registers = torch.zeros(3, size, machines, dtype=torch.float64)
    registers[:, 0] = 1
    for _ in range(4):
        registers, tape = run_circuit(layout, weights, registers, tape)
    assert set(tape.unique().tolist()) == {0, 1}
    assert torch.equal(tape.argmax(1).T, torch.tensor(left.memory))


@pytest.mark.parametrize("controller", ["feedforward", "lstm"])
def test_a_learned_policy_takes_the_likeliest_choices(controller):
    torch.manual_seed(1)
    machine = NeuralRAM(Layout(2), starts=3, controller=controller, hidden=4)
    alone = take_start(machine, 1)
    memory = torch.randint(0, 5, (3, 2, 5))
    circuit, _ = machine(machine.initial_state(memory))
    wired, _ = Learned(alone).choose(np.ones((2, 2), dtype=bool), Learned(alone).begin(2))
    best = circuit.weights.argmax(1)[:, 2:4].T  # the two rows of start 1
    assert np.array_equal(np.concatenate([wired.arguments, wired.registers], 1), best.numpy())
    assert wired.stop.tolist() == (circuit.stop[2:4] > 0.5).tolist()
    with pytest.raises(ValueError, match="there is no start 3: expected one from 0 to 2"):
        take_start(machine, 3)
    with pytest.raises(ValueError, match="machines of 3 starts"):
        Learned(machine)


def doubling():
    """Doubles cells until it has doubled a 0; the register r1 is no use."""
    layout = Layout(3)
    each = wire(
        layout, INC=["r0"], ADD=["READ", "READ"], WRITE=["r0", "ADD"], registers=["r0=INC", "r2=READ", "r1=TWO"]
    )
    return layout, Rules([("+.0", wire(layout, stop=True)), ("...", each)])


def test_a_machine_stops_by_itself_or_at_its_limit():
    layout, rules = doubling()
    left = run_hard(layout, rules, np.array([[1, 2, 3, 0, 0, 0, 0, 0]] * 2), np.array([9, 2]))
    assert left.memory.tolist() == [[2, 4, 6, 0, 0, 0, 0, 0], [2, 4, 3, 0, 0, 0, 0, 0]]
    assert (left.steps.tolist(), left.stopped.tolist()) == ([5, 2], [True, False])


def test_a_program_has_what_is_used_and_no_more():
    layout, rules = doubling()
    memory = np.array([[1, 2, 3, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]])
    program = read_program(layout, run_hard(layout, rules, memory, 9, trace=True))
    text = program.lines()
    assert text[0] == "repeat from step 1 to 2:"
    assert "    add = read + read" in text
    assert "    memory[r0] = add" in text
    assert "    r0, r2 = inc, read" in text
    assert not any("r1" in line for line in text)
    assert any(line.strip() == "if r2 == 0:" for line in text)
    with pytest.raises(ValueError, match="no trace"):
        read_program(layout, run_hard(layout, rules, memory, 9))


def test_steps_that_repeat_are_a_loop():
    layout = Layout(1)
    rules = Rules([(".", wire(layout, INC=["r0"], WRITE=["r0", "INC"], registers=["r0=INC"]))])
    program = read_program(layout, run_hard(layout, rules, np.zeros((1, 6), dtype=int), 6, trace=True))
    assert program.lines() == ["repeat from step 1 on:", "    inc = r0 + 1", "    memory[r0] = inc", "    r0 = inc"]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [([0, 1], "a memory of 2 cells: expected at least 3"), ([0, 9, 1], "0 to 2, and it has 9"), ([0, -1, 1], "has -1")],
)
def test_a_memory_that_is_none_is_refused(cells, sentence):
    layout, rules = doubling()
    with pytest.raises(ValueError, match=sentence):
        run_hard(layout, rules, np.array([cells]), 3)
    for wrong in (cells, [[1.5, 0, 1]], [[np.nan, 0, 1]]):
        with pytest.raises(ValueError, match=r"expected whole numbers \[rows, cells\]"):
            run_hard(layout, rules, np.array(wrong), 3)


def test_wirings_that_cannot_be_are_refused():
    layout = Layout(2)
    with pytest.raises(ValueError, match="ADD is fed by MAX, which comes after it"):
        wire(layout, ADD=["r0", "MAX"])
    with pytest.raises(ValueError, match="unknown source 'r2'"):
        wire(layout, ADD=["r0", "r2"])
    with pytest.raises(ValueError, match="ADD is given 1 arguments: expected 2"):
        wire(layout, ADD=["r0"])
    with pytest.raises(ValueError, match="has no module 'MUL'"):
        wire(layout, MUL=["r0", "r1"])
    with pytest.raises(ValueError, match="the last rule has to fit everything"):
        Rules([("0.", wire(layout))])
    with pytest.raises(ValueError, match="expected 2 letters"):
        Rules([("0", wire(layout)), ("..", wire(layout))])
