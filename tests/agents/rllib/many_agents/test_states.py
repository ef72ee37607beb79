"""Many agents, each with a memory of its own: no state is another's, and learners get those of the runner."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.tune.registry import register_env

from lukasa.agents.rllib import MemoryPPOConfig
from lukasa.agents.rllib.config import PPO_DEFAULTS
from lukasa.agents.rllib.many_agents.runner import MemoryMultiAgentEnvRunner
from lukasa.agents.rllib.module import EPISODE_START, LIVE_STATES, PREVIOUS_ACTION, PREVIOUS_REWARD
from tests.agents.rllib.many_agents.coming_and_going import ComingAndGoing

pytestmark = pytest.mark.ray

NTM = {"core": "ntm", "slots": 8, "word_size": 4, "controller_size": 16}
SAM = {"core": "sam", "slots": 1000, "word_size": 4, "heads": 1, "controller_size": 16}
SDNC = {"core": "sdnc", "slots": 1000, "word_size": 4, "heads": 1, "controller_size": 16, "links": 4}


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


def shared(agent, *_, **__):
    return "shared"


def by_parity(agent, *_, **__):
    return f"policy{int(agent[5:]) % 2}"


def many(memory: dict[str, Any], *, fragment=7, policies=("shared",), mapping=shared, chunk=4, **settings):
    register_env("coming_and_going", lambda context: ComingAndGoing(**{**context}))
    config = MemoryPPOConfig().environment("coming_and_going", env_config=settings)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=2, rollout_fragment_length=fragment)
    config.training(**PPO_DEFAULTS)
    config.training(train_batch_size_per_learner=2 * fragment, minibatch_size=8, num_epochs=1)
    config.multi_agent(policies=set(policies), policy_mapping_fn=mapping)
    config.debugging(seed=3)
    config.memory(**memory, max_seq_len=chunk)
    config.validate()
    return config


class Watched:
    """A runner and a learner of the same weights, and every state that the runner fed to an agent."""

    def __init__(self, config):
        torch.manual_seed(0)
        self.runner = MemoryMultiAgentEnvRunner(config=config)
        self.learner = config.build_learner(spaces=self.runner.get_spaces())
        self.learner.module.set_state(self.runner.module.get_state())
        self.fed: dict[Any, Any] = {}
        pipeline = self.runner._env_to_module

        def spied(*, episodes, shared_data, **kwargs):
            batch = pipeline(episodes=episodes, shared_data=shared_data, **kwargs)
            by_id = {episode.id_: episode for episode in episodes}
            for policy, columns in batch.items():
                for row, (episode, agent) in enumerate(shared_data["memorized_map_structure"][policy]):
                    time = by_id[episode].agent_episodes[agent].t
                    self.fed[episode, agent, time] = self._fed(columns, row)
            return batch

        self.runner._env_to_module = spied

    @staticmethod
    def _fed(columns, row):
        states = columns[Columns.STATE_IN]
        shown = {name: columns[name][row] for name in (PREVIOUS_ACTION, PREVIOUS_REWARD) if name in columns}
        if LIVE_STATES not in states:
            return {name: tensor[row].clone() for name, tensor in states.items()}, shown
        live = states[LIVE_STATES][row]
        return {} if live is None else {name: tensor[0].clone() for name, tensor in live.tensors.items()}, shown

    def sample(self):
        """Fragments after their way to a learner, and the (episode, agent, first step) of each row by policy."""
        fragments = pickle.loads(pickle.dumps(self.runner.sample()))
        rows: dict[str, list[Any]] = {}
        for episode in fragments:
            for agent in episode.agent_ids:
                one = episode.agent_episodes[agent]
                chunk = self.runner.module[one.module_id].model_config["max_seq_len"]
                starts = range(one.t_started, one.t_started + len(one) + 1, chunk)
                rows.setdefault(one.module_id, []).extend((episode.id_, agent, start) for start in starts)
        return fragments, rows

    def batches(self, fragments):
        module = self.learner.module
        return self.learner._learner_connector(
            rl_module=module, batch={}, episodes=fragments, shared_data={}, metrics=None
        )


@pytest.mark.parametrize(("policies", "mapping"), [(("shared",), shared), (("policy0", "policy1"), by_parity)])
def test_learners_get_the_states_of_the_runner_bit_for_bit(policies, mapping):
    memory = {**NTM, "previous_action": True, "previous_reward": True}
    watched = Watched(many(memory, policies=policies, mapping=mapping))
    compared = continued = 0
    for _ in range(12):
        fragments, rows = watched.sample()
        continued += sum(one.t_started > 0 for episode in fragments for one in episode.agent_episodes.values())
        batches = watched.batches(fragments)
        assert set(batches) == set(rows)
        for policy, batch in batches.items():
            states = batch[Columns.STATE_IN]
            assert len(states[EPISODE_START]) == len(rows[policy])
            for row, (episode, agent, start) in enumerate(rows[policy]):
                if start == 0:
                    assert states[EPISODE_START][row]
                    continue
                if (episode, agent, start) not in watched.fed:  # a step for the bootstrap value of one that is gone
                    assert not batch[Columns.LOSS_MASK][row].any()
                    continue
                expected, shown = watched.fed[episode, agent, start]
                for name, tensor in expected.items():
                    assert torch.equal(states[name][row], tensor), (name, agent, start)
                for name, tensor in shown.items():
                    assert torch.equal(batch[name][row, 0], tensor[0]), (name, agent, start)
                compared += 1
    assert compared > 60
    assert continued > 20


@pytest.mark.parametrize("memory", [NTM, {"core": "lstm"}, SAM, SDNC], ids=lambda memory: memory["core"])
def test_each_agent_alone_does_what_it_did_among_the_others(memory):
    """The whole life of each agent, unrolled from its own observations and nothing else."""
    watched = Watched(many({**memory, "previous_action": True, "previous_reward": True}))
    module = watched.runner.module["shared"]
    lives: dict[Any, list[Any]] = {}
    for _ in range(9):
        for episode in watched.runner.sample():
            for agent, one in episode.agent_episodes.items():
                lives.setdefault((episode.id_, agent), []).append(one)
    long = 0
    for fragments in lives.values():
        assert [one.t_started for one in fragments] == np.cumsum([0, *map(len, fragments[:-1])]).tolist()
        seen = np.concatenate([one.get_observations(slice(0, len(one))) for one in fragments])
        did = np.concatenate([one.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS) for one in fragments])
        actions = np.concatenate([one.get_actions(slice(0, len(one))) for one in fragments])
        earned = np.concatenate([one.get_rewards(slice(0, len(one))) for one in fragments])
        batch = {
            Columns.OBS: torch.tensor(seen)[None],
            PREVIOUS_ACTION: torch.tensor(np.eye(4, dtype=np.float32)[actions])[None].roll(1, 1),
            PREVIOUS_REWARD: torch.tensor(earned, dtype=torch.float32)[None, :, None].roll(1, 1),
            Columns.STATE_IN: {name: torch.as_tensor(part)[None] for name, part in module.get_initial_state().items()},
        }
        batch[PREVIOUS_ACTION][:, 0], batch[PREVIOUS_REWARD][:, 0] = 0, 0
        with torch.no_grad():
            alone = module._forward(batch)[Columns.ACTION_DIST_INPUTS][0]
        assert torch.allclose(alone, torch.tensor(did), atol=1e-5)
        long += len(did) > 7
    assert long > 5


@pytest.mark.parametrize("memory", [NTM, SAM, SDNC], ids=lambda memory: memory["core"])
def test_learner_recomputes_what_the_runner_decided(memory):
    watched = Watched(many({**memory, "previous_reward": True}))
    continued = 0
    for _ in range(6):
        fragments, _ = watched.sample()
        continued += sum(one.t_started > 0 for episode in fragments for one in episode.agent_episodes.values())
        for policy, batch in watched.batches(fragments).items():
            recomputed = watched.learner.module[policy].forward_train(batch)[Columns.ACTION_DIST_INPUTS]
            mask = batch[Columns.LOSS_MASK]
            assert torch.allclose(recomputed[mask], batch[Columns.ACTION_DIST_INPUTS][mask], atol=1e-5)
    assert continued > 15
