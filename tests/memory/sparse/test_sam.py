"""SAM as a whole against the dense float64 loop with the same selected slots, and what the paper promises.

Legend: B batch, T time, D input width, H heads, N slots, W word size, C slots that a head reads.
"""

import math
import multiprocessing
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lukasa import memory
from lukasa.memory.sparse.store import StaleStateError
from lukasa.memory.sparse.weightings import sparse_content_weights
from tests.memory.interface import raw_gate, steer
from tests.memory.samples import Sampler, lively_core
from tests.memory.sparse.dense import DenseSAM

CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-10}
WIDE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}  # gradients of hundreds
SMALL: dict[str, Any] = {"word_size": 3, "controller_size": 4, "index": "exact"}
few_runs = settings(derandomize=True, deadline=None, max_examples=30, database=None)


def sam(**options: Any) -> Any:
    return lively_core("sam", **{**SMALL, **options})


def gradients(core: memory.Core, loss: Tensor, inputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, [inputs, *core.parameters()]))


def nearest(memory_rows: Tensor, keys: Tensor, used: int, count: int) -> list[int]:
    """Slots by descending cosine, ties to the lowest."""
    scores = torch.nn.functional.cosine_similarity(memory_rows[:used], keys.unsqueeze(0), dim=1, eps=0).nan_to_num()
    order = sorted(range(used), key=lambda slot: (-round(float(scores[slot]), 12), slot))
    return sorted(order[:count])


@few_runs
@given(
    seed=st.integers(0, 2**31),
    slots=st.integers(2, 9),
    heads=st.integers(1, 2),
    reads=st.integers(1, 2),
    cut=st.integers(0, 9),
)
def test_runs_with_resets_reuse_and_truncation_equal_the_dense_loop(
    seed: int, slots: int, heads: int, reads: int, cut: int
):
    """Few slots, so that they are re-used, shared by heads and read while they are the oldest; cut: a detached step."""
    core = sam(slots=slots, heads=heads, reads=reads, seed=seed % 1000)
    sampler = Sampler(seed)
    inputs = (2 * sampler.normal(2, 10, 3)).requires_grad_()
    starts = torch.rand(2, 10, generator=sampler.generator) < 0.15
    state, truth = core.initial_state(2), DenseSAM(core, 2)
    outputs, expected = [], []
    for time in range(10):
        if time == cut:
            state = memory.detach_state(state)
            truth.detach()
        state = memory.reset_rows(state, core.initial_state(2), starts[:, time])
        truth.reset(starts[:, time].tolist())
        assert state.memory.least_recent(heads).tolist() == [ring.least_recent(heads) for ring in truth.rings]
        output, state = core(inputs[:, time], state)
        outputs.append(output)
        expected.append(truth.step(inputs[:, time], state.read_slots.tolist()))
    torch.testing.assert_close(torch.stack(outputs), torch.stack(expected), **CLOSE)
    rows = state.memory.tensors()["rows"]
    torch.testing.assert_close(rows, truth.memory[:, : rows.shape[1]], **CLOSE)
    factor = sampler.normal(*rows.shape)
    loss = torch.stack(outputs).square().sum() + (factor * rows).sum()
    dense_loss = torch.stack(expected).square().sum() + (factor * truth.memory[:, : rows.shape[1]]).sum()
    torch.testing.assert_close(gradients(core, loss, inputs), gradients(core, dense_loss, inputs), **WIDE)


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_gradients_of_steps_equal_finite_differences(controller: str):
    """With respect to inputs and to what the memory holds at first."""
    core = sam(slots=4, heads=2, reads=2, controller=controller)
    with torch.no_grad():
        _, state = memory.unroll(core, Sampler(1).normal(1, 3, 3))
    flat = memory.state_to_dict(state)
    fixed = {name: tensor for name, tensor in flat.items() if not tensor.is_floating_point()}
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in flat.items() if name not in fixed}

    def run(inputs: Tensor, *fields: Tensor) -> tuple[Tensor, ...]:
        start = memory.state_from_dict(core, {**fixed, **dict(zip(leaves, fields, strict=True))})
        outputs, last = memory.unroll(core, inputs, start)
        return outputs, last.memory.tensors()["rows"], last.read_weights

    assert torch.autograd.gradcheck(run, (Sampler(2).normal(1, 2, 3).requires_grad_(), *leaves.values()))


def test_slots_read_are_the_nearest_by_cosine():
    core = sam(slots=12, heads=2, reads=3)
    inputs, state = 2 * Sampler(3).normal(2, 20, 3), core.initial_state(2)
    for x in inputs.unbind(1):
        hidden, _ = core.controller(torch.cat([x, state.reads.flatten(1)], 1), state.controller)
        keys = core.parse(core.interface(hidden)).keys
        _, state = core(x, state)
        rows, used = state.memory.tensors()["rows"].detach(), state.memory.used.tolist()
        for b in range(2):
            for head in range(2):
                expected = nearest(rows[b], keys[b, head].detach(), used[b], 3)
                assert sorted(s for s in state.read_slots[b, head].tolist() if s >= 0) == expected


def test_first_step_reads_its_own_write_and_marks_what_is_missing():
    core = sam(slots=8, heads=1, reads=3)
    _, state = core(Sampler(0).normal(1, 3), core.initial_state(1))
    assert state.read_slots.tolist() == [[[0, -1, -1]]]
    assert state.read_weights.tolist() == [[[1, 0, 0]]]
    torch.testing.assert_close(state.reads, state.memory.tensors()["rows"], **CLOSE)


def test_a_head_that_finds_nothing_reads_zeros():
    rows, slots = torch.zeros(1, 2, 3, 4), torch.tensor([[[-1, -1, -1], [5, -1, -1]]])
    weights = sparse_content_weights(rows, slots, torch.ones(1, 2, 4), torch.ones(1, 2))
    assert weights.tolist() == [[[0, 0, 0], [1, 0, 0]]]


def test_each_head_writes_to_a_slot_of_its_own_and_full_memory_reuses_the_oldest():
    core = sam(slots=6, heads=2, reads=2)
    told = {"write_gates": raw_gate(1, 2), "interpolation_gates": raw_gate(0, 2), "words": torch.ones(2, 3)}
    steer(core, **told, keys=torch.ones(2, 3))
    with memory.record(core) as recording:
        memory.unroll(core, torch.zeros(1, 4, 3).double())
    written = recording.stacked()["write"].argmax(-1)[0].tolist()
    # Reads go to the slots 0 and 1, the lowest of equals: they are accessed at every step and so never the oldest.
    assert written == [[0, 1], [2, 3], [4, 5], [2, 3]]


def test_closed_write_gate_leaves_the_memory_and_hands_out_the_same_slots_again():
    core = sam(slots=8, heads=2, reads=2)
    steer(core, write_gates=raw_gate(0, 2))
    with memory.record(core) as recording:
        _, state = memory.unroll(core, torch.zeros(1, 5, 3).double())
    assert state.memory.tensors()["rows"].abs().max() < 1e-20
    assert recording.stacked()["write"].sum() < 1e-20


def test_stale_state_says_so():
    core = sam(slots=8)
    state = core.initial_state(1)
    core(torch.zeros(1, 3).double(), state)
    with pytest.raises(StaleStateError, match=r"version 0 of 2; use the newest state, or fork\(\) before branching"):
        core(torch.zeros(1, 3).double(), state)


def test_forked_state_branches():
    core, inputs = sam(slots=8), Sampler(5).normal(1, 6, 3)
    _, state = memory.unroll(core, inputs)
    twin = memory.fork_state(state)
    torch.testing.assert_close(
        memory.unroll(core, inputs, twin)[0], memory.unroll(core, inputs, state)[0], rtol=0, atol=0
    )


@pytest.mark.parametrize(("option", "value"), [("reads", 9), ("heads", 9)])
def test_more_reads_or_heads_than_slots_are_refused(option: str, value: int):
    with pytest.raises(ValueError, match=f"'{option}' of core 'sam' is 9: expected at most 8"):
        sam(slots=8, **{option: value})


def test_recording_of_a_large_memory_shows_slots_and_weights():
    core = sam(slots=5000, heads=2, reads=3)
    with memory.record(core) as recording:
        memory.unroll(core, torch.zeros(1, 2, 3).double())
    shapes = {name: list(tensor.shape) for name, tensor in recording.stacked().items()}
    assert shapes == {
        **{"read_slots": [1, 2, 2, 3], "read_weights": [1, 2, 2, 3]},
        **{"write_slots": [1, 2, 2, 4], "write_weights": [1, 2, 2, 4]},
        **{"least_used_slots": [1, 2, 2, 1], "least_used_weights": [1, 2, 2, 1]},
        **{"write_gates": [1, 2, 2], "interpolation_gates": [1, 2, 2], "strengths": [1, 2, 2]},
    }


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_halves_store_half_the_bytes_and_compute_in_float32(storage: str):
    torch.manual_seed(0)
    core: Any = memory.make_core("sam", input_size=3, output_size=2, **{**SMALL, "slots": 8, "storage": storage})
    full: Any = memory.make_core("sam", input_size=3, output_size=2, **{**SMALL, "slots": 8})
    full.load_state_dict(core.state_dict())
    inputs = torch.randn(1, 12, 3)
    outputs, state = memory.unroll(core, inputs)
    assert state.memory.store.rows.itemsize == 2
    assert outputs.dtype == state.reads.dtype == torch.float32
    torch.testing.assert_close(outputs, memory.unroll(full, inputs)[0], rtol=0, atol=0.01)
    outputs.square().sum().backward()
    assert all(parameter.grad is not None for parameter in core.parameters())


LONG = 100_000
KIB_A_STEP = 32
"""What a step of the core below may keep for backward, most of it nodes of the graph: 3.1 GiB in all."""


def peak_kib() -> int:
    """The most memory that this process ever held."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def backpropagate(steps: int) -> tuple[int, dict[str, float]]:
    """The extra memory (KiB) that a sequence takes as one graph, and the size of each gradient of its last output."""
    torch.set_num_threads(1)
    core = sam(index="auto", slots=1 << 14, heads=1, controller="feedforward").float()
    inputs = Sampler(0).normal(1, steps, 3).float()
    memory.unroll(core, inputs[:, :100])[0].sum().backward()
    core.zero_grad()
    before = peak_kib()
    outputs, state = memory.unroll(core, inputs)
    assert int(state.memory.used) == min(steps, core.slots)
    outputs[:, -1].sum().backward()
    return peak_kib() - before, {name: float(one.grad.norm()) for name, one in core.named_parameters()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_long_sequence_is_backpropagated_without_truncation_in_bounded_memory():
    """In a process of its own, whose memory nothing else has held."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        kib, norms = pool.apply(backpropagate, (LONG,))
    print(f"{kib / LONG:.1f} KiB a step")
    assert kib < KIB_A_STEP * LONG
    assert all(math.isfinite(norm) and norm > 0 for norm in norms.values())
