"""The differentiable machine: registers, a circuit chosen at every step, and a memory tape.

Kurach, Andrychowicz & Sutskever 2016, "Neural Random-Access Machines", section 3.

Dimensions: S starts, B rows of each, N = S·B machines, R registers, K sources, I arguments, M integers and cells,
T steps.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from lukasa.ground.settings import check_choice, check_whole
from lukasa.memory.kernels.scan import is_native
from lukasa.memory.neural_ram import modules as soft
from lukasa.memory.neural_ram.controller import Controller, ControllerName, ControllerState
from lukasa.memory.neural_ram.wiring import Layout, plan_of

FORBIDDEN = -1e9
"""Logit of a source that an argument cannot have: its probability is exactly 0."""


class MachineState(NamedTuple):
    """Between two steps.

    Attributes:
        registers: [R, M, N], of each register the distribution of its value.
        memory: [M, M, N], of each cell the distribution of its value.
        controller: of the controller.
    """

    registers: Tensor
    memory: Tensor
    controller: ControllerState


class Circuit(NamedTuple):
    """The circuit of a step.

    Attributes:
        weights: [I + R, K, N], of each argument, then of each register's new value, the distribution of its source.
        entropy: [N], mean entropy of these distributions, in nats; None where it was not asked for.
        stop: [N], f_t, the probability of stopping after this step.
    """

    weights: Tensor
    entropy: Tensor | None
    stop: Tensor


class NeuralRAM(nn.Module):
    """Neural Random-Access Machines, one for each start, that learn side by side.

    Args:
        layout: registers and modules.
        starts: S.
        controller: what chooses the circuits.
        hidden: its units.

    Raises:
        ValueError: there is no start or no hidden unit, or no such controller.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        starts: int = 1,
        controller: ControllerName = "feedforward",
        hidden: int = 32,
    ):
        super().__init__()
        check_whole("NeuralRAM", "starts", starts, 1)
        check_whole("NeuralRAM", "hidden", hidden, 1)
        check_choice("NeuralRAM", "controller", controller, get_args(ControllerName))
        self.layout, self.starts = layout, starts
        choices = layout.arguments + layout.registers
        self.controller = Controller(controller, starts, layout.registers, hidden, choices * layout.sources + 1)
        barred = torch.where(layout.allowed(), 0.0, FORBIDDEN).unsqueeze(2)
        self.register_buffer("barred", barred, persistent=False)
        self.barred: Tensor

    def initial_state(self, memory: Tensor) -> MachineState:
        """Registers at 0, and a memory of certain values.

        Args:
            memory: int64 [S, B, M], each value in 0..M−1.

        Raises:
            ValueError: there are other starts, too few cells, or a value is out of range.
        """
        if memory.dim() != 3 or len(memory) != self.starts or memory.dtype != torch.int64:
            raise ValueError(
                f"a memory is {memory.dtype} {list(memory.shape)}: expected int64 [{self.starts}, rows, cells]"
            )
        _, rows, size = memory.shape
        if size < soft.LEAST_INTEGERS:
            raise ValueError(f"a memory of {size} cells: expected at least {soft.LEAST_INTEGERS}")
        if memory.numel() and not 0 <= int(memory.min()) <= int(memory.max()) < size:
            raise ValueError(f"a memory of {size} cells holds values from 0 to {size - 1}, and one is out of range")
        cells = memory.reshape(-1, size).T  # [M, N]
        like = self.controller.inner
        tape = like.new_zeros(size, size, cells.shape[1]).scatter_(1, cells.unsqueeze(1), 1.0)
        registers = like.new_zeros(self.layout.registers, size, cells.shape[1])
        registers[:, 0] = 1
        return MachineState(registers, tape, self.controller.initial_state(rows))

    def circuit(self, state: MachineState, *, entropy: bool = False) -> tuple[Circuit, ControllerState]:
        """What the controller chooses when it sees which registers are 0.

        Args:
            state: before the step.
            entropy: compute the entropy of the choices.
        """
        zero = state.registers[:, 0]  # [R, N]
        seen = zero.reshape(len(zero), self.starts, -1).transpose(0, 1)
        logits, carried = self.controller(seen, state.controller)  # [S, O, B]
        logits = logits.transpose(0, 1).reshape(logits.shape[1], -1)  # [O, N]
        choices = logits[1:].view(-1, self.layout.sources, logits.shape[1]) + self.barred
        weights = torch.softmax(choices, 1)
        mean = None
        if entropy:  # log Σ exp x − Σ p x, which needs no logarithm of a small p
            spread = torch.logsumexp(choices, 1) - (weights * choices).sum(1)
            mean = spread.mean(0)
        return Circuit(weights, mean, torch.sigmoid(logits[0])), carried

    def forward(self, state: MachineState, *, entropy: bool = False) -> tuple[Circuit, MachineState]:
        """One step: choose a circuit and run it."""
        circuit, carried = self.circuit(state, entropy=entropy)
        registers, memory = run_circuit(self.layout, circuit.weights, state.registers, state.memory)
        return circuit, MachineState(registers, memory, carried)


def run_circuit(layout: Layout, weights: Tensor, registers: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Let the values flow through a circuit, module by module; in native code where that can be.

    Args:
        layout: of the machine.
        weights: [I + R, K, N].
        registers: [R, M, N].
        memory: [M, M, N].

    Returns:
        The new registers and the new memory.
    """
    plan = plan_of(layout)
    if plan is not None and is_native(registers, (weights, registers, memory)):
        from lukasa.memory.kernels.circuit import native  # imports Numba

        return native.run(plan, weights, registers, memory)
    return flow(layout, weights, registers, memory)


def flow(layout: Layout, weights: Tensor, registers: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """As ``run_circuit``, in plain operations."""
    size = registers.shape[1]
    values = list(registers)
    for _, module, place in layout.places():
        if module.number is not None:
            values.append(soft.constant(module.number, registers[0]))
            continue
        sources = torch.stack(values)  # [k, M, N]
        chosen = weights[place : place + module.arguments, : len(values)].unsqueeze(2)  # [a, k, 1, N]
        arguments = (chosen * sources).sum(1)  # [a, M, N]
        if module.name == "READ":
            values.append(soft.read(memory, arguments[0]))
        elif module.name == "WRITE":
            memory = soft.write(memory, arguments[0], arguments[1])
            values.append(soft.constant(0, registers[0]))
        else:
            assert module.soft is not None
            made = module.soft(*arguments)
            values.append(functional.pad(made, (0, 0, 0, size - len(made))) if len(made) < size else made)
    new = (weights[layout.arguments :].unsqueeze(2) * torch.stack(values)).sum(1)
    return new, memory
