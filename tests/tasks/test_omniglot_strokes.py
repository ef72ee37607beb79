"""Generated characters: repeatable, recognisable whoever draws them, and of use for real ones."""

import os
from itertools import pairwise

import pytest
import torch
from torch import Generator, nn
from torch.nn import functional as F

from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Augmentation, Examples
from lukasa.tasks.omniglot import load_omniglot
from lukasa.tasks.omniglot_strokes import stroke_characters

STEPS, LEARNED = 50, 65.0
"""Episodes of training, and percent right on real characters that it reaches; chance is 20."""

REAL = pytest.mark.skipif(not os.environ.get("LUKASA_DATA"), reason="$LUKASA_DATA does not name the real data")


def accuracy(embed, examples: Examples, seed: int) -> float:
    """Percent right of the nearest class mean, 5 ways and 1 shot, over 400 episodes."""
    episode = Shots(examples=examples, ways=5, shots=1, queries=1).sample(400, Generator().manual_seed(seed))
    with torch.no_grad():
        known, asked = (embed(part.flatten(0, 2)).view(400, 5, -1) for part in episode[:2])
    return 100 * float((torch.cdist(asked, known).argmin(-1) == torch.arange(5)).double().mean())


def test_same_seed_draws_the_same_and_more_characters_begin_with_them():
    few = stroke_characters(3, 12, drawers=2)
    assert torch.equal(few, stroke_characters(3, 12, drawers=2))
    assert torch.equal(few, stroke_characters(40, 12, drawers=2)[:3])
    assert not torch.equal(few, stroke_characters(3, 12, drawers=2, seed=1))


def test_no_two_drawings_are_alike_and_none_is_blank():
    drawings = stroke_characters(40, 20).flatten(0, 1)
    assert len({bytes(one.numpy()) for one in drawings}) == len(drawings)
    assert (drawings.flatten(1).amax(1) > 100).all()
    assert drawings.flatten(1).float().mean(1).max() < 0.3 * 255


def test_global_random_state_is_not_moved():
    before = torch.get_rng_state()
    stroke_characters(2, 12)
    assert torch.equal(torch.get_rng_state(), before)


def test_characters_are_recognisable_by_pixels_but_not_easy():
    pixels = accuracy(lambda pictures: pictures.flatten(1), Examples(stroke_characters(200, 20), "strokes"), 0)
    assert 45 < pixels < 90  # chance is 20


@REAL
def test_network_trained_on_generated_characters_beats_pixels_on_real_ones():
    torch.manual_seed(0)
    made = Examples(stroke_characters(640, 20), "strokes", turns=True, augmentation=Augmentation())
    real = load_omniglot("evaluation", 20, source="real")
    widths = (1, 16, 32, 32)
    layers = [
        layer
        for before, after in pairwise(widths)
        for layer in (nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2))
    ]
    network = nn.Sequential(nn.Unflatten(1, (1, 20)), *layers, nn.Flatten())
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    shots = Shots(examples=made, ways=20, shots=1, queries=3)
    generator = Generator().manual_seed(0)
    for _ in range(STEPS):
        episode = shots.sample(1, generator)
        known, asked = (network(part.flatten(0, 2)) for part in episode[:2])
        loss = F.cross_entropy(-torch.cdist(asked, known).square() / 8, torch.arange(20).repeat_interleave(3))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    pixels, learned = accuracy(lambda pictures: pictures.flatten(1), real, 1), accuracy(network, real, 1)
    assert learned > max(LEARNED, pixels + 10)
