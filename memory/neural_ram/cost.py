"""When a machine stops, and the cost that is to be expected then.

Dimensions: N machines, M integers and cells, T steps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lukasa.memory.neural_ram.machine import MachineState, NeuralRAM

EPSILON = 1e-6
"""Least probability whose logarithm is taken: that of 0 has no gradient that a machine could follow."""


class Expected(NamedTuple):
    """What a run may be expected to cost, and how it went.

    Attributes:
        cost: [N], Σ_t p_t · (−Σ_i log P(memory_i = y_i) after step t), in nats (Kurach et al. 2016, section 3.2).
        wrong: [N], share of the cells that count whose expected content is most likely another, at the likeliest end.
        steps: [N], expected number of steps.
        entropy: [N], entropy of the circuits' choices, mean of the steps, each as likely as it was reached; 0 where
            it was not asked for.
        stops: [T, N], p_t, which sum to 1.
        state: of the machine after the last step.
    """

    cost: Tensor
    wrong: Tensor
    steps: Tensor
    entropy: Tensor
    stops: Tensor
    state: MachineState


def expected_cost(
    machine: NeuralRAM,
    memory: Tensor,
    target: Tensor,
    mask: Tensor,
    limits: Tensor,
    *,
    entropy: bool = False,
) -> Expected:
    """Run machines and weigh the cost after each step by the probability of stopping there.

    p_t = f_t · Π_{i<t} (1 − f_i), and at its limit a machine stops whatever the controller says.

    Args:
        machine: of S starts.
        memory: int64 [S, B, M], before the first step.
        target: int64 [S, B, M], what it is to hold.
        mask: bool [S, B, M], the cells that count; at least one in each row.
        limits: int64 [S, B], the most steps; at least 1.
        entropy: whether the circuits' entropy is computed.

    Raises:
        ValueError: as ``NeuralRAM.initial_state``, or there is a limit below 1.
    """
    if int(limits.min()) < 1:
        raise ValueError(f"a limit of {int(limits.min())} steps: expected at least 1")
    state = machine.initial_state(memory)
    size = memory.shape[2]
    wanted, counts = target.reshape(-1, size).T.unsqueeze(1), mask.reshape(-1, size).T  # [M, 1, N], [M, N]
    last, going = limits.reshape(-1) - 1, state.registers.new_ones(limits.numel())
    cost, steps, spread = (torch.zeros_like(going) for _ in range(3))
    stops: list[Tensor] = []
    best, wrong = torch.zeros_like(going), torch.zeros_like(going)
    weighed = counts.to(going.dtype)
    for step in range(int(limits.max())):
        circuit, state = machine(state, entropy=entropy)
        stop = going * torch.where(step >= last, 1.0, circuit.stop)
        right = state.memory.gather(1, wanted).squeeze(1)  # [M, N]
        cost = cost - stop * (right.clamp(min=EPSILON).log() * weighed).sum(0)
        steps = steps + (step + 1) * stop
        if circuit.entropy is not None:
            spread = spread + going * circuit.entropy
        stops.append(stop)
        with torch.no_grad():
            likelier = stop > best
            missed = ((right < 0.5) & counts).sum(0) / counts.sum(0)
            wrong, best = torch.where(likelier, missed, wrong), torch.maximum(stop, best)
        going = going - stop
        # The rest of a sum that is 1 is not negative; rounding could make it so.
        going = going.clamp(min=0)
    return Expected(cost, wrong, steps, spread / steps, torch.stack(stops), state)
