"""LMU: Legendre Memory Units (Voelker, Kajić & Eliasmith 2019) and their parallel form (Chilkuri & Eliasmith 2021).

A linear system that holds the last θ steps of a signal as coefficients of Legendre polynomials, and a nonlinear hidden
state that writes the signal and reads the coefficients. In the parallel form the input alone writes it.

Legend: B batch, T time, D input width, K output width, L layers, H hidden units, M memories, d order of a memory.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.controllers import GRUState, NoState
from lukasa.memory.core import Core, check_inputs
from lukasa.memory.kernels.lmu import Given, run


class LMUState(NamedTuple):
    """Coefficients of every memory, and the hidden vectors of every layer, which the parallel form does not carry."""

    memory: Tensor  # [B, L, M, d]
    controller: GRUState | NoState


def delay_system(order: int, window: float) -> tuple[Tensor, Tensor]:
    """Ā and B̄ in float64; Voelker et al. 2019, eq. 1 and 2, discretised by zero-order hold with steps of 1.

    θ ṁ = A m + B u with a_ij = (2i + 1) (−1 where i < j, else (−1)^{i−j+1}) and b_i = (2i + 1) (−1)^i.

    Args:
        order: d.
        window: θ, in steps.

    Returns:
        Ā = exp(A / θ) [d, d] and B̄ = A⁻¹ (Ā − I) B [d].
    """
    index = torch.arange(order, dtype=torch.float64)
    row, column, scale = index.unsqueeze(1), index.unsqueeze(0), 2 * index.unsqueeze(1) + 1
    transition = scale * torch.where(row < column, -1.0, 1.0 - 2.0 * ((row - column + 1) % 2))
    entry = scale * (1.0 - 2.0 * (row % 2))
    both = F.pad(torch.cat([transition, entry], 1), (0, 0, 0, 1))  # held constant, the input is one more state
    exponential = torch.linalg.matrix_exp(both / window)
    return exponential[:order, :order].contiguous(), exponential[:order, order].contiguous()


def legendre(order: int, places: Tensor) -> Tensor:
    """Shifted Legendre polynomials P_i(2 r − 1); Voelker et al. 2019, eq. 3: u(t − r θ) ≈ Σ_i P_i(2 r − 1) m_i(t).

    Args:
        order: d.
        places: r, how far back in the window, between 0 and 1.

    Returns:
        [..., d].
    """
    x = 2 * places - 1
    found = [torch.ones_like(x), x]
    for i in range(1, order - 1):
        found.append(((2 * i + 1) * x * found[i] - i * found[i - 1]) / (i + 1))
    return torch.stack(found[:order], -1)


class LMULayer(nn.Module):
    """One cell: u = e_x · x + e_h · h + e_m · m, m = Ā m + B̄ u, h = tanh(W_x x + W_h h + W_m m).

    Args:
        input_size: D.
        size: H.
        order: d.
        memories: M, each with a u of its own.
        parallel: whether e_h, e_m and W_h are left out, and biases added.
    """

    def __init__(self, input_size: int, size: int, order: int, memories: int, parallel: bool):
        super().__init__()
        self.size, self.order, self.memories, self.parallel = size, order, memories, parallel
        self.encoder = nn.Linear(input_size, memories, bias=parallel)  # e_x
        self.input_kernel = nn.Linear(input_size, size, bias=parallel)  # W_x
        self.memory_kernel = nn.Parameter(torch.empty(size, memories * order))  # W_m
        nn.init.xavier_normal_(self.input_kernel.weight)
        nn.init.xavier_normal_(self.memory_kernel)
        _lecun_uniform(self.encoder.weight)
        if not parallel:
            self.hidden_encoder = nn.Parameter(_lecun_uniform(torch.empty(memories, size)))  # e_h
            self.memory_encoder = nn.Parameter(torch.zeros(memories, memories * order))  # e_m
            self.hidden_kernel = nn.Parameter(nn.init.xavier_normal_(torch.empty(size, size)))  # W_h

    def forward(
        self, inputs: Tensor, hidden: Tensor, memory: Tensor, system: tuple[Tensor, Tensor], starts: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A whole sequence.

        Args:
            inputs: [B, T, D].
            hidden: [B, H] before it; [B, 0] where nothing of the kind is carried.
            memory: [B, M d] before it.
            system: Ā and B̄.
            starts: bool [B, T] or None.

        Returns:
            Outputs [B, T, H], and hidden vectors and memories after the last step.
        """
        encoded, driven = self.encoder(inputs), self.input_kernel(inputs)
        if not self.parallel:
            weights = (self.hidden_encoder, self.memory_encoder, self.hidden_kernel, self.memory_kernel)
            hiddens, memories = run(Given(encoded, driven, *weights, hidden, memory), *system, starts)
            return hiddens.to(inputs.dtype), hiddens[:, -1], memories[:, -1]
        nothing = memory.new_empty
        width = memory.shape[1]
        weights = (nothing(self.memories, 0), nothing(0, width), nothing(0, 0), nothing(0, width))
        given = Given(encoded, nothing(*inputs.shape[:2], 0), *weights, hidden, memory)
        _, memories = run(given, *system, starts)
        outputs = torch.tanh(driven + F.linear(memories.to(inputs.dtype), self.memory_kernel))
        return outputs, hidden, memories[:, -1]


def _lecun_uniform(weight: Tensor) -> Tensor:
    """Fill with uniform numbers of variance 1 over their inputs."""
    bound = math.sqrt(3 / weight.shape[1])
    return nn.init.uniform_(weight, -bound, bound)


class LMU(Core):
    """Layers of Legendre Memory Units one above another, and a linear output.

    Args:
        input_size: D.
        output_size: K.
        size: hidden units of every layer (H).
        order: Legendre polynomials of a memory (d): how finely it resolves its window.
        window: steps that a memory looks back (θ).
        memories: memories of every layer (M), each of which holds a signal of its own.
        layers: number of layers (L).
        parallel: whether the input alone writes the memory and no hidden vector is carried, as in Chilkuri & Eliasmith
            2021.

    Raises:
        ValueError: the window is shorter than a step.
    """

    resets_inside = True
    transition: Tensor  # [d, d], Ā
    entry: Tensor  # [d], B̄
    decoder: Tensor  # [steps of the window, d]

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 128,
        order: int = 32,
        window: float = 64.0,
        memories: int = 1,
        layers: int = 1,
        parallel: bool = False,
    ):
        super().__init__()
        if window < 1:
            raise ValueError(f"option 'window' of core 'lmu' is {window}: expected 1 step or more")
        self.input_size, self.output_size = input_size, output_size
        self.size, self.order, self.window = size, order, window
        self.memories, self.parallel = memories, parallel
        self.layers = nn.ModuleList(
            LMULayer(size if index else input_size, size, order, memories, parallel) for index in range(layers)
        )
        self.output = nn.Linear(size, output_size)
        for name in ("transition", "entry", "decoder"):
            self.register_buffer(name, None, persistent=False)
        self._make_system()

    def _make_system(self) -> None:
        """The system in the core's own dtype: rounded once, also where the core is made wider later."""
        places = torch.arange(math.ceil(self.window), dtype=torch.float64) / self.window
        parts = (*delay_system(self.order, self.window), legendre(self.order, places))
        self.transition, self.entry, self.decoder = (part.to(self.output.weight) for part in parts)

    def _apply(self, *arguments: Any, **options: Any) -> LMU:
        super()._apply(*arguments, **options)
        self._make_system()
        return self

    def initial_state(self, batch_size: int) -> LMUState:
        """Zeros."""
        zeros, layers = self.output.weight.new_zeros, len(self.layers)
        memory = zeros(batch_size, layers, self.memories, self.order)
        return LMUState(memory, NoState() if self.parallel else GRUState(zeros(batch_size, layers, self.size)))

    def forward(self, inputs: Tensor, state: LMUState) -> tuple[Tensor, LMUState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        hidden, after = self._features(inputs.unsqueeze(1), state, None)
        if self.recorder is not None:
            # what each memory holds of the steps of its window, the newest first: [B, L M, steps]
            past = (after.memory @ self.decoder.t()).flatten(1, 2)
            self.recorder.append({"hidden": hidden[:, 0], "coefficients": after.memory, "window": past})
        return self.output(hidden).squeeze(1), after

    def sequence(self, inputs: Tensor, state: LMUState, starts: Tensor | None = None) -> tuple[Tensor, LMUState]:
        """All steps at once, with resets inside: inputs [B, T, D] to outputs [B, T, K]."""
        hidden, after = self._features(inputs, state, starts)
        return self.output(hidden), after

    def _features(self, inputs: Tensor, state: LMUState, starts: Tensor | None) -> tuple[Tensor, LMUState]:
        """Hidden vectors of the last layer [B, T, H], and the last state."""
        below, hiddens, memories = inputs, [], []
        nothing = inputs.new_empty(len(inputs), 0)
        for index, layer in enumerate(self.layers):
            hidden = nothing if isinstance(state.controller, NoState) else state.controller.hidden[:, index]
            memory = state.memory[:, index].flatten(1)
            below, hidden, memory = layer(below, hidden, memory, (self.transition, self.entry), starts)
            hiddens.append(hidden)
            memories.append(memory)
        after = torch.stack(memories, 1).unflatten(2, (self.memories, self.order))
        controller = NoState() if self.parallel else GRUState(torch.stack(hiddens, 1))
        return below, LMUState(after, controller)
