"""One step without gradient with weights packed once: the same bits as when they are packed at each step.

Legend: B batch, D input width.
"""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, parametrizations, vector_to_parameters

from lukasa import memory
from lukasa.memory.kernels.sequence import choice
from tests.memory.programs import program
from tests.memory.samples import Sampler

pytest.importorskip("numba")
from lukasa.memory.kernels.sequence import running

EVERY_CORE = pytest.mark.parametrize("name", ["ntm", "mann", "dnc"])


def make(name: str, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    torch.manual_seed(0)
    own = {"slots": 6, "word_size": 4, "read_heads": 2, "controller_size": 5, "controller": "gru", **options}
    return memory.make_core(name, input_size=3, output_size=2, **own).to(dtype)


def step_of(rows: int = 3, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return Sampler(seed).normal(rows, 1, 3).to(dtype)


def flat(outputs: Tensor, state: Any) -> list[Tensor]:
    return [outputs, *memory.state_to_dict(state).values()]


def packed_anew(core: Any, inputs: Tensor, state: Any) -> list[Tensor]:
    """What native code gives without anything kept from earlier steps."""
    return flat(*running.run_core(core, inputs, state, None))


def check(core: Any, inputs: Tensor, state: Any) -> Any:
    """A step equals one with weights packed anew, bit for bit; the state after it."""
    outputs, after = memory.unroll(core, inputs, state)
    for found, expected in zip(flat(outputs, after), packed_anew(core, inputs, state), strict=True):
        assert found.shape == expected.shape
        assert torch.equal(found.nan_to_num(7), expected.nan_to_num(7))
    return after


def acted(core: Any, inputs: Tensor, state: Any) -> bool:
    """Whether a step was taken with what was kept."""
    return choice.act(core, inputs, state) is not None


@EVERY_CORE
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_random_cores_act_with_the_same_bits(name: str, dtype: torch.dtype):
    for seed in range(20):
        one = program(name, seed, dtype, strongest=3)
        rows = len(one.inputs)
        with torch.no_grad():
            state = one.core.initial_state(rows)
            for time in range(4):
                inputs = Sampler(time).normal(rows, 1, one.core.input_size).to(dtype)
                state = check(one.core, inputs, state)
                assert acted(one.core, inputs, state)


def optimiser_step(core: Any) -> None:
    optimiser = torch.optim.SGD(core.parameters(), 0.1)
    with torch.enable_grad():
        memory.unroll(core, step_of())[0].sum().backward()
    optimiser.step()


def new_data_twice(core: Any) -> None:
    """The second may lie where the first lay."""
    weight = core.interface.weight
    weight.data = weight.data + 1
    weight.data = weight.data * 2


def in_its_array(core: Any) -> None:
    core.output.weight.detach().numpy()[:] = 0.5


def other_parameters(core: Any) -> None:
    core.output = nn.Linear(core.output.in_features, core.output.out_features)


def loaded(core: Any, assign: bool = False) -> None:
    core.load_state_dict({name: tensor + 0.1 for name, tensor in core.state_dict().items()}, assign=assign)


CHANGES: dict[str, Callable[[Any], None]] = {
    "optimiser": optimiser_step,
    "in place": lambda core: core.interface.bias.add_(1),
    "data in place": lambda core: core.controller.layers.weight_hh_l0.data.mul_(2),
    "data": lambda core: setattr(core.output.bias, "data", core.output.bias.data + 1),
    "data twice": new_data_twice,
    "data transposed": lambda core: setattr(
        core.interface.weight, "data", core.interface.weight.data.t().contiguous().t() + 1
    ),
    "array": in_its_array,
    "a last bit": lambda core: core.output.bias.mul_(1 + 2e-7),
    "not a number": lambda core: core.output.bias.fill_(float("nan")),
    "load_state_dict": loaded,
    "load_state_dict, assigned": lambda core: loaded(core, assign=True),
    "vector_to_parameters": lambda core: vector_to_parameters(
        parameters_to_vector(core.parameters()) + 1, core.parameters()
    ),
    "replaced": other_parameters,
    "float64": lambda core: core.double(),
    "shared": lambda core: core.share_memory().output.bias.add_(1),
}


@EVERY_CORE
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_parameters_takes_effect_at_the_next_step(name: str, change: str):
    core, inputs = make(name), step_of()
    with torch.no_grad():
        state = check(core, inputs, core.initial_state(3))
        before = check(core, inputs, state)
        CHANGES[change](core)
        dtype = core.output.weight.dtype
        state = memory.state_from_dict(core, {k: v.to(dtype) for k, v in memory.state_to_dict(state).items()})
        check(core, inputs.to(dtype), state)
        after = check(core, inputs.to(dtype), state)
        assert not all(torch.equal(a, b) for a, b in zip(flat(inputs, before), flat(inputs, after), strict=True)) or (
            change in ("data", "array", "a last bit", "not a number", "replaced", "shared")  # of the output layer
        )


@EVERY_CORE
def test_copies_go_their_own_way(name: str):
    core, inputs = make(name), step_of()
    with torch.no_grad():
        state = check(core, inputs, core.initial_state(3))
        for other in (copy.deepcopy(core), pickle.loads(pickle.dumps(core))):
            for parameter in other.parameters():
                parameter.mul_(1.5)
            check(other, inputs, state)
            check(core, inputs, state)
            assert not torch.equal(memory.unroll(other, inputs, state)[0], memory.unroll(core, inputs, state)[0])


@EVERY_CORE
def test_parameters_put_in_for_a_call_are_used(name: str):
    core, inputs = make(name), step_of()

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = core

        def forward(self, inputs: Tensor, state: Any) -> Tensor:
            return memory.unroll(self.core, inputs, state)[0]

    with torch.no_grad():
        state = check(core, inputs, core.initial_state(3))
        others = {f"core.{key}": 2 * tensor for key, tensor in core.named_parameters()}
        found = functional_call(Step(), others, (inputs, state))
        check(core, inputs, state)
        core.load_state_dict({key: 2 * tensor for key, tensor in core.state_dict().items()})
        assert torch.equal(found, memory.unroll(core, inputs, state)[0])


@EVERY_CORE
def test_what_only_the_equations_can_do_is_left_to_them(name: str):
    inputs = step_of()
    changes: dict[str, Callable[[Any], Any]] = {
        "hook": lambda core: core.output.register_forward_hook(lambda _module, _inputs, output: output + 1),
        "parametrized": lambda core: parametrizations.weight_norm(core.interface),
        "method": lambda core: setattr(core, "parse", core.parse),
        "inside": lambda core: core.controller.layers.register_forward_hook(lambda _module, _inputs, output: output),
    }
    for change in changes.values():
        core = make(name)
        with torch.no_grad():
            state = check(core, inputs, core.initial_state(3))
            assert acted(core, inputs, state)
            change(core)
            assert not acted(core, inputs, state)
            found = memory.unroll(core, inputs, state)[0]
            with memory.step_by_step():
                torch.testing.assert_close(found, memory.unroll(core, inputs, state)[0], rtol=0, atol=0)


@EVERY_CORE
def test_an_option_that_is_changed_takes_effect(name: str):
    core, inputs = make(name), step_of()
    with torch.no_grad():
        state = check(core, inputs, core.initial_state(3))
        assert acted(core, inputs, state)
        if name == "mann":
            core.discount = 0.5
            assert not acted(core, inputs, state)
            check(core, inputs, state)
        core.slots = 7
        assert not acted(core, inputs, state)


@EVERY_CORE
def test_gradients_recordings_and_autocast_take_their_own_way(name: str):
    core, inputs = make(name), step_of()
    with torch.no_grad():
        state = check(core, inputs, core.initial_state(3))
    assert not acted(core, inputs, state)
    assert memory.unroll(core, inputs, state)[0].requires_grad
    with torch.inference_mode():
        inside = check(core, inputs, state)
        assert acted(core, inputs, inside)
    with torch.no_grad():
        check(core, inputs, inside)
        with memory.record(core) as recording:
            assert not acted(core, inputs, state)
            memory.unroll(core, inputs, state)
        assert len(recording.steps) == 1
        with memory.step_by_step():
            assert not acted(core, inputs, state)
        with torch.autocast("cpu", torch.bfloat16):
            assert not acted(core, inputs, state)
    learned = core.initial_state(3)
    with torch.no_grad():  # a state that was made where gradients are on
        check(core, inputs, learned)


@EVERY_CORE
def test_many_callers_at_once(name: str):
    core, given = make(name), [step_of(rows, seed) for seed, rows in enumerate((1, 2, 3, 1, 2, 3, 4, 5) * 4)]
    with torch.no_grad():
        expected = [memory.unroll(core, one, core.initial_state(len(one))) for one in given]

    def several(inputs: Tensor) -> list[Tensor]:
        with torch.no_grad():
            found = [memory.unroll(core, inputs, core.initial_state(len(inputs))) for _ in range(20)]
        return flat(*found[-1])

    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(several, given), expected, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(found, flat(*one), strict=True))


@EVERY_CORE
def test_states_are_not_written_again(name: str):
    core, inputs = make(name), step_of()
    with torch.no_grad():
        state = memory.unroll(core, inputs, core.initial_state(3))[1]
        kept = []
        for seed in range(4):
            outputs, state = memory.unroll(core, step_of(seed=seed), state)
            kept.append((flat(outputs, state), [part.clone() for part in flat(outputs, state)]))
        for now, then in kept:
            assert all(torch.equal(a, b) for a, b in zip(now, then, strict=True))
        storages = [part.untyped_storage().data_ptr() for now, _ in kept for part in now if part.numel()]
        assert len(set(storages)) == len(storages)


@EVERY_CORE
def test_wrong_calls_are_refused_as_ever(name: str):
    core, inputs = make(name), step_of()
    with torch.no_grad():
        state = check(core, inputs, core.initial_state(3))
        for wrong in (step_of(2), step_of().double(), step_of()[:, :, :2], step_of()[:, 0]):
            with pytest.raises(ValueError, match="inputs"):
                memory.unroll(core, wrong, state)
        with pytest.raises(ValueError, match="of another core"):
            memory.unroll(core, inputs, make(name, controller="feedforward").initial_state(3))
        with pytest.raises(TypeError, match="inputs are a list"):
            memory.unroll(core, inputs.tolist(), state)  # pyright: ignore
        check(core, inputs.expand(3, 1, 3).transpose(0, 2).contiguous().transpose(0, 2), state)


@EVERY_CORE
def test_a_core_is_forgotten_with_what_was_kept_of_it(name: str):
    core = make(name)
    with torch.no_grad():
        for rows in range(1, 20):
            check(core, step_of(rows), core.initial_state(rows))
        assert acted(core, step_of(), core.initial_state(3))
    assert len(choice._acting[core].rooms) <= 8
    gone = weakref.ref(core)
    del core
    gc.collect()
    assert gone() is None
