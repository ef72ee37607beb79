"""A part of the state wiped before every step, for every core.

Legend: B batch, T time.
"""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.memory.ablation import PARTS, wipe, without
from lukasa.memory.core import Core, WholeSequence
from tests.memory.core_rows import EVERY_CORE, ROWS, SAME, Row, assert_same_state, make, sequences

CASES = [(name, part) for name, row in ROWS.items() for part in memory.state_parts(make(row))]
EVERY_CASE = pytest.mark.parametrize(("name", "part"), CASES, ids=["-".join(case) for case in CASES])
RECURRENT = ("lstm", "gru", "mingru", "lru", "ffm")
WHOLE = ("snail", "gtrxl", "compressive_transformer", "mqn", "rmqn", "gated_deltanet", "mlstm", "shm")


def by_hand(core: Core, inputs: Tensor, part: str) -> tuple[Tensor, Any]:
    """Every step from a state put together anew: tensors of the part as at first, those of the other as they were."""
    state = core.initial_state(len(inputs))
    outputs = []
    for step in inputs.unbind(1):
        fresh = memory.state_to_dict(core.initial_state(len(inputs)))
        carried = memory.state_to_dict(state)
        chosen = {
            name: fresh[name]
            if part == "both" or (part == "controller") == name.startswith("controller.")
            else carried[name]
            for name in carried
        }
        # What is written of a sparse memory has as many rows as were written: a state without any has fresh sizes.
        output, state = core(step, memory.state_from_dict(core, chosen))
        outputs.append(output)
    return torch.stack(outputs, 1), state


@EVERY_CASE
def test_each_step_begins_with_the_part_as_it_was_at_first_and_the_other_as_it_was_left(name: str, part: str):
    core, inputs = make(ROWS[name]), sequences()
    with memory.step_by_step():
        outputs, state = memory.unroll(without(core, part), inputs)
        expected, last = by_hand(core, inputs, part)
    torch.testing.assert_close(outputs, expected, **SAME)
    assert_same_state(state, last, **SAME)


@EVERY_CASE
def test_what_is_wiped_changes_nothing_before_the_second_step_and_everything_from_it_on(name: str, part: str):
    core, inputs = make(ROWS[name]), sequences()
    intact, _ = memory.unroll(core, inputs)
    wiped, _ = memory.unroll(without(core, part), inputs)
    with memory.step_by_step():  # as a wiped core goes
        first, _ = memory.unroll(core, inputs[:, :1])
    torch.testing.assert_close(wiped[:, 0], first[:, 0], **SAME)
    assert (wiped[:, 1:] - intact[:, 1:]).abs().amax() > 1e-6


@EVERY_CASE
def test_wiped_once_the_steps_before_leave_no_trace_of_the_part(name: str, part: str):
    """Other steps before, the same other part: what follows is the same."""
    core = make(ROWS[name])
    first, other = (memory.unroll(core, sequences(seed=seed))[1] for seed in (1, 2))
    carried = memory.state_to_dict(first)
    wiped, again = (memory.state_to_dict(wipe(core, state, part)) for state in (first, other))
    fresh = memory.state_to_dict(core.initial_state(3))
    for name_of, tensor in wiped.items():
        if part == "both" or (part == "controller") == name_of.startswith("controller."):
            torch.testing.assert_close((tensor, again[name_of]), (fresh[name_of], fresh[name_of]), **SAME)
        else:
            torch.testing.assert_close(tensor, carried[name_of], **SAME)


@EVERY_CORE
def test_parts_are_what_the_core_carries(row: Row):
    name, options, expected = row.core, row.options, PARTS
    if name == "act":
        name, options = options.get("core", "lstm"), options["core_options"]
    if name == "feedforward":
        expected = ()
    elif name == "direct_access":
        expected = ("memory",)  # nothing but its controller's state
    elif name in ("rmqn", "frmqn"):
        expected = PARTS
    elif name == "lmu":
        expected = ("memory",) if options.get("parallel") else PARTS
    elif "recurrent" in memory.core_options(name):
        expected = PARTS if options.get("recurrent", True) else ("memory",)
    elif "controller" not in memory.core_options(name) or options.get("controller") == "feedforward":
        expected = ("memory",)
    assert memory.state_parts(make(row)) == expected


@EVERY_CASE
def test_starts_reset_what_is_left(name: str, part: str):
    core, inputs = without(make(ROWS[name]), part), sequences(length=4)
    starts = torch.zeros(3, 4, dtype=torch.bool)
    starts[:, 2] = True
    with memory.step_by_step():
        outputs, _ = memory.unroll(core, inputs, starts=starts)
        expected, _ = memory.unroll(core, inputs[:, 2:])
    torch.testing.assert_close(outputs[:, 2:], expected, **SAME)


@EVERY_CASE
def test_native_code_wipes_as_the_equations_do(name: str, part: str):
    core, inputs = without(make(ROWS[name]), part), sequences(length=4)
    for reset in (None, 2):
        starts = torch.zeros(3, 4, dtype=torch.bool)
        starts[:, reset or 0] = reset is not None
        with memory.step_by_step():
            expected, _ = memory.unroll(core, inputs, starts=starts)
        found, _ = memory.unroll(core, inputs, starts=starts)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.core in (*RECURRENT, *WHOLE)])
def test_whole_sequences_in_one_call_are_not_taken_past_the_wiping(name: str):
    core = make(ROWS[name])
    assert hasattr(core, "sequence")
    assert not isinstance(without(core, "memory"), WholeSequence)


@EVERY_CASE
def test_recording_sees_the_steps_of_the_wiped_core(name: str, part: str):
    core, inputs = make(ROWS[name]), sequences(length=4)
    wiped = without(core, part)
    with memory.record(core) as intact:
        memory.unroll(core, inputs)
    with memory.record(wiped) as recording:
        memory.unroll(wiped, inputs)
    shapes = [{name: tensor.shape for name, tensor in one.stacked().items()} for one in (intact, recording)]
    assert shapes[0] == shapes[1] != {}
    assert core.recorder is wiped.recorder is None


@pytest.mark.parametrize(
    ("name", "part", "told"),
    [
        ("ntm-lstm", "memry", "no part 'memry' to be wiped: did you mean 'memory'?"),
        ("ntm-lstm", "xyz", "known are memory, controller, both"),
        ("ntm-feedforward", "controller", "the controller of this core NTM is feed-forward and carries nothing"),
        ("sam-feedforward", "both", "only 'memory' can be wiped"),
        ("gru", "controller", "core GRU has no controller beside its memory, its whole state is one: wipe 'memory'"),
        ("snail", "both", "its whole state is one: wipe 'memory'"),
        ("feedforward", "memory", "core FeedForward carries nothing from one step to the next"),
    ],
)
def test_part_that_is_not_there_is_refused(name: str, part: str, told: str):
    with pytest.raises(ValueError, match=told.replace("?", r"\?")):
        without(make(ROWS[name]), part)


class OwnState(NamedTuple):
    sums: Tensor  # [B, 2]
    steps: Tensor  # int64 [B]
    controller: Any


class Own(Core):
    """A user's own core: a running sum beside a controller's count; no options, no registry."""

    def __init__(self) -> None:
        super().__init__()
        self.input_size = self.output_size = 2
        self.weight = nn.Parameter(torch.ones(1))

    def initial_state(self, batch_size: int) -> OwnState:
        zeros = self.weight.new_zeros(batch_size, 2)
        return OwnState(zeros, torch.zeros(batch_size, dtype=torch.int64), zeros)

    def forward(self, inputs: Tensor, state: OwnState) -> tuple[Tensor, OwnState]:
        after = OwnState(state.sums + inputs, state.steps + 1, state.controller + 1)
        return after.sums + 100 * after.controller + 10_000 * after.steps[:, None], after


@pytest.mark.parametrize(
    ("part", "expected"),
    [("memory", [10_101, 10_201, 10_301]), ("controller", [10_101, 20_102, 30_103]), ("both", [10_101] * 3)],
)
def test_core_of_ones_own_is_wiped_by_the_names_of_its_fields(part: str, expected: list[int]):
    outputs, state = memory.unroll(without(Own(), part), torch.ones(1, 3, 2))
    assert outputs[0, :, 0].tolist() == expected
    assert state.steps.dtype == torch.int64


class Bare(Core):
    """A core whose state is one tensor, of no named fields."""

    def __init__(self) -> None:
        super().__init__()
        self.input_size = self.output_size = 1
        self.weight = nn.Parameter(torch.ones(1))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.weight.new_zeros(batch_size, 1)

    def forward(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return inputs + state, inputs + state


def test_state_without_a_controller_is_memory_as_a_whole():
    assert memory.state_parts(Bare()) == ("memory",)
    outputs, _ = memory.unroll(without(Bare(), "memory"), torch.ones(1, 3, 1))
    assert outputs.flatten().tolist() == [1, 1, 1]


def test_weights_are_shared_and_the_core_stays_as_it_was():
    core = make(ROWS["ntm-lstm"])
    inputs = sequences()
    before, _ = memory.unroll(core, inputs)
    wiped = without(core, "memory")
    memory.unroll(wiped, inputs)
    torch.testing.assert_close(memory.unroll(core, inputs)[0], before, **SAME)
    assert {id(one) for one in wiped.parameters()} == {id(one) for one in core.parameters()}
