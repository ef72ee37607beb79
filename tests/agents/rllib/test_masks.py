"""Actions that an observation does not allow are never taken, in sampling, learning and play."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.tune.registry import register_env

from lukasa import envs
from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.policy.masks import MASKED, ActionMask, action_mask
from lukasa.agents.rllib import (
    MemoryDQNConfig,
    MemoryMBECConfig,
    MemoryMFECConfig,
    MemoryNECConfig,
    MemoryPPOConfig,
    rollout,
)
from lukasa.agents.rllib.many_agents.runner import MemoryMultiAgentEnvRunner
from lukasa.agents.rllib.runner import MemoryEnvRunner
from tests.agents.rllib.masked import SPACES, Masked, MaskedMany
from tests.agents.rllib.sampling import learner_batch, make_learner, ppo, ship

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


def masked_ppo(**settings):
    register_env("masked", lambda context: Masked(**{k: v for k, v in context.items() if k != "num_envs"}))
    config = ppo("masked", copies=3)
    config.environment("masked", env_config=settings)
    config.memory("gru", size=8, max_seq_len=4)
    return config


@pytest.mark.parametrize("actions", SPACES)
def test_only_what_is_allowed_is_sampled_learned_and_played(actions):
    """The environment itself asserts that it is never asked for anything else."""
    kind = "box" if actions == "multi" else "binary"
    config = masked_ppo(actions=actions, kind=kind)
    runner = MemoryEnvRunner(config=config)
    learner = make_learner(config, runner)
    module = learner.module[DEFAULT_MODULE_ID]
    for _ in range(3):
        batch = learner_batch(learner, ship(runner.sample()))
        inside = batch[Columns.LOSS_MASK]
        sampled = batch[Columns.ACTION_DIST_INPUTS][inside]
        assert torch.allclose(module.forward_train(batch)[Columns.ACTION_DIST_INPUTS][inside], sampled, atol=1e-5)
        width = sum(ActionLayout(SPACES[actions]).options)
        assert torch.equal(sampled[:, :width] == MASKED, batch[Columns.OBS]["action_mask"][inside] == 0)
        outputs = learner.module.forward_train({DEFAULT_MODULE_ID: batch})
        loss = learner.compute_losses(fwd_out=outputs, batch={DEFAULT_MODULE_ID: batch})[DEFAULT_MODULE_ID]
        gradients = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)
        assert loss.isfinite()
        assert all(one is None or one.isfinite().all() for one in gradients)
    for explore in (False, True):
        assert [one.length for one in rollout(module, Masked(actions, kind=kind), 4, seed=0, explore=explore)] == [
            9
        ] * 4


def test_action_values_are_masked():
    register_env("masked", lambda context: Masked(**{k: v for k, v in context.items() if k != "num_envs"}))
    config = MemoryDQNConfig().environment("masked").memory("gru", size=8, max_seq_len=4)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=2)
    config.training(replay_sequences=8, num_steps_sampled_before_learning_starts=100)
    config.reporting(min_sample_timesteps_per_iteration=200, min_time_s_per_iteration=0)
    algorithm = config.build_algo()
    try:
        learned = [algorithm.train()["learners"]["default_policy"] for _ in range(2)][-1]
        assert abs(learned["qf_mean"]) < 100
        assert len(rollout(algorithm, Masked(), 3, seed=0)) == 3
    finally:
        algorithm.stop()


@pytest.mark.parametrize("config", [MemoryNECConfig, MemoryMFECConfig, MemoryMBECConfig])
def test_episodic_agents_act_on_what_is_allowed(config):
    register_env("masked", lambda context: Masked(**{k: v for k, v in context.items() if k != "num_envs"}))
    made = config().environment("masked").memory("feedforward", embedding_size=8, output_size=8).debugging(seed=0)
    made.env_runners(num_env_runners=0, num_envs_per_env_runner=2)
    made.training(train_batch_size_per_learner=64, episodic={"entries": 500, "neighbours": 3, "round": 32})
    algorithm = made.build_algo()
    try:
        algorithm.train()
        assert bool(torch.isfinite(algorithm.agent.dictionary.state_dict()["values"]).all())
        assert [one.length for one in rollout(algorithm, Masked(), 3, seed=0)] == [9] * 3
    finally:
        algorithm.stop()


def test_several_agents_have_their_own_masks():
    register_env("masked_many", lambda context: MaskedMany(**context))
    config = MemoryPPOConfig().environment("masked_many").memory("gru", size=8, max_seq_len=4)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=2, rollout_fragment_length=10)
    config.multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda agent, *_, **__: agent)
    config.validate()
    runner = MemoryMultiAgentEnvRunner(config=config)
    assert sum(len(episode) for episode in runner.sample()) == 20
    config = config.copy(copy_frozen=False).environment(env_config={"empty_at": 3})
    with pytest.raises(envs.EnvironmentFailedError, match=r"allows no action in step, in its copy 0 \(agent 'a'\)"):
        MemoryMultiAgentEnvRunner(config=config).sample()


@pytest.mark.parametrize(("at", "doing"), [(0, "reset"), (4, "step")])
def test_a_mask_that_allows_nothing_is_said(at, doing):
    runner = MemoryEnvRunner(config=masked_ppo(empty_at=at))
    with pytest.raises(envs.EnvironmentFailedError, match=f"allows no action in {doing}, in its copy 0"):
        runner.sample()
    module = MemoryEnvRunner(config=masked_ppo()).module
    with pytest.raises(envs.EnvironmentFailedError, match="allows no action: allow at least one"):
        rollout(module, Masked(empty_at=at), 1)


def test_a_mask_that_does_not_fit_is_refused():
    seen = gym.spaces.Dict({"action_mask": gym.spaces.MultiBinary(4), "observations": gym.spaces.Discrete(3)})
    assert action_mask(seen, gym.spaces.Discrete(4)) is not None
    assert action_mask(seen["observations"], gym.spaces.Discrete(4)) is None
    for actions in (gym.spaces.Discrete(5), gym.spaces.Box(-1, 1, (4,))):
        with pytest.raises(ValueError, match=r"'action_mask' of the observations is MultiBinary\(4\).*options in all"):
            action_mask(seen, actions)


@pytest.mark.parametrize("actions", SPACES)
def test_random_actions_are_allowed_ones(actions):
    env, random = Masked(actions), np.random.default_rng(0)
    mask = ActionMask(env.layout)
    seen, _ = env.reset(seed=0)
    for _ in range(9):
        assert not mask.empty(seen["action_mask"][None]).any()
        seen, *_ = env.step(mask.draw(seen["action_mask"], random))
    assert mask.empty(seen["action_mask"][None]).all()
