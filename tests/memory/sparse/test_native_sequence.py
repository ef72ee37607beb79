"""Whole sequences of SAM and SDNC in native code against the equations: outputs, state and all gradients.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.sparse.bounds import UnstorableError
from tests.memory.threads import native_threads

pytest.importorskip("numba")
EVERY_CORE = pytest.mark.parametrize("name", ["sam", "sdnc"])
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Of the largest value."""


def options_of(name: str, seed: int) -> dict[str, Any]:
    """Random options. Words have two numbers or more: cosines of words of one number tie up to rounding."""
    draw = np.random.default_rng(seed)

    def one(*choices: Any) -> Any:
        return choices[draw.integers(len(choices))]

    heads, reads = one(1, 2, 4), one(1, 3, 4)
    options = {
        "slots": max(heads, reads) + one(0, 3, 30, 200), "word_size": one(2, 5, 8, 19), "heads": heads, "reads": reads,
        "delta": one(0.005, 0.3), "controller": one("lstm", "gru", "feedforward"), "controller_size": one(1, 7, 9),
        "controller_layers": one(1, 1, 2, 3),
    }  # fmt: skip
    return options | ({"links": one(1, 2, 8), "link_decay": one("later", "both")} if name == "sdnc" else {})


def make(name: str, seed: int = 0, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    torch.manual_seed(seed)
    options = options or {"slots": 12, "word_size": 4, "heads": 2, "reads": 2, "controller_size": 5}
    return memory.make_core(name, input_size=3, output_size=2, **options).to(dtype)


def lived(core: Any, inputs: Tensor, starts: Tensor | None, by_steps: bool, first: Any = None) -> dict[str, Tensor]:
    """Two chunks, a step between them, and the gradients of all: of outputs, state and what is in memory."""
    leaf = inputs.clone().requires_grad_()
    first = core.initial_state(len(inputs)) if first is None else first
    read = torch.zeros_like(first.reads).requires_grad_()
    with memory.step_by_step() if by_steps else nullcontext():
        one, state = memory.unroll(core, leaf, first._replace(reads=read), starts)
        between, state = core(leaf[:, 0], state)
        state, watched = memory.watched_state(state)
        two, state = memory.unroll(core, 0.5 * leaf, state)
    parts = memory.state_to_dict(state)
    ends = [part.sin().sum() for part in parts.values() if part.requires_grad]
    wanted = {"inputs": leaf, "reads": read, **dict(core.named_parameters())}
    wanted |= {f"watched {part}": tensor for part, tensor in watched.items() if tensor.requires_grad}
    loss = one.square().sum() + two.sin().sum() + between.sum() + torch.stack(ends).sum()
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    named = {"one": one, "between": between, "two": two, **parts}
    return named | {f"to {part}": gradient for part, gradient in zip(wanted, found, strict=True)}


def compare(core: Any, inputs: Tensor, starts: Tensor | None, what: object = None) -> None:
    assert memory.why_slow(core, inputs).endswith("in native code")
    same(lived(core, inputs, starts, False), lived(core, inputs, starts, True), TOLERANCE[inputs.dtype], what)


def same(mine: dict[str, Tensor], plain: dict[str, Tensor], tolerance: float, what: object = None) -> None:
    """Fails where two lives differ by more than a share of the largest value."""
    for name, part in plain.items():
        scale = max(float(part.detach().abs().max()) if part.numel() else 0.0, 1e-3)
        if name == "links.logs":  # of rows that are empty, what stands there is nothing
            continue
        assert mine[name].shape == part.shape, (what, name)
        apart = (mine[name].detach().double() - part.detach().double()).abs().max() if part.numel() else 0
        assert apart <= tolerance * scale, (what, name, float(apart), scale)


@EVERY_CORE
@pytest.mark.parametrize(("dtype", "programs"), [(torch.float64, 36), (torch.float32, 16)], ids=str)
def test_random_programs(name: str, dtype: torch.dtype, programs: int):
    for seed in range(programs):
        core = make(name, seed, dtype, **options_of(name, seed))
        with torch.no_grad():  # gates that saturate, strengths that are large; float32 would round to other slots
            core.interface.weight *= 1 + 8 * (seed % 4 == 0 and dtype == torch.float64)
        inputs = torch.randn(1 + seed % 5, 9, 3, dtype=dtype)
        starts = torch.rand(inputs.shape[:2]) < 0.1 if seed % 3 else None
        compare(core, inputs, starts, (seed, options_of(name, seed)))


@EVERY_CORE
def test_lists_are_made_and_the_log_is_compacted_within_a_sequence(name: str):
    options = {"slots": 300, "word_size": 8, "heads": 4, "reads": 3, "controller_size": 5, "index": "lists"}
    core = make(name, index_options={"exact_up_to": 40}, **options)
    inputs = torch.randn(2, 260, 3, dtype=torch.float64)
    starts = torch.zeros(2, 260, dtype=torch.bool)
    starts[1, 200] = True
    with torch.no_grad():
        outputs, state = memory.unroll(core, inputs, None, starts)
        with memory.step_by_step():
            expected, plain = memory.unroll(core, inputs, None, starts)
    assert state.memory.store.index.approximate
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-10)
    assert torch.equal(state.read_slots, plain.read_slots)
    assert torch.equal(state.memory.tensors()["order"], plain.memory.tensors()["order"])


@EVERY_CORE
def test_the_same_bits_for_any_number_of_threads(name: str):
    core, inputs = make(name, dtype=torch.float32), torch.randn(17, 9, 3)
    starts, found = torch.rand(17, 9) < 0.2, []
    for threads in (1, 2, 3, 4, 1):
        with native_threads(threads):
            found.append(lived(core, inputs, starts, False))
    for other in found[1:]:
        assert all(torch.equal(part, other[key]) for key, part in found[0].items())


@EVERY_CORE
def test_without_gradients_the_results_are_the_same_bits(name: str):
    core, inputs = make(name), torch.randn(3, 7, 3, dtype=torch.float64)
    outputs, last = memory.unroll(core, inputs)
    expected = memory.state_to_dict(memory.detach_state(last))
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            found, state = memory.unroll(core, inputs)
            state = memory.reset_rows(state, core.initial_state(3), torch.zeros(3, dtype=torch.bool))
            assert not found.requires_grad
            assert torch.equal(found, outputs)
            parts = memory.state_to_dict(state)
            assert all(torch.equal(part, parts[key]) for key, part in expected.items())


@EVERY_CORE
def test_only_some_need_gradients_and_a_graph_is_walked_twice(name: str):
    for chosen in ("controller", "interface", "output"):
        core, inputs = make(name), torch.randn(2, 5, 3, dtype=torch.float64)
        for part, parameter in core.named_parameters():
            parameter.requires_grad_(part.startswith(chosen))
        wanted = [parameter for parameter in core.parameters() if parameter.requires_grad]
        loss = memory.unroll(core, inputs)[0].square().sum()
        once, again = (torch.autograd.grad(loss, wanted, retain_graph=True) for _ in range(2))
        with memory.step_by_step():
            expected = torch.autograd.grad(memory.unroll(core, inputs)[0].square().sum(), wanted)
        torch.testing.assert_close(once, expected, rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(again, expected, rtol=1e-9, atol=1e-10)


@EVERY_CORE
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_what_cannot_be_stored_is_refused_within_a_sequence(name: str, bad: float):
    core, inputs = make(name, dtype=torch.float32), torch.randn(2, 6, 3)
    with torch.no_grad():
        core.interface.bias[-4:] += 5  # gates open
    inputs[1, 3] = bad
    state = core.initial_state(2)
    if bad == 1e30:  # which a saturated controller would hide
        inputs[1, 3] = 0
        with torch.no_grad():
            core.interface.weight[9] = bad
    with pytest.raises(UnstorableError, match="NaN in the inputs"):
        memory.unroll(core, inputs, state)
    with pytest.raises(memory.sparse.store.StaleStateError):
        memory.unroll(core, inputs, state)


def test_large_numbers_that_fit_are_looked_at_and_stored():
    """A bound that only grows would refuse them after a few writes."""
    core, inputs = make("sam"), torch.randn(2, 6, 3, dtype=torch.float64)
    state = core.initial_state(2)
    state.memory.store.bounds.peak = state.memory.store.bounds.limit
    outputs, last = memory.unroll(core, inputs, state)
    assert torch.equal(outputs, memory.unroll(core, inputs)[0])
    assert last.memory.store.bounds.peak <= last.memory.store.bounds.limit


@EVERY_CORE
def test_second_derivatives_are_refused(name: str):
    core, inputs = make(name), torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    outputs, _ = memory.unroll(core, inputs)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(outputs.square().sum(), inputs, create_graph=True)


@EVERY_CORE
def test_what_is_said_of_each_kind_of_call(name: str):
    core, inputs = make(name, dtype=torch.float32), torch.randn(2, 5, 3)
    _, state = memory.unroll(core, inputs)
    assert memory.why_slow(core, inputs, state) == "this call runs the whole sequence in native code"
    with memory.step_by_step():
        assert "asks for the equations" in memory.why_slow(core, inputs)
    assert ("single step" in memory.why_slow(core, inputs[:, :1])) == (name == "sam")
    with memory.record(core) as recording:
        assert "it is recorded" in memory.why_slow(core, inputs)
        memory.unroll(core, inputs)
    assert len(recording.steps) == 5
    with state.memory.journalling():
        assert "keeps a journal" in memory.why_slow(core, inputs, state)
    assert "index is 'lsh'" in memory.why_slow(make(name, dtype=torch.float32, slots=8, index="lsh"), inputs)
    halves = make(name, dtype=torch.float32, slots=8, storage="float16")
    assert "keeps torch.float16" in memory.why_slow(halves, inputs)
    assert "not of the shapes" in memory.why_slow(make(name, dtype=torch.float32, slots=8, reads=1), inputs, state)
    with torch.autocast("cpu", torch.bfloat16):
        assert "autocast" in memory.why_slow(core, inputs)


def test_links_that_are_followed_take_the_equations():
    core, inputs = make("sdnc", dtype=torch.float32), torch.randn(2, 5, 3)
    state = core.initial_state(2)
    with state.links.journalling():
        assert "links keep a journal" in memory.why_slow(core, inputs, state)


@EVERY_CORE
def test_a_memory_that_has_grown_goes_on(name: str):
    core, inputs = make(name), torch.randn(2, 5, 3, dtype=torch.float64)
    found = []
    for by_steps in (False, True):
        with memory.step_by_step() if by_steps else nullcontext(), torch.no_grad():
            _, state = memory.unroll(core, inputs)
            found.append(memory.unroll(core, inputs, state._replace(memory=state.memory.grow(40)))[0])
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)
