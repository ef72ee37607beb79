"""Legendre Memory Units: their linear system, loops written from the papers, what the window holds, native code.

Legend: B batch, T time, H hidden units, M memories, d order of a memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.kernels.lmu import Given, choice, run
from lukasa.memory.kernels.lmu.reference import by_steps
from lukasa.memory.kernels.sequence import choice as sequence_choice
from lukasa.memory.scans.lmu import LMU, delay_system, legendre
from tests.memory.core_rows import ROWS, make, numbers, sequences, watched
from tests.memory.gradients import check_core_gradients
from tests.memory.oracles import Array
from tests.memory.samples import Sampler, reached_state
from tests.memory.threads import native_threads

EVERY_ROW = pytest.mark.parametrize("name", ["lmu", "lmu-2", "lmu-parallel"])


def system_by_the_paper(order: int, window: float) -> tuple[Array, Array]:
    """Equations 1 and 2 with Python numbers; the matrix exponential as a long product of short steps' series."""
    a = np.array(
        [[(2 * i + 1) * (-1.0 if i < j else (-1.0) ** (i - j + 1)) for j in range(order)] for i in range(order)]
    )
    b = np.array([(2 * i + 1) * (-1.0) ** i for i in range(order)])
    halvings = 12
    small, term, step = np.eye(order), np.eye(order), a / window / 2**halvings
    for power in range(1, 20):
        term = term @ step / power
        small = small + term
    for _ in range(halvings):
        small = small @ small
    return small, np.linalg.solve(a, (small - np.eye(order)) @ b)


@pytest.mark.parametrize(("order", "window"), [(1, 1.0), (2, 3.5), (6, 16.0), (24, 50.0)])
def test_system_is_that_of_the_paper(order: int, window: float):
    for found, expected in zip(delay_system(order, window), system_by_the_paper(order, window), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-11)


def test_polynomials_are_those_of_legendre():
    """Shifted to [0, 1]: orthogonal, and P_3(2 r − 1) = 20 r³ − 30 r² + 12 r − 1."""
    r = torch.linspace(0, 1, 9).double()
    found = legendre(5, r)
    torch.testing.assert_close(found[:, 3], 20 * r**3 - 30 * r**2 + 12 * r - 1)
    nodes, weights = np.polynomial.legendre.leggauss(12)
    values = legendre(5, torch.from_numpy((nodes + 1) / 2)).numpy()
    np.testing.assert_allclose((values.T * weights) @ values, np.diag(2 / (2 * np.arange(5) + 1)), atol=1e-12)
    assert legendre(1, r).shape == (9, 1)


def test_the_window_holds_what_went_in():
    """A slow wave of 60 steps through a memory of order 12 and 40 steps: the newest first, later ones as they were."""
    core = memory.make_core("lmu", input_size=1, output_size=1, order=12, window=40.0, parallel=True).double()
    with torch.no_grad():
        layer: Any = core.layers[0]
        layer.encoder.weight.fill_(1)
        layer.encoder.bias.zero_()
    wave = torch.sin(torch.arange(200.0).double() * (2 * math.pi / 60))
    with memory.record(core) as recording, torch.no_grad():
        memory.unroll(core, wave.view(1, -1, 1))
    window = recording.stacked()["window"][0, -1, 0]  # [steps back]
    assert len(window) == 40
    torch.testing.assert_close(window[1:38], wave.flip(0)[1:38], rtol=0, atol=0.06)


def step_by_the_paper(core: LMU, x: Array, hiddens: list[Array], memories: list[Array]) -> Array:
    """Eq. 4 to 6 of Voelker et al. 2019, or eq. 18 to 20 of Chilkuri & Eliasmith 2021; states are changed in place."""
    a, b = system_by_the_paper(core.order, core.window)
    weights = {name: one.detach().numpy() for name, one in core.named_parameters()}
    for index, held in enumerate(memories):
        own = {key.removeprefix(f"layers.{index}."): one for key, one in weights.items()}
        u = own["encoder.weight"] @ x
        if core.parallel:
            u = u + own["encoder.bias"]
        else:
            u = u + own["hidden_encoder"] @ hiddens[index] + own["memory_encoder"] @ held.ravel()
        for number in range(len(held)):
            held[number] = a @ held[number] + b * u[number]
        drive = own["input_kernel.weight"] @ x + own["memory_kernel"] @ held.ravel()
        if core.parallel:
            x = np.tanh(drive + own["input_kernel.bias"])
        else:
            x = hiddens[index] = np.tanh(drive + own["hidden_kernel"] @ hiddens[index])
    return weights["output.weight"] @ x + weights["output.bias"]


def lively(name: str) -> Any:
    """With e_m that is not zero, as it is at first."""
    core = make(ROWS[name])
    with torch.no_grad():
        for layer in core.layers:
            if not core.parallel:
                layer.memory_encoder.copy_(0.3 * Sampler(9).normal(*layer.memory_encoder.shape))
    return core


@EVERY_ROW
def test_outputs_and_states_are_those_of_the_papers(name: str):
    core, inputs = lively(name), sequences()
    state = reached_state(core, 3)
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[0, 0] = starts[1, 3] = starts[1, 4] = True
    outputs, last = memory.unroll(core, inputs, state, starts)
    for row in range(3):
        memories = list(state.memory[row].numpy().copy())
        hiddens = [] if core.parallel else list(state.controller.hidden[row].numpy().copy())
        for time in range(6):
            if starts[row, time]:
                memories, hiddens = [0 * one for one in memories], [0 * one for one in hiddens]
            expected = step_by_the_paper(core, inputs[row, time].numpy(), hiddens, memories)
            np.testing.assert_allclose(outputs[row, time].detach().numpy(), expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(last.memory[row].detach().numpy(), np.stack(memories), rtol=1e-9, atol=1e-9)
        if hiddens:
            np.testing.assert_allclose(last.controller.hidden[row].detach().numpy(), np.stack(hiddens), atol=1e-9)


@EVERY_ROW
def test_a_whole_sequence_with_resets_equals_its_steps(name: str):
    """Outputs, the last state, and gradients of inputs, parameters and first state; 40 steps, starts side by side."""
    core, start, found = lively(name), reached_state(lively(name), 5), []
    starts = torch.rand(5, 40, generator=torch.Generator().manual_seed(0)) < 0.15
    starts[2] = False
    for stepwise in (False, True):
        inputs, (state, leaves) = sequences(5, 40).requires_grad_(), watched(ROWS[name], core, start)
        with memory.step_by_step() if stepwise else torch.enable_grad():
            outputs, last = memory.unroll(core, inputs, state, starts)
        loss = outputs.square().mean() + sum((end.square().mean() for end in numbers(last)), torch.tensor(0.0))
        wanted = [inputs, *leaves.values(), *core.parameters()]
        found.append([outputs, *numbers(last), *torch.autograd.grad(loss, wanted)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


@EVERY_ROW
def test_gradients_are_those_of_finite_differences(name: str):
    check_core_gradients(lively(name), sequences(2, 3), reached_state(lively(name), 2))


def arguments(rows: int, steps: int, seed: int = 0, hidden: int = 5, memories: int = 2, order: int = 3) -> list[Tensor]:
    """What a sequence is made from, in float64."""
    draw, width = Sampler(seed), memories * order
    some = [draw.normal(rows, steps, memories), draw.normal(rows, steps, hidden), draw.normal(memories, hidden)]
    some += [draw.normal(memories if hidden else 0, width), draw.normal(hidden, hidden), draw.normal(hidden, width)]
    return [*some, draw.normal(rows, hidden), draw.normal(rows, width)]


def results(way: Any, given: list[Tensor], starts: Tensor | None) -> list[Tensor]:
    leaves = [one.clone().requires_grad_() for one in given]
    system = (0.7 * torch.eye(given[7].shape[1] // given[0].shape[2]).to(given[0]), given[7][0, :3] * 0.5)
    found = way(Given(*leaves), *system, starts)
    loss = found[0].sin().sum() + found[1].sin().sum()
    return [*found, *torch.autograd.grad(loss, leaves, materialize_grads=True)]


def reference(given: Given, transition: Tensor, entry: Tensor, starts: Tensor | None) -> tuple[Tensor, Tensor]:
    return by_steps(starts, transition, entry, given)


@pytest.mark.parametrize("hidden", [5, 0], ids=["hidden units", "parallel"])
@pytest.mark.parametrize("sizes", [(3, 7), (1, 9), (9, 4), (2, 2)], ids=str)
def test_loops_equal_the_equations(sizes: tuple[int, int], hidden: int):
    given = arguments(*sizes, hidden=hidden)
    for starts in (None, torch.rand(*sizes, generator=torch.Generator().manual_seed(1)) < 0.3):
        expected = results(reference, given, starts)
        torch.testing.assert_close(results(run, given, starts), expected, rtol=1e-9, atol=1e-10)
        torch.use_deterministic_algorithms(True)  # fills what is not written to with NaN
        try:
            torch.testing.assert_close(results(run, given, starts), expected, rtol=1e-9, atol=1e-10)
        finally:
            torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_same_bits_for_any_number_of_threads(dtype: torch.dtype):
    given, found = [one.to(dtype) for one in arguments(37, 6)], []
    starts = torch.rand(37, 6, generator=torch.Generator().manual_seed(1)) < 0.2
    for threads in (1, 2, 3):
        with native_threads(threads):
            found.append(results(run, given, starts))
    for other in found[1:]:
        assert all(torch.equal(one, same) for one, same in zip(found[0], other, strict=True))


def test_a_nan_ends_with_the_reset():
    core, inputs = lively("lmu"), sequences()
    inputs[1, 1] = math.nan
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[1, 2] = True
    outputs, last = memory.unroll(core, inputs, None, starts)
    assert outputs[1, 1].isnan().all()
    assert outputs[1, 2:].isfinite().all()
    assert all(part.isfinite().all() for part in numbers(last))


def test_without_numba_it_says_once_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    core = lively("lmu")
    expected = memory.unroll(core, sequences())[0]
    monkeypatch.setattr("lukasa.memory.kernels.scan.choice.has_numba", lambda: False)
    sequence_choice.say_once.cache_clear()
    with pytest.warns(UserWarning, match="Numba is not installed"):
        found = memory.unroll(core, sequences())[0]
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    assert choice.is_native(sequences(), []) is False


def test_the_system_is_rounded_once():
    """A core made in float32 and widened has the system of float64, which no file holds."""
    core = memory.make_core("lmu", input_size=2, output_size=1, order=9, window=20.0)
    wide = core.half().double()
    torch.testing.assert_close(wide.transition, delay_system(9, 20.0)[0], rtol=0, atol=0)
    assert not {"transition", "entry", "decoder"} & set(core.state_dict())
    assert core.to("meta").transition.device.type == "meta"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0.5}, "option 'window' of core 'lmu' is 0.5: expected 1 step or more"),
        ({"window": -3.0}, "option 'window' of core 'lmu' is -3.0"),
        ({"order": 0}, "a whole number of at least 1"),
        ({"memories": 0}, "a whole number of at least 1"),
        ({"parallel": 1}, "expected True or False"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        memory.make_core("lmu", input_size=3, output_size=2, **options)


@pytest.mark.parametrize("options", [{"order": 1}, {"order": 2, "window": 1.0}, {"order": 64, "window": 512.0}])
def test_sizes_at_their_edges_work(options: dict[str, Any]):
    core = memory.make_core("lmu", input_size=3, output_size=2, **options)
    with memory.record(core):
        outputs, state = memory.unroll(core, torch.ones(2, 600, 3))
    assert outputs.isfinite().all()
    assert state.memory.abs().max() < 100, "the system is stable"
