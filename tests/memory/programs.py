"""Random programs: a core of random options, a sequence with resets, a state; and both ways to run it.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lukasa import memory

STRENGTHS = (1.0, 1.0, 3.0, 30.0, 3e3)
"""What the weights of a core are multiplied by: the last saturates gates, and makes strengths up to 10^4."""

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Of the largest value."""
NEIGHBOURS = 16
"""Of a program whose results differ, that show whether it is steady."""


class Program(NamedTuple):
    """What is run."""

    name: str
    options: dict[str, Any]
    core: memory.Core
    inputs: Tensor  # [B, T, D]
    state: dict[str, Tensor] | None  # named; None: the initial one
    starts: Tensor | None


NO_GRADIENT = {("mann", "usage"), ("dam", "usage")}
"""Fields of states that carry none, by core."""


def options_of(name: str, draw: np.random.Generator) -> dict[str, Any]:
    """Random options of a core, sizes from 1."""

    def up_to(most: int) -> int:
        return int(draw.integers(1, most + 1))

    if name in ("lstm", "gru"):
        return {"size": int(draw.choice([1, 2, 5, 9, 17, 40])), "layers": up_to(3)}
    if name in ("stack_rnn", "list_rnn"):
        return _moving_options(name, draw)
    slots = int(draw.choice([1, 2, 3, 5, 8, 13, 40]))
    options: dict[str, Any] = {
        "slots": slots,
        "word_size": int(draw.choice([1, 2, 3, 7, 20])),
        "read_heads": min(up_to(3), slots),
        "controller": str(draw.choice(["lstm", "gru", "feedforward"])),
        "controller_size": int(draw.choice([1, 2, 5, 9, 17])),
        "controller_layers": up_to(3),
    }
    if name == "ntm":
        options |= {
            "write_heads": up_to(3),
            "shifts": int(draw.choice([n for n in (1, 3, 5) if n <= slots])),
            "initial_reads": str(draw.choice(["learned", "constant"])),
            "initial_weights": str(draw.choice(["learned", "first"])),
            "learn_memory": bool(draw.integers(2)),
            "initial_memory": float(draw.choice([1e-6, 0.0, 0.5])),
        }
        if options["shifts"] > 1:
            options["initial_motion"] = str(draw.choice(["random", "tape"]))
    if name == "mann":
        options |= {
            "words": str(draw.choice(["keys", "own"])),
            "key_strength": str(draw.choice(["one", "emitted"])),
            "discount": float(draw.choice([0.95, 0.5, 1.0])),
            "initial_memory": float(draw.choice([1e-6, 0.0, 0.5])),
        }
    if name == "dam":
        options["heads"] = options.pop("read_heads")
        options |= {
            "discount": float(draw.choice([0.99, 0.5, 1.0])),
            "initial_memory": float(draw.choice([1e-6, 0.0, 0.5])),
        }
    if name == "dnc":
        options["stop_usage_gradient"] = bool(draw.integers(2))
    return options


def _moving_options(name: str, draw: np.random.Generator) -> dict[str, Any]:
    reach = int(draw.choice([1, 2, 3, 6, 30]))
    sizes = {"stacks": int(draw.integers(1, 5)), "depth": reach}
    if name == "list_rnn":
        sizes = {"lists": sizes["stacks"], "reach": reach}
    return sizes | {
        "size": int(draw.choice([1, 2, 5, 9, 17])),
        "word_size": int(draw.choice([1, 1, 2, 5])),
        "elements": min(int(draw.integers(1, 5)), reach if name == "stack_rnn" else 2 * reach + 1),
        "no_op": bool(draw.integers(2)),
        "recurrent": bool(draw.integers(2)),
        "rounding": str(draw.choice(["never", "eval"])),
    }


def program(name: str, seed: int, dtype: torch.dtype = torch.float64, strongest: float = 3e3) -> Program:
    """A program, the same for the same arguments."""
    draw = np.random.default_rng(seed)
    options = options_of(name, draw)
    width = int(draw.integers(1, 5))
    torch.manual_seed(seed)
    core = memory.make_core(name, input_size=width, output_size=int(draw.integers(1, 4)), **options).to(dtype)
    strength = float(draw.choice([value for value in STRENGTHS if value <= strongest]))
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.mul_(strength if draw.integers(3) else 1.0)
    rows, steps = int(draw.choice([1, 2, 3, 4, 5, 9])), int(draw.choice([1, 2, 3, 6, 11]))
    if name in ("stack_rnn", "list_rnn"):
        steps += 1  # a single step is left to the equations
    inputs = torch.from_numpy(2 * draw.standard_normal((rows, steps, width))).to(dtype)
    starts = torch.from_numpy(draw.random((rows, steps)) < draw.choice([0.1, 0.5])) if draw.integers(3) else None
    state = None
    if draw.integers(2):
        with memory.step_by_step(), torch.no_grad():
            reached = memory.unroll(core, torch.from_numpy(draw.standard_normal((rows, 3, width))).to(dtype))[1]
        state = {key: tensor.clone() for key, tensor in memory.state_to_dict(reached).items()}
    return Program(name, options, core, inputs, state, starts)


def results(program: Program, stepwise: bool, weigh_state: bool = True) -> dict[str, Tensor]:
    """Outputs, last state, and gradients of everything from a random sum of both."""
    core = program.core
    inputs = program.inputs.clone().requires_grad_()
    leaves = {}
    state = None
    if program.state is not None:
        flat = {name: tensor.clone() for name, tensor in program.state.items()}
        leaves = {name: leaf for name, leaf in flat.items() if (program.name, name) not in NO_GRADIENT}
        for leaf in leaves.values():
            leaf.requires_grad_()
        state = memory.state_from_dict(core, flat)
    if stepwise:
        with memory.step_by_step():
            outputs, last = memory.unroll(core, inputs, state, program.starts)
    else:
        assert memory.why_slow(core, inputs, state).endswith("in native code")
        outputs, last = memory.unroll(core, inputs, state, program.starts)
    ends = memory.state_to_dict(last)
    generator = torch.Generator().manual_seed(7)

    def weigh(tensor: Tensor) -> Tensor:
        return (tensor * torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.dtype)).sum()

    loss = weigh(outputs)
    for end in ends.values():
        loss = loss + weigh(end) if weigh_state and end.requires_grad else loss
    wanted = {"inputs": inputs, **leaves}
    wanted |= {name: parameter for name, parameter in core.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    named = {"outputs": outputs.detach(), **{f"last {name}": end.detach() for name, end in ends.items()}}
    return named | {f"to {name}": gradient for name, gradient in zip(wanted, found, strict=True)}


def differing(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> set[str]:
    """The tensors that differ by more than a share of their largest value, or of a part of the largest there is.

    What is not a number must be the same; a tensor in which everything cancels holds only rounding. The part is a
    hundredth, in float32 a tenth: 1 - tanh² of a saturated unit has no correct bits left there.
    """
    assert found.keys() == expected.keys()
    largest = {name: tensor.nan_to_num(0, 0, 0).abs().amax().item() for name, tensor in expected.items()}
    least = max(1.0, *largest.values()) / (10 if expected["outputs"].dtype == torch.float32 else 100)
    wrong = set()
    for name, tensor in expected.items():
        assert found[name].shape == tensor.shape, name
        worst = (found[name] - tensor).nan_to_num(0, 0, 0).abs().amax().item()
        same = torch.equal(found[name].isfinite(), tensor.isfinite())
        if not same or worst > tolerance * max(largest[name], least):
            wrong.add(name)
    return wrong


def neighbour(program: Program, seed: int) -> Program:
    """The same program with inputs and parameters moved by a last bit or two, and so by no more than rounding."""
    generator = torch.Generator().manual_seed(seed)
    core = copy.deepcopy(program.core)

    def moved(tensor: Tensor) -> Tensor:
        bits = torch.randint(-2, 3, tensor.shape, generator=generator).to(tensor.dtype)
        return tensor * (1 + torch.finfo(tensor.dtype).eps * bits)

    with torch.no_grad():
        for parameter in core.parameters():
            parameter.copy_(moved(parameter))
    return program._replace(core=core, inputs=moved(program.inputs))


def nearly_tied(program: Program) -> bool:
    """Whether two slots of a DNC were ever used nearly alike: last bits then decide which is written next."""
    core, state = program.core, program.state
    with memory.step_by_step(), torch.no_grad(), memory.record(core) as recording:
        memory.unroll(core, program.inputs, state and memory.state_from_dict(core, state), program.starts)
    shown = recording.stacked()
    if "usage" not in shown:
        return False
    gaps = shown["usage"].sort(-1).values.diff(dim=-1)
    return bool(((gaps > 0) & (gaps < torch.finfo(gaps.dtype).eps ** 0.75)).any())


def compare(one: Program, weigh_state: bool = True) -> bool:
    """Native code equals the equations; False where these are not steady themselves.

    Some programs are chaotic, at strengths of 10^4: a tensor may differ where the equations differ from themselves when
    inputs and parameters move by a last bit. So are those in which two slots of a DNC are used nearly alike.
    """
    tolerance = TOLERANCE[one.inputs.dtype]
    expected = results(one, True, weigh_state)
    wrong = differing(results(one, False, weigh_state), expected, tolerance)
    steady = not wrong
    if wrong and nearly_tied(one):
        return False
    for seed in range(NEIGHBOURS if wrong else 0):
        wrong -= differing(results(neighbour(one, seed), True, weigh_state), expected, tolerance / 10)
    assert not wrong, (one.name, one.options)
    return steady
