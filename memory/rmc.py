"""Relational memory core: the slots of a memory attend to one another (Santoro et al. 2018, section 3).

At every step the slots and the input attend to each other, an MLP is applied to each slot, and an LSTM's gates decide
what of that a slot takes up. So what is remembered is related to what else is remembered before anybody asks.

Legend: B batch, T time, D input width, K output width, N slots, H heads, V numbers of a head, F = H V numbers of a
slot, M rows that attend (N slots and the input).
"""

from __future__ import annotations

import itertools
import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lukasa.memory.core import HALVES, Core, check_inputs


class RMCState(NamedTuple):
    """Everything a relational memory core carries from one step to the next."""

    memory: Tensor  # [B, N, F]


class AttentionBlock(nn.Module):
    """Multi-head dot-product attention among rows, and an MLP of each row, both residual; figure 1b.

    Args:
        size: F.
        heads: H.
        mlp_layers: linear layers of the MLP, ReLU between them.
    """

    def __init__(self, size: int, heads: int, mlp_layers: int):
        super().__init__()
        self.heads = heads
        self.attended = nn.Linear(size, 3 * size)  # W^q, W^k, W^v of all heads
        self.attended_norm = nn.LayerNorm(3 * size)
        self.after_attention = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, size))
        for _ in range(mlp_layers - 1):
            self.mlp.extend([nn.ReLU(), nn.Linear(size, size)])
        self.after_mlp = nn.LayerNorm(size)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What rows [B, M, F] become, and the weights [B, H, M, M] by which each attends to all."""
        each = self.attended_norm(self.attended(rows)).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, H, M, 3 V]
        queries, keys, values = each.chunk(3, 3)
        scores = (queries / math.sqrt(queries.shape[3])) @ keys.transpose(2, 3)  # [B, H, M, M]
        weights = torch.softmax(scores.float() if scores.dtype in HALVES else scores, 3)
        read = (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2)
        rows = self.after_attention(rows + read)
        return self.after_mlp(rows + self.mlp(rows)), weights


class RMC(Core):
    """Relational memory core: slots that attend to each other and to the input, gated like the cell of an LSTM.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N).
        heads: number of attention heads (H).
        head_size: numbers of a slot for each head (V); a slot holds heads * head_size numbers.
        blocks: how often the slots attend to each other at a step; each time has weights of its own.
        mlp_layers: linear layers of the MLP that is applied to each slot after it has attended.
        gates: whether each number of a slot has a gate of its own ("unit"), or a slot has one ("memory").
        forget_bias: added to what the forget gates are made of.
        input_bias: added to what the input gates are made of.
        output_layers: linear layers from the slots to the output, ReLU between them.
        output_layer_size: units of each of these layers but the last.
    """

    resets_inside = True

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 8,
        heads: int = 4,
        head_size: int = 16,
        blocks: int = 1,
        mlp_layers: int = 2,
        gates: Literal["unit", "memory"] = "unit",
        forget_bias: float = 1.0,
        input_bias: float = 0.0,
        output_layers: int = 1,
        output_layer_size: int = 256,
    ):
        super().__init__()
        self.input_size, self.output_size, self.slots, self.size = input_size, output_size, slots, heads * head_size
        self.forget_bias, self.input_bias = forget_bias, input_bias
        self.input = nn.Linear(input_size, self.size)
        self.blocks = nn.ModuleList(AttentionBlock(self.size, heads, mlp_layers) for _ in range(blocks))
        gate_size = self.size if gates == "unit" else 1
        self.gates_of_input = nn.Linear(self.size, 2 * gate_size)  # W^i, W^f
        self.gates_of_memory = nn.Linear(self.size, 2 * gate_size)  # U^i, U^f
        self.output = nn.Sequential()
        widths = [slots * self.size, *[output_layer_size] * (output_layers - 1), output_size]
        for layer, (before, after) in enumerate(itertools.pairwise(widths)):
            self.output.extend([*([nn.ReLU()] if layer else []), nn.Linear(before, after)])

    def initial_state(self, batch_size: int) -> RMCState:
        """The first N rows of an identity matrix of F columns, so that slots can be told apart."""
        rows = torch.eye(self.slots, self.size, dtype=self.input.weight.dtype, device=self.input.weight.device)
        return RMCState(rows.expand(batch_size, -1, -1).clone())

    def forward(self, inputs: Tensor, state: RMCState) -> tuple[Tensor, RMCState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        projected = self.input(inputs).unsqueeze(1)
        memory = self.advance(projected, self.gates_of_input(projected), state.memory)
        return self.output(memory.flatten(1)), RMCState(memory)

    def sequence(self, inputs: Tensor, state: RMCState, starts: Tensor | None = None) -> tuple[Tensor, RMCState]:
        """Inputs [B, T, D] to outputs [B, T, K]: what needs no memory is done for all steps at once."""
        projected, memory, memories = self.input(inputs), state.memory, []
        given = self.gates_of_input(projected)
        fresh = memory if starts is None else self.initial_state(1).memory.to(memory.dtype)
        resets = [False] * inputs.shape[1] if starts is None else starts.any(0).tolist()
        for time, steps in enumerate(zip(projected.split(1, 1), given.split(1, 1), strict=True)):
            if starts is not None and resets[time]:
                memory = torch.where(starts[:, time, None, None], fresh, memory)
            memory = self.advance(*steps, memory)
            memories.append(memory)
        return self.output(torch.stack(memories, 1).flatten(2)), RMCState(memory)

    def advance(self, projected: Tensor, given: Tensor, before: Tensor) -> Tensor:
        """What the slots hold next, [B, N, F].

        Args:
            projected: [B, 1, F], the input.
            given: [B, 1, 2 F] or [B, 1, 2], what the gates are made of that comes from the input.
            before: [B, N, F], m_{t-1}.
        """
        rows, weights = torch.cat([before, projected.to(before.dtype)], 1), []
        for block in self.blocks:
            rows, attended = block(rows)
            weights.append(attended)
        memory, gates = self.gated(rows[:, : self.slots], given, before)
        if self.recorder is not None:
            self.recorder.append(_shown(memory, torch.cat(weights, 1), *gates))
        return memory

    def gated(self, attended: Tensor, given: Tensor, before: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What the slots hold next; m_t = σ(f_t + b^f) ∘ m_{t-1} + σ(i_t + b^i) ∘ tanh(m̃_t) in section 3.3.

        Args:
            attended: [B, N, F], m̃_t: what attention and MLP made of the slots.
            given: [B, 1, 2 F] or [B, 1, 2], what the gates are made of that comes from the input.
            before: [B, N, F], m_{t-1}.

        Returns:
            [B, N, F] in the dtype of ``before``, and the input and forget gates, [B, N, F] or [B, N, 1].
        """
        dtype = torch.float32 if before.dtype in HALVES else before.dtype
        emitted = given + self.gates_of_memory(torch.tanh(before))
        enter, keep = emitted.to(dtype).chunk(2, 2)
        enter, keep = torch.sigmoid(enter + self.input_bias), torch.sigmoid(keep + self.forget_bias)
        memory = enter * torch.tanh(attended.to(dtype)) + keep * before.to(dtype)
        return memory.to(before.dtype), (enter, keep)


def _shown(memory: Tensor, weights: Tensor, enter: Tensor, keep: Tensor) -> dict[str, Tensor]:
    """What ``memory.record`` shows: attention of the slots over slots and input, and the mean gates of each slot."""
    slots = memory.shape[1]
    gates = {"slot_input_gates": enter.mean(2), "slot_forget_gates": keep.mean(2)}
    return {"slot_attention": weights[:, :, :slots], "memory": memory, **gates}
