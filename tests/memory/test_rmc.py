"""The relational memory core against a loop written from the paper, and what its options mean.

Legend: B batch, T time, D input width, N slots, H heads, V numbers of a head, F = H V numbers of a slot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lukasa import memory
from tests.memory.core_rows import RMC
from tests.memory.gradients import check_core_gradients
from tests.memory.oracles import Array, Named, sigmoid, softmax
from tests.memory.samples import Sampler, lively_core, reached_state

OPTIONS: dict[str, dict[str, Any]] = {
    "unit gates": {},
    "memory gates": {"gates": "memory"},
    "two blocks": {"blocks": 2},
    "one layer in the MLP": {"mlp_layers": 1},
    "three layers in the MLP": {"mlp_layers": 3},
    "biases of the gates": {"forget_bias": -0.7, "input_bias": 0.4},
    "layers of the output": {"output_layers": 3},
    "slots wider than many": {"slots": 9},
}
EVERY_OPTION = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def layer_norm(parameters: Named, name: str, x: Array) -> Array:
    """Ba et al. 2016; the library's ε = 1e-5."""
    scaled = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return parameters[f"{name}.weight"] * scaled + parameters[f"{name}.bias"]


def linear(parameters: Named, name: str, x: Array) -> Array:
    return parameters[f"{name}.weight"] @ x + parameters[f"{name}.bias"]


def attend(parameters: Named, block: str, rows: list[Array], heads: int) -> list[Array]:
    """softmax(Q Kᵀ / √d_k) V of each head, side by side; queries, keys and values of a head lie next to each other."""
    width = len(rows[0]) // heads
    both = [layer_norm(parameters, f"{block}.attended_norm", linear(parameters, f"{block}.attended", m)) for m in rows]
    result = []
    for query_of in both:
        parts = []
        for head in range(heads):
            place = 3 * width * head
            query = query_of[place : place + width]
            scores = [query @ other[place + width : place + 2 * width] / np.sqrt(width) for other in both]
            weights = softmax(np.array(scores))
            values = [other[place + 2 * width : place + 3 * width] for other in both]
            parts.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
        result.append(np.concatenate(parts))
    return result


def step(parameters: Named, options: dict[str, Any], x: Array, memory: Array) -> tuple[Array, Array]:
    """Santoro et al. 2018, section 3: one step of one row, memory [N, F]."""
    projected = linear(parameters, "input", x)
    rows = [*memory, projected]
    for block in range(options.get("blocks", 1)):
        name, attended = f"blocks.{block}", []
        for row, read in zip(rows, attend(parameters, f"blocks.{block}", rows, options["heads"]), strict=True):
            kept = layer_norm(parameters, f"{name}.after_attention", row + read)
            through = linear(parameters, f"{name}.mlp.0", kept)
            for layer in range(1, options.get("mlp_layers", 2)):
                through = linear(parameters, f"{name}.mlp.{2 * layer}", np.maximum(through, 0))
            attended.append(layer_norm(parameters, f"{name}.after_mlp", kept + through))
        rows = attended
    result = []
    for before, candidate in zip(memory, rows[:-1], strict=True):
        emitted = linear(parameters, "gates_of_input", projected)
        emitted = emitted + linear(parameters, "gates_of_memory", np.tanh(before))
        enter, forget = np.split(emitted, 2)
        enter = sigmoid(enter + options.get("input_bias", 0.0))
        forget = sigmoid(forget + options.get("forget_bias", 1.0))
        result.append(enter * np.tanh(candidate) + forget * before)
    after = np.stack(result)
    y = linear(parameters, "output.0", after.ravel())
    for layer in range(1, options.get("output_layers", 1)):
        y = linear(parameters, f"output.{2 * layer}", np.maximum(y, 0))
    return y, after


@EVERY_OPTION
def test_outputs_and_memory_are_those_of_the_paper(options: dict[str, Any]):
    """Five steps from a memory that was reached, of random weights three times the usual ones."""
    options = {**RMC, **options}
    core = lively_core("rmc", **options)
    parameters = {name: one.detach().numpy() for name, one in core.named_parameters()}
    inputs, state = 2 * Sampler(1).normal(2, 5, 3), reached_state(core, 2)
    outputs, last = memory.unroll(core, inputs, state)
    for row in range(2):
        carried = state.memory[row].numpy()
        for time in range(5):
            y, carried = step(parameters, options, inputs[row, time].numpy(), carried)
            np.testing.assert_allclose(outputs[row, time].detach().numpy(), y, rtol=0, atol=1e-10)
        np.testing.assert_allclose(last.memory[row].detach().numpy(), carried, rtol=0, atol=1e-10)


@pytest.mark.parametrize("gates", ["unit", "memory"])
def test_gradients_are_those_of_finite_differences(gates: str):
    core = lively_core("rmc", slots=3, heads=2, head_size=2, gates=gates)
    check_core_gradients(core, Sampler(2).normal(2, 2, 3), reached_state(core, 2))


def test_slots_begin_as_rows_of_an_identity_that_is_padded_or_cut():
    wide = memory.make_core("rmc", input_size=3, output_size=2, slots=3, heads=2, head_size=4).initial_state(2)
    assert torch.equal(wide.memory, torch.eye(8)[:3].expand(2, 3, 8))
    narrow = memory.make_core("rmc", input_size=3, output_size=2, slots=6, heads=2, head_size=2).initial_state(1)
    assert torch.equal(narrow.memory[0], torch.eye(6)[:, :4])


def test_open_forget_gates_keep_everything_and_closed_ones_nothing():
    inputs = Sampler(3).normal(2, 4, 3)
    for bias, kept in ((1e3, True), (-1e3, False)):
        core = lively_core("rmc", **RMC, forget_bias=bias, input_bias=-1e3)
        start = reached_state(lively_core("rmc", **RMC), 2)
        _, last = memory.unroll(core, inputs, start)
        expected = start.memory if kept else torch.zeros_like(start.memory)
        torch.testing.assert_close(last.memory, expected, rtol=0, atol=0)


def test_order_of_the_slots_does_not_matter_but_to_the_output():
    """All slots are treated alike: only the identity they begin with tells them apart."""
    core, inputs = lively_core("rmc", **RMC), Sampler(4).normal(1, 3, 3)
    state, order = reached_state(core, 1), torch.tensor([3, 0, 4, 1, 2])
    _, last = memory.unroll(core, inputs, state)
    _, moved = memory.unroll(core, inputs, state._replace(memory=state.memory[:, order]))
    torch.testing.assert_close(moved.memory, last.memory[:, order], rtol=0, atol=1e-12)


def test_recorded_attention_is_a_distribution_over_slots_and_input():
    core = lively_core("rmc", **RMC, blocks=2)
    with memory.record(core) as recording:
        memory.unroll(core, Sampler(5).normal(2, 4, 3))
    shown = recording.stacked()
    assert shown["slot_attention"].shape == (2, 4, 4, 5, 6)
    torch.testing.assert_close(shown["slot_attention"].sum(-1), torch.ones(2, 4, 4, 5).double())
    for gate in ("slot_input_gates", "slot_forget_gates"):
        assert shown[gate].min() > 0
        assert shown[gate].max() < 1


def test_settings_of_the_papers_nth_farthest_are_options():
    """8 slots of 8 heads, 2,048 numbers in all, and four layers of 256 units to the output."""
    core = memory.make_core(
        "rmc", input_size=40, output_size=8, slots=8, heads=8, head_size=32, output_layers=5, output_layer_size=256
    )
    state = core.initial_state(1)
    assert state.memory.numel() == 2048
    assert [layer.out_features for layer in core.modules() if isinstance(layer, torch.nn.Linear)][-5:] == [
        256,
        256,
        256,
        256,
        8,
    ]
    assert core(torch.zeros(1, 40), state)[0].shape == (1, 8)
