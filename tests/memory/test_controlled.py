"""A core is its access: what the skeleton does for all of them, tried on one that has nothing but an access."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lukasa import memory
from lukasa.memory.controlled import Controlled
from tests.memory.samples import Sampler

PAGE = Path(__file__).parents[2] / "docs" / "cores.md"


def ring() -> Any:
    """The core that docs/cores.md writes, [3] to [2], the same at every call."""
    (block,) = re.findall(r"```python\n(# ring\.py\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"memory": memory, "inputs": torch.zeros(2, 3, 9), "__name__": "ring"}
    exec(compile(block, str(PAGE), "exec"), names)
    torch.manual_seed(0)
    return names["Ring"](3, 2, slots=4, word_size=5)


@pytest.mark.parametrize("name", ["ntm", "dnc", "sam", "sdnc", "dam", "mann", "dntm"])
def test_every_core_with_a_controller_is_an_access_on_the_same_skeleton(name: str):
    core = memory.CORES[name]
    assert issubclass(core, Controlled)
    assert core.forward is Controlled.forward


def test_step_sees_the_controllers_new_state_and_the_output_sees_what_was_read():
    core, inputs = ring(), Sampler(0).normal(2, 3).float()
    start = core.initial_state(2)
    told = []
    own_step = core.step
    core.step = lambda state, emitted: told.append((state, emitted)) or own_step(state, emitted)
    output, after = core(inputs, start)
    ((seen, emitted),) = told
    hidden, controller = core.controller(torch.cat([inputs, start.reads.flatten(1)], 1), start.controller)
    torch.testing.assert_close(seen.controller, controller, rtol=0, atol=0)
    assert seen.memory is start.memory
    torch.testing.assert_close(emitted, core.interface(hidden), rtol=0, atol=0)
    expected = core.output(torch.cat([hidden, after.reads.flatten(1)], 1))
    torch.testing.assert_close(output, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_access_computes_in_float32_and_the_state_keeps_the_cores_halves(dtype: torch.dtype):
    core = ring().to(dtype)
    own_step, seen = core.step, []
    core.step = lambda state, emitted: seen.append((state.memory.dtype, emitted.dtype)) or own_step(state, emitted)
    outputs, state = memory.unroll(core, torch.randn(2, 3, 3, dtype=dtype))
    assert seen == [(torch.float32, torch.float32)] * 3
    assert outputs.dtype == state.memory.dtype == state.reads.dtype == state.controller.hidden.dtype == dtype


def test_an_access_runs_outside_of_autocast():
    core = ring()
    own_step, seen = core.step, []
    core.step = lambda state, emitted: seen.append(torch.is_autocast_enabled("cpu")) or own_step(state, emitted)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = memory.unroll(core, torch.randn(2, 3, 3))
    assert seen == [False] * 3
    assert (outputs.dtype, state.memory.dtype) == (torch.bfloat16, torch.float32)


def test_what_a_recording_shows_is_made_only_while_somebody_looks():
    core, made = ring(), []
    own_step = core.step

    def step(state: Any, emitted: torch.Tensor) -> tuple[Any, Any]:
        after, shown = own_step(state, emitted)
        return after, lambda: made.append(1) or shown()

    core.step = step
    inputs = torch.randn(2, 6, 3)
    memory.unroll(core, inputs)
    assert not made
    with memory.record(core) as recording:
        memory.unroll(core, inputs)
    assert len(made) == 6
    assert recording.stacked()["read"].shape == (2, 6, 1, 4)


def test_the_access_of_the_page_is_a_core_like_any_other():
    core, inputs = ring(), torch.randn(2, 6, 3)
    starts = torch.zeros(2, 6, dtype=torch.bool)
    starts[1, 4] = True
    outputs, state = memory.unroll(core, inputs, None, starts)
    fresh, _ = memory.unroll(core, inputs[:, 4:])
    torch.testing.assert_close(outputs[1, 4:], fresh[1])
    again = memory.state_from_dict(core, memory.state_to_dict(state))
    torch.testing.assert_close(again, state, rtol=0, atol=0)
    assert memory.state_parts(core) == ("memory", "controller", "both")
    with pytest.raises(ValueError, match=r"inputs \[2, 4\] do not fit this core"):
        core(torch.zeros(2, 4), state)
