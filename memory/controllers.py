"""Controllers: the recurrent or feed-forward network that steers the heads of a memory core.

Legend: B batch, T time, D input width, H hidden units, L layers.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa.memory.attention.gated import GatedTransformer
from lukasa.memory.attention.window import WindowState
from lukasa.memory.derivatives import is_transformed

Kind: TypeAlias = Literal["lstm", "gru", "feedforward", "attention"]

WINDOW = 32
"""Steps that an attention controller looks back unless it is given another number."""
HEADS = 4
"""Attention heads of each of its layers."""


class LSTMState(NamedTuple):
    """Hidden and cell vectors of every layer."""

    hidden: Tensor  # [B, L, H]
    cell: Tensor  # [B, L, H]


class GRUState(NamedTuple):
    """Hidden vectors of every layer."""

    hidden: Tensor  # [B, L, H]


class NoState(NamedTuple):
    """The state of a network that has none."""


class LSTMController(nn.Module):
    """A stack of LSTM layers (Hochreiter & Schmidhuber 1997, with forget gates), run one step at a time."""

    def __init__(self, input_size: int, size: int, layers: int):
        super().__init__()
        self.layers = nn.LSTM(input_size, size, layers, batch_first=True)
        self.output_size = size

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros."""
        zeros = self.layers.all_weights[0][0].new_zeros(batch_size, self.layers.num_layers, self.layers.hidden_size)
        return LSTMState(zeros, zeros.clone())

    def forward(self, inputs: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """One step: [B, D] to [B, H]."""
        hiddens, cells = [], []
        hidden = inputs
        carried = zip(state.hidden.unbind(1), state.cell.unbind(1), strict=True)
        step = lstm_cell if is_transformed() else torch.lstm_cell
        for weights, before in zip(self.layers.all_weights, carried, strict=True):
            hidden, cell = step(hidden, before, *weights)
            hiddens.append(hidden)
            cells.append(cell)
        after = LSTMState(torch.stack(hiddens, 1), torch.stack(cells, 1))
        # Under autocast a GPU runs the cells in bfloat16; what is carried stays as it was.
        return hidden, LSTMState(*(new.to(old.dtype) for new, old in zip(after, state, strict=True)))

    def sequence(self, inputs: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """All steps in one library call: [B, T, D] to [B, T, H]."""
        if is_transformed() or needs_steps(self.layers, inputs):
            return step_by_step(self, inputs, state)
        carried = (state.hidden.transpose(0, 1).contiguous(), state.cell.transpose(0, 1).contiguous())
        outputs, (hidden, cell) = self.layers(inputs, carried)
        return outputs, LSTMState(*(new.transpose(0, 1).to(state.cell.dtype) for new in (hidden, cell)))


class GRUController(nn.Module):
    """A stack of GRU layers (Cho et al. 2014, reset after the matrix product), run one step at a time."""

    def __init__(self, input_size: int, size: int, layers: int):
        super().__init__()
        self.layers = nn.GRU(input_size, size, layers, batch_first=True)
        self.output_size = size

    def initial_state(self, batch_size: int) -> GRUState:
        """Zeros."""
        return GRUState(
            self.layers.all_weights[0][0].new_zeros(batch_size, self.layers.num_layers, self.layers.hidden_size)
        )

    def forward(self, inputs: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        """One step: [B, D] to [B, H]."""
        hiddens = []
        hidden = inputs
        step = gru_cell if is_transformed() else torch.gru_cell
        for weights, before in zip(self.layers.all_weights, state.hidden.unbind(1), strict=True):
            hidden = step(hidden, before, *weights)
            hiddens.append(hidden)
        return hidden, GRUState(torch.stack(hiddens, 1).to(state.hidden.dtype))

    def sequence(self, inputs: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        """All steps in one library call: [B, T, D] to [B, T, H]."""
        if is_transformed() or needs_steps(self.layers, inputs):
            return step_by_step(self, inputs, state)
        outputs, hidden = self.layers(inputs, state.hidden.transpose(0, 1).contiguous())
        return outputs, GRUState(hidden.transpose(0, 1).to(state.hidden.dtype))


class FeedForwardController(nn.Module):
    """A stack of linear layers with tanh: no state of its own, all memory is outside."""

    def __init__(self, input_size: int, size: int, layers: int):
        super().__init__()
        widths = [input_size, *[size] * layers]
        self.layers = nn.Sequential()
        for before, after in itertools.pairwise(widths):
            self.layers.extend([nn.Linear(before, after), nn.Tanh()])
        self.output_size = size

    def initial_state(self, batch_size: int) -> NoState:
        """Nothing."""
        del batch_size
        return NoState()

    def forward(self, inputs: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        """One step: [B, D] to [B, H]."""
        return self.layers(inputs), state

    def sequence(self, inputs: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        """All steps at once: [B, T, D] to [B, T, H]."""
        return self.layers(inputs), state


class AttentionController(nn.Module):
    """Attention to the controller's own last inputs, in gated layers (Parisotto et al. 2020; ``GatedTransformer``).

    A step attends to itself and the ``window`` steps before it: the state is of one size.
    """

    def __init__(self, input_size: int, size: int, layers: int, window: int):
        super().__init__()
        self.input = nn.Linear(input_size, size)
        self.layers = GatedTransformer(
            size, layers=layers, length=window, heads=HEADS, head_size=max(1, size // HEADS), mlp_size=size
        )
        self.output_size = size

    def initial_state(self, batch_size: int) -> WindowState:
        """No past."""
        return self.layers.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: WindowState) -> tuple[Tensor, WindowState]:
        """One step: [B, D] to [B, H]."""
        outputs, state = self.sequence(inputs.unsqueeze(1), state)
        return outputs.squeeze(1), state

    def sequence(self, inputs: Tensor, state: WindowState) -> tuple[Tensor, WindowState]:
        """All steps at once: [B, T, D] to [B, T, H]."""
        stream, state, _ = self.layers(self.input(inputs), state)
        return stream, state


def needs_steps(layers: nn.Module, inputs: Tensor) -> bool:
    """Whether a gradient is wanted that cuDNN does not give: on a GPU, of a network in evaluation mode."""
    return inputs.device.type == "cuda" and not layers.training and torch.is_grad_enabled()


def step_by_step(controller: Controller, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
    """A controller's ``sequence`` by single steps, for what the library's call cannot do: [B, T, D] to [B, T, H]."""
    outputs = []
    for step in inputs.unbind(1):
        output, state = controller(step, state)
        outputs.append(output)
    return torch.stack(outputs, 1), state


def lstm_cell(
    inputs: Tensor, before: tuple[Tensor, Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """``torch.lstm_cell`` in operations that every transform of ``torch.func`` knows."""
    hidden, cell = before
    write, keep, new, show = (F.linear(inputs, w_ih, b_ih) + F.linear(hidden, w_hh, b_hh)).chunk(4, -1)
    cell = torch.sigmoid(keep) * cell + torch.sigmoid(write) * torch.tanh(new)
    return torch.sigmoid(show) * torch.tanh(cell), cell


def gru_cell(inputs: Tensor, hidden: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """``torch.gru_cell`` in operations that every transform of ``torch.func`` knows."""
    reset, update, new = F.linear(inputs, w_ih, b_ih).chunk(3, -1)
    reset_before, update_before, new_before = F.linear(hidden, w_hh, b_hh).chunk(3, -1)
    new = torch.tanh(new + torch.sigmoid(reset + reset_before) * new_before)
    return torch.lerp(new, hidden, torch.sigmoid(update + update_before))


def every_layer(output: Tensor, state: Any) -> Tensor:
    """What a controller with several recurrent layers emits; h_t = [h¹; …; hᴸ] in Graves et al. 2016, Methods.

    Args:
        output: [B, H], of a controller's step.
        state: its state after the step.

    Returns:
        [B, L H]; the output itself where there is one layer, or the layers are not recurrent.
    """
    if isinstance(state, NoState | WindowState) or state.hidden.shape[1] == 1:
        return output
    return state.hidden.flatten(1).to(output.dtype)


CONTROLLERS = {
    "lstm": LSTMController,
    "gru": GRUController,
    "feedforward": FeedForwardController,
    "attention": AttentionController,
}
RECURRENT = ("lstm", "gru")
"""Those of whose layers each emits something of its own."""
Controller: TypeAlias = LSTMController | GRUController | FeedForwardController | AttentionController


def make_controller(kind: Kind, input_size: int, size: int, layers: int, window: int = WINDOW) -> Controller:
    """A controller by name.

    Args:
        kind: "lstm", "gru", "feedforward" or "attention".
        input_size: D.
        size: H, units of every layer.
        layers: L, at least 1.
        window: steps that "attention" looks back, at least 1; the others have none.

    Raises:
        ValueError: the name is unknown, or a window is given to a controller that has none.
    """
    if kind not in CONTROLLERS:
        raise ValueError(f"unknown controller {kind!r}: choose one of {', '.join(CONTROLLERS)}")
    if kind == "attention":
        return AttentionController(input_size, size, layers, window)
    if window != WINDOW:
        raise ValueError(f"controller_window is {window}, and controller {kind!r} has no window: only 'attention' does")
    return CONTROLLERS[kind](input_size, size, layers)
