import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from ray.rllib.utils.spaces.space_utils import batch

from lukasa.agents.policy.encoders import Encoder

SPACES = {
    "vector": (Box(-np.inf, np.inf, (5,), np.float32), 8),
    "matrix": (Box(-1.0, 1.0, (3, 2), np.float32), 8),
    "small grid": (Box(0, 255, (7, 7, 3), np.uint8), 8),
    "image with RLlib's filters": (Box(0, 255, (42, 42, 1), np.uint8), 8),
    "image of another size": (Box(0, 255, (20, 24, 3), np.uint8), 8),
    "image with its channels first": (Box(0, 255, (3, 20, 24), np.uint8), 8),
    "stack of images": (Box(0, 255, (20, 24, 12), np.uint8), 8),
    "planes that are no image": (Box(0.0, 1.0, (8, 8, 12), np.float32), 8),
    "sequence of images": (Box(0, 255, (2, 12, 12, 3), np.uint8), 8),
    "number": (Box(-1.0, 1.0, (), np.float32), 8),
    "wide integers": (Box(0, 2**40, (3,), np.uint64), 8),
    "discrete": (Discrete(4), 8),
    "discrete from minus one": (Discrete(3, start=-1), 8),
    "multi-discrete": (MultiDiscrete([2, 3]), 8),
    "multi-discrete of two axes": (MultiDiscrete([[2, 3], [4, 2]], start=[[0, -3], [5, 1]]), 8),
    "multi-binary": (MultiBinary(3), 8),
    "dict": (Dict(where=Box(-1.0, 1.0, (2,), np.float32), what=Discrete(3)), 8),
    "tuple": (Tuple([Discrete(3), Tuple([Discrete(2), MultiBinary(2)])]), 8),
    "vector and image": (Dict(seen=Box(0, 255, (12, 12, 3), np.uint8), carried=Discrete(3)), 16),
}


def sampled(space, rows=2, steps=3):
    """Observations [B, T, ...] as RLlib's connectors hand them over."""
    space.seed(0)
    sequences = [batch([space.sample() for _ in range(steps)]) for _ in range(rows)]
    return tree.map_structure(torch.as_tensor, batch(sequences))


@pytest.mark.parametrize("name", SPACES)
def test_observations_become_one_vector_a_step(name):
    space, width = SPACES[name]
    torch.manual_seed(0)
    encoder = Encoder(space, 8)
    encoded = encoder(sampled(space))
    assert encoder.output_size == width
    assert encoded.shape == (2, 3, width)
    assert encoded.dtype == torch.float32


@pytest.mark.parametrize("name", SPACES)
def test_every_part_of_an_observation_counts(name):
    space, _ = SPACES[name]
    torch.manual_seed(0)
    encoder = Encoder(space, 8)
    observations = sampled(space, rows=1, steps=8)
    encoded = encoder(observations)
    for index, leaf in enumerate(tree.flatten(observations)):
        others = [part.clone() for part in tree.flatten(observations)]
        others[index] = leaf.roll(1, dims=1)
        assert not torch.equal(others[index], leaf)
        changed = encoder(tree.unflatten_as(observations, others))
        assert not torch.allclose(changed, encoded)


def test_steps_and_rows_do_not_mix():
    torch.manual_seed(0)
    encoder = Encoder(SPACES["vector and image"][0], 8)
    observations = sampled(SPACES["vector and image"][0])
    one = tree.map_structure(lambda part: part[1:, 2:], observations)
    assert torch.allclose(encoder(observations)[1:, 2:], encoder(one), atol=1e-6)


def test_bounded_integers_are_scaled_by_their_bounds():
    torch.manual_seed(0)
    bytes_, floats = Encoder(Box(0, 10, (4,), np.int64), 8), Encoder(Box(0.0, 1.0, (4,), np.float32), 8)
    floats.load_state_dict(bytes_.state_dict())
    values = torch.tensor([[[0, 5, 10, 1]]])
    assert torch.allclose(bytes_(values), floats(values / 10))


@pytest.mark.parametrize("start", [5, -5])
def test_padded_steps_outside_of_a_space_are_accepted(start):
    encoder = Encoder(Discrete(3, start=start), 8)
    assert encoder(torch.tensor([[start, start + 2, 0]])).isfinite().all()


def test_channels_first_is_the_same_image():
    last, first = Box(0, 255, (20, 24, 3), np.uint8), Box(0, 255, (3, 20, 24), np.uint8)
    torch.manual_seed(0)
    encoder = Encoder(last, 8)
    other = Encoder(first, 8)
    other.load_state_dict(encoder.state_dict())
    images = sampled(last)
    assert torch.equal(encoder(images), other(images.movedim(-1, 2)))


def test_long_image_is_halved_until_a_network_can_hold_it():
    encoder = Encoder(Box(0, 255, (10, 40_000, 1), np.uint8), 8)
    assert sum(weights.numel() for weights in encoder.parameters()) < 1_000_000


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (gym.spaces.Text(5), r"observation space Text.* is not supported: use Box, Discrete"),
        (Dict(a=Discrete(2), b=gym.spaces.Text(5)), r"part Text.* of observation space Dict.* is not supported"),
        (gym.spaces.Sequence(Discrete(2)), r"observation space Sequence.* is not supported"),
        (gym.spaces.OneOf([Discrete(2)]), r"observation space OneOf.* is not supported"),
        (Box(-1.0, 1.0, (2,), np.longdouble), r"has the dtype .*, which PyTorch does not know: use float32"),
        (Discrete(10**9), "as one vector it has 1,000,000,000 numbers, and at most 1,000,000 are supported"),
        (Dict(), "holds nothing to observe"),
    ],
)
def test_unsupported_space_is_named(space, message):
    with pytest.raises(ValueError, match=message):
        Encoder(space, 8)
