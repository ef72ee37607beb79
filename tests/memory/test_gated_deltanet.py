"""Gated DeltaNet and the rules it holds as special cases, against loops written from the papers.

Legend: B batch, T time, F features of a key, V value size.
"""

from typing import Any

import pytest
import torch

from lukasa import memory
from lukasa.memory.matrix_memories.features import dpfp_features
from tests.memory.core_rows import ROWS
from tests.memory.matrix_oracles import DeltaHeads, assert_as_in_loops
from tests.memory.samples import Sampler

LAYERS: dict[str, Any] = {
    "gated_deltanet": [DeltaHeads(2, "gated_delta", "silu", gate=True)],
    "gated_deltanet-2": [DeltaHeads(2, "gated_delta", "silu", reach=2.0) for _ in range(2)],
    "deltanet": [DeltaHeads(2, "delta", "elu")],
    "fast_weights": [DeltaHeads(2, "fast_weights", "dpfp", copies=2)],
    "linear_attention": [DeltaHeads(2, "linear_attention", "elu", gate=True)],
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("stepwise", [False, True])
def test_outputs_are_those_of_the_papers(name: str, stepwise: bool):
    """Thirty steps, past several checkpoints, with starts at the first step, the last and two in a row."""
    assert_as_in_loops(ROWS[name], LAYERS[name], stepwise, rtol=0, atol=1e-10)


def test_a_value_written_under_a_key_twice_is_replaced():
    """With β = 1 and α = 1 a key of length 1 reads what was written under it last; a sum reads both."""
    from lukasa.memory.kernels.matrix_memory import rank_one

    key = torch.nn.functional.normalize(Sampler(0).normal(1, 1, 1, 4), dim=-1).expand(1, 5, 1, 4)
    values, one = Sampler(1).normal(1, 5, 1, 3), torch.ones(1, 5, 1).double()
    empty = torch.zeros(1, 1, 4, 3).double()
    replaced, _ = rank_one(None, key, key, values, one, one, empty, delta=True)
    torch.testing.assert_close(replaced, values)
    added, _ = rank_one(None, key, key, values, one, one, empty, delta=False)
    torch.testing.assert_close(added, values.cumsum(1))


def test_features_of_dpfp_are_those_of_the_paper_for_a_key_of_two():
    """Schlag et al. 2021, section 5.3: the products of neighbours in relu([a, b, −a, −b]), in a circle."""
    for a, b in ((2.0, 3.0), (2.0, -3.0), (-2.0, 3.0), (-2.0, -3.0)):
        r = [max(a, 0), max(b, 0), max(-a, 0), max(-b, 0)]
        found = dpfp_features(torch.tensor([a, b]), 1).tolist()
        assert found == [r[0] * r[1], r[1] * r[2], r[2] * r[3], r[3] * r[0]]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"rule": "linear_attention", "features": "silu"}, "choose 'elu', which are positive"),
        ({"rule": "linear_attention", "features": "dpfp"}, "zero or below with features 'dpfp'"),
        ({"rule": "fast_weights", "features": "silu"}, "choose features 'elu' or 'dpfp'"),
        ({"feature_copies": 2}, "only 'dpfp' has copies"),
        ({"features": "dpfp", "key_size": 2, "feature_copies": 4}, "a key of 2 numbers has 3 different shifts"),
        ({"rule": "linear_attention", "negative_eigenvalues": True}, "only adds and has no β"),
        ({"rule": "gated"}, "choose one of 'gated_delta', 'delta', 'fast_weights', 'linear_attention'"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(options: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        memory.make_core("gated_deltanet", input_size=3, output_size=2, **options)


def test_sizes_of_the_state_are_those_of_the_options():
    core = memory.make_core("gated_deltanet", input_size=3, output_size=2, heads=3, key_size=5, value_size=7, layers=2)
    state = core.initial_state(4)
    assert state.memory.shape == (4, 2, 3, 5, 7)
    assert state.window.shape == (4, 2, 3, 3 * (5 + 5 + 7))
