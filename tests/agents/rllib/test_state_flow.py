"""States travel as keyframes: what the learner rebuilds is what the runner had."""

import math
import pickle

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from lukasa.agents.rllib import MemoryRLModule
from lukasa.agents.rllib.module import EPISODE_START
from lukasa.agents.rllib.state_log import StateLog
from tests.agents.rllib.sampling import learner_batch, make_learner, make_runner, ppo, ship


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


def spy_on_states(runner):
    """Every state that the runner feeds to its module, by episode and step; compared before a reset at step 0."""
    fed = {}
    pipeline = runner._env_to_module

    def spied(*, episodes, **kwargs):
        batch = pipeline(episodes=episodes, **kwargs)
        for row, episode in enumerate(episodes):
            state = {name: tensor[row].clone() for name, tensor in batch[Columns.STATE_IN].items()}
            fed[episode.id_, episode.t] = state
        return batch

    runner._env_to_module = spied
    return fed


def chunk_starts(episodes, chunk):
    """Episode and step of each row of a train batch, the bootstrap step that RLlib appends included."""
    return [
        (episode.id_, start)
        for episode in episodes
        for start in range(episode.t_started, episode.t_started + len(episode) + 1, chunk)
    ]


@pytest.mark.ray
def test_rebuilt_states_equal_the_runners_bit_for_bit():
    config = ppo()
    runner = make_runner(config)
    learner = make_learner(config, runner)
    fed = spy_on_states(runner)
    compared = continued = 0
    for _ in range(8):
        fragments = ship(runner.sample())
        rows = chunk_starts(fragments, chunk=4)
        states = learner_batch(learner, fragments)[Columns.STATE_IN]
        assert len(states[EPISODE_START]) == len(rows)
        for row, (episode, start) in enumerate(rows):
            expected = fed[episode, start]
            assert states[EPISODE_START][row] == expected[EPISODE_START] == (start == 0)
            if start > 0:
                for name, tensor in expected.items():
                    assert torch.equal(states[name][row], tensor), (name, start)
                compared += 1
        continued += sum(fragment.t_started > 0 for fragment in fragments)
    assert compared > 60
    assert continued > 10


@pytest.mark.ray
def test_learner_recomputes_what_the_runner_decided():
    config = ppo()
    runner = make_runner(config)
    learner = make_learner(config, runner)
    module = learner.module[DEFAULT_MODULE_ID]
    for _ in range(4):
        batch = learner_batch(learner, ship(runner.sample()))
        recomputed = module.forward_train(batch)[Columns.ACTION_DIST_INPUTS]
        mask = batch[Columns.LOSS_MASK]
        assert torch.allclose(recomputed[mask], batch[Columns.ACTION_DIST_INPUTS][mask], atol=1e-6)


@pytest.mark.ray
def test_train_batch_equals_that_of_rllibs_own_flow():
    ours = ppo()
    stock = ppo(base=PPOConfig)
    stock.rl_module(rl_module_spec=RLModuleSpec(module_class=MemoryRLModule, model_config=ours.model_config))
    batches, losses = [], []
    for config in (ours, stock):
        runner = make_runner(config)
        learner = make_learner(config, runner)
        torch.manual_seed(1)
        for _ in range(4):
            batch = learner_batch(learner, ship(runner.sample()))
        outputs = learner.module.forward_train({DEFAULT_MODULE_ID: batch})
        batches.append(batch)
        losses.append(learner.compute_losses(fwd_out=outputs, batch={DEFAULT_MODULE_ID: batch})[DEFAULT_MODULE_ID])
    mine, theirs = batches
    continuing = ~mine[Columns.STATE_IN][EPISODE_START]
    assert continuing.any()
    for name, tensor in mine[Columns.STATE_IN].items():
        assert torch.equal(tensor[continuing], theirs[Columns.STATE_IN][name][continuing]), name
    for column in (Columns.OBS, Columns.ACTIONS, "advantages", "value_targets"):
        assert torch.equal(mine[column], theirs[column]), column
    assert torch.equal(*losses)


@pytest.mark.ray
def test_fragments_ship_one_state_a_chunk():
    def shipped(**options):
        config = ppo(fragment=48, max_seq_len=25)
        config.memory(core="ntm", max_seq_len=25, **options)
        runner = make_runner(config)
        runner.sample()
        fragments = runner.sample()
        state = sum(part.nbytes for part in runner.module.get_initial_state().values())
        return len(pickle.dumps(fragments)) / sum(map(len, fragments)), state

    small, small_state = shipped(slots=8, word_size=4, controller_size=16)
    large, large_state = shipped(slots=128, word_size=20, controller_size=100)
    # episodes of 25 steps in fragments of 48: at most three keyframes in 48 steps, where the stock flow has 48
    assert large - small <= 3 / 48 * (large_state - small_state) * 1.1
    assert small < 500


@pytest.mark.ray
def test_fragment_without_its_keyframe_raises():
    config = ppo()
    runner = make_runner(config)
    learner = make_learner(config, runner)
    runner.sample()
    continuing = [fragment for fragment in runner.sample() if fragment.t_started > 0]
    sliced = continuing[0][3:]
    with pytest.raises(RuntimeError, match="without the memory state of its step 13"):
        learner_batch(learner, [sliced])


def test_keyframe_is_a_copy():
    live = {"memory": torch.zeros(2, 3)}
    log = StateLog()
    log.follow(4, live, row=1)
    log.keep()
    live["memory"] += 1
    assert np.array_equal(log.at(4)["memory"], np.zeros(3))


def test_runner_memory_is_not_pinned_by_old_fragments():
    runner = make_runner(ppo())
    fragments = [fragment for _ in range(3) for fragment in runner.sample()]
    assert all(StateLog.of(f)._live is None for f in fragments if not f.is_done)


def test_acting_at_random_is_refused_rather_than_answered_with_a_wrong_state():
    runner = make_runner(ppo())
    with pytest.raises(RuntimeError, match="cannot act at random"):
        runner.sample(random_actions=True)


@pytest.mark.parametrize(("fragment", "expected"), [(128, 65), (50, 51), (64, 65), (65, 33), (1, 2), (2000, 63)])
def test_default_chunks_leave_no_row_to_the_bootstrap_step(fragment, expected):
    config = ppo(fragment=fragment, max_seq_len=None)
    length = config.model_config["max_seq_len"]
    assert length == expected
    assert math.ceil((fragment + 1) / length) == math.ceil(fragment / length) == math.ceil(fragment / 64)
