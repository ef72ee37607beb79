"""Neural Map: a memory that is laid out like the world, written where the agent is (Parisotto & Salakhutdinov 2018).

Legend: B batch, D input width, S of it what is seen, C numbers of a cell, H and W rows and columns of the map, K output
width.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from lukasa.memory.attention.relative import softmax
from lukasa.memory.core import Core, check_inputs, whole_precision

Position = Literal["auto", "input", "predicted"]
NOWHERE = -1
"""Row and column before the first step."""
MOVES = 3
"""How far a predicted step of an egocentric map can lead along each axis: back, nowhere, forth."""


class MapState(NamedTuple):
    """The map of the world, or of what lies around the agent."""

    map: Tensor  # [B, H, W, C]


class EgocentricState(NamedTuple):
    """The map of what lies around the agent, and where that was."""

    map: Tensor  # [B, H, W, C]
    place: Tensor  # int64 [B, 2], row and column of the world's cells; NOWHERE before the first step


class GlobalRead(nn.Module):
    """What the map says as a whole: convolutions, then one layer (section 3.1).

    Args:
        shape: H and W.
        word_size: C.
        filters: of every convolution.
        layers: how many convolutions, of 3 by 3 cells.
    """

    def __init__(self, shape: tuple[int, int], word_size: int, filters: int, layers: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(filters if layer else word_size, filters, 3, padding=1) for layer in range(layers)
        )
        self.layer = nn.Linear(filters * shape[0] * shape[1], word_size)

    def forward(self, held: Tensor) -> Tensor:
        """A map [B, H, W, C] to r_t [B, C]."""
        maps = held.permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            maps = torch.relu(convolution(maps))
        return self.layer(maps.flatten(1))


class GatedWrite(nn.Module):
    """The new word of a cell by the gates of a GRU: what was there is kept in part (section 3.5).

    Args:
        seen: width of what the agent sees and has read.
        word_size: C.
    """

    def __init__(self, seen: int, word_size: int):
        super().__init__()
        self.of_seen = nn.Linear(seen, 3 * word_size)
        self.of_word = nn.Linear(word_size, 2 * word_size, bias=False)
        self.of_kept = nn.Linear(word_size, word_size, bias=False)

    def forward(self, seen: Tensor, word: Tensor) -> Tensor:
        """[B, ...] and the word there is [B, C] to the one that takes its place [B, C]."""
        reset, update, new = self.of_seen(seen).chunk(3, 1)
        reset_by_word, update_by_word = self.of_word(word).chunk(2, 1)
        gate = torch.sigmoid(update + update_by_word)
        new = torch.tanh(new + self.of_kept(torch.sigmoid(reset + reset_by_word) * word))
        return (1 - gate) * word + gate * new


class PlainWrite(nn.Module):
    """The new word of a cell by a network of one hidden layer, whatever was there (section 3.3).

    Args:
        seen: width of what the agent sees and has read.
        word_size: C.
        size: units of the hidden layer.
    """

    def __init__(self, seen: int, word_size: int, size: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(seen + word_size, size), nn.ReLU(), nn.Linear(size, word_size))

    def forward(self, seen: Tensor, word: Tensor) -> Tensor:
        """[B, ...] and the word there is [B, C] to the one that takes its place [B, C]."""
        return self.layers(torch.cat([seen, word], 1))


class NeuralMap(Core):
    """A map of cells: read as a whole and by content, written at the agent's position.

    Args:
        input_size: D.
        output_size: K.
        height: rows of the map (H).
        width: columns of the map (W).
        word_size: numbers of a cell (C).
        write: what makes the new word of a cell: "gru", gates that keep part of the old one, or "plain", a network.
        write_size: hidden units of the network of a plain write.
        egocentric: whether the agent is in the middle of the map, which moves beneath it, rather than at its place in
            the world; what leaves the map is lost.
        span: widths of the world that an egocentric map covers; 1 loses what lies further off than half the world, 2
            loses nothing.
        position: where the position comes from: "input", the last two numbers of the input, row and column from 0 to 1;
            or "predicted" from the input, softly. With "auto" a reinforcement learner takes it from the part
            "position" of its observation where there is one, and all else predicts it.
        filters: filters of every convolution of the global read.
        layers: convolutions of the global read.

    Raises:
        ValueError: the inputs are too narrow to hold a position, or a span is given to a map of the world.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        height: int = 15,
        width: int = 15,
        word_size: int = 32,
        write: Literal["gru", "plain"] = "gru",
        write_size: int = 64,
        egocentric: bool = False,
        span: float = 1.0,
        position: Position = "auto",
        filters: int = 8,
        layers: int = 3,
    ):
        super().__init__()
        if span <= 0 or (span != 1.0 and not egocentric):
            raise ValueError(
                f"span is {span}: expected a number above 0, and 1 unless the map is egocentric: one of the world "
                "covers it once"
            )
        if position == "input" and input_size < 2:
            raise ValueError(f"input_size is {input_size}: with position 'input' the last two numbers are a position")
        self.input_size, self.output_size = input_size, output_size
        self.height, self.width, self.word_size = height, width, word_size
        self.egocentric, self.span, self.given = egocentric, span, position == "input"
        seen = input_size - 2 * self.given
        if not self.given:
            axes = 2 * MOVES if egocentric else height + width
            self.position = nn.Linear(seen, axes)
        self.read = GlobalRead((height, width), word_size, filters, layers)
        self.query = nn.Linear(seen + word_size, word_size)
        self.write: GatedWrite | PlainWrite = (
            GatedWrite(seen + 2 * word_size, word_size)
            if write == "gru"
            else PlainWrite(seen + 2 * word_size, word_size, write_size)
        )
        self.output = nn.Linear(3 * word_size, output_size)

    def initial_state(self, batch_size: int) -> MapState | EgocentricState:
        """An empty map."""
        held = self.output.weight.new_zeros(batch_size, self.height, self.width, self.word_size)
        if not (self.egocentric and self.given):
            return MapState(held)
        place = torch.full((batch_size, 2), NOWHERE, dtype=torch.int64, device=held.device)
        return EgocentricState(held, place)

    def forward(self, inputs: Tensor, state: MapState | EgocentricState) -> tuple[Tensor, MapState | EgocentricState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        place, seen, held = None, inputs, state.map
        if self.given:
            seen, place = inputs[:, :-2], self._cell(inputs[:, -2:])
        row, column = self._here(seen, place, held)
        if self.egocentric:
            held = moved(held, *self._moves(seen, place, state))
        whole = self.read(held)
        context, attention = sought(self.query(torch.cat([seen, whole], 1)), held)
        before = at_place(held, row, column)
        word = self.write(torch.cat([seen, whole, context], 1), before)
        held = put(held, row, column, word)
        if self.recorder is not None:
            here = row.unsqueeze(2) * column.unsqueeze(1)
            self.recorder.append({"map": held.norm(dim=3), "map_read": attention, "map_write": here})
        output = self.output(torch.cat([whole, context, word], 1))
        if place is not None and self.egocentric:
            return output, EgocentricState(held, place)
        return output, MapState(held)

    def _cell(self, position: Tensor) -> Tensor:
        """Row and column from 0 to 1 to those of the world's cells, int64 [B, 2]."""
        cells = torch.tensor([self.height, self.width], device=position.device) / self.span
        place = (position.float().nan_to_num().clamp(0, 1) * cells).floor().long()
        return torch.minimum(place, cells.ceil().long() - 1)

    def _here(self, seen: Tensor, place: Tensor | None, held: Tensor) -> tuple[Tensor, Tensor]:
        """How much of the agent is in each row [B, H] and in each column [B, W] of the map; each sums to 1."""
        sizes = self.height, self.width
        if self.egocentric:
            place = torch.tensor([size // 2 for size in sizes], device=held.device).expand(len(held), 2)
        if place is None:
            row, column = self.position(seen).split(sizes, 1)
            return softmax(row).to(held.dtype), softmax(column).to(held.dtype)
        cells = [torch.arange(size, device=held.device) for size in sizes]
        row, column = ((cells[axis] == place[:, axis, None]).to(held.dtype) for axis in (0, 1))
        return row, column

    def _moves(self, seen: Tensor, place: Tensor | None, state: Any) -> tuple[Tensor, Tensor]:
        """Which row [B, H, H] and column [B, W, W] of the map come to lie where after the agent's last step."""
        sizes, dtype = (self.height, self.width), state.map.dtype
        if place is None:
            weights = [softmax(part).to(dtype) for part in self.position(seen).split(MOVES, 1)]
            down, right = (_shifted(one, size) for one, size in zip(weights, sizes, strict=True))
            return down, right
        steps = torch.where(state.place == NOWHERE, 0, place - state.place)
        cells = [torch.arange(size, device=place.device) for size in sizes]
        down, right = ((cells[axis] == (cells[axis] + steps[:, axis, None]).unsqueeze(2)).to(dtype) for axis in (0, 1))
        return down, right


def moved(held: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The map [B, H, W, C] as the agent sees it after a step (section 3.6); what comes in from beyond is 0.

    Args:
        held: [B, H, W, C].
        down: [B, H, H], 1 at i, j where row j comes to be row i.
        right: [B, W, W], the same of columns.
    """
    with whole_precision(held.device):
        rows = (down @ held.flatten(2)).unflatten(2, held.shape[2:])
        return right.unsqueeze(1) @ rows


def sought(query: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    """The context read: what is in the cells that a query [B, C] finds, c_t [B, C], and the weights (section 3.2)."""
    with whole_precision(held.device):
        cells = held.flatten(1, 2)
        weights = softmax((cells @ query.to(held.dtype).unsqueeze(2)).squeeze(2))
        return (weights.unsqueeze(1) @ cells).squeeze(1), weights.unflatten(1, held.shape[1:3])


def at_place(held: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The word where the agent is, [B, C]: rows [B, H] and columns [B, W], weighted."""
    with whole_precision(held.device):
        rows = (row.unsqueeze(1) @ held.flatten(2)).squeeze(1).unflatten(1, held.shape[2:])  # [B, W, C]
        return (column.unsqueeze(1) @ rows).squeeze(1)


def put(held: Tensor, row: Tensor, column: Tensor, word: Tensor) -> Tensor:
    """The map with a word [B, C] where the agent is; elsewhere it stays as it was (section 3.4)."""
    with whole_precision(held.device):
        here = (row.unsqueeze(2) * column.unsqueeze(1)).unsqueeze(3)  # [B, H, W, 1]
        return held * (1 - here) + here * word.to(held.dtype)[:, None, None]


def _shifted(weights: Tensor, size: int) -> Tensor:
    """Rows moved back by one, not at all, or forth by one, with weights [B, 3]: matrices [B, size, size]."""
    cells = torch.arange(size, device=weights.device)
    ahead = cells - cells[:, None]
    back, stay, forth = (weights[:, move, None, None] * (ahead == move - 1) for move in range(MOVES))
    return back + stay + forth
