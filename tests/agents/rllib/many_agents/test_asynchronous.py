"""Several agents learn with runners that sample while others learn."""

import math

import pytest

from lukasa.agents.rllib import MemoryAPPOConfig, MemoryIMPALAConfig, register_environment
from tests.agents.rllib.many_agents.test_states import by_parity

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.parametrize("config_class", [MemoryAPPOConfig, MemoryIMPALAConfig])
def test_states_reach_an_asynchronous_learner(config_class, ray_cluster):
    config = config_class().environment(register_environment("lukasa.envs.own_cues:OwnCues", delay=12))
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=4, rollout_fragment_length=10)
    config.learners(num_learners=0, num_aggregator_actors_per_learner=0)
    config.multi_agent(policies={"policy0", "policy1"}, policy_mapping_fn=by_parity)
    config.training(train_batch_size_per_learner=80, lr=1e-3)
    config.reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=400)
    own = {"core": "sam", "slots": 1000, "word_size": 4, "heads": 1, "controller_size": 8}
    algorithm = config.memory("lstm", size=8, max_seq_len=6, policies={"policy1": own}).build_algo()
    try:
        for _ in range(6):
            learned = algorithm.train()["learners"]
            if all("total_loss" in learned.get(policy, {}) for policy in ("policy0", "policy1")):
                break
        assert all(math.isfinite(learned[policy]["total_loss"]) for policy in ("policy0", "policy1"))
    finally:
        algorithm.stop()
