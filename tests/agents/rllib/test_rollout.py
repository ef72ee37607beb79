import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from ray.rllib.connectors.env_to_module import FlattenObservations, MeanStdFilter

from lukasa import envs
from lukasa.agents.rllib import MemoryPPOConfig, MemoryRLModule, MemorySettings, rollout
from tests.agents.rllib.sampling import ppo
from tests.agents.rllib.test_module import OPTIONS


def module_for(env, core="ntm", options=None):
    torch.manual_seed(0)
    settings = MemorySettings(core=core, core_options=OPTIONS.get(core, {}) if options is None else options).to_dict()
    return MemoryRLModule(
        observation_space=env.observation_space,
        action_space=env.action_space,
        model_config={**settings, "max_seq_len": 5},
    )


class Reaching(gym.Env):
    """Ten steps; the reward says what arrived of the action."""

    observation_space = Dict(place=Box(-100.0, 100.0, (1,), np.float32), phase=Discrete(11))
    action_space = Box(-0.5, 0.5, (2,), np.float32)

    def __init__(self, config=None):
        self.arrived = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._observe(), {}

    def step(self, action):
        self.time += 1
        self.arrived.append(action)
        return self._observe(), float(action.sum()), False, self.time == 10, {"time": self.time}

    def _observe(self):
        return {"place": np.full(1, 10.0 * self.time, np.float32), "phase": self.time}


@pytest.mark.parametrize("core", OPTIONS)
def test_episodes_are_whole_and_carry_what_the_memory_did(core):
    env = envs.make("RepeatPrevious-k1-v0")
    module = module_for(env, core)
    episodes = rollout(module, env, 3, seed=5, record=True)
    assert len(episodes) == 3
    for number, episode in enumerate(episodes):
        assert episode.length == len(episode.rewards) == len(episode.actions) == 49
        assert episode.observations.shape == (50,)
        assert episode.observations[0] == env.reset(seed=envs.stream_seed(5, number))[0]
        assert episode.episode_return == pytest.approx(episode.rewards.sum())
        assert episode.terminated
        assert not episode.truncated
        assert episode.weights["read"].shape == (49, module.core.read_heads, 8)
        assert np.allclose(episode.weights["write"].sum(-1) <= 1 + 1e-5, True)
    assert rollout(module, env, 1)[0].weights == {}


def test_state_is_carried_from_step_to_step_and_forgotten_between_episodes():
    env = envs.make("RepeatPrevious-k1-v0")
    module = module_for(env)
    first, again = rollout(module, env, 1, seed=3, record=True) + rollout(module, env, 1, seed=3, record=True)
    assert np.array_equal(first.weights["memory"], again.weights["memory"])
    steps = first.weights["memory"]
    assert all(not np.array_equal(before, after) for before, after in itertools.pairwise(steps))


@pytest.mark.parametrize("core", OPTIONS)
@pytest.mark.parametrize("copies", [2, 7])
def test_environments_side_by_side_play_the_episodes_that_one_plays(core: str, copies: int):
    """Of different lengths, so that rows begin anew at different steps; 7 copies are more than the episodes."""
    module = module_for(gym.make("CartPole-v1"), core)
    one = rollout(module, gym.make("CartPole-v1"), 5, seed=0)
    several = rollout(module, [gym.make("CartPole-v1") for _ in range(copies)], 5, seed=0)
    assert len({episode.length for episode in one}) > 1
    assert [episode.length for episode in several] == [episode.length for episode in one]
    for single, beside in zip(one, several, strict=True):
        assert np.array_equal(beside.actions, single.actions)
        assert np.array_equal(beside.observations, single.observations)


@pytest.mark.parametrize(
    ("copies", "record", "expected"), [(2, True, "one environment to"), (0, False, "at least one")]
)
def test_a_number_of_environments_that_cannot_be_played_is_refused(copies: int, record: bool, expected: str):
    module = module_for(envs.make("RepeatPrevious-k1-v0"))
    with pytest.raises(ValueError, match=f"{copies} environments were given, expected {expected}"):
        rollout(module, [envs.make("RepeatPrevious-k1-v0") for _ in range(copies)], 2, record=record)


def test_seed_repeats_sampled_actions_too():
    module = module_for(envs.make("RepeatPrevious-k1-v0"))

    def actions(seed):
        return rollout(module, "RepeatPrevious-k1-v0", 2, explore=True, seed=seed)[1].actions

    assert np.array_equal(actions(1), actions(1))
    assert not np.array_equal(actions(1), actions(2))


def test_continuous_actions_arrive_within_their_bounds():
    env = Reaching()
    (episode,) = rollout(module_for(env), env, 1, explore=True, seed=0)
    assert np.array_equal(episode.actions, env.arrived)
    assert (abs(episode.actions) <= 0.5).all()
    assert episode.truncated
    assert episode.info == {"time": 10}
    assert np.array_equal(episode.observations["phase"], range(11))
    assert episode.observations["place"].shape == (11, 1)


@pytest.mark.parametrize(("other", "which"), [("RepeatPrevious-k1-v0", "observation"), ("CartPole-v1", "observation")])
def test_environment_with_other_spaces_is_refused(other, which):
    module = module_for(Reaching())
    with pytest.raises(ValueError, match=f"this environment's {which} space is .* but the agent was trained with"):
        rollout(module, other, 1)


def test_directory_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a whole checkpoint of an RLlib algorithm, it lacks learner_group"):
        rollout(tmp_path, "RepeatPrevious-k1-v0", 1)


@pytest.mark.ray
def test_checkpoint_and_algorithm_act_alike(ray_cluster, tmp_path):
    from ray.rllib.algorithms.algorithm import Algorithm

    config = ppo()
    algorithm = config.build_algo()
    algorithm.train()
    env = envs.make("RepeatPrevious-k1-v0", length=25)
    before = rollout(algorithm, env, 4, seed=0, record=True)
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    algorithm.stop()
    restored = Algorithm.from_checkpoint(path)
    try:
        assert isinstance(restored.config, MemoryPPOConfig)
        assert restored.config.memory_settings == config.memory_settings
        for agent in (path, restored):
            after = rollout(agent, env, 4, seed=0, record=True)
            for one, other in zip(before, after, strict=True):
                assert np.array_equal(one.actions, other.actions)
                assert np.array_equal(one.weights["memory"], other.weights["memory"])
        assert restored.train()["training_iteration"] == 2
    finally:
        restored.stop()
    weights = tmp_path / "checkpoint/learner_group/learner/rl_module/default_policy/module_state.pkl"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match="holds no readable memory agent, it may have been cut short"):
        rollout(path, env, 1)
    weights.unlink()
    with pytest.raises(ValueError, match="holds no readable memory agent, it may have been cut short"):
        rollout(path, env, 1)


@pytest.mark.ray
def test_observations_go_through_the_connectors_of_the_training(ray_cluster, tmp_path):
    config = ppo(Reaching, fragment=10, copies=2)
    config.env_runners(env_to_module_connector=lambda env, spaces, device: [FlattenObservations(), MeanStdFilter()])
    algorithm = config.build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path)
    algorithm.stop()
    expected = algorithm.env_runner._env_to_module[1].get_state()

    def seen(agent):
        inputs = []
        original = MemoryRLModule._forward_inference
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                MemoryRLModule,
                "_forward_inference",
                lambda self, batch, **kw: (inputs.append(batch["obs"].clone()), original(self, batch, **kw))[1],
            )
            (episode,) = rollout(agent, Reaching(), 1)
        assert np.array_equal(episode.observations["phase"], range(11))
        return torch.cat(inputs)

    filtered = seen(algorithm)
    assert filtered.shape == (10, 1, 12)
    assert filtered[:, 0, 0].abs().max() < 3  # places up to 100, standardised by what the training saw
    assert expected
    assert torch.equal(seen(path), filtered)
