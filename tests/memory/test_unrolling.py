"""What ``unroll`` is given: packed sequences, and what is not what it needs.

Legend: B batch, T time, D input width.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lukasa import memory
from tests.memory.core_rows import CLOSE, EVERY_CORE, ROWS, Row, make, rows_of, sequences
from tests.memory.gradients import assert_gradients_close
from tests.memory.samples import reached_state

LENGTHS = {"sorted": [6, 3, 2], "unsorted, two alike": [2, 6, 2, 5], "alike": [4, 4], "alone": [3], "one step": [1, 3]}


@EVERY_CORE
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_a_packed_sequence_ends_each_row_with_its_own_last_step(row: Row, lengths: list[int]):
    """Outputs, states and gradients of each row are those of the row alone; resets too."""
    core, inputs = make(row), sequences(len(lengths), max(lengths)).requires_grad_()
    start = reached_state(core, len(lengths))
    starts = torch.zeros(len(lengths), max(lengths), dtype=torch.bool)
    starts[-1, lengths[-1] // 2] = True
    starts[0, lengths[0] :] = True  # behind the end, where nothing is read
    alone, ends = [], []
    for index, length in enumerate(lengths):
        this = slice(index, index + 1)
        own = rows_of(core, start, this)
        outputs, state = memory.unroll(core, inputs[this, :length], own, starts[this, :length])
        alone.append(outputs)
        ends.append(state)
    expected = torch.autograd.grad(sum((one.square().sum() for one in alone), torch.tensor(0.0)), inputs)[0]

    packed = pack_padded_sequence(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    found, last = memory.unroll(core, packed, start, starts)
    outputs, ran = pad_packed_sequence(found, batch_first=True)
    assert ran.tolist() == lengths
    for index, length in enumerate(lengths):
        torch.testing.assert_close(outputs[index : index + 1, :length], alone[index], **CLOSE)
        own = memory.state_to_dict(rows_of(core, last, slice(index, index + 1)))
        for name, tensor in memory.state_to_dict(ends[index]).items():
            width = tensor.shape[1] if tensor.dim() > 1 else None
            torch.testing.assert_close(own[name][:, :width] if width is not None else own[name], tensor, **CLOSE)
    assert_gradients_close(torch.autograd.grad(outputs.square().sum(), inputs), [expected], **CLOSE)


def cases(core: memory.Core) -> dict[str, tuple[Callable[[Tensor], Any], type[Exception], str]]:
    fresh = core.initial_state(3)
    other = make(ROWS["gru" if "NTM" in type(fresh).__name__ else "ntm-lstm"]).initial_state(3)
    run: Any = memory.unroll
    return {
        "array": (lambda x: run(core, x.numpy()), TypeError, "inputs are a ndarray: expected a tensor"),
        "list": (lambda x: run(core, x.tolist()), TypeError, "inputs are a list: expected a tensor"),
        "list at a step": (lambda x: core(x[:, 0].tolist(), fresh), TypeError, "inputs are a list: expected a tensor"),
        "sparse": (lambda x: run(core, x.to_sparse()), ValueError, "inputs are a sparse tensor: expected a dense one"),
        "device": (lambda x: run(core, x.to("meta")), ValueError, "inputs are on meta and the core on cpu"),
        "starts": (lambda x: run(core, x, None, [[False] * 6] * 3), TypeError, "starts are a list: expected a tensor"),
        "dict": (lambda x: run(core, x, memory.state_to_dict(fresh)), TypeError, "state_from_dict.* makes one"),
        "tuple": (lambda x: run(core, x, (1, 2)), TypeError, "state is a tuple: expected what core.initial_state"),
        "other core": (lambda x: run(core, x, other), ValueError, "it is of another core"),
        "no core": (lambda x: run(nn.LSTM(3, 2), x), TypeError, "LSTM is not a memory core"),
    }


@pytest.mark.parametrize(
    "name",
    ["ntm-lstm", "dnc-gru", "sam-lstm", "sdnc-gru", "dam-lstm", "mann-lstm", "snail", "gtrxl", "compressive", "lstm"],
)
def test_what_does_not_fit_is_refused_in_a_sentence(name: str):
    core = make(ROWS[name])
    for wrong, (run, error, sentence) in cases(core).items():
        with pytest.raises(error, match=sentence):
            run(sequences())
        assert wrong
    single = make(ROWS[name]).float().initial_state(3)
    with pytest.raises(ValueError, match=r"state tensor '\w.*' is .* of torch.float32 .* this core needs .*float64"):
        memory.unroll(core, sequences(), single)


@EVERY_CORE
def test_an_empty_batch_has_empty_outputs(row: Row):
    core, inputs = make(row), sequences(2, 3)[:0].requires_grad_()
    outputs, state = memory.unroll(core, inputs)
    assert outputs.shape == (0, 3, 2)
    outputs.sum().backward()
    assert all(len(tensor) == 0 for tensor in memory.state_to_dict(state).values())
