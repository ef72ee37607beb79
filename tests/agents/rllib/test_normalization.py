import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from lukasa.agents.policy.normalization import (
    LEAST_STD,
    Moments,
    ObservationNormalizer,
    ReturnScale,
    add,
    moments,
)
from lukasa.agents.rllib import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryRLModule, MemorySettings, rollout
from lukasa.agents.rllib.returns import discounted_returns
from tests.agents.rllib.sampling import ppo

SPACE = Dict(far=Box(-np.inf, np.inf, (2,), np.float32), near=Box(-1.0, 1.0, (3,), np.float32), card=Discrete(4))


class Wandering(gym.Env):
    """Eight steps on a line far from zero; the reward is ``scale`` times how far right the action points."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Discrete(3)

    def __init__(self, config=None):
        self.scale = (config or {}).get("scale", 1.0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.place = 0, self.np_random.normal()
        return self._observe(), {}

    def step(self, action):
        self.time += 1
        self.place += int(action) - 1
        return self._observe(), self.scale * (int(action) - 1 + self.place), self.time == 8, False, {}

    def _observe(self):
        return np.array([1000 + 50 * self.place, 1e-3 * self.time], np.float32)


def batch_of(observations, mask=None, rewards=None):
    first = next(iter(observations.values())) if isinstance(observations, dict) else observations
    mask = torch.ones(first.shape[:2], dtype=torch.bool) if mask is None else mask
    return observations, mask, rewards


@pytest.mark.parametrize(("center", "spread"), [(0.0, 1.0), (1000.0, 0.5), (-3.0, 100.0)])
def test_moments_over_batches_are_those_of_all_numbers(center, spread):
    numbers = np.random.default_rng(0).normal(center, spread, (900, 3))
    running = Moments(3)
    for part in np.split(numbers, [10, 11, 500]):
        running.add(*moments(torch.from_numpy(part)))
    assert running.count == 900
    np.testing.assert_allclose(running.mean, numbers.mean(0), rtol=1e-5, atol=1e-4 * spread)
    np.testing.assert_allclose(running.variance, numbers.var(0), rtol=1e-4)
    seen = running(torch.from_numpy(numbers).float())
    assert seen.mean(0).abs().max() < 1e-2
    assert (seen.std(0) - 1).abs().max() < 1e-2


def test_only_numbers_without_a_known_scale_are_scaled():
    normalizer = ObservationNormalizer(SPACE, reward=False)
    far = 100 + 5 * torch.randn(4, 5, 2)
    observations = {"far": far, "near": 3 * torch.ones(4, 5, 3), "card": torch.ones(4, 5, dtype=torch.int64)}
    add(normalizer.measure(*batch_of(observations)))
    seen = normalizer(observations)
    assert seen["far"].mean().abs() < 1e-3
    assert torch.equal(seen["near"], observations["near"])
    assert torch.equal(seen["card"], observations["card"])


def test_one_box_may_hold_numbers_with_and_without_a_scale():
    # Acrobot's sines and speeds, for one
    space = Box(np.array([-1, 0, -12], np.float32), np.array([1, 1, 12], np.float32))
    normalizer = ObservationNormalizer(space, reward=False)
    columns = torch.tensor([0.5, 0.5, 6.0]).expand(2, 3, 3) + torch.arange(3).view(1, 3, 1)
    add(normalizer.measure(*batch_of(columns)))
    seen = normalizer(columns)
    assert torch.equal(seen[..., :2], columns[..., :2])
    assert seen[..., 2].mean().abs() < 1e-3
    assert seen[..., 2].std() > 0.5


def test_padding_and_bootstrap_steps_do_not_count():
    normalizer = ObservationNormalizer(Box(-9.0, 9.0, (1,), np.float32), reward=True)
    mask = torch.tensor([[True, True, False]])
    columns = torch.tensor([[[2.0], [4.0], [1e9]]])
    add(normalizer.measure(*batch_of(columns, mask, columns)))
    for one in (normalizer.moments[0], normalizer.reward):
        assert (one.count, one.mean, one.variance) == (2, 3, 1)


def test_numbers_that_never_change_stay_near_zero():
    for constant in (0.1, 1e7, -1e-7):
        running = Moments(1)
        running.add(*moments(torch.full((50, 1), constant)))
        assert running(torch.full((1, 1), constant)).abs() < 0.1


def test_batch_that_is_not_finite_is_left_out():
    normalizer = ObservationNormalizer(Box(-9.0, 9.0, (1,), np.float32), reward=False)
    for poison in (float("nan"), float("inf")):
        add(normalizer.measure(*batch_of(torch.tensor([[[poison], [1.0]]]))))
    scale, head = ReturnScale(), torch.nn.Linear(1, 1)
    scale.add(torch.tensor([1.0, float("nan")]), head)
    assert normalizer.moments[0].count == 0
    assert scale.std == 1
    assert scale.weight == 0


def test_return_scale_follows_returns_and_keeps_predictions():
    torch.manual_seed(0)
    head, scale, inputs = torch.nn.Linear(3, 1), ReturnScale(), torch.randn(7, 3)
    for center, spread in ((0.0, 1.0), (300.0, 40.0), (300.0, 40.0), (-2.0, 0.01)):
        before = scale.returns(head(inputs)) if scale.weight else center + spread * head(inputs)
        returns = center + spread * torch.randn(100_000)
        scale.add(returns, head)
        torch.testing.assert_close(scale.returns(head(inputs)), before, rtol=1e-3, atol=1e-2)
        units = scale.in_units(head(inputs)) * scale.std
        torch.testing.assert_close(units, before, rtol=1e-3, atol=1e-2)
    scale.add(torch.zeros(10_000_000), head)
    assert scale.std >= LEAST_STD


def test_first_returns_count_alone():
    scale = ReturnScale()
    scale.add(torch.tensor([10.0, 30.0]), torch.nn.Linear(1, 1))
    assert (scale.mean, scale.std) == (20, 10)


def test_returns_of_rows_equal_a_loop():
    generator = np.random.default_rng(0)
    rewards, values = generator.normal(size=(2, 3, 6))
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]], bool)
    over = np.zeros((3, 6), bool)
    over[0, 2] = over[2, 2] = True
    expected = []
    for row in range(3):
        length = int(mask[row].sum())
        for first in range(length):
            total, weight = 0.0, 1.0
            for t in range(first, length):
                total, weight = total + weight * rewards[row, t], weight * 0.9
                if over[row, t]:
                    break
            else:
                total += weight * values[row, length - 1]
            expected.append(total)
    columns = {Columns.REWARDS: rewards, Columns.TERMINATEDS: over, Columns.LOSS_MASK: mask}
    batch = {name: torch.from_numpy(column) for name, column in columns.items()}
    np.testing.assert_allclose(discounted_returns(batch, torch.from_numpy(values), 0.9), expected, rtol=1e-12)


def weights_after(config, iterations=3):
    torch.manual_seed(0)
    algorithm = config.build_algo()
    try:
        for _ in range(iterations):
            algorithm.train()
        return algorithm.get_module().get_state()
    finally:
        algorithm.stop()


def wandering(scale=1.0, **settings):
    config = ppo(Wandering, fragment=20).environment(env_config={"scale": scale})
    return config.training(gamma=0.99, lambda_=0.95, vf_clip_param=float("inf"), grad_clip=0.5).memory(
        core="gru", size=8, max_seq_len=11, **settings
    )


@pytest.mark.ray
@pytest.mark.parametrize("scale", [1e-2, 1e3])
def test_learning_does_not_depend_on_the_scale_of_rewards(ray_cluster, scale):
    plain, scaled = weights_after(wandering()), weights_after(wandering(scale))
    unscaled = weights_after(wandering(scale, normalize_returns=False))
    names = [name for name in plain if not name.startswith(("return_scale", "value_head"))]
    for name in names:
        np.testing.assert_allclose(scaled[name], plain[name], rtol=1e-2, atol=1e-4, err_msg=name)
    assert any(not np.allclose(unscaled[name], plain[name], rtol=1e-2, atol=1e-4) for name in names if name in unscaled)


@pytest.mark.ray
def test_runner_algorithm_and_checkpoint_play_with_the_same_scale(ray_cluster, tmp_path):
    algorithm = wandering(previous_reward=True).build_algo()
    try:
        for _ in range(2):
            algorithm.train()
        learned, runner = algorithm.get_module().get_state(), algorithm.env_runner.module.get_state()
        counts = [float(value) for name, value in learned.items() if name.endswith("count")]
        assert counts == [120, 120]
        for name in runner:
            np.testing.assert_array_equal(runner[name], learned[name])
        envs = [Wandering() for _ in range(2)]
        here = rollout(algorithm, envs, 4, seed=3)
        there = rollout(algorithm.save_to_path(str(tmp_path)), envs, 4, seed=3)
    finally:
        algorithm.stop()
    assert [one.episode_return for one in here] == [one.episode_return for one in there]
    module = MemoryRLModule(
        observation_space=Wandering.observation_space,
        action_space=Wandering.action_space,
        model_config={**wandering(previous_reward=True).memory_settings, "max_seq_len": 11},
    )
    module.set_state(learned)
    alone = rollout(module, envs, 4, seed=3)
    assert [one.episode_return for one in here] == [one.episode_return for one in alone]


def test_settings_without_the_new_fields_build_the_module_of_old():
    settings = MemorySettings().to_dict()
    for name in ("normalize_observations", "normalize_returns"):
        assert settings.pop(name) is False
    module = MemoryRLModule(
        observation_space=Wandering.observation_space,
        action_space=Wandering.action_space,
        model_config={**settings, "max_seq_len": 5},
    )
    assert not dict(module.named_buffers())


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("config_class", [MemoryAPPOConfig, MemoryIMPALAConfig])
def test_asynchronous_algorithms_follow_observations_and_returns(ray_cluster, config_class):
    config = config_class().environment(Wandering, env_config={"scale": 1000.0})
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=4, rollout_fragment_length=10)
    config.learners(num_learners=0)
    config.training(train_batch_size_per_learner=40).memory(core="gru", size=8)
    algorithm = config.build_algo()
    try:
        learner = algorithm.learner_group._learner.module[DEFAULT_MODULE_ID]
        for _ in range(30):
            algorithm.train()
            state = algorithm.get_module().get_state()
            if state["net.normalizer.moments.0.count"]:  # the runners' weights come when they come
                break
        learned = learner.get_state()
    finally:
        algorithm.stop()
    assert state["net.normalizer.moments.0.mean"][0] > 500
    assert learned["return_scale.std"] > 100
    if config_class is MemoryAPPOConfig:
        assert learner.target_net.normalizer is learner.net.normalizer
