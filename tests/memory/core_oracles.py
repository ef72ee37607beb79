"""Whole cores in float64 loops: one step of the controllers, the NTM and the DNC, and whole sequences of steps.

Parameters come as the arrays of `core.named_parameters()`, states as the arrays of `memory.state_to_dict`; the
equations are those of `oracles`, looked up there at every call so that a test can put a wrong one in.

Legend: T time, D input width, K output width, R read heads, P write heads, N slots, W word size, L controller layers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lukasa import memory
from tests.memory import oracles
from tests.memory.interface import Places, interface_places
from tests.memory.oracles import Array, Named, oneplus, sigmoid, softmax, softplus

Step = Callable[[Named, Places, Array, Named], tuple[Array, Named]]


def arrays(state: memory.State) -> Named:
    """A state as float64 arrays [B, ...], by their names."""
    return {name: tensor.detach().double().numpy() for name, tensor in memory.state_to_dict(state).items()}


def run(core: memory.Core, step: Step, inputs: Array, state: Named) -> tuple[Array, Named]:
    """Run a step over inputs [B, T, D] from a state of arrays [B, ...]; outputs [B, T, K] and the last state.

    Of the core only the parameters are used, and where its interface vector holds what.
    """
    parameters = {name: parameter.detach().double().numpy() for name, parameter in core.named_parameters()}
    places = interface_places(core)
    outputs, last_states = [], []
    for row, sequence in enumerate(inputs):
        carried = {name: tensor[row] for name, tensor in state.items()}
        steps = []
        for x in sequence:
            y, carried = step(parameters, places, x, carried)
            steps.append(y)
        outputs.append(np.stack(steps))
        last_states.append(carried)
    return np.stack(outputs), {name: np.stack([last[name] for last in last_states]) for name in state}


def assert_core_equals(core: memory.Core, step: Step, inputs: torch.Tensor, state: memory.State) -> None:
    """Compare outputs and every state field of a float64 core with the oracle; 1e-10 leaves room for T steps."""
    outputs, last = memory.unroll(core, inputs, state)
    expected_outputs, expected_last = run(core, step, inputs.numpy(), arrays(state))
    np.testing.assert_allclose(outputs.detach().numpy(), expected_outputs, rtol=0, atol=1e-10, err_msg="outputs")
    found = arrays(last)
    assert found.keys() == expected_last.keys()
    for name, expected in expected_last.items():
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-10, err_msg=name)


def linear(parameters: Named, name: str, x: Array) -> Array:
    return parameters[f"{name}.weight"] @ x + parameters[f"{name}.bias"]


def controller_step(parameters: Named, x: Array, state: Named) -> tuple[Array, Named]:
    """The kind of controller shows in the state: LSTM layers have cells, GRU layers only hidden vectors."""
    if "controller.cell" in state:
        return _lstm(parameters, x, state)
    if "controller.hidden" in state:
        return _gru(parameters, x, state)
    depth = sum(name.startswith("controller.") and name.endswith(".weight") for name in parameters)
    for layer in range(depth):
        x = np.tanh(linear(parameters, f"controller.layers.{2 * layer}", x))  # a tanh follows each linear layer
    return x, {}


def _gates(parameters: Named, side: str, layer: int, x: Array, count: int) -> list[Array]:
    weight, bias = (parameters[f"controller.layers.{what}_{side}_l{layer}"] for what in ("weight", "bias"))
    return np.split(weight @ x + bias, count)


def _lstm(parameters: Named, x: Array, state: Named) -> tuple[Array, Named]:
    hiddens, cells = [], []
    for layer, (hidden, cell) in enumerate(zip(state["controller.hidden"], state["controller.cell"], strict=True)):
        both = zip(_gates(parameters, "ih", layer, x, 4), _gates(parameters, "hh", layer, hidden, 4), strict=True)
        enter, forget, candidate, leave = (a + b for a, b in both)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        x = sigmoid(leave) * np.tanh(cell)
        hiddens.append(x)
        cells.append(cell)
    return x, {"controller.hidden": np.stack(hiddens), "controller.cell": np.stack(cells)}


def _gru(parameters: Named, x: Array, state: Named) -> tuple[Array, Named]:
    hiddens = []
    for layer, hidden in enumerate(state["controller.hidden"]):
        x_reset, x_update, x_new = _gates(parameters, "ih", layer, x, 3)
        h_reset, h_update, h_new = _gates(parameters, "hh", layer, hidden, 3)
        update = sigmoid(x_update + h_update)
        new = np.tanh(x_new + sigmoid(x_reset + h_reset) * h_new)
        x = (1 - update) * new + update * hidden
        hiddens.append(x)
    return x, {"controller.hidden": np.stack(hiddens)}


def ntm_step(parameters: Named, places: Places, x: Array, state: Named) -> tuple[Array, Named]:
    """Graves et al. 2014, eq. 2 to 9: each write head addresses M_{t-1} and writes, then each read head reads M_t."""
    readers = len(state["read_weights"])
    hidden, controller = controller_step(parameters, np.concatenate([x, state["reads"].ravel()]), state)
    emitted = linear(parameters, "interface", hidden)
    told = {name: emitted[place] for name, place in places.items()}

    def address(memory: Array, prev_weights: Array, which: slice) -> Array:
        return oracles.ntm_address(
            memory,
            prev_weights,
            keys=told["keys"][which],
            strengths=softplus(told["strengths"][which]),
            gates=sigmoid(told["gates"][which]),
            shifts=np.stack([softmax(shifts) for shifts in told["shifts"][which]]),
            sharpness=1 + softplus(told["sharpness"][which]),
        )

    write_weights = address(state["memory"], state["write_weights"], slice(readers, None))
    written = oracles.erase_and_add(state["memory"], write_weights, sigmoid(told["erase"]), told["add"])
    read_weights = address(written, state["read_weights"], slice(0, readers))
    reads = oracles.read(written, read_weights)
    output = linear(parameters, "output", np.concatenate([hidden, reads.ravel()]))
    return output, {
        "memory": written,
        "read_weights": read_weights,
        "write_weights": write_weights,
        "reads": reads,
        **controller,
    }


def dnc_step(parameters: Named, places: Places, x: Array, state: Named) -> tuple[Array, Named]:
    """Graves et al. 2016, Methods: the controller, one access to the memory, the output."""
    hidden, controller = controller_step(parameters, np.concatenate([x, state["reads"].ravel()]), state)
    hidden = controller["controller.hidden"].ravel() if controller else hidden  # [h^1; ...; h^L]
    emitted = linear(parameters, "interface", hidden)
    told = {name: emitted[place] for name, place in places.items()}
    fields = ("memory", "usage", "links", "precedence", "read_weights", "write_weights")
    after = oracles.dnc_access(
        *[state[field] for field in fields],
        read_keys=told["read_keys"],
        read_strengths=oneplus(told["read_strengths"]),
        write_key=told["write_key"],
        write_strength=oneplus(told["write_strength"]),
        erase=sigmoid(told["erase"]),
        add=told["add"],
        free_gates=sigmoid(told["free_gates"]),
        allocation_gate=sigmoid(told["allocation_gate"]),
        write_gate=sigmoid(told["write_gate"]),
        read_modes=np.stack([softmax(modes) for modes in told["read_modes"]]),
    )
    reads = after[-1]
    output = linear(parameters, "output", np.concatenate([hidden, reads.ravel()]))
    return output, {**dict(zip((*fields, "reads"), after, strict=True)), **controller}
