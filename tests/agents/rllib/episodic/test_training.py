"""Episodic agents learn within seconds, and their runners, checkpoints and rollouts know what they know."""

import numpy as np
import pytest
import torch

from lukasa.agents.rllib import MemoryMBECConfig, MemoryMFECConfig, MemoryNECConfig, rollout
from tests.agents.rllib.episodic.worlds import LENGTH, Corridor, Cue, Shifted

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """All of these build algorithms."""


def small(config, env, core="feedforward", steps=256, **options):
    made = config().environment(env).debugging(seed=0).memory(core=core, embedding_size=16, output_size=16)
    made.training(
        train_batch_size_per_learner=steps,
        gamma=0.9,
        episodic={"entries": 2000, "neighbours": 5, "epsilon_steps": 400, "epsilon_end": 0.05, **options},
    )
    return made


def played(algorithm, env, episodes=5):
    return rollout(algorithm, [env() for _ in range(episodes)], episodes, seed=0)


@pytest.mark.parametrize(
    ("config", "env", "options"),
    [
        (MemoryMFECConfig, Corridor, {}),
        (MemoryMFECConfig, Shifted, {"projection": False}),
        (MemoryNECConfig, Corridor, {"n_steps": 3, "replayed": 8}),
        (MemoryMBECConfig, Corridor, {}),
    ],
)
def test_the_shortest_way_is_learned_and_kept_in_a_checkpoint(config, env, options, tmp_path):
    algorithm = small(config, env, **options).build_algo()
    try:
        for _ in range(4):
            result = algorithm.train()["learners"]["default_policy"]
        assert result["dictionary_entries"] > LENGTH
        assert all(one.length == LENGTH for one in played(algorithm, env))
        saved = algorithm.save_to_path(str(tmp_path / "checkpoint"))
        held = algorithm.agent.dictionary.used.clone()
        assert all(one.length == LENGTH for one in played(saved, env))
        algorithm.agent.dictionary.clear()
        algorithm.restore_from_path(saved)
        assert torch.equal(algorithm.agent.dictionary.used, held)
        assert torch.equal(algorithm.env_runner.module.dictionary.used, held)
        algorithm.train()
    finally:
        algorithm.stop()


def test_planning_that_looks_no_step_ahead_values_the_reward_alone():
    algorithm = small(MemoryMBECConfig, Corridor).training(gamma=0.0).build_algo()
    try:
        for _ in range(3):
            algorithm.train()
        held = algorithm.agent.dictionary.state_dict()
        found = [values[:used] for values, used in zip(held["values"], held["used"], strict=True)]
        assert set(torch.cat(found).tolist()) == {0.0, 1.0}
    finally:
        algorithm.stop()


@pytest.mark.slow
@pytest.mark.parametrize("core", ["gru", "sam"])
def test_a_core_that_remembers_makes_keys_that_remember(core):
    algorithm = small(MemoryNECConfig, Cue, core=core, steps=512, n_steps=3, train_every=4, round=64).build_algo()
    try:
        for _ in range(4):
            algorithm.train()
        assert np.mean([one.episode_return for one in played(algorithm, Cue, 20)]) > 0.9
    finally:
        algorithm.stop()


def test_runners_are_sent_what_changed_and_a_new_one_everything():
    config = small(MemoryNECConfig, Corridor, steps=64, round=32).env_runners(num_env_runners=1)
    algorithm = config.build_algo()
    try:
        for _ in range(3):
            sent = algorithm.train()["learners"]["default_policy"]["dictionary_bytes_sent"]
        mine = algorithm.agent.dictionary

        def theirs():
            return algorithm.env_runner_group.foreach_env_runner(
                lambda runner: (runner.module.dictionary.mark, runner.module.dictionary.state_dict()),
                local_env_runner=False,
            )

        def assert_alike():
            ((mark, state),) = theirs()
            assert mark == mine.mark
            for name in ("keys", "values", "used"):
                assert torch.equal(state[name], mine.state_dict()[name])

        assert_alike()
        before = mine.used.clone()
        algorithm.train()
        assert sent < mine.changes().nbytes * 4
        assert bool((mine.used >= before).all())
        algorithm.env_runner_group.foreach_env_runner(
            lambda runner: runner.module.dictionary.clear(), local_env_runner=False
        )
        algorithm.train()
        assert_alike()
    finally:
        algorithm.stop()
