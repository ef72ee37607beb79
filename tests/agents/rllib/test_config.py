import re

import pytest
from ray import tune
from ray.rllib.connectors.common import AddStatesFromEpisodesToBatch

from lukasa import memory
from lukasa.agents.rllib import (
    MemoryAPPOConfig,
    MemoryDQNConfig,
    MemoryIMPALAConfig,
    MemoryPPOConfig,
    MemoryRLModule,
    MemorySettings,
    register_environment,
)
from lukasa.agents.rllib.connectors import FeedStateIn, RebuildStateIn, StashStateOut
from tests.agents.rllib.test_module import OwnCore

CONFIGS = [MemoryPPOConfig, MemoryAPPOConfig, MemoryIMPALAConfig]


@pytest.mark.parametrize("config_class", CONFIGS)
def test_settings_reach_the_module(config_class):
    config = config_class().memory(core="dnc", slots=16, read_heads=2, embedding_size=32, previous_reward=True)
    spec = config.rl_module_spec
    assert spec.module_class is MemoryRLModule
    assert MemorySettings.from_model_config(config.model_config) == MemorySettings(
        core="dnc",
        core_options={"slots": 16, "read_heads": 2},
        embedding_size=32,
        previous_reward=True,
        normalize_observations=True,
        normalize_returns=True,
        orthogonal=True,
    )


def test_options_of_a_core_may_have_the_names_of_settings():
    options = {"core": "gru", "core_options": {"size": 8}, "size": 16}
    for config in (
        MemoryPPOConfig().memory(core="act", core_options=options),
        MemoryPPOConfig().memory(core="act", core_options={**options, "size": 3}, size=16),
    ):
        settings = MemorySettings.from_model_config(config.model_config)
        assert (settings.core, settings.core_options) == ("act", options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"core": "dcn"}, "unknown core 'dcn': did you mean 'dnc'"),
        ({"core": "dnc", "slot": 8}, "unknown option of core 'dnc': 'slot': did you mean 'slots'"),
        ({"core": "dnc", "slots": -1}, "option 'slots' of core 'dnc' is -1: expected a whole number of at least 1"),
        ({"embedding_size": 0}, "embedding_size is 0: expected a whole number of at least 1"),
        ({"max_seq_len": 2.5}, "max_seq_len is 2.5: expected a whole number of at least 1, or None"),
        ({"core": "nowhere:Core"}, "core 'nowhere:Core': there is no module 'nowhere' to import"),
        ({"core": "lukasa.memory:unroll"}, "core 'lukasa.memory:unroll' is unroll: expected a subclass"),
    ],
)
def test_what_cannot_be_built_is_refused_at_once(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MemoryPPOConfig().memory(**arguments)


def test_core_of_ones_own_travels_as_its_import_path():
    config = MemoryPPOConfig().memory(core=OwnCore, size=8)
    assert config.memory_settings["core"] == f"{OwnCore.__module__}:OwnCore"
    assert isinstance(MemorySettings.from_model_config(config.model_config).build_core(3), OwnCore)


def test_core_that_other_processes_cannot_import_is_refused():
    class Hidden(OwnCore):
        pass

    scripted = type("Scripted", (OwnCore,), {"__module__": "__main__"})
    for core in (Hidden, scripted):
        with pytest.raises(ValueError, match="where remote runners cannot import it: move the class to the top level"):
            MemoryPPOConfig().memory(core=core)


def test_values_that_tune_will_choose_are_checked_once_chosen():
    config = MemoryPPOConfig().environment("CartPole-v1").memory(core="ntm", slots=tune.grid_search([8, 16]))
    with pytest.raises(ValueError, match="option 'slots' of core 'ntm'"):
        config.validate()
    for slots in (8, 16):
        chosen = MemoryPPOConfig().update_from_dict(
            {"memory_settings": {**config.memory_settings, "core_options": {"slots": slots}}}
        )
        chosen.validate()
        assert chosen.memory_settings["core_options"] == {"slots": slots}


def test_previous_step_needs_a_lookback():
    config = MemoryPPOConfig().environment("CartPole-v1").memory(previous_action=True)
    config.env_runners(episode_lookback_horizon=0)
    with pytest.raises(ValueError, match="previous_action and previous_reward look back one step"):
        config.validate()


def test_minibatch_that_holds_no_row_is_refused():
    config = MemoryPPOConfig().environment("CartPole-v1").training(minibatch_size=32).memory(max_seq_len=33)
    with pytest.raises(ValueError, match=r"minibatch_size is 32 steps and max_seq_len 33"):
        config.validate()
    config.memory(max_seq_len=32).validate()


def several(**memory):
    config = MemoryPPOConfig().environment("CartPole-v1").multi_agent(policies={"a", "b"})
    return config.multi_agent(policy_mapping_fn=lambda agent, episode: "a").memory("lstm", **memory)


def test_agents_that_would_lose_steps_are_refused():
    with pytest.raises(ValueError, match="RLlib loses steps of theirs"):
        several().env_runners(episode_lookback_horizon=0).validate()


def test_replay_is_of_one_agent():
    config = MemoryDQNConfig().environment("CartPole-v1").multi_agent(policies={"a", "b"})
    config.multi_agent(policy_mapping_fn=lambda agent, episode: "a")
    with pytest.raises(ValueError, match="let several agents learn with PPO, APPO or IMPALA"):
        config.validate()


def test_a_policy_has_a_memory_of_its_own():
    config = several(size=8, policies={"b": {"core": "ntm", "slots": 4, "max_seq_len": 9}})
    config.validate()
    of_a, of_b = (config._model_config_of(policy) for policy in "ab")
    assert (of_a["core"], of_a["core_options"]) == ("lstm", {"size": 8})
    assert (of_b["core"], of_b["core_options"], of_b["max_seq_len"]) == ("ntm", {"slots": 4}, 9)


def test_a_memory_of_a_single_policy_is_checked():
    with pytest.raises(ValueError, match=r"'slot': did you mean 'slots'.*policy 'b'"):
        several(policies={"b": {"core": "ntm", "slot": 4}}).validate()
    with pytest.raises(ValueError, match=r"speaks of 'c', which is no policy .*there are"):
        several(policies={"c": {"core": "ntm"}}).validate()
    with pytest.raises(ValueError, match=r"max_seq_len is 0: .*policy 'b'"):
        several(policies={"b": {"max_seq_len": 0}}).validate()


@pytest.mark.parametrize("config_class", CONFIGS)
def test_no_state_is_stored_once_a_step(config_class):
    import gymnasium as gym

    env = gym.make_vec("CartPole-v1", 2)
    config = config_class()
    runner_in = config.build_env_to_module_connector(env)
    runner_out = config.build_module_to_env_connector(env)
    learner = config.build_learner_connector(env.single_observation_space, env.single_action_space)
    assert not runner_in[AddStatesFromEpisodesToBatch]
    assert isinstance(runner_in[-1], FeedStateIn)
    assert isinstance(runner_out[0], StashStateOut)
    names = [type(piece).__name__ for piece in learner.connectors]
    rebuild = names.index(RebuildStateIn.__name__)
    assert names[rebuild - 1 : rebuild + 2] == [
        "ChunkColumns",
        "RebuildStateIn",
        "AddStatesFromEpisodesToBatch",
    ]


def test_environments_are_checked_when_they_are_registered():
    with pytest.raises(ValueError, match="did you mean 'TMaze-L50-v0'"):
        register_environment("TMaze-L51-v0")
    with pytest.raises(ValueError, match="did you mean 'corridor'"):
        register_environment("TMaze-L50-v0", coridor=3)


@pytest.mark.parametrize("core", memory.CORES)
def test_every_core_can_be_chosen(core):
    assert MemoryPPOConfig().memory(core=core).memory_settings["core"] == core
