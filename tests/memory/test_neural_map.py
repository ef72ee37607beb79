"""Neural Map against loops written from the paper, and what its places, moves and options mean.

Legend: T time, D input width, H and W rows and columns, C numbers of a cell, K output width.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.neural_map import NeuralMap
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL: dict[str, Any] = {"height": 4, "width": 3, "word_size": 3, "filters": 2, "layers": 2, "write_size": 5}
EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-11}
KINDS = [
    {"write": write, "position": position, "egocentric": around}
    for write in ("gru", "plain")
    for position in ("input", "predicted")
    for around in (False, True)
]


def made(**options: Any) -> NeuralMap:
    core = lively_core("neural_map", input_size=4, **SMALL | options)
    assert isinstance(core, NeuralMap)
    return core


def walk(batch_size: int, length: int, seed: int = 1) -> Tensor:
    """Inputs [B, T, 4] that end with a position which wanders over the world."""
    draw = Sampler(seed)
    places = (0.5 + 0.3 * draw.normal(batch_size, length, 2).cumsum(1)).clamp(0, 0.999)
    return torch.cat([draw.normal(batch_size, length, 2), places], 2)


def softmax(scores: list[Tensor]) -> list[Tensor]:
    largest = max(score.item() for score in scores)  # words of a plain write grow without bounds
    powers = [(score - largest).exp() for score in scores]
    return [power / sum(powers) for power in powers]


def layer(part: Any, numbers: Tensor) -> Tensor:
    return part.weight @ numbers + (0 if part.bias is None else part.bias)


def convolved(part: torch.nn.Conv2d, maps: list[list[Tensor]]) -> list[list[Tensor]]:
    """Cells [H][W] of channels, 3 by 3 cells around each, zeros beyond the edge, ReLU."""
    height, width, after = len(maps), len(maps[0]), []
    assert part.bias is not None
    for row in range(height):
        after.append([])
        for column in range(width):
            total = part.bias
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if 0 <= row + down < height and 0 <= column + right < width:
                        total = total + part.weight[:, :, down + 1, right + 1] @ maps[row + down][column + right]
            after[-1].append(total.clamp(min=0))
    return after


def new_word(core: NeuralMap, seen: Tensor, word: Tensor) -> Tensor:
    """The local write: of a network (section 3.3), or of a GRU's gates."""
    part: Any = core.write
    if hasattr(part, "layers"):
        first, _, last = part.layers
        return layer(last, layer(first, torch.cat([seen, word])).clamp(min=0))
    size = len(word)
    w_r, w_z, w_h = layer(part.of_seen, seen).split(size)
    u_r, u_z = part.of_word.weight.split(size)
    r, z = torch.sigmoid(w_r + u_r @ word), torch.sigmoid(w_z + u_z @ word)
    return (1 - z) * word + z * torch.tanh(w_h + part.of_kept.weight @ (r * word))


def by_the_paper(core: NeuralMap, inputs: Tensor) -> Tensor:
    """Section 3 for one episode: inputs [T, D] to outputs [T, K], cells as vectors in lists of lists."""
    height, width, size = core.height, core.width, core.word_size
    nothing = torch.zeros(size, dtype=torch.float64)
    cells = [[nothing] * width for _ in range(height)]
    before, outputs = None, []
    for x in inputs:
        s = x[:-2] if core.given else x
        place = [int(p * n / core.span) for p, n in zip(x[-2:].tolist(), (height, width), strict=True)]
        at = [[torch.zeros(())] * width for _ in range(height)]
        if core.given and not core.egocentric:
            at[place[0]][place[1]] = torch.ones(())
        elif core.egocentric:
            moves = [(torch.ones(()), [p - q for p, q in zip(place, before or place, strict=True)])]
            if not core.given:
                down, right = (softmax(list(part)) for part in layer(core.position, s).split(3))
                moves = [(down[i] * right[j], [i - 1, j - 1]) for i in range(3) for j in range(3)]
            old, cells = cells, [[nothing] * width for _ in range(height)]
            for weight, (u, v) in moves:
                for a in range(height):
                    for b in range(width):
                        if 0 <= a + u < height and 0 <= b + v < width:
                            cells[a][b] = cells[a][b] + weight * old[a + u][b + v]
            at[height // 2][width // 2] = torch.ones(())
        else:
            rows, columns = (softmax(list(part)) for part in layer(core.position, s).split([height, width]))
            at = [[row * column for column in columns] for row in rows]
        before = place
        maps = cells
        for part in core.read.convolutions:
            maps = convolved(part, maps)  # pyright: ignore
        r = layer(core.read.layer, torch.stack([torch.stack(row) for row in maps]).permute(2, 0, 1).flatten())
        q = layer(core.query, torch.cat([s, r]))
        flat = [cell for row in cells for cell in row]
        found = softmax([q @ cell for cell in flat])
        c = sum((weight * cell for weight, cell in zip(found, flat, strict=True)), nothing)
        here = sum((a * cell for a, cell in zip((a for row in at for a in row), flat, strict=True)), nothing)
        w = new_word(core, torch.cat([s, r, c]), here)
        cells = [
            [(1 - a) * cell + a * w for a, cell in zip(*pair, strict=True)] for pair in zip(at, cells, strict=True)
        ]
        outputs.append(layer(core.output, torch.cat([r, c, w])))
    return torch.stack(outputs)


@pytest.mark.parametrize("options", KINDS, ids=lambda one: "-".join(map(str, one.values())))
def test_outputs_and_gradients_are_those_of_the_paper(options: dict[str, Any]):
    core, inputs = made(**options), walk(2, 5).requires_grad_()
    found, _ = memory.unroll(core, inputs)
    expected = torch.stack([by_the_paper(core, row) for row in inputs])
    torch.testing.assert_close(found, expected, **EXACT)
    wanted = [inputs, *core.parameters()]
    slopes = [
        torch.autograd.grad(outputs.square().sum(), wanted, materialize_grads=True) for outputs in (found, expected)
    ]
    torch.testing.assert_close(slopes[0], slopes[1], **EXACT)


def steps_at(core: memory.Core, *places: tuple[float, float]) -> tuple[Any, dict[str, Tensor]]:
    """The last state and the recording of a walk along places, from 0 to 1."""
    inputs = torch.cat([Sampler(3).normal(1, len(places), 2), torch.tensor([places]).double()], 2)
    with memory.record(core) as recording:
        _, state = memory.unroll(core, inputs)
    return state, recording.stacked()


def test_word_is_written_where_the_position_says_and_stays_there():
    core = made(position="input")
    state, recorded = steps_at(core, (0.0, 0.0), (0.99, 0.5), (1.0, 1.0), (0.3, 0.4))
    written = state.map[0].abs().sum(2) > 0
    assert written.nonzero().tolist() == [[0, 0], [1, 1], [3, 1], [3, 2]]
    places = recorded["map_write"][0].flatten(1).argmax(1).tolist()
    assert places == [0, 3 * 3 + 1, 3 * 3 + 2, 1 * 3 + 1]
    first, _ = steps_at(core, (0.0, 0.0))
    torch.testing.assert_close(state.map[0, 0, 0], first.map[0, 0, 0], rtol=0, atol=0)
    torch.testing.assert_close(recorded["map_read"].sum((2, 3)), torch.ones(1, 4).double())


@pytest.mark.parametrize("place", [(-3.0, 7.0), (float("nan"), 1.0), (float("-inf"), float("inf"))])
def test_position_beyond_the_world_is_at_its_edge(place: tuple[float, float]):
    state, _ = steps_at(made(position="input"), place)
    assert (state.map[0].abs().sum(2) > 0).nonzero().tolist() == [[0, 2]]
    assert state.map.isfinite().all()


def test_egocentric_map_moves_beneath_the_agent_and_loses_what_leaves_it():
    """Two rows down, one column right: the first word lies two above and one to the left of the middle, (2, 1)."""
    core = made(position="input", egocentric=True)
    state, _ = steps_at(core, (0.1, 0.1), (0.6, 0.4))
    assert (state.map[0].abs().sum(2) > 0).nonzero().tolist() == [[0, 0], [2, 1]]
    assert state.place.tolist() == [[2, 1]]
    state, _ = steps_at(core, (0.1, 0.1), (0.9, 0.4))
    assert (state.map[0].abs().sum(2) > 0).nonzero().tolist() == [[2, 1]]
    wide = made(position="input", egocentric=True, span=2.0)
    state, _ = steps_at(wide, (0.1, 0.1), (0.9, 0.4))
    assert (state.map[0].abs().sum(2) > 0).nonzero().tolist() == [[1, 1], [2, 1]]


def test_egocentric_map_is_the_same_wherever_the_walk_began():
    core = made(position="input", egocentric=True, height=8, width=8)
    low, _ = steps_at(core, (0.1, 0.1), (0.2, 0.1), (0.2, 0.3))
    high, _ = steps_at(core, (0.6, 0.6), (0.7, 0.6), (0.7, 0.8))
    torch.testing.assert_close(low.map, high.map, rtol=0, atol=0)
    world = made(position="input", height=8, width=8)
    assert not torch.equal(
        *(steps_at(world, *places)[0].map for places in ([(0.1, 0.1), (0.2, 0.1)], [(0.6, 0.6), (0.7, 0.6)]))
    )


@pytest.mark.parametrize("options", KINDS[:4], ids=lambda one: "-".join(map(str, one.values())))
def test_gradients_of_every_state_field_and_input_are_slopes(options: dict[str, Any]):
    core = made(**options)
    state = reached_state(core, 2)
    inputs = walk(2, 1)[:, 0]
    inputs[:, 2:] = 0.4  # away from the edges of a cell, where a position has no slope

    def step(inputs: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
        output, after = core(inputs, state._replace(map=held))
        return output, after.map

    assert torch.autograd.gradcheck(step, (inputs.requires_grad_(), state.map.clone().requires_grad_()))


def test_position_is_predicted_where_nobody_gives_one():
    assert not made(position="auto").given
    assert [name for name, _ in made().named_parameters()] == [
        name for name, _ in made(position="predicted").named_parameters()
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"span": 2.0}, "span is 2.0: expected a number above 0, and 1 unless the map is egocentric"),
        ({"span": 0.0, "egocentric": True}, "span is 0.0: expected a number above 0"),
        ({"position": "input", "input_size": 1}, "input_size is 1: with position 'input' the last two numbers are"),
        (
            {"position": "last"},
            "option 'position' of core 'neural_map' is 'last': choose one of 'auto', 'input', 'predicted'",
        ),
        ({"write": "lstm"}, "is 'lstm': choose one of 'gru', 'plain'"),
    ],
)
def test_option_that_does_not_fit_is_refused(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        memory.make_core("neural_map", **{"input_size": 4, "output_size": 2, **options})
