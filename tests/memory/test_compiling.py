"""Compiled and exported cores against the same ones run as they are: outputs, states and gradients.

Legend: B batch, T time, D input width.
"""

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lukasa.memory.addressing
from lukasa import memory
from tests.memory.core_rows import DNC, HEADS, MANN, NTM, ROWS, SAM, Row, make, numbers, sequences

COMPILER = any(map(shutil.which, ("c++", "g++", "clang++")))
NEEDS_COMPILER = pytest.mark.skipif(not COMPILER, reason="there is no C++ compiler")
HEADS_AND_WORDS = {
    **{f"ntm, {p} write heads, words of {w}": Row("ntm", {**NTM, "write_heads": p, "word_size": w}, {}) for p, w in
       [(1, 3), (2, 4), (3, 5), (4, 6), (2, 7)]},
    **{f"dnc, {r} read heads": Row("dnc", {**DNC, "read_heads": r, "word_size": 4}, {}) for r in (1, 3)},
    "dam, 3 heads": Row("dam", {**HEADS, "heads": 3, "word_size": 5}, {}),
    "mann, 3 heads": Row("mann", {**MANN, "read_heads": 3, "word_size": 5}, {}),
    "sam, 3 heads": Row("sam", {**SAM, "heads": 3, "word_size": 5}, {}),
}  # fmt: skip
ONCE = ("dnc-attention", "sam-attention")  # an attention controller takes the longest to compile; that of ntm is tried
COMPILED = {name: row for name, row in (ROWS | HEADS_AND_WORDS).items() if name not in ONCE}
EXPORTED = {row.core: row for row in ROWS.values() if not row.sparse}


def results(core: memory.Core) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Outputs, the last state, and gradients of inputs and parameters; all in float64."""
    inputs = sequences(2, 3).requires_grad_()
    outputs, last = memory.unroll(core, inputs)
    loss = outputs.square().sum() + sum((end.square().sum() for end in numbers(last)), torch.tensor(0.0))
    wanted = [inputs, *(parameter for parameter in core.parameters() if parameter.requires_grad)]
    return outputs, numbers(last), list(torch.autograd.grad(loss, wanted, materialize_grads=True))


def check_compiled(row: Row) -> None:
    torch.compiler.reset()
    expected = results(make(row))
    core = make(row)
    core.compile(dynamic=False, options={"inplace_buffers": False})  # with them "act-snail" is off by thousands
    torch.testing.assert_close(results(core), expected, rtol=1e-11, atol=1e-11)


@NEEDS_COMPILER
@pytest.mark.slow
@pytest.mark.parametrize("row", COMPILED.values(), ids=COMPILED)
def test_a_compiled_core_has_the_same_gradients(row: Row):
    check_compiled(row)


@NEEDS_COMPILER
@pytest.mark.slow
def test_erasing_with_several_heads_has_the_same_gradients_compiled():
    """With .prod(1) over the heads they were off by up to 0.05 for words of 3 to 7 numbers."""
    torch.compiler.reset()
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 5, 4), (2, 2, 5), (2, 2, 4), (2, 2, 4))
    found: list[Any] = []
    for write in (lukasa.memory.addressing.erase_and_add, torch.compile(lukasa.memory.addressing.erase_and_add)):
        generator.manual_seed(0)
        leaves = [torch.rand(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
        found.append(torch.autograd.grad(write(*leaves).square().sum(), leaves))
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


class Unrolled(nn.Module):
    """Inputs [B, T, D] to outputs [B, T, K]."""

    def __init__(self, core: memory.Core):
        super().__init__()
        self.core = core

    def forward(self, inputs: Tensor) -> Tensor:
        return memory.unroll(self.core, inputs)[0]


@pytest.mark.parametrize("gradients", [True, False], ids=["gradients", "no gradients"])
@pytest.mark.parametrize("row", EXPORTED.values(), ids=EXPORTED)
def test_an_exported_dense_core_has_the_same_outputs(row: Row, gradients: bool):
    network, inputs = Unrolled(make(row)), sequences(2, 2)
    with torch.set_grad_enabled(gradients):
        exported = torch.export.export(network, (inputs,)).module()
        torch.testing.assert_close(exported(inputs + 0.5), network(inputs + 0.5), rtol=1e-12, atol=1e-12)
