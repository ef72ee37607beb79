"""What is no state of a core, and what is no number of rows, is refused at a single step as over a sequence."""

import pytest
import torch

from lukasa import memory
from tests.memory.core_rows import EVERY_CORE, ROWS, make

STATEFUL = pytest.mark.parametrize("name", [name for name, row in ROWS.items() if memory.state_parts(make(row))])


@STATEFUL
def test_a_state_of_another_core_is_refused_at_a_step(name: str):
    core = make(ROWS[name])
    other = memory.make_core("snail" if "snail" not in name else "ntm", input_size=3, output_size=2)
    inputs = torch.zeros(2, core.input_size, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"and this core needs a .*State: it is of another core"):
        core(inputs, other.initial_state(2))
    with pytest.raises(ValueError, match="state is a NoneType and this core needs a"):
        core(inputs, None)
    with pytest.raises(ValueError, match="state has 3 rows and inputs 2: they must be as many"):
        core(inputs, core.initial_state(3))


@EVERY_CORE
def test_a_number_of_rows_is_whole_and_not_negative(row):
    core = make(row)
    with pytest.raises(ValueError, match="batch_size is -1: expected 0 rows or more"):
        core.initial_state(-1)
    with pytest.raises(TypeError, match=r"batch_size is 2\.5: expected a whole number of rows"):
        core.initial_state(2.5)


@EVERY_CORE
def test_a_step_of_no_rows_has_no_outputs(row):
    core = make(row)
    inputs = torch.zeros(0, core.input_size, dtype=torch.float64)
    outputs, state = core(inputs, core.initial_state(0))
    assert outputs.shape == (0, core.output_size)
    assert core(inputs, state)[0].shape == (0, core.output_size)
