"""Native code over whole sequences against the equations, step by step, over random programs.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lukasa import memory
from tests.memory.programs import TOLERANCE, compare, program
from tests.memory.samples import Sampler, lively_core
from tests.memory.threads import native_threads

pytest.importorskip("numba")
NATIVE = ("ntm", "mann", "dnc", "dam")
EVERY_KERNEL = pytest.mark.parametrize("name", NATIVE)


@EVERY_KERNEL
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_random_programs(name: str, dtype: torch.dtype):
    strongest = 3e3 if dtype == torch.float64 else 3
    assert sum(compare(program(name, seed, dtype, strongest)) for seed in range(30)) >= (24 if name == "dnc" else 25)


@pytest.mark.slow
@EVERY_KERNEL
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_hundreds_of_random_programs(name: str, dtype: torch.dtype):
    strongest = 3e3 if dtype == torch.float64 else 30
    steady = sum(compare(program(name, seed, dtype, strongest)) for seed in range(25, 325))
    assert steady >= (255 if name == "dnc" else 290)


@pytest.mark.parametrize("seed", [61, 96])
def test_gates_that_are_saturated_leave_nothing_behind(seed: int):
    """All slots alike, sharpened a thousandfold: a last bit of the weighting before would grow at every step."""
    assert compare(program("ntm", seed))


@EVERY_KERNEL
def test_gradients_of_outputs_alone_and_of_the_last_state_alone(name: str):
    assert sum(compare(program(name, seed), weigh_state=False) for seed in range(6)) >= 5


def small(name: str, dtype: torch.dtype = torch.float64, **options: object) -> memory.Core:
    heads = "heads" if name == "dam" else "read_heads"
    return lively_core(name, **{"slots": 6, "word_size": 4, heads: 2, "controller_size": 5, **options}).to(dtype)


def sequence(rows: int = 3, steps: int = 5, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return Sampler(seed).normal(rows, steps, 3).to(dtype)


@EVERY_KERNEL
def test_the_same_bits_for_any_number_of_threads_and_any_rows_beside(name: str):
    """17 rows: blocks of 16, 12, 8, 5 and 4 rows and a rest of one."""
    core, inputs = small(name, torch.float32), sequence(17, 9, dtype=torch.float32)
    starts = torch.rand(17, 9, generator=torch.Generator().manual_seed(0)) < 0.2
    found = []
    for threads in (1, 2, 3, 4, 1):
        with native_threads(threads):
            leaf = inputs.clone().requires_grad_()
            outputs, last = memory.unroll(core, leaf, None, starts)
            outputs.square().sum().backward()
            found.append([leaf.grad, *memory.state_to_dict(last).values()])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    _, alone = memory.unroll(core, inputs[16:], None, starts[16:])
    for whole, part in zip(found[0][1:], memory.state_to_dict(alone).values(), strict=True):
        torch.testing.assert_close(whole[16:], part)


@EVERY_KERNEL
def test_many_callers_at_once(name: str):
    core, inputs = small(name), [sequence(4, 6, seed) for seed in range(8)]
    expected = [memory.unroll(core, one)[0] for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: memory.unroll(core, one)[0], inputs))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@EVERY_KERNEL
def test_only_some_need_gradients(name: str):
    """Frozen parameters, inputs without gradient, only a state with one."""
    for chosen in ("controller", "interface", "output", "none"):
        core = small(name)
        for part, parameter in core.named_parameters():
            parameter.requires_grad_(part.startswith(chosen))
        wanted = [parameter for parameter in core.parameters() if parameter.requires_grad]
        fields = {key: tensor.detach().clone() for key, tensor in memory.state_to_dict(core.initial_state(3)).items()}
        fields["reads"].requires_grad_(chosen == "none")
        both = []
        for stepwise in (False, True):
            state = memory.state_from_dict(core, fields)
            with memory.step_by_step() if stepwise else torch.enable_grad():
                outputs, last = memory.unroll(core, sequence(), state)
            loss = outputs.square().sum() + last.memory.square().sum()
            both.append(torch.autograd.grad(loss, wanted or [fields["reads"]]))
        torch.testing.assert_close(both[0], both[1], rtol=1e-9, atol=1e-10)


@EVERY_KERNEL
def test_without_gradients_the_results_are_the_same_bits(name: str):
    core, inputs = small(name), sequence(3, 7)
    outputs, last = memory.unroll(core, inputs)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            found, end = memory.unroll(core, inputs)
            assert not found.requires_grad
        assert torch.equal(found, outputs)
        fields = memory.state_to_dict(last)
        assert all(torch.equal(tensor, fields[key]) for key, tensor in memory.state_to_dict(end).items())


@EVERY_KERNEL
def test_inputs_of_any_strides(name: str):
    core = small(name)
    wide = sequence(6, 10).transpose(0, 1)[::2, ::3]
    state = memory.map_state(lambda part: torch.stack([part, part], -1)[..., 0], core.initial_state(len(wide)))
    starts = (torch.arange(wide.shape[0] * wide.shape[1]) % 3 == 0).view(wide.shape[1], -1).t()
    expected = memory.unroll(core, wide.contiguous(), None, starts.contiguous())[0]
    assert torch.equal(memory.unroll(core, wide, state, starts)[0], expected)


@EVERY_KERNEL
@pytest.mark.parametrize("what", ["parameter", "inputs", "state"])
def test_a_change_between_forward_and_backward_is_refused(name: str, what: str):
    core, inputs = small(name), sequence()
    state = memory.map_state(lambda part: part.detach().clone(), core.initial_state(3))
    state.memory.requires_grad_()
    outputs, _ = memory.unroll(core, inputs, state)
    with torch.no_grad():
        {"parameter": core.interface.weight, "inputs": inputs, "state": state.memory}[what].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


@EVERY_KERNEL
def test_an_optimiser_step_a_copy_and_loaded_weights_take_effect(name: str):
    core, inputs = small(name), sequence()

    def check() -> Tensor:
        outputs = memory.unroll(core, inputs)[0]
        with memory.step_by_step():
            torch.testing.assert_close(outputs, memory.unroll(core, inputs)[0], rtol=1e-10, atol=1e-10)
        return outputs.detach()

    found = [check()]
    memory.unroll(core, inputs)[0].square().sum().backward()
    torch.optim.SGD(core.parameters(), 0.1).step()
    found.append(check())
    twin = copy.deepcopy(core)
    assert torch.equal(memory.unroll(twin, inputs)[0], found[-1])
    core.load_state_dict({key: tensor + 0.1 for key, tensor in core.state_dict().items()})
    found.append(check())
    for parameter in core.parameters():
        parameter.data = parameter.data * 0.5
    found.append(check())
    assert len({one.sum().item() for one in found}) == 4


@EVERY_KERNEL
def test_a_gradient_can_be_differentiated_again_with_resets_and_checkpoints(name: str):
    core, inputs = small(name), sequence(2, 4).requires_grad_()
    starts = torch.zeros(2, 4, dtype=torch.bool)
    starts[1, 2] = True

    def penalty(run: Callable[[Tensor], Tensor]) -> Tensor:
        (slope,) = torch.autograd.grad(run(inputs).square().sum(), inputs, create_graph=True)
        return slope.square().sum()

    weights = [parameter for parameter in core.parameters() if parameter.requires_grad]

    def run(inputs: Tensor) -> Tensor:
        return memory.unroll(core, inputs, None, starts)[0]

    found = torch.autograd.grad(penalty(run), weights, materialize_grads=True)
    with memory.step_by_step():
        expected = torch.autograd.grad(penalty(run), weights, materialize_grads=True)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
    (plain,) = torch.autograd.grad(run(inputs).square().sum(), inputs)
    (again,) = torch.autograd.grad(checkpoint(run, inputs, use_reentrant=False).square().sum(), inputs)
    torch.testing.assert_close(again, plain, rtol=0, atol=0)


@EVERY_KERNEL
def test_a_recording_shows_what_the_equations_show_and_carries_gradients(name: str):
    core, inputs = small(name), sequence().requires_grad_()
    starts = torch.zeros(3, 5, dtype=torch.bool)
    starts[1, 2] = True
    both = []
    for stepwise in (False, True):
        with memory.step_by_step() if stepwise else torch.enable_grad(), memory.record(core) as recording:
            outputs, _ = memory.unroll(core, inputs, None, starts)
        shown = recording.stacked()
        weights = {key: part for key, part in shown.items() if part.requires_grad}
        loss = outputs.sum() + sum((part.square() * part.detach().cos()).sum() for part in weights.values())
        wanted = [inputs, *(parameter for parameter in core.parameters() if parameter.requires_grad)]
        both.append((shown, set(weights), torch.autograd.grad(loss, wanted, materialize_grads=True)))
    assert both[0][1] == both[1][1]
    torch.testing.assert_close(both[0][0], both[1][0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(both[0][2], both[1][2], rtol=1e-9, atol=1e-9)


@EVERY_KERNEL
def test_nan_stays_in_its_row_and_ends_with_a_reset(name: str):
    core, inputs = small(name), sequence(5, 6)
    inputs[1, 2], inputs[3, 1] = float("nan"), float("inf")
    starts = torch.zeros(5, 6, dtype=torch.bool)
    starts[1, 4] = True
    outputs, _ = memory.unroll(core, inputs, None, starts)
    with memory.step_by_step():
        expected, _ = memory.unroll(core, inputs, None, starts)
    assert torch.equal(outputs.isnan(), expected.isnan())
    assert outputs[[0, 2, 4]].isfinite().all()
    assert outputs[1, 4:].isfinite().all()


PROGRAM = """
import torch, sys
from lukasa import memory
core = memory.make_core("ntm", input_size=3, output_size=2, slots=5, word_size=3, controller_size=4)
x = torch.ones(1, 2, 3, dtype=torch.float32)
assert memory.why_slow(core, x).endswith("native code")
memory.unroll(core, x)[0].sum().backward()
from lukasa.memory.kernels.sequence.compiling import FOLDER
print(FOLDER)
"""


def run_program(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_two_processes_compile_at_once_and_a_third_only_loads(tmp_path: Path):
    both = [run_program(NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    said = [one.communicate() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ci]")}
    third = run_program(NUMBA_CACHE_DIR=str(tmp_path))
    said = third.communicate()
    assert third.returncode == 0, said
    assert Path(said[0].strip()).is_relative_to(tmp_path)
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ci]")}


@pytest.mark.slow
def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path: Path):
    """Every other place is a file, where no folder can be made; root may write anywhere else."""
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    (tmp_path / "temporary").mkdir()
    package = Path(memory.__file__).parents[1]
    shadow = tmp_path / "names" / "lukasa"
    shadow.mkdir(parents=True)
    for folder in ("memory", "ground"):
        subprocess.run(["cp", "-r", str(package / folder), str(shadow / folder)], check=True)
    cache = shadow / "memory" / "kernels" / "sequence" / "__pycache__"
    subprocess.run(["rm", "-rf", str(cache)], check=True)
    cache.write_text("")
    one = run_program(
        PYTHONPATH=str(shadow.parent),
        XDG_CACHE_HOME=str(blocked),
        HOME=str(blocked),
        TMPDIR=str(tmp_path / "temporary"),
        PYTHONDONTWRITEBYTECODE="1",
        NUMBA_CACHE_DIR="",
    )
    said = one.communicate()
    assert one.returncode == 0, said
    assert Path(said[0].strip()).is_relative_to(tmp_path / "temporary")
