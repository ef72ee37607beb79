"""What surrounds the computation of every core: files, dtypes, sizes, recordings, refusals; over the same table.

Legend: B batch, T time, D input width.
"""

import copy
import io

import pytest
import torch
from torch import Tensor

from lukasa import memory
from tests.memory.core_rows import CLOSE, EVERY_CORE, SAME, Row, assert_same_state, make, sequences
from tests.memory.samples import lively_core, reached_state


@EVERY_CORE
def test_state_survives_a_dict_and_a_file(row: Row):
    core, inputs, state = make(row), sequences(), reached_state(make(row), 3)
    file = io.BytesIO()
    torch.save(memory.state_to_dict(state), file)
    file.seek(0)
    restored = memory.state_from_dict(core, torch.load(file, weights_only=True))
    assert_same_state(restored, state, **SAME)
    (outputs, last), (expected, expected_last) = (memory.unroll(core, inputs, one) for one in (restored, state))
    torch.testing.assert_close(outputs, expected, **SAME)
    assert_same_state(last, expected_last, **SAME)


@EVERY_CORE
def test_initial_state_survives_a_dict_and_a_file(row: Row):
    core = make(row)
    file = io.BytesIO()
    torch.save(memory.state_to_dict(memory.detach_state(core.initial_state(3))), file)
    file.seek(0)
    restored = memory.state_from_dict(core, torch.load(file, weights_only=True))
    assert_same_state(restored, memory.detach_state(core.initial_state(3)), **SAME)


@EVERY_CORE
def test_parameters_survive_a_file(row: Row):
    core, other = make(row), lively_core(row.core, seed=99, **row.options)
    file = io.BytesIO()
    torch.save(core.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    for twin in (other, copy.deepcopy(core)):
        (outputs, last), (expected, expected_last) = (memory.unroll(one, sequences()) for one in (twin, core))
        torch.testing.assert_close(outputs, expected, **SAME)
        assert_same_state(last, expected_last, **SAME)


@EVERY_CORE
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batch_sizes(row: Row, batch_size: int):
    core, inputs = make(row), sequences(5)
    outputs, state = memory.unroll(core, inputs[:batch_size])
    assert outputs.shape == (batch_size, 6, 2)
    assert all(len(tensor) == batch_size for tensor in memory.state_to_dict(state).values())
    torch.testing.assert_close(outputs, memory.unroll(core, inputs)[0][:batch_size], **CLOSE)


@EVERY_CORE
@pytest.mark.parametrize("learns", [False, True])
def test_a_batch_may_be_empty(row: Row, learns: bool):
    core, inputs = make(row).train(learns), sequences()[:0]
    with torch.set_grad_enabled(learns):
        for starts in (None, torch.zeros(0, 6, dtype=torch.bool)):
            assert memory.unroll(core, inputs, None, starts)[0].shape == (0, 6, 2)
        assert core(inputs[:, 0], core.initial_state(0))[0].shape == (0, 2)


@EVERY_CORE
@pytest.mark.parametrize("starts", [None, torch.zeros(3, 0, dtype=torch.bool)], ids=["no starts", "empty starts"])
def test_sequence_of_length_zero_has_no_outputs_and_leaves_the_state(row: Row, starts: Tensor | None):
    core, state = make(row), reached_state(make(row), 3)
    outputs, last = memory.unroll(core, sequences()[:, :0], state, starts)
    assert outputs.shape == (3, 0, 2)
    assert outputs.dtype == torch.float64
    assert_same_state(last, state, **SAME)
    assert_same_state(memory.unroll(core, sequences()[:, :0])[1], core.initial_state(3), **SAME)


@EVERY_CORE
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_of_the_core_is_kept(row: Row, dtype: torch.dtype):
    core, inputs = make(row).to(dtype), sequences().to(dtype)
    outputs, state = memory.unroll(core, inputs)
    assert outputs.dtype == dtype
    for name, tensor in (memory.state_to_dict(core.initial_state(3)) | memory.state_to_dict(state)).items():
        if tensor.is_floating_point() and not name.startswith("links."):  # logarithms that sums go into, kept whole
            assert tensor.dtype == dtype, name
    truth, _ = memory.unroll(core.double(), inputs.double())
    torch.testing.assert_close(outputs.double(), truth, rtol=0, atol=1e-4)  # float32 over six steps of wide gates


@EVERY_CORE
def test_recording_holds_the_documented_weights_and_changes_nothing(row: Row):
    core, inputs, state = make(row), sequences(), reached_state(make(row), 3)
    plain, plain_last = memory.unroll(core, inputs, memory.fork_state(state))
    with memory.record(core) as recording:
        watched_run, watched_last = memory.unroll(core, inputs, memory.fork_state(state))
    shapes = {name: tuple(tensor.shape) for name, tensor in recording.stacked().items()}
    assert shapes.items() >= {name: (3, 6, *shape) for name, shape in row.recorded.items()}.items()
    assert all(shape[:2] == (3, 6) for shape in shapes.values())
    torch.testing.assert_close(watched_run, plain, **CLOSE)  # a core with a whole-sequence path sums in another order
    assert_same_state(watched_last, plain_last, **CLOSE)
    memory.unroll(core, inputs, state)
    assert len(recording.steps) == 6, "recorded after the block had ended"


@EVERY_CORE
def test_recorded_weights_are_those_of_the_state(row: Row):
    core, inputs = make(row), sequences()
    with memory.record(core) as recording:
        _, state = memory.unroll(core, inputs)
    fields, weights = memory.state_to_dict(state), recording.stacked()
    for name, field in (("read", "read_weights"), ("memory", "memory"), ("usage", "usage"), ("links", "links")):
        if name in weights and field in fields and "read_slots" not in fields:
            torch.testing.assert_close(weights[name][:, -1], fields[field], **SAME)
    if "read_slots" in fields:
        shown = weights["read"][:, -1].gather(2, fields["read_slots"].clamp_min(0))
        torch.testing.assert_close(shown.where(fields["read_slots"] >= 0, 0), fields["read_weights"], **SAME)
    if "write_weights" in fields:
        torch.testing.assert_close(weights["write"][:, -1].flatten(), fields["write_weights"].flatten(), **SAME)


@EVERY_CORE
def test_recordings_nest_and_end_after_an_error(row: Row):
    core, inputs = make(row), sequences()
    state = core.initial_state(3)
    with memory.record(core) as outer:
        with memory.record(core) as inner:
            core(inputs[:, 0], memory.fork_state(state))
        core(inputs[:, 0], memory.fork_state(state))
    assert (len(inner.steps), len(outer.steps)) == (1, 1)

    def fail_while_recording() -> None:
        with memory.record(core):
            core(inputs[:, 0, :2], state)

    with pytest.raises(ValueError, match="inputs"):
        fail_while_recording()
    assert core.recorder is None


@EVERY_CORE
def test_a_step_changes_neither_its_arguments_nor_the_core(row: Row):
    core, inputs, state = make(row), sequences(), reached_state(make(row), 3)
    held = {**memory.state_to_dict(state), "inputs": inputs, **core.state_dict()}
    before = {name: tensor.clone() for name, tensor in held.items()}
    twin = memory.fork_state(state)
    first, first_last = memory.unroll(core, inputs, state)
    torch.testing.assert_close(held, before, **SAME)
    again, again_last = memory.unroll(core, inputs, twin)  # the state itself, unless a sparse memory was changed in it
    torch.testing.assert_close(again, first, **SAME)
    assert_same_state(again_last, first_last, **SAME)


@EVERY_CORE
def test_input_of_another_shape_is_refused(row: Row):
    core = make(row)
    state = core.initial_state(2)
    with pytest.raises(ValueError, match=r"inputs \[2, 4\] do not fit"):
        core(torch.zeros(2, 4).double(), state)
    with pytest.raises(ValueError, match=r"inputs \[3\] do not fit"):
        core(torch.zeros(3).double(), state)
    with pytest.raises(ValueError, match=r"inputs \[2, 3\] do not fit this core: expected \[batch, time, 3\]"):
        memory.unroll(core, torch.zeros(2, 3).double())
    for bad in (torch.zeros(2, 4, dtype=torch.bool), torch.zeros(2, 5)):
        with pytest.raises(ValueError, match=r"starts .* do not fit inputs \[2, 5, 3\].*: expected bool \[2, 5\]"):
            memory.unroll(core, torch.zeros(2, 5, 3).double(), None, bad)


@EVERY_CORE
def test_input_of_another_dtype_is_refused(row: Row):
    core = make(row)
    with pytest.raises(ValueError, match=r"float32.*float64|float64.*float32"):
        core(torch.zeros(2, 3), core.initial_state(2))
    with pytest.raises(ValueError, match=r"float32.*float64|float64.*float32"):
        memory.unroll(core, torch.zeros(2, 5, 3))


@EVERY_CORE
def test_state_of_another_batch_size_is_refused(row: Row):
    core = make(row)
    if not memory.state_to_dict(core.initial_state(1)):
        pytest.skip("this core has no state")
    with pytest.raises(ValueError, match=r"4.*3|3.*4"):
        memory.unroll(core, torch.zeros(3, 5, 3).double(), core.initial_state(4))
