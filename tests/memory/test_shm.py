"""Stable Hadamard Memory against loops written from the paper, and which θ a step takes.

Legend: B batch, T time.
"""

from typing import Any

import pytest
import torch

from lukasa import memory
from lukasa.memory.matrix_memories.shm import scattered
from tests.memory.core_rows import ROWS
from tests.memory.matrix_oracles import HadamardHeads, assert_as_in_loops

CHOSEN = scattered(torch.arange(40), 5).tolist()
LAYERS: dict[str, Any] = {
    "shm": [HadamardHeads(2, CHOSEN)],
    "shm-2": [HadamardHeads(1, CHOSEN, centre=False) for _ in range(2)],
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("stepwise", [False, True])
def test_outputs_are_those_of_the_paper(name: str, stepwise: bool):
    """Thirty steps, with starts at the first step, the last and two in a row: θ is counted from each start on."""
    state = assert_as_in_loops(ROWS[name], LAYERS[name], stepwise, rtol=1e-10, atol=1e-10)
    assert state.steps[:, 0].tolist() == [1, 10]


def test_vectors_are_taken_about_evenly_and_in_no_order():
    """Of 64,000 steps each of 64 vectors is taken 1,000 times, give or take 5 standard deviations; so are pairs."""
    taken = scattered(torch.arange(64000), 64)
    assert (taken.bincount(minlength=64) - 1000).abs().max() < 5 * 1000**0.5
    pairs = (8 * (taken[:-1] % 8) + taken[1:] % 8).bincount(minlength=64)
    assert (pairs - 1000).abs().max() < 5 * 1000**0.5


def test_scattered_calls_repeat_and_drawn_ones_do_not():
    inputs = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    outcomes = {}
    for selection in ("scattered", "drawn"):
        torch.manual_seed(0)
        core = memory.make_core("shm", input_size=3, output_size=2, selection=selection)
        assert core.chooses == (selection == "drawn")
        outcomes[selection] = [memory.unroll(core, inputs)[0] for _ in range(2)]
    assert torch.equal(*outcomes["scattered"])
    assert not torch.equal(*outcomes["drawn"])


def test_ten_thousand_steps_of_one_input_stay_in_bounds():
    """Each adds less than 1, and what is held does not grow on average; with θ that are not centred it overflows."""
    inputs, most = torch.ones(1, 10000, 3), {}
    for centre in (True, False):
        torch.manual_seed(0)
        options = {"size": 16, "key_size": 8, "value_size": 8, "centre": centre}
        core = memory.make_core("shm", input_size=3, output_size=2, **options)
        with torch.no_grad():
            most[centre] = memory.unroll(core, inputs)[1].memory.abs().max().item()
    assert most[True] < 10000
    assert not most[False] < 1e12, "NaN, in fact"


def test_one_theta_less_its_mean_is_refused():
    with pytest.raises(ValueError, match="one θ less its mean is 0"):
        memory.make_core("shm", input_size=3, output_size=2, thetas=1)
    memory.make_core("shm", input_size=3, output_size=2, thetas=1, centre=False)
