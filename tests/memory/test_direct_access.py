"""The direct access controller against a loop written from the paper."""

import numpy as np
import pytest
import torch

from lukasa import memory
from tests.memory.core_oracles import arrays, controller_step, linear
from tests.memory.oracles import sigmoid
from tests.memory.samples import Sampler, lively_core


def direct_access_loop(core, inputs, state):
    """What is read is added to what is put out, times a sigmoid of the controller's state, path by path."""
    parameters = {name: parameter.detach().double().numpy() for name, parameter in core.named_parameters()}
    outputs, last = [], {name: [] for name in state}
    for row, sequence in enumerate(inputs):
        carried = {f"controller.{name}": part[row] for name, part in state.items()}
        steps = []
        for x in sequence:
            hidden, carried = controller_step(parameters, x, carried)
            gates, y = sigmoid(linear(parameters, "gates", hidden)), linear(parameters, "output", hidden)
            for gate, way in zip(gates, np.split(parameters["direct.weight"], len(gates)), strict=True):
                y = y + gate * (way @ x)
            steps.append(y)
        outputs.append(steps)
        for name in last:
            last[name].append(carried[f"controller.{name}"])
    return np.array(outputs), {name: np.stack(parts) for name, parts in last.items()}


@pytest.mark.parametrize("options", [{}, {"paths": 3, "layers": 2}, {"controller": "gru", "paths": 2}], ids=str)
def test_direct_access_equals_the_loop_from_the_paper(options):
    core, inputs = lively_core("direct_access", size=7, **options), 2 * Sampler(0).normal(2, 5, 3)
    outputs, state = memory.unroll(core, inputs, None)
    expected, last = direct_access_loop(core, inputs.numpy(), arrays(core.initial_state(2)))
    np.testing.assert_allclose(outputs.detach().numpy(), expected, rtol=0, atol=1e-10)
    for name, part in arrays(state).items():
        np.testing.assert_allclose(part, last[name], rtol=0, atol=1e-10)


def test_a_closed_gate_leaves_an_lstm_and_an_open_one_hands_the_input_on():
    core, inputs = lively_core("direct_access", size=7), Sampler(0).normal(2, 4, 3)
    plain = memory.make_core("lstm", input_size=3, output_size=core.output_size, size=7).double()
    own = {name: part for name, part in core.state_dict().items() if name in plain.state_dict()}
    plain.load_state_dict(own)
    expected, _ = memory.unroll(plain, inputs, None)
    with torch.no_grad():
        core.gates.weight.zero_()
        for bias, share in ((-1e3, 0.0), (1e3, 1.0)):
            core.gates.bias.fill_(bias)
            outputs, _ = memory.unroll(core, inputs, None)
            torch.testing.assert_close(outputs, expected + share * core.direct(inputs))


def test_what_is_read_is_learned_to_be_put_out_before_an_lstm_learns_it():
    """A symbol of 30 at each step, to be put out as it is: the way past the controller is the shorter one."""

    def loss_after_training(name):
        torch.manual_seed(0)
        core = memory.make_core(name, input_size=30, output_size=30, size=8)
        optimizer, generator = torch.optim.Adam(core.parameters(), 0.01), torch.Generator().manual_seed(0)
        for _ in range(150):
            symbols = torch.randint(30, (16, 6), generator=generator)
            outputs, _ = memory.unroll(core, torch.nn.functional.one_hot(symbols, 30).float(), None)
            loss = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), symbols.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    assert loss_after_training("direct_access") < 0.5 * loss_after_training("lstm")
