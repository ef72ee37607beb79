"""Sampling with all episodes side by side gives RLlib's own fragments, and gives way where it could not."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.connectors.module_to_env import GetActions

from lukasa.agents.rllib import MemoryRLModule, lean_sampling
from lukasa.agents.rllib.runner import MemoryEnvRunner
from tests.agents.rllib.drawn_spaces import FORMS, is_usual, spaces
from tests.agents.rllib.sampling import NTM, ppo
from tests.agents.rllib.test_spaces import drawn_ppo
from tests.agents.rllib.two_ways import PlainRunner, assert_same, compare, contents, sampled


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


class Uneven(gym.Env):
    """Episodes of 1 to 9 steps, each of a length of its own; some are truncated, and infos say how far they are."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, config=None):
        self.action_space = (config or {}).get("actions", Discrete(3))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.length = 0, int(self.np_random.integers(1, 10))
        return self._observe(), {"length": self.length} if self.length % 2 else {}

    def step(self, action):
        self.time += 1
        over = self.time == self.length
        truncated = over and self.length % 3 == 0
        info = {"time": self.time} if self.time % 2 else {}
        return self._observe(), float(self.np_random.normal()), over and not truncated, truncated, info

    def _observe(self):
        return self.np_random.normal(size=2).astype(np.float32)


def uneven(actions=None, fragment=10, copies=3, **memory):
    config = ppo(Uneven, fragment=fragment, copies=copies)
    config.environment(env_config={"actions": actions} if actions else {})
    core = {} if "core" in memory else {"core": "gru", "size": 8}
    return config.memory(**core, **memory, max_seq_len=4)


CORES = {
    "ntm": NTM,
    "lstm": {"core": "lstm", "size": 8},
    "feedforward": {"core": "feedforward", "size": 8},
    "dnc": {"core": "dnc", "slots": 6, "word_size": 4, "controller_size": 8},
    "sam": {"core": "sam", "slots": 64, "word_size": 4, "heads": 2, "controller_size": 8},
    "sdnc": {"core": "sdnc", "slots": 32, "word_size": 4, "controller_size": 8},
}


@pytest.mark.ray
@pytest.mark.parametrize("core", CORES)
def test_fragments_are_those_of_rllibs_own_pieces(core):
    compare(uneven(**CORES[core], previous_reward=core in ("lstm", "sam")), learn=True)


ACTIONS = {
    "multi-discrete": MultiDiscrete([2, 3]),
    "bounded": Box(np.array([-2.0, 0.0], np.float32), np.array([1.0, 5.0], np.float32)),
    "double": Box(-1.0, 3.0, (2,), np.float64),
    "unbounded": Box(-np.inf, np.inf, (3,), np.float32),
    "from one": Discrete(3, start=1),
    "mixed": Dict(a=Discrete(3), b=Tuple([Box(0, 9, (2,), np.int64), MultiBinary(3)])),
}


@pytest.mark.ray
@pytest.mark.parametrize("actions", ACTIONS)
def test_actions_of_any_space_are_the_same(actions):
    compare(uneven(ACTIONS[actions], previous_action=True), learn=True)


@pytest.mark.ray
@pytest.mark.parametrize("actions", ["bounded", "mixed"])
@pytest.mark.parametrize("clip", [False, True])
def test_actions_that_are_not_scaled_are_the_same(actions, clip):
    config = uneven(ACTIONS[actions])
    config.environment(normalize_actions=False, clip_actions=clip)
    compare(config)


@pytest.mark.ray
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces, spaces, st.sampled_from(FORMS), st.booleans())
def test_any_spaces_are_sampled_the_same(observation_space, action_space, form, previous):
    assume(is_usual(observation_space) and is_usual(action_space, as_actions=True))
    compare(
        drawn_ppo(observation_space, action_space, form, previous_action=previous, previous_reward=previous), learn=True
    )


CALLS = {
    "without exploring": [{"explore": False}] * 3,
    "whole episodes": [{"num_episodes": 5}, {"num_episodes": 2}],
    "steps between episodes": [{}, {"num_episodes": 4}, {}, {"num_timesteps": 7}],
    "afresh": [{}, {"force_reset": True}, {"num_timesteps": 0}, {"num_timesteps": 1}],
}


@pytest.mark.ray
@pytest.mark.parametrize("calls", CALLS)
def test_every_way_to_ask_for_samples(calls):
    compare(uneven(), CALLS[calls])
    compare(uneven(**CORES["sam"]), CALLS[calls])


@pytest.mark.ray
@pytest.mark.parametrize("horizon", [1, 3])
def test_lookback_and_fragments_that_stay_lists(horizon):
    config = uneven(previous_reward=True)
    config.env_runners(episode_lookback_horizon=horizon)
    config.episodes_to_numpy = horizon == 1
    compare(config)


def test_learned_initial_state_leaves_no_gradient_on_the_runner():
    options = NTM | {"initial_reads": "learned", "initial_weights": "learned"}
    runner = MemoryEnvRunner(config=uneven(**options))
    for steps in (0, 1, 0):
        runner.sample(num_timesteps=steps)
        state = runner._cached_to_module["state_in"]
        assert not any(part.requires_grad for part in state.values())


@pytest.mark.ray
def test_whole_episodes_as_batch_mode():
    config = uneven()
    config.env_runners(batch_mode="complete_episodes")
    compare(config)


@pytest.mark.ray
def test_steps_that_are_let_go_are_in_their_episodes(monkeypatch):
    monkeypatch.setattr("lukasa.agents.rllib.open_steps.KEPT", 2)
    compare(uneven(fragment=60))


@pytest.mark.ray
def test_normalized_observations_and_other_weights_are_the_same():
    config = uneven(normalize_observations=True)
    found = []
    for kind in (MemoryEnvRunner, PlainRunner):
        (runner, _), _ = sampled(config, kind, [{}])
        for number in (1, 2):
            weights = {name: part + 0.1 * number for name, part in runner.module.get_state().items()}
            runner.set_state({"rl_module": weights, "weights_seq_no": number})
            found.append([contents(one) for one in runner.sample()])
    assert_same(found[:2], found[2:], "samples")


class Rebuilt(Uneven):
    """Its third step of all raises."""

    steps = 0

    def step(self, action):
        Rebuilt.steps += 1
        if Rebuilt.steps == 11:
            raise RuntimeError("broken")
        return super().step(action)


@pytest.mark.ray
def test_environment_that_fails_is_made_anew_the_same_way():
    found = []
    for kind in (MemoryEnvRunner, PlainRunner):
        Rebuilt.steps = 0
        config = ppo(Rebuilt).memory(core="gru", size=8, max_seq_len=4)
        (runner, _), left = sampled(config, kind, [{}] * 2)
        assert runner._attempts == 1
        found.append(left)
    assert_same(found[0]["fragments"], found[1]["fragments"], "fragments")
    assert_same(found[0]["metrics"], found[1]["metrics"], "metrics")


class Shaping(RLlibCallback):
    """Sees episodes begin and end, changes what they earned, and notes what it saw."""

    def __init__(self):
        self.seen = []

    def on_episode_created(self, *, episode, env_index, **kwargs):
        self.seen.append(("created", env_index, len(episode.observations)))

    def on_episode_start(self, *, episode, env_index, **kwargs):
        self.seen.append(("start", env_index, episode.get_infos(-1)))

    def on_episode_end(self, *, episode, env_index, prev_episode_chunks, **kwargs):
        episode.rewards.data[-1] += 100
        earlier = sum(map(len, prev_episode_chunks))
        self.seen.append(("end", env_index, episode.get_return(), len(episode) + earlier, episode.is_terminated))

    def on_sample_end(self, *, samples, metrics_logger, **kwargs):
        metrics_logger.log_value("ended", sum(one.is_done for one in samples), reduce="sum")


@pytest.mark.ray
def test_callbacks_see_the_same():
    config = uneven()
    config.callbacks(Shaping)
    lean = compare(config)
    (plain, _), _ = sampled(config, PlainRunner, [{}] * 3)
    assert lean._callbacks[0].seen == plain._callbacks[0].seen
    assert len(lean._callbacks[0].seen) > 20


@pytest.mark.ray
@pytest.mark.parametrize("mode", ["sync", "vector_entry_point", pytest.param("async", marks=pytest.mark.slow)])
def test_modes_of_vectorisation_are_the_same(mode):
    config = ppo()
    config.env_runners(gym_env_vectorize_mode=mode)
    compare(config)


@pytest.mark.ray
def test_both_ways_take_over_from_one_another():
    mixed, plain = [], []
    for found, kind in ((mixed, MemoryEnvRunner), (plain, PlainRunner)):
        for options in (CORES["ntm"], CORES["sam"]):
            (runner, _), _ = sampled(uneven(**options), kind, [{}])
            for number in range(4):
                if kind is MemoryEnvRunner and number % 2:
                    fragments = PlainRunner._sample(runner, num_timesteps=20, explore=True)
                else:
                    fragments = runner._sample(num_timesteps=20, explore=True)
                found.append([contents(one) for one in fragments])
    assert_same(mixed, plain, "fragments")


class Watching(RLlibCallback):
    """Counts steps."""

    def on_episode_step(self, **kwargs):
        self.steps = getattr(self, "steps", 0) + 1


class OwnModule(MemoryRLModule):
    """Puts out something more."""

    def _forward(self, batch, **kwargs):
        outputs = super()._forward(batch, **kwargs)
        return {**outputs, "twice": 2 * outputs["action_dist_inputs"]}


OWN = {
    "MeanStdFilter": lambda config: config.env_runners(env_to_module_connector=lambda *_: MeanStdFilter()),
    "pieces of its own": lambda config: config.env_runners(module_to_env_connector=lambda *_: GetActions()),
    "Watching.on_episode_step": lambda config: config.callbacks(Watching),
    "a callback is called": lambda config: config.callbacks(on_episode_step=lambda **_: None),
}


@pytest.mark.ray
@pytest.mark.parametrize("reason", OWN)
def test_what_looks_at_single_steps_takes_rllibs_way(reason):
    config = uneven()
    OWN[reason](config)
    runner = MemoryEnvRunner(config=config)
    assert reason in runner.sampling_path()
    assert runner.sample()
    if reason.startswith("Watching"):
        assert runner._callbacks[0].steps > 20


@pytest.mark.ray
def test_module_with_another_forward_pass_takes_rllibs_way():
    runner = MemoryEnvRunner(config=uneven())
    runner.module.__class__ = OwnModule
    assert "_forward of its own" in runner.sampling_path()
    assert "twice" in runner.sample()[0].extra_model_outputs


@pytest.mark.ray
def test_piece_that_is_added_later_is_called():
    runner = MemoryEnvRunner(config=uneven())
    runner.sample()
    runner._env_to_module.prepend(MeanStdFilter())
    assert "MeanStdFilter" in runner.sampling_path()
    assert runner.sample()


@pytest.mark.ray
def test_acting_at_random_is_refused_as_before():
    runner = MemoryEnvRunner(config=uneven())
    with pytest.raises(RuntimeError, match="cannot act at random"):
        runner.sample(random_actions=True)


@pytest.mark.ray
def test_vector_environment_may_write_into_its_own_arrays():
    config = ppo()
    lean = MemoryEnvRunner(config=config)
    step, kept = lean.env.step, {}

    def reusing(actions):
        results = step(actions)
        for number, part in enumerate(results[:4]):
            kept.setdefault(number, np.array(part))[...] = part
        return (*(kept[number] for number in range(4)), results[4])

    torch.manual_seed(1)
    lean.env.step = reusing
    found = [contents(one) for one in lean.sample()]
    plain = PlainRunner(config=config)
    torch.manual_seed(1)
    plain.module.set_state(lean.module.get_state())
    assert_same(found, [contents(one) for one in plain.sample()], "fragments")


def test_difference_of_one_bit_is_noticed(monkeypatch):
    note = lean_sampling.LeanSample._note

    def wrong(self, results, actions, outputs):
        outputs["action_logp"] = np.nextafter(outputs["action_logp"], np.float32(9))
        return note(self, results, actions, outputs)

    monkeypatch.setattr(lean_sampling.LeanSample, "_note", wrong)
    with pytest.raises(AssertionError, match="action_logp"):
        compare(uneven(), [{}])
