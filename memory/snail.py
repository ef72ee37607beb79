"""SNAIL: temporal convolutions and causal attention over the steps so far (Mishra et al. 2018, section 3).

Every block appends its output to its input as further features. So the features of a step hold what every block has
seen of it, and they are all that has to be kept of the past.

Legend: B batch, T time, L steps kept of the past, P of them in use, D input width, K output width, C features of
a step, M filters, V value size.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.core import Core, check_inputs, whole_precision
from lukasa.memory.derivatives import needs_reference

WIDENING = (1, 4, 8)
"""Keys and values of the three attention blocks: 64, 256, 512 and 32, 128, 256 in the paper."""


class SNAILState(NamedTuple):
    """The past as a window: the newest step is last, the oldest is pushed out."""

    past: Tensor  # [B, L, C], features; zero before the first step
    filled: Tensor  # bool [B, L], where there was a step


class DenseBlock(nn.Module):
    """A causal convolution of two taps with a gated activation (figure 2a).

    Args:
        size: C.
        dilation: steps between the two taps.
        filters: M.
    """

    def __init__(self, size: int, dilation: int, filters: int):
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(2 * size, 2 * filters)

    def forward(self, new: Tensor, past: Tensor) -> Tensor:
        """What new steps [B, T, C] gain from themselves and the past [B, P, C]: [B, T, M]."""
        steps, missing = new.shape[1], max(0, self.dilation - past.shape[1])
        before = past[:, -self.dilation :][:, :steps]
        earlier = torch.cat([before, new[:, : max(0, steps - self.dilation)]], 1)
        earlier = F.pad(earlier, (0, 0, min(missing, steps), 0))[:, :steps]  # zeros before the first step
        values, gates = self.taps(torch.cat([earlier, new], 2)).chunk(2, 2)
        return torch.tanh(values) * torch.sigmoid(gates)


class AttentionBlock(nn.Module):
    """Every step reads the steps up to itself by content (figure 2b).

    Args:
        size: C.
        key_size: of keys and queries.
        value_size: V.
    """

    def __init__(self, size: int, key_size: int, value_size: int):
        super().__init__()
        self.queries = nn.Linear(size, key_size)
        self.keys = nn.Linear(size, key_size, bias=False)  # a bias would move all scores of a query alike
        self.values = nn.Linear(size, value_size)

    def forward(self, new: Tensor, past: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """What new steps [B, T, C] read of themselves and the past [B, P, C].

        A key is sought, and a value read, by way of the features they are made of: q · (W h) is (q W) · h. So nothing
        but features has to be kept, and a step costs no more than one pass over them.

        Args:
            new: [B, T, C].
            past: [B, P, C].
            visible: bool [B, T, P + T], which steps each new one may attend to.

        Returns:
            The reads [B, T, V] and the weights [B, T, P + T].
        """
        with whole_precision(new.device):
            sought = self.queries(new) @ self.keys.weight / math.sqrt(self.keys.out_features)  # [B, T, C]
            scores = torch.cat([sought @ past.transpose(1, 2), sought @ new.transpose(1, 2)], 2)
            weights = torch.softmax(scores.masked_fill(~visible, -math.inf), 2)
            of_past, of_new = weights.split([past.shape[1], new.shape[1]], 2)
            return self.values(of_past @ past + of_new @ new), weights


class SNAIL(Core):
    """Attention, convolutions, attention, convolutions, attention, and a linear output, as for the paper's Omniglot.

    A step attends to itself and the ``length`` steps before it. An episode may be longer: what is older is forgotten,
    but for what later steps made of it.

    Args:
        input_size: D.
        output_size: K.
        length: steps that it looks back (L); each block of convolutions has the layers, of dilations 1, 2, 4, ..., to
            reach that far.
        filters: filters of every convolution (M).
        key_size: numbers in a key of the first attention block; four and eight times that in the others.
        value_size: numbers in a value of the first attention block; four and eight times that in the others.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        length: int = 128,
        filters: int = 128,
        key_size: int = 64,
        value_size: int = 32,
    ):
        super().__init__()
        self.input_size, self.output_size, self.length = input_size, output_size, length
        dilations = [2**layer for layer in range(max(1, math.ceil(math.log2(length))))]
        self.blocks = nn.ModuleList()
        self.kept = size = input_size  # C, of what the last block sees: what it adds is for the output alone
        for number, times in enumerate(WIDENING):
            for dilation in dilations if number else []:
                self.blocks.append(DenseBlock(size, dilation, filters))
                size += filters
            self.blocks.append(AttentionBlock(size, times * key_size, times * value_size))
            self.kept, size = size, size + times * value_size
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> SNAILState:
        """No past."""
        past = self.output.weight.new_zeros(batch_size, self.length, self.kept)
        return SNAILState(past, torch.zeros(batch_size, self.length, dtype=torch.bool, device=past.device))

    def forward(self, inputs: Tensor, state: SNAILState) -> tuple[Tensor, SNAILState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        outputs, after, weights = self._read(inputs.unsqueeze(1), state)
        if self.recorder is not None:
            self.recorder.append({"attention": torch.cat(weights, 1)})
        return outputs.squeeze(1), after

    def sequence(self, inputs: Tensor, state: SNAILState) -> tuple[Tensor, SNAILState]:
        """All steps at once: inputs [B, T, D] to outputs [B, T, K]."""
        # How much of the window is in use cannot be looked up while a call is transformed or traced.
        empty = 0 if needs_reference() else self.length - int(state.filled.any(0).sum())
        outputs, after, _ = self._read(inputs, SNAILState(state.past[:, empty:], state.filled[:, empty:]))
        missing = self.length - after.past.shape[1]
        return outputs, SNAILState(F.pad(after.past, (0, 0, missing, 0)), F.pad(after.filled, (missing, 0)))

    def _read(self, inputs: Tensor, state: SNAILState) -> tuple[Tensor, SNAILState, list[Tensor]]:
        """Steps [B, T, D] after a past of at most L; the window that it leaves, and what each block attends to."""
        steps = inputs.shape[1]
        filled = torch.cat([state.filled, state.filled.new_ones(len(inputs), steps)], 1)
        visible = filled.unsqueeze(1) & self._window(state.past.shape[1], steps, inputs.device)
        features, weights = inputs.to(state.past.dtype), []
        for block in self.blocks:
            past = state.past[..., : features.shape[2]]
            if isinstance(block, AttentionBlock):
                read, attended = block(features, past, visible)
                weights.append(attended)
                features = torch.cat([features, read], 2)
            else:
                features = torch.cat([features, block(features, past)], 2)
        past = torch.cat([state.past, features[..., : self.kept]], 1)
        after = SNAILState(past[:, -self.length :], filled[:, -self.length :])
        return self.output(features), after, weights

    def _window(self, past: int, steps: int, device: torch.device) -> Tensor:
        """Which steps lie at or before each new one, and not too far: bool [T, P + T]."""
        ago = torch.arange(past, past + steps, device=device)[:, None] - torch.arange(past + steps, device=device)
        return (ago >= 0) & (ago <= self.length)
