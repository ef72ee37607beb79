"""The learner's chunks are those that RLlib cuts."""

import numpy as np
import pytest
import torch
from ray.rllib.connectors.common import AddTimeDimToBatchAndZeroPad
from ray.rllib.utils.postprocessing.zero_padding import split_and_zero_pad
from ray.rllib.utils.spaces.space_utils import BatchedNdArray

from lukasa.agents.rllib import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig
from lukasa.agents.rllib.chunking import ChunkColumns, chunks
from tests.agents.rllib.sampling import learner_batch, make_learner, make_runner, ppo, ship
from tests.agents.rllib.two_ways import assert_same

COLUMNS = {
    "floats": BatchedNdArray(np.arange(14, dtype=np.float32).reshape(7, 2)),
    "numbers": BatchedNdArray(np.arange(7)),
    "turned": BatchedNdArray(np.arange(7 * 6).reshape(2, 3, 7).T),
    "nothing wide": BatchedNdArray(np.zeros((7, 0), np.float32)),
    "nested": {"a": BatchedNdArray(np.arange(7.0)), "b": (BatchedNdArray(np.ones((7, 2), np.uint8)),)},
}
LISTS = {
    "flags": [False] * 6 + [True],
    "flags of both kinds": [False] * 6 + [np.bool_(True)],
    "one flag": [np.bool_(True)],
    "numbers": [1, 2, 3, 4, 5, 6, 7],
    "arrays": [np.full(2, number) for number in range(7)],
    "several arrays": [BatchedNdArray(np.arange(3)), BatchedNdArray(np.arange(5))],
    "nothing": [],
}


@pytest.mark.parametrize("length", [1, 3, 7, 9])
@pytest.mark.parametrize("column", [*COLUMNS, *(f"list of {name}" for name in LISTS)])
def test_chunks_are_those_of_rllib(column, length):
    items = [COLUMNS[column]] if column in COLUMNS else LISTS[column.removeprefix("list of ")]
    if column == "list of nothing":
        for cut in (chunks, split_and_zero_pad):
            with pytest.raises(IndexError):
                cut(items, length)
        return
    assert_same(chunks(items, length), split_and_zero_pad(items, length), column)


@pytest.mark.ray
@pytest.mark.parametrize("config_class", [MemoryPPOConfig, MemoryAPPOConfig, MemoryIMPALAConfig])
def test_batches_are_those_with_rllibs_piece(ray_cluster, config_class):
    config = ppo()
    runner = make_runner(config)
    fragments = ship(runner.sample() + runner.sample())
    batches = []
    for piece in (ChunkColumns, AddTimeDimToBatchAndZeroPad):
        learned = config_class().environment("CartPole-v1").memory(core="ntm", **_ntm(), max_seq_len=4)
        learner = make_learner(learned, runner)
        pipeline = learner._learner_connector
        place = [type(one) for one in pipeline.connectors].index(ChunkColumns)
        pipeline.connectors[place] = piece(as_learner_connector=True)
        batches.append(learner_batch(learner, ship(fragments)))
    assert_same(*batches, "batch")
    assert all(not isinstance(part, torch.Tensor) or len(part) for part in batches[0].values())


def _ntm():
    return {"slots": 8, "word_size": 4, "controller_size": 16}
