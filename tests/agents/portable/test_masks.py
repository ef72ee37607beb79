"""An agent out of a file takes no action that an observation's mask forbids."""

import numpy as np
import pytest

from lukasa.agents.rllib import MemoryRLModule
from lukasa.agents.rllib.replay.q_module import MemoryQModule
from tests.agents.portable.playing import agent_module, episode, exported
from tests.agents.rllib.masked import Masked


@pytest.mark.parametrize(
    ("actions", "kind"), [("discrete", MemoryRLModule), ("mixed", MemoryRLModule), ("discrete", MemoryQModule)]
)
def test_only_what_is_allowed_is_done(tmp_path, actions, kind):
    """The environment itself asserts that it is never asked for anything else."""
    env = Masked(actions)
    module = agent_module(env.observation_space, env.action_space, kind=kind)
    for explore in (False, True):
        agent = exported(module, tmp_path / f"{explore}.lukasa", explore=explore, seed=0)
        assert [len(episode(agent, env, 0, number)[0]) for number in range(5)] == [9] * 5
    with pytest.raises(ValueError, match="the action_mask of observation 0 allows no action"):
        agent.act({"action_mask": np.zeros(sum(env.layout.options), np.int8), "observations": np.zeros(3, np.float32)})
