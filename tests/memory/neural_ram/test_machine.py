"""The soft machine against loops over single numbers, and its gradients."""

import pytest
import torch

from lukasa.memory.kernels.circuit import native
from lukasa.memory.neural_ram import MODULES, Layout, NeuralRAM, expected_cost, run_circuit
from lukasa.memory.neural_ram.machine import flow
from lukasa.memory.neural_ram.wiring import plan_of
from tests.memory.neural_ram import loops


def drawn(layout, size, machines, seed=0):
    """Weights, registers and a memory of many machines, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def logits(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = layout.arguments + layout.registers
    barred = torch.where(layout.allowed(), 0.0, -1e9).unsqueeze(2)
    weights = torch.softmax(logits(rows, layout.sources, machines) + barred, 1)
    registers = torch.softmax(logits(layout.registers, size, machines), 1)
    return weights, registers, torch.softmax(logits(size, size, machines), 1)


def by_loops(layout, weights, registers, memory, n):
    chosen = [row[: layout.sources] for row in weights[:, :, n].tolist()]
    return loops.step(layout.names, chosen, registers[:, :, n].tolist(), memory[:, :, n].tolist())


WAYS = {"plain": flow, "native": lambda layout, *given: native.run(plan_of(layout), *given)}


@pytest.mark.parametrize("way", WAYS)
def test_every_module_does_what_the_paper_says(way):
    layout = Layout(3)
    given = drawn(layout, size=5, machines=4)
    registers, memory = WAYS[way](layout, *given)
    for n in range(4):
        wanted = by_loops(layout, *given, n)
        torch.testing.assert_close(registers[:, :, n], torch.tensor(wanted[0], dtype=torch.float64))
        torch.testing.assert_close(memory[:, :, n], torch.tensor(wanted[1], dtype=torch.float64))


def test_a_machine_may_write_twice_and_read_what_it_wrote():
    layout = Layout(2, ("WRITE", "READ", "ADD", "WRITE", "READ"))
    assert plan_of(layout) is None
    given = drawn(layout, size=4, machines=2, seed=1)
    registers, memory = run_circuit(layout, *given)
    wanted = by_loops(layout, *given, 1)
    torch.testing.assert_close(registers[:, :, 1], torch.tensor(wanted[0], dtype=torch.float64))
    torch.testing.assert_close(memory[:, :, 1], torch.tensor(wanted[1], dtype=torch.float64))


@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_a_circuit(way):
    layout = Layout(2)
    given = [one.requires_grad_() for one in drawn(layout, size=4, machines=2)]
    kept = layout.allowed().unsqueeze(2)  # what a source that is barred would change, nobody asks
    assert torch.autograd.gradcheck(lambda w, r, m: WAYS[way](layout, w * kept, r, m), given, fast_mode=True)


def test_native_gradients_are_those_of_plain_operations():
    layout, found = Layout(3), []
    for way in WAYS.values():
        given = [one.requires_grad_() for one in drawn(layout, size=6, machines=150)]
        outputs = way(layout, *given)
        torch.manual_seed(2)
        torch.autograd.backward(outputs, [torch.randn_like(one) for one in outputs])
        found.append([one.grad for one in given])
    kept = layout.allowed().unsqueeze(2)
    torch.testing.assert_close(found[0][0] * kept, found[1][0] * kept)
    torch.testing.assert_close(found[0][1:], found[1][1:])


def test_distributions_stay_distributions_in_float32():
    layout = Layout(3)
    weights, registers, memory = (one.float() for one in drawn(layout, size=7, machines=3))
    for _ in range(30):
        registers, memory = run_circuit(layout, weights, registers, memory)
    assert float(registers.min()) >= 0
    assert float(memory.min()) >= 0
    torch.testing.assert_close(registers.sum(1), torch.ones(3, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(memory.sum(1), torch.ones(7, 3), atol=1e-4, rtol=0)


def machine_of(controller, starts=2, hidden=6):
    torch.manual_seed(0)
    return NeuralRAM(Layout(2), starts=starts, controller=controller, hidden=hidden).double()


def memories(starts=2, rows=3, size=5):
    generator = torch.Generator().manual_seed(3)
    shape = (starts, rows, size)
    memory, target = (torch.randint(0, size, shape, generator=generator) for _ in range(2))
    mask = torch.rand(shape, generator=generator) < 0.5
    mask[:, :, 0] = True
    return memory, target, mask, torch.tensor([[1, 2, 4]] * starts)


@pytest.mark.parametrize("controller", ["feedforward", "lstm"])
def test_expected_cost_is_that_of_the_loops(controller):
    machine = machine_of(controller)
    memory, target, mask, limits = memories()
    expected = expected_cost(machine, memory, target, mask, limits, entropy=True)
    state, tapes, stops = machine.initial_state(memory), [], []
    with torch.no_grad():
        for _ in range(4):
            circuit, state = machine(state)
            stops.append(circuit.stop)
            tapes.append(state.memory)
    for n in range(6):
        start, row = divmod(n, 3)
        wanted = loops.expected_cost(
            [one[:, :, n].tolist() for one in tapes],
            [float(one[n]) for one in stops],
            target[start, row].tolist(),
            mask[start, row].tolist(),
            int(limits[start, row]),
        )
        assert expected.cost[n].item() == pytest.approx(wanted, abs=1e-9)
    torch.testing.assert_close(expected.stops.sum(0), torch.ones(6, dtype=torch.float64))
    assert expected.entropy.min().item() > 0
    steps = (expected.stops * torch.arange(1, 5).unsqueeze(1)).sum(0)
    torch.testing.assert_close(expected.steps, steps)
    assert expected.steps.tolist()[0] == 1


def test_gradients_of_the_expected_cost():
    machine = machine_of("lstm", starts=1, hidden=3)
    memory, target, mask, limits = (one[:1] for one in memories())
    names = [name for name, _ in machine.named_parameters()]

    def cost(*values):
        named = dict(zip(names, values, strict=True))
        call = torch.func.functional_call
        held = _Held(machine, memory, target, mask, limits)
        return call(held, {f"machine.{name}": value for name, value in named.items()}, ())

    given = [one.detach().clone().requires_grad_() for one in machine.parameters()]
    assert torch.autograd.gradcheck(cost, given, fast_mode=True)


class _Held(torch.nn.Module):
    def __init__(self, machine, *given):
        super().__init__()
        self.machine, self.given = machine, given

    def forward(self):
        expected = expected_cost(self.machine, *self.given, entropy=True)
        return expected.cost.sum() + expected.entropy.sum() + expected.steps.sum()


def test_starts_share_nothing():
    machine = machine_of("feedforward")
    expected = expected_cost(machine, *memories())
    expected.cost[:3].sum().backward()
    for parameter in machine.parameters():
        assert float(parameter.grad[1].abs().max()) == 0
    assert any(float(parameter.grad[0].abs().max()) > 0 for parameter in machine.parameters())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Layout(0), "0 registers: expected at least 1"),
        (lambda: Layout(2, ("READ", "RED")), "unknown module 'RED': did you mean 'READ'?"),
        (lambda: Layout(2, ()), "no modules"),
        (lambda: machine_of("lstm").initial_state(torch.zeros(2, 1, 2, dtype=torch.int64)), "expected at least 3"),
        (lambda: machine_of("lstm").initial_state(torch.full((2, 1, 4), 4)), "holds values from 0 to 3"),
        (
            lambda: machine_of("lstm").initial_state(torch.zeros(1, 1, 4, dtype=torch.int64)),
            "expected int64 [2, rows, cells]",
        ),
        (lambda: machine_of("lstm").initial_state(torch.zeros(2, 1, 4)), "a memory is torch.float32 [2, 1, 4]"),
        (lambda: NeuralRAM(Layout(2), starts=0), "starts is 0, expected a whole number of at least 1"),
        (lambda: NeuralRAM(Layout(2), hidden=0), "hidden is 0, expected a whole number of at least 1"),
        (lambda: NeuralRAM(Layout(2), controller="gru"), "controller is 'gru': choose one of 'feedforward', 'lstm'"),
        (lambda: expected_cost(machine_of("lstm"), *memories()[:3], torch.zeros(2, 3)), "limit of 0 steps"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence.replace("[", r"\[").replace("?", r"\?")):
        make()


def test_the_modules_are_the_fourteen_of_the_paper():
    assert len(MODULES) == 14
    assert Layout(1).arguments == 19
