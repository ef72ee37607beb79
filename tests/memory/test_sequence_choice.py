"""Which calls take native code over whole sequences, and that the others are right without it.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from lukasa import memory
from lukasa.memory.kernels.sequence import choice
from tests.memory.samples import Sampler

NATIVE = "this call runs the whole sequence in native code"
SMALL = {"slots": 5, "word_size": 3, "controller_size": 4}


def make(dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    torch.manual_seed(0)
    return memory.make_core("ntm", input_size=3, output_size=2, **SMALL | options).to(dtype)


def inputs(dtype: torch.dtype = torch.float32) -> Tensor:
    return Sampler(1).normal(2, 4, 3).to(dtype)


def both(core: memory.Core, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs as the call gives them, and by the equations."""
    outputs = memory.unroll(core, x)[0]
    with memory.step_by_step():
        return outputs, memory.unroll(core, x)[0]


class Own(type(make())):
    """A subclass that computes something else."""

    def forward(self, inputs: Tensor, state: Any) -> Any:
        output, state = super().forward(inputs, state)
        return output + 1, state


def hooked(core: Any, part: str) -> None:
    core.get_submodule(part).register_forward_hook(lambda _module, _inputs, output: output)


def hook_that_changes(core: Any) -> None:
    core.output.register_forward_hook(lambda _module, _inputs, output: output + 1)


def widened(core: Any) -> None:
    core.output = nn.Sequential(core.output, nn.Tanh())


def own_method(core: Any) -> None:
    parse = core.parse
    core.parse = lambda interface: parse(2 * interface)


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "hook": (hook_that_changes, "'output' has hooks"),
    "hook on the core": (lambda core: hooked(core, ""), "the core has hooks"),
    "hook on the controller": (lambda core: hooked(core, "controller"), "'controller' has hooks"),
    "hook on layers": (lambda core: hooked(core, "controller.layers"), "'controller.layers' has hooks"),
    "pruned": (lambda core: prune.l1_unstructured(core.interface, "weight", 0.5), "'interface' has hooks"),
    "parametrized": (lambda core: parametrizations.weight_norm(core.interface), "'interface' is a Parametrized"),
    "parametrized controller": (
        lambda core: parametrizations.weight_norm(core.controller.layers, "weight_hh_l0"),
        "'controller.layers' is a Parametrized",
    ),
    "replaced": (widened, "'output' is a Sequential|not of the shapes"),
    "method of its own": (own_method, "computes in a way of its own"),
    "bfloat16 part": (lambda core: core.output.double(), "its tensors differ"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_only_the_equations_can_do_is_left_to_them(name: str):
    change, expected = CHANGES[name]
    core = make()
    change(core)
    with pytest.MonkeyPatch.context() as patch:
        if name == "bfloat16 part":
            patch.setattr(memory.kernels.sequence.choice, "_of_the_machine", lambda: None)
            assert "its tensors differ" in memory.why_slow(core, inputs())
            return
        pytest.importorskip("numba")
        assert memory.why_slow(core, inputs()).startswith("this call runs step by step: ")
        assert any(part in memory.why_slow(core, inputs()) for part in expected.split("|"))
        torch.testing.assert_close(*both(core, inputs()), rtol=0, atol=0)


def test_a_subclass_computes_what_it_says():
    torch.manual_seed(0)
    core = Own(3, 2, **SMALL)
    assert "class Own" in memory.why_slow(core, inputs())
    plain = make()
    plain.load_state_dict(core.state_dict())
    torch.testing.assert_close(memory.unroll(core, inputs())[0], memory.unroll(plain, inputs())[0] + 1)


def test_what_is_said_of_each_kind_of_call():
    pytest.importorskip("numba")
    core = make()
    assert memory.why_slow(core, inputs()) == NATIVE
    assert "autocast" in under(torch.autocast("cpu", torch.bfloat16), core)
    assert "asks for the equations" in under(memory.step_by_step(), core)
    assert "torch.bfloat16" in memory.why_slow(core.bfloat16(), inputs(torch.bfloat16))
    assert "torch.float16" in memory.why_slow(core.half(), inputs(torch.float16))
    assert "on meta" in memory.why_slow(core.to("meta"), inputs().to("meta"))
    assert "nothing to compute" in memory.why_slow(make(), inputs()[:, :0])
    for name in ("dam", "sam", "sdnc"):
        other = memory.make_core(name, input_size=3, output_size=2, slots=8, word_size=4)
        assert memory.why_slow(other, inputs()) == NATIVE
    snail = memory.make_core("snail", input_size=3, output_size=2)
    assert "class SNAIL" in memory.why_slow(snail, inputs())


def under(context: Any, core: memory.Core) -> str:
    with context:
        return memory.why_slow(core, inputs())


def test_transforms_take_the_equations():
    core, said = make(), []

    def run(x: Tensor) -> Tensor:
        said.append(memory.why_slow(core, x))
        return memory.unroll(core, x)[0]

    torch.func.vmap(run)(inputs().unsqueeze(0))
    torch.func.jacrev(run)(inputs())
    torch.func.jvp(run, (inputs(),), (inputs(),))
    assert all("transformed" in reason for reason in said)


def test_a_state_of_another_shape_is_never_read_by_native_code():
    """The NTM's equations run on another number of slots; native code would read beyond the end."""
    core, other = make(), make(slots=7).initial_state(2)
    assert "not of the shapes" in memory.why_slow(core, inputs(), other)
    assert memory.unroll(core, inputs(), other)[1].memory.shape == (2, 7, 3)
    wider = core.initial_state(2)._replace(memory=torch.zeros(2, 5, 3).double())
    assert "its tensors differ" in memory.why_slow(core, inputs(), wider)
    with pytest.raises(ValueError, match="of another core"):
        memory.unroll(core, inputs(), make(controller="gru").initial_state(2))
    core.interface = nn.Linear(4, 3)
    assert "not of the shapes" in memory.why_slow(core, inputs())


def test_without_numba_everything_works_and_says_once_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choice, "has_numba", lambda: False)
    choice.say_once.cache_clear()
    core = make()
    assert "pip install" in memory.why_slow(core, inputs())
    with pytest.warns(UserWarning, match="Numba is not installed"):
        first = memory.unroll(core, inputs())[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = memory.unroll(core, inputs())[0]
        memory.unroll(memory.make_core("lstm", input_size=3, output_size=2), inputs())
    torch.testing.assert_close(first, again)


def test_importing_and_building_needs_no_compiler():
    program = (
        "import sys, torch; from lukasa import memory; core = memory.make_core('ntm', input_size=2, output_size=1);"
        "memory.why_slow(core, torch.zeros(1, 2, 2)); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
