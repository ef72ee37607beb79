"""The agent: keys, the best action and a share of random ones, and what it is refused."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from lukasa.agents.rllib import MemoryMFECConfig, MemoryNECConfig, make_algorithm_options
from lukasa.agents.rllib.ablation import ablated, wipeable
from tests.agents.rllib.episodic.worlds import Cue


def module_of(config=MemoryNECConfig, core="feedforward", space=None, actions=None, **options):
    made = config().environment(Cue).memory(core=core, output_size=8, embedding_size=8)
    made.training(episodic={"entries": 100, **options})
    spaces = (space or Cue.observation_space, actions or Cue.action_space)
    return made.get_rl_module_spec(spaces={"default_policy": spaces}).build()


def act(module, observations):
    state = module.initial_live_state(len(observations))
    batch = {Columns.OBS: observations.unsqueeze(1), Columns.STATE_IN: state}
    return module.forward_inference(batch)[Columns.ACTION_DIST_INPUTS][:, 0]


def test_the_best_action_is_likeliest_and_all_others_share_epsilon():
    module = module_of(actions=gym.spaces.Discrete(4))
    features = torch.randn(3, 1, 8)
    which = torch.tensor([0, 1, 2, 3])
    module.dictionary.update(which, features[0].expand(4, 8), torch.tensor([0.0, 3.0, 3.0, -1.0]))
    module.policy_head.epsilon.fill_(0.2)
    shares = module.policy_head(features).softmax(-1)
    torch.testing.assert_close(shares[0, 0], torch.tensor([0.05, 0.45, 0.45, 0.05]))
    module.policy_head.epsilon.fill_(1.0)
    shares = module.policy_head(features).softmax(-1)[0, 0]
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=1e-4, rtol=0)
    assert int(shares.argmax()) == 1


def test_the_best_action_is_the_best_of_those_that_are_allowed():
    space = gym.spaces.Dict({"action_mask": gym.spaces.MultiBinary(4), "seen": gym.spaces.Box(-1, 1, (2,))})
    module = module_of(space=space, actions=gym.spaces.Discrete(4))
    seen = {"action_mask": torch.tensor([[[1, 1, 1, 1]], [[1, 1, 0, 1]], [[1, 0, 0, 1]], [[0, 0, 0, 0]]])}
    seen["seen"] = torch.zeros(4, 1, 2)
    batch = {Columns.OBS: seen, Columns.STATE_IN: module.initial_live_state(4)}
    module.policy_head.epsilon.fill_(0.2)
    key = module.net.act(batch)[0][:1, 0]
    module.dictionary.update(torch.arange(4), key.expand(4, 8), torch.tensor([0.0, 1.0, 9.0, -1.0]))
    shares = module.forward_exploration(batch)[Columns.ACTION_DIST_INPUTS][:, 0].softmax(-1)
    expected = [
        [0.05, 0.05, 0.85, 0.05],
        [0.2 / 3, 0.8 + 0.2 / 3, 0, 0.2 / 3],
        [0.9, 0, 0, 0.1],
        [0.05, 0.05, 0.85, 0.05],
    ]
    torch.testing.assert_close(shares, torch.tensor(expected))


def test_what_is_remembered_is_no_part_of_the_weights_but_of_a_checkpoint(tmp_path):
    module = module_of()
    observations = torch.randn(5, 2)
    before = act(module, observations)
    keys = torch.randn(20, 8)
    module.dictionary.update(torch.arange(20) % 2, keys, keys[:, 0])
    assert not any("dictionary" in name for name in module.get_state())
    module.save_to_path(tmp_path / "module")
    other = type(module).from_checkpoint(tmp_path / "module")
    assert torch.equal(act(other, observations), act(module, observations))
    with ablated(module, "memory"):
        assert torch.equal(act(module, observations), before)
    assert not torch.equal(act(module, observations), before)
    (tmp_path / "module" / "dictionary").write_bytes((tmp_path / "module" / "dictionary").read_bytes()[:-1])
    with pytest.raises(ValueError, match="was cut short"):
        type(module).from_checkpoint(tmp_path / "module")


@pytest.mark.parametrize(("core", "parts"), [("feedforward", ("memory",)), ("gru", ("memory",))])
def test_memory_can_be_wiped_whatever_the_core(core, parts):
    module = module_of(core=core)
    assert wipeable(module) == parts
    with pytest.raises(ValueError, match=r"controller|nothing"), ablated(module, "controller"):
        pass


@pytest.mark.parametrize("projection", [True, False])
def test_observations_are_keys_through_a_fixed_projection_or_as_they_are(projection):
    space = gym.spaces.Dict(a=gym.spaces.Discrete(3), b=gym.spaces.Box(0, 255, (12, 12, 3), np.uint8))
    module = module_of(MemoryMFECConfig, space=space, projection=projection)
    assert module.dictionary.key_size == (8 if projection else 3 + 12 * 12 * 3)
    assert not any(one.requires_grad for one in module.net.parameters())
    images = torch.randint(256, (2, 1, 12, 12, 3))

    def key(kind: int, image: torch.Tensor) -> torch.Tensor:
        seen = {"a": torch.tensor([[kind]]), "b": image[None]}  # a row by itself: beside others last bits are others
        return module.net({Columns.OBS: seen, Columns.STATE_IN: module.initial_live_state(1)})[0, 0]

    first = key(0, images[0])
    assert torch.equal(key(0, images[0].clone()), first)
    assert torch.dist(key(2, images[0]), first) > 1e-3
    assert torch.dist(key(0, images[1]), first) > 1e-3


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (gym.spaces.Box(-1, 1, (2,)), "is not Discrete: an episodic agent has a dictionary for each action"),
        (gym.spaces.MultiDiscrete([2, 2]), "is not Discrete"),
    ],
)
def test_actions_that_are_not_discrete_are_refused(actions, said):
    with pytest.raises(ValueError, match=said):
        module_of(actions=actions)


def test_settings_that_no_episodic_agent_can_have_are_refused():
    config = MemoryMFECConfig().environment(Cue).memory(core="gru")
    with pytest.raises(ValueError, match="core 'gru' carries a state"):
        config.validate()
    config = MemoryNECConfig().environment(Cue).learners(num_learners=1)
    with pytest.raises(ValueError, match="num_learners is 1"):
        config.validate()
    for name, value in (("entries", 0), ("epsilon", 1.5), ("n_steps", 0), ("delta", 0.0), ("key_rate", -1.0)):
        with pytest.raises(ValueError, match=name):
            make_algorithm_options("nec", **{name: value})
