"""Reinforce's gradient on a world so small that all episodes can be listed (Zaremba & Sutskever 2015, appendix A).

The expected gradient is summed up over every sequence of actions, each with its probability, and compared with the
exact derivative of the expected return.
"""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from lukasa.agents.rllib import MemoryReinforceConfig
from tests.agents.rllib.sampling import learner_batch

STEPS = 3
NEVER_LEARNED = ("value_head",)


class Tree(gym.Env):
    """Up to three choices; some end the episode early, and what is earned depends on all that were made."""

    observation_space = Discrete(4)

    def __init__(self, config=None):
        parts = (config or {}).get("parts")
        self.action_space = MultiDiscrete(parts) if parts else Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.taken = []
        return 0, {}

    def step(self, action):
        self.taken.append(tuple(np.atleast_1d(action).tolist()))
        reward = float(np.sin(sum((7 * t + 3) * (sum(a) + 1) for t, a in enumerate(self.taken))))
        over = len(self.taken) == STEPS or (len(self.taken) == 2 and self.taken[1][0] == 0)
        return len(self.taken), reward, over, False, {}


def every_episode(env):
    """All sequences of actions until the end, as RLlib's episodes."""
    space = env.action_space
    options = [np.array(one) for one in np.ndindex(*space.nvec)] if isinstance(space, MultiDiscrete) else [0, 1]
    found, open_ = [], [[]]
    while open_:
        actions = open_.pop()
        observation, _ = env.reset()
        episode = SingleAgentEpisode(observation_space=env.observation_space, action_space=space)
        episode.add_env_reset(observation, {})
        over = False
        for action in actions:
            observation, reward, over, _, info = env.step(action)
            episode.add_env_step(observation, action, reward, info, terminated=over)
        if over:
            found.append(episode)
        else:
            open_ += [[*actions, option] for option in options]
    return found


def make(env_config, **training):
    """A learner whose policy is far from uniform and whose values are wrong."""
    env = Tree(env_config)
    config = MemoryReinforceConfig().environment(Tree, env_config=env_config or {})
    config.memory("lstm", size=4, embedding_size=5, output_size=6, max_seq_len=5, normalize_returns=False)
    config.training(**{"vf_loss_coeff": 0.0, "entropy_coeff": 0.0, **training})
    spaces = (env.observation_space, env.action_space)
    torch.manual_seed(0)
    learner = config.build_learner(
        spaces={INPUT_ENV_SPACES: spaces, INPUT_ENV_SINGLE_SPACES: spaces, DEFAULT_MODULE_ID: spaces}
    )
    module = learner.module[DEFAULT_MODULE_ID].unwrapped()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.5)
    return env, learner, module


def loss_and_batch(learner, episodes):
    batch = learner_batch(learner, [copy.deepcopy(episode).to_numpy() for episode in episodes])
    module = learner.module[DEFAULT_MODULE_ID].unwrapped()
    config = learner.config.get_config_for_module(DEFAULT_MODULE_ID)
    forward = module.forward_train(batch)
    loss = learner.compute_loss_for_module(module_id=DEFAULT_MODULE_ID, config=config, batch=batch, fwd_out=forward)
    return loss, batch


def log_probability(module, episode):
    """Of all actions of an episode, step by step with softmaxes written out."""
    seen = torch.tensor(np.array(episode.get_observations()[:-1]))[None]
    state = {"episode_start": torch.ones(1, dtype=torch.bool)}
    logits = module.forward_train({Columns.OBS: seen, Columns.STATE_IN: state})[Columns.ACTION_DIST_INPUTS][0]
    total = torch.zeros(())
    for scores, action in zip(logits, episode.get_actions(), strict=True):
        start = 0
        for part in np.atleast_1d(action).tolist():
            width = len(scores) if np.ndim(action) == 0 else len(scores) // len(action)
            own = scores[start : start + width]
            total = total + own[part] - torch.log(torch.exp(own).sum())
            start += width
    return total


def flat(module, gradients):
    named = zip(module.named_parameters(), gradients, strict=True)
    return torch.cat(
        [
            torch.zeros_like(one).flatten() if gradient is None else gradient.flatten()
            for (name, one), gradient in named
            if not name.startswith(NEVER_LEARNED)
        ]
    )


@pytest.mark.parametrize("env_config", [None, {"parts": [2, 2]}], ids=["Discrete", "MultiDiscrete"])
@pytest.mark.parametrize("baseline", ["none", "shared", "detached"])
def test_expected_gradient_is_the_derivative_of_the_expected_return(env_config, baseline):
    gamma = 0.8
    env, learner, module = make(env_config, baseline=baseline, gamma=gamma, discount_steps=True)
    episodes = every_episode(env)
    parameters = list(module.parameters())
    expected_return, found = torch.zeros(()), 0
    for episode in episodes:
        probability = log_probability(module, episode).exp()
        earned = sum(gamma**t * reward for t, reward in enumerate(episode.get_rewards()))
        expected_return = expected_return + probability * earned
        loss, _ = loss_and_batch(learner, [episode])
        gradient = flat(module, torch.autograd.grad(loss, parameters, allow_unused=True))
        # the loss is a mean over steps, Reinforce a sum over them
        found = found - probability.detach() * len(episode) * gradient
    assert sum(log_probability(module, one).exp().item() for one in episodes) == pytest.approx(1)
    exact = flat(module, torch.autograd.grad(expected_return, parameters, allow_unused=True))
    assert exact.abs().max() > 0.01
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("baseline", ["shared", "mean", "none"])
def test_loss_of_a_batch_is_that_of_a_loop(baseline):
    """Float64, step by step: -(R_t - b_t) ln pi_t, the squared error of b_t, less the entropy; means over steps."""
    env, learner, module = make(None, baseline=baseline, gamma=0.9, vf_loss_coeff=0.5, entropy_coeff=0.1)
    episodes = every_episode(env)
    loss, batch = loss_and_batch(learner, episodes)
    forward = module.forward_train(batch)
    mask = batch[Columns.LOSS_MASK]
    logits = forward[Columns.ACTION_DIST_INPUTS][mask].detach().double().numpy()
    values = module.compute_values(batch, embeddings=forward[Columns.EMBEDDINGS])[mask].detach().double().numpy()
    actions = np.concatenate([one.get_actions() for one in episodes])
    returns = []
    for episode in episodes:
        rewards = list(episode.get_rewards())
        returns += [sum(0.9 ** (k - t) * rewards[k] for k in range(t, len(rewards))) for t in range(len(rewards))]
    total, mean = 0.0, float(np.mean(returns))
    for t, action in enumerate(actions):
        shares = np.exp(logits[t]) / np.exp(logits[t]).sum()
        held = {"shared": values[t], "mean": mean, "none": 0.0}[baseline]
        total -= (returns[t] - held) * np.log(shares[action]) - 0.1 * (shares * np.log(shares)).sum()
        total += 0.5 * (values[t] - returns[t]) ** 2 if baseline == "shared" else 0.0
    assert loss.item() == pytest.approx(total / len(actions), rel=1e-4)


def test_detached_baseline_teaches_the_core_nothing():
    reached = {}
    for baseline in ("shared", "detached"):
        env, learner, module = make(None, baseline=baseline, vf_loss_coeff=100.0)
        loss, _ = loss_and_batch(learner, every_episode(env))
        policy_alone, _ = loss_and_batch(make(None, baseline=baseline)[1], every_episode(env))
        weight = module.core.output.weight
        reached[baseline] = torch.autograd.grad(loss, weight)[0]
        assert loss.item() > policy_alone.item() + 1
    assert reached["shared"].norm() > 10 * reached["detached"].norm()


def test_actions_of_real_numbers_are_learned_too(ray_cluster):
    class Aim(gym.Env):
        observation_space, action_space = Discrete(2), Box(-1.0, 1.0, (1,), np.float32)

        def __init__(self, config=None):
            pass

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return 0, {}

        def step(self, action):
            return 1, -abs(float(action[0]) - 0.5), True, False, {}

    config = MemoryReinforceConfig().environment(Aim).memory("feedforward", size=8).debugging(seed=0)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=8)
    config.training(train_batch_size_per_learner=128, lr=0.005)
    algorithm = config.build_algo()
    try:
        first = algorithm.train()["env_runners"]["episode_return_mean"]
        for _ in range(40):
            last = algorithm.train()["env_runners"]["episode_return_mean"]
    finally:
        algorithm.stop()
    assert last > first + 0.1
