import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from torch.distributions import Categorical, Normal

from lukasa.agents.policy.actions import ActionLayout, is_plain
from lukasa.agents.rllib.actions import action_distribution

MIXED = Dict(
    gear=Discrete(3, start=-1),
    wheel=Box(-2.0, 2.0, (2,), np.float64),
    lights=Tuple([MultiBinary((2, 1)), MultiDiscrete([[2, 3]], start=[[5, 7]])]),
)
NEEDS_OURS = [
    MIXED,
    Discrete(4, start=10**12),
    MultiDiscrete([2, 5], start=[1, -3]),
    MultiDiscrete([[2, 5], [3, 2]]),
    MultiBinary(3),
    Box(-1.0, 1.0, (2, 2)),
    Box(-3.0, 4.0, ()),
    Box(0.0, np.inf, (2,)),
    Box(np.array([-np.inf, -1.0, 0.0], np.float32), np.array([0.0, 1.0, np.inf], np.float32)),
    Box(-3e38, 3e38, (2,)),
    Box(-1.0, 1.0, (2,), np.float16),
    Box(-3, 3, (2,), np.int8),
    Box(0, 255, (2, 2), np.uint8),
    Box(np.iinfo(np.int64).min, np.iinfo(np.int64).max, (2,), np.int64),
    Box(0, np.iinfo(np.uint64).max, (2,), np.uint64),
    Box(0, 1, (2,), np.bool_),
]


@pytest.mark.parametrize("space", NEEDS_OURS, ids=str)
def test_every_action_lies_inside_its_space(space):
    torch.manual_seed(0)
    layout = ActionLayout(space)
    distribution = action_distribution(space)
    logits = 5 * torch.randn(200, 1, distribution.required_input_dim(space))
    for scale in (0.1, 1.0, 1e6):
        drawn = distribution.from_logits(logits).sample()
        drawn[..., len(layout.options) :] *= scale
        for flat in drawn[:, 0].numpy():
            for normalized in (True, False):
                action = layout.decode(flat, normalized=normalized)
                assert action in space, action
    assert not is_plain(space)


def test_every_choice_and_both_ends_can_be_reached():
    space = Tuple([Discrete(3, start=4), Box(-2, 1, (1,), np.int16), Box(-5.0, 3.0, ()), Box(0, 100, (), np.int64)])
    layout = ActionLayout(space)
    assert layout.options == (3, 4)
    assert layout.numbers == 2
    low, high = (layout.decode(np.array(flat)) for flat in ([0, 0, -1, -1], [2, 3, 1, 1]))
    assert low == (4, np.array([-2]), np.array(-5.0), np.array(0))
    assert high == (6, np.array([1]), np.array(3.0), np.array(100))


def test_mixed_distribution_is_the_product_of_its_parts():
    layout = ActionLayout(MIXED)
    assert layout.options == (3, 2, 2, 2, 3)
    torch.manual_seed(0)
    logits, others = torch.randn(2, 5, 1, layout.logits)
    kind = action_distribution(MIXED)
    ours, other = kind.from_logits(logits), kind.from_logits(others)
    actions = ours.sample()
    logp, entropy, divergence = torch.zeros(5, 1), torch.zeros(5, 1), torch.zeros(5, 1)
    start = 0
    for index, count in enumerate(layout.options):
        one, two = (Categorical(logits=part[..., start : start + count]) for part in (logits, others))
        logp += one.log_prob(actions[..., index])
        entropy += one.entropy()
        divergence += torch.distributions.kl_divergence(one, two)
        start += count
    one, two = (Normal(part[..., start : start + 2], part[..., start + 2 :].exp()) for part in (logits, others))
    logp += one.log_prob(actions[..., 5:]).sum(-1)
    entropy += one.entropy().sum(-1)
    divergence += torch.distributions.kl_divergence(one, two).sum(-1)
    assert torch.allclose(ours.logp(actions), logp, atol=1e-5)
    assert torch.allclose(ours.entropy(), entropy, atol=1e-5)
    assert torch.allclose(ours.kl(other), divergence, atol=1e-5)


def test_gradients_of_padded_choices_are_finite():
    logits = torch.zeros(1, 1, ActionLayout(MIXED).logits, requires_grad=True)
    kind = action_distribution(MIXED)
    ours = kind.from_logits(logits)
    (ours.logp(ours.sample()) + ours.entropy() + ours.kl(kind.from_logits(logits.detach() + 1))).sum().backward()
    assert bool(logits.grad.isfinite().all())


def test_likeliest_action_is_the_mode():
    layout = ActionLayout(MIXED)
    logits = torch.zeros(1, 1, layout.logits)
    logits[..., 2] = 9.0  # the third gear
    logits[..., sum(layout.options) : sum(layout.options) + 2] = torch.tensor([0.5, -0.5])
    flat = action_distribution(MIXED).from_logits(logits).to_deterministic().sample()[0, 0].numpy()
    action = layout.decode(flat)
    assert action["gear"] == 1
    assert action["wheel"].tolist() == [1.0, -1.0]


def test_one_hot_shows_each_choice_and_number():
    layout = ActionLayout(Tuple([Discrete(2, start=3), MultiBinary(2), Box(-1.0, 1.0, ())]))
    shown = layout.one_hot(np.array([[1, 0, 1, 0.25], [0, 1, 1, -4.0]], np.float32))
    assert shown.tolist() == [[0, 1, 1, 0, 0, 1, 0.25], [1, 0, 0, 1, 0, 1, -4.0]]


def test_plain_spaces_stay_with_rllib():
    for space in (Discrete(3), MultiDiscrete([2, 3]), Box(-1.0, 1.0, (2,)), Box(-np.inf, np.inf, (2,))):
        assert is_plain(space)


def test_padding_counts_towards_the_size_of_a_policy():
    with pytest.raises(ValueError, match="too large"):
        ActionLayout(gym.spaces.Tuple([Discrete(200_000), MultiBinary(9)]))
    assert math.isclose(ActionLayout(MultiDiscrete([200_000, *[2] * 9])).logits, 200_018)
