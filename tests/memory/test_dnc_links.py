"""The links of a DNC in native code: worked out anew for the way back, whatever the length of a sequence and the size.

Legend: B batch, T time, D input width, N slots.
"""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import Tensor

from lukasa import memory
from tests.memory.programs import TOLERANCE, Program, compare, results
from tests.memory.samples import Sampler, lively_core
from tests.memory.threads import native_threads

pytest.importorskip("numba")
from lukasa.memory.kernels.sequence import dnc_access
from lukasa.memory.kernels.sequence.dnc_restoring import BASES, EVERY, checkpoints_for, steps_apart

LONG = EVERY * BASES
"""Steps from which on checkpoints are kept."""
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 17)


def reached(core: memory.Core, rows: int) -> dict[str, Tensor]:
    """A state with links all over, whose slots are used so differently that no two tie for long."""
    draw, slots, heads = Sampler(5), core.slots, core.read_heads
    with torch.no_grad():
        fields = memory.state_to_dict(core.initial_state(rows)).items()
    state = {name: draw.normal(*tensor.shape) if tensor.dim() == 3 else tensor for name, tensor in fields}
    state |= {"usage": draw.distinct(rows, slots), "links": draw.links(rows, slots)}
    state |= {"precedence": draw.weighting(rows, slots), "write_weights": draw.weighting(rows, slots)}
    state["read_weights"] = draw.weighting(rows, heads, slots)
    dtype = core.interface.weight.dtype
    return {name: tensor.to(dtype).clone() for name, tensor in state.items()}


def sequence(
    steps: int,
    rows: int = 2,
    dtype: torch.dtype = torch.float64,
    resets: float = 0.0,
    state: bool = False,
    **options: int,
) -> Program:
    """A lively core and its inputs, from a fresh state or from one with links."""
    sizes = {"slots": 5, "word_size": 3, "read_heads": 2, "controller_size": 4, **options}
    core = lively_core("dnc", **sizes).to(dtype)
    inputs = 2 * Sampler(steps).normal(rows, steps, 3).to(dtype)
    starts = torch.rand(rows, steps, generator=torch.Generator().manual_seed(steps)) < resets if resets else None
    return Program("dnc", {"steps": steps, **options}, core, inputs, reached(core, rows) if state else None, starts)


def checkpoints_every(bases: int):
    """Checkpoints that lie so many bases apart, where there would be none yet."""
    return mock.patch.object(
        dnc_access, "checkpoints_for", lambda steps: max(0, -(-steps // (EVERY * bases)) - 1) if steps > 2 else 0
    )


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("resets", [0.0, 0.3])
def test_lengths_around_the_bases(dtype: torch.dtype, resets: float):
    for steps in LENGTHS:
        assert compare(sequence(steps, dtype=dtype, resets=resets, state=steps % 2 == 0))


@pytest.mark.parametrize("bases", [1, 2, 3])
@pytest.mark.parametrize("resets", [0.0, 0.3])
def test_lengths_around_the_checkpoints(bases: int, resets: float):
    apart = EVERY * bases
    for steps in (1, apart - 1, apart, apart + 1, 2 * apart - 1, 2 * apart, 2 * apart + 1, 4 * apart + 2):
        with checkpoints_every(bases):
            assert compare(sequence(steps, resets=resets, state=True))


@pytest.mark.parametrize("steps", [LONG - 1, LONG, LONG + 1, 2 * LONG, 2 * LONG + 1])
def test_lengths_from_which_on_checkpoints_are_kept(steps: int):
    """Without a patch, and with a reset before, at and after the step at which a checkpoint lies."""
    one = sequence(steps, rows=4, slots=4, read_heads=1)
    starts = torch.zeros(4, steps, dtype=torch.bool)
    apart = steps_apart(steps, checkpoints_for(steps))
    for row, step in enumerate((apart - 1, apart, apart + 1)):
        starts[row, step % steps] = True
    assert compare(one._replace(starts=starts))


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 66])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_sizes_around_the_rows_that_are_worked_on_together(slots: int, dtype: torch.dtype):
    for heads in range(1, min(slots, 5) + 1):
        assert compare(sequence(6, dtype=dtype, state=True, slots=slots, read_heads=heads))


def test_a_reset_at_each_step_in_turn():
    for step in range(10):
        one = sequence(10, state=True)
        starts = torch.zeros(2, 10, dtype=torch.bool)
        starts[0, step] = True
        with checkpoints_every(2):
            assert compare(one._replace(starts=starts))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_same_bits_wherever_the_checkpoints_lie_and_on_any_number_of_threads(dtype: torch.dtype):
    one = sequence(30, rows=9, dtype=dtype, resets=0.1, state=True, slots=13)
    expected = results(one, stepwise=False)
    for threads, bases in ((1, 1), (2, 2), (3, 3), (2, BASES)):
        with checkpoints_every(bases), native_threads(threads):
            found = results(one, stepwise=False)
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_links_shown_by_a_recording_carry_gradients_from_every_step():
    """What was recorded is no part of what backward works with."""
    core, found = lively_core("dnc", slots=6, word_size=3, read_heads=2, controller_size=4), []
    inputs = Sampler(1).normal(3, 9, 3).requires_grad_()
    starts = torch.zeros(3, 9, dtype=torch.bool)
    starts[1, 4] = starts[2, 6] = True
    for stepwise in (False, True):
        with memory.step_by_step() if stepwise else torch.enable_grad(), memory.record(core) as recording:
            memory.unroll(core, inputs, None, starts)
        links = recording.stacked()["links"]
        loss = (links * links.detach().cos()).sum()
        found.append((links, *torch.autograd.grad(loss, [inputs, core.interface.weight])))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-10)


def test_the_last_links_can_be_changed_before_the_way_back():
    one = sequence(6)
    inputs = one.inputs.clone().requires_grad_()
    gradients = []
    for changed in (False, True):
        outputs, last = memory.unroll(one.core, inputs)
        if changed:
            with torch.no_grad():
                last.links.fill_(7)
        gradients.append(torch.autograd.grad(outputs.square().sum(), inputs)[0])
    assert torch.equal(gradients[0], gradients[1])


def peak(core: memory.Core, inputs: Tensor) -> int:
    """The most bytes in tensors at once, forward and backward."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        memory.unroll(core, inputs)[0].square().sum().backward()
    events = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    held = most = 0
    for _, change in sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"):
        held += change
        most = max(most, held)
    return most


def test_memory_does_not_grow_by_the_links_of_every_step():
    """By the root of the length, and by what takes N numbers a step."""
    rows, slots = 2, 256
    core = memory.make_core(
        "dnc", input_size=3, output_size=2, slots=slots, word_size=2, read_heads=1, controller_size=4
    )
    memory.unroll(core, torch.zeros(rows, 5, 3))[0].sum().backward()
    links = slots * slots * 4
    small = LONG * slots * 40 * 4 / links  # numbers of a slot and step, both ways
    for root in (1, 2, 4):
        steps = root**2 * LONG
        found = peak(core, torch.zeros(rows, steps, 3)) / links / rows
        assert found < root * (BASES + 1) + 1 + root**2 * small < steps / 2
