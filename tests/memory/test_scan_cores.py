"""minGRU, LRU and FFM against loops written from their papers, how they begin, and resets inside a sequence.

Legend: B batch, T time, D input width, K output width, H width of a layer, N complex numbers, m traces, c contexts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.scans import FFM, LRU, MinGRU, mingru
from lukasa.memory.scans.ffm import decay
from lukasa.memory.scans.lru import eigenvalues, ring
from lukasa.memory.scans.mingru import gates, run
from tests.memory.core_rows import ROWS, make, numbers, sequences, watched
from tests.memory.gradients import check_core_gradients
from tests.memory.oracles import Array, Named, sigmoid
from tests.memory.samples import Sampler, lively_core, reached_state
from tests.memory.threads import native_threads

NAMES = ("mingru", "mingru-positive", "lru", "lru-ring", "ffm", "ffm-2")
EVERY_ROW = pytest.mark.parametrize("name", NAMES)


def gelu(x: Array) -> Array:
    return np.array([0.5 * number * (1 + math.erf(number / math.sqrt(2))) for number in x])


def normed(x: Array) -> Array:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def affine(weights: Named, name: str, x: Array) -> Array:
    return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]


def mingru_step(core: Any, weights: Named, x: Array, states: list[Array]) -> tuple[Array, list[Array]]:
    """Feng et al. 2024, section 3.1: z = σ(Linear(x)), h̃ = Linear(x) or g of it, h = (1 − z) h + z h̃."""
    after = []
    for layer, before in enumerate(states):
        emitted, size = affine(weights, f"layers.{layer}", x), len(before)
        z, new = sigmoid(emitted[:size]), emitted[size:]
        if core.candidate == "positive":
            new = np.array([one + 0.5 if one >= 0 else 1 / (1 + math.exp(-one)) for one in new])
        x = (1 - z) * before + z * new
        after.append(x)
    return affine(weights, "output", x), after


def lru_step(core: Any, weights: Named, x: Array, states: list[Array]) -> tuple[Array, list[Array]]:
    """Orvieto et al. 2023: encoder; norm, LRU, GELU, gated linear unit, residual; in complex numbers."""
    u, after = affine(weights, "encoder", x), []
    for block, before in enumerate(states):
        own = {key.removeprefix(f"blocks.{block}."): one for key, one in weights.items()}
        of = {key.removeprefix("recurrence."): one for key, one in own.items()}
        count = len(before) // 2
        eigenvalue = np.exp(-np.exp(of["log_decay"]) + 1j * np.exp(of["log_phase"]))
        enter = of["enter"][:count] + 1j * of["enter"][count:]
        leave = of["leave"][0] + 1j * of["leave"][1]
        into = own["norm.weight"] * normed(u) + own["norm.bias"]
        state = eigenvalue * (before[:count] + 1j * before[count:]) + np.exp(of["log_scale"]) * (enter @ into)
        y = (leave @ state).real + of["skip"] * into
        value, gate = np.split(affine(own, "gated", gelu(y)), 2)
        u = u + value * sigmoid(gate)
        after.append(np.concatenate([state.real, state.imag]))
    return affine(weights, "output", u), after


def ffm_step(core: Any, weights: Named, x: Array, states: list[Array]) -> tuple[Array, list[Array]]:
    """Morad et al. 2023: gated input, aggregator over traces and contexts, layer norm, gated residual."""
    after = []
    for layer, before in enumerate(states):
        own = {key.removeprefix(f"layers.{layer}."): one for key, one in weights.items()}
        alpha, omega = own["traces"], own["contexts"]
        m, c, width = len(alpha), len(omega), len(own["mix.bias"])
        new, new_gate, gate, skip = np.split(affine(own, "read_input", x), np.cumsum([m, m, width]))
        state = (before[: m * c] + 1j * before[m * c :]).reshape(m, c)
        entered, found = new * sigmoid(new_gate), np.zeros((m, c), dtype=complex)
        for i in range(m):
            for j in range(c):
                found[i, j] = np.exp(-abs(alpha[i])) * np.exp(-1j * omega[j]) * state[i, j] + entered[i]
        flat = np.concatenate([found.real.ravel(), found.imag.ravel()])
        x = normed(affine(own, "mix", flat)) * sigmoid(gate) + skip * (1 - sigmoid(gate))
        after.append(flat)
    return affine(weights, "output", x), after


STEPS: dict[str, Callable[..., tuple[Array, list[Array]]]] = {"mingru": mingru_step, "lru": lru_step, "ffm": ffm_step}


@EVERY_ROW
def test_outputs_and_states_are_those_of_the_paper(name: str):
    """From a state that was reached, with resets, in a batch of three."""
    core, inputs = make(ROWS[name]), sequences()
    state = reached_state(core, 3)
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[0, 0] = starts[1, 3] = starts[1, 4] = True
    outputs, last = memory.unroll(core, inputs, state, starts)
    weights = {key: one.detach().numpy() for key, one in core.named_parameters()}
    for row in range(3):
        carried = list(state[0][row].numpy())
        for time in range(6):
            if starts[row, time]:
                carried = [np.zeros_like(one) for one in carried]
            expected, carried = STEPS[ROWS[name].core](core, weights, inputs[row, time].numpy(), carried)
            np.testing.assert_allclose(outputs[row, time].detach().numpy(), expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(last[0][row].detach().numpy(), np.stack(carried), rtol=1e-10, atol=1e-10)


@EVERY_ROW
def test_a_whole_sequence_with_resets_equals_its_steps(name: str):
    """Outputs, the last state, and gradients of inputs, parameters and first state; 40 steps, starts side by side."""
    core, start, found = make(ROWS[name]), reached_state(make(ROWS[name]), 3), []
    starts = torch.rand(3, 40, generator=torch.Generator().manual_seed(0)) < 0.15
    starts[2] = False
    for stepwise in (False, True):
        inputs, (state, leaves) = sequences(3, 40).requires_grad_(), watched(ROWS[name], core, start)
        with memory.step_by_step() if stepwise else torch.enable_grad():
            outputs, last = memory.unroll(core, inputs, state, starts)
        loss = outputs.square().mean() + sum((end.square().mean() for end in numbers(last)), torch.tensor(0.0))
        wanted = [inputs, *leaves.values(), *core.parameters()]
        found.append([outputs, *numbers(last), *torch.autograd.grad(loss, wanted)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["mingru", "lru-ring", "ffm"])
def test_gradients_are_those_of_finite_differences(name: str):
    check_core_gradients(make(ROWS[name]), sequences(2, 3), reached_state(make(ROWS[name]), 2))


def test_it_is_said_that_a_sequence_runs_at_once():
    core = make(ROWS["mingru"])
    assert "rows that are reset inside it included" in memory.why_slow(core, sequences())


def test_a_minimal_gru_interpolates():
    """What is kept and what is new sum to 1; a candidate above 0 is continuous, and never 0."""
    kept, update, new = gates(torch.cat([torch.linspace(-40, 40, 11), torch.linspace(-3, 3, 11)]).double())
    torch.testing.assert_close(kept + update, torch.ones(11).double(), rtol=1e-15, atol=1e-15)
    assert (kept > 0).all(), "an open gate keeps a little, which a difference of 1 and z would lose"
    assert new.min() < 0
    emitted = torch.tensor([0.0, 0.0, -1e-12, 0.0]).double()
    torch.testing.assert_close(gates(emitted, "positive")[2], torch.full((2,), 0.5).double())
    assert (gates(torch.linspace(-30, 30, 22), "positive")[2] > 0).all()


def gated_results(way: Any, candidate: Any, sizes: tuple[int, int, int], starts: Tensor | None) -> list[Tensor]:
    """States, the last one, and gradients; by compiled loops and, where they are not asked for, by the scan."""
    draw, (rows, steps, size) = Sampler(3), sizes
    leaves = [4 * draw.normal(rows, steps, 2 * size), draw.normal(rows, size)]
    leaves = [leaf.to(way).requires_grad_() for leaf in leaves]
    states, last = run(leaves[0], candidate, leaves[1], starts)
    return [states, last, *torch.autograd.grad(states.sin().sum() + last.square().sum(), leaves)]


@pytest.mark.parametrize("candidate", ["linear", "positive"])
@pytest.mark.parametrize("sizes", [(3, 7, 5), (1, 9, 1), (18, 4, 40)], ids=str)
def test_gates_in_the_loop_equal_the_scan(candidate: str, sizes: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch):
    """With uninitialised memory full of NaN, and resets side by side."""
    found = []
    for native in (True, False):
        monkeypatch.setattr(mingru, "is_native", lambda *_, native=native: native)
        torch.use_deterministic_algorithms(True)
        try:
            for starts in (None, torch.rand(sizes[:2], generator=torch.Generator().manual_seed(0)) < 0.4):
                found.append(gated_results(torch.float64, candidate, sizes, starts))
        finally:
            torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(found[:2], found[2:], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gates_in_the_loop_have_the_same_bits_for_any_number_of_threads(dtype: torch.dtype):
    starts, found = torch.rand(37, 6, generator=torch.Generator().manual_seed(1)) < 0.2, []
    for threads in (1, 2, 3):
        with native_threads(threads):
            found.append(gated_results(dtype, "positive", (37, 6, 21), starts))
    for other in found[1:]:
        assert all(torch.equal(one, same) for one, same in zip(found[0], other, strict=True))


def test_eigenvalues_begin_uniform_on_their_ring():
    """|λ|² and the phase are uniform; γ² = 1 − |λ|² (lemma 3.2 and section 3.4 of Orvieto et al. 2023)."""
    torch.manual_seed(0)
    log_decay, log_phase, log_scale = (one.double() for one in ring(4000, 0.6, 0.9, 1.5))
    real, imaginary = eigenvalues(log_decay, log_phase).chunk(2)
    squared, phase = real**2 + imaginary**2, torch.atan2(imaginary, real)
    for values, least, most in ((squared, 0.36, 0.81), (phase, 0.0, 1.5)):
        assert least - 1e-6 <= values.min() < values.max() <= most + 1e-6
        quartiles = (values.quantile(torch.tensor([0.25, 0.5, 0.75]).double()) - least) / (most - least)
        torch.testing.assert_close(quartiles, torch.tensor([0.25, 0.5, 0.75]).double(), rtol=0, atol=0.03)
    torch.testing.assert_close(log_scale.exp() ** 2, 1 - squared, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("edges", [(0.0, 1.0), (0.999, 1.0)])
def test_eigenvalues_never_leave_the_unit_circle(edges: tuple[float, float]):
    """Neither at the edges of the ring nor wherever training takes the parameters; and they stay numbers."""
    parts = ring(5000, *edges, 6.28)
    assert all(part.isfinite().all() for part in parts)
    wild = 20 * torch.randn(5000, generator=torch.Generator().manual_seed(0))
    for log_decay in (parts[0], wild):
        real, imaginary = eigenvalues(log_decay, parts[1]).chunk(2)
        assert (real**2 + imaginary**2 <= 1 + 1e-6).all()


def test_the_memory_of_an_lru_keeps_the_size_of_its_input():
    """Of white noise, whatever the magnitude: that is what γ is for."""
    torch.manual_seed(0)
    core = memory.make_core("lru", input_size=64, output_size=1, size=64, states=64, layers=1, r_min=0.9, r_max=0.999)
    assert isinstance(core, LRU)
    _, state = memory.unroll(core, Sampler(0).normal(8, 3000, 64).float())
    power = state.hidden.square().sum(2).div(64).mean()
    assert 0.4 < power < 2.5, "B is scaled so that a state has about the variance of one input"


def test_periods_and_decays_of_a_forgetful_memory():
    """The slowest trace keeps a hundredth after the longest period; contexts turn once in their periods."""
    core = memory.make_core("ffm", input_size=3, output_size=2, min_period=4.0, max_period=50.0)
    assert isinstance(core, FFM)
    layer: Any = core.layers[0]
    real, imaginary = decay(layer.traces.double(), layer.contexts.double()).view(2, 32, 4)
    gamma = torch.complex(real, imaginary).detach()
    assert abs(float(gamma[-1, 0].abs() ** 50) - 0.01) < 1e-4
    assert float(gamma[0, 0].abs() ** 7) < 0.01
    for context, period in ((0, 4), (3, 50)):
        turned = gamma[-1, context] ** period
        assert abs(float(turned.imag / turned.abs())) < 1e-4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lru", {"r_min": 0.9, "r_max": 0.5}, r"'r_min' and 'r_max' of core 'lru' are 0.9 and 0.5: expected 0 ≤ r_min"),
        ("lru", {"r_max": 1.5}, "'r_min' and 'r_max'"),
        ("lru", {"r_min": -0.1}, "'r_min' and 'r_max'"),
        ("lru", {"max_phase": 0.0}, "'max_phase' of core 'lru' is 0.0: expected above 0, at most 2 π"),
        ("lru", {"max_phase": 7.0}, "'max_phase'"),
        ("ffm", {"min_period": 0.5}, "'min_period' and 'max_period' of core 'ffm' are 0.5 and 1024.0: expected 1 ≤"),
        ("ffm", {"max_period": 1.0}, "'min_period' and 'max_period'"),
        ("mingru", {"candidate": "log"}, "choose one of 'linear', 'positive'"),
        ("mingru", {"layers": 0}, "a whole number of at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        memory.make_core(name, input_size=3, output_size=2, **options)


def test_sizes_of_the_layers():
    core = lively_core("mingru", size=9, layers=3)
    assert isinstance(core, MinGRU)
    assert [tuple(layer.weight.shape) for layer in core.layers] == [(18, 3), (18, 9), (18, 9)]
    states = {"mingru": (1, 2, 128), "lru": (1, 2, 256), "ffm": (1, 1, 256)}
    for name, shape in states.items():
        state: Tensor = memory.make_core(name, input_size=3, output_size=2).initial_state(1)[0]
        assert tuple(state.shape) == shape
