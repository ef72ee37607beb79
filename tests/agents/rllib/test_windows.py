"""Cores whose state is a window of their past, in RLlib: the window travels once a chunk, and learns."""

import math
import pickle

import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from lukasa.agents.rllib.module import EPISODE_START, MEMORY_COST
from tests.agents.rllib.sampling import learner_batch, make_learner, make_runner, ppo, ship

SMALL = {"size": 8, "layers": 2, "heads": 2, "head_size": 4, "mlp_size": 8}
CORES = {
    "gtrxl": {"length": 6, **SMALL},
    "compressive_transformer": {"length": 3, "compressed": 2, "rate": 2, "segment": 2, **SMALL},
}
ATTENDING = {"slots": 8, "word_size": 4, "controller": "attention", "controller_size": 8, "controller_window": 6}
CONTROLLERS = {"ntm": ATTENDING, "sam": {**ATTENDING, "heads": 1, "reads": 2, "index": "exact"}}
EVERY_CORE = pytest.mark.parametrize("core", CORES)


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


def configured(core, **options):
    config = ppo(**options)
    return config.memory(core=core, **(CORES | CONTROLLERS)[core], max_seq_len=config.max_seq_len)


@pytest.mark.ray
@pytest.mark.parametrize("core", CORES | CONTROLLERS)
def test_learner_recomputes_what_the_runner_decided(core):
    """Chunks of four steps of episodes of 25, whose windows are full and whose segments are under way."""
    config = configured(core)
    runner = make_runner(config)
    learner = make_learner(config, runner)
    continued = 0
    for _ in range(5):
        batch = learner_batch(learner, ship(runner.sample()))
        recomputed = learner.module[DEFAULT_MODULE_ID].forward_train(batch)[Columns.ACTION_DIST_INPUTS]
        mask = batch[Columns.LOSS_MASK]
        torch.testing.assert_close(recomputed[mask], batch[Columns.ACTION_DIST_INPUTS][mask], rtol=0, atol=1e-6)
        continued += int((~batch[Columns.STATE_IN][EPISODE_START]).sum())
    assert continued > 20


@pytest.mark.ray
@EVERY_CORE
def test_window_travels_once_a_chunk(core):
    """Episodes of 25 steps in fragments of 48: at most three states in 48 steps."""

    def shipped(**options):
        config = ppo(fragment=48, max_seq_len=25)
        runner = make_runner(config.memory(core=core, **CORES[core] | options, max_seq_len=25))
        runner.sample()
        fragments = runner.sample()
        state = sum(part.nbytes for part in runner.module.get_initial_state().values())
        return len(pickle.dumps(fragments)) / sum(map(len, fragments)), state

    (small, small_state), (large, large_state) = shipped(), shipped(size=64, length=32)
    assert large_state > 10_000
    assert large - small <= 3 / 48 * (large_state - small_state) * 1.1


@pytest.mark.ray
@EVERY_CORE
def test_ppo_trains_every_weight(core):
    algorithm = configured(core, fragment=26, max_seq_len=14).build_algo()
    before = algorithm.get_module().get_state()
    for _ in range(2):
        learned = algorithm.train()["learners"][DEFAULT_MODULE_ID]
    after = algorithm.get_module().get_state()
    algorithm.stop()
    assert math.isfinite(learned["total_loss"])
    assert all((before[name] != after[name]).any() for name in before)
    assert (MEMORY_COST in learned) == (core == "compressive_transformer")
    assert learned.get(MEMORY_COST, 1.0) > 0
